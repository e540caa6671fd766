//! Seawall's own.

use std::hash::RandomState;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::Outcome;
use seawall_guard::{
    Admission, AdmissionConfig, Breaker, BreakerConfig, Gate, KeyedRateLimit, KeyedRateLimitConfig, Meta,
    RateLimit, RateLimitConfig,
};

use crate::{clock, keys, measure};

/// Lets everything through.
const PLENTY: RateLimitConfig = RateLimitConfig { interval: Duration::from_nanos(1), burst: 1_000_000 };

pub(crate) fn run(case: &str, threads: usize) -> bool {
    match case {
        "clock" => measure(threads, |_| {
            || {
                black_box(clock::now());
            }
        }),
        "direct-seawall" => direct(threads, true),
        "direct-seawall-given" => direct(threads, false),
        "hot-seawall" => keyed(threads, 1, true),
        "hot-seawall-given" => keyed(threads, 1, false),
        "million-seawall" => keyed(threads, 1_000_000, true),
        "million-seawall-given" => keyed(threads, 1_000_000, false),
        "breaker-seawall" => breaker(threads, true),
        "breaker-seawall-given" => breaker(threads, false),
        "limit-seawall-gate" => gate(threads),
        "limit-seawall" => admission(threads, true),
        "limit-seawall-given" => admission(threads, false),
        "chain-seawall" => chain(threads),
        _ => return false,
    }
    true
}

fn direct(threads: usize, reads: bool) {
    let start = clock::now();
    let limit = Arc::new(RateLimit::new(&PLENTY, start).expect("good values"));
    measure(threads, move |_| {
        let limit = Arc::clone(&limit);
        let mut at = start;
        move || {
            at = if reads { clock::now() } else { at + Duration::from_nanos(20) };
            let _ = black_box(limit.try_take(1, at));
        }
    });
}

fn keyed(threads: usize, below: u64, reads: bool) {
    let start = clock::now();
    let max_keys = if below == 1 { 1_024 } else { 2_097_152 };
    let config = KeyedRateLimitConfig { each: PLENTY, max_keys };
    let limit = KeyedRateLimit::new(&config, RandomState::new(), start).expect("good values");
    for key in 0..below {
        let _ = limit.try_take(&key, 1, start);
    }
    let limit = Arc::new(limit);
    measure(threads, move |thread| {
        let limit = Arc::clone(&limit);
        let (mut key, mut at) = (keys(thread, below), start);
        move || {
            at = if reads { clock::now() } else { at + Duration::from_nanos(20) };
            let _ = black_box(limit.try_take(&key(), 1, at));
        }
    });
}

fn breaker(threads: usize, reads: bool) {
    let start = clock::now();
    let breaker = Breaker::new(&BreakerConfig::default(), start).expect("good values");
    measure(threads, move |_| {
        let breaker = breaker.clone();
        let mut at = start;
        move || {
            at = if reads { clock::now() } else { at + Duration::from_nanos(20) };
            let (attempt, _) = breaker.try_call(at).expect("closed");
            let ended = if reads { clock::now() } else { at };
            black_box(attempt.finish(Outcome::Success, None, ended, 0));
        }
    });
}

fn gate(threads: usize) {
    let gate = Gate::new(NonZeroU32::new(1_000).expect("not zero"));
    measure(threads, move |_| {
        let gate = gate.clone();
        move || drop(black_box(gate.try_acquire()))
    });
}

/// One machine for each thread, as workers have one each, and one hard cap for all.
fn admission(threads: usize, reads: bool) {
    let start = clock::now();
    let gate = Gate::new(NonZeroU32::new(1_000).expect("not zero"));
    measure(threads, move |_| {
        let config = AdmissionConfig::default();
        let admission = Admission::<()>::new(&config, Some(gate.clone()), start).expect("good values");
        let mut at = start;
        move || {
            at = if reads { clock::now() } else { at + Duration::from_nanos(20) };
            let permit = admission.try_start(&Meta::new(at), at).expect("there is room");
            let ended = if reads { clock::now() } else { at + Duration::from_nanos(10) };
            permit.finish(Outcome::Success, ended);
        }
    });
}

/// Deadline, class, hard cap, rate limit of one of a thousand callers, adaptive limit: two looks at the clock.
fn chain(threads: usize) {
    let start = clock::now();
    let gate = Gate::new(NonZeroU32::new(1_000).expect("not zero"));
    let config = KeyedRateLimitConfig { each: PLENTY, max_keys: 4_096 };
    let limit = Arc::new(KeyedRateLimit::new(&config, RandomState::new(), start).expect("good values"));
    measure(threads, move |thread| {
        let config = AdmissionConfig::default();
        let admission = Admission::<()>::new(&config, Some(gate.clone()), start).expect("good values");
        let (limit, mut key) = (Arc::clone(&limit), keys(thread, 1_000));
        move || {
            let now = clock::now();
            let deadline = seawall_core::Deadline::after(now, Duration::from_millis(250));
            let meta = Meta { deadline: Some(deadline), ..Meta::new(now) };
            let _ = black_box(limit.try_take(&key(), 1, now));
            let permit = admission.try_start(&meta, now).expect("there is room");
            permit.finish(Outcome::Success, clock::now());
        }
    });
}
