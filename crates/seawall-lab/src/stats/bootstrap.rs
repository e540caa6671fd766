//! Percentiles of two builds: how far one lies above the other, by resampling whole pairs of blocks.
//!
//! Requests in one block depend on each other (one pause slows many), so a request is no unit; a block is.

use super::counts::{Counts, rank};
use super::{Interval, Random};

/// For each quantile the logarithm of `b / a` over the merged blocks, with its 95 % percentile interval from `resamples` draws
/// of pairs with replacement. NaN where a side has no values.
///
/// The same pairs are drawn for all quantiles, so their intervals belong together.
pub fn bootstrap_quantiles(
    pairs: &[(&Counts, &Counts)],
    quantiles: &[f64],
    resamples: usize,
    random: &mut Random,
) -> Vec<Interval> {
    let (a, b): (Vec<&Counts>, Vec<&Counts>) = pairs.iter().copied().unzip();
    let (a, b) = (Dense::new(&a), Dense::new(&b));
    let all: Vec<usize> = (0..pairs.len()).collect();
    let estimates = ratios(&a, &b, &all, quantiles);
    let mut drawn = vec![Vec::with_capacity(resamples); quantiles.len()];
    for _ in 0..resamples {
        let choice: Vec<usize> = all.iter().map(|_| random.below(pairs.len())).collect();
        for (values, ratio) in drawn.iter_mut().zip(ratios(&a, &b, &choice, quantiles)) {
            values.push(ratio);
        }
    }
    drawn.into_iter().zip(estimates).map(|(values, estimate)| interval(values, estimate)).collect()
}

fn interval(mut values: Vec<f64>, estimate: f64) -> Interval {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    if values.is_empty() || !estimate.is_finite() {
        return Interval { estimate: f64::NAN, low: f64::NAN, high: f64::NAN, level: 0.0 };
    }
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Interval { estimate, low: at(0.025), high: at(0.975), level: 0.95 }
}

fn ratios(a: &Dense, b: &Dense, choice: &[usize], quantiles: &[f64]) -> Vec<f64> {
    let (a, b) = (a.quantiles(choice, quantiles), b.quantiles(choice, quantiles));
    a.into_iter().zip(b).map(|(a, b)| (b / a).ln()).collect()
}

/// Blocks over one list of values, so that merging is adding.
struct Dense {
    values: Vec<u64>,
    counts: Vec<Vec<u64>>,
}

impl Dense {
    fn new(blocks: &[&Counts]) -> Self {
        let values: Vec<u64> =
            Counts::merged(blocks.iter().copied()).pairs().iter().map(|(value, _)| *value).collect();
        let counts = blocks.iter().map(|block| {
            let mut row = vec![0; values.len()];
            for (value, count) in block.pairs() {
                if let Ok(at) = values.binary_search(value) {
                    row[at] = *count;
                }
            }
            row
        });
        Self { counts: counts.collect(), values }
    }

    /// Quantiles of the chosen blocks together, NaN without values.
    fn quantiles(&self, choice: &[usize], quantiles: &[f64]) -> Vec<f64> {
        let mut sum = vec![0u64; self.values.len()];
        for block in choice {
            sum.iter_mut().zip(&self.counts[*block]).for_each(|(sum, count)| *sum += count);
        }
        let total: u64 = sum.iter().sum();
        let of = |q: &f64| {
            let wanted = rank(*q, total)?;
            let mut seen = 0;
            let at = sum.iter().position(|count| {
                seen += count;
                seen >= wanted
            })?;
            Some(self.values[at] as f64)
        };
        quantiles.iter().map(|q| of(q).unwrap_or(f64::NAN)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(random: &mut Random, scale: f64, drift: f64) -> Counts {
        let shift = drift * random.normal();
        let draw = |random: &mut Random| ((random.normal() * 0.5 + shift).exp() * 1e6 * scale) as u64;
        Counts::new((0..400).map(|_| (draw(random).max(1) / 10_000 * 10_000 + 5_000, 1)).collect())
    }

    fn found(scale: f64, drift: f64, seed: u64) -> Vec<Interval> {
        let mut random = Random::new(seed);
        let pairs: Vec<(Counts, Counts)> =
            (0..10).map(|_| (block(&mut random, 1.0, drift), block(&mut random, scale, drift))).collect();
        let pairs: Vec<(&Counts, &Counts)> = pairs.iter().map(|(a, b)| (a, b)).collect();
        bootstrap_quantiles(&pairs, &[0.5, 0.9], 300, &mut random)
    }

    #[test]
    fn the_estimate_is_the_quantile_of_the_merged_blocks() {
        let mut random = Random::new(1);
        let pairs: Vec<(Counts, Counts)> =
            (0..4).map(|_| (block(&mut random, 1.0, 0.1), block(&mut random, 1.3, 0.1))).collect();
        let of = |side: Vec<&Counts>| Counts::merged(side).quantile(0.9).unwrap() as f64;
        let expected =
            (of(pairs.iter().map(|p| &p.1).collect()) / of(pairs.iter().map(|p| &p.0).collect())).ln();
        let pairs: Vec<(&Counts, &Counts)> = pairs.iter().map(|(a, b)| (a, b)).collect();
        let found = bootstrap_quantiles(&pairs, &[0.9], 10, &mut random);
        assert!((found[0].estimate - expected).abs() < 1e-12);
    }

    #[test]
    fn a_slower_build_is_seen_at_every_quantile() {
        for found in found(1.3, 0.02, 7) {
            assert!(found.excludes_zero() && (found.estimate - 1.3f64.ln()).abs() < 0.06, "{found:?}");
        }
    }

    #[test]
    fn drift_between_blocks_widens_the_interval() {
        let width = |i: &Interval| i.high - i.low;
        assert!(width(&found(1.0, 0.2, 7)[0]) > 3.0 * width(&found(1.0, 0.0, 7)[0]));
    }

    /// The percentile bootstrap of ten blocks is known to be a little narrow; it must not be much.
    #[test]
    fn the_interval_holds_the_truth_nearly_as_often_as_it_says() {
        let held = (0..200).filter(|seed| !found(1.0, 0.1, *seed)[0].excludes_zero()).count();
        assert!(held >= 168, "{held} of 200");
    }

    #[test]
    fn a_side_without_values_has_no_ratio() {
        let empty = Counts::default();
        let full = Counts::new(vec![(5, 5)]);
        let found = bootstrap_quantiles(&[(&empty, &full)], &[0.5], 10, &mut Random::new(1));
        assert!(found[0].estimate.is_nan() && found[0].level == 0.0);
    }
}
