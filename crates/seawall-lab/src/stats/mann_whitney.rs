//! Two unpaired samples: the Mann-Whitney (Wilcoxon rank-sum) test, and the Hodges-Lehmann shift with its interval.
//!
//! Up to [`EXACT`] values together the distribution is counted out, ties included; beyond, it is the normal one.

use super::Interval;
use super::normal::{Z_95, two_sided};
use super::ranks::{cut, doubled_ranks, median_of_sorted, tie_term, two_sided_p};

/// Most values, of both samples together, that are counted out exactly.
const EXACT: usize = 60;
const TAIL: f64 = 0.025;

/// The two-sided p-value for "both samples come from one distribution"; 1 when one of them is empty.
pub fn rank_sum(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let both: Vec<f64> = a.iter().chain(b).copied().collect();
    let ranks = doubled_ranks(&both);
    let sum: u64 = ranks[..a.len()].iter().sum();
    if both.len() <= EXACT {
        let outcomes = choices(&ranks, a.len());
        let total = outcomes.iter().sum();
        return two_sided_p(&outcomes, total, sum as usize);
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let all = n + m;
    let mean = n * (all + 1.0) / 2.0;
    let variance = n * m / 12.0 * (all + 1.0 - tie_term(&ranks) / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0; // every value is the same
    }
    let distance = ((sum as f64 / 2.0 - mean).abs() - 0.5).max(0.0);
    two_sided(distance / variance.sqrt())
}

/// How many choices of `wanted` ranks have each sum.
fn choices(ranks: &[u64], wanted: usize) -> Vec<f64> {
    let total: usize = ranks.iter().sum::<u64>() as usize;
    let mut ways = vec![vec![0.0; total + 1]; wanted + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        let rank = *rank as usize;
        for chosen in (1..=wanted).rev() {
            let (before, after) = ways.split_at_mut(chosen);
            let (before, after) = (&before[chosen - 1], &mut after[0]);
            for sum in rank..=total {
                after[sum] += before[sum - rank];
            }
        }
    }
    ways.swap_remove(wanted)
}

/// How far `b` lies above `a`: the median of all differences, with its 95 % interval. Where the samples are too small for
/// 95 % the widest interval is given, with its level. NaN when one is empty.
pub fn shift(a: &[f64], b: &[f64]) -> Interval {
    if a.is_empty() || b.is_empty() {
        return Interval { estimate: f64::NAN, low: f64::NAN, high: f64::NAN, level: 0.0 };
    }
    let mut differences: Vec<f64> = a.iter().flat_map(|x| b.iter().map(move |y| y - x)).collect();
    differences.sort_by(f64::total_cmp);
    let (cut, tail) = cut_differences(a.len(), b.len());
    let cut = cut.clamp(1, differences.len().div_ceil(2));
    Interval {
        estimate: median_of_sorted(&differences),
        low: differences[cut - 1],
        high: differences[differences.len() - cut],
        level: 1.0 - 2.0 * tail,
    }
}

fn cut_differences(n: usize, m: usize) -> (usize, f64) {
    if n + m <= EXACT {
        let ranks: Vec<u64> = (1..=(n + m) as u64).collect();
        let sums = choices(&ranks, n);
        let smallest = n * (n + 1) / 2; // U is the sum above this
        let total: f64 = sums.iter().sum();
        return match cut(&sums[smallest..], total, TAIL) {
            (0, _) => (1, 1.0 / total),
            cut => cut,
        };
    }
    let (n, m) = (n as f64, m as f64);
    let at = n * m / 2.0 - Z_95 * (n * m * (n + m + 1.0) / 12.0).sqrt();
    (at.floor().max(1.0) as usize, TAIL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::Random;

    /// All ways to choose which values are `a`.
    fn naive(a: &[f64], b: &[f64]) -> f64 {
        let both: Vec<f64> = a.iter().chain(b).copied().collect();
        let rank = |v: f64| {
            let less = both.iter().filter(|o| **o < v).count() as f64;
            less + (both.iter().filter(|o| **o == v).count() as f64 + 1.0) / 2.0
        };
        let ranks: Vec<f64> = both.iter().map(|v| rank(*v)).collect();
        let observed: f64 = ranks[..a.len()].iter().sum();
        let (mut low, mut high, mut all) = (0u32, 0u32, 0u32);
        for choice in 0u32..1 << both.len() {
            if choice.count_ones() as usize != a.len() {
                continue;
            }
            let sum: f64 =
                ranks.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, r)| r).sum();
            all += 1;
            low += u32::from(sum <= observed + 1e-9);
            high += u32::from(sum >= observed - 1e-9);
        }
        (2.0 * f64::from(low.min(high)) / f64::from(all)).min(1.0)
    }

    #[test]
    fn a_book_agrees() {
        // Hollander and Wolfe, table 4.1 (permeability): two-sided p = 0.2544, shift 0.305, interval -0.15 to 0.76.
        let a = [1.15, 0.88, 0.90, 0.74, 1.21];
        let b = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        assert!((rank_sum(&a, &b) - 0.254_412_25).abs() < 1e-6, "{}", rank_sum(&a, &b));
        let found = shift(&a, &b);
        assert!((found.estimate - 0.305).abs() < 1e-9, "{found:?}");
        assert!((found.low + 0.15).abs() < 1e-9 && (found.high - 0.76).abs() < 1e-9, "{found:?}");
    }
    #[test]
    fn equal_values_are_no_difference_however_many() {
        assert_eq!(rank_sum(&[1.0; 5], &[1.0; 6]), 1.0);
        assert_eq!(rank_sum(&[1.0; 50], &[1.0; 60]), 1.0);
    }
    #[test]
    fn an_empty_sample_says_nothing() {
        assert_eq!(rank_sum(&[], &[1.0]), 1.0);
        assert!(shift(&[], &[1.0]).estimate.is_nan());
    }
    #[test]
    fn large_samples_use_the_normal_form_and_see_a_shift() {
        let mut random = Random::new(2);
        let a: Vec<f64> = (0..80).map(|_| random.normal()).collect();
        let b: Vec<f64> = (0..80).map(|_| random.normal() + 1.0).collect();
        assert!(rank_sum(&a, &b) < 1e-4);
        let found = shift(&a, &b);
        assert!(found.low < 1.0 && 1.0 < found.high && found.low > 0.0, "{found:?}");
    }

    proptest! {
        #[test]
        fn the_exact_test_is_the_naive_one(
            a in prop::collection::vec(0i32..6, 1..6), b in prop::collection::vec(0i32..6, 1..7),
        ) {
            let [a, b] = [a, b].map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
            prop_assert!((rank_sum(&a, &b) - naive(&a, &b)).abs() < 1e-9);
        }
        #[test]
        fn test_and_interval_agree_without_ties(seed in 0u64..5000, n in 4usize..15, m in 4usize..15, by in -2.0..2.0f64) {
            let mut random = Random::new(seed);
            let a: Vec<f64> = (0..n).map(|_| random.normal()).collect();
            let b: Vec<f64> = (0..m).map(|_| random.normal() + by).collect();
            prop_assert_eq!(rank_sum(&a, &b) <= 0.05, shift(&a, &b).excludes_zero());
        }
        #[test]
        fn the_sides_are_mirrored(a in prop::collection::vec(-9.0..9.0f64, 1..12), b in prop::collection::vec(-9.0..9.0f64, 1..12)) {
            let (there, back) = (shift(&a, &b), shift(&b, &a));
            prop_assert!((there.low + back.high).abs() < 1e-9 && (there.estimate + back.estimate).abs() < 1e-9);
            prop_assert!((rank_sum(&a, &b) - rank_sum(&b, &a)).abs() < 1e-9);
        }
    }
}
