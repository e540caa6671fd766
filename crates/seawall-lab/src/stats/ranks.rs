//! Ranks with ties, and order statistics.

/// Twice the rank of each value, 2 for the smallest: whole numbers even where ties share the mean of their ranks.
pub(super) fn doubled_ranks(values: &[f64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let same = order[from..].iter().take_while(|i| values[**i] == values[order[from]]).count().max(1);
        // Ranks from+1 to from+same have the mean from + (same + 1) / 2.
        let doubled = (2 * from + same + 1) as u64;
        order[from..from + same].iter().for_each(|i| ranks[*i] = doubled);
        from += same;
    }
    ranks
}

/// Sum over groups of ties of t^3 - t, for the variance of rank sums.
pub(super) fn tie_term(doubled: &[u64]) -> f64 {
    let mut sorted = doubled.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).map(|group| (group.len() as f64).powi(3) - group.len() as f64).sum()
}

/// The middle of sorted values; NaN when empty.
pub(super) fn median_of_sorted(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The two-sided p-value of a statistic at `at`, from how many outcomes give each of its values (they sum to `total`).
pub(super) fn two_sided_p(outcomes: &[f64], total: f64, at: usize) -> f64 {
    let below: f64 = outcomes[..=at.min(outcomes.len() - 1)].iter().sum();
    let above: f64 = outcomes[at.min(outcomes.len())..].iter().sum();
    (2.0 * below.min(above) / total).min(1.0)
}

/// How many of the smallest outcomes may be cut off on each side so that at most `tail` of all lie there: the largest `k`
/// such that the share at or below `k` is at most `tail`, plus one; 0 when even the smallest is more. Second, the
/// share that is really cut off on one side.
pub(super) fn cut(outcomes: &[f64], total: f64, tail: f64) -> (usize, f64) {
    let (mut share, mut cut) = (0.0, (0, 0.0));
    for (k, count) in outcomes.iter().enumerate() {
        share += count / total;
        if share > tail {
            break;
        }
        cut = (k + 1, share);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        assert_eq!(doubled_ranks(&[3.0, 1.0, 3.0, 0.5]), [7, 4, 7, 2]);
        assert_eq!(tie_term(&[7, 4, 7, 2]), 6.0);
    }
    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        assert_eq!(median_of_sorted(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!(median_of_sorted(&[]).is_nan());
    }
}
