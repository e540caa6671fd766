//! Random numbers from a seed: the same seed gives the same run, on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Mixed, for plain multiples of the step below would be one sequence from different places.
        let mut spread = Self(seed);
        Self(spread.next() ^ spread.next().rotate_left(32))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly from (0, 1].
    pub(super) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// The time until the next arrival of a Poisson process.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -self.unit().ln() * mean
    }

    /// Log-normal with this mean and a coefficient of variation of one half.
    pub(super) fn service(&mut self, mean: f64) -> f64 {
        let variance = 1.25f64.ln(); // ln(1 + cv^2)
        let gauss = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        mean * (variance.sqrt() * gauss - variance / 2.0).exp()
    }
}
