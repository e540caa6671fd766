//! One worker, as the server has one per core: it does one thing at a time, and each takes its time.
//!
//! First it reads what has arrived and offers it, then it works for a time slice: handlers that have waited go on
//! before new ones start, and new ones come from admission. While a handler works nothing is read. Without admission
//! it is a plain runtime: whatever is ready first runs first.

use std::collections::VecDeque;
use std::time::Instant;

use crate::{Admission, Meta, Next};

use super::plan::Costs;

/// What a worker does next, in so many seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// It has read somebody, who waits now.
    Queued { takes: f64 },
    /// It tells somebody no.
    Refused { id: u32, takes: f64 },
    /// It begins with a handler.
    Begin { id: u32, takes: f64 },
    /// It goes on with a handler that has waited.
    GoOn { id: u32, takes: f64 },
    /// It sleeps until something arrives, or until this.
    Sleep(Option<Instant>),
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) admission: Option<Admission<u32>>,
    /// What has arrived in its sockets.
    pub(crate) sockets: VecDeque<u32>,
    /// Handlers that have waited and may go on.
    pub(crate) resumed: VecDeque<u32>,
    pub(crate) asleep: bool,
    /// How often it went to sleep.
    pub(crate) sleeps: u64,
    /// Until when it works before it reads again; nothing while it reads.
    slice_ends: Option<f64>,
    /// How the two phases are kept apart: read all, or one and work at once.
    pub(crate) reads_all: bool,
}

/// What the worker finds out about whom it reads.
pub(crate) trait Desk {
    fn meta(&mut self, id: u32, now: Instant) -> Meta;
    fn started(&mut self, id: u32, permit: crate::WorkPermit);
    fn queued(&mut self, id: u32, ticket: crate::Ticket<u32>);
}

impl Worker {
    pub(crate) fn new(admission: Option<Admission<u32>>, reads_all: bool) -> Self {
        let (sockets, resumed) = (VecDeque::new(), VecDeque::new());
        Self { admission, sockets, resumed, asleep: true, sleeps: 0, slice_ends: None, reads_all }
    }

    /// Chooses what to do at `now`, `seconds` from the start.
    pub(crate) fn act(
        &mut self,
        desk: &mut impl Desk,
        costs: &Costs,
        slice: f64,
        now: Instant,
        seconds: f64,
    ) -> Act {
        let Some(admission) = self.admission.clone() else { return self.plain(costs) };
        if self.slice_ends.is_some_and(|ends| seconds >= ends) {
            self.slice_ends = None;
        }
        if self.slice_ends.is_none() {
            if let Some(id) = self.sockets.pop_front() {
                let meta = desk.meta(id, now);
                let offered = admission.offer(&meta, id, now);
                if !self.reads_all {
                    self.slice_ends = Some(seconds + slice);
                }
                return match offered {
                    Ok(ticket) => {
                        desk.queued(id, ticket);
                        Act::Queued { takes: costs.read }
                    }
                    Err(_) => Act::Refused { id, takes: costs.read + costs.refuse },
                };
            }
            self.slice_ends = Some(seconds + slice);
        }
        if let Some(id) = self.resumed.pop_front() {
            return Act::GoOn { id, takes: costs.after };
        }
        match admission.next(now) {
            Some(Next::Start(permit, id)) => {
                desk.started(id, permit);
                Act::Begin { id, takes: costs.before }
            }
            Some(Next::Refuse(_, id)) => Act::Refused { id, takes: costs.refuse },
            None => {
                self.slice_ends = None;
                if self.sockets.is_empty() {
                    return Act::Sleep(admission.look_again());
                }
                self.act(desk, costs, slice, now, seconds)
            }
        }
    }

    fn plain(&mut self, costs: &Costs) -> Act {
        if let Some(id) = self.resumed.pop_front() {
            return Act::GoOn { id, takes: costs.after };
        }
        match self.sockets.pop_front() {
            Some(id) => Act::Begin { id, takes: costs.read + costs.before },
            None => Act::Sleep(None),
        }
    }
}
