//! One worker whose handlers never yield: the case in which a limit on what is in flight does nothing.
//!
//! While a handler works nothing is read: what arrives lies in the sockets, and its stamp is the time at which it is
//! read. Refusing costs time too, so what can be done at k times the capacity is `(1 - k r) / (1 - r)`, with r the cost
//! of a refusal over that of a request.

use std::ops::RangeInclusive;

use super::figures::{goodput, quantile};
use super::plan::Plan;
use super::{FEW_SEEDS, Guard, SEEDS};

/// Goodput and 99th percentile in ms, after the first second.
fn play(name: &str, guard: &Guard, load: f64, seeds: RangeInclusive<u64>) -> (f64, f64) {
    let plan = Plan::busy(load, 5.0);
    let runs = seeds.map(|seed| {
        let seconds = guard.play(&plan, seed);
        (goodput(&plan, &seconds[1..]), quantile(&seconds[1..], 0.99))
    });
    let worst = runs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
    println!("{name:<34} goodput {:.3}, p99 {:.1} ms, ceiling {:.3}", worst.0, worst.1, ceiling(&plan, load));
    worst
}

/// What the cost of refusals leaves.
fn ceiling(plan: &Plan, load: f64) -> f64 {
    let share = plan.costs.refuse / plan.costs.before;
    (1.0 - load * share) / (1.0 - share)
}

#[track_caller]
fn check(load: f64, of_the_ceiling: f64) {
    let (goodput, p99) = play(&format!("busy worker at {load}x"), &Guard::default_values(), load, SEEDS);
    let least = of_the_ceiling * ceiling(&Plan::busy(load, 5.0), load);
    assert!(goodput >= least && p99 <= 20.0, "{goodput} of {least}, {p99} ms");
}

#[test]
fn a_busy_worker_keeps_its_goodput_at_twice_its_capacity() {
    check(2.0, 0.98);
}
#[test]
fn a_busy_worker_keeps_its_goodput_at_ten_times_its_capacity() {
    check(10.0, 0.98);
}
#[test]
fn a_busy_worker_keeps_its_goodput_at_thirty_times_its_capacity() {
    check(30.0, 0.90);
}
#[test]
fn a_busy_worker_keeps_its_goodput_at_fifty_times_its_capacity() {
    check(50.0, 0.90);
}

#[test]
fn at_nearly_its_capacity_a_busy_worker_refuses_hardly_anybody() {
    let plan = Plan::busy(0.95, 20.0);
    for seed in SEEDS {
        let seconds = Guard::default_values().play(&plan, seed);
        let refused: u32 = seconds.iter().map(|second| second.refused).sum();
        let attempts: u32 = seconds.iter().map(|second| second.attempts).sum();
        assert!(f64::from(refused) <= 0.01 * f64::from(attempts), "{refused} of {attempts}, seed {seed}");
    }
}

#[test]
fn without_admission_a_busy_worker_serves_only_those_who_have_gone() {
    let (goodput, p99) = play("busy worker at 2x, plain", &Guard::NONE, 2.0, FEW_SEEDS);
    assert!(goodput < 0.10 && p99 > 1_000.0, "{goodput} {p99}");
}

/// The same machine, fed one request at a time: what waits is out of its sight, in the sockets.
#[test]
fn a_worker_that_does_not_read_first_serves_only_those_who_have_gone() {
    let guard = Guard { reads_all: false, ..Guard::default_values() };
    let (goodput, _) = play("busy worker at 2x, one phase", &guard, 2.0, FEW_SEEDS);
    assert!(goodput < 0.30, "{goodput}");
}
