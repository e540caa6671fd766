//! The arithmetic of the generic cell rate algorithm: integers in, integers out.

use std::time::Duration;

use super::store::RateLeft;
use crate::Rejected;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// 100 days: far above any sensible burst, far below what 64 bits of nanoseconds hold (584 years).
pub(super) const LONGEST_SPAN_NANOS: u128 = 100 * 86_400 * 1_000_000_000;

/// A checked limit. `interval_nanos * burst` is at most [`LONGEST_SPAN_NANOS`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    pub(super) interval_nanos: u64,
    pub(super) burst: u32,
}

/// A quota that may change while others read it. Who reads at that very moment may see the old interval beside the new
/// burst, once; a lock would take longer than the decision.
#[derive(Debug)]
pub(super) struct LiveQuota {
    interval_nanos: AtomicU64,
    burst: AtomicU32,
}

impl LiveQuota {
    pub(super) fn new(quota: Quota) -> Self {
        Self { interval_nanos: AtomicU64::new(quota.interval_nanos), burst: AtomicU32::new(quota.burst) }
    }

    pub(super) fn get(&self) -> Quota {
        Quota {
            interval_nanos: self.interval_nanos.load(Ordering::Relaxed),
            burst: self.burst.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set(&self, quota: Quota) {
        self.interval_nanos.store(quota.interval_nanos, Ordering::Relaxed);
        self.burst.store(quota.burst, Ordering::Relaxed);
    }
}

impl Quota {
    /// Decides for a request of `cost` at `now`, given the theoretical arrival time `tat` that the past has left
    /// (both in nanoseconds since the limiter's start). `Ok` is the new arrival time.
    ///
    /// `tat` is when everything taken so far will have been earned back: at or before `now` nothing is owed.
    pub(super) fn take(&self, tat: u64, cost: u32, now: u64) -> Result<u64, Rejected> {
        let Self { interval_nanos, burst } = *self;
        if cost > burst {
            return Err(Rejected::TooCostly { cost, burst });
        }
        // Saturating, since a pair read during a change may be above the longest span.
        let most_owed = interval_nanos.saturating_mul(burst.into());
        let owed = tat.saturating_sub(now).saturating_add(interval_nanos.saturating_mul(cost.into()));
        if owed > most_owed {
            return Err(Rejected::RateLimited { retry_after: Duration::from_nanos(owed - most_owed) });
        }
        Ok(now.saturating_add(owed))
    }

    /// What is left at `now`, given the arrival time.
    pub(super) fn left(&self, tat: u64, now: u64) -> RateLeft {
        let Self { interval_nanos, burst } = *self;
        let owed = tat.saturating_sub(now);
        let most_owed = interval_nanos.saturating_mul(burst.into());
        let remaining = most_owed.saturating_sub(owed) / interval_nanos;
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX).min(burst);
        RateLeft { burst, remaining, full_in: Duration::from_nanos(owed) }
    }
}
