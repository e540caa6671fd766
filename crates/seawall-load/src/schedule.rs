//! When requests are due: the pace of a run as a pure function of a request's number, or of a seed.
//!
//! An open loop's schedule is absolute: whatever happened to the requests before, the next one is due when it is due.
//! Late requests therefore never move later ones, and a latency counted from the due time hides nothing.
//!
//! The rate over time is a chain of [`Stage`]s. With the integral of the rate, the number of requests expected until
//! `t`, one rule covers all paces: request `i` of an even schedule is due where the integral reaches `i`; the requests
//! of a Poisson process are due where it reaches the sums of exponential gaps (the time-rescaling theorem). The inverse
//! of the integral of a ramp is the root of a quadratic, so nothing is approximated.
//!
//! Left out: waiting. The engine sleeps; this module says until when.

use std::sync::Arc;
use std::time::Duration;

use crate::random::Random;

/// A part of an open loop: the rate goes evenly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Duration,
    /// Requests per second at its start.
    pub from: f64,
    /// Requests per second at its end; the same as `from` for a constant rate.
    pub to: f64,
}

impl Stage {
    /// A constant rate.
    pub fn constant(duration: Duration, rate: f64) -> Self {
        Self { duration, from: rate, to: rate }
    }
}

/// How the requests of an open loop lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Evenly: the gaps follow from the rate alone.
    #[default]
    Even,
    /// As a Poisson process, as many independent users would send: the gaps are exponential. The same seed gives the
    /// same times, if the number of threads is the same.
    Poisson {
        /// Where the random numbers begin.
        seed: u64,
    },
}

/// How requests are paced.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    /// Closed loop: a connection sends its next request when the answer to the last one is complete.
    Closed,
    /// Open loop: a rate over time.
    Rate(Arc<Profile>, Arrivals),
    /// Open loop: given times in nanoseconds since the start, ascending.
    Times(Arc<[u64]>),
}

/// Most requests that are counted one by one after a run; beyond, the expected number is exact enough.
const MAX_COUNTED: f64 = 2e7;

impl Pace {
    /// How many requests are due from `from_ns` until before `to_ns`. `None` for a closed loop.
    pub(crate) fn due_between(&self, from_ns: u64, to_ns: u64, threads: usize) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Rate(profile, Arrivals::Even) => {
                Some(profile.expected(to_ns).ceil() - profile.expected(from_ns).ceil())
            }
            Self::Rate(profile, Arrivals::Poisson { .. }) if profile.expected(to_ns) > MAX_COUNTED => {
                Some(profile.expected(to_ns) - profile.expected(from_ns))
            }
            Self::Rate(_, Arrivals::Poisson { .. }) | Self::Times(_) => {
                let of_thread = |thread| {
                    let mut share = Share::new(self, thread, threads);
                    let mut count = 0u64;
                    while let Some(due) = share.due_ns().filter(|&due| due < to_ns) {
                        count += u64::from(due >= from_ns);
                        share.advance();
                    }
                    count
                };
                Some((0..threads).map(of_thread).sum::<u64>() as f64)
            }
        }
    }

    /// How many requests are expected from `from_ns` until before `to_ns`: of a Poisson process the mean. `None` for a
    /// closed loop. Cheap at any length.
    pub(crate) fn expected_between(&self, from_ns: u64, to_ns: u64) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Rate(profile, _) => Some(profile.expected(to_ns) - profile.expected(from_ns)),
            Self::Times(times) => {
                let before = |ns| times.partition_point(|&time| time < ns) as f64;
                Some(before(to_ns) - before(from_ns))
            }
        }
    }
}

/// A rate over time that was checked, with its integral.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    parts: Vec<Part>,
}

/// A stage in seconds, with what was before it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    start: f64,
    seconds: f64,
    from: f64,
    to: f64,
    /// Requests due before its start.
    before: f64,
}

impl Part {
    fn slope(&self) -> f64 {
        if self.seconds.is_finite() { (self.to - self.from) / self.seconds } else { 0.0 }
    }

    /// Requests due in its first `t` seconds.
    fn expected(&self, t: f64) -> f64 {
        self.from * t + self.slope() * t * t / 2.0
    }

    /// The time at which so many are due. The form with the root below the line loses no digits where the ramp is
    /// almost level.
    fn inverse(&self, count: f64) -> f64 {
        if count <= 0.0 {
            return 0.0;
        }
        if self.from == self.to {
            return count / self.from;
        }
        let root = (self.from * self.from + 2.0 * self.slope() * count).max(0.0).sqrt();
        2.0 * count / (self.from + root)
    }
}

impl Profile {
    /// The same rate for ever.
    pub(crate) fn constant(rate: f64) -> Self {
        Self { parts: vec![Part { start: 0.0, seconds: f64::INFINITY, from: rate, to: rate, before: 0.0 }] }
    }

    /// One stage after the other, then nothing. Durations and rates are finite and not negative.
    pub(crate) fn of_stages(stages: &[Stage]) -> Self {
        let (mut start, mut before) = (0.0, 0.0);
        let part = |stage: &Stage| {
            let (seconds, from, to) = (stage.duration.as_secs_f64(), stage.from, stage.to);
            let part = Part { start, seconds, from, to, before };
            start += seconds;
            before += (from + to) / 2.0 * seconds;
            part
        };
        Self { parts: stages.iter().filter(|stage| !stage.duration.is_zero()).map(part).collect() }
    }

    /// How many requests are due in the first `elapsed_ns`: the integral of the rate.
    pub(crate) fn expected(&self, elapsed_ns: u64) -> f64 {
        let t = elapsed_ns as f64 / 1e9;
        let after = self.parts.partition_point(|part| part.start <= t);
        let part = after.checked_sub(1).and_then(|last| self.parts.get(last));
        part.map_or(0.0, |part| part.before + part.expected((t - part.start).min(part.seconds)))
    }

    /// When so many requests are due: the inverse of [`expected`](Self::expected), in nanoseconds. Begins to look at
    /// `*part`, which only grows, so a schedule read in order costs the same at any length.
    #[inline]
    fn when(&self, count: f64, part: &mut usize) -> Option<u64> {
        loop {
            let current = self.parts.get(*part)?;
            let in_part = count - current.before;
            let whole = (current.from + current.to) / 2.0 * current.seconds;
            if in_part < whole {
                let seconds = current.start + current.inverse(in_part).min(current.seconds);
                return Some((seconds * 1e9) as u64);
            }
            *part += 1;
        }
    }
}

/// The part of a schedule that one of `threads` generator threads sends.
///
/// Of even and given times it is every `threads`-th request. Of a Poisson process it is one with that part of the rate:
/// independent Poisson processes together are one again.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    source: Source,
    /// The number of the request in the whole schedule (of a Poisson process: of this share).
    next: u64,
    step: u64,
    /// When it is due.
    due: Option<u64>,
    /// The last gaps, smoothed; infinite if there is none.
    gap_ns: f64,
}

#[derive(Debug, Clone)]
enum Source {
    Closed,
    Even { profile: Arc<Profile>, part: usize },
    Poisson { profile: Arc<Profile>, part: usize, at: f64, random: Random },
    Times(Arc<[u64]>),
}

/// Weight of the newest gap in the smoothed one.
const SMOOTHING: f64 = 0.125;
/// Most requests of a backlog that are looked at one by one.
const MAX_LOOKED_AT: u64 = 1_000_000;

impl Share {
    /// The share of thread number `thread`. The shares of all threads are the schedule, each request once.
    pub(crate) fn new(pace: &Pace, thread: usize, threads: usize) -> Self {
        let (number, step) = (thread as u64, threads as u64);
        let (source, next, step) = match pace {
            Pace::Closed => (Source::Closed, 0, 1),
            Pace::Rate(profile, Arrivals::Even) => {
                (Source::Even { profile: Arc::clone(profile), part: 0 }, number, step)
            }
            Pace::Rate(profile, Arrivals::Poisson { seed }) => {
                let mut random = Random::part(*seed, number);
                let at = random.exponential() * step as f64;
                (Source::Poisson { profile: Arc::clone(profile), part: 0, at, random }, 0, step)
            }
            Pace::Times(times) => (Source::Times(Arc::clone(times)), number, step),
        };
        let mut share = Self { source, next, step, due: None, gap_ns: f64::INFINITY };
        share.look();
        share
    }

    /// When the next request of this share is due; `None` for a closed loop, and when there are no more.
    #[inline]
    pub(crate) fn due_ns(&self) -> Option<u64> {
        self.due
    }

    /// Requests per second of this share about its next request; 0 if there is none.
    #[inline]
    pub(crate) fn rate(&self) -> f64 {
        1e9 / self.gap_ns.max(1.0)
    }

    /// The given times are all taken. A rate is never over: it may be zero for a while, and its run has a length.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.source, Source::Times(_)) && self.due.is_none()
    }

    /// Goes on to the request after.
    #[inline]
    pub(crate) fn advance(&mut self) {
        match &mut self.source {
            Source::Poisson { at, random, .. } => {
                *at += random.exponential() * self.step as f64;
                self.next += 1;
            }
            Source::Closed | Source::Even { .. } | Source::Times(_) => self.next += self.step,
        }
        self.look();
    }

    #[inline]
    fn look(&mut self) {
        let before = self.due;
        self.due = match &mut self.source {
            Source::Closed => None,
            Source::Even { profile, part } => profile.when(self.next as f64, part),
            Source::Poisson { profile, part, at, .. } => profile.when(*at, part),
            Source::Times(times) => times.get(self.next as usize).copied(),
        };
        let gap = before.zip(self.due).map_or(f64::INFINITY, |(before, due)| (due - before) as f64);
        let smoothed = self.gap_ns + (gap - self.gap_ns) * SMOOTHING;
        self.gap_ns = if smoothed.is_finite() { smoothed } else { gap };
    }

    /// How many requests of this share were due before `elapsed_ns` and have not been taken: the backlog. Tells
    /// `waited` how long how many of them have been due; of very long backlogs a sample with its weight.
    pub(crate) fn backlog(&self, elapsed_ns: u64, waited: &mut dyn FnMut(u64, u64)) -> u64 {
        let mut ahead = self.clone();
        let mut count = 0;
        let mut left = self.even_backlog(elapsed_ns);
        let weight = left / MAX_LOOKED_AT + 1;
        while let Some(due) = ahead.due.filter(|&due| due < elapsed_ns) {
            let n = weight.min(left.max(1));
            waited(elapsed_ns - due, n);
            count += n;
            left = left.saturating_sub(n);
            if n > 1 {
                ahead.next += ahead.step * n;
                ahead.look();
            } else {
                ahead.advance();
            }
            if count >= MAX_LOOKED_AT && matches!(ahead.source, Source::Poisson { .. }) {
                return count + ahead.expected_backlog(elapsed_ns, waited);
            }
        }
        count
    }

    /// The backlog of an even schedule, computed; 0 for any other.
    fn even_backlog(&self, elapsed_ns: u64) -> u64 {
        let Source::Even { profile, .. } = &self.source else { return 0 };
        (profile.expected(elapsed_ns).ceil() as u64).saturating_sub(self.next).div_ceil(self.step)
    }

    /// What is expected of the rest of a Poisson process's backlog, in a thousand equal steps.
    fn expected_backlog(&self, elapsed_ns: u64, waited: &mut dyn FnMut(u64, u64)) -> u64 {
        const STEPS: u64 = 1_000;
        let (Source::Poisson { profile, .. }, Some(due)) = (&self.source, self.due) else { return 0 };
        let edge = |step: u64| due + (elapsed_ns.saturating_sub(due)) / STEPS * step;
        let mut count = 0;
        for step in 0..STEPS {
            let (from, to) = (edge(step), edge(step + 1));
            let expected = (profile.expected(to) - profile.expected(from)) / self.step as f64;
            waited(elapsed_ns - from, expected as u64);
            count += expected as u64;
        }
        count
    }
}

#[cfg(test)]
mod tests;
