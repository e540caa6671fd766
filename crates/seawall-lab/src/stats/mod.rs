//! Statistics for comparing builds: small samples, no assumption about shapes, every interval with its level.
//!
//! - [`signed_rank`], [`hodges_lehmann`]: pairs of blocks (Wilcoxon 1945; Hodges and Lehmann 1963).
//! - [`rank_sum`], [`shift`]: two unpaired runs (Mann and Whitney 1947).
//! - [`bootstrap_quantiles`]: percentiles of merged latencies, resampled by block, since requests within one block depend on
//!   each other (Kunsch 1989).
//! - [`mod@holm`]: several metrics judged at once (Holm 1979).
//! - [`kolmogorov_smirnov`]: whether two samples have one shape.
//! - [`change_points`]: where a history changed (E-divisive means, Matteson and James 2014).
//!
//! Pure: randomness comes in as a seed. Left out: parametric tests, and everything that needs more than a few hundred values.

mod bootstrap;
mod counts;
mod edivisive;
mod holm;
mod kolmogorov;
mod mann_whitney;
mod normal;
mod random;
mod ranks;
mod wilcoxon;

pub use bootstrap::bootstrap_quantiles;
pub use counts::Counts;
pub use edivisive::{ChangePoint, MAX_HISTORY, change_points};
pub use holm::holm;
pub use kolmogorov::{KolmogorovSmirnov, kolmogorov_smirnov};
pub use mann_whitney::{rank_sum, shift};
pub use random::Random;
pub use wilcoxon::{hodges_lehmann, signed_rank};

use serde::{Deserialize, Serialize};

/// An estimate with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often such an interval holds the true value, 0 to 1. Below what was asked for when the sample is too small.
    pub level: f64,
}

impl Interval {
    /// Zero lies outside.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// The distance from zero to the farther end.
    pub fn reach(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// The same interval on another scale; `f` must rise.
    #[must_use]
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { estimate: f(self.estimate), low: f(self.low), high: f(self.high), level: self.level }
    }
}

/// The middle value; of an even number the mean of the two in the middle. NaN when empty.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    ranks::median_of_sorted(&sorted)
}
