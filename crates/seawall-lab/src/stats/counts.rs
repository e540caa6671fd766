//! A latency distribution as values and how often each was seen: what is stored of a block, and what is resampled.

use seawall_core::Histogram;
use serde::{Deserialize, Serialize};

/// Values in rising order with their counts. A value stands for its histogram bucket, so it is off by at most 0.4 %.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(Vec<(u64, u64)>);

impl Counts {
    /// Out of pairs in any order. Counts of one value are added up, zeros are left out.
    pub fn new(mut pairs: Vec<(u64, u64)>) -> Self {
        pairs.retain(|(_, count)| *count > 0);
        pairs.sort_unstable();
        pairs.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 = if same { kept.1.saturating_add(next.1) } else { kept.1 };
            same
        });
        Self(pairs)
    }

    /// The middles of a histogram's buckets.
    pub fn of(histogram: &Histogram) -> Self {
        Self(histogram.iter().map(|(low, high, count)| (low + (high - low) / 2, count)).collect())
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The value at or below which a share `q` of all lies; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let wanted = rank(q, self.total())?;
        let mut seen = 0;
        self.0.iter().find_map(|(value, count)| {
            seen += count;
            (seen >= wanted).then_some(*value)
        })
    }

    /// Both together.
    #[must_use]
    pub fn merged<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::new(all.into_iter().flat_map(|one| one.0.iter().copied()).collect())
    }

    /// The values with their counts, in rising order.
    pub fn pairs(&self) -> &[(u64, u64)] {
        &self.0
    }
}

/// Which of `total` sorted values, counted from 1, is the quantile; `None` of nothing.
pub(super) fn rank(q: f64, total: u64) -> Option<u64> {
    (total > 0).then(|| ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_agree_with_a_sorted_list(mut values in prop::collection::vec(1u64..50, 1..60), q in 0.0..=1.0f64) {
            let counts = Counts::new(values.iter().map(|v| (*v, 1)).collect());
            values.sort_unstable();
            let place = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            prop_assert_eq!(counts.quantile(q), Some(values[place - 1]));
            prop_assert_eq!(counts.total(), values.len() as u64);
        }
        #[test]
        fn a_histogram_keeps_its_quantiles(values in prop::collection::vec(1u64..10_000_000_000, 1..60)) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|v| histogram.record(*v));
            let (ours, exact) = (Counts::of(&histogram).quantile(0.9).unwrap() as f64, histogram.quantile(0.9) as f64);
            prop_assert!((ours - exact).abs() <= exact * 0.005, "{ours} {exact}");
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Counts::default().quantile(0.5), None);
        assert_eq!(Counts::merged([]), Counts::default());
    }
}
