//! The knee as a plain result that a report can show: an interval, what it was searched by, and the probes it rests on.

use serde::{Deserialize, Serialize};

use super::{Ending, Judgement, Stage};

/// What the search moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Requests per second that are due, however slow the answers are (open loop).
    Rate,
    /// Connections that each send when their last answer is there (closed loop).
    Connections,
}

/// Between which two loads the knee lies, and how far to trust that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KneeInterval {
    /// What `lo` and `hi` count.
    pub axis: Axis,
    /// The highest load that met the objectives; none if none did.
    pub lo: Option<f64>,
    /// The lowest load that broke them; none means that `lo` is only a lower bound.
    pub hi: Option<f64>,
    /// Requests per second that were answered at `lo`; with [`Axis::Rate`] about `lo` itself.
    pub rps_at_lo: Option<f64>,
    /// How the search ended.
    pub ending: Ending,
    /// The objectives, as they were given.
    pub slo: String,
    /// The generator was fit to measure at both ends. Without it the interval is no result.
    pub valid: bool,
    /// Why not; empty when valid.
    pub reasons: Vec<String>,
    /// Every probe, in the order made.
    pub probes: Vec<KneeProbe>,
}

/// One probe of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KneeProbe {
    /// The load, in the unit of the axis.
    pub load: f64,
    /// Why this load was tried.
    pub stage: Stage,
    /// Requests answered per second.
    pub achieved_rps: f64,
    /// Median latency, milliseconds; none without an answer.
    pub p50_ms: Option<f64>,
    /// 99th percentile with its confidence interval, milliseconds; none without an answer.
    pub p99_ms: Option<super::Estimate>,
    /// Failed share, 0 to 1.
    pub error_rate: f64,
    /// The verdict.
    pub judgement: Judgement,
    /// What broke, in words.
    pub reasons: Vec<String>,
}
