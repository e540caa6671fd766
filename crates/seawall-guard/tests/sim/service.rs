//! A service of some slots with a hidden first-in-first-out queue, its clients, and admission in front of it.
//!
//! Discrete events in virtual time: nothing here waits, and a run is decided by its seed alone. Refusing costs
//! nothing, which is what distinguishes these runs from those on sockets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use seawall_core::{Class, Deadline, Outcome};
use seawall_guard::{Admission, Decision, Meta, Next, Priority, RetryBudget, Ticket, WorkPermit};

use crate::random::Random;

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Its share of the load.
    pub(crate) share: f64,
    pub(crate) priority: Priority,
    pub(crate) tenant: u64,
    /// Cohorts are drawn from 0 to this.
    pub(crate) cohorts: u8,
}

impl Default for Kind {
    fn default() -> Self {
        Self { share: 1.0, priority: Priority::Critical, tenant: 0, cohorts: 0 }
    }
}

/// What happens in a run.
pub(crate) struct Plan {
    pub(crate) slots: u32,
    /// Mean service time in seconds.
    pub(crate) service: f64,
    /// How long clients wait, in seconds.
    pub(crate) patience: f64,
    /// Whether they say so.
    pub(crate) tell: bool,
    /// Until when (s), which load (of capacity), how many times slower the service is.
    pub(crate) phases: Vec<(f64, f64, f64)>,
    pub(crate) kinds: Vec<Kind>,
    /// How often a client tries again.
    pub(crate) retries: u32,
    pub(crate) budget: Option<RetryBudget>,
}

impl Plan {
    /// 8 slots of 10 ms, and clients that wait for 250 ms.
    pub(crate) fn new(phases: &[(f64, f64, f64)]) -> Self {
        Self {
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

    fn phase(&self, now: f64) -> (f64, f64) {
        let &(_, load, slower) = self
            .phases
            .iter()
            .find(|(until, ..)| now < *until)
            .unwrap_or(&self.phases[self.phases.len() - 1]);
        (load, slower)
    }

    pub(crate) fn capacity(&self) -> f64 {
        f64::from(self.slots) / self.service
    }
}

/// What came of it, by second and kind.
#[derive(Debug, Default, Clone)]
pub(crate) struct Second {
    pub(crate) offered: Vec<u32>,
    pub(crate) good: Vec<u32>,
    pub(crate) late: u32,
    pub(crate) attempts: u32,
    pub(crate) latencies: Vec<f32>,
    /// Work that was begun, and how many seconds of a slot it took: what this second could really do.
    pub(crate) begun: u32,
    pub(crate) slot_seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Again(u32),
    Finish(u32),
    GiveUp { call: u32, attempt: u32 },
}

/// One call of a client, over all its attempts.
#[derive(Debug)]
struct Call {
    kind: usize,
    attempt: u32,
    settled: bool,
}

/// One attempt as the server sees it.
#[derive(Debug)]
struct Job {
    call: u32,
    attempt: u32,
    arrived: f64,
    ticket: Option<Ticket<u32>>,
    permit: Option<WorkPermit>,
}

pub(crate) struct Run<'a> {
    plan: &'a Plan,
    random: Random,
    start: Instant,
    now: f64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    admission: Option<Admission<u32>>,
    calls: Vec<Call>,
    jobs: Vec<Job>,
    free_jobs: Vec<u32>,
    busy: u32,
    hidden: VecDeque<u32>,
    seconds: Vec<Second>,
}

impl<'a> Run<'a> {
    /// Plays the whole plan.
    pub(crate) fn play(
        plan: &'a Plan,
        admission: Option<Admission<u32>>,
        start: Instant,
        seed: u64,
    ) -> Vec<Second> {
        let mut run = Self {
            plan,
            random: Random::new(seed),
            start,
            now: 0.0,
            events: BinaryHeap::new(),
            sequence: 0,
            admission,
            calls: Vec::new(),
            jobs: Vec::new(),
            free_jobs: Vec::new(),
            busy: 0,
            hidden: VecDeque::new(),
            seconds: Vec::new(),
        };
        let end = plan.phases[plan.phases.len() - 1].0;
        let kinds = plan.kinds.len();
        let second = Second { offered: vec![0; kinds], good: vec![0; kinds], ..Second::default() };
        run.seconds = vec![second; end.ceil() as usize];
        run.schedule(0.0, Event::Arrive);
        while let Some(Reverse((at, _, event))) = run.events.pop() {
            run.now = at as f64 / 1e9;
            if run.now >= end {
                break;
            }
            run.step(event);
        }
        run.seconds
    }

    fn schedule(&mut self, after: f64, event: Event) {
        self.sequence += 1;
        let at = ((self.now + after) * 1e9) as u64;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn instant(&self, at: f64) -> Instant {
        self.start + Duration::from_nanos((at * 1e9) as u64)
    }

    fn second(&mut self) -> &mut Second {
        &mut self.seconds[self.now as usize]
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Arrive => {
                let (load, _) = self.plan.phase(self.now);
                let mean = 1.0 / (load * self.plan.capacity());
                let after = self.random.exponential(mean);
                self.schedule(after, Event::Arrive);
                let kind = self.draw_kind();
                self.second().offered[kind] += 1;
                self.calls.push(Call { kind, attempt: 0, settled: false });
                if let Some(budget) = &self.plan.budget {
                    budget.note_call();
                }
                self.attempt(self.calls.len() as u32 - 1);
            }
            Event::Again(call) => self.attempt(call),
            Event::GiveUp { call, attempt } => {
                let state = &self.calls[call as usize];
                if !state.settled && state.attempt == attempt {
                    self.failed(call);
                }
            }
            Event::Finish(job) => self.finish(job),
        }
    }

    fn draw_kind(&mut self) -> usize {
        let total: f64 = self.plan.kinds.iter().map(|kind| kind.share).sum();
        let mut drawn = self.random.unit() * total;
        let found = self.plan.kinds.iter().position(|kind| {
            drawn -= kind.share;
            drawn <= 0.0
        });
        found.unwrap_or(self.plan.kinds.len() - 1)
    }

    fn attempt(&mut self, call: u32) {
        self.second().attempts += 1;
        let attempt = self.calls[call as usize].attempt;
        if self.plan.retries > 0 {
            self.schedule(self.plan.patience, Event::GiveUp { call, attempt });
        }
        let job = Job { call, attempt, arrived: self.now, ticket: None, permit: None };
        let id = match self.free_jobs.pop() {
            Some(id) => {
                self.jobs[id as usize] = job;
                id
            }
            None => {
                self.jobs.push(job);
                self.jobs.len() as u32 - 1
            }
        };
        self.arrive(id);
    }

    fn meta(&mut self, call: u32) -> Meta {
        let Kind { priority, tenant, cohorts, .. } = self.plan.kinds[self.calls[call as usize].kind];
        let cohort = (self.random.next() % (u64::from(cohorts) + 1)) as u8;
        let now = self.instant(self.now);
        let patience = Duration::from_secs_f64(self.plan.patience);
        let deadline = self.plan.tell.then(|| Deadline::after(now, patience));
        Meta { priority, tenant, cohort, deadline, ..Meta::new(now) }
    }

    fn arrive(&mut self, id: u32) {
        let Some(admission) = self.admission.clone() else {
            return self.begin(id);
        };
        let meta = self.meta(self.jobs[id as usize].call);
        match admission.admit(&meta, id, meta.arrived) {
            Decision::Start(permit, _) => {
                self.jobs[id as usize].permit = Some(permit);
                self.begin(id);
            }
            Decision::Queued(ticket) => self.jobs[id as usize].ticket = Some(ticket),
            Decision::Refused(..) => self.refused(id),
        }
        self.drive();
    }

    /// All that may start, starts; all that is too old, goes.
    fn drive(&mut self) {
        let Some(admission) = self.admission.clone() else { return };
        while let Some(next) = admission.next(self.instant(self.now)) {
            match next {
                Next::Start(permit, id) => {
                    self.jobs[id as usize].permit = Some(permit);
                    self.begin(id);
                }
                Next::Refuse(_, id) => self.refused(id),
            }
        }
    }

    fn begin(&mut self, id: u32) {
        if self.busy == self.plan.slots {
            return self.hidden.push_back(id);
        }
        self.busy += 1;
        let (_, slower) = self.plan.phase(self.now);
        let takes = self.random.service(self.plan.service * slower);
        let second = self.second();
        second.begun += 1;
        second.slot_seconds += takes;
        self.schedule(takes, Event::Finish(id));
    }

    fn finish(&mut self, id: u32) {
        self.busy -= 1;
        let Job { call, attempt, arrived, ref mut permit, .. } = self.jobs[id as usize];
        let permit = permit.take();
        let in_time = self.now - arrived <= self.plan.patience;
        if let Some(permit) = permit {
            let outcome = if in_time { Outcome::Success } else { Outcome::Failure(Class::Transient) };
            permit.finish(outcome, self.instant(self.now));
        }
        self.jobs[id as usize].ticket = None;
        self.free_jobs.push(id);
        let state = &mut self.calls[call as usize];
        let wanted = !state.settled && state.attempt == attempt && in_time;
        let (kind, latency) = (state.kind, (self.now - arrived) as f32);
        if wanted {
            state.settled = true;
            self.second().good[kind] += 1;
        } else {
            self.second().late += 1;
        }
        self.second().latencies.push(latency);
        if let Some(next) = self.hidden.pop_front() {
            self.begin(next);
        }
        self.drive();
    }

    fn refused(&mut self, id: u32) {
        let call = self.jobs[id as usize].call;
        self.jobs[id as usize].ticket = None;
        self.free_jobs.push(id);
        self.failed(call);
    }

    /// One attempt has failed: maybe another, later.
    fn failed(&mut self, call: u32) {
        let state = &mut self.calls[call as usize];
        let retry = state.attempt;
        state.attempt += 1;
        let paid = self.plan.budget.as_ref().is_none_or(|budget| budget.try_retry().is_ok());
        if retry >= self.plan.retries || !paid {
            state.settled = true;
            return;
        }
        let longest = (0.050 * f64::from(1u32 << retry)).min(1.0);
        let after = self.random.unit() * longest;
        self.schedule(after, Event::Again(call));
    }
}
