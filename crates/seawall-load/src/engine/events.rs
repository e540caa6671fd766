//! What follows from an event on a connection: connected, answered, failed, and connected again.

use std::io;

use super::Engine;
use super::conn::{State, Written};
use super::work::{Answered, Job, Work};
use crate::error::ErrorClass;
use crate::response::{AtEof, Broken, Progress};
use crate::sys::{HANGUP, READABLE, WRITABLE};

impl<W: Work> Engine<'_, W> {
    /// Handles event `index` of the last wait. Events of sockets that were replaced since are skipped.
    #[inline]
    pub(super) fn handle_event(&mut self, index: usize) {
        let (token, flags) = self.epoll.event(index);
        let slot = token as u32;
        let Some(conn) = self.conns.get(slot as usize) else { return };
        if conn.token(slot) != token {
            return;
        }
        match conn.state {
            State::Busy { .. } => {
                if flags & READABLE != 0 {
                    self.read_answer(slot, flags & HANGUP != 0);
                }
                self.write_on(slot);
            }
            State::Connecting { .. } if flags & WRITABLE != 0 => self.connect_ended(slot),
            State::Idle { .. } if flags & READABLE != 0 => self.idle_readable(slot),
            State::Idle { .. } | State::Connecting { .. } | State::Unused | State::Backoff { .. } => {}
        }
    }

    /// Opens a connection in this slot. The kernel may refuse at once; then it is tried again later.
    pub(super) fn open(&mut self, slot: u32) {
        let now = self.clock.now();
        let conn = &mut self.conns[slot as usize];
        conn.state = State::Connecting { deadline: now + self.config.connect_timeout_ns };
        self.connecting += 1;
        let opened = conn.open(self.config.address).map(|_| ());
        let registered = opened.and_then(|()| match &conn.socket {
            Some(socket) => self.epoll.add(socket, conn.token(slot)),
            None => Err(io::ErrorKind::NotConnected.into()),
        });
        if let Err(error) = registered {
            self.connect_failed(slot, ErrorClass::of_connect(&error), now);
        }
    }

    fn connect_ended(&mut self, slot: u32) {
        let now = self.clock.now();
        match self.conns[slot as usize].connect_result() {
            Ok(()) => {
                self.connected += 1;
                self.connecting -= 1;
                self.becomes_idle(slot, now);
            }
            Err(error) => self.connect_failed(slot, ErrorClass::of_connect(&error), now),
        }
    }

    pub(super) fn connect_failed(&mut self, slot: u32, class: ErrorClass, now: u64) {
        self.window.count_error(class);
        self.connecting -= 1;
        let conn = &mut self.conns[slot as usize];
        conn.close();
        let pause = conn.next_backoff();
        conn.state = State::Backoff { until: now + pause };
        if let Some(job) = self.work.take_unconnected(now) {
            self.work.failed(&job, class, None, now);
        }
    }

    fn becomes_idle(&mut self, slot: u32, now: u64) {
        self.conns[slot as usize].state = State::Idle { since: now };
        self.free.push_back(slot);
    }

    /// An idle connection became readable: the peer closed it, or says something that nobody asked for.
    fn idle_readable(&mut self, slot: u32) {
        match self.conns[slot as usize].read(&mut self.buffer) {
            Ok(None) => return,
            Ok(Some(0)) | Err(_) => {}
            Ok(Some(_)) => self.window.count_error(ErrorClass::Malformed),
        }
        self.free.retain(|&free| free != slot);
        self.reconnect(slot);
    }

    /// Goes on writing a request that did not fit into the kernel's buffer.
    fn write_on(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        let State::Busy { .. } = conn.state else { return };
        let request = self.work.bytes(&conn.job);
        if conn.written < request.len() && conn.write(request) == Written::Failed {
            self.fail(slot, ErrorClass::Write, self.clock.now());
        }
    }

    /// Reads until the answer is complete, or nothing is left to read. After a hang-up no further event will come,
    /// so it reads to the very end.
    #[inline]
    fn read_answer(&mut self, slot: u32, hangup: bool) {
        loop {
            let conn = &mut self.conns[slot as usize];
            let count = match conn.read(&mut self.buffer) {
                Ok(None) => return,
                Ok(Some(0)) => return self.ended(slot),
                Ok(Some(count)) => count,
                Err(_) => return self.fail(slot, ErrorClass::ReadReset, self.clock.now()),
            };
            self.window.counts.bytes_in += count as u64;
            let kept = if W::KEEPS { Some(&mut conn.kept) } else { None };
            match conn.parser.feed(&self.buffer[..count], &mut self.learned, kept) {
                Ok(Progress::More) if count < self.buffer.len() && !hangup => return,
                Ok(Progress::More) => {}
                Ok(Progress::Done(used)) => {
                    // What comes after a complete answer was not asked for: the connection cannot be trusted.
                    let trusted = used == count && conn.written == self.work.bytes(&conn.job).len();
                    if used < count {
                        self.window.count_error(ErrorClass::Malformed);
                    }
                    let reusable = trusted && !hangup && conn.parser.keep_alive();
                    return self.complete(slot, reusable);
                }
                Err(broken) => {
                    let class = match broken {
                        Broken::Malformed => ErrorClass::Malformed,
                        Broken::TooLarge => ErrorClass::TooLarge,
                    };
                    return self.fail(slot, class, self.clock.now());
                }
            }
        }
    }

    /// The peer closed while a request was on its way.
    fn ended(&mut self, slot: u32) {
        match self.conns[slot as usize].parser.eof() {
            AtEof::Complete => self.complete(slot, false),
            AtEof::BeforeResponse => self.fail(slot, ErrorClass::EofBeforeResponse, self.clock.now()),
            AtEof::Early => self.fail(slot, ErrorClass::EofEarly, self.clock.now()),
        }
    }

    /// The answer is complete. The next request goes out before this one is counted: counting must not delay it.
    #[inline]
    fn complete(&mut self, slot: u32, reusable: bool) {
        let now = self.clock.now();
        let conn = &mut self.conns[slot as usize];
        let State::Busy { sent, .. } = conn.state else { return };
        let (job, status) = (conn.job, conn.parser.status());
        conn.failures = 0;
        self.busy -= 1;
        if W::KEEPS {
            self.work.answered(&job, Answered { status, sent, done: now, kept: &conn.kept });
        }
        if !reusable {
            self.reconnect(slot);
        } else if !self.free.is_empty() || self.draining {
            self.becomes_idle(slot, now); // others have waited longer
        } else if let Some(next) = self.next_job(now) {
            if W::PACED && next.due < now {
                self.window.counts.waited += 1;
            }
            self.send(slot, next, now);
        } else {
            self.becomes_idle(slot, now);
        }
        self.count_answer(status, now - job.due.min(now), now - sent);
    }

    #[inline]
    fn next_job(&mut self, now: u64) -> Option<Job> {
        if W::PACED {
            self.shed(now, None);
        }
        self.work.take(now)
    }

    #[inline]
    fn count_answer(&mut self, status: u16, latency: u64, service: u64) {
        let window = &mut self.window;
        window.latency.record(latency);
        if W::PACED {
            window.service.record(service);
        }
        window.counts.answered += 1;
        window.counts.status.add(status, 1);
        match status {
            400..=499 => window.count_error(ErrorClass::Status4xx),
            500..=599 => window.count_error(ErrorClass::Status5xx),
            _ => {}
        }
    }

    /// The request of this connection failed. A timeout belongs into the latencies: leaving it out would hide the
    /// slowest.
    pub(super) fn fail(&mut self, slot: u32, class: ErrorClass, now: u64) {
        let conn = &mut self.conns[slot as usize];
        let State::Busy { sent, .. } = conn.state else { return };
        let job = conn.job;
        self.busy -= 1;
        self.window.count_error(class);
        match class {
            ErrorClass::UnansweredAtEnd => self.window.counts.unanswered += 1,
            _ => self.window.counts.failed += 1,
        }
        if class.is_timeout() {
            self.window.censor(now - job.due.min(now), 1);
            if W::PACED {
                self.window.service.record(now - sent);
            }
        }
        self.work.failed(&job, class, Some(sent), now);
        if self.conns[slot as usize].failures == 0 {
            self.conns[slot as usize].failures = 1; // the next failure in a row waits
            self.reconnect(slot);
        } else {
            self.back_off(slot, now);
        }
    }

    fn back_off(&mut self, slot: u32, now: u64) {
        let conn = &mut self.conns[slot as usize];
        conn.close();
        let pause = conn.next_backoff();
        conn.state = State::Backoff { until: now + pause };
    }

    /// Replaces the socket of this slot; not any more if the run is over.
    fn reconnect(&mut self, slot: u32) {
        self.conns[slot as usize].close();
        if self.draining {
            self.conns[slot as usize].state = State::Unused;
        } else {
            self.open(slot);
        }
    }
}
