//! One worker whose handlers never yield: the case in which a limit on what is in flight does nothing.
//!
//! The worker reads what has arrived, each for a few microseconds, and then works for a time slice. While a handler
//! runs nothing is read: what arrives lies in the sockets. Refusing costs time too, so what can be done at k times the
//! capacity is `(1 - k r) / (1 - r)`, with r the cost of a refusal over that of a request.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use seawall_core::{Class, Outcome};
use seawall_guard::{Admission, AdmissionConfig, Meta, Next};

use crate::random::Random;
use crate::{FEW_SEEDS, SEEDS, time_zero};

/// 1 ms of work, 7 us for each refusal, answers count within 100 ms. In microseconds.
const WORK: u64 = 1_000;
const REFUSAL: u64 = 7;
const PATIENCE: u64 = 100_000;
const SECONDS: u64 = 4;
/// Latencies count from here on: before it, the grace for bursts passes.
const SETTLED: u64 = 1_000_000;

/// A request arrives with its time; it is read, and later worked on.
struct Worker {
    random: Random,
    mean_gap: f64,
    now: u64,
    next_arrival: u64,
    sockets: VecDeque<u64>,
    good: u64,
    refused: u64,
    latencies: Vec<u64>,
}

impl Worker {
    fn new(load: f64, seed: u64) -> Self {
        let mean_gap = WORK as f64 / load;
        Self {
            random: Random::new(seed),
            mean_gap,
            now: 0,
            next_arrival: 0,
            sockets: VecDeque::new(),
            good: 0,
            refused: 0,
            latencies: Vec::new(),
        }
    }

    /// Time passes, and requests arrive meanwhile.
    fn pass(&mut self, micros: u64) {
        self.now += micros;
        while self.next_arrival <= self.now {
            self.sockets.push_back(self.next_arrival);
            self.next_arrival += self.random.exponential(self.mean_gap).max(1.0) as u64;
        }
    }

    fn idle(&mut self) {
        let until = self.next_arrival.max(self.now + 1) - self.now;
        self.pass(until);
    }

    fn work_on(&mut self, arrived: u64) -> bool {
        self.pass(WORK);
        let latency = self.now - arrived;
        if self.now > SETTLED {
            self.latencies.push(latency);
        }
        let in_time = latency <= PATIENCE;
        self.good += u64::from(in_time);
        in_time
    }

    /// Goodput as a share of what the worker could do if it did nothing else, and the 99th percentile in ms.
    fn figures(mut self) -> (f64, f64) {
        self.latencies.sort_unstable();
        let p99 = self.latencies[self.latencies.len() * 99 / 100] as f64 / 1e3;
        (self.good as f64 * WORK as f64 / self.now as f64, p99)
    }
}

/// First in, first out, as a runtime does it.
fn plain(load: f64, seed: u64) -> (f64, f64) {
    let mut worker = Worker::new(load, seed);
    while worker.now < SECONDS * 1_000_000 {
        match worker.sockets.pop_front() {
            Some(arrived) => drop(worker.work_on(arrived)),
            None => worker.idle(),
        }
    }
    worker.figures()
}

/// The two phases: read all, then work, one request at a time.
fn two_phases(load: f64, seed: u64) -> (f64, f64) {
    let start = time_zero();
    let at = |micros: u64| start + Duration::from_micros(micros);
    let admission = Admission::new(&AdmissionConfig::default(), None, start).unwrap();
    let mut worker = Worker::new(load, seed);
    let mut tickets = VecDeque::new();
    while worker.now < SECONDS * 1_000_000 {
        while let Some(arrived) = worker.sockets.pop_front() {
            match admission.offer(&Meta::new(at(arrived)), arrived, at(worker.now)) {
                Ok(ticket) => tickets.push_back(ticket),
                Err(_) => {
                    worker.refused += 1;
                    worker.pass(REFUSAL);
                }
            }
        }
        match admission.next(at(worker.now)) {
            Some(Next::Start(permit, arrived)) => {
                let in_time = worker.work_on(arrived);
                let outcome = if in_time { Outcome::Success } else { Outcome::Failure(Class::Transient) };
                permit.finish(outcome, at(worker.now));
            }
            Some(Next::Refuse(..)) => {
                worker.refused += 1;
                worker.pass(REFUSAL);
            }
            None => worker.idle(),
        }
        // Clients hold on for as long as they are patient; far more tickets than can wait are of those served.
        while tickets.len() > 2_048 {
            tickets.pop_front();
        }
    }
    worker.figures()
}

fn check(load: f64, seeds: RangeInclusive<u64>, goodput: f64, p99_ms: f64) {
    let runs = seeds.map(|seed| two_phases(load, seed));
    let worst = runs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
    println!("worker at {load}x: goodput {:.3}, p99 {:.1} ms", worst.0, worst.1);
    assert!(worst.0 >= goodput && worst.1 <= p99_ms, "{worst:?}");
}

/// What the cost of refusals leaves: `(1 - k r) / (1 - r)`.
fn ceiling(load: f64) -> f64 {
    let share = REFUSAL as f64 / WORK as f64;
    (1.0 - load * share) / (1.0 - share)
}

#[test]
fn a_busy_worker_keeps_its_goodput_at_twice_its_capacity() {
    check(2.0, SEEDS, 0.98 * ceiling(2.0), 20.0);
}
#[test]
fn a_busy_worker_keeps_its_goodput_at_ten_times_its_capacity() {
    check(10.0, SEEDS, 0.98 * ceiling(10.0), 20.0);
}
#[test]
fn a_busy_worker_keeps_its_goodput_at_thirty_times_its_capacity() {
    check(30.0, FEW_SEEDS, 0.90 * ceiling(30.0), 20.0);
}
#[test]
fn a_busy_worker_keeps_its_goodput_at_fifty_times_its_capacity() {
    check(50.0, FEW_SEEDS, 0.90 * ceiling(50.0), 20.0);
}

#[test]
fn without_admission_a_busy_worker_serves_only_those_who_have_gone() {
    for seed in FEW_SEEDS {
        let (goodput, p99) = plain(2.0, seed);
        println!("worker at 2x, plain: goodput {goodput:.3}, p99 {p99:.0} ms");
        assert!(goodput < 0.10 && p99 > 1_000.0, "{goodput} {p99}");
    }
}
