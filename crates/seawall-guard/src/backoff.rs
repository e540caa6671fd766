//! How long to wait before the next attempt: exponential, with full jitter.
//!
//! The n-th delay is drawn evenly from zero to `base * 2^n`, capped at `max`. Full jitter, because what matters after
//! a failure is that the many who failed together do not come back together; a floor would bunch them again.
//! Randomness is an argument. Whether to try again at all is the business of [`RetryBudget`](crate::RetryBudget).

use std::time::Duration;

use seawall_core::ConfigError;

/// How delays grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffConfig {
    /// Upper end of the first delay. More than zero. Default 25 ms.
    pub base: Duration,
    /// Upper end of every delay. At least `base`, at most one hour. Default 2 s.
    pub max: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_secs(2) }
    }
}

/// Delays between attempts. Stateless: the attempt's number is an argument.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    base_nanos: u64,
    max_nanos: u64,
}

const ONE_HOUR: Duration = Duration::from_secs(3_600);

impl Backoff {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If `base` is zero, or `max` is below `base` or above one hour.
    pub fn new(config: &BackoffConfig) -> Result<Self, ConfigError> {
        let BackoffConfig { base, max } = *config;
        if base.is_zero() || base > ONE_HOUR {
            return Err(ConfigError::new("backoff.base", format!("{base:?}"), "above 0 and at most 1 hour"));
        }
        if max < base || max > ONE_HOUR {
            let allowed = format!("{base:?} (backoff.base) to 1 hour");
            return Err(ConfigError::new("backoff.max", format!("{max:?}"), allowed));
        }
        // One hour is 3.6e12 ns: both fit.
        let nanos = |length: Duration| u64::try_from(length.as_nanos()).expect("at most one hour");
        Ok(Self { base_nanos: nanos(base), max_nanos: nanos(max) })
    }

    /// The delay before retry number `retry` (0 is the first), given `random`, evenly drawn from all of `u64`.
    pub fn delay(&self, retry: u32, random: u64) -> Duration {
        let ceiling = self.ceiling_nanos(retry);
        // The high half of the product is evenly spread over 0..=ceiling, without a division.
        let drawn = (u128::from(random) * (u128::from(ceiling) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(drawn).expect("below 2^64 times a u64, shifted by 64"))
    }

    /// The longest that [`delay`](Self::delay) can give for this retry.
    pub fn longest(&self, retry: u32) -> Duration {
        Duration::from_nanos(self.ceiling_nanos(retry))
    }

    fn ceiling_nanos(&self, retry: u32) -> u64 {
        let factor = 1u64.checked_shl(retry).unwrap_or(u64::MAX);
        self.base_nanos.saturating_mul(factor).min(self.max_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn backoff(base: Duration, max: Duration) -> Backoff {
        Backoff::new(&BackoffConfig { base, max }).unwrap()
    }

    #[test]
    fn the_ceiling_doubles_until_the_cap() {
        let backoff = backoff(10 * MS, 100 * MS);
        let ceilings: Vec<_> = (0..6).map(|retry| backoff.longest(retry).as_millis()).collect();
        assert_eq!(ceilings, [10, 20, 40, 80, 100, 100]);
        assert_eq!(backoff.longest(u32::MAX), 100 * MS);
    }

    #[test]
    fn jitter_spans_everything_from_zero_to_the_ceiling() {
        let backoff = backoff(10 * MS, 100 * MS);
        assert_eq!(backoff.delay(1, 0), Duration::ZERO);
        assert_eq!(backoff.delay(1, 1 << 63), 10 * MS);
        assert_eq!(backoff.delay(1, u64::MAX), 20 * MS);
    }

    proptest! {
        #[test]
        fn a_delay_never_passes_its_ceiling(retry in 0u32..80, random: u64) {
            let backoff = Backoff::new(&BackoffConfig::default()).unwrap();
            prop_assert!(backoff.delay(retry, random) <= backoff.longest(retry));
        }
    }

    /// Checks that a configuration is refused, and in which words.
    #[track_caller]
    fn check_refused(base: Duration, max: Duration, message: &str) {
        let error = Backoff::new(&BackoffConfig { base, max }).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_base_of_zero_is_refused() {
        check_refused(Duration::ZERO, MS, "`backoff.base` is 0ns, but must be above 0 and at most 1 hour");
    }
    #[test]
    fn a_cap_below_the_base_is_refused() {
        check_refused(2 * MS, MS, "`backoff.max` is 1ms, but must be 2ms (backoff.base) to 1 hour");
    }
}
