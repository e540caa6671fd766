//! Simulated builds: how often a difference is claimed where there is none, and found where there is one.

use std::collections::BTreeMap;

use super::*;
use crate::stats::{Counts, Random};

/// A service whose latency is log-normal, whose blocks drift, and whose pairs share half of the drift.
struct Simulated {
    random: Random,
    drift: f64,
}

impl Simulated {
    fn block(&mut self, scale: f64, shared: f64) -> Block {
        let level = scale * (shared + self.drift * self.random.normal()).exp();
        let draws: Vec<u64> = (0..600)
            .map(|_| (level * (0.6 * self.random.normal()).exp() * 1e6) as u64 / 20_000 * 20_000 + 10_000)
            .collect();
        let latency = Counts::new(draws.into_iter().map(|ns| (ns, 1)).collect());
        let at = |q| latency.quantile(q).unwrap() as f64 / 1e6;
        let rps = 5000.0 / level * (0.01 * self.random.normal()).exp();
        let values = BTreeMap::from([
            (Metric::Throughput, rps),
            (Metric::P50, at(0.5)),
            (Metric::P99, at(0.99)),
            (Metric::CpuPerRequest, 100.0 * level),
            (Metric::ErrorRate, 0.0),
        ]);
        Block { values, latency, ..Block::default() }
    }

    fn pairs(&mut self, count: usize, b: f64) -> Vec<Pair> {
        (0..count)
            .map(|_| {
                let shared = self.drift * self.random.normal();
                Pair { a: self.block(1.0, shared), b: self.block(b, shared) }
            })
            .collect()
    }
}

fn compare(seed: u64, drift: f64, b: f64) -> Comparison {
    let mut simulated = Simulated { random: Random::new(seed), drift };
    let noise = simulated.pairs(6, 1.0);
    judge_pairs(
        ("old", "new"),
        &simulated.pairs(10, b),
        &noise,
        &CompareConfig { seed, ..CompareConfig::default() },
    )
}

fn ruling(of: &Comparison, metric: Metric) -> Ruling {
    of.effects.iter().find(|effect| effect.metric == metric).unwrap().ruling
}

#[test]
fn equal_builds_are_called_equal_at_least_95_times_of_100() {
    let equal = (0..100).filter(|seed| compare(*seed, 0.05, 1.0).outcome == Outcome::NoDifference).count();
    assert!(equal >= 95, "{equal} of 100");
}

#[test]
fn a_build_that_takes_a_third_longer_is_found() {
    let found = (0..30).filter(|seed| compare(*seed, 0.05, 1.33).outcome == Outcome::Regression).count();
    assert!(found >= 29, "{found} of 30");
}

#[test]
fn a_faster_build_is_an_improvement_and_its_effect_is_right() {
    let found = compare(1, 0.02, 0.8);
    assert_eq!(found.outcome, Outcome::Improvement);
    assert_eq!(ruling(&found, Metric::P50), Ruling::Better);
    assert_eq!(ruling(&found, Metric::Throughput), Ruling::Better);
    let p50 = found.effects.iter().find(|e| e.metric == Metric::P50).unwrap();
    assert!((p50.effect.unwrap().estimate + 0.2).abs() < 0.04, "{p50:?}");
    assert!(found.summary.starts_with("new is better than old: throughput +"), "{}", found.summary);
}

#[test]
fn an_effect_within_the_noise_floor_is_not_claimed() {
    let mut noisy = Simulated { random: Random::new(3), drift: 0.15 };
    let noise = noisy.pairs(6, 1.0);
    let mut quiet = Simulated { random: Random::new(4), drift: 0.005 };
    let found = judge_pairs(("a", "b"), &quiet.pairs(10, 1.06), &noise, &CompareConfig::default());
    let p50 = found.effects.iter().find(|e| e.metric == Metric::P50).unwrap();
    assert!(p50.effect.unwrap().excludes_zero() && p50.ruling == Ruling::NoDifference, "{p50:?}");
}

#[test]
fn a_regression_outside_the_gate_does_not_fail_but_is_named() {
    let mut simulated = Simulated { random: Random::new(9), drift: 0.01 };
    let noise = simulated.pairs(6, 1.0);
    let config = CompareConfig { gate: vec![Metric::ErrorRate], ..CompareConfig::default() };
    let found = judge_pairs(("a", "b"), &simulated.pairs(10, 1.5), &noise, &config);
    assert_eq!(found.outcome, Outcome::NoDifference);
    assert!(found.summary.contains("worse, not gated: throughput"), "{}", found.summary);
}

#[test]
fn errors_alone_are_a_regression() {
    let mut simulated = Simulated { random: Random::new(5), drift: 0.01 };
    let noise = simulated.pairs(6, 1.0);
    let mut pairs = simulated.pairs(10, 1.0);
    pairs.iter_mut().for_each(|pair| {
        pair.b.values.insert(Metric::ErrorRate, 0.02);
    });
    let found = judge_pairs(("a", "b"), &pairs, &noise, &CompareConfig::default());
    assert_eq!((found.outcome, ruling(&found, Metric::ErrorRate)), (Outcome::Regression, Ruling::Worse));
}

#[test]
fn a_percentile_with_too_few_requests_is_not_judged() {
    // 6,000 requests have six beyond p99.9.
    assert_eq!(ruling(&compare(1, 0.05, 2.0), Metric::P999), Ruling::NotMeasured);
}

#[test]
fn pairs_that_do_not_count_make_the_comparison_invalid() {
    let mut simulated = Simulated { random: Random::new(6), drift: 0.05 };
    let noise = simulated.pairs(6, 1.0);
    let mut pairs = simulated.pairs(10, 2.0);
    pairs[..3].iter_mut().for_each(|pair| pair.b.invalid = vec!["generator late".into()]);
    let found = judge_pairs(("a", "b"), &pairs, &noise, &CompareConfig::default());
    assert_eq!(found.outcome, Outcome::Invalid);
    assert!(found.notes.iter().any(|note| note == "generator late"), "{:?}", found.notes);
}

#[test]
fn stored_runs_are_compared_with_their_own_halves_as_noise() {
    let mut simulated = Simulated { random: Random::new(7), drift: 0.02 };
    let run =
        |simulated: &mut Simulated, scale| (0..12).map(|_| simulated.block(scale, 0.0)).collect::<Vec<_>>();
    let (a, same, slow) = (run(&mut simulated, 1.0), run(&mut simulated, 1.0), run(&mut simulated, 1.4));
    let config = CompareConfig::default();
    assert_eq!(judge_runs(("a", "b"), &a, &same, &config).outcome, Outcome::NoDifference);
    let found = judge_runs(("a", "b"), &a, &slow, &config);
    assert_eq!(found.outcome, Outcome::Regression);
    assert!(found.notes[0].contains("different times"));
}

#[test]
fn a_run_that_drifts_has_a_noise_floor_as_large_as_its_drift() {
    let mut simulated = Simulated { random: Random::new(8), drift: 0.01 };
    let drifting: Vec<Block> = (0..12).map(|i| simulated.block(1.0 + 0.05 * f64::from(i), 0.0)).collect();
    let slower: Vec<Block> = (0..12).map(|i| simulated.block(1.2 + 0.05 * f64::from(i), 0.0)).collect();
    let found = judge_runs(("a", "b"), &drifting, &slower, &CompareConfig::default());
    assert_eq!(found.outcome, Outcome::NoDifference, "{}", found.summary);
}

#[test]
fn a_comparison_survives_json() {
    let found = compare(2, 0.05, 1.1);
    let back: Comparison = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(back.outcome, found.outcome);
    assert_eq!(back.effects.len(), Metric::ALL.len());
}

#[test]
fn values_out_of_range_are_named() {
    let of = |config: CompareConfig| config.check().unwrap_err().to_string();
    assert!(of(CompareConfig { pairs: 3, ..CompareConfig::default() }).starts_with("`compare.pairs` is 3"));
    assert!(
        of(CompareConfig { alpha: 0.5, ..CompareConfig::default() }).starts_with("`compare.alpha` is 0.5")
    );
    assert!(CompareConfig::default().check().is_ok());
}
