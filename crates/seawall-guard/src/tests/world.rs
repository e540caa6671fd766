//! Clients, workers and a service of some slots with a hidden first-in-first-out queue.
//!
//! Discrete events in virtual time: nothing here waits, and a run is decided by its seed alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use seawall_core::{Class, Deadline, Outcome};

use crate::{Admission, Meta, Ticket, WorkPermit};

use super::plan::{Kind, Plan};
use super::random::Random;
use super::worker::{Act, Desk, Worker};

/// What came of it, by second and kind.
#[derive(Debug, Default, Clone)]
pub(crate) struct Second {
    /// Tasks.
    pub(crate) offered: Vec<u32>,
    /// Calls that were answered in time.
    pub(crate) good: Vec<u32>,
    /// Tasks of which all calls were.
    pub(crate) done: Vec<u32>,
    pub(crate) late: u32,
    pub(crate) attempts: u32,
    pub(crate) refused: u32,
    pub(crate) latencies: Vec<f32>,
    /// Slots that were taken, and how many seconds of a slot it took: what this second could really do.
    pub(crate) begun: u32,
    pub(crate) slot_seconds: f64,
    /// The cursor of the first worker at the second's end, and its limit.
    pub(crate) cursor: u16,
    pub(crate) limit: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Again(u32),
    /// A worker has done what it did.
    Step(u32),
    /// A sleeping worker looks again, if it has not been woken since.
    Wake {
        worker: u32,
        sleep: u64,
    },
    /// A slot is done.
    Served(u32),
    GiveUp {
        call: u32,
        attempt: u32,
    },
    Note,
}

/// One call of a client, over all its attempts.
#[derive(Debug)]
struct Call {
    kind: usize,
    cohort: u8,
    /// Calls of its task that come after this one.
    more: u32,
    attempt: u32,
    settled: bool,
}

/// One attempt as the server sees it.
#[derive(Debug)]
struct Job {
    call: u32,
    attempt: u32,
    worker: u32,
    arrived: f64,
    ticket: Option<Ticket<u32>>,
    permit: Option<WorkPermit>,
}

pub(crate) struct World<'a> {
    clients: Clients<'a>,
    start: Instant,
    now: f64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    workers: Vec<Worker>,
    /// What each worker is doing.
    doing: Vec<Option<Act>>,
    busy_slots: u32,
    hidden: VecDeque<u32>,
    seconds: Vec<Second>,
}

/// The part of the world that a worker asks about whom it reads.
struct Clients<'a> {
    plan: &'a Plan,
    random: Random,
    calls: Vec<Call>,
    jobs: Vec<Job>,
    free_jobs: Vec<u32>,
}

impl Desk for Clients<'_> {
    fn meta(&mut self, id: u32, now: Instant) -> Meta {
        let call = &self.calls[self.jobs[id as usize].call as usize];
        let Kind { priority, tenant, .. } = self.plan.kinds[call.kind];
        // Counted from when it is read: what it lay in a socket before that is not known.
        let deadline =
            self.plan.tell.then(|| Deadline::after(now, Duration::from_secs_f64(self.plan.patience)));
        Meta { priority, tenant, cohort: call.cohort, deadline, ..Meta::new(now) }
    }
    fn started(&mut self, id: u32, permit: WorkPermit) {
        self.jobs[id as usize].permit = Some(permit);
    }
    fn queued(&mut self, id: u32, ticket: Ticket<u32>) {
        self.jobs[id as usize].ticket = Some(ticket);
    }
}

impl Clients<'_> {
    fn draw_kind(&mut self) -> usize {
        let total: f64 = self.plan.kinds.iter().map(|kind| kind.share).sum();
        let mut drawn = self.random.unit() * total;
        let found = self.plan.kinds.iter().position(|kind| {
            drawn -= kind.share;
            drawn <= 0.0
        });
        found.unwrap_or(self.plan.kinds.len() - 1)
    }

    fn new_job(&mut self, job: Job) -> u32 {
        match self.free_jobs.pop() {
            Some(id) => {
                self.jobs[id as usize] = job;
                id
            }
            None => {
                self.jobs.push(job);
                self.jobs.len() as u32 - 1
            }
        }
    }
}

impl<'a> World<'a> {
    /// Plays the whole plan. Each worker has the admission that `guard` makes for it.
    pub(crate) fn play(
        plan: &'a Plan,
        guard: impl Fn() -> Option<Admission<u32>>,
        reads_all: bool,
        start: Instant,
        seed: u64,
    ) -> Vec<Second> {
        let random = Random::new(seed);
        let (calls, jobs, free_jobs) = (Vec::new(), Vec::new(), Vec::new());
        let kinds = vec![0; plan.kinds.len()];
        let second = Second { offered: kinds.clone(), good: kinds.clone(), done: kinds, ..Second::default() };
        let mut world = Self {
            clients: Clients { plan, random, calls, jobs, free_jobs },
            start,
            now: 0.0,
            events: BinaryHeap::new(),
            sequence: 0,
            workers: (0..plan.workers).map(|_| Worker::new(guard(), reads_all)).collect(),
            doing: vec![None; plan.workers],
            busy_slots: 0,
            hidden: VecDeque::new(),
            seconds: vec![second; plan.end().ceil() as usize],
        };
        world.schedule(0.0, Event::Arrive);
        world.schedule(0.999, Event::Note);
        while let Some(Reverse((at, _, event))) = world.events.pop() {
            world.now = at as f64 / 1e9;
            if world.now >= plan.end() {
                break;
            }
            world.happen(event);
        }
        world.seconds
    }

    fn schedule(&mut self, after: f64, event: Event) {
        self.sequence += 1;
        let at = ((self.now + after) * 1e9) as u64;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_nanos((self.now * 1e9) as u64)
    }

    fn second(&mut self) -> &mut Second {
        &mut self.seconds[self.now as usize]
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Again(call) => self.attempt(call),
            Event::Step(worker) => self.step(worker as usize),
            Event::Wake { worker, sleep } => {
                if self.workers[worker as usize].sleeps == sleep {
                    self.wake(worker as usize);
                }
            }
            Event::Served(id) => self.served(id),
            Event::GiveUp { call, attempt } => {
                let state = &self.clients.calls[call as usize];
                if !state.settled && state.attempt == attempt {
                    self.failed(call);
                }
            }
            Event::Note => {
                self.schedule(1.0, Event::Note);
                if let Some(admission) = &self.workers[0].admission {
                    let facts = admission.facts();
                    let second = self.second();
                    (second.cursor, second.limit) = (facts.cursor, facts.limit);
                }
            }
        }
    }

    /// A task begins with its first call.
    fn arrive(&mut self) {
        let (load, _) = self.clients.plan.phase(self.now);
        let mean = 1.0 / self.clients.plan.tasks(load);
        let after = self.clients.random.exponential(mean);
        self.schedule(after, Event::Arrive);
        let kind = self.clients.draw_kind();
        let Kind { cohorts, calls, .. } = self.clients.plan.kinds[kind];
        let cohort = (self.clients.random.next() % (u64::from(cohorts) + 1)) as u8;
        self.second().offered[kind] += 1;
        self.call(kind, cohort, calls - 1);
    }

    fn call(&mut self, kind: usize, cohort: u8, more: u32) {
        self.clients.calls.push(Call { kind, cohort, more, attempt: 0, settled: false });
        if let Some(budget) = &self.clients.plan.budget {
            budget.note_call();
        }
        self.attempt(self.clients.calls.len() as u32 - 1);
    }

    fn attempt(&mut self, call: u32) {
        self.second().attempts += 1;
        let attempt = self.clients.calls[call as usize].attempt;
        if self.clients.plan.retries > 0 {
            self.schedule(self.clients.plan.patience, Event::GiveUp { call, attempt });
        }
        let worker = (self.clients.random.next() % self.workers.len() as u64) as u32;
        let job = Job { call, attempt, worker, arrived: self.now, ticket: None, permit: None };
        let id = self.clients.new_job(job);
        self.workers[worker as usize].sockets.push_back(id);
        self.wake(worker as usize);
    }

    fn wake(&mut self, worker: usize) {
        if self.workers[worker].asleep {
            self.workers[worker].asleep = false;
            self.schedule(0.0, Event::Step(worker as u32));
        }
    }

    /// A worker ends what it did and begins with what is next.
    fn step(&mut self, worker: usize) {
        match self.doing[worker].take() {
            Some(Act::Refused { id, .. }) => self.refused(id),
            Some(Act::Begin { id, .. }) if self.clients.plan.slots > 0 => self.take_slot(id),
            Some(Act::Begin { id, .. } | Act::GoOn { id, .. }) => self.finish(id),
            Some(Act::Queued { .. } | Act::Sleep(_)) | None => {}
        }
        let (now, seconds) = (self.instant(), self.now);
        let Plan { costs, slice, .. } = self.clients.plan;
        let act = self.workers[worker].act(&mut self.clients, costs, *slice, now, seconds);
        self.doing[worker] = Some(act);
        match act {
            Act::Queued { takes, .. }
            | Act::Refused { takes, .. }
            | Act::Begin { takes, .. }
            | Act::GoOn { takes, .. } => self.schedule(takes, Event::Step(worker as u32)),
            Act::Sleep(until) => {
                self.workers[worker].asleep = true;
                self.workers[worker].sleeps += 1;
                if let Some(until) = until {
                    // A runtime's timer counts in milliseconds.
                    let after = until.saturating_duration_since(now).as_secs_f64() + 1e-3;
                    let wake = Event::Wake { worker: worker as u32, sleep: self.workers[worker].sleeps };
                    self.schedule(after, wake);
                }
            }
        }
    }

    fn take_slot(&mut self, id: u32) {
        if self.busy_slots == self.clients.plan.slots {
            return self.hidden.push_back(id);
        }
        self.busy_slots += 1;
        let (_, slower) = self.clients.plan.phase(self.now);
        let takes = self.clients.random.service(self.clients.plan.service * slower);
        let second = self.second();
        second.begun += 1;
        second.slot_seconds += takes;
        self.schedule(takes, Event::Served(id));
    }

    fn served(&mut self, id: u32) {
        self.busy_slots -= 1;
        if let Some(next) = self.hidden.pop_front() {
            self.take_slot(next);
        }
        let worker = self.clients.jobs[id as usize].worker as usize;
        self.workers[worker].resumed.push_back(id);
        self.wake(worker);
    }

    fn finish(&mut self, id: u32) {
        let now = self.instant();
        let Clients { plan, calls, jobs, free_jobs, .. } = &mut self.clients;
        let Job { call, attempt, arrived, ref mut permit, ref mut ticket, .. } = jobs[id as usize];
        let in_time = self.now - arrived <= plan.patience;
        let outcome = if in_time { Outcome::Success } else { Outcome::Failure(Class::Transient) };
        if let Some(permit) = permit.take() {
            permit.finish(outcome, now);
        }
        *ticket = None;
        free_jobs.push(id);
        let state = &mut calls[call as usize];
        let wanted = !state.settled && state.attempt == attempt && in_time;
        state.settled |= wanted;
        let Call { kind, cohort, more, .. } = *state;
        let latency = (self.now - arrived) as f32;
        let second = self.second();
        second.latencies.push(latency);
        if !wanted {
            second.late += 1;
            return;
        }
        second.good[kind] += 1;
        match more {
            0 => second.done[kind] += 1,
            more => self.call(kind, cohort, more - 1),
        }
    }

    fn refused(&mut self, id: u32) {
        self.second().refused += 1;
        let call = self.clients.jobs[id as usize].call;
        self.clients.jobs[id as usize].ticket = None;
        self.clients.free_jobs.push(id);
        self.failed(call);
    }

    /// One attempt has failed: maybe another, later.
    fn failed(&mut self, call: u32) {
        let Clients { plan, calls, random, .. } = &mut self.clients;
        let state = &mut calls[call as usize];
        let retry = state.attempt;
        state.attempt += 1;
        let paid = || plan.budget.as_ref().is_none_or(|budget| budget.try_retry().is_ok());
        if retry >= plan.retries || !paid() {
            state.settled = true;
            return;
        }
        let longest = (0.050 * f64::from(1u32 << retry)).min(1.0);
        let after = random.unit() * longest;
        self.schedule(after, Event::Again(call));
    }
}
