//! The Universal Scalability Law: `X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))`.
//!
//! Gunther's law of how throughput grows with concurrency: `sigma` is the part that must be done one after the other,
//! `kappa` the price of every pair that has to agree.

use serde::{Deserialize, Serialize};

use crate::search::Estimate;

/// Throughput at one concurrency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalePoint {
    /// Connections, as many requests at once.
    pub n: f64,
    /// Answers per second.
    pub rps: f64,
    /// Median latency, milliseconds; none if unknown.
    pub p50_ms: Option<f64>,
    /// 99th percentile, milliseconds; none if unknown.
    pub p99_ms: Option<f64>,
    /// Why it does not count; such a point is drawn and not fitted. Empty when it does.
    pub invalid: Vec<String>,
}

/// The law fitted to measured points. Intervals are 95 %, by bootstrap of the residuals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UslFit {
    /// Requests per second of one connection alone.
    pub lambda: Estimate,
    /// Serial part, 0 or more: contention.
    pub sigma: Estimate,
    /// Price of agreement, 0 or more: what makes throughput fall again.
    pub kappa: Estimate,
    /// The concurrency of highest throughput, `sqrt((1 - sigma) / kappa)`; none when the interval of `kappa` holds 0,
    /// which means: no peak in range.
    pub peak_n: Option<Estimate>,
    /// The throughput there.
    pub peak_rps: Option<Estimate>,
    /// The throughput that no concurrency reaches, `lambda / sigma`, when there is no peak and `sigma` is above 0.
    pub asymptote_rps: Option<f64>,
    /// Part of the variance that the law explains; 1 is all.
    pub r_squared: f64,
    /// Largest relative distance of a point from the curve.
    pub worst_residual: f64,
    /// The law describes the points: worst residual at most 15 %.
    pub fits: bool,
    /// The curve with its 95 % band, to draw.
    pub curve: Vec<CurvePoint>,
    /// What it means, one sentence.
    pub meaning: String,
}

/// A point of the fitted curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Concurrency.
    pub n: f64,
    /// Throughput by the law.
    pub rps: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}
