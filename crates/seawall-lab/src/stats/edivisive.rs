//! Where a history changed: E-divisive means (Matteson and James 2014), the way Netflix', MongoDB's and Apache Otava's
//! history checks work.
//!
//! The history is cut where the energy distance between the values before and after is largest. Whether that is more than
//! chance is asked by shuffling the values within the segments; then the segments are searched again, until nothing
//! is significant. No shape is assumed, and a single outlier makes no change point.

use super::Random;

/// Most values that are looked at; of a longer history the newest ones.
pub const MAX_HISTORY: usize = 500;
/// Least values on each side of a change.
const MIN_SEGMENT: usize = 3;
/// Shuffles per question.
const SHUFFLES: usize = 199;
/// More changes than this are not sought in one history.
const MAX_CHANGES: usize = 50;

/// A change in a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value after the change.
    pub at: usize,
    /// The chance of such a cut in a history without changes.
    pub p_value: f64,
}

/// The changes at a significance of `alpha`, in rising order. Values that are not finite must be left out before.
pub fn change_points(values: &[f64], alpha: f64, random: &mut Random) -> Vec<ChangePoint> {
    let offset = values.len().saturating_sub(MAX_HISTORY);
    let values = &values[offset..];
    let mut found: Vec<ChangePoint> = Vec::new();
    while found.len() < MAX_CHANGES {
        let mut cuts: Vec<usize> = found.iter().map(|change| change.at).collect();
        cuts.sort_unstable();
        let segments = segments(&cuts, values.len());
        let Some((at, strength)) = best(values, &segments) else { break };
        let stronger = (0..SHUFFLES).filter(|_| shuffled(values, &segments, random) >= strength).count();
        let p_value = (stronger + 1) as f64 / (SHUFFLES + 1) as f64;
        if p_value > alpha {
            break;
        }
        found.push(ChangePoint { at, p_value });
    }
    found.sort_by_key(|change| change.at);
    found.into_iter().map(|change| ChangePoint { at: change.at + offset, ..change }).collect()
}

fn segments(cuts: &[usize], end: usize) -> Vec<(usize, usize)> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts.zip(cuts.iter().copied().chain([end])).collect()
}

/// The best cut of all segments, and its strength.
fn best(values: &[f64], segments: &[(usize, usize)]) -> Option<(usize, f64)> {
    let cuts = segments
        .iter()
        .filter_map(|(from, to)| cut(&values[*from..*to]).map(|(at, strength)| (from + at, strength)));
    cuts.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn shuffled(values: &[f64], segments: &[(usize, usize)], random: &mut Random) -> f64 {
    let mut values = values.to_vec();
    segments.iter().for_each(|(from, to)| random.shuffle(&mut values[*from..*to]));
    best(&values, segments).map_or(0.0, |(_, strength)| strength)
}

/// The cut of one segment with the largest energy statistic. Moving the cut by one value changes the sums of distances
/// by that value's row, so all cuts together cost n^2.
fn cut(values: &[f64]) -> Option<(usize, f64)> {
    let n = values.len();
    if n < 2 * MIN_SEGMENT {
        return None;
    }
    let distances = |value: f64, others: &[f64]| others.iter().map(|o| (value - o).abs()).sum::<f64>();
    let (mut left, mut right) = (0.0, (0..n).map(|i| distances(values[i], &values[i + 1..])).sum::<f64>());
    let total = right;
    let mut best: Option<(usize, f64)> = None;
    for at in 1..=n - MIN_SEGMENT {
        left += distances(values[at - 1], &values[..at - 1]);
        right -= distances(values[at - 1], &values[at..]);
        if at < MIN_SEGMENT {
            continue;
        }
        let strength = energy(left, right, total - left - right, at as f64, (n - at) as f64);
        if best.is_none_or(|(_, known)| strength > known) {
            best = Some((at, strength));
        }
    }
    best
}

fn energy(left: f64, right: f64, across: f64, n: f64, m: f64) -> f64 {
    let within = |sum: f64, n: f64| sum / (n * (n - 1.0) / 2.0);
    n * m / (n + m) * (2.0 * across / (n * m) - within(left, n) - within(right, m))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Levels of 15 values each with noise of deviation 1.
    fn steps(levels: &[f64], seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        levels.iter().flat_map(|level| (0..15).map(|_| level + random.normal()).collect::<Vec<_>>()).collect()
    }

    fn found(values: &[f64]) -> Vec<usize> {
        change_points(values, 0.01, &mut Random::new(1)).into_iter().map(|change| change.at).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let found = found(&steps(&[10.0, 15.0], 3));
        assert!(found.len() == 1 && found[0].abs_diff(15) <= 1, "{found:?}");
    }
    #[test]
    fn two_steps_are_both_found() {
        let found = found(&steps(&[10.0, 15.0, 8.0], 4));
        assert!(found.len() == 2 && found[0].abs_diff(15) <= 1 && found[1].abs_diff(30) <= 1, "{found:?}");
    }
    #[test]
    fn an_outlier_is_no_change() {
        let mut values = steps(&[10.0, 10.0], 6);
        values[12] = 60.0;
        assert!(found(&values).is_empty());
    }
    #[test]
    fn too_short_a_history_has_no_change() {
        assert!(found(&[1.0, 1.0, 9.0, 9.0, 9.0]).is_empty());
        assert!(found(&[]).is_empty());
    }
    #[test]
    fn of_a_long_history_the_newest_values_are_looked_at() {
        let mut values = vec![0.0; 600];
        values[550..].fill(1.0);
        assert_eq!(found(&values), [550]);
    }
    #[test]
    fn a_quiet_history_is_called_changed_no_more_often_than_it_may() {
        let changed = (0..200)
            .filter(|seed| {
                let mut random = Random::new(*seed);
                let values: Vec<f64> = (0..20).map(|_| random.normal()).collect();
                !change_points(&values, 0.05, &mut random).is_empty()
            })
            .count();
        assert!(changed <= 20, "{changed} of 200 at 5 %");
    }

    proptest! {
        #[test]
        fn the_best_cut_is_the_naive_one(values in prop::collection::vec(-20i32..20, 6..18)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let sum = |a: &[f64], b: &[f64]| a.iter().map(|x| b.iter().map(|y| (x - y).abs()).sum::<f64>()).sum::<f64>();
            let naive = (MIN_SEGMENT..=values.len() - MIN_SEGMENT).map(|at| {
                let (l, r) = values.split_at(at);
                energy(sum(l, l) / 2.0, sum(r, r) / 2.0, sum(l, r), l.len() as f64, r.len() as f64)
            }).fold(f64::NEG_INFINITY, f64::max);
            let (_, strength) = cut(&values).unwrap();
            prop_assert!((strength - naive).abs() < 1e-9 * naive.abs().max(1.0), "{strength} {naive}");
        }
    }
}
