//! Client-side throttling: a caller whose calls are mostly refused holds a part of them back by itself.
//!
//! Of `requests` and `accepts` of the last two minutes, a call is held back with probability
//! `max(0, (requests - K accepts - allowance) / (requests + 1))`, at most 95 %, so that a service that recovers is
//! noticed. "Handling overload", in "Site reliability engineering" (2016); the allowance, without which one failure in
//! a quiet time would hold back every other call, is go-zero's. `requests` counts what was held back too: the
//! pressure of callers that do not stop keeps the share up.

use std::time::{Duration, Instant};

use seawall_core::{ConfigError, Outcome};

use crate::Rejected;
use crate::sync::Mutex;

/// How hard a caller holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// K in per cent: how many calls are made for each hundred that are accepted, 100 to 1,000. Default 200.
    pub ratio_percent: u32,
    /// How far back it looks, 1 s to 1 hour. Default 2 minutes.
    pub window: Duration,
    /// So many calls without success are let pass, 0 to 1,000,000. Default 5.
    pub allowance: u32,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self { ratio_percent: 200, window: Duration::from_secs(120), allowance: 5 }
    }
}

const BUCKETS: usize = 12;
const MOST: f64 = 0.95;

/// Throttles the calls to one other side.
#[derive(Debug)]
pub struct Throttle {
    ratio: f64,
    allowance: f64,
    bucket: Duration,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Requests and accepts of each stretch.
    buckets: [(u32, u32); BUCKETS],
    newest: u64,
}

impl Throttle {
    /// Nothing is held back yet.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &ThrottleConfig, start: Instant) -> Result<Self, ConfigError> {
        let ThrottleConfig { ratio_percent, window, allowance } = *config;
        if !(100..=1_000).contains(&ratio_percent) {
            return Err(ConfigError::new("throttle.ratio_percent", ratio_percent, "100 to 1000"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&window) {
            return Err(ConfigError::new("throttle.window", format!("{window:?}"), "1 s to 1 hour"));
        }
        if allowance > 1_000_000 {
            return Err(ConfigError::new("throttle.allowance", allowance, "0 to 1000000"));
        }
        let (ratio, allowance) = (f64::from(ratio_percent) / 100.0, f64::from(allowance));
        Ok(Self { ratio, allowance, bucket: window / BUCKETS as u32, start, state: Mutex::default() })
    }

    /// Counts a call and decides whether it is made. `random` is evenly drawn from all of `u64`.
    ///
    /// # Errors
    /// [`Rejected::Throttled`].
    pub fn try_call(&self, now: Instant, random: u64) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        let share = self.held_back(&mut state, now);
        let requests = &mut state.newest().0;
        *requests = requests.saturating_add(1);
        let held = (random as f64 / u64::MAX as f64) < share;
        if held { Err(Rejected::Throttled) } else { Ok(()) }
    }

    /// Reports how a call that was made ended. All count as accepted but [`Outcome::Overloaded`] and what the other
    /// side could not do; of what was cancelled nothing is known, which counts as accepted too.
    pub fn record(&self, outcome: Outcome, now: Instant) {
        use seawall_core::Class;
        if matches!(outcome, Outcome::Overloaded | Outcome::Failure(Class::Transient | Class::System)) {
            return;
        }
        let mut state = self.state.lock();
        state.turn(self.number(now));
        let accepts = &mut state.newest().1;
        *accepts = accepts.saturating_add(1);
    }

    /// Which share of calls is held back, 0 to 0.95.
    pub fn share(&self, now: Instant) -> f64 {
        self.held_back(&mut self.state.lock(), now)
    }

    fn held_back(&self, state: &mut State, now: Instant) -> f64 {
        state.turn(self.number(now));
        let sum = |of: fn(&(u32, u32)) -> u32| state.buckets.iter().map(|it| f64::from(of(it))).sum::<f64>();
        let (requests, accepts) = (sum(|it| it.0), sum(|it| it.1));
        ((requests - self.ratio * accepts - self.allowance) / (requests + 1.0)).clamp(0.0, MOST)
    }

    fn number(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos() / self.bucket.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl State {
    fn newest(&mut self) -> &mut (u32, u32) {
        &mut self.buckets[(self.newest % BUCKETS as u64) as usize]
    }

    fn turn(&mut self, number: u64) {
        for _ in 0..number.saturating_sub(self.newest).min(BUCKETS as u64) {
            self.newest += 1;
            *self.newest() = (0, 0);
        }
        self.newest = self.newest.max(number);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use seawall_core::Class;

    use super::*;

    /// The share that is held back after so many calls of which every `accepted`th is accepted (0: none).
    fn share_after(calls: u32, accepted: u32) -> f64 {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
        let start = Instant::now();
        let throttle = Throttle::new(&ThrottleConfig::default(), start).unwrap();
        for call in 0..calls {
            let _ = throttle.try_call(start, u64::MAX);
            let good = accepted > 0 && call % accepted == 0;
            throttle.record(if good { Outcome::Success } else { Outcome::Overloaded }, start);
        }
        let share = throttle.share(start);
        let forgotten = throttle.share(start + Duration::from_secs(121));
        assert!(forgotten.abs() < f64::EPSILON, "{forgotten} after the window");
        share
    }

    #[test]
    fn while_half_is_accepted_all_calls_are_made() {
        assert!(share_after(1_000, 2) < 0.001);
    }
    #[test]
    fn when_a_tenth_is_accepted_four_fifths_are_held_back() {
        assert!((share_after(1_000, 10) - 0.8).abs() < 0.01);
    }
    #[test]
    fn a_few_calls_always_pass() {
        assert!((share_after(1_000, 0) - 0.95).abs() < 0.001);
    }

    #[test]
    fn a_few_failures_in_a_quiet_time_hold_nothing_back() {
        assert!(share_after(5, 0) < 0.001);
        assert!(share_after(10, 0) > 0.4);
    }

    #[test]
    fn a_mistake_of_the_caller_counts_as_accepted() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
        let start = Instant::now();
        let throttle = Throttle::new(&ThrottleConfig::default(), start).unwrap();
        for _ in 0..100 {
            throttle.try_call(start, 0).unwrap();
            throttle.record(Outcome::Failure(Class::Permanent), start);
        }
        assert!(throttle.share(start) < 0.001);
    }
}
