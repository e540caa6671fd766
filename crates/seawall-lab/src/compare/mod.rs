//! Comparing two builds: which block runs when, what counts as a difference, and how sure that is. Pure.
//!
//! The unit is a block of some seconds, never a request: requests of one block depend on each other. Blocks of both builds
//! alternate in a random order, so that what changes outside (a neighbour, heat) falls on both alike. First a build is compared
//! with itself; the difference that shows there is the noise floor, and no smaller difference is ever called one.
//!
//! Left out: starting servers and sending load, which the `seawall` command does.

mod block;
mod functions;
mod judge;
mod metric;
mod order;
mod signals;
mod stored;
#[cfg(test)]
mod tests;

pub use block::{Block, Pair, Side};
pub use functions::{FunctionChange, function_changes};
pub use judge::{Comparison, ComparisonKind, Effect, Outcome, Ruling, judge_pairs, judge_runs, level};
pub use metric::{Better, Metric, Scale};
pub use order::order;
pub use signals::{SignalDifference, SignalPair, join, means, signal_differences};
pub use stored::{MIN_BLOCKS, StoredError, from_load_json};

use seawall_core::ConfigError;
use serde::{Deserialize, Serialize};

/// How a comparison is judged. Checked by [`CompareConfig::check`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompareConfig {
    /// Pairs of blocks, 8 to 200. With fewer, no difference can be proven for all metrics at once. Default 10.
    pub pairs: usize,
    /// Pairs of the build with itself, for the noise floor, 6 to 200. Default 6.
    pub noise_pairs: usize,
    /// A smaller effect is never claimed, 0 to less than 1; 0.01 is 1 %. Default 0.01.
    pub min_effect: f64,
    /// The chance of a false claim among all metrics, more than 0 and at most 0.2. Default 0.05.
    pub alpha: f64,
    /// Metrics whose regression counts as one; empty means all. Default empty.
    pub gate: Vec<Metric>,
    /// Where the random order and the resampling begin. Default 1.
    pub seed: u64,
}

impl Default for CompareConfig {
    fn default() -> Self {
        Self { pairs: 10, noise_pairs: 6, min_effect: 0.01, alpha: 0.05, gate: Vec::new(), seed: 1 }
    }
}

impl CompareConfig {
    /// Says whether the values make sense.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { pairs, noise_pairs, min_effect, alpha, gate: _, seed: _ } = *self;
        if !(8..=200).contains(&pairs) {
            return Err(ConfigError::new("compare.pairs", pairs, "8 to 200"));
        }
        if !(6..=200).contains(&noise_pairs) {
            return Err(ConfigError::new("compare.noise_pairs", noise_pairs, "6 to 200"));
        }
        if !(0.0..1.0).contains(&min_effect) {
            return Err(ConfigError::new("compare.min_effect", min_effect, "0 to less than 1"));
        }
        if !(alpha > 0.0 && alpha <= 0.2) {
            return Err(ConfigError::new("compare.alpha", alpha, "more than 0 and at most 0.2"));
        }
        Ok(())
    }
}
