//! Rate limits and breakers against what they promise, looked at from outside: a million random schedules, eight
//! threads, and a breaker that remembers every call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use seawall_core::{Class, Outcome};

use super::random::Random;
use super::time_zero;
use crate::{Breaker, BreakerConfig, BreakerState, BreakerWindow, RateLimit, RateLimitConfig};

/// The most above `burst + d / interval` in any stretch `d` that begins and ends with an admission, in units: what is
/// owed grows by each admission and falls with time, and never below nothing.
fn most_above(passed: impl Iterator<Item = u64>, interval: u64, burst: u32) -> i128 {
    let (mut owed, mut last, mut most) = (0i128, 0, i128::MIN);
    let interval = i128::from(interval);
    for at in passed {
        owed = (owed - i128::from(at - last)).max(0) + interval;
        last = at;
        most = most.max(owed - interval * i128::from(burst));
    }
    most
}

#[test]
fn a_million_random_schedules_get_no_unit_too_many() {
    let start = time_zero();
    let mut random = Random::new(1);
    for _ in 0..1_000_000 {
        let interval = random.next() % 1_000 + 1;
        let burst = (random.next() % 8 + 1) as u32;
        let limit =
            RateLimit::new(&RateLimitConfig { interval: Duration::from_nanos(interval), burst }, start);
        let (limit, mut now) = (limit.unwrap(), 0);
        let passed = (0..16).filter_map(|_| {
            now += random.next() % (interval * 2);
            limit.try_take(1, start + Duration::from_nanos(now)).is_ok().then_some(now)
        });
        assert!(most_above(passed, interval, burst) <= 0);
    }
}

/// Time goes on as the threads ask, and no stretch of it sees a unit too many.
#[test]
fn eight_threads_get_no_unit_too_many_in_any_stretch() {
    let start = time_zero();
    let config = RateLimitConfig { interval: Duration::from_nanos(700), burst: 13 };
    let limit = Arc::new(RateLimit::new(&config, start).unwrap());
    let clock = Arc::new(AtomicU64::new(0));
    let worker = || {
        let (limit, clock) = (Arc::clone(&limit), Arc::clone(&clock));
        move || {
            let now = || clock.fetch_add(100, Ordering::Relaxed);
            let takes = |now: u64| limit.try_take(1, start + Duration::from_nanos(now)).is_ok();
            (0..50_000).map(|_| now()).filter(|&now| takes(now)).collect::<Vec<_>>()
        }
    };
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(worker())).collect();
    let mut passed: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    passed.sort_unstable();
    assert!(most_above(passed.iter().copied(), 700, 13) <= 0);
    assert!(passed.len() > 40_000, "nearly a seventh of what was asked: {}", passed.len());
}

/// A breaker that keeps every call it was told of and looks at all of them each time.
struct Reference {
    config: BreakerConfig,
    state: BreakerState,
    calls: VecDeque<(bool, bool)>,
    until: Duration,
    openings: u32,
    out: u32,
    succeeded: u32,
}

impl Reference {
    fn new(config: &BreakerConfig) -> Self {
        let state = BreakerState::Closed;
        let (calls, until) = (VecDeque::new(), Duration::ZERO);
        Self { config: config.clone(), state, calls, until, openings: 0, out: 0, succeeded: 0 }
    }

    fn admits(&mut self, now: Duration) -> bool {
        if self.state == BreakerState::Open && now >= self.until {
            (self.state, self.out, self.succeeded) = (BreakerState::HalfOpen, 0, 0);
        }
        match self.state {
            BreakerState::Closed => true,
            BreakerState::HalfOpen if self.out + self.succeeded < self.config.probes => {
                self.out += 1;
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, now: Duration) {
        let BreakerConfig { open_for, max_open_for, .. } = self.config;
        self.until = now + (open_for * 2u32.saturating_pow(self.openings)).min(max_open_for);
        self.openings += 1;
        self.state = BreakerState::Open;
        self.calls.clear();
    }

    fn told(&mut self, failed: bool, slow: bool, now: Duration) {
        if self.state == BreakerState::HalfOpen {
            self.out -= 1;
            if failed || slow {
                return self.open(now);
            }
            self.succeeded += 1;
            if self.succeeded == self.config.probes {
                (self.state, self.openings) = (BreakerState::Closed, 0);
                self.calls.clear();
            }
            return;
        }
        self.calls.push_back((failed, slow));
        let all = self.calls.len() as u32;
        let share =
            |of: fn(&(bool, bool)) -> bool| self.calls.iter().filter(|call| of(call)).count() as u32 * 100;
        let bad = share(|(failed, _)| *failed) >= all * self.config.failure_percent
            || share(|(_, slow)| *slow) >= all * self.config.slow_percent;
        if all >= self.config.min_calls && bad {
            self.open(now);
        }
    }
}

proptest! {
    /// Calls that end in any order, some of them slow, some of them given up: the same answers and the same states. The
    /// window is longer than the script, so that it forgets nothing; what it forgets is tested with it.
    #[test]
    fn a_breaker_behaves_as_one_that_remembers_every_call(
        steps in prop::collection::vec((0u8..8, 0usize..6, 0u64..4), 0..120),
        probes in 1u32..4,
        min_calls in 1u32..8,
    ) {
        let config = BreakerConfig {
            window: BreakerWindow::Count(10_000),
            min_calls, probes, jitter_percent: 0, slow_percent: 60, slow_after: Duration::from_secs(5),
            ..BreakerConfig::default()
        };
        let start = time_zero();
        let at = |now: Duration| -> Instant { start + now };
        let breaker = Breaker::new(&config, start).unwrap();
        let mut reference = Reference::new(&config);
        let mut now = Duration::ZERO;
        // Under way: the attempt, when it began, and after how many changes of state.
        let mut under_way = Vec::new();
        let mut changes = 0;
        for (step, which, pause) in steps {
            now += Duration::from_secs(pause);
            let before = reference.state;
            if step < 4 || under_way.is_empty() {
                let ours = breaker.try_call(at(now));
                prop_assert_eq!(ours.is_ok(), reference.admits(now));
                changes += u32::from(before != reference.state);
                if let Ok((attempt, _)) = ours { under_way.push((attempt, now, changes)); }
            } else {
                let (attempt, began, epoch) = under_way.swap_remove(which % under_way.len());
                let current = epoch == changes;
                let failed = step < 6;
                if step == 7 {
                    drop(attempt);
                    if current && reference.state == BreakerState::HalfOpen { reference.out -= 1; }
                } else {
                    let outcome = if failed { Outcome::Failure(Class::Transient) } else { Outcome::Success };
                    attempt.finish(outcome, None, at(now), 0);
                    if current { reference.told(failed, now - began > config.slow_after, now); }
                }
                changes += u32::from(before != reference.state);
            }
            prop_assert_eq!(breaker.state(), reference.state);
        }
    }
}

/// All calls fail: it opens with the call that completes the least number of calls, in a window of calls as of time.
#[test]
fn a_dead_other_side_trips_it_within_the_first_window() {
    for window in [BreakerWindow::Count(100), BreakerWindow::Time(Duration::from_secs(10))] {
        let start = time_zero();
        let config = BreakerConfig { window, ..BreakerConfig::default() };
        let breaker = Breaker::new(&config, start).unwrap();
        let reached = (0..100).filter(|&at| {
            let now = start + Duration::from_millis(at);
            let call = breaker.try_call(now);
            let called = call.map(|(call, _)| call.finish(Outcome::Failure(Class::Transient), None, now, 0));
            called.is_ok()
        });
        assert_eq!(reached.count(), config.min_calls as usize);
    }
}
