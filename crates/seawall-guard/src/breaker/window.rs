//! The last calls, in a ring of buckets: by number or by time, without a memory of each.

use std::time::{Duration, Instant};

use super::config::BreakerWindow;

const BUCKETS: usize = 10;

/// Calls of one stretch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

#[derive(Debug)]
pub(super) struct Ring {
    window: BreakerWindow,
    start: Instant,
    buckets: [Tally; BUCKETS],
    /// The number of the newest bucket since the start.
    newest: u64,
}

impl Ring {
    pub(super) fn new(window: BreakerWindow, start: Instant) -> Self {
        Self { window, start, buckets: [Tally::default(); BUCKETS], newest: 0 }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.buckets = [Tally::default(); BUCKETS];
    }

    pub(super) fn add(&mut self, failed: bool, slow: bool, now: Instant) {
        self.turn(now);
        if let BreakerWindow::Count(calls) = self.window
            && self.newest().calls >= (calls / BUCKETS as u32).max(1)
        {
            self.advance(1);
        }
        let bucket = self.newest();
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failed += u32::from(failed);
        bucket.slow += u32::from(slow);
    }

    /// All calls in the window.
    pub(super) fn total(&mut self, now: Instant) -> Tally {
        self.turn(now);
        let within = match self.window {
            BreakerWindow::Count(calls) if (calls as usize) < BUCKETS => calls as usize,
            _ => BUCKETS,
        };
        let newest = self.newest;
        let recent = (0..within as u64).filter_map(|back| newest.checked_sub(back));
        recent.fold(Tally::default(), |sum, number| {
            let bucket = self.buckets[(number % BUCKETS as u64) as usize];
            Tally {
                calls: sum.calls.saturating_add(bucket.calls),
                failed: sum.failed.saturating_add(bucket.failed),
                slow: sum.slow.saturating_add(bucket.slow),
            }
        })
    }

    fn newest(&mut self) -> &mut Tally {
        &mut self.buckets[(self.newest % BUCKETS as u64) as usize]
    }

    /// Lets the buckets of a window of time fall behind. Time that runs backwards changes nothing.
    fn turn(&mut self, now: Instant) {
        let BreakerWindow::Time(length) = self.window else { return };
        let each = (length / BUCKETS as u32).max(Duration::from_nanos(1));
        let since = now.saturating_duration_since(self.start);
        let number = u64::try_from(since.as_nanos() / each.as_nanos()).unwrap_or(u64::MAX);
        self.advance(number.saturating_sub(self.newest));
    }

    fn advance(&mut self, by: u64) {
        for _ in 0..by.min(BUCKETS as u64) {
            self.newest += 1;
            *self.newest() = Tally::default();
        }
        if by > BUCKETS as u64 {
            self.newest += by - BUCKETS as u64; // all buckets are empty by now
        }
    }
}
