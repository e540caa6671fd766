//! Rate limits: so many requests per second, with so much burst, exactly.
//!
//! [`RateLimit`] and its like use the generic cell rate algorithm (GCRA): one number, the theoretical arrival time, says all there
//! is to know about the past. In any span of time `d` they let through a cost of at most `burst + d / interval`, and
//! they refuse only what would break that: no window edges, and no drift, because time is whole nanoseconds.
//! A refused request costs nothing: hammering does not push the next chance away.

mod direct;
mod gcra;
mod keyed;
mod pace;
mod quotas;
mod sliding;
mod store;

use std::num::NonZeroU32;
use std::time::Duration;

use seawall_core::ConfigError;

pub use direct::RateLimit;
pub use keyed::{KeyedRateLimit, KeyedRateLimitConfig};
pub use pace::{Pacer, PacerConfig};
pub use quotas::KeyedQuotas;
pub use sliding::{SlidingMode, SlidingWindow, SlidingWindowConfig};
pub use store::{Enforcement, RateLeft, RateStore};

/// How much one caller may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// One unit of cost comes free every `interval`. From 1 ns to one day. Default 10 ms (100 per second).
    pub interval: Duration,
    /// The most that may be taken at once after a pause, 1 to 1,000,000. Default 10.
    pub burst: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self { interval: Duration::from_millis(10), burst: 10 }
    }
}

impl RateLimitConfig {
    /// `rate` units per second, `burst` of them at once. The interval is rounded up to whole nanoseconds, so the
    /// limit is never above `rate`; at a million per second it is exact, at 700,000 it is 0.03 % below.
    pub fn per_second(rate: NonZeroU32, burst: u32) -> Self {
        let nanos = 1_000_000_000u64.div_ceil(u64::from(rate.get()));
        Self { interval: Duration::from_nanos(nanos), burst }
    }

    /// `rate` units per minute, `burst` of them at once; rounded as in [`per_second`](Self::per_second).
    pub fn per_minute(rate: NonZeroU32, burst: u32) -> Self {
        let nanos = 60_000_000_000u64.div_ceil(u64::from(rate.get()));
        Self { interval: Duration::from_nanos(nanos), burst }
    }

    fn checked(&self) -> Result<gcra::Quota, ConfigError> {
        const ONE_DAY: Duration = Duration::from_secs(86_400);
        let Self { interval, burst } = *self;
        if interval.is_zero() || interval > ONE_DAY {
            return Err(ConfigError::new("rate_limit.interval", format!("{interval:?}"), "1 ns to 1 day"));
        }
        if !(1..=1_000_000).contains(&burst) {
            return Err(ConfigError::new("rate_limit.burst", burst, "1 to 1000000"));
        }
        let interval_nanos = u64::try_from(interval.as_nanos()).expect("at most one day");
        let span = u128::from(interval_nanos) * u128::from(burst);
        if span > gcra::LONGEST_SPAN_NANOS {
            let allowed = "small enough that interval x burst is at most 100 days";
            return Err(ConfigError::new("rate_limit.burst", burst, allowed));
        }
        Ok(gcra::Quota { interval_nanos, burst })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
