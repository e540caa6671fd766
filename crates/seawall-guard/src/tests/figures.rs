//! What a run is judged by.

use std::ops::{Range, RangeInclusive};

use super::Guard;
use super::plan::Plan;
use super::world::Second;

/// The worst over all seeds, of the time under load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Share of what could have been done, after the first two seconds.
    pub(crate) goodput: f64,
    pub(crate) first_two_seconds: f64,
    /// Of those offered after the first two seconds, who got no answer in time.
    pub(crate) lost: f64,
    /// Late answers for each good one, over the whole run.
    pub(crate) late: f64,
    pub(crate) p99_ms: f64,
    /// Median of the last fifth over the median of the first fifth.
    pub(crate) drift: f64,
    /// Seconds after the end of the load until 97 % succeed.
    pub(crate) recovery: usize,
}

pub(crate) fn sum(seconds: &[Second], value: impl Fn(&Second) -> f64) -> f64 {
    seconds.iter().map(value).sum()
}

pub(crate) fn good(second: &Second) -> f64 {
    f64::from(second.good.iter().sum::<u32>())
}

pub(crate) fn offered(second: &Second) -> f64 {
    f64::from(second.offered.iter().sum::<u32>())
}

pub(crate) fn quantile(seconds: &[Second], quantile: f64) -> f64 {
    let mut all: Vec<f32> = seconds.iter().flat_map(|second| second.latencies.iter().copied()).collect();
    all.sort_by(f32::total_cmp);
    all.get((all.len() as f64 * quantile) as usize).map_or(f64::INFINITY, |&latency| f64::from(latency) * 1e3)
}

/// Good answers as a share of what the service could do: slots with the service times drawn, or the workers' time.
pub(crate) fn goodput(plan: &Plan, seconds: &[Second]) -> f64 {
    let rate = match plan.slots {
        0 => plan.capacity(),
        slots => {
            let begun = sum(seconds, |second| second.begun.into());
            f64::from(slots) * begun / sum(seconds, |second| second.slot_seconds)
        }
    };
    sum(seconds, good) / (rate * seconds.len() as f64)
}

impl Figures {
    pub(crate) fn of(plan: &Plan, seconds: &[Second], load: &Range<usize>) -> Self {
        let steady = &seconds[load.start + 2..load.end];
        let fifth = (steady.len() / 5).max(1);
        let after = &seconds[load.end..];
        Self {
            goodput: goodput(plan, steady),
            first_two_seconds: goodput(plan, &seconds[load.start..load.start + 2]),
            lost: 1.0 - sum(steady, good) / sum(steady, offered),
            late: sum(seconds, |second| second.late.into()) / sum(seconds, good).max(1.0),
            p99_ms: quantile(steady, 0.99),
            drift: quantile(&steady[steady.len() - fifth..], 0.5) / quantile(&steady[..fifth], 0.5),
            recovery: after.iter().position(|s| good(s) >= 0.97 * offered(s)).unwrap_or(usize::MAX),
        }
    }

    /// The worst figures over all seeds, printed.
    pub(crate) fn worst(
        name: &str,
        plan: &Plan,
        guard: &Guard,
        load: Range<usize>,
        seeds: RangeInclusive<u64>,
    ) -> Self {
        let runs = seeds.map(|seed| Self::of(plan, &guard.play(plan, seed), &load));
        let worst = runs.reduce(|a, b| Self {
            goodput: a.goodput.min(b.goodput),
            first_two_seconds: a.first_two_seconds.min(b.first_two_seconds),
            lost: a.lost.max(b.lost),
            late: a.late.max(b.late),
            p99_ms: a.p99_ms.max(b.p99_ms),
            drift: a.drift.max(b.drift),
            recovery: a.recovery.max(b.recovery),
        });
        let worst = worst.unwrap();
        println!("{name:<34} {worst:.4?}");
        worst
    }
}
