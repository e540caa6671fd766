//! The one place of this crate that reads the clock. Everything else gets `now` as an argument.

use std::time::{Instant, SystemTime};

/// The time now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock; all other code is handed the time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day: for dates in headers, never for measuring.
#[expect(clippy::disallowed_methods, reason = "this is the crate's clock; all other code is handed the time")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
