//! A profile as plain data: stacks with a weight each. Enough for a flame graph and for naming what is hot.

use serde::{Deserialize, Serialize};

/// Stacks kept in a [`Profile`] at most; the lightest are dropped, and `dropped` says their weight.
pub const MAX_STACKS: usize = 5_000;

/// What a profile weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileKind {
    /// Time on a CPU, seconds.
    Cpu,
    /// Bytes in use.
    Heap,
    /// Time spent waiting for locks and channels, seconds.
    Block,
    /// Time spent off the CPU, seconds.
    OffCpu,
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What it weighs.
    pub kind: ProfileKind,
    /// Where it came from: "perf", "/debug/pprof/profile", "thread states".
    pub source: String,
    /// Unit of the weights: "seconds", "bytes".
    pub unit: String,
    /// Over how long it was taken, seconds.
    pub seconds: f64,
    /// Sum of all weights, the dropped included.
    pub total: f64,
    /// Weight of the stacks that were dropped.
    pub dropped: f64,
    /// The stacks, heaviest first.
    pub stacks: Vec<Stack>,
    /// What the profile says about itself: how it was taken, what was lost.
    pub comments: Vec<String>,
}

#[cfg(test)]
impl Profile {
    /// A CPU profile of seconds, for tests: stacks as `outer;inner` with their weights.
    pub(crate) fn of_cpu(stacks: &[(&str, f64)]) -> Self {
        let stack = |(frames, weight): &(&str, f64)| Stack {
            frames: frames.split(';').map(str::to_owned).collect(),
            weight: *weight,
        };
        Self {
            kind: ProfileKind::Cpu,
            source: "perf".into(),
            unit: "seconds".into(),
            seconds: 1.0,
            total: stacks.iter().map(|(_, weight)| weight).sum(),
            dropped: 0.0,
            stacks: stacks.iter().map(stack).collect(),
            comments: vec![],
        }
    }
}

/// One stack and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Function names, outermost first; the first is the thread's name where known. Kernel functions end in `_[k]`.
    pub frames: Vec<String>,
    /// In the profile's unit.
    pub weight: f64,
}

/// A function and the part of a profile that it is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Its name.
    pub function: String,
    /// Share of the profile with this function at the innermost place, 0 to 1.
    pub own: f64,
    /// Share with this function anywhere on the stack, 0 to 1.
    pub total: f64,
}
