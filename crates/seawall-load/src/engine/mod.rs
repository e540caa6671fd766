//! The event loop of one generator thread: its own connections, its own counters, nothing shared on the hot path.
//!
//! A request costs one write and one read, plus its part of one `epoll_pwait2` for all that is ready: sockets are
//! registered once, and the next request is written as soon as the last byte of an answer is there. The clock is
//! read once per answer, never once per batch, so that a large batch does not flatter the latencies.
//!
//! What is sent and when is the [`Work`]'s business. What is counted goes into [`Window`]s.
//!
//! A request is written from where it is. Only where that cannot be (templates, pipelining) it is put together in the
//! connection's own buffer.
//!
//! HTTP/2 and WebSocket are state machines of their own (`session`) between the same sockets and the same counts.
//!
//! Left out: io_uring, HTTP/3.

mod conn;
mod events;
pub(crate) mod session;
mod streams;
mod ticker;
mod waking;
pub(crate) mod work;
mod ws;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;

use crate::clock::Clock;
use crate::dial::Dial;
use crate::error::ErrorClass;
use crate::response::Learned;
use crate::sys::Epoll;
use crate::tls::TlsClient;
use crate::window::Window;
use seawall_load_h2::Finished;

use conn::{Conn, Flight, State, Written};
use session::SessionConfig;
use ticker::Ticker;
use waking::Waking;
use work::{Job, Work};

/// Between two looks at deadlines and back-offs: they are kept to within this.
const SCAN_NS: u64 = 10_000_000;
/// Longest turn of the loop that counts as spinning; in a longer one the thread did not run.
const SPIN_TURN_NS: u64 = 5_000;
/// Longest wait for the last answers after an early stop.
const STOPPED_DRAIN_NS: u64 = 500_000_000;
/// Room for one read.
const BUFFER: usize = 64 * 1024;

/// What the threads of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// When nothing more is sent, in nanoseconds of the run's clock. Only the reader of the windows changes it.
    pub(crate) end: AtomicU64,
    /// The end came early: the last answers are awaited for a moment only.
    pub(crate) stopped: std::sync::atomic::AtomicBool,
}

/// What one engine is told.
#[derive(Debug, Clone)]
pub(crate) struct EngineConfig {
    pub(crate) dial: Arc<Dial>,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) session: Arc<SessionConfig>,
    /// Threads of the run.
    pub(crate) threads: usize,
    /// Requests on a connection at once.
    pub(crate) pipeline: usize,
    /// Requests on a connection in its life.
    pub(crate) requests_per_connection: u64,
    /// Requests are written from [`Work::bytes`]; else they are rendered.
    pub(crate) direct: bool,
    /// Opened at the start.
    pub(crate) connections: usize,
    /// Opened at most.
    pub(crate) max_conns: usize,
    pub(crate) connect_timeout_ns: u64,
    /// Never sleep.
    pub(crate) busy_poll: bool,
    /// An answer 2xx that is not later than this is good; `None` counts none.
    pub(crate) good_within_ns: Option<u64>,
    /// How long the last answers are awaited.
    pub(crate) drain_ns: u64,
    /// Length of the first window.
    pub(crate) first_window_ns: u64,
}

/// A message to the reader.
#[derive(Debug)]
pub(crate) enum Message {
    /// A window is over.
    Window { thread: usize, window: Box<Window> },
    /// What came after the end; the thread is done.
    Drained { thread: usize, window: Box<Window>, backlog: u64 },
}

/// One generator thread.
pub(crate) struct Engine<'a, W> {
    thread: usize,
    clock: Clock,
    config: EngineConfig,
    shared: &'a Shared,
    work: W,
    epoll: Epoll,
    conns: Vec<Conn>,
    /// Connections with room for a request, longest unused first: all are used in turn.
    free: VecDeque<u32>,
    /// Slots that were never opened.
    unused: Vec<u32>,
    connected: usize,
    connecting: usize,
    /// Connections that were begun.
    opened: usize,
    /// Requests on their way.
    busy: usize,
    /// All first connections were made or have failed once: none is tried again before.
    started: bool,
    draining: bool,
    /// What was read from a socket, and what TLS made of it.
    buffer: Box<[u8]>,
    plain: Box<[u8]>,
    /// A request on its way to a session, and what a session has finished; empty between two uses.
    scratch: Vec<u8>,
    finished: Vec<Finished>,
    learned: Learned,
    window: Window,
    ticker: Ticker,
    waking: Waking,
    next_scan: u64,
    /// When the last wait ended, and how many requests had been sent by then: for telling spinning from work.
    waited_until: (u64, u64),
}

impl<'a, W: Work> Engine<'a, W> {
    /// Prepares a thread's engine; nothing is connected yet.
    pub(crate) fn new(
        thread: usize,
        clock: Clock,
        config: EngineConfig,
        shared: &'a Shared,
        work: W,
    ) -> io::Result<Self> {
        let conns: Vec<Conn> = (0..config.max_conns).map(|_| Conn::new()).collect();
        Ok(Self {
            thread,
            clock,
            shared,
            work,
            epoll: Epoll::new()?,
            free: VecDeque::with_capacity(conns.len()),
            unused: (config.connections as u32..config.max_conns as u32).rev().collect(),
            conns,
            connected: 0,
            connecting: 0,
            opened: 0,
            busy: 0,
            started: false,
            draining: false,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            plain: vec![0; if config.tls.is_some() { BUFFER } else { 0 }].into_boxed_slice(),
            scratch: Vec::new(),
            finished: Vec::new(),
            learned: Learned::default(),
            window: Window::default(),
            ticker: Ticker::new(),
            waking: Waking::new(),
            next_scan: 0,
            waited_until: (0, 0),
            config,
        })
    }

    /// Opens the first connections and waits until each is made or has failed once, or the time for that is over.
    /// Says how many were made.
    pub(crate) fn connect(&mut self) -> io::Result<usize> {
        for slot in 0..self.config.connections as u32 {
            self.open(slot);
        }
        let give_up = self.clock.now() + self.config.connect_timeout_ns;
        while self.connecting > 0 {
            let now = self.clock.now();
            if now >= give_up {
                break;
            }
            let count = self.epoll.wait(SCAN_NS.min(give_up - now))?;
            (0..count).for_each(|index| self.handle_event(index));
            self.scan(self.clock.now());
        }
        self.started = true;
        Ok(self.connected)
    }

    /// Nobody could connect: reports that, instead of running.
    pub(crate) fn give_up(self, reader: &SyncSender<Message>) -> W {
        let _ =
            reader.send(Message::Drained { thread: self.thread, window: Box::new(self.window), backlog: 0 });
        self.work
    }

    /// Runs until the end and the last answers. `start` is the run's start on its clock. Sends the windows to
    /// `reader` and gives the work back.
    pub(crate) fn run(mut self, start: u64, reader: &SyncSender<Message>) -> io::Result<W> {
        self.work.begin(start);
        let errors = self.window.counts.errors; // of connecting
        self.window = Window::starting_at(0);
        self.window.counts.errors = errors;
        self.ticker.begin(start, self.config.first_window_ns);
        loop {
            let now = self.clock.now();
            let end = self.shared.end.load(Relaxed);
            self.ticker.cut(now.min(end), &mut self.window, |window| {
                let message = Message::Window { thread: self.thread, window: Box::new(window) };
                let _ = reader.send(message); // the reader is gone only if it panicked
            });
            if now >= end || (self.busy == 0 && self.work.finished()) {
                break;
            }
            if now >= self.next_scan {
                self.scan(now);
            }
            self.send_due(end);
            self.wait(end)?;
        }
        self.finish(start, reader)?;
        Ok(self.work)
    }

    /// The measurement is over: wait for the last answers, then report.
    fn finish(&mut self, start: u64, reader: &SyncSender<Message>) -> io::Result<()> {
        let end = self.clock.now().min(self.shared.end.load(Relaxed));
        let last = self.ticker.close(end, &mut self.window);
        let _ = reader.send(Message::Window { thread: self.thread, window: Box::new(last) });
        let (work, window) = (&self.work, &mut self.window);
        // What was due and never sent waited for so long at least.
        let backlog = work.backlog(end, &mut |waited, n| window.censor(waited, n));
        self.draining = true;
        loop {
            let now = self.clock.now();
            let limit = if self.shared.stopped.load(Relaxed) {
                self.config.drain_ns.min(STOPPED_DRAIN_NS)
            } else {
                self.config.drain_ns
            };
            if self.busy == 0 || now >= end.saturating_add(limit) {
                break;
            }
            let count = self.epoll.wait(SCAN_NS)?;
            (0..count).for_each(|index| self.handle_event(index));
            if self.clock.now() >= self.next_scan {
                self.scan(self.clock.now());
            }
        }
        let now = self.clock.now();
        for slot in 0..self.conns.len() as u32 {
            if !self.conns[slot as usize].flights.is_empty() {
                self.fail(slot, ErrorClass::UnansweredAtEnd, now);
            }
        }
        let mut window = std::mem::take(&mut self.window);
        (window.start_ns, window.end_ns) = (end - start.min(end), now - start.min(now));
        let _ = reader.send(Message::Drained { thread: self.thread, window: Box::new(window), backlog });
        Ok(())
    }

    /// Sends what is due as long as connections are free and the end has not come: what is due from then on is no part
    /// of the run, and what was due before is its backlog.
    fn send_due(&mut self, end: u64) {
        while self.can_send()
            && let Some(due) = self.work.next_due()
        {
            let now = self.clock.now();
            if due > now || now >= end {
                return;
            }
            let Some(slot) = self.free.pop_front() else {
                self.shed(now, None);
                if let Some(slot) = self.unused.pop() {
                    self.open(slot); // it will take the job when it is made
                }
                return;
            };
            let conn = &mut self.conns[slot as usize];
            conn.listed = false;
            let since = conn.room_since;
            self.shed(now, Some(since));
            let Some(job) = self.work.take(now) else {
                self.conns[slot as usize].listed = true;
                self.free.push_front(slot);
                return;
            };
            if W::PACED {
                self.window.lag.record(now.saturating_sub(job.due.max(since)));
            }
            self.put(slot, job, now);
            self.flush(slot, now);
            let conn = &self.conns[slot as usize];
            if conn.state == State::Open && !conn.flights.is_empty() && self.has_room(conn) && !conn.listed {
                self.conns[slot as usize].listed = true;
                self.free.push_back(slot);
            }
        }
    }

    /// A connection is free, or one more may be opened. One at a time: the next is opened if this one is not enough.
    fn can_send(&self) -> bool {
        !self.free.is_empty() || (self.connecting == 0 && !self.unused.is_empty())
    }

    /// Gives a job to a connection that has room. What is sent is written with the next [`flush`](Self::flush).
    #[inline]
    fn put(&mut self, slot: u32, job: Job, now: u64) {
        let conn = &mut self.conns[slot as usize];
        let id = conn.carried;
        conn.flights.push_back(Flight { job, sent: now, deadline: now.saturating_add(job.timeout), id });
        conn.carried += 1;
        self.busy += 1;
        self.window.counts.sent += 1;
        if let Some(session) = &mut conn.session {
            self.scratch.clear();
            self.work.render(&job, &mut self.scratch);
            if let Err(class) = session.send(id, &self.scratch) {
                self.fail(slot, class, now);
            }
        } else if !self.config.direct {
            self.work.render(&job, &mut conn.out);
        } else if conn.write_first(self.work.bytes(&job)) == Written::Failed {
            self.fail(slot, ErrorClass::Write, now);
        }
    }

    /// Writes what was put into a connection's buffer.
    #[inline]
    fn flush(&mut self, slot: u32, now: u64) {
        if self.conns[slot as usize].state != State::Open {
            return; // it has failed since
        }
        if self.conns[slot as usize].session.is_some() {
            self.advance(slot, &[], now); // hands out what was put in
        }
        let conn = &mut self.conns[slot as usize];
        if conn.state == State::Open && !conn.out.is_empty() && conn.write(None) == Written::Failed {
            self.fail(slot, ErrorClass::Write, now);
        }
    }

    /// Waits for events until something else is to be done, and handles them.
    fn wait(&mut self, end: u64) -> io::Result<()> {
        let now = self.clock.now();
        let mut wake = self.next_scan.min(self.ticker.next()).min(end);
        let mut spin = self.config.busy_poll;
        let mut timed = None;
        if W::PACED
            && self.can_send()
            && let Some(due) = self.work.next_due()
        {
            let plan = self.waking.plan(now, due, self.work.rate());
            spin |= plan.spin;
            if plan.at < wake {
                wake = plan.at;
                timed = (plan.at > now).then_some(plan.at);
            }
        }
        let timeout = if spin { 0 } else { wake.saturating_sub(now) };
        let count = self.epoll.wait(timeout)?;
        (0..count).for_each(|index| self.handle_event(index));
        if count == 0
            && !spin
            && let Some(at) = timed
        {
            self.waking.slept(at, self.clock.now());
        }
        if spin {
            self.count_spinning(count);
        }
        Ok(())
    }

    /// A turn in which nothing came and nothing was sent is no work.
    fn count_spinning(&mut self, events: usize) {
        let (after, sent) = (self.clock.now(), self.window.counts.sent);
        if events == 0 && self.waited_until.1 == sent {
            self.window.counts.spin_ns += (after - self.waited_until.0).min(SPIN_TURN_NS);
        }
        self.waited_until = (after, sent);
    }

    /// Looks at every connection's deadline or back-off.
    fn scan(&mut self, now: u64) {
        self.next_scan = now + SCAN_NS;
        for slot in 0..self.conns.len() as u32 {
            let conn = &self.conns[slot as usize];
            match conn.state {
                // Answers come in order, so the oldest request is the first whose time is over.
                State::Open if conn.flights.front().is_some_and(|flight| now >= flight.deadline) => {
                    let class = match (self.draining, conn.parser.begun()) {
                        (true, _) => ErrorClass::UnansweredAtEnd,
                        (false, true) => ErrorClass::TimeoutBody,
                        (false, false) => ErrorClass::TimeoutFirstByte,
                    };
                    self.timed_out(slot, class, now);
                }
                State::Connecting { deadline, .. } if now >= deadline => {
                    self.connect_failed(slot, ErrorClass::ConnectTimeout, now);
                }
                State::Backoff { until } if now >= until && self.started && !self.draining => self.open(slot),
                _ => {}
            }
        }
        if !self.draining {
            self.shed(now, None); // after the end it is counted as the backlog
        }
    }

    /// Gives up the jobs whose time has passed before they were sent. If a connection has been free since some time,
    /// that they were late is the generator's doing.
    #[inline]
    fn shed(&mut self, now: u64, free_since: Option<u64>) {
        while let Some(job) = self.work.take_expired(now) {
            self.window.count_error(ErrorClass::DeadlineShed);
            self.window.counts.shed += 1;
            self.window.censor(now - job.due.min(now), 1);
            if let Some(since) = free_since {
                self.window.lag.record(now.saturating_sub(job.due.max(since)));
            }
            self.work.failed(&job, ErrorClass::DeadlineShed, None, now);
        }
    }
}
