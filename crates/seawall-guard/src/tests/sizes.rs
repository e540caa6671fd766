//! Services of all sizes, with the same values for all.

use std::ops::Range;

use super::figures::Figures;
use super::overload::under;
use super::plan::Plan;
use super::{FEW_SEEDS, Guard, SEEDS};
use crate::Algorithm;
use crate::parts::Part;

/// Slots and milliseconds.
fn sized(slots: u32, millis: f64, load: f64) -> (Plan, Range<usize>) {
    let seconds = if f64::from(slots) / millis >= 0.5 { 5.0 } else { 20.0 };
    let (mut plan, span) = under(load, seconds);
    (plan.slots, plan.service) = (slots, millis / 1e3);
    (plan, span)
}

fn keeps(found: &Figures) -> bool {
    found.goodput >= 0.95 && found.first_two_seconds >= 0.80 && found.late <= 0.02
}

#[track_caller]
fn check_size(slots: u32, millis: f64, load: f64) {
    let play = |workers: usize| {
        let (mut plan, span) = sized(slots, millis, load);
        plan.workers = workers;
        let name = format!("{slots} x {millis} ms at {load}x, {workers} w");
        Figures::worst(&name, &plan, &Guard::default_values(), span, SEEDS)
    };
    let found = play(1);
    assert!(keeps(&found), "{found:?}");
    // Two workers know less of one service than one does. Where it has one or two slots, the first seconds show it: each
    // worker leaves room for twice of what it uses.
    let found = play(2);
    let (first, late) = if slots <= 2 && millis > 1.0 { (0.5, 0.05) } else { (0.80, 0.02) };
    let kept = found.goodput >= 0.95 && found.first_two_seconds >= first && found.late <= late;
    assert!(kept, "two workers: {found:?}");
}

macro_rules! sizes {
    ($($name:ident: $slots:literal x $millis:literal ms at $load:literal;)*) => {
        $(#[test]
        fn $name() {
            check_size($slots, $millis, $load);
        })*
    };
}

sizes! {
    one_slot_of_20_ms_at_2x: 1 x 20.0 ms at 2.0;
    one_slot_of_20_ms_at_5x: 1 x 20.0 ms at 5.0;
    one_slot_of_20_ms_at_10x: 1 x 20.0 ms at 10.0;
    two_slots_of_50_ms_at_2x: 2 x 50.0 ms at 2.0;
    two_slots_of_50_ms_at_5x: 2 x 50.0 ms at 5.0;
    two_slots_of_50_ms_at_10x: 2 x 50.0 ms at 10.0;
    two_slots_of_1_ms_at_2x: 2 x 1.0 ms at 2.0;
    two_slots_of_1_ms_at_5x: 2 x 1.0 ms at 5.0;
    two_slots_of_1_ms_at_10x: 2 x 1.0 ms at 10.0;
    eight_slots_of_10_ms_at_2x: 8 x 10.0 ms at 2.0;
    eight_slots_of_10_ms_at_5x: 8 x 10.0 ms at 5.0;
    eight_slots_of_10_ms_at_10x: 8 x 10.0 ms at 10.0;
    sixty_four_slots_of_10_ms_at_2x: 64 x 10.0 ms at 2.0;
    sixty_four_slots_of_10_ms_at_5x: 64 x 10.0 ms at 5.0;
    sixty_four_slots_of_10_ms_at_10x: 64 x 10.0 ms at 10.0;
}

/// A limit that suits one size and does not know the deadline, which is what the Little cap goes by, ruins another.
#[test]
fn a_limit_that_suits_one_size_ruins_another_without_the_little_cap() {
    let (plan, span) = sized(2, 50.0, 5.0);
    let guard = Guard::limited(Algorithm::Fixed, 20);
    let capped = Figures::worst("2 x 50 ms, limit 20", &plan, &guard, span.clone(), FEW_SEEDS);
    assert!(capped.goodput >= 0.80, "{capped:?}");
    let guard = Guard { away: Some(Part::LittleCap), ..guard };
    let found = Figures::worst("2 x 50 ms, limit 20, no cap", &plan, &guard, span, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

#[test]
fn the_little_cap_alone_repairs_a_limit_that_is_far_too_high() {
    let (plan, span) = under(10.0, 20.0);
    let guard = Guard::limited(Algorithm::Fixed, 256);
    let found = Figures::worst("limit 256, capped", &plan, &guard, span.clone(), FEW_SEEDS);
    assert!(found.goodput >= 0.90, "{found:?}");
    let guard = Guard { away: Some(Part::LittleCap), ..guard };
    let found = Figures::worst("limit 256, no cap", &plan, &guard, span, FEW_SEEDS);
    assert!(found.goodput < 0.30, "{found:?}");
}

/// The default without one part misses a size.
#[test]
fn without_the_little_cap_small_services_are_late() {
    let (plan, span) = sized(2, 50.0, 10.0);
    let found = Figures::worst(
        "2 x 50 ms without LittleCap",
        &plan,
        &Guard::without(Part::LittleCap),
        span,
        FEW_SEEDS,
    );
    assert!(!keeps(&found), "{found:?}");
}
