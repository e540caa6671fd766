//! The one place of this crate that reads the clock. Everything else gets `now` as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock; all other code is handed the time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970: for dates in `Retry-After`, never for measuring.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock; all other code is handed the time")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
