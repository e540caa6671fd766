//! What one generator thread counted in one quarter of a second. The reader adds windows up.
//!
//! Which windows belong to the measurement is decided by the reader, after the fact: so an automatic warm-up needs no
//! word with the threads.

use seawall_core::Histogram;

use crate::error::ErrorClass;

/// Length of a window. Warm-up and measurement begin at a window's edge.
pub(crate) const WINDOW_NS: u64 = 250_000_000;

/// Counts of one window, or the sum of several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// Nanoseconds since the run's start.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// From the due time (closed loop: from the send) to the complete answer, timeouts included.
    pub(crate) latency: Histogram,
    /// From the send. Unused by closed loops, where it is the same.
    pub(crate) service: Histogram,
    /// `latency` of answers 2xx alone, if good ones are counted.
    pub(crate) success: Histogram,
    /// How late requests were sent that a connection was free for.
    pub(crate) lag: Histogram,
    /// From the first step of connecting to a connection that is ready, TLS included.
    pub(crate) connect: Histogram,
    /// The smallest latency that is only known to be at least that long; 0 if there is none.
    pub(crate) censored_from_ns: u64,
    pub(crate) counts: Counts,
}

/// The plain counters of a window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Requests that were sent and got no complete answer, but for those unanswered at the end.
    pub(crate) failed: u64,
    pub(crate) unanswered: u64,
    /// Requests that were due while every connection was busy.
    pub(crate) waited: u64,
    /// Requests that were given up before they were sent.
    pub(crate) shed: u64,
    /// Values in `latency` that are only a lower bound.
    pub(crate) censored: u64,
    pub(crate) bytes_in: u64,
    pub(crate) status: StatusCounts,
    /// Answers 2xx that came soon enough, if that was asked for.
    pub(crate) good: StatusCounts,
    pub(crate) errors: [u64; ErrorClass::ALL.len()],
    pub(crate) cpu_ns: u64,
    /// The part of `cpu_ns` in which the thread only looked at the clock.
    pub(crate) spin_ns: u64,
    pub(crate) run_delay_ns: u64,
}

impl Window {
    /// An empty window from `start_ns` on.
    pub(crate) fn starting_at(start_ns: u64) -> Self {
        Self { start_ns, end_ns: start_ns, ..Self::default() }
    }

    pub(crate) fn count_error(&mut self, class: ErrorClass) {
        self.counts.errors[class as usize] += 1;
    }

    /// Counts `n` requests of which is known only that they took at least `waited_ns`: leaving them out would hide the
    /// slowest.
    pub(crate) fn censor(&mut self, waited_ns: u64, n: u64) {
        let waited_ns = waited_ns.max(1);
        self.latency.record_n(waited_ns, n);
        self.counts.censored += n;
        self.censored_from_ns = smaller_of(self.censored_from_ns, waited_ns);
    }

    /// Adds what `other` counted. The result spans both.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
        self.success.merge(&other.success);
        self.lag.merge(&other.lag);
        self.connect.merge(&other.connect);
        self.censored_from_ns = smaller_of(self.censored_from_ns, other.censored_from_ns);
        self.counts.merge(&other.counts);
    }

    pub(crate) fn seconds(&self) -> f64 {
        (self.end_ns - self.start_ns) as f64 / 1e9
    }
}

/// The smaller of two values of which 0 means "none".
fn smaller_of(a: u64, b: u64) -> u64 {
    if a == 0 || (b != 0 && b < a) { b } else { a }
}

impl Counts {
    /// All errors of the window, statuses 4xx and 5xx included.
    pub(crate) fn errors_total(&self) -> u64 {
        self.errors.iter().sum()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { sent, answered, failed, unanswered, waited, bytes_in, status, errors, .. } = other;
        self.sent += sent;
        self.answered += answered;
        self.failed += failed;
        self.unanswered += unanswered;
        self.waited += waited;
        self.shed += other.shed;
        self.censored += other.censored;
        self.bytes_in += bytes_in;
        self.cpu_ns += other.cpu_ns;
        self.spin_ns += other.spin_ns;
        self.run_delay_ns += other.run_delay_ns;
        for &(code, count) in &status.0 {
            self.status.add(code, count);
        }
        for &(code, count) in &other.good.0 {
            self.good.add(code, count);
        }
        self.errors.iter_mut().zip(errors).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// Answers by status code, most used first in practice: a run sees few different ones. At most 900 entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusCounts(pub(crate) Vec<(u16, u64)>);

impl StatusCounts {
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|&(_, count)| count).sum()
    }

    #[inline]
    pub(crate) fn add(&mut self, code: u16, count: u64) {
        match self.0.iter_mut().find(|entry| entry.0 == code) {
            Some(entry) => entry.1 += count,
            None => self.0.push((code, count)),
        }
    }
}
