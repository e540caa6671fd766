//! One limit for everybody who asks: a single atomic number, no lock.

use std::time::{Duration, Instant};

use seawall_core::ConfigError;

use super::{RateLimitConfig, gcra::LiveQuota};
use crate::Rejected;
use crate::sync::{AtomicU64, Ordering};

/// A rate limit shared by all callers. Wrap it in an `Arc` to share it.
#[derive(Debug)]
pub struct RateLimit {
    quota: LiveQuota,
    start: Instant,
    /// Theoretical arrival time in nanoseconds since `start`.
    tat: AtomicU64,
}

impl RateLimit {
    /// A limit with its burst unspent. Times before `start` count as `start`.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &RateLimitConfig, start: Instant) -> Result<Self, ConfigError> {
        Ok(Self { quota: LiveQuota::new(config.checked()?), start, tat: AtomicU64::new(0) })
    }

    /// Changes the limit while it works. The debt stays as a time. A decision made at this very moment may go by the
    /// old interval and the new burst.
    ///
    /// # Errors
    /// If a field is outside its range; nothing changes then.
    pub fn reconfigure(&self, config: &RateLimitConfig) -> Result<(), ConfigError> {
        self.quota.set(config.checked()?);
        Ok(())
    }

    /// Takes `cost` units, all or none. Threads may bring their `now` out of order: the limit stays exact for each
    /// caller's own clock, and never lets more through.
    ///
    /// # Errors
    /// [`Rejected::RateLimited`] with the wait after which the same cost fits, if nobody else takes it first;
    /// [`Rejected::TooCostly`] if the cost is above the burst.
    pub fn try_take(&self, cost: u32, now: Instant) -> Result<(), Rejected> {
        let now = nanos_between(self.start, now);
        let quota = self.quota.get();
        let mut tat = self.tat.load(Ordering::Relaxed);
        loop {
            let next = quota.take(tat, cost, now)?;
            // Relaxed: the number guards nothing but itself.
            match self.tat.compare_exchange_weak(tat, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(found) => tat = found,
            }
        }
    }
}

/// Zero if `now` is before `start`; stops at 2^63 ns, 292 years, so that adding to it cannot overflow.
pub(super) fn nanos_between(start: Instant, now: Instant) -> u64 {
    let length: Duration = now.saturating_duration_since(start);
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).min(1 << 63)
}

#[cfg(test)]
#[cfg(loom)]
mod model {
    use std::time::Instant;

    use loom::thread;

    use super::*;
    use crate::sync::Arc;

    #[test]
    fn racing_threads_never_share_a_unit() {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do; the test never looks at the clock again"
        )]
        let start = Instant::now();
        loom::model(move || {
            let config = RateLimitConfig { interval: Duration::from_secs(1), burst: 2 };
            let limit = Arc::new(RateLimit::new(&config, start).unwrap());
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let limit = Arc::clone(&limit);
                    thread::spawn(move || u32::from(limit.try_take(1, start).is_ok()))
                })
                .collect();
            let mine = u32::from(limit.try_take(1, start).is_ok());
            let taken: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(mine + taken, 2);
        });
    }
}
