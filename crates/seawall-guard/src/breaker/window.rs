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
    /// The sum of all buckets, kept along: each call asks for it.
    sum: Tally,
    /// The number of the newest bucket since the start.
    newest: u64,
    /// When the bucket behind it begins, for a window of time; until then nothing turns.
    next: Instant,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            failed: self.failed.saturating_sub(other.failed),
            slow: self.slow.saturating_sub(other.slow),
        }
    }
}

impl Ring {
    pub(super) fn new(window: BreakerWindow, start: Instant) -> Self {
        let (buckets, sum) = ([Tally::default(); BUCKETS], Tally::default());
        Self { window, start, buckets, sum, newest: 0, next: start }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.buckets = [Tally::default(); BUCKETS];
        self.sum = Tally::default();
    }

    pub(super) fn add(&mut self, failed: bool, slow: bool, now: Instant) {
        self.turn(now);
        if let BreakerWindow::Count(calls) = self.window
            && self.newest().calls >= (calls / BUCKETS as u32).max(1)
        {
            self.advance(1);
        }
        let one = Tally { calls: 1, failed: failed.into(), slow: slow.into() };
        let bucket = self.newest();
        *bucket = bucket.plus(one);
        self.sum = self.sum.plus(one);
    }

    /// All calls in the window.
    pub(super) fn total(&mut self, now: Instant) -> Tally {
        self.turn(now);
        let within = match self.window {
            BreakerWindow::Count(calls) if (calls as usize) < BUCKETS => u64::from(calls),
            _ => return self.sum,
        };
        let newest = self.newest;
        let recent = (0..within).filter_map(|back| newest.checked_sub(back));
        recent
            .fold(Tally::default(), |sum, number| sum.plus(self.buckets[(number % BUCKETS as u64) as usize]))
    }

    fn newest(&mut self) -> &mut Tally {
        &mut self.buckets[(self.newest % BUCKETS as u64) as usize]
    }

    /// Lets the buckets of a window of time fall behind. Time that runs backwards changes nothing.
    fn turn(&mut self, now: Instant) {
        let BreakerWindow::Time(length) = self.window else { return };
        if now < self.next {
            return;
        }
        let each = (length / BUCKETS as u32).max(Duration::from_nanos(1));
        let since = now.saturating_duration_since(self.start);
        let number = u64::try_from(since.as_nanos() / each.as_nanos()).unwrap_or(u64::MAX);
        self.advance(number.saturating_sub(self.newest));
        let behind = u32::try_from(self.newest.saturating_add(1)).unwrap_or(u32::MAX);
        self.next = self.start + each.saturating_mul(behind);
    }

    fn advance(&mut self, by: u64) {
        for _ in 0..by.min(BUCKETS as u64) {
            self.newest += 1;
            let fallen = std::mem::take(self.newest());
            self.sum = self.sum.minus(fallen);
        }
        if by > BUCKETS as u64 {
            self.newest += by - BUCKETS as u64; // all buckets are empty by now
        }
    }
}
