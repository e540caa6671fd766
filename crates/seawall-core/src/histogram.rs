//! Log-linear histogram of durations in nanoseconds: what every latency in Seawall is counted in.
//!
//! Values below 128 have a bucket each; above, every power of two is cut into 128 equal buckets. A quantile is
//! therefore wrong by less than 0.8 % of itself, whatever the range, and recording is a shift, an add and no branch
//! on the data's size. The memory is fixed: 4,608 counters, 36 KiB.
//!
//! Left out: atomics (one histogram per thread, merged by whoever reads), decay, and any unit but nanoseconds.

/// Sub-buckets per power of two.
const SUB_BUCKETS: usize = 1 << SUB_BITS;
/// Binary digits that are kept below the leading one.
const SUB_BITS: u32 = 7;
/// One hour: the largest value that is told apart from larger ones.
const MAX_NS: u64 = 3_600_000_000_000;
/// Buckets up to and with the one of [`MAX_NS`]'s power of two.
const BUCKETS: usize = (MAX_NS.ilog2() - SUB_BITS + 2) as usize * SUB_BUCKETS;

/// Counts of nanosecond values from 1 ns to 1 h. Values outside are clamped to that range, never dropped.
///
/// ```
/// use seawall_core::Histogram;
///
/// let mut latency = Histogram::new();
/// for micros in 1..=100 {
///     latency.record(micros * 1_000);
/// }
/// assert_eq!(latency.count(), 100);
/// assert_eq!(latency.max(), 100_000);
/// let p50 = latency.quantile(0.5) as f64;
/// assert!((p50 - 50_000.0).abs() < 50_000.0 * 0.008);
/// ```
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    sum: u128,
    /// `u64::MAX` while empty, so that the first value replaces it.
    min: u64,
    max: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), count: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    /// Counts one value in nanoseconds; 0 counts as 1 ns, more than one hour as one hour.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// Counts the same value `n` times.
    #[inline]
    pub fn record_n(&mut self, ns: u64, n: u64) {
        if n == 0 {
            return;
        }
        let ns = ns.clamp(1, MAX_NS);
        self.counts[index_of(ns)] += n;
        self.count += n;
        self.sum += u128::from(ns) * u128::from(n);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        let used = other.used();
        for (mine, theirs) in self.counts[used.clone()].iter_mut().zip(&other.counts[used]) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The value below or at which a share `q` of all values lies (0.99 is p99), in nanoseconds; 0 when empty.
    ///
    /// `q` is clamped to 0..1. The answer is the middle of the value's bucket, at most 0.4 % off, and never outside
    /// [`min`](Self::min)..[`max`](Self::max): `quantile(1.0)` is the exact maximum.
    pub fn quantile(&self, q: f64) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let wanted = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        if wanted == self.count {
            return self.max;
        }
        let mut seen = 0;
        for index in self.used() {
            seen += self.counts[index];
            if seen >= wanted {
                let (lower, upper) = bounds_of(index);
                return (lower + (upper - lower) / 2).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// The exact mean of all (clamped) values in nanoseconds; 0 when empty.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The exact smallest value in nanoseconds; 0 when empty.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The exact largest value in nanoseconds; 0 when empty.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets everything; the memory stays.
    pub fn clear(&mut self) {
        let used = self.used();
        self.counts[used].fill(0);
        (self.count, self.sum, self.min, self.max) = (0, 0, u64::MAX, 0);
    }

    /// The buckets that hold something, from small to large: first value, last value (both inclusive), count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.used().filter(|&index| self.counts[index] > 0).map(|index| {
            let (lower, upper) = bounds_of(index);
            (lower, upper, self.counts[index])
        })
    }

    /// The indices between the smallest and the largest value: all others are zero.
    fn used(&self) -> std::ops::Range<usize> {
        if self.count == 0 { 0..0 } else { index_of(self.min)..index_of(self.max) + 1 }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("min", &self.min())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

/// The bucket of a value that is already clamped. Linear below 128; above, 128 per power of two.
#[inline]
fn index_of(ns: u64) -> usize {
    let power = (ns | (SUB_BUCKETS as u64 - 1)).ilog2(); // at least SUB_BITS - 1
    if power < SUB_BITS {
        return ns as usize;
    }
    let shift = power - SUB_BITS;
    // `ns >> shift` is 128..256: the leading one adds the first 128 to the row's start.
    (shift as usize) * SUB_BUCKETS + (ns >> shift) as usize
}

/// First and last value of a bucket, both inclusive.
fn bounds_of(index: usize) -> (u64, u64) {
    if index < SUB_BUCKETS {
        return (index as u64, index as u64);
    }
    let shift = index / SUB_BUCKETS - 1;
    let lower = ((index % SUB_BUCKETS + SUB_BUCKETS) as u64) << shift;
    (lower, lower + (1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|&value| histogram.record(value));
        histogram
    }

    /// Values of every size, not only large ones.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value =
            (0u32..42, any::<u64>()).prop_map(|(bits, noise)| (1 << bits) | (noise & ((1 << bits) - 1)));
        proptest::collection::vec(value.prop_map(|v| v.min(MAX_NS)), 1..300)
    }

    #[test]
    fn an_empty_one_says_zero() {
        let empty = Histogram::new();
        assert_eq!((empty.count(), empty.min(), empty.max(), empty.quantile(0.5)), (0, 0, 0, 0));
        assert_eq!(empty.mean(), 0.0);
        assert_eq!(empty.iter().count(), 0);
    }

    #[test]
    fn values_outside_the_range_are_clamped_not_lost() {
        let histogram = filled(&[0, u64::MAX]);
        assert_eq!((histogram.count(), histogram.min(), histogram.max()), (2, 1, MAX_NS));
    }

    #[test]
    fn the_memory_is_what_the_header_says() {
        assert_eq!(BUCKETS, 4608);
        assert_eq!(index_of(MAX_NS) / SUB_BUCKETS, BUCKETS / SUB_BUCKETS - 1);
    }

    #[test]
    fn buckets_touch_and_do_not_overlap() {
        for index in 1..BUCKETS {
            let (lower, upper) = bounds_of(index);
            assert_eq!(bounds_of(index - 1).1 + 1, lower, "bucket {index}");
            assert_eq!((index_of(lower), index_of(upper)), (index, index));
        }
    }

    proptest! {
        #[test]
        fn quantiles_agree_with_a_sorted_list(mut values in values(), q in 0.0f64..=1.0) {
            let histogram = filled(&values);
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (exact, ours) = (values[rank - 1] as f64, histogram.quantile(q) as f64);
            prop_assert!((exact - ours).abs() <= exact * 0.008, "exact {exact}, ours {ours}");
        }

        #[test]
        fn extremes_count_and_mean_are_exact(values in values()) {
            let histogram = filled(&values);
            prop_assert_eq!(histogram.min(), *values.iter().min().unwrap());
            prop_assert_eq!(histogram.max(), *values.iter().max().unwrap());
            prop_assert_eq!(histogram.quantile(1.0), histogram.max());
            prop_assert_eq!(histogram.count(), values.len() as u64);
            let mean = values.iter().map(|&v| v as f64).sum::<f64>() / values.len() as f64;
            prop_assert!((histogram.mean() - mean).abs() <= mean * 1e-9);
        }

        #[test]
        fn merging_is_counting_both(a in values(), b in values()) {
            let mut merged = filled(&a);
            merged.merge(&filled(&b));
            let both = filled(&[a, b].concat());
            prop_assert_eq!(merged.iter().collect::<Vec<_>>(), both.iter().collect::<Vec<_>>());
            prop_assert_eq!((merged.min(), merged.max(), merged.mean()), (both.min(), both.max(), both.mean()));
        }

        #[test]
        fn every_value_is_inside_its_bucket(value in 1..=MAX_NS, n in 1u64..1000) {
            let mut histogram = Histogram::new();
            histogram.record_n(value, n);
            let buckets: Vec<_> = histogram.iter().collect();
            prop_assert_eq!(buckets.len(), 1);
            let (lower, upper, count) = buckets[0];
            prop_assert!(lower <= value && value <= upper && count == n);
            histogram.clear();
            prop_assert_eq!((histogram.count(), histogram.iter().count()), (0, 0));
        }
    }
}
