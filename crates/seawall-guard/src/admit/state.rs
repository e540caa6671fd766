//! What admission decides from, behind one lock: the queue, the limit, the state of overload, the cursor.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use seawall_core::{ConfigError, Deadline, Outcome};

use super::config::AdmissionConfig;
use super::cursor::Cursor;
use super::meta::Meta;
use super::overload::Overload;
use super::queue::{Queue, Waiting};
use crate::Rejected;
use crate::limit::{Limiter, Sample};
use crate::parts::{Part, is_there};

/// What admission looks like at one moment, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdmissionFacts {
    /// Started and not ended.
    pub in_flight: u32,
    /// How many may be in flight.
    pub limit: u32,
    /// What the Little cap allows; `u32::MAX` while it does not bind.
    pub little_cap: u32,
    /// Latency without queueing, once known.
    pub base: Option<Duration>,
    /// How often the limit was lowered to measure that.
    pub probes: u64,
    /// Waiting requests.
    pub queued: u32,
    /// The longest that anybody should wait at this moment.
    pub max_queue_wait: Duration,
    /// There is an overload.
    pub overloaded: bool,
    /// The last level that is admitted, 0 to 511: 128 times the class plus the cohort.
    pub cursor: u16,
}

#[derive(Debug)]
pub(super) struct State<T> {
    config: AdmissionConfig,
    pub(super) queue: Queue<T>,
    /// Turned away from the queue, still to be told.
    shed: VecDeque<(T, Rejected)>,
    limiter: Limiter,
    overload: Overload,
    cursor: Cursor,
    in_flight: u32,
    /// Mean service time; nothing before the first window.
    service: Option<Duration>,
    /// How long callers wait, on average.
    allowed: Duration,
    /// The longest that anybody should wait now, and the time that an answer needs. Found when what they are made of
    /// changes, once per window, not at each arrival.
    max_queue_wait: Duration,
    needed: Duration,
}

/// Waiting times beyond this many service times are of no use to anybody.
const SERVICE_TIMES: u32 = 10;
/// Nor below this for each tenant that stands in it: one with nothing in the queue loses its turns.
const PLACES_OF_A_TENANT: u32 = 6;
/// The queue is never bounded by time below this length: a mean says little about so few.
const SHORTEST_QUEUE: u32 = 4;

impl<T> State<T> {
    pub(super) fn new(config: &AdmissionConfig, start: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut state = Self {
            queue: Queue::new(config.max_tenants),
            shed: VecDeque::new(),
            limiter: Limiter::new(&config.limit, start)?,
            overload: Overload::new(config.grace),
            cursor: Cursor::new(start),
            in_flight: 0,
            service: None,
            allowed: config.deadline,
            max_queue_wait: Duration::ZERO,
            needed: Duration::ZERO,
            config: config.clone(),
        };
        state.settle();
        Ok(state)
    }

    /// Finds anew what follows from the last window and the configuration.
    fn settle(&mut self) {
        let wanted = self.service.map_or(self.config.grace, |service| service * SERVICE_TIMES);
        self.max_queue_wait = wanted.max(self.config.min_wait).min(self.allowed / 4);
        // The latency without queueing, never more than a quarter of what callers allow.
        self.needed = self.limiter.base().unwrap_or(Duration::ZERO).min(self.allowed / 4);
    }

    pub(super) fn facts(&self) -> AdmissionFacts {
        AdmissionFacts {
            in_flight: self.in_flight,
            limit: self.limiter.limit(),
            little_cap: self.limiter.little_cap(),
            base: self.limiter.base(),
            probes: self.limiter.probes(),
            queued: self.queue.len(),
            max_queue_wait: self.max_queue_wait,
            overloaded: self.overload.overloaded(),
            cursor: self.cursor.last(),
        }
    }

    /// The earlier of the caller's own deadline and the configured one.
    pub(super) fn deadline(&self, meta: &Meta) -> Deadline {
        let ours = Deadline::after(meta.arrived, self.config.deadline);
        meta.deadline.map_or(ours, |theirs| theirs.min(ours))
    }

    /// How many may stand in the queue.
    fn longest_queue(&self) -> u32 {
        let Some(service) = self.service else { return self.config.max_queued };
        let target = self.max_queue_wait;
        let span = if self.overload.overloaded() {
            target / 2
        } else {
            target.max(self.config.grace.min(self.allowed / 4))
        };
        let per_entry = service.as_secs_f64() / f64::from(self.limiter.limit());
        let served_within = (span.as_secs_f64() / per_entry.max(1e-9)) as u32;
        let tenants = self.queue.open_lanes();
        let shortest = if tenants > 1 { tenants * PLACES_OF_A_TENANT } else { SHORTEST_QUEUE };
        served_within.max(shortest).min(self.config.max_queued)
    }

    /// The state of overload and the cursor, brought up to `now`.
    fn observe(&mut self, now: Instant) {
        match self.queue.oldest() {
            None => self.overload.observe(None, Duration::ZERO, now), // which is all the same then
            Some((_, oldest)) => {
                let waited = now.saturating_duration_since(oldest.meta.arrived);
                self.overload.observe(Some(waited), self.max_queue_wait, now);
            }
        }
        self.cursor.observe(self.overload.overloaded(), now);
    }

    /// Whether this arrival may be queued or started at all.
    pub(super) fn judge(&mut self, meta: &Meta, deadline: Deadline, now: Instant) -> Result<(), Rejected> {
        self.observe(now);
        let important = self.cursor.admits(meta);
        if self.too_near(deadline, now) {
            return Err(Rejected::DeadlineExceeded);
        }
        if important || !is_there(Part::Cursor) { Ok(()) } else { Err(Rejected::LowPriority) }
    }

    /// Takes back a judgement that another one follows.
    pub(super) fn forget(&mut self, meta: &Meta) {
        self.cursor.forget(meta);
    }

    /// Whether an answer could not be there before its deadline. With nothing in flight everybody may try: else a base
    /// that was measured in bad times would keep all away for ever, and nothing would be measured again.
    fn too_near(&self, deadline: Deadline, now: Instant) -> bool {
        let left = deadline.remaining(now);
        left.is_zero() || self.in_flight > 0 && left < self.needed
    }

    /// Puts it into the queue, in the place of a lesser one if there is no other.
    pub(super) fn enqueue(&mut self, waiting: Waiting<T>) -> Result<(u32, u32), (Waiting<T>, Rejected)> {
        if self.queue.len() >= self.longest_queue() {
            self.overload.full();
            let told = self.shed.len() < self.config.max_queued as usize;
            let victim = if told { self.queue.victim(&waiting.meta, true) } else { None };
            match victim.and_then(|at| self.queue.remove(at)) {
                Some(victim) => self.shed.push_back((victim.work, Rejected::QueueFull)),
                None => return Err((waiting, Rejected::QueueFull)),
            }
        }
        Ok(self.queue.push(waiting))
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limiter.limit()
    }

    pub(super) fn start(&mut self) {
        self.in_flight += 1;
        self.cursor.note_start();
    }

    /// Somebody to turn away: shed by a newcomer, or too old.
    pub(super) fn refuse(&mut self, now: Instant) -> Option<(T, Rejected)> {
        if let Some(told) = self.shed.pop_front() {
            return Some(told);
        }
        self.observe(now);
        let (at, oldest) = self.queue.oldest()?;
        let waited = now.saturating_duration_since(oldest.meta.arrived);
        let why = if self.too_near(oldest.deadline, now) {
            Rejected::DeadlineExceeded
        } else if is_there(Part::Staleness) && self.overload.overloaded() && waited > self.max_queue_wait {
            Rejected::WaitedTooLong
        } else {
            return None;
        };
        let refused = self.queue.remove(at)?;
        Some((refused.work, why))
    }

    /// The next to start, if the limit allows it; or, if its deadline is too near by now, to turn away.
    pub(super) fn take(&mut self, now: Instant) -> Option<Result<Waiting<T>, (T, Rejected)>> {
        if self.queue.len() == 0 {
            return None;
        }
        if !self.has_room() {
            // A moment's wait is no reason to probe: see there.
            let waited = self.queue.oldest().map(|(_, it)| now.saturating_duration_since(it.meta.arrived));
            if self.overload.overloaded() || waited > Some(self.max_queue_wait / 2) {
                self.limiter.note_waiting();
            }
            return None;
        }
        let newest_first = self.overload.overloaded() && is_there(Part::NewestFirst);
        let waiting = self.queue.pop(newest_first)?;
        if self.too_near(waiting.deadline, now) {
            return Some(Err((waiting.work, Rejected::DeadlineExceeded)));
        }
        self.start();
        Some(Ok(waiting))
    }

    /// When the oldest entry will have to be looked at again.
    pub(super) fn look_again(&self) -> Option<Instant> {
        let (_, oldest) = self.queue.oldest()?;
        let stale = oldest.meta.arrived + self.max_queue_wait + Duration::from_nanos(1);
        let stale = self.overload.matters_at(stale);
        let last = oldest.deadline.instant();
        let last = last.checked_sub(self.needed).unwrap_or(last);
        if !self.shed.is_empty() {
            return Some(oldest.meta.arrived);
        }
        Some(stale.min(last))
    }

    pub(super) fn ended(&mut self, started: Instant, allowed: Duration, end: Option<(Outcome, Instant)>) {
        if let Some((outcome, now)) = end {
            self.learn(started, allowed, outcome, now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn learn(&mut self, started: Instant, allowed: Duration, outcome: Outcome, now: Instant) {
        use seawall_core::Class;
        let dropped = match outcome {
            Outcome::Success | Outcome::Failure(Class::Permanent) => false,
            Outcome::Failure(Class::Transient) => true,
            Outcome::Overloaded => return self.limiter.note_drop(),
            Outcome::Failure(Class::System) | Outcome::Cancelled => return,
        };
        let latency = now.saturating_duration_since(started);
        let sample = Sample { now, latency, in_flight: self.in_flight, allowed, dropped };
        if self.limiter.sample(&sample) {
            let window = self.limiter.last_window();
            self.allowed = window.map_or(self.allowed, |window| window.allowed);
            self.service = window.map(|window| window.mean);
            self.settle();
        }
    }

    /// Takes over new values; what is queued, in flight and known stays.
    pub(super) fn reconfigure(&mut self, config: &AdmissionConfig, now: Instant) -> Result<(), ConfigError> {
        config.check()?;
        if config.limit != self.config.limit {
            self.limiter = Limiter::new(&config.limit, now)?;
        }
        self.overload.set_grace(config.grace);
        self.queue.set_max_lanes(config.max_tenants);
        self.config = config.clone();
        self.settle();
        Ok(())
    }
}
