//! BDP: as many in flight as the service finishes during one request, the bandwidth-delay product.
//!
//! `limit = 1.3 rate base + 1`, rounded, where `rate` is the highest completion rate of the last two seconds and `base`
//! the latency without queueing. The gain of 1.3 leaves room to see a rate that has grown. `base` is the lowest window
//! mean since it was last measured; while there is an overload it is measured again every ten seconds, and two seconds
//! after each time that found it lower: the limit is halved, one window passes until the old requests are gone,
//! and the next one's mean is the new base. That is what keeps it from drifting: under a lasting overload every other
//! estimate rises with the queue that it causes. Half, because the highest rate of many windows is above the mean: with
//! 63 % left a service of a few requests a second drifted away all the same.
//! The seconds are counted from the limiter's start, so that workers with one start, who fill one service together,
//! measure together: one that measures while the others fill it finds their queue.
//! The same idea as BBR (Cardwell et al., 2016), for requests instead of packets.
//!
//! Four rules keep it from doing harm. It never falls by more than 30 % per window. It does not fall at all on a base
//! that is older than the overload: a service that has just become slower would be held to its better days. While it
//! does not bind it keeps room for twice what is used, but for no more than is finished within two fifths of the
//! deadline at the best rate seen. And it probes only when something has waited for long: a probe that finds no queue
//! would turn away for nothing.
//! The constants were found in the scenarios of `src/tests`, and hold for one slot of 20 ms as for 64 of 10 ms.

use std::time::{Duration, Instant};

use super::{ConcurrencyLimit, LimitConfig, Window};
use crate::parts::{Part, is_there};

const GAIN: f64 = 1.3;
const FALLS_TO: f64 = 0.7;
const HEADROOM: f64 = 2.0;
/// What is left of the limit during a probe, rounded up. With the gain and a highest rate that is above the mean, it is
/// clearly below 1, so that a base that holds a queue shrinks.
const PROBES_AT: f64 = 0.5;
const REMEMBERED: Duration = Duration::from_secs(2);
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// After a probe that found the base lower there is another so soon, which may only lower it further.
const PROBE_AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Bdp {
    min: f64,
    max: f64,
    /// The limit when nothing is being measured.
    full: f64,
    limit: u32,
    /// Latency without queueing in seconds, and when it was measured, from the start.
    base: Option<(f64, Duration)>,
    /// The base was measured since the limit began to bind.
    confirmed: bool,
    probe: Probe,
    probes: u64,
    /// The probe under way may raise the base: it is one that all workers make.
    may_raise: bool,
    /// The last probe found the base lower.
    found_lower: bool,
    /// When the last window was closed, from the start.
    last: Duration,
    /// Something has waited for room since the last moment to probe.
    pressed: bool,
    rates: Rates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    No,
    /// The limit is halved, but requests from before are still in flight.
    Draining,
    /// This window's mean is the base.
    Measuring,
}

impl Bdp {
    pub(super) fn new(config: &LimitConfig) -> Self {
        Self {
            min: config.min.into(),
            max: config.max.into(),
            full: config.initial.into(),
            limit: config.initial,
            base: None,
            confirmed: false,
            probe: Probe::No,
            probes: 0,
            may_raise: false,
            found_lower: false,
            last: Duration::ZERO,
            pressed: false,
            rates: Rates::default(),
        }
    }

    fn measure(&mut self, window: &Window) {
        let mean = window.mean.as_secs_f64();
        let lower = self.base.is_none_or(|(base, _)| mean < base);
        if self.probe == Probe::Measuring {
            self.probe = Probe::No;
            self.found_lower = self.base.is_some_and(|(base, _)| mean < base * 0.9);
            if self.may_raise || lower {
                self.base = Some((mean, window.at));
                self.confirmed = true;
            }
            return; // the rate of a halved limit says nothing
        }
        self.rates.push(window.rate(), window.end);
        if lower {
            self.base = Some((mean, window.at));
        }
    }
}

impl ConcurrencyLimit for Bdp {
    fn limit(&self) -> u32 {
        self.limit
    }

    fn update(&mut self, window: &Window) {
        let all_probe = passes(self.last, window.at, PROBE_EVERY);
        let again = self.found_lower && passes(self.last, window.at, PROBE_AGAIN);
        self.last = window.at;
        self.pressed |= window.limited && window.waiting;
        if self.probe == Probe::Draining {
            self.probe = Probe::Measuring;
            return;
        }
        self.measure(window);
        let Some((base, measured)) = self.base else { return };
        let Some(rate) = self.rates.highest() else { return };
        let mut next = GAIN * rate * base + 1.0;
        if !window.limited {
            let in_time = rate * window.allowed.as_secs_f64() * 0.4;
            next = next.max(self.full.min(f64::from(window.max_in_flight) * HEADROOM).min(in_time));
        }
        self.confirmed &= window.limited;
        let old = !self.confirmed || passes(measured, window.at, PROBE_EVERY);
        if window.limited && old {
            next = next.max(self.full); // an old base is no reason to fall: measure first
        }
        self.full = next.max(self.full * FALLS_TO).clamp(self.min, self.max);
        self.limit = self.full.round() as u32;
        if self.pressed && (all_probe || again) && is_there(Part::Probe) {
            self.limit = (self.full * PROBES_AT).ceil().max(self.min) as u32;
            self.probe = Probe::Draining;
            self.probes += 1;
            self.may_raise = all_probe;
        }
        self.pressed &= !all_probe;
    }

    fn probes(&self) -> u64 {
        self.probes
    }

    fn base(&self) -> Option<Duration> {
        self.base.map(|(base, _)| Duration::from_secs_f64(base))
    }
}

/// Whether a whole `every`, counted from the start, lies between two moments.
fn passes(before: Duration, at: Duration, every: Duration) -> bool {
    at.as_nanos() / every.as_nanos() > before.as_nanos() / every.as_nanos()
}

/// The completion rates of the last windows, in a ring.
#[derive(Debug, Default)]
struct Rates {
    ring: [Option<(f64, Instant)>; 32],
    next: usize,
}

impl Rates {
    fn push(&mut self, rate: f64, at: Instant) {
        for entry in &mut self.ring {
            let old = entry.is_some_and(|(_, then)| at.saturating_duration_since(then) > REMEMBERED);
            if old {
                *entry = None;
            }
        }
        self.ring[self.next] = Some((rate, at));
        self.next = (self.next + 1) % self.ring.len();
    }

    fn highest(&self) -> Option<f64> {
        self.ring.iter().flatten().map(|&(rate, _)| rate).reduce(f64::max)
    }
}
