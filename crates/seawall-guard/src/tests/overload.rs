//! Spikes, a lasting overload, a brownout, and normal load, on 8 slots of 10 ms behind two workers.

use std::ops::{Range, RangeInclusive};

use super::figures::{Figures, quantile};
use super::plan::Plan;
use super::{FEW_SEEDS, Guard, SEEDS};
use crate::parts::Part;
use crate::{AdmissionConfig, Algorithm};

/// Half load, then `load` for a while, then half load again.
pub(super) fn under(load: f64, seconds: f64) -> (Plan, Range<usize>) {
    let plan = Plan::new(&[(5.0, 0.5, 1.0), (5.0 + seconds, load, 1.0), (8.0 + seconds, 0.5, 1.0)]);
    (plan, 5..5 + seconds as usize)
}

fn keeps_a_spike(found: &Figures) -> bool {
    found.goodput >= 0.97
        && found.first_two_seconds >= 0.93
        && found.late <= 0.005
        && found.p99_ms <= 70.0
        && found.recovery <= 1
}

#[track_caller]
fn check_spike(load: f64) {
    let (plan, span) = under(load, 20.0);
    let found = Figures::worst(&format!("spike {load}x"), &plan, &Guard::default_values(), span, SEEDS);
    assert!(keeps_a_spike(&found), "{found:?}");
}

#[test]
fn a_spike_of_twice_the_capacity_costs_nothing() {
    check_spike(2.0);
}
#[test]
fn a_spike_of_five_times_the_capacity_costs_nothing() {
    check_spike(5.0);
}
#[test]
fn a_spike_of_ten_times_the_capacity_costs_nothing() {
    check_spike(10.0);
}

#[test]
fn without_admission_a_spike_leaves_nothing() {
    let (plan, span) = under(2.0, 20.0);
    let found = Figures::worst("spike 2x, no guard", &plan, &Guard::NONE, span, FEW_SEEDS);
    assert!(found.goodput < 0.30 && found.p99_ms > 1_000.0, "{found:?}");
}

/// What each part is good for in a spike, by what is missed without it.
#[track_caller]
fn check_without(part: Part, load: f64) {
    let (plan, span) = under(load, 20.0);
    let found = Figures::worst(
        &format!("spike {load}x without {part:?}"),
        &plan,
        &Guard::without(part),
        span,
        FEW_SEEDS,
    );
    assert!(!keeps_a_spike(&found), "{found:?}");
}

#[test]
fn without_codel_a_spike_is_answered_late() {
    check_without(Part::CoDel, 10.0);
}
#[test]
fn without_newest_first_a_spike_is_answered_late() {
    check_without(Part::NewestFirst, 10.0);
}
#[test]
fn without_staleness_a_spike_is_answered_late() {
    check_without(Part::Staleness, 10.0);
}
/// With a number of slots that is known, the waits are shorter.
#[test]
fn with_known_slots_a_spike_is_answered_sooner() {
    let (plan, span) = under(10.0, 20.0);
    let guard = Guard::limited(Algorithm::Fixed, 4);
    let found = Figures::worst("spike 10x, slots known", &plan, &guard, span, SEEDS);
    assert!(found.goodput >= 0.97 && found.p99_ms <= 45.0, "{found:?}");
}

/// Five times the capacity from the first request on, so that nobody has seen the service without a queue, and clients
/// with so much patience that the Little cap lets the queue be. The median of its last ten seconds, in ms.
fn overloaded_from_the_start(guard: &Guard, seeds: RangeInclusive<u64>) -> f64 {
    let plan = Plan { patience: 2.0, ..Plan::new(&[(60.0, 5.0, 1.0)]) };
    let medians = seeds.map(|seed| quantile(&guard.play(&plan, seed)[50..], 0.5));
    medians.reduce(f64::max).unwrap()
}

#[test]
fn an_overload_from_the_start_is_served_without_a_standing_queue() {
    let median = overloaded_from_the_start(&Guard::default_values(), SEEDS);
    println!("overloaded from the start: median {median:.1} ms");
    assert!(median <= 30.0, "{median} ms");
}
/// The limit keeps the queue that it first saw, for ever.
#[test]
fn without_probes_the_queue_of_the_first_second_stays() {
    let median = overloaded_from_the_start(&Guard::without(Part::Probe), FEW_SEEDS);
    println!("the same without probes: median {median:.1} ms");
    assert!(median > 50.0, "{median} ms");
}

fn drifts(found: &Figures) -> bool {
    found.goodput < 0.97 || found.drift > 1.2
}

#[test]
fn five_minutes_of_slight_overload_do_not_drift() {
    let (plan, span) = under(1.3, 300.0);
    let found = Figures::worst("1.3x for 300 s", &plan, &Guard::default_values(), span, SEEDS);
    assert!(!drifts(&found), "{found:?}");
}

#[test]
fn without_admission_a_slight_overload_ruins_all() {
    let (plan, span) = under(1.3, 60.0);
    let found = Figures::worst("1.3x for 60 s, no guard", &plan, &Guard::NONE, span, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

/// The service becomes four times slower, which makes the load twice of what it still can do.
fn brownout() -> Plan {
    Plan::new(&[(5.0, 0.5, 1.0), (35.0, 0.5, 4.0), (40.0, 0.5, 1.0)])
}

fn keeps_a_brownout(found: &Figures) -> bool {
    found.goodput >= 0.95 && found.first_two_seconds >= 0.85 && found.p99_ms <= 230.0 && found.recovery <= 2
}

#[test]
fn a_brownout_keeps_what_the_service_can_still_do() {
    let found = Figures::worst("brownout", &brownout(), &Guard::default_values(), 5..35, SEEDS);
    assert!(keeps_a_brownout(&found), "{found:?}");
}

#[test]
fn without_admission_a_brownout_is_an_outage() {
    let found = Figures::worst("brownout, no guard", &brownout(), &Guard::NONE, 5..35, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

#[track_caller]
fn check_false_refusals(load: f64, at_most: f64) {
    let (plan, span) = under(load, 60.0);
    let found = Figures::worst(&format!("steady {load}"), &plan, &Guard::default_values(), span, SEEDS);
    // What is under way when the last second ends counts as lost here: two in a thousand at most.
    assert!(found.lost <= at_most, "{found:?}");
}

#[test]
fn at_nine_tenths_of_the_capacity_hardly_anybody_is_refused() {
    check_false_refusals(0.9, 0.02);
}
#[test]
fn at_eight_tenths_of_the_capacity_hardly_anybody_is_refused() {
    check_false_refusals(0.8, 0.005);
}
#[test]
fn at_half_of_the_capacity_nobody_is_refused() {
    check_false_refusals(0.5, 0.001);
}

/// The queue is what keeps good load from being refused: a limit alone refuses each who comes a moment too early.
#[test]
fn without_a_queue_good_load_is_refused() {
    for (load, at_most) in [(0.9, 0.02), (0.8, 0.005)] {
        let config = AdmissionConfig { max_queued: 1, ..AdmissionConfig::default() };
        let (plan, span) = under(load, 60.0);
        let found =
            Figures::worst(&format!("steady {load}, no queue"), &plan, &Guard::new(config), span, FEW_SEEDS);
        assert!(found.lost > at_most, "{found:?}");
    }
}
