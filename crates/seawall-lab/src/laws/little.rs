//! Little's law: the mean number in a system is the rate times the mean time in it, `N = X R`.
//!
//! Between the client's two counts it must hold but for the edges of the run; what it does not explain is a measurement
//! fault or a queue that nobody sees.

use serde::{Deserialize, Serialize};

/// Little's law at one level of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LittleCheck {
    /// The level's name.
    pub level: String,
    /// Requests in flight, as counted: the connections of a closed loop.
    pub in_flight: f64,
    /// Answers per second.
    pub rps: f64,
    /// Mean time of a request, seconds.
    pub mean_s: f64,
    /// `rps x mean_s`: what the law says.
    pub predicted: f64,
    /// `|in_flight - predicted| / in_flight`.
    pub gap: f64,
    /// The gap is at most [`MAX_GAP`].
    pub holds: bool,
}

/// A larger gap than this is a measurement fault or a hidden queue.
pub const MAX_GAP: f64 = 0.05;
