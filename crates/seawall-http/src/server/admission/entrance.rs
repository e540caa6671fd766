//! The way in for a request, and what it holds while it is worked on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::{Deadline, Outcome};
use seawall_guard::{Gate, Meta, Permit, Priority, Rejected, WorkPermit};

use super::{Dispatcher, Queued, Refusals};
use crate::clock;
use crate::server::pressure::UnderPressure;

/// Leave to work on a request, to be kept until the body of its answer has ended. Dropped without an outcome, it counts
/// as given up.
pub(in crate::server) enum Leave {
    Admitted(WorkPermit),
    /// Without admission there is only the hard cap.
    Capped {
        _room: Permit,
    },
    /// Of a route that never passes through admission.
    Bypassed,
}

impl Leave {
    /// Until when the answer is wanted, as far as admission knows.
    pub(in crate::server) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Admitted(permit) => Some(permit.deadline()),
            Self::Capped { .. } | Self::Bypassed => None,
        }
    }

    /// When the work was started, as far as admission knows.
    pub(in crate::server) fn started(&self) -> Option<Instant> {
        match self {
            Self::Admitted(permit) => Some(permit.started()),
            Self::Capped { .. } | Self::Bypassed => None,
        }
    }

    /// Reports how the work ended, and gives the room back.
    pub(in crate::server) fn finish(self, outcome: Outcome, now: Instant) {
        if let Self::Admitted(permit) = self {
            permit.finish(outcome, now);
        }
    }
}

/// A request that came in: at once, or into the queue.
pub(in crate::server) enum Entered {
    Now(Leave),
    Later(Queued),
}

/// The door of one worker.
pub(in crate::server) struct Entrance {
    /// None if admission is switched off.
    dispatcher: Option<Arc<Dispatcher>>,
    hard_cap: Gate,
    pressure: Arc<UnderPressure>,
    refusals: Refusals,
}

impl Entrance {
    pub(in crate::server) fn new(
        dispatcher: Option<Arc<Dispatcher>>,
        hard_cap: Gate,
        pressure: Arc<UnderPressure>,
        refusals: Refusals,
    ) -> Self {
        Self { dispatcher, hard_cap, pressure, refusals }
    }

    pub(in crate::server) fn dispatcher(&self) -> Option<&Arc<Dispatcher>> {
        self.dispatcher.as_ref()
    }

    /// The short way in, for a request of which nothing needs to be known. `None` says that it has to
    /// [`enter`](Self::enter).
    pub(in crate::server) fn try_start(&self, arrived: Instant, now: Instant) -> Option<Leave> {
        if self.pressure.resource().is_some() {
            return None;
        }
        let Some(dispatcher) = &self.dispatcher else {
            return self.hard_cap.try_acquire().ok().map(|room| Leave::Capped { _room: room });
        };
        dispatcher.try_start(arrived, now).map(Leave::Admitted)
    }

    /// The long way in. A refusal is counted here.
    ///
    /// # Errors
    /// With the reason for which it is to be turned away.
    pub(in crate::server) fn enter(&self, entry: &Entry, now: Instant) -> Result<Entered, Rejected> {
        if entry.bypasses {
            return Ok(Entered::Now(Leave::Bypassed));
        }
        self.decide(entry, now).inspect_err(|rejected| self.refused(rejected, entry.meta.priority))
    }

    fn decide(&self, entry: &Entry, now: Instant) -> Result<Entered, Rejected> {
        if let Some(resource) = self.pressure.resource() {
            return Err(Rejected::UnderPressure { resource });
        }
        match &self.dispatcher {
            Some(dispatcher) => dispatcher.offer(&entry.meta, now).map(Entered::Later),
            None => self.hard_cap.try_acquire().map(|room| Entered::Now(Leave::Capped { _room: room })),
        }
    }

    /// Counts a request of this class that was turned away.
    pub(in crate::server) fn refused(&self, rejected: &Rejected, class: Priority) {
        self.refusals.count(rejected, class);
    }

    /// A handler was polled for the first time, and this long.
    pub(in crate::server) fn spend_first(&self, cost: Duration) {
        if let Some(dispatcher) = &self.dispatcher
            && dispatcher.pace.spend_first(cost)
        {
            dispatcher.news.notify_one();
        }
    }

    /// A handler was polled again.
    pub(in crate::server) fn spend(&self, cost: Duration) {
        if let Some(dispatcher) = &self.dispatcher
            && dispatcher.pace.spend(cost)
        {
            dispatcher.news.notify_one();
        }
    }
}

/// The polls of one handler, whose time the slice counts. The clock is read only where nobody has read it anyway: a
/// handler that answers in its first poll costs no reading.
pub(in crate::server) struct Polls {
    /// When the poll began that is under way.
    began: Option<Instant>,
    is_first: bool,
}

impl Polls {
    /// The first poll begins at `now`, if that is known.
    pub(in crate::server) fn first(now: Option<Instant>) -> Self {
        Self { began: now, is_first: true }
    }

    /// A poll begins.
    pub(in crate::server) fn begin(&mut self) {
        self.began.get_or_insert_with(clock::now);
    }

    /// The poll has ended, at `now`.
    pub(in crate::server) fn end(&mut self, now: Instant, entrance: &Entrance) {
        let Some(began) = self.began.take() else { return };
        let cost = now.saturating_duration_since(began);
        if std::mem::take(&mut self.is_first) { entrance.spend_first(cost) } else { entrance.spend(cost) }
    }
}

/// What admission is told of a request that does not get in the short way.
pub(crate) struct Entry {
    pub(crate) meta: Meta,
    /// It never waits and is never refused.
    pub(crate) bypasses: bool,
}
