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

/// Checks one level: `in_flight` requests at once, `rps` answers per second, `mean_s` seconds each.
pub fn check(level: &str, in_flight: f64, rps: f64, mean_s: f64) -> LittleCheck {
    let predicted = rps * mean_s;
    let gap = if in_flight > 0.0 { (in_flight - predicted).abs() / in_flight } else { f64::INFINITY };
    LittleCheck { level: level.to_owned(), in_flight, rps, mean_s, predicted, gap, holds: gap <= MAX_GAP }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_requests_of_ten_milliseconds_are_eight_hundred_a_second() {
        let checked = check("8 connections", 8.0, 790.0, 0.010);
        assert!(checked.holds && (checked.predicted - 7.9).abs() < 1e-9, "{checked:?}");
    }
    #[test]
    fn a_queue_that_nobody_counts_breaks_the_law() {
        assert!(!check("8 connections", 8.0, 400.0, 0.010).holds);
    }
    #[test]
    fn nothing_in_flight_proves_nothing() {
        assert!(!check("idle", 0.0, 0.0, 0.0).holds);
    }
}
