//! Metastability: three seconds of overload, clients that try again, and whether it ever ends.

use std::ops::RangeInclusive;

use super::figures::{good, offered, sum};
use super::plan::Plan;
use super::{FEW_SEEDS, Guard, SEEDS};
use crate::{Algorithm, RetryBudget, RetryBudgetConfig};

/// Base load 0.8, 2.5 times the capacity from second 5 to 8, three retries.
fn storm(budget: bool) -> Plan {
    let mut plan = Plan::new(&[(5.0, 0.8, 1.0), (8.0, 2.5, 1.0), (25.0, 0.8, 1.0)]);
    plan.retries = 3;
    plan.budget = budget.then(|| RetryBudget::new(&RetryBudgetConfig::default()).unwrap());
    plan
}

/// Success from two seconds after the trigger on, and the most attempts per call in any second.
fn play(name: &str, guard: &Guard, budget: bool, seeds: RangeInclusive<u64>) -> (f64, f64) {
    let worst = seeds.map(|seed| {
        let seconds = guard.play(&storm(budget), seed);
        let after = &seconds[10..24];
        let success = sum(after, good) / sum(after, offered);
        let attempts = seconds[1..24].iter().map(|s| f64::from(s.attempts) / offered(s));
        (success, attempts.fold(0.0, f64::max))
    });
    let worst = worst.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
    println!("{name:<34} success {:.3}, attempts per call {:.2}", worst.0, worst.1);
    worst
}

#[test]
fn with_admission_and_budget_a_storm_is_over_in_two_seconds() {
    let (success, attempts) = play("storm", &Guard::default_values(), true, SEEDS);
    assert!(success >= 0.97 && attempts <= 1.15, "{success} {attempts}");
}

#[test]
fn so_it_is_with_a_limit_that_is_far_too_high() {
    let (success, attempts) = play("storm, limit 256", &Guard::limited(Algorithm::Fixed, 256), true, SEEDS);
    assert!(success >= 0.97 && attempts <= 1.15, "{success} {attempts}");
}

#[test]
fn without_admission_it_never_ends() {
    let (success, attempts) = play("storm, no guard", &Guard::NONE, false, FEW_SEEDS);
    assert!(success < 0.10 && attempts > 3.0, "{success} {attempts}");
}

#[test]
fn without_a_budget_each_call_is_many() {
    let (_, attempts) = play("storm, no budget", &Guard::default_values(), false, FEW_SEEDS);
    assert!(attempts > 1.5, "{attempts}");
}
