//! The one place of this crate that reads the clock.

use std::time::Instant;
#[cfg(feature = "pprof")]
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "this module is the place for it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since 1970, for profiles to say when they were taken.
#[cfg(feature = "pprof")]
#[expect(clippy::disallowed_methods, reason = "this module is the place for it")]
pub(crate) fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The kernel's own monotonic clock, to compare with times that it hands out.
#[cfg(feature = "pprof")]
pub(crate) fn kernel_nanos() -> u64 {
    crate::sys::monotonic_nanos()
}

/// Waits for `time`, or for less. For the collector of a profile, which has nothing to do but let time pass.
#[cfg(feature = "pprof")]
pub(crate) fn wait(time: Duration) {
    std::thread::park_timeout(time);
}
