//! The demo's one look at the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, to measure with.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo runs in real time; what it decides gets time as an argument"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, to print: time since 1970-01-01 UTC; zero on a machine that believes in an earlier date.
#[expect(clippy::disallowed_methods, reason = "only printed")]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
