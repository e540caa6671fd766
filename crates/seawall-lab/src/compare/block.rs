//! What one block measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metric;
use crate::stats::Counts;

/// Which of the two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that is there.
    A,
    /// The one that is new.
    B,
}

/// Some seconds of load on one build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What was measured; what could not be is absent.
    pub values: BTreeMap<Metric, f64>,
    /// Latencies from the intended send time, nanoseconds; empty where only percentiles are known.
    #[serde(default)]
    pub latency: Counts,
    /// Latencies from the real send time, nanoseconds.
    #[serde(default)]
    pub service: Counts,
    /// The mean of each signal that was seen inside the build, by name; empty where nobody looked.
    #[serde(default)]
    pub signals: BTreeMap<String, f64>,
    /// Why the block does not count; empty when it does.
    #[serde(default)]
    pub invalid: Vec<String>,
}

/// Two blocks that ran one after the other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Of build A.
    pub a: Block,
    /// Of build B; of A again where the noise is measured.
    pub b: Block,
}

impl Pair {
    /// Both blocks count.
    pub fn is_valid(&self) -> bool {
        self.a.invalid.is_empty() && self.b.invalid.is_empty()
    }
}
