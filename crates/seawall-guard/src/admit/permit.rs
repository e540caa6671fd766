//! Room for one request that has been started.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::{Deadline, Outcome};

/// Where a permit reports to.
pub(super) trait Home: Send + Sync {
    /// The work has ended: with an outcome at a time, or given up, which says nothing. Its room is free, under the limit
    /// and under the hard cap.
    fn ended(&self, started: Instant, allowed: Duration, end: Option<(Outcome, Instant)>);
}

/// Leave to work on one request. Keep it until the body of the answer has ended, wherever that is.
///
/// [`finish`](Self::finish) reports the outcome, which it can do only once. A permit that is dropped instead counts as
/// cancelled: its room is free again, and nothing is learnt from it.
#[must_use = "the room is given back the moment the permit is dropped"]
pub struct WorkPermit {
    /// Taken when the end is reported, so that there is one report.
    home: Option<Arc<dyn Home>>,
    started: Instant,
    /// From the arrival to the start, and from there to the deadline, in microseconds: there is one permit in each
    /// connection, idle or not, and a deadline is an hour at most.
    waited: u32,
    left: u32,
}

impl WorkPermit {
    pub(super) fn new(home: Arc<dyn Home>, started: Instant, arrived: Instant, deadline: Deadline) -> Self {
        let waited = micros(started.saturating_duration_since(arrived));
        Self { home: Some(home), started, waited, left: micros(deadline.remaining(started)) }
    }

    /// When the work was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Until when the answer is wanted: the caller's deadline or the configured one, the earlier of the two; to the
    /// microsecond.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(self.started, Duration::from_micros(self.left.into()))
    }

    /// From the arrival to the deadline.
    fn allowed(&self) -> Duration {
        Duration::from_micros(u64::from(self.waited) + u64::from(self.left))
    }

    /// Says that the work begins only now, for a driver that grants several starts and works on one after the other: the
    /// time between is waiting, and no part of how long the work takes.
    pub fn begin(&mut self, now: Instant) {
        let waited = micros(now.saturating_duration_since(self.started));
        self.waited = self.waited.saturating_add(waited);
        self.left = self.left.saturating_sub(waited);
        self.started = now;
    }

    /// Reports how it ended and gives the room back.
    ///
    /// [`Outcome::Success`] and a permanent failure are answers and count as samples. A transient failure is one that
    /// took too long. [`Outcome::Overloaded`] says that what is behind is full. A system failure and
    /// [`Outcome::Cancelled`] say nothing about how long the service takes.
    pub fn finish(mut self, outcome: Outcome, now: Instant) {
        if let Some(home) = self.home.take() {
            home.ended(self.started, self.allowed(), Some((outcome, now)));
        }
    }
}

impl Drop for WorkPermit {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.ended(self.started, self.allowed(), None);
        }
    }
}

fn micros(duration: Duration) -> u32 {
    let whole = duration.as_secs().saturating_mul(1_000_000);
    u32::try_from(whole.saturating_add(duration.subsec_micros().into())).unwrap_or(u32::MAX)
}

impl fmt::Debug for WorkPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkPermit").field("started", &self.started).finish_non_exhaustive()
    }
}
