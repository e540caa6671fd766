//! What docs/decisions/0002-admission-controller.md shows: the laws beside each other, each with the same queue and the
//! Little cap, and the parts of the default taken away.

use super::figures::Figures;
use super::overload::under;
use super::plan::Plan;
use super::{FEW_SEEDS, Guard};
use crate::parts::Part;
use crate::{AdmissionConfig, Algorithm};

fn guards() -> Vec<(&'static str, Guard)> {
    let law = |algorithm| Guard::limited(algorithm, 20);
    let bare = |algorithm| Guard { away: Some(Part::LittleCap), ..law(algorithm) };
    let short = AdmissionConfig { max_queued: 1, ..AdmissionConfig::default() };
    vec![
        ("nothing", Guard::NONE),
        ("BDP (default)", Guard::default_values()),
        ("BDP, no queue", Guard::new(short)),
        ("BDP, oldest first", Guard::without(Part::NewestFirst)),
        ("BDP, no Little cap", bare(Algorithm::Bdp)),
        ("Gradient2", law(Algorithm::Gradient2)),
        ("Gradient2, no Little cap", bare(Algorithm::Gradient2)),
        ("Vegas", law(Algorithm::Vegas)),
        ("AIMD", law(Algorithm::Aimd)),
        ("fixed 256", Guard::limited(Algorithm::Fixed, 256)),
        (
            "fixed 256, no Little cap",
            Guard { away: Some(Part::LittleCap), ..Guard::limited(Algorithm::Fixed, 256) },
        ),
    ]
}

/// A row of the table: goodput in percent, and the 99th percentile in ms, of a spike, a brownout, good load and sizes.
fn row(name: &str, guard: &Guard) -> Vec<(f64, f64)> {
    let mut cells = Vec::new();
    let mut play = |plan: Plan, span: std::ops::Range<usize>| {
        let found = Figures::worst(name, &plan, guard, span, FEW_SEEDS);
        cells.push((found.goodput * 100.0, found.p99_ms));
    };
    for load in [10.0, 2.0, 0.9] {
        let (plan, span) = under(load, 10.0);
        play(plan, span);
    }
    play(Plan::new(&[(5.0, 0.5, 1.0), (20.0, 0.5, 4.0), (22.0, 0.5, 1.0)]), 5..20);
    for (slots, service, load) in [(2, 0.050, 10.0), (64, 0.010, 3.0)] {
        let (mut plan, span) = under(load, 10.0);
        (plan.slots, plan.service) = (slots, service);
        play(plan, span);
    }
    cells
}

#[test]
fn the_default_is_good_everywhere_and_what_lacks_a_part_is_not() {
    println!("| | 10x | 2x | 0.9x | brownout | 2 x 50 ms, 10x | 64 x 10 ms, 3x |");
    let mut good = Vec::new();
    for (name, guard) in guards() {
        let cells = row(name, &guard);
        let text: Vec<_> = cells.iter().map(|(goodput, p99)| format!("{goodput:.0} / {p99:.0}")).collect();
        println!("TABLE | {name} | {} |", text.join(" | "));
        // 94 of 100 under an overload, all but two of a hundred at 0.9, and answers about within the 250 ms that clients
        // wait.
        let enough = [94.0, 94.0, 85.0, 94.0, 94.0, 94.0];
        let kept =
            cells.iter().zip(enough).all(|((goodput, p99), enough)| *goodput >= enough && *p99 <= 300.0);
        if kept {
            good.push(name);
        }
    }
    println!("good everywhere: {good:?}");
    assert!(good.contains(&"BDP (default)"), "{good:?}");
    let bad = [
        "nothing",
        "BDP, no queue",
        "BDP, no Little cap",
        "Gradient2, no Little cap",
        "fixed 256, no Little cap",
    ];
    assert!(bad.iter().all(|name| !good.contains(name)), "{good:?}");
}
