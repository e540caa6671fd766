//! Who suffers in an overload: priorities, users with several calls, and tenants.

use std::ops::RangeInclusive;

use super::plan::{Kind, Plan};
use super::world::Second;
use super::{FEW_SEEDS, Guard, SEEDS};
use crate::Priority;
use crate::parts::Part;

/// What came of each kind between two seconds, and how much of it was offered.
fn totals(seconds: &[Second], kinds: usize, of: impl Fn(&Second, usize) -> u32) -> Vec<(f64, f64)> {
    let kind = |kind: usize| {
        let good = seconds.iter().map(|second| f64::from(of(second, kind))).sum();
        let offered = seconds.iter().map(|second| f64::from(second.offered[kind])).sum();
        (good, offered)
    };
    (0..kinds).map(kind).collect()
}

fn overloaded(load: f64, kinds: Vec<Kind>) -> Plan {
    let mut plan = Plan::new(&[(3.0, 0.5, 1.0), (15.0, load, 1.0), (16.0, 0.5, 1.0)]);
    plan.kinds = kinds;
    plan
}

/// Critical calls are 40 % of the capacity, the rest of four times the capacity may be shed.
fn classes(others: Priority) -> Plan {
    let critical = Kind { share: 0.4, cohorts: 127, ..Kind::default() };
    overloaded(4.0, vec![critical, Kind { share: 3.6, priority: others, ..critical }])
}

/// Success of the critical ones from the first second of the overload on, and of the others.
fn play_classes(name: &str, others: Priority, seeds: RangeInclusive<u64>) -> (f64, f64) {
    let plan = classes(others);
    let worst = seeds.map(|seed| {
        let seconds = Guard::default_values().play(&plan, seed);
        let totals = totals(&seconds[4..15], 2, |second, kind| second.good[kind]);
        (totals[0].0 / totals[0].1, totals[1].0 / totals[1].1)
    });
    let worst = worst.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1))).unwrap();
    println!("{name:<34} critical {:.4}, others {:.3}", worst.0, worst.1);
    worst
}

#[test]
fn critical_calls_do_not_notice_an_overload_of_others() {
    let (critical, others) = play_classes("priority", Priority::Sheddable, SEEDS);
    assert!(critical >= 0.995, "{critical}");
    assert!(others >= 0.14, "{others}: 0.6 of the capacity is left for 3.6"); // 0.167
}

#[test]
fn without_classes_critical_calls_suffer_as_all_do() {
    let (critical, _) = play_classes("priority, all the same", Priority::Critical, FEW_SEEDS);
    assert!(critical < 0.5, "{critical}");
}

/// From one second after the begin of the overload on the cursor stays among those who may be shed.
#[test]
fn the_cursor_settles_within_a_second() {
    let plan = classes(Priority::Sheddable);
    for seed in SEEDS {
        let seconds = Guard::default_values().play(&plan, seed);
        let cursors: Vec<_> = seconds[4..15].iter().map(|second| second.cursor).collect();
        // 0.6 of 3.6 are let in: about a sixth of the cohorts of the last class.
        let few = cursors.iter().filter(|&&cursor| (384 - 32..=384 + 64).contains(&cursor)).count();
        assert!(few >= 10, "{cursors:?}, seed {seed}");
    }
}

/// Users need four calls for what they want, at three times the capacity: the share of users who get it, of those
/// that could.
fn play_users(name: &str, guard: &Guard, seeds: RangeInclusive<u64>) -> f64 {
    let user = Kind { cohorts: 127, calls: 4, ..Kind::default() };
    let plan = overloaded(3.0, vec![user]);
    let worst = seeds.map(|seed| {
        let seconds = guard.play(&plan, seed);
        let done: u32 = seconds[5..15].iter().map(|second| second.done[0]).sum();
        f64::from(done) / (10.0 * plan.tasks(1.0))
    });
    let worst = worst.reduce(f64::min).unwrap();
    println!("{name:<34} users served {worst:.3} of those that could be");
    worst
}

/// The cursor refuses the same users everywhere, so that what is begun is finished.
#[test]
fn users_with_several_calls_are_served_whole() {
    let served = play_users("users of four calls", &Guard::default_values(), SEEDS);
    assert!(served >= 0.53, "{served}");
}

#[test]
fn without_the_cursor_most_of_the_work_is_for_users_who_are_refused_later() {
    let served = play_users("users of four calls, no cursor", &Guard::without(Part::Cursor), FEW_SEEDS);
    assert!(served < 0.50, "{served}");
}

/// Ten tenants, one with ten times the demand of each other, four times the capacity in all: the worst share that
/// one of the nine gets of what is fair, and Jain's index among the nine.
fn play_tenants(name: &str, tenant: fn(u64) -> u64, seeds: RangeInclusive<u64>) -> (f64, f64) {
    let kind =
        |at: u64| Kind { share: if at == 0 { 10.0 } else { 1.0 }, tenant: tenant(at), ..Kind::default() };
    let plan = overloaded(4.0, (0..10).map(kind).collect());
    let worst = seeds.map(|seed| {
        let seconds = Guard::default_values().play(&plan, seed);
        let totals = totals(&seconds[5..15], 10, |second, kind| second.good[kind]);
        let nine: Vec<f64> = totals[1..].iter().map(|(good, _)| *good).collect();
        let fair = plan.capacity() * 10.0 / 10.0; // ten seconds, ten tenants
        let least = nine.iter().copied().fold(f64::INFINITY, f64::min) / fair;
        let (sum, squares) = nine.iter().fold((0.0, 0.0), |(sum, sq), x| (sum + x, sq + x * x));
        (least, sum * sum / (9.0 * squares))
    });
    let worst = worst.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1))).unwrap();
    println!("{name:<34} least share {:.3}, Jain {:.4}", worst.0, worst.1);
    worst
}

fn spread(at: u64) -> u64 {
    (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[test]
fn a_tenant_that_asks_for_ten_times_as_much_takes_nothing_from_the_others() {
    let (least, jain) = play_tenants("fairness", spread, SEEDS);
    assert!(least >= 0.95 && jain >= 0.97, "{least} {jain}");
}

#[test]
fn without_tenants_the_loudest_takes_most() {
    let (least, _) = play_tenants("fairness, no tenants", |_| 0, FEW_SEEDS);
    assert!(least < 0.8, "{least}");
}
