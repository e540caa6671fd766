//! What follows from an event on a connection: connected, answered, failed, and connected again.

use std::io;

use super::Engine;
use super::conn::{Conn, Flight, State, Written};
use super::session::Session;
use super::work::{Answered, Job, Work};
use crate::error::ErrorClass;
use crate::response::{AtEof, Broken, Progress};
use crate::sys::{HANGUP, READABLE, WRITABLE};
use crate::tls::Decrypted;
use crate::users::Opinion;

/// Whether the socket that was read from is still the connection's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    ReadOn,
    /// It was replaced or closed.
    Gone,
}

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
            State::Open => {
                if flags & READABLE != 0 {
                    self.read(slot, flags & HANGUP != 0);
                }
                self.write_on(slot, token);
            }
            State::Connecting { .. } => self.connecting_event(slot, token, flags),
            State::Unused | State::Backoff { .. } => {}
        }
    }

    /// Opens a connection in this slot. The kernel may refuse at once; then it is tried again later.
    pub(super) fn open(&mut self, slot: u32) {
        let now = self.clock.now();
        let conn = &mut self.conns[slot as usize];
        conn.state = State::Connecting { since: now, deadline: now + self.config.connect_timeout_ns };
        self.connecting += 1;
        let number = self.opened * self.config.threads + self.thread;
        self.opened += 1;
        let begun = self.config.dial.connect(number).and_then(|socket| {
            let tls = self.config.tls.as_ref().map(|tls| tls.session().map(Box::new)).transpose()?;
            let session = Session::new(&self.config.session).map_err(|_| io::ErrorKind::InvalidInput)?;
            conn.begin(socket, tls, session);
            match &conn.socket {
                Some(socket) => self.epoll.add(socket, conn.token(slot)),
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        });
        if let Err(error) = begun {
            self.connect_failed(slot, ErrorClass::of_connect(&error), now);
        }
    }

    /// The kernel has connected it, or a handshake goes on.
    fn connecting_event(&mut self, slot: u32, token: u64, flags: u32) {
        let conn = &self.conns[slot as usize];
        if !conn.begun {
            if flags & WRITABLE == 0 {
                return;
            }
            if let Err(error) = self.conns[slot as usize].connect_result() {
                return self.connect_failed(slot, ErrorClass::of_connect(&error), self.clock.now());
            }
            let conn = &mut self.conns[slot as usize];
            conn.begun = true;
            if let (None, Some(session)) = (&conn.tls, &mut conn.session) {
                session.output(&mut conn.out);
            }
        }
        if flags & READABLE != 0 {
            self.read(slot, flags & HANGUP != 0);
        }
        let conn = &mut self.conns[slot as usize];
        if conn.token(slot) == token
            && let State::Connecting { .. } = conn.state
        {
            match conn.write(None) {
                Written::Failed => {
                    self.connect_failed(slot, ErrorClass::TlsHandshake, self.clock.now());
                }
                Written::All | Written::Some => self.look_at_handshake(slot),
            }
        }
    }

    /// Connected, if the handshakes are complete: that of TLS, then that of the protocol.
    pub(super) fn look_at_handshake(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        let (State::Connecting { .. }, true) = (conn.state, conn.begun) else { return };
        if let Some(tls) = &conn.tls {
            if tls.is_handshaking() {
                return;
            }
            if !tls.speaks(self.config.session.protocol) {
                return self.connect_failed(slot, ErrorClass::TlsHandshake, self.clock.now());
            }
            if let Some(session) = &mut conn.session {
                session.output(&mut conn.out); // not before there is somebody to read it
                conn.write(None);
            }
        }
        if conn.session.as_ref().is_none_or(Session::is_ready) {
            self.is_connected(slot);
        }
    }

    fn is_connected(&mut self, slot: u32) {
        let now = self.clock.now();
        let conn = &mut self.conns[slot as usize];
        if let State::Connecting { since, .. } = conn.state {
            self.window.connect.record(now - since);
        }
        conn.state = State::Open;
        self.connected += 1;
        self.connecting -= 1;
        self.list(slot, now);
    }

    pub(super) fn connect_failed(&mut self, slot: u32, class: ErrorClass, now: u64) {
        self.window.count_error(class);
        self.connecting -= 1;
        self.back_off(slot, now);
        if let Some(job) = self.work.take_unconnected(now) {
            self.work.failed(&job, class, None, now);
        }
    }

    /// The connection has room for a request.
    fn list(&mut self, slot: u32, now: u64) {
        let conn = &mut self.conns[slot as usize];
        if !conn.listed {
            conn.listed = true;
            conn.room_since = now;
            self.free.push_back(slot);
        }
    }

    fn unlist(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        if conn.listed {
            conn.listed = false;
            self.free.retain(|&free| free != slot);
        }
    }

    /// This connection may carry one more request.
    pub(super) fn has_room(&self, conn: &Conn) -> bool {
        conn.state == State::Open
            && conn.flights.len() < self.config.pipeline
            && conn.carried < self.config.requests_per_connection
    }

    /// Goes on writing what did not fit into the kernel's buffer.
    fn write_on(&mut self, slot: u32, token: u64) {
        let conn = &mut self.conns[slot as usize];
        if !conn.unsent || conn.token(slot) != token || conn.state != State::Open {
            return;
        }
        let direct = self.config.direct;
        let request = conn.flights.front().filter(|_| direct).map(|flight| self.work.bytes(&flight.job));
        if conn.write(request) == Written::Failed {
            self.fail(slot, ErrorClass::Write, self.clock.now());
        }
    }

    /// Reads until nothing is left to read. After a hang-up no further event will come, so it reads to the very end.
    #[inline]
    fn read(&mut self, slot: u32, hangup: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let conn = &self.conns[slot as usize];
            let count = match conn.read(&mut buffer) {
                Ok(None) => break,
                Ok(Some(0)) => {
                    self.ended(slot);
                    break;
                }
                Ok(Some(count)) => count,
                Err(_) => {
                    self.fail(slot, ErrorClass::ReadReset, self.clock.now());
                    break;
                }
            };
            let then = if conn.tls.is_some() {
                self.encrypted(slot, &buffer[..count], hangup)
            } else {
                self.window.counts.bytes_in += count as u64;
                self.answer_bytes(slot, &buffer[..count], hangup)
            };
            if then == Then::Gone || (count < buffer.len() && !hangup) {
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Bytes of a TLS session: of the handshake or of answers.
    fn encrypted(&mut self, slot: u32, mut raw: &[u8], hangup: bool) -> Then {
        let mut plain = std::mem::take(&mut self.plain);
        let then = loop {
            let Some(tls) = &mut self.conns[slot as usize].tls else { break Then::Gone };
            match tls.decrypt(&mut raw, &mut plain) {
                Ok(Decrypted::NeedsMore) => {
                    self.conns[slot as usize].flush_tls();
                    break Then::ReadOn;
                }
                Ok(Decrypted::Closed) => {
                    self.ended(slot);
                    break Then::Gone;
                }
                Ok(Decrypted::Plain(count)) => {
                    self.look_at_handshake(slot);
                    self.window.counts.bytes_in += count as u64;
                    if self.answer_bytes(slot, &plain[..count], hangup) == Then::Gone {
                        break Then::Gone;
                    }
                }
                Err(class) => {
                    self.conns[slot as usize].flush_tls(); // the peer is told why, if it will hear it
                    self.fail(slot, class, self.clock.now());
                    break Then::Gone;
                }
            }
        };
        self.plain = plain;
        then
    }

    /// Bytes of answers.
    #[inline]
    fn answer_bytes(&mut self, slot: u32, mut bytes: &[u8], hangup: bool) -> Then {
        if self.conns[slot as usize].session.is_some() {
            return self.session_bytes(slot, bytes);
        }
        while !bytes.is_empty() {
            let conn = &mut self.conns[slot as usize];
            let Some(flight) = conn.flights.front() else {
                // Nobody asked for this: the connection cannot be trusted.
                self.window.count_error(ErrorClass::Malformed);
                self.reconnect(slot);
                return Then::Gone;
            };
            conn.parser.set_head_only(flight.job.head);
            let kept = if W::KEEPS { Some(&mut conn.kept) } else { None };
            match conn.parser.feed(bytes, &mut self.learned, kept) {
                Ok(Progress::More) => return Then::ReadOn,
                Ok(Progress::Done(used)) => {
                    bytes = &bytes[used..];
                    let reusable = !hangup && conn.parser.keep_alive();
                    if self.complete(slot, reusable, bytes.is_empty()) == Then::Gone {
                        return Then::Gone;
                    }
                }
                Err(broken) => {
                    let class = match broken {
                        Broken::Malformed => ErrorClass::Malformed,
                        Broken::TooLarge => ErrorClass::TooLarge,
                    };
                    self.fail(slot, class, self.clock.now());
                    return Then::Gone;
                }
            }
        }
        Then::ReadOn
    }

    /// The peer closed.
    fn ended(&mut self, slot: u32) {
        let conn = &self.conns[slot as usize];
        if let State::Connecting { .. } = conn.state {
            return self.fail(slot, ErrorClass::EofBeforeResponse, self.clock.now());
        }
        if conn.flights.is_empty() {
            return self.reconnect(slot);
        }
        match conn.parser.eof() {
            AtEof::Complete => {
                self.complete(slot, false, true);
            }
            AtEof::BeforeResponse => self.fail(slot, ErrorClass::EofBeforeResponse, self.clock.now()),
            AtEof::Early => self.fail(slot, ErrorClass::EofEarly, self.clock.now()),
        }
    }

    /// The oldest answer is complete. If nothing else was read, the next request goes out before this one is counted:
    /// counting must not delay it.
    #[inline]
    fn complete(&mut self, slot: u32, keep_alive: bool, all_read: bool) -> Then {
        let now = self.clock.now();
        let conn = &mut self.conns[slot as usize];
        let Some(Flight { job, sent, .. }) = conn.flights.pop_front() else { return Then::Gone };
        let status = conn.parser.status();
        conn.failures = 0;
        self.busy -= 1;
        let opinion = if W::KEEPS {
            self.work.answered(&job, Answered { status, sent, done: now, kept: &conn.kept })
        } else {
            Opinion::ByStatus
        };
        let conn = &self.conns[slot as usize];
        let last = conn.flights.is_empty();
        let used_up = last && conn.carried >= self.config.requests_per_connection;
        // An answer to a request that is not written yet is none of this request.
        let then = if !keep_alive || used_up || (last && conn.unsent) {
            self.count_answer(status, opinion, now - job.due.min(now), now - sent);
            self.abandon(slot, ErrorClass::EofBeforeResponse, now); // what was pipelined behind it
            self.reconnect(slot);
            return Then::Gone;
        } else if all_read {
            self.refill(slot, now)
        } else {
            Then::ReadOn
        };
        self.count_answer(status, opinion, now - job.due.min(now), now - sent);
        then
    }

    /// Gives a connection as many requests as it has room for, unless others have waited longer.
    #[inline]
    pub(super) fn refill(&mut self, slot: u32, now: u64) -> Then {
        let generation = self.conns[slot as usize].generation;
        loop {
            if !self.has_room(&self.conns[slot as usize]) {
                break;
            }
            if !self.free.is_empty() || self.draining {
                self.list(slot, now);
                break;
            }
            let Some(next) = self.next_job(now) else {
                self.list(slot, now);
                break;
            };
            if W::PACED && next.due < now {
                self.window.counts.waited += 1;
            }
            self.put(slot, next, now);
            let conn = &self.conns[slot as usize];
            if conn.generation != generation || conn.state != State::Open {
                return Then::Gone; // it could not be written
            }
        }
        self.flush(slot, now);
        let conn = &self.conns[slot as usize];
        let same = conn.generation == generation && conn.state == State::Open;
        if same { Then::ReadOn } else { Then::Gone }
    }

    #[inline]
    fn next_job(&mut self, now: u64) -> Option<Job> {
        if W::PACED {
            self.shed(now, None);
        }
        self.work.take(now)
    }

    #[inline]
    pub(super) fn count_answer(&mut self, status: u16, opinion: Opinion, latency: u64, service: u64) {
        let window = &mut self.window;
        window.latency.record(latency);
        if W::PACED {
            window.service.record(service);
            self.waking.answered(service);
        }
        window.counts.answered += 1;
        if status != 0 {
            window.counts.status.add(status, 1); // messages have none
        }
        if let (Some(within), 200..=299) = (self.config.good_within_ns, status) {
            window.success.record(latency);
            if latency <= within {
                window.counts.good.add(status, 1);
            }
        }
        match (opinion, status) {
            (Opinion::Unexpected, _) => window.count_error(ErrorClass::ExpectFailed),
            (Opinion::ByStatus, 400..=499) => window.count_error(ErrorClass::Status4xx),
            (Opinion::ByStatus, 500..=599) => window.count_error(ErrorClass::Status5xx),
            (Opinion::ByStatus | Opinion::Expected, _) => {}
        }
    }

    /// The connection is of no use any more, for this reason: all its requests fail. The first failure after a success
    /// connects again at once, each further one in a row waits longer.
    pub(super) fn fail(&mut self, slot: u32, class: ErrorClass, now: u64) {
        if let State::Connecting { .. } = self.conns[slot as usize].state {
            // Whatever broke a TLS handshake was no TLS; a protocol's handshake breaks by its own rules.
            let handshaking = self.conns[slot as usize].tls.as_ref().is_some_and(|tls| tls.is_handshaking());
            let class = if handshaking && !class.is_tls() { ErrorClass::TlsHandshake } else { class };
            return self.connect_failed(slot, class, now);
        }
        if self.conns[slot as usize].flights.is_empty() {
            return self.reconnect(slot);
        }
        self.abandon(slot, class, now);
        if self.conns[slot as usize].failures == 0 {
            self.conns[slot as usize].failures = 1; // the next failure in a row waits
            self.reconnect(slot);
        } else {
            self.back_off(slot, now);
        }
    }

    /// Fails all requests of a connection. Of those behind the first no byte of an answer has come.
    fn abandon(&mut self, slot: u32, first: ErrorClass, now: u64) {
        let mut class = first;
        while let Some(flight) = self.conns[slot as usize].flights.pop_front() {
            self.busy -= 1;
            self.fail_flight(&flight, class, now);
            class = match first {
                ErrorClass::EofEarly => ErrorClass::EofBeforeResponse,
                ErrorClass::TimeoutBody => ErrorClass::TimeoutFirstByte,
                first => first,
            };
        }
    }

    /// A timeout belongs into the latencies: leaving it out would hide the slowest.
    pub(super) fn fail_flight(&mut self, flight: &Flight, class: ErrorClass, now: u64) {
        let Flight { job, sent, .. } = flight;
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
        self.work.failed(job, class, Some(*sent), now);
    }

    fn back_off(&mut self, slot: u32, now: u64) {
        self.unlist(slot);
        let conn = &mut self.conns[slot as usize];
        conn.close();
        let pause = conn.next_backoff();
        conn.state = State::Backoff { until: now + pause };
    }

    /// Replaces the socket of this slot; not any more if the run is over.
    pub(super) fn reconnect(&mut self, slot: u32) {
        self.unlist(slot);
        self.conns[slot as usize].close();
        if self.draining {
            self.conns[slot as usize].state = State::Unused;
        } else {
            self.open(slot);
        }
    }
}
