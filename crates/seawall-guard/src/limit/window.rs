//! Samples, and the windows that they are gathered into.

use std::time::{Duration, Instant};

/// One finished piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it ended.
    pub now: Instant,
    /// How long it took from its start to its end; what it waited before its start is not in it.
    pub latency: Duration,
    /// How many were in flight just before it ended, itself included.
    pub in_flight: u32,
    /// How long its caller was willing to wait, counted from its arrival.
    pub allowed: Duration,
    /// It ended as it does when there is too much to do: timed out, or refused from behind.
    pub dropped: bool,
}

/// What happened during one stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// When the window was closed.
    pub end: Instant,
    /// The same, counted from the limiter's start.
    pub at: Duration,
    /// How long it lasted.
    pub length: Duration,
    /// How many ended in it; at least one.
    pub samples: u32,
    /// How many were dropped: those that took too long, and those that were refused from behind.
    pub dropped: u32,
    /// Their mean latency.
    pub mean: Duration,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// The most that were in flight.
    pub max_in_flight: u32,
    /// The mean of what their callers were willing to wait.
    pub allowed: Duration,
    /// The limit was the binding constraint: all room was taken at some moment.
    pub limited: bool,
    /// Something waited for room.
    pub waiting: bool,
}

impl Window {
    /// Completions per second.
    pub fn rate(&self) -> f64 {
        f64::from(self.samples) / self.length.as_secs_f64().max(1e-9)
    }
}

/// A window in the making.
#[derive(Debug)]
pub(super) struct Gathering {
    length: Duration,
    min_samples: u32,
    /// When the limiter started: windows end at whole lengths from there, so that limiters with one start, on several
    /// workers, have their windows at the same time.
    zero: Instant,
    start: Instant,
    /// The first of these moments behind `start`: found once per window, because it takes a division.
    ends: Instant,
    /// When it is closed even without enough samples.
    closes: Instant,
    samples: u32,
    dropped: u32,
    /// Nanoseconds, here and below: a sum of them is one addition, a sum of durations several.
    total: u64,
    min: u64,
    max: u64,
    max_in_flight: u32,
    allowed: u64,
    limited: bool,
    waiting: bool,
}

/// A window without enough samples is closed all the same once it has lasted this many times its length: a service
/// of ten requests a second must be able to learn too.
const AT_MOST_LENGTHS: u32 = 10;

impl Gathering {
    pub(super) fn new(length: Duration, min_samples: u32, start: Instant) -> Self {
        Self {
            length,
            min_samples,
            zero: start,
            start,
            ends: start + length,
            closes: start + length * AT_MOST_LENGTHS,
            samples: 0,
            dropped: 0,
            total: 0,
            min: u64::MAX,
            max: 0,
            max_in_flight: 0,
            allowed: 0,
            limited: false,
            waiting: false,
        }
    }

    pub(super) fn note_waiting(&mut self) {
        self.waiting = true;
    }

    pub(super) fn note_drop(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// The first whole length from `zero` behind a moment.
    fn end_behind(&self, at: Instant) -> Instant {
        let number = at.saturating_duration_since(self.zero).as_nanos() / self.length.as_nanos().max(1);
        self.zero + self.length * u32::try_from(number + 1).unwrap_or(u32::MAX)
    }

    /// Adds a sample; the finished window, if this was its last.
    pub(super) fn add(&mut self, sample: &Sample, limit: u32) -> Option<Window> {
        let latency = nanos(sample.latency);
        self.samples += 1;
        self.dropped += u32::from(sample.dropped);
        self.total = self.total.saturating_add(latency);
        self.min = self.min.min(latency);
        self.max = self.max.max(latency);
        self.max_in_flight = self.max_in_flight.max(sample.in_flight);
        self.allowed = self.allowed.saturating_add(nanos(sample.allowed));
        self.limited |= sample.in_flight >= limit;
        let enough = sample.now >= self.ends && self.samples >= self.min_samples;
        let is_over = enough || sample.now >= self.closes || self.samples == u32::MAX;
        is_over.then(|| self.close(sample.now))
    }

    /// The window that ends here, and the next one in its place.
    fn close(&mut self, end: Instant) -> Window {
        let samples = u64::from(self.samples);
        let window = Window {
            end,
            at: end.saturating_duration_since(self.zero),
            length: end.saturating_duration_since(self.start),
            samples: self.samples,
            dropped: self.dropped,
            mean: Duration::from_nanos(self.total / samples),
            min: Duration::from_nanos(self.min),
            max: Duration::from_nanos(self.max),
            max_in_flight: self.max_in_flight,
            allowed: Duration::from_nanos(self.allowed / samples),
            limited: self.limited,
            waiting: self.waiting,
        };
        let ends = self.end_behind(end);
        let closes = end + self.length * AT_MOST_LENGTHS;
        *self = Self { start: end, ends, closes, ..Self::new(self.length, self.min_samples, self.zero) };
        window
    }
}

/// Stops at the largest number, 584 years.
fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos().into())
}
