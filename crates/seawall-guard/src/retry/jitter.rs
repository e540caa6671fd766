//! How waits between attempts are spread, so that the many who failed together do not come back together.

use std::time::Duration;

use crate::Backoff;

/// Which share of the wait is left to chance. `x` is `base 2^n`, capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// All of it: between nothing and `x`.
    #[default]
    Full,
    /// Half of it: between `x / 2` and `x`.
    Equal,
    /// Between the base and three times the last wait, capped.
    Decorrelated,
}

impl Jitter {
    /// The wait before retry number `retry` (0 is the first). `previous` is the wait before the attempt that failed,
    /// `random` evenly drawn from all of `u64`.
    pub fn delay(self, backoff: &Backoff, retry: u32, previous: Duration, random: u64) -> Duration {
        match self {
            Self::Full => backoff.delay(retry, random),
            Self::Equal => {
                let half = backoff.longest(retry) / 2;
                half + between(Duration::ZERO, half, random)
            }
            Self::Decorrelated => {
                let base = backoff.longest(0);
                let most = previous.max(base).saturating_mul(3);
                between(base, most, random).min(backoff.longest(u32::MAX))
            }
        }
    }
}

/// Evenly from `least` to `most`.
fn between(least: Duration, most: Duration, random: u64) -> Duration {
    let span = most.saturating_sub(least).as_nanos().min(u128::from(u64::MAX >> 1));
    // The high half of the product is evenly spread over 0..=span, without a division.
    let drawn = (u128::from(random) * (span + 1)) >> 64;
    least + Duration::from_nanos(u64::try_from(drawn).expect("at most the span, which is below 2^63"))
}
