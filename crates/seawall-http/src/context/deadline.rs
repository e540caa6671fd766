//! Until when an answer is wanted, and the news that it is not wanted any more.

use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seawall_core::Deadline;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::Context;
use crate::clock;
use crate::error::{Error, Result};
use crate::timeout_header;

/// A request's deadline, in nanoseconds from its arrival; zero is none.
#[derive(Default)]
pub(super) struct DeadlineCell(AtomicU64);

impl DeadlineCell {
    pub(super) fn new(arrival: Instant, deadline: Option<Deadline>) -> Self {
        let cell = Self::default();
        cell.set(arrival, deadline);
        cell
    }
    fn get(&self, arrival: Instant) -> Option<Deadline> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Deadline::after(arrival, Duration::from_nanos(nanos))),
        }
    }
    fn set(&self, arrival: Instant, deadline: Option<Deadline>) {
        let nanos = deadline.map_or(0, |deadline| {
            u64::try_from(deadline.remaining(arrival).as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl Clone for DeadlineCell {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

/// Whether a request is over, and who waits for that.
#[derive(Default)]
pub(super) struct Life {
    state: AtomicU8,
    waiters: OnceLock<Box<Notify>>,
}

const ASKED: u8 = 1;
const OVER: u8 = 2;

impl Life {
    pub(super) fn end(&self) {
        if self.state.fetch_or(OVER, Ordering::AcqRel) & ASKED != 0
            && let Some(waiters) = self.waiters.get()
        {
            waiters.notify_waiters();
        }
    }

    async fn ended(&self) {
        let waiters = self.waiters.get_or_init(Box::default);
        let mut ended = pin!(waiters.notified());
        // Enrolled before we say that we wait: whoever ends the request after that wakes us.
        ended.as_mut().enable();
        if self.state.fetch_or(ASKED, Ordering::AcqRel) & OVER == 0 {
            ended.await;
        }
    }
}

impl Context {
    /// Until when the answer is wanted: the deadline that is configured
    /// ([`AdmissionConfig::deadline`](crate::AdmissionConfig), 10 s by default) or the
    /// [route's own](crate::RouteOptions::deadline), what is left of the time that the caller gave
    /// ([`App::accept_timeouts`](crate::App::accept_timeouts)), or the end of the innermost
    /// [`timeout`](crate::RouteOptions::timeout) around this code, whichever is earliest. `None` if there is none of
    /// them.
    ///
    /// It is kept once per request. Attempts that run at the same time under timeouts of their own share the tighter
    /// one.
    pub fn deadline(&self) -> Option<Deadline> {
        self.0.deadline.get(self.received_at())
    }
    /// What is left until the [`deadline`](Context::deadline); zero once it has passed.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.remaining(clock::now()))
    }

    /// Returns when nobody waits for the answer any more: the client is gone, the server cut the connection, the
    /// [`deadline`](Context::deadline) has passed, or the request is over, which is when the last byte of its answer
    /// has been handed to the connection.
    ///
    /// It is for work that outlives the handler: a spawned task that holds a clone of the context. The handler itself
    /// need not ask, because its future is dropped in the first three cases. The deadline is the one that holds when
    /// the future is first polled. A request that never asks pays nothing.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost, and a new call may wait again.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let c = self.clone();
        async move {
            let Some(deadline) = c.deadline() else { return c.0.life.ended().await };
            tokio::select! {
                () = c.0.life.ended() => {}
                () = sleep_until(deadline.instant().into()) => {}
            }
        }
    }

    /// Takes over the time that the caller gave, at most `longest`, if that is less than there is.
    ///
    /// # Errors
    /// 400 for a header that is not of its form; 504 if there is no time left.
    pub(crate) fn accept_timeout(&self, longest: Duration) -> Result<()> {
        let Some(theirs) = self.callers_deadline(longest)? else { return Ok(()) };
        let deadline = self.last_deadline().map_or(theirs, |ours| ours.min(theirs));
        if deadline.expired(clock::now()) {
            return Err(Error::deadline_exceeded());
        }
        self.set_last(deadline);
        Ok(())
    }

    fn callers_deadline(&self, longest: Duration) -> Result<Option<Deadline>> {
        if !self.0.head.says_timeout() {
            return Ok(None);
        }
        let left = timeout_header::remaining(self.headers())?;
        Ok(left.map(|left| Deadline::after(self.received_at(), left.min(longest))))
    }

    /// Puts the route's deadline in the place of the configured one. The caller's stays: it was accepted already.
    pub(crate) fn replace_deadline(&self, limit: Duration) {
        let ours = Deadline::after(self.received_at(), limit);
        let longest = self.0.shared.settings().longest_timeout;
        let theirs = longest.and_then(|longest| self.callers_deadline(longest).ok().flatten());
        self.set_last(theirs.map_or(ours, |theirs| ours.min(theirs)));
    }

    /// The deadline of the whole request, whatever is inside of it.
    pub(crate) fn last_deadline(&self) -> Option<Deadline> {
        self.0.last.get(self.received_at())
    }

    fn set_last(&self, deadline: Deadline) {
        self.0.last.set(self.received_at(), Some(deadline));
        self.0.deadline.set(self.received_at(), Some(deadline));
    }

    /// Makes the deadline `limit` from now, unless it is earlier already, until the guard is dropped.
    pub(crate) fn tighten(&self, limit: Duration) -> Tightened {
        let outer = self.deadline();
        let own = Deadline::after(clock::now(), limit);
        let inner = outer.map_or(own, |outer| outer.min(own));
        self.0.deadline.set(self.received_at(), Some(inner));
        Tightened { c: self.clone(), outer, inner }
    }

    pub(crate) fn end(&self) {
        // Whoever waits holds a clone.
        if std::sync::Arc::strong_count(&self.0) > 1 {
            self.0.life.end();
        }
    }
}

/// A deadline that holds inside a timeout; outside, after it, the outer one holds again.
pub(crate) struct Tightened {
    c: Context,
    outer: Option<Deadline>,
    inner: Deadline,
}

impl Tightened {
    pub(crate) fn deadline(&self) -> Deadline {
        self.inner
    }
}

impl Drop for Tightened {
    fn drop(&mut self) {
        self.c.0.deadline.set(self.c.received_at(), self.outer);
    }
}
