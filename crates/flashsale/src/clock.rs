//! The only place of this crate that reads a clock. Sales begin and payments fall due by the wall clock, since both
//! must mean the same after a restart; a jump of the clock moves them, but breaks no promise about the stock.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the wall-clock time.
pub(crate) trait WallClock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since 1970 (UTC).
    fn unix_ms(&self) -> u64;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemWallClock;

impl WallClock for SystemWallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the rest of the crate is given")]
    fn unix_ms(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(since_1970)
    }
}

/// Holds the thread for as long as a question to another machine and its answer would.
#[expect(clippy::disallowed_methods, reason = "the way takes real time, whatever clock the rest is given")]
pub(crate) fn on_the_way(time: Duration) {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that stands still until it is moved.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualWallClock(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl ManualWallClock {
    pub(crate) fn new() -> Self {
        Self(std::sync::atomic::AtomicU64::new(1_000_000))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl WallClock for ManualWallClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
