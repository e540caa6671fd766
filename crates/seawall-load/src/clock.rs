//! The one place of this crate that reads the monotonic clock: nanoseconds since a common start.
//!
//! Left out: wall-clock time. Nothing here needs to know what day it is.

use std::time::Instant;

/// Counts nanoseconds since it was started; a copy counts from the same start, on any thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at zero, now.
    #[expect(clippy::disallowed_methods, reason = "this is the crate's clock")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Nanoseconds since the start: one `CLOCK_MONOTONIC` read, no system call. Lasts for 584 years.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the crate's clock")]
    pub(crate) fn now(&self) -> u64 {
        Instant::now().duration_since(self.start).as_nanos() as u64
    }
}
