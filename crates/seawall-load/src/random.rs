//! Reproducible randomness: a seed gives the same numbers on every machine.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): eight bytes of state, two
//! multiplications per number. Left out: anything secret. Nobody must guess these numbers' successors for a living.

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for part number `part` of the same run.
    pub(crate) fn part(seed: u64, part: u64) -> Self {
        let mut of_part = Self::new(part.wrapping_add(1));
        Self::new(seed ^ of_part.next())
    }

    /// 64 even bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Even in 0..1, without 1.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Even in 0..`below`; 0 if that is 0. The bias is below 2^-32 for what fits into 32 bits (Lemire's
    /// multiplication, without its rejection).
    #[inline]
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(below)) >> 64) as u64
    }

    /// Exponential with mean 1: the gap between two arrivals of a Poisson process with rate 1.
    #[inline]
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_paper() {
        let mut random = Random::new(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn parts_of_a_run_differ() {
        let firsts: std::collections::BTreeSet<u64> =
            (0..1_000).map(|part| Random::part(7, part).next()).collect();
        assert_eq!(firsts.len(), 1_000);
    }

    #[test]
    fn numbers_are_even_in_their_range() {
        let mut random = Random::new(1);
        let mut seen = [0u32; 10];
        (0..100_000).for_each(|_| seen[random.below(10) as usize] += 1);
        // 10,000 each, with a standard deviation of 95.
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }

    #[test]
    fn the_exponential_has_mean_and_deviation_one() {
        let mut random = Random::new(2);
        let values: Vec<f64> = (0..100_000).map(|_| random.exponential()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
