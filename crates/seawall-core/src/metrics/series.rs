//! The three kinds of metric. Writers touch relaxed atomics only; readers may see a sum that is a few events old.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Enough to keep the cores of a usual machine off each other's cache lines; more would only cost memory.
const SHARDS: usize = 8;

/// One cache line, so that two cores counting at once do not pass it to and fro.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(AtomicU64);

/// The calling thread's shard: threads take the shards in turn.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Relaxed) % SHARDS);
    MINE.with(|mine| *mine)
}

/// A number that only grows. Cloning gives another handle to the same number.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<[Shard; SHARDS]>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`; wraps around after 2^64.
    pub fn add(&self, n: u64) {
        self.0[shard()].0.fetch_add(n, Relaxed);
    }

    /// The sum so far.
    pub fn value(&self) -> u64 {
        self.0.iter().fold(0, |sum, shard| sum.wrapping_add(shard.0.load(Relaxed)))
    }
}

/// A number that goes up and down. Cloning gives another handle to the same number.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `n`.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Subtracts `n`.
    pub fn sub(&self, n: i64) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of a timer's buckets in seconds, the same for every timer: OpenTelemetry's advice for HTTP
/// durations (5 ms to 10 s), with four finer ones below, because a fast service answers in microseconds.
pub const TIMER_BOUNDS_SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
    5.0, 10.0,
];

/// The same bounds in nanoseconds: what [`Timer::observe`] compares.
const BOUNDS_NANOS: [u64; TIMER_BOUNDS_SECONDS.len()] = {
    let mut nanos = [0; TIMER_BOUNDS_SECONDS.len()];
    let mut at = 0;
    while at < nanos.len() {
        nanos[at] = (TIMER_BOUNDS_SECONDS[at] * 1e9 + 0.5) as u64;
        at += 1;
    }
    nanos
};

/// One shard of a timer. Two observations on two cores usually touch different lines.
#[derive(Debug, Default)]
#[repr(align(64))]
struct TimerCells {
    /// One per bound, and one for what is above the last.
    buckets: [AtomicU64; TIMER_BOUNDS_SECONDS.len() + 1],
    sum_nanos: AtomicU64,
}

/// A distribution of durations in fixed buckets. Cloning gives another handle to the same one.
#[derive(Debug, Clone, Default)]
pub struct Timer(Arc<[TimerCells; TIMER_SHARDS]>);

/// Fewer than a counter has, because a timer's shard is three lines long.
const TIMER_SHARDS: usize = 4;

/// What a [`Timer`] has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct TimerSnapshot {
    /// Per bound of [`TIMER_BOUNDS_SECONDS`], and last the rest: events in that bucket alone (not cumulative).
    pub buckets: Vec<u64>,
    /// All durations together, in seconds.
    pub sum_seconds: f64,
}

impl TimerSnapshot {
    /// Events seen.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Timer {
    /// Counts one event that took `duration`.
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        let cells = &self.0[shard() % TIMER_SHARDS];
        cells.buckets[bucket].fetch_add(1, Relaxed);
        cells.sum_nanos.fetch_add(nanos, Relaxed);
    }

    /// What it has seen so far. Events that arrive meanwhile may be in one number and not yet in another.
    pub fn snapshot(&self) -> TimerSnapshot {
        let sum = |number: fn(&TimerCells, usize) -> &AtomicU64, at| {
            self.0.iter().fold(0_u64, |sum, cells| sum.wrapping_add(number(cells, at).load(Relaxed)))
        };
        let buckets =
            (0..=TIMER_BOUNDS_SECONDS.len()).map(|at| sum(|cells, at| &cells.buckets[at], at)).collect();
        TimerSnapshot { buckets, sum_seconds: sum(|cells, _| &cells.sum_nanos, 0) as f64 / 1e9 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_sums_what_all_threads_added() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..1_000).for_each(|_| counter.inc()));
            }
        });
        assert_eq!(counter.value(), 16_000);
    }

    #[test]
    fn a_gauge_goes_both_ways() {
        let gauge = Gauge::default();
        gauge.set(5);
        gauge.add(3);
        gauge.sub(10);
        assert_eq!(gauge.value(), -2);
    }

    /// Checks into which bucket a duration falls.
    #[track_caller]
    fn check(micros: u64, bucket: usize) {
        let timer = Timer::default();
        timer.observe(Duration::from_micros(micros));
        let snapshot = timer.snapshot();
        assert_eq!(snapshot.buckets.iter().position(|n| *n == 1), Some(bucket));
        assert_eq!(snapshot.count(), 1);
        assert!((snapshot.sum_seconds - micros as f64 / 1e6).abs() < 1e-9);
    }

    #[test]
    fn zero_falls_into_the_first_bucket() {
        check(0, 0);
    }
    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        check(100, 0);
        check(1_000, 3);
    }
    #[test]
    fn above_a_bound_is_the_next_bucket() {
        check(101, 1);
    }
    #[test]
    fn what_no_bound_holds_is_in_the_last_bucket() {
        check(11_000_000, TIMER_BOUNDS_SECONDS.len());
    }
}
