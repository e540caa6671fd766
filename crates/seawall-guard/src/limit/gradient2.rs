//! Gradient2: the limit follows the ratio of long-term to short-term latency.
//!
//! With `long` an average over some 600 windows and `short` the window's mean: `g = clamp(1.5 long / short, 0.5, 1)`
//! and `limit = 0.8 limit + 0.2 (g limit + 4)`. As in Netflix's concurrency-limits (`Gradient2Limit`), except that
//! times are nanoseconds and no fast sample is thrown away, and that its floor of 20 is `min`. Known faults: under a
//! lasting overload `long` rises with `short` and the limit drifts upward; it grows by less than one per window.

use std::time::Duration;

use super::{ConcurrencyLimit, LimitConfig, Window};

#[derive(Debug)]
pub(super) struct Gradient2 {
    limit: f64,
    min: f64,
    max: f64,
    long: f64,
    windows: u32,
}

const TOLERANCE: f64 = 1.5;
const SMOOTHING: f64 = 0.2;
const QUEUE: f64 = 4.0;
/// The weight of a new window in an exponential average over 600.
const LONG_WEIGHT: f64 = 2.0 / 601.0;
/// The first windows are averaged evenly.
const WARM_UP: u32 = 10;

impl Gradient2 {
    pub(super) fn new(config: &LimitConfig) -> Self {
        Self {
            limit: config.initial.into(),
            min: config.min.into(),
            max: config.max.into(),
            long: 0.0,
            windows: 0,
        }
    }
}

impl ConcurrencyLimit for Gradient2 {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn update(&mut self, window: &Window) {
        let short = window.mean.as_secs_f64().max(1e-9);
        self.windows = self.windows.saturating_add(1);
        let weight = if self.windows <= WARM_UP { 1.0 / f64::from(self.windows) } else { LONG_WEIGHT };
        self.long += (short - self.long) * weight;
        if self.long / short > 2.0 {
            self.long *= 0.95; // after an overload: forget it faster than the average would
        }
        if f64::from(window.max_in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE * self.long / short).clamp(0.5, 1.0);
        let next = self.limit * gradient + QUEUE;
        self.limit = (self.limit * (1.0 - SMOOTHING) + next * SMOOTHING).clamp(self.min, self.max);
    }

    fn base(&self) -> Option<Duration> {
        (self.windows > 0).then(|| Duration::from_secs_f64(self.long))
    }
}
