//! What was seen inside each build: the signals of its blocks, joined, and which of them differ. Pure.
//!
//! The unit is the block, as for the metrics: each has one mean per signal, and two builds differ in a signal when the means
//! of their blocks do, by the rank-sum test, adjusted for the number of signals (Holm), with an interval that excludes zero.
//! No signal is gated: it says where to look, and not whether a build is worse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Block;
use crate::signals::series::{GaugeSeries, MAX_THREADS, ResourceSeries, SignalSeries, ThreadSeries};
use crate::stats::{Interval, holm, median, rank_sum, shift};

/// Gauges of the signals endpoint that a block keeps.
const MAX_GAUGES: usize = 64;

/// One signal of both builds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalDifference {
    /// Resource or gauge, and what is counted: `cpu: share used`.
    pub signal: String,
    /// The middle of A's blocks.
    pub a: f64,
    /// The middle of B's blocks.
    pub b: f64,
    /// How far B's blocks lie above A's, with its interval.
    pub shift: Interval,
    /// The p-value, adjusted for the number of signals.
    pub p_adjusted: f64,
    /// The difference is proven.
    pub differs: bool,
}

/// The signals of both builds over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalPair {
    /// What A is.
    pub a_name: String,
    /// What B is.
    pub b_name: String,
    /// Seen inside A.
    pub a: SignalSeries,
    /// Seen inside B.
    pub b: SignalSeries,
    /// Which of them differ, the proven ones first.
    pub differences: Vec<SignalDifference>,
}

/// The mean of each signal from `from_s` on; over all of the series where it has nothing later.
pub fn means(series: &SignalSeries, from_s: f64) -> BTreeMap<String, f64> {
    let mean = |points: &[(f64, f64)]| {
        let late = points.iter().filter(|(t_s, _)| *t_s > from_s).map(|(_, value)| *value);
        let values: Vec<f64> = late.collect();
        let values =
            if values.is_empty() { points.iter().map(|(_, value)| *value).collect() } else { values };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        mean.is_finite().then_some(mean)
    };
    let mut means = BTreeMap::new();
    for ResourceSeries { resource, utilisation, saturation, saturation_unit, errors, errors_unit } in
        &series.resources
    {
        let parts =
            [("share used", utilisation), (saturation_unit.as_str(), saturation), (errors_unit, errors)];
        for (what, points) in parts {
            means.extend(mean(points).map(|mean| (format!("{resource}: {what}"), mean)));
        }
    }
    for gauge in series.gauges.iter().take(MAX_GAUGES) {
        means.extend(mean(&gauge.points).map(|mean| (format!("gauge: {}", gauge.name), mean)));
    }
    means
}

/// The signals of a build's blocks as one series, in the order given. None without any.
///
/// Each block has a process of its own, so threads are joined by their name and their rank within a block.
pub fn join(blocks: impl IntoIterator<Item = SignalSeries>) -> Option<SignalSeries> {
    let mut blocks = blocks.into_iter();
    let mut all = blocks.next()?;
    let mut threads: Vec<(usize, ThreadSeries)> = Vec::new();
    add_threads(&mut threads, std::mem::take(&mut all.threads));
    for block in blocks {
        all.evidence = all.evidence.max(block.evidence);
        all.phases.extend(block.phases);
        for series in block.resources {
            match all.resources.iter_mut().find(|known| known.resource == series.resource) {
                None => all.resources.push(series),
                Some(known) => {
                    known.utilisation.extend(series.utilisation);
                    known.saturation.extend(series.saturation);
                    known.errors.extend(series.errors);
                }
            }
        }
        for GaugeSeries { name, points } in block.gauges {
            match all.gauges.iter_mut().find(|known| known.name == name) {
                None => all.gauges.push(GaugeSeries { name, points }),
                Some(known) => known.points.extend(points),
            }
        }
        add_threads(&mut threads, block.threads);
    }
    all.threads = threads.into_iter().map(|(_, thread)| thread).take(MAX_THREADS).collect();
    Some(all)
}

fn add_threads(all: &mut Vec<(usize, ThreadSeries)>, block: Vec<ThreadSeries>) {
    let mut ranks: BTreeMap<String, usize> = BTreeMap::new();
    for thread in block {
        let rank = ranks.entry(thread.name.clone()).or_default();
        *rank += 1;
        match all.iter_mut().find(|(known, of)| known == rank && of.name == thread.name) {
            None => all.push((*rank, thread)),
            Some((_, known)) => known.points.extend(thread.points),
        }
    }
}

/// Which signals differ between the blocks of two builds, the proven differences first, then by how far they lie apart.
/// Blocks that do not count are left out; a signal that was seen in one build only is left out too.
pub fn signal_differences<'a>(
    a: impl Iterator<Item = &'a Block>,
    b: impl Iterator<Item = &'a Block>,
    alpha: f64,
) -> Vec<SignalDifference> {
    let (a, b) = (by_signal(a), by_signal(b));
    let both: Vec<(&String, &Vec<f64>, &Vec<f64>)> =
        a.iter().filter_map(|(name, of_a)| Some((name, of_a, b.get(name)?))).collect();
    let p: Vec<f64> = both.iter().map(|(_, of_a, of_b)| rank_sum(of_a, of_b)).collect();
    let mut found: Vec<SignalDifference> = both
        .into_iter()
        .zip(holm(&p))
        .map(|((signal, of_a, of_b), p_adjusted)| {
            let shift = shift(of_a, of_b);
            SignalDifference {
                signal: signal.clone(),
                a: median(of_a),
                b: median(of_b),
                differs: p_adjusted <= alpha && shift.excludes_zero(),
                shift,
                p_adjusted,
            }
        })
        .collect();
    let far = |one: &SignalDifference| one.shift.estimate.abs() / one.a.abs().max(one.b.abs()).max(1e-9);
    found.sort_by(|x, y| y.differs.cmp(&x.differs).then_with(|| far(y).total_cmp(&far(x))));
    found
}

fn by_signal<'a>(blocks: impl Iterator<Item = &'a Block>) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for block in blocks.filter(|block| block.invalid.is_empty()) {
        for (name, value) in &block.signals {
            all.entry(name.clone()).or_default().push(*value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::series::{EvidenceLevel, ThreadPoint};
    use crate::stats::Random;

    fn thread(tid: u32, name: &str, t_s: f64) -> ThreadSeries {
        let points = vec![ThreadPoint { t_s, running: 0.5, ..ThreadPoint::default() }];
        ThreadSeries { pid: tid, tid, name: name.into(), points }
    }

    fn block(begin_s: f64, tid: u32, busy: f64) -> SignalSeries {
        let cpu = ResourceSeries {
            resource: "cpu".into(),
            utilisation: vec![(begin_s + 1.0, 0.9), (begin_s + 2.0, busy), (begin_s + 3.0, busy)],
            saturation: vec![(begin_s + 2.0, 3.0)],
            saturation_unit: "threads waiting for a CPU".into(),
            errors: vec![],
            errors_unit: String::new(),
        };
        SignalSeries {
            evidence: EvidenceLevel::L1,
            cores: 1.0,
            phases: vec![],
            resources: vec![cpu],
            threads: vec![thread(tid, "worker", begin_s), thread(tid + 1, "worker", begin_s)],
            gauges: vec![GaugeSeries { name: "queue".into(), points: vec![(begin_s, 7.0)] }],
        }
    }

    #[test]
    fn the_warm_up_is_not_in_a_blocks_means() {
        let means = means(&block(10.0, 5, 0.3), 11.0);
        assert!((means["cpu: share used"] - 0.3).abs() < 1e-12);
        assert_eq!((means["cpu: threads waiting for a CPU"], means["gauge: queue"]), (3.0, 7.0));
        assert_eq!(means.len(), 3, "there were no errors: {means:?}");
    }
    #[test]
    fn threads_of_two_processes_are_joined_by_name_and_rank() {
        let joined = join([block(0.0, 5, 0.1), block(10.0, 9, 0.2)]).unwrap();
        assert_eq!(joined.threads.len(), 2);
        assert!(joined.threads.iter().all(|thread| thread.points.len() == 2));
        assert_eq!((joined.resources[0].utilisation.len(), joined.gauges[0].points.len()), (6, 2));
        assert_eq!(join([]), None);
    }

    /// Blocks whose CPU is at `level`, and whose second signal is noise.
    fn blocks(level: f64, seed: u64) -> Vec<Block> {
        let mut random = Random::new(seed);
        let one = |random: &mut Random| {
            let signals = BTreeMap::from([
                ("cpu: share used".to_owned(), level * (1.0 + 0.05 * random.normal())),
                ("locks: threads waiting".to_owned(), random.normal().abs()),
            ]);
            Block { signals, ..Block::default() }
        };
        (0..10).map(|_| one(&mut random)).collect()
    }

    #[test]
    fn a_signal_that_differs_is_named_first_with_its_interval() {
        let (a, mut b) = (blocks(0.4, 1), blocks(0.8, 2));
        b.push(Block { invalid: vec!["late".into()], ..blocks(9.0, 3).remove(0) });
        let found = signal_differences(a.iter(), b.iter(), 0.05);
        assert_eq!((found[0].signal.as_str(), found[0].differs), ("cpu: share used", true));
        assert!((found[0].shift.estimate - 0.4).abs() < 0.05, "{:?}", found[0]);
        assert!(!found[1].differs, "{:?}", found[1]);
    }
    #[test]
    fn equal_builds_differ_in_no_signal_at_least_95_times_of_100() {
        let equal = (0..100)
            .filter(|seed| {
                let (a, b) = (blocks(0.4, *seed), blocks(0.4, seed + 1000));
                signal_differences(a.iter(), b.iter(), 0.05).iter().all(|one| !one.differs)
            })
            .count();
        assert!(equal >= 95, "{equal} of 100");
    }
    #[test]
    fn a_signal_of_one_build_alone_is_not_compared() {
        let mut b = blocks(0.4, 2);
        b.iter_mut().for_each(|block| block.signals.retain(|name, _| name.starts_with("locks")));
        assert_eq!(signal_differences(blocks(0.4, 1).iter(), b.iter(), 0.05).len(), 1);
    }
}
