//! Spikes, a lasting overload, a brownout, normal load, and services of all sizes.

use std::ops::Range;

use seawall_guard::{AdmissionConfig, Algorithm, LimitConfig};

use crate::figures::Figures;
use crate::service::Plan;
use crate::{FEW_SEEDS, Guard, SEEDS};

/// Half load, then `load` for a while, then half load again.
fn under(load: f64, seconds: f64) -> (Plan, Range<usize>) {
    let plan = Plan::new(&[(5.0, 0.5, 1.0), (5.0 + seconds, load, 1.0), (8.0 + seconds, 0.5, 1.0)]);
    (plan, 5..5 + seconds as usize)
}

fn check_spike(load: f64) {
    let (plan, span) = under(load, 20.0);
    let found = Figures::worst(&format!("spike {load}x"), &plan, &Guard::default_values(), span, SEEDS);
    assert!(found.goodput >= 0.97 && found.first_two_seconds >= 0.93, "{found:?}");
    assert!(found.late <= 0.005 && found.p99_ms <= 70.0 && found.recovery <= 1, "{found:?}");
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
    let found = Figures::worst("spike 2x, no guard", &plan, &Guard::None, span, FEW_SEEDS);
    assert!(found.goodput < 0.30 && found.p99_ms > 1_000.0, "{found:?}");
}

/// With a number of slots that is known, the waits are shorter.
#[test]
fn with_known_slots_a_spike_is_answered_sooner() {
    let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: 8, ..LimitConfig::default() };
    let guard = Guard::Admission(AdmissionConfig { limit, ..AdmissionConfig::default() });
    let (plan, span) = under(10.0, 20.0);
    let found = Figures::worst("spike 10x, slots known", &plan, &guard, span, SEEDS);
    assert!(found.goodput >= 0.97 && found.p99_ms <= 45.0, "{found:?}");
}

#[test]
fn five_minutes_of_slight_overload_do_not_drift() {
    let (plan, span) = under(1.3, 300.0);
    let found = Figures::worst("1.3x for 300 s", &plan, &Guard::default_values(), span, 1..=8);
    assert!(found.goodput >= 0.97 && found.drift <= 1.2, "{found:?}");
}

#[test]
fn without_admission_a_slight_overload_ruins_all() {
    let (plan, span) = under(1.3, 60.0);
    let found = Figures::worst("1.3x for 60 s, no guard", &plan, &Guard::None, span, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

/// The service becomes four times slower, which makes the load twice of what it still can do.
fn brownout() -> Plan {
    Plan::new(&[(5.0, 0.5, 1.0), (35.0, 0.5, 4.0), (40.0, 0.5, 1.0)])
}

#[test]
fn a_brownout_keeps_what_the_service_can_still_do() {
    let found = Figures::worst("brownout", &brownout(), &Guard::default_values(), 5..35, SEEDS);
    assert!(found.goodput >= 0.95 && found.first_two_seconds >= 0.85, "{found:?}");
    assert!(found.p99_ms <= 230.0 && found.recovery <= 2, "{found:?}");
}

#[test]
fn without_admission_a_brownout_is_an_outage() {
    let found = Figures::worst("brownout, no guard", &brownout(), &Guard::None, 5..35, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

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
    let config = AdmissionConfig { max_queued: 1, ..AdmissionConfig::default() };
    let (plan, span) = under(0.9, 60.0);
    let found = Figures::worst("steady 0.9, no queue", &plan, &Guard::Admission(config), span, FEW_SEEDS);
    assert!(found.lost > 0.02, "{found:?}");
}

/// Slots and milliseconds. The same values for all.
fn sized(slots: u32, millis: f64, load: f64) -> (Plan, Range<usize>) {
    let seconds = if f64::from(slots) / millis >= 0.5 { 5.0 } else { 20.0 };
    let (mut plan, span) = under(load, seconds);
    (plan.slots, plan.service) = (slots, millis / 1e3);
    (plan, span)
}

fn check_size(slots: u32, millis: f64) {
    for load in [2.0, 5.0, 10.0] {
        let (plan, span) = sized(slots, millis, load);
        let name = format!("{slots} x {millis} ms at {load}x");
        let found = Figures::worst(&name, &plan, &Guard::default_values(), span, SEEDS);
        assert!(found.goodput >= 0.95 && found.first_two_seconds >= 0.80, "{name}: {found:?}");
        assert!(found.late <= 0.02, "{name}: {found:?}");
    }
}

#[test]
fn one_slot_of_20_ms_keeps_its_goodput() {
    check_size(1, 20.0);
}
#[test]
fn two_slots_of_50_ms_keep_their_goodput() {
    check_size(2, 50.0);
}
#[test]
fn two_slots_of_1_ms_keep_their_goodput() {
    check_size(2, 1.0);
}
#[test]
fn eight_slots_of_10_ms_keep_their_goodput() {
    check_size(8, 10.0);
}
#[test]
fn sixty_four_slots_of_10_ms_keep_their_goodput() {
    check_size(64, 10.0);
}

/// A limit that suits one size and does not know the deadline, which is what the Little cap goes by, ruins another.
#[test]
fn a_fixed_limit_that_knows_no_deadline_fails_on_small_services() {
    let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: 20, ..LimitConfig::default() };
    let config = AdmissionConfig { limit, ..AdmissionConfig::default() };
    let (mut plan, span) = sized(2, 50.0, 5.0);
    plan.tell = false;
    let found = Figures::worst("2 x 50 ms, limit 20", &plan, &Guard::Admission(config), span, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

#[test]
fn the_little_cap_alone_repairs_a_limit_that_is_far_too_high() {
    let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: 256, ..LimitConfig::default() };
    let guard = Guard::Admission(AdmissionConfig { limit, ..AdmissionConfig::default() });
    let (plan, span) = under(10.0, 20.0);
    let found = Figures::worst("limit 256, capped", &plan, &guard, span.clone(), FEW_SEEDS);
    assert!(found.goodput >= 0.90, "{found:?}");
    let mut silent = plan;
    silent.tell = false;
    let found = Figures::worst("limit 256, no deadline", &silent, &guard, span, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}
