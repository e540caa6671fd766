//! The verdict: effects with intervals, and which of them are claimed.
//!
//! A difference is claimed when all of these hold: its p-value, adjusted for the number of metrics (Holm), is at most alpha;
//! its interval excludes zero; and it is larger than the smallest effect of interest and than the noise floor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Better, Block, CompareConfig, Metric, Pair, Scale};
use crate::stats::{
    Counts, Interval, Random, bootstrap_quantiles, hodges_lehmann, holm, kolmogorov_smirnov, median,
    rank_sum, shift, signed_rank,
};

/// Draws of the bootstrap; fewer where hundreds of comparisons are simulated in a build without optimisation.
const RESAMPLES: usize = if cfg!(test) { 300 } else { 2000 };
/// A percentile needs this many values beyond it, on each side together, to be judged.
const MIN_BEYOND: f64 = 10.0;
/// The least that is claimed of a share, such as of the error rate: 0.05 percentage points.
const MIN_POINTS: f64 = 0.000_5;

/// How the two sides were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonKind {
    /// Blocks of both took turns; the noise floor is A against itself.
    Interleaved,
    /// Two runs of different times; the noise floor is each run's first half against its second.
    StoredRuns,
}

/// What is said about one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// B is better, proven.
    Better,
    /// B is worse, proven.
    Worse,
    /// No difference is proven.
    NoDifference,
    /// Too little was measured to say anything.
    NotMeasured,
}

/// What is said about the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At least one gated metric is worse, proven.
    Regression,
    /// None is worse, at least one is better.
    Improvement,
    /// No difference is proven.
    NoDifference,
    /// The blocks do not count.
    Invalid,
}

/// The effect on one metric. `effect` and `noise_floor` are parts of A (0.05 is 5 %) or differences of shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Which.
    pub metric: Metric,
    /// How the effect is told.
    pub scale: Scale,
    /// A's value: the middle of its blocks; for latencies, of all its requests together.
    pub a: Option<f64>,
    /// B's value.
    pub b: Option<f64>,
    /// How far B lies above A, with its interval; none where it was not measured.
    pub effect: Option<Interval>,
    /// The p-value by itself.
    pub p_value: f64,
    /// The p-value adjusted for the number of metrics.
    pub p_adjusted: f64,
    /// How far two equal builds lay apart; none where that was not measured.
    pub noise_floor: Option<f64>,
    /// An effect up to here is not claimed.
    pub threshold: f64,
    /// The blocks of A and B scatter differently although their middle may be the same (Kolmogorov-Smirnov).
    pub spread_differs: bool,
    /// The verdict.
    pub ruling: Ruling,
    /// Its regression counts.
    pub gated: bool,
}

/// What became of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How it was measured.
    pub kind: ComparisonKind,
    /// What A is.
    pub a_name: String,
    /// What B is.
    pub b_name: String,
    /// The verdict.
    pub outcome: Outcome,
    /// The verdict in a sentence.
    pub summary: String,
    /// One per metric, in the order to show.
    pub effects: Vec<Effect>,
    /// Blocks of each side that count.
    pub blocks: (usize, usize),
    /// Pairs of A with itself that count.
    pub noise_pairs: usize,
    /// Why it does not count, or what stands between the numbers and the truth.
    pub notes: Vec<String>,
}

/// One metric before the number of metrics is known.
struct Measured {
    metric: Metric,
    a: Option<f64>,
    b: Option<f64>,
    difference: Option<Interval>,
    p_value: f64,
    noise: Option<f64>,
    spread_differs: bool,
}

/// Judges blocks that took turns. `noise` are pairs of A with itself.
pub fn judge_pairs(
    names: (&str, &str),
    pairs: &[Pair],
    noise: &[Pair],
    config: &CompareConfig,
) -> Comparison {
    let valid: Vec<&Pair> = pairs.iter().filter(|pair| pair.is_valid()).collect();
    let quiet: Vec<&Pair> = noise.iter().filter(|pair| pair.is_valid()).collect();
    let (effects, floors) = (differences(&valid, config.seed), differences(&quiet, config.seed ^ 0xA5A5));
    let measured = Metric::ALL.into_iter().map(|metric| {
        // Without a floor nobody knows how much of it is noise.
        let difference = effects.get(&metric).copied().filter(|_| floors.contains_key(&metric));
        let blocks = |side: fn(&Pair) -> &Block| values(valid.iter().map(|pair| side(pair)), metric);
        let (of_a, of_b) = (blocks(|p| &p.a), blocks(|p| &p.b));
        Measured {
            metric,
            a: level(valid.iter().map(|pair| &pair.a), metric),
            b: level(valid.iter().map(|pair| &pair.b), metric),
            difference,
            p_value: signed_rank(&paired(&valid, metric)),
            noise: floors.get(&metric).map(Interval::reach),
            spread_differs: spread_differs(&of_a, &of_b, config.alpha),
        }
    });
    let measured: Vec<Measured> = measured.collect();
    let mut notes = Vec::new();
    if quiet.len() < 6 {
        notes.push(format!("the noise floor rests on {} valid pairs; six are needed", quiet.len()));
    }
    if valid.len() < pairs.len() {
        notes.push(format!("{} of {} pairs did not count", pairs.len() - valid.len(), pairs.len()));
        notes.extend(first_reason(pairs));
    }
    let invalid = valid.len() < 8 || quiet.len() < 6;
    let kind = ComparisonKind::Interleaved;
    finish(kind, names, measured, (valid.len(), valid.len()), quiet.len(), notes, invalid, config)
}

/// Judges two runs that were made at different times. Their noise is how far the halves of each lie apart, so what
/// changed between the runs besides the build is not known; a note says so.
pub fn judge_runs(names: (&str, &str), a: &[Block], b: &[Block], config: &CompareConfig) -> Comparison {
    let valid =
        |blocks: &[Block]| blocks.iter().filter(|b| b.invalid.is_empty()).cloned().collect::<Vec<_>>();
    let (a, b) = (valid(a), valid(b));
    let measured = Metric::ALL.into_iter().map(|metric| {
        let logs = |blocks: &[Block]| on_scale(metric, &values(blocks.iter(), metric));
        let (of_a, of_b) = (logs(&a), logs(&b));
        let found = shift(&of_a, &of_b);
        let halves = |of: &[f64]| {
            let (first, second) = of.split_at(of.len() / 2);
            let found = shift(first, second);
            found.estimate.is_finite().then(|| found.reach())
        };
        Measured {
            metric,
            a: level(a.iter(), metric),
            b: level(b.iter(), metric),
            difference: found.estimate.is_finite().then_some(found),
            p_value: rank_sum(&of_a, &of_b),
            noise: halves(&of_a).into_iter().chain(halves(&of_b)).reduce(f64::max),
            spread_differs: spread_differs(&of_a, &of_b, config.alpha),
        }
    });
    let measured: Vec<Measured> = measured.collect();
    let notes = vec![
        "the runs were made at different times: whatever else changed between them is in the difference too. Blocks that take turns (`--a`, `--b`) do not have this fault"
            .to_owned(),
    ];
    let enough = super::MIN_BLOCKS;
    let invalid = a.len() < enough || b.len() < enough;
    finish(ComparisonKind::StoredRuns, names, measured, (a.len(), b.len()), 0, notes, invalid, config)
}

#[expect(clippy::too_many_arguments, reason = "the one place where both ways to measure come together")]
fn finish(
    kind: ComparisonKind,
    (a_name, b_name): (&str, &str),
    measured: Vec<Measured>,
    blocks: (usize, usize),
    noise_pairs: usize,
    mut notes: Vec<String>,
    invalid: bool,
    config: &CompareConfig,
) -> Comparison {
    let p: Vec<f64> = measured.iter().filter(|m| m.difference.is_some()).map(|m| m.p_value).collect();
    let mut adjusted = holm(&p).into_iter();
    let effects: Vec<Effect> = measured
        .into_iter()
        .map(|one| {
            let p_adjusted = if one.difference.is_some() { adjusted.next().unwrap_or(1.0) } else { 1.0 };
            effect(one, p_adjusted, config)
        })
        .collect();
    let outcome = outcome(&effects, invalid);
    if invalid {
        let (a, b) = blocks;
        notes.insert(0, format!("too few blocks count: {a} of A, {b} of B"));
    }
    let summary = summary(outcome, a_name, b_name, &effects);
    let (a_name, b_name) = (a_name.to_owned(), b_name.to_owned());
    Comparison { kind, a_name, b_name, outcome, summary, effects, blocks, noise_pairs, notes }
}

fn effect(one: Measured, p_adjusted: f64, config: &CompareConfig) -> Effect {
    let Measured { metric, a, b, difference, p_value, noise, spread_differs } = one;
    let effect = difference.map(|interval| interval.map(|d| metric.effect(d)));
    let least = if metric.scale() == Scale::Points { MIN_POINTS } else { config.min_effect };
    let noise_floor = noise.map(|d| metric.effect(d));
    let threshold = least.max(noise_floor.unwrap_or(0.0));
    let ruling = match effect {
        None => Ruling::NotMeasured,
        Some(found)
            if p_adjusted <= config.alpha && found.excludes_zero() && found.estimate.abs() > threshold =>
        {
            let higher = found.estimate > 0.0;
            if higher == (metric.better() == Better::Higher) { Ruling::Better } else { Ruling::Worse }
        }
        Some(_) => Ruling::NoDifference,
    };
    Effect {
        metric,
        scale: metric.scale(),
        a,
        b,
        effect,
        p_value,
        p_adjusted,
        noise_floor,
        threshold,
        spread_differs,
        ruling,
        gated: config.gate.is_empty() || config.gate.contains(&metric),
    }
}

fn outcome(effects: &[Effect], invalid: bool) -> Outcome {
    if invalid {
        Outcome::Invalid
    } else if effects.iter().any(|e| e.gated && e.ruling == Ruling::Worse) {
        Outcome::Regression
    } else if effects.iter().any(|e| e.gated && e.ruling == Ruling::Better) {
        Outcome::Improvement
    } else {
        Outcome::NoDifference
    }
}

fn summary(outcome: Outcome, a: &str, b: &str, effects: &[Effect]) -> String {
    let list = |ruling: Ruling| {
        let words = effects.iter().filter(|e| e.ruling == ruling).filter_map(Effect::words);
        words.collect::<Vec<_>>().join(", ")
    };
    let (better, worse) = (list(Ruling::Better), list(Ruling::Worse));
    let also =
        |what: &str, list: &str| if list.is_empty() { String::new() } else { format!("; {what}: {list}") };
    match outcome {
        Outcome::Regression => format!("{b} is worse than {a}: {worse}{}", also("better", &better)),
        Outcome::Improvement => {
            format!("{b} is better than {a}: {better}{}", also("worse, not gated", &worse))
        }
        Outcome::NoDifference => format!(
            "no difference between {a} and {b} is proven{}{}",
            also("better, not gated", &better),
            also("worse, not gated", &worse)
        ),
        Outcome::Invalid => format!("{a} and {b} cannot be compared"),
    }
}

impl Effect {
    /// The effect in a few words: `latency p99 −12.3 % (−15.0 to −9.1)`.
    pub fn words(&self) -> Option<String> {
        let found = self.effect?;
        let number = |x: f64| format!("{:+.1}", x * 100.0).replace('-', "−");
        let unit = if self.scale == Scale::Points { "points" } else { "%" };
        let name = self.metric.title();
        let name = name[..1].to_lowercase() + &name[1..];
        let name = if self.metric == Metric::CpuPerRequest { self.metric.title().to_owned() } else { name };
        Some(format!(
            "{name} {} {unit} ({} to {})",
            number(found.estimate),
            number(found.low),
            number(found.high)
        ))
    }
}

/// Differences of all metrics on their scales; percentiles by the block bootstrap, the rest by Hodges and Lehmann.
fn differences(pairs: &[&Pair], seed: u64) -> BTreeMap<Metric, Interval> {
    let mut found = BTreeMap::new();
    for metric in Metric::ALL {
        let differences = paired(pairs, metric);
        if !differences.is_empty() && differences.len() == pairs.len() {
            found.insert(metric, hodges_lehmann(&differences));
        }
    }
    let counts: Vec<(&Counts, &Counts)> =
        pairs.iter().map(|pair| (&pair.a.latency, &pair.b.latency)).collect();
    let least = |side: fn(&(&Counts, &Counts)) -> u64| counts.iter().map(side).sum::<u64>();
    let values = least(|pair| pair.0.total()).min(least(|pair| pair.1.total())) as f64;
    if values == 0.0 {
        return found; // only percentiles are known
    }
    let metrics: Vec<(Metric, f64)> =
        Metric::ALL.into_iter().filter_map(|m| Some((m, m.quantile()?))).collect();
    let quantiles: Vec<f64> = metrics.iter().map(|(_, q)| *q).collect();
    let intervals = bootstrap_quantiles(&counts, &quantiles, RESAMPLES, &mut Random::new(seed));
    for ((metric, q), interval) in metrics.into_iter().zip(intervals) {
        if values * (1.0 - q) >= MIN_BEYOND && interval.estimate.is_finite() {
            found.insert(metric, interval);
        } else {
            found.remove(&metric);
        }
    }
    found
}

/// The differences of each pair.
fn paired(pairs: &[&Pair], metric: Metric) -> Vec<f64> {
    let of = |pair: &&Pair| metric.difference(*pair.a.values.get(&metric)?, *pair.b.values.get(&metric)?);
    pairs.iter().filter_map(of).collect()
}

fn values<'a>(blocks: impl Iterator<Item = &'a Block>, metric: Metric) -> Vec<f64> {
    blocks.filter_map(|block| block.values.get(&metric).copied()).collect()
}

/// Values as logarithms on the relative scale.
fn on_scale(metric: Metric, values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .filter_map(|value| match metric.scale() {
            Scale::Relative => (*value > 0.0).then(|| value.ln()),
            Scale::Points => Some(*value),
        })
        .collect()
}

/// The value of some blocks: the quantile of all their requests, or the middle of the blocks. None where none has it.
pub fn level<'a>(blocks: impl Iterator<Item = &'a Block> + Clone, metric: Metric) -> Option<f64> {
    let merged = metric.quantile().and_then(|q| {
        Counts::merged(blocks.clone().map(|block| &block.latency)).quantile(q).map(|ns| ns as f64 / 1e6)
    });
    merged.or_else(|| Some(median(&values(blocks, metric))).filter(|value| value.is_finite()))
}

fn spread_differs(a: &[f64], b: &[f64], alpha: f64) -> bool {
    let centred = |values: &[f64]| {
        let middle = median(values);
        values.iter().map(|v| v - middle).collect::<Vec<_>>()
    };
    // Held to a fifth of alpha: centring makes the test a little too eager, and it is only a hint.
    kolmogorov_smirnov(&centred(a), &centred(b)).p_value <= alpha / 5.0
}

fn first_reason(pairs: &[Pair]) -> Option<String> {
    pairs.iter().flat_map(|pair| pair.a.invalid.iter().chain(&pair.b.invalid)).next().cloned()
}
