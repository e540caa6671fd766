//! Vegas: keep a small estimated queue in front of the service.
//!
//! The queue is `q = ceil(limit (1 - rtt0 / rtt))`, with `rtt0` the lowest window mean seen. After a drop the limit
//! falls by log10; at `q <= log10` it grows by six of it, below three by one, above six it falls by one. `rtt0` is
//! measured again every `30 limit u` windows, u between a half and one, so that a lasting change of the service is
//! believed one day. Brakmo and Peterson, "TCP Vegas" (1994), in the form of Netflix's `VegasLimit`. Known fault: a
//! limit of 200 needs a hundred windows to come down to 20.

use std::time::Duration;

use super::{ConcurrencyLimit, LimitConfig, Window};

#[derive(Debug)]
pub(super) struct Vegas {
    limit: f64,
    min: f64,
    max: f64,
    /// The latency without load, in seconds.
    base: Option<f64>,
    windows: f64,
    probes: f64,
}

impl Vegas {
    pub(super) fn new(config: &LimitConfig) -> Self {
        Self {
            limit: config.initial.into(),
            min: config.min.into(),
            max: config.max.into(),
            base: None,
            windows: 0.0,
            probes: 0.0,
        }
    }

    fn probe_is_due(&mut self) -> bool {
        // Multiples of the golden ratio are as evenly spread as random numbers, and need no source of them.
        let jitter = 0.5 + (self.probes * 0.618_033_988_749_895).fract() / 2.0;
        self.windows += 1.0;
        let due = self.windows >= 30.0 * self.limit * jitter;
        if due {
            self.windows = 0.0;
            self.probes += 1.0;
        }
        due
    }
}

impl ConcurrencyLimit for Vegas {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn update(&mut self, window: &Window) {
        let rtt = window.mean.as_secs_f64().max(1e-9);
        let known = self.base.filter(|&base| base <= rtt);
        let measure = self.probe_is_due() || known.is_none();
        let Some(base) = known.filter(|_| !measure) else {
            self.base = Some(rtt);
            return;
        };
        let step = self.limit.log10().floor().max(1.0);
        let next = if window.dropped > 0 {
            self.limit - step
        } else if f64::from(window.max_in_flight) * 2.0 < self.limit {
            return; // not used up, so nothing was learnt about more
        } else {
            match (self.limit * (1.0 - base / rtt)).ceil() {
                queue if queue <= step => self.limit + 6.0 * step,
                queue if queue < 3.0 * step => self.limit + step,
                queue if queue > 6.0 * step => self.limit - step,
                _ => return,
            }
        };
        self.limit = next.clamp(self.min, self.max);
    }

    fn base(&self) -> Option<Duration> {
        self.base.map(Duration::from_secs_f64)
    }
}
