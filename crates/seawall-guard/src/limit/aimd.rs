//! Additive increase, multiplicative decrease: one more per window while all is well, a tenth less after a drop.
//!
//! Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance" (1989). It needs to be
//! told of overload (a refusal from behind, a timeout), so it suits a dependency that refuses early, and nothing else.

use super::{ConcurrencyLimit, LimitConfig, Window};

#[derive(Debug)]
pub(super) struct Aimd {
    limit: f64,
    min: f64,
    max: f64,
}

const DECREASE: f64 = 0.9;

impl Aimd {
    pub(super) fn new(config: &LimitConfig) -> Self {
        Self { limit: config.initial.into(), min: config.min.into(), max: config.max.into() }
    }
}

impl ConcurrencyLimit for Aimd {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn update(&mut self, window: &Window) {
        let next = if window.dropped > 0 {
            self.limit * DECREASE
        } else if window.limited {
            self.limit + 1.0
        } else {
            return; // not used up, so nothing was learnt about more
        };
        self.limit = next.clamp(self.min, self.max);
    }
}
