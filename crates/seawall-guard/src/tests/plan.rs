//! What happens in a run: the service, its clients, and the load over time.

use crate::{Priority, RetryBudget};

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Its share of the load.
    pub(crate) share: f64,
    pub(crate) priority: Priority,
    pub(crate) tenant: u64,
    /// Cohorts are drawn from 0 to this, one for each task.
    pub(crate) cohorts: u8,
    /// Calls of one task, one after the other; a task is done when all of them have succeeded.
    pub(crate) calls: u32,
}

impl Default for Kind {
    fn default() -> Self {
        Self { share: 1.0, priority: Priority::Critical, tenant: 0, cohorts: 0, calls: 1 }
    }
}

/// What a worker's own doings cost, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    /// Reading one request.
    pub(crate) read: f64,
    /// Telling one client no.
    pub(crate) refuse: f64,
    /// Work of a handler before it waits, or all of it.
    pub(crate) before: f64,
    /// Work of a handler that has waited.
    pub(crate) after: f64,
}

/// What happens in a run. Times are in seconds.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) costs: Costs,
    /// How long a worker works before it reads again.
    pub(crate) slice: f64,
    /// How many can be served at once behind the workers; 0 if handlers never wait.
    pub(crate) slots: u32,
    /// Mean service time of a slot.
    pub(crate) service: f64,
    /// How long clients wait.
    pub(crate) patience: f64,
    /// Whether they say so.
    pub(crate) tell: bool,
    /// Until when, which load (of capacity), how many times slower the slots are.
    pub(crate) phases: Vec<(f64, f64, f64)>,
    pub(crate) kinds: Vec<Kind>,
    /// How often a client tries again.
    pub(crate) retries: u32,
    pub(crate) budget: Option<RetryBudget>,
}

impl Plan {
    /// Two workers in front of 8 slots of 10 ms, and clients that wait for 250 ms. The workers' own work is a few
    /// microseconds a request.
    pub(crate) fn new(phases: &[(f64, f64, f64)]) -> Self {
        Self {
            workers: 2,
            costs: Costs { read: 2e-6, refuse: 5e-6, before: 10e-6, after: 10e-6 },
            slice: 1e-3,
            slots: 8,
            service: 0.010,
            patience: 0.250,
            tell: true,
            phases: phases.to_vec(),
            kinds: vec![Kind::default()],
            retries: 0,
            budget: None,
        }
    }

    /// One worker whose handlers work for 1 ms and never wait. A refusal costs 7 us with all that belongs to it;
    /// clients wait for 100 ms and do not say so.
    pub(crate) fn busy(load: f64, seconds: f64) -> Self {
        Self {
            workers: 1,
            costs: Costs { read: 0.0, refuse: 7e-6, before: 1e-3, after: 0.0 },
            slots: 0,
            patience: 0.100,
            tell: false,
            ..Self::new(&[(seconds, load, 1.0)])
        }
    }

    pub(crate) fn phase(&self, now: f64) -> (f64, f64) {
        let found = self.phases.iter().find(|(until, ..)| now < *until);
        let &(_, load, slower) = found.unwrap_or(&self.phases[self.phases.len() - 1]);
        (load, slower)
    }

    pub(crate) fn end(&self) -> f64 {
        self.phases[self.phases.len() - 1].0
    }

    /// Requests a second that can be served.
    pub(crate) fn capacity(&self) -> f64 {
        if self.slots > 0 {
            f64::from(self.slots) / self.service
        } else {
            self.workers as f64 / self.costs.before
        }
    }

    /// Tasks that arrive in a second, on average.
    pub(crate) fn tasks(&self, load: f64) -> f64 {
        let total: f64 = self.kinds.iter().map(|kind| kind.share).sum();
        let calls: f64 = self.kinds.iter().map(|kind| kind.share * f64::from(kind.calls)).sum();
        load * self.capacity() * total / calls
    }
}
