//! Both limiters against a naive oracle that keeps a log of everything it ever let through.

mod windows;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::Rejected;

type FixedSeed = BuildHasherDefault<DefaultHasher>;

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as time zero; no test looks at the clock again"
)]
fn time_zero() -> Instant {
    Instant::now()
}

/// The promise itself, checked the slow way: for every earlier admission, what has been let through since then
/// stays within the burst and what the time since then has earned.
struct LogOracle {
    interval: u128,
    burst: u128,
    log: Vec<(u128, u128)>,
}

impl LogOracle {
    fn new(config: &RateLimitConfig) -> Self {
        Self { interval: config.interval.as_nanos(), burst: config.burst.into(), log: Vec::new() }
    }

    fn would_fit(&self, cost: u128, now: u128) -> bool {
        let mut since = cost;
        let within =
            |since: u128, elapsed: u128| since * self.interval <= self.burst * self.interval + elapsed;
        within(since, 0)
            && self.log.iter().rev().all(|(at, cost)| {
                since += cost;
                within(since, now - at)
            })
    }

    fn take(&mut self, cost: u32, now: Duration) -> bool {
        let (cost, now) = (u128::from(cost), now.as_nanos());
        let fits = self.would_fit(cost, now);
        if fits {
            self.log.push((now, cost));
        }
        fits
    }
}

/// Odd intervals, small and large bursts; pauses around the interval, so that both answers are common.
fn cases() -> impl Strategy<Value = (RateLimitConfig, Vec<(u32, u32, Duration)>)> {
    (1u64..5_000, 1u32..20).prop_flat_map(|(interval, burst)| {
        let pause = prop_oneof![Just(0), 0..interval * 3, Just(interval), 0..interval * u64::from(burst) * 2];
        let request = (0u32..6, 1u32..=burst + 1, pause.prop_map(Duration::from_nanos));
        let config = RateLimitConfig { interval: Duration::from_nanos(interval), burst };
        (Just(config), prop::collection::vec(request, 0..60))
    })
}

proptest! {
    #[test]
    fn a_limit_decides_as_the_log_does((config, requests) in cases()) {
        let start = time_zero();
        let limit = RateLimit::new(&config, start).unwrap();
        let mut oracle = LogOracle::new(&config);
        let mut now = Duration::ZERO;
        for (_, cost, pause) in requests {
            now += pause;
            prop_assert_eq!(limit.try_take(cost, start + now).is_ok(), oracle.take(cost, now));
        }
    }

    #[test]
    fn the_wait_it_names_is_exact((config, requests) in cases()) {
        let start = time_zero();
        let limit = RateLimit::new(&config, start).unwrap();
        let mut now = Duration::ZERO;
        for (_, cost, pause) in requests {
            now += pause;
            if let Err(Rejected::RateLimited { retry_after }) = limit.try_take(cost, start + now) {
                let almost = retry_after.saturating_sub(Duration::from_nanos(1));
                prop_assert!(limit.try_take(cost, start + now + almost).is_err());
                now += retry_after;
                prop_assert!(limit.try_take(cost, start + now).is_ok());
            }
        }
    }

    #[test]
    fn with_room_for_all_each_key_has_a_log_of_its_own((each, requests) in cases()) {
        let start = time_zero();
        let config = KeyedRateLimitConfig { each, max_keys: 1_024 };
        let limit = KeyedRateLimit::new(&config, FixedSeed::default(), start).unwrap();
        let mut oracles = HashMap::new();
        let mut now = Duration::ZERO;
        for (key, cost, pause) in requests {
            now += pause;
            let oracle = oracles.entry(key).or_insert_with(|| LogOracle::new(&each));
            prop_assert_eq!(limit.try_take(&key, cost, start + now).is_ok(), oracle.take(cost, now));
        }
    }

    /// 12 keys in 7 slots, in quick succession, so that keys are evicted in debt and come back: newcomers may get
    /// less, but nobody ever gets more than the log allows.
    #[test]
    fn a_table_that_is_too_small_never_gives_more(
        interval in 1u64..1_000,
        burst in 1u32..6,
        requests in prop::collection::vec((0u32..12, 1u32..4, 0u64..400), 0..200),
    ) {
        let start = time_zero();
        let each = RateLimitConfig { interval: Duration::from_nanos(interval), burst };
        let config = KeyedRateLimitConfig { each, max_keys: 7 };
        let limit = KeyedRateLimit::new(&config, FixedSeed::default(), start).unwrap();
        let mut oracles = HashMap::new();
        let mut now = Duration::ZERO;
        for (key, cost, pause) in requests {
            now += Duration::from_nanos(pause * interval / 1_000);
            let oracle = oracles.entry(key).or_insert_with(|| LogOracle::new(&each));
            if limit.try_take(&key, cost, start + now).is_ok() {
                prop_assert!(oracle.take(cost, now), "key {} got more than its limit", key);
            }
        }
    }
}

#[test]
fn idle_keys_cost_a_newcomer_nothing() {
    let start = time_zero();
    let each = RateLimitConfig { interval: Duration::from_secs(1), burst: 1 };
    let config = KeyedRateLimitConfig { each, max_keys: 7 };
    let limit = KeyedRateLimit::new(&config, FixedSeed::default(), start).unwrap();
    for second in 0..10_000 {
        let now = start + Duration::from_secs(second);
        assert_eq!(limit.try_take(&second, 1, now), Ok(()));
    }
}

#[test]
fn a_full_set_refuses_the_newcomer_and_keeps_its_seven() {
    let start = time_zero();
    let each = RateLimitConfig { interval: Duration::from_secs(1), burst: 1 };
    let config = KeyedRateLimitConfig { each, max_keys: 7 };
    let limit = KeyedRateLimit::new(&config, FixedSeed::default(), start).unwrap();
    for key in 0..7 {
        assert_eq!(limit.try_take(&key, 1, start), Ok(()));
    }
    let refused = Err(Rejected::RateLimited { retry_after: Duration::from_secs(1) });
    assert_eq!(limit.try_take(&8, 1, start), refused);
    let later = start + Duration::from_secs(1);
    for key in 0..7 {
        assert_eq!(limit.try_take(&key, 1, later), Ok(()));
    }
}

#[test]
fn time_that_runs_backwards_gives_nothing_away() {
    let start = time_zero();
    let config = RateLimitConfig { interval: Duration::from_secs(1), burst: 1 };
    let limit = RateLimit::new(&config, start).unwrap();
    assert_eq!(limit.try_take(1, start + Duration::from_secs(5)), Ok(()));
    let refused = Err(Rejected::RateLimited { retry_after: Duration::from_secs(6) });
    assert_eq!(limit.try_take(1, start), refused);
}

#[test]
fn a_cost_above_the_burst_can_never_pass() {
    let start = time_zero();
    let limit = RateLimit::new(&RateLimitConfig::default(), start).unwrap();
    assert_eq!(limit.try_take(11, start), Err(Rejected::TooCostly { cost: 11, burst: 10 }));
    assert_eq!(limit.try_take(10, start), Ok(()));
}

#[test]
fn a_century_of_uptime_changes_nothing() {
    let start = time_zero();
    let config = RateLimitConfig { interval: Duration::from_secs(1), burst: 1 };
    let limit = RateLimit::new(&config, start).unwrap();
    let now = start + Duration::from_secs(100 * 365 * 86_400);
    assert_eq!(limit.try_take(1, now), Ok(()));
    assert_eq!(limit.try_take(1, now), Err(Rejected::RateLimited { retry_after: Duration::from_secs(1) }));
}

#[test]
fn a_rate_is_rounded_down_never_up() {
    let interval = |rate| RateLimitConfig::per_second(NonZeroU32::new(rate).unwrap(), 1).interval;
    assert_eq!(interval(1_000_000), Duration::from_micros(1));
    assert_eq!(interval(3), Duration::from_nanos(333_333_334));
    assert_eq!(interval(u32::MAX), Duration::from_nanos(1));
    let a_minute = RateLimitConfig::per_minute(NonZeroU32::new(120).unwrap(), 1);
    assert_eq!(a_minute.interval, Duration::from_millis(500));
}

/// Checks that a configuration is refused, and in which words.
#[track_caller]
fn check_refused(config: RateLimitConfig, message: &str) {
    assert_eq!(RateLimit::new(&config, time_zero()).unwrap_err().to_string(), message);
}

#[test]
fn an_interval_of_zero_is_refused() {
    let config = RateLimitConfig { interval: Duration::ZERO, burst: 1 };
    check_refused(config, "`rate_limit.interval` is 0ns, but must be 1 ns to 1 day");
}
#[test]
fn a_burst_of_zero_is_refused() {
    let config = RateLimitConfig { burst: 0, ..RateLimitConfig::default() };
    check_refused(config, "`rate_limit.burst` is 0, but must be 1 to 1000000");
}
#[test]
fn a_burst_of_years_is_refused() {
    let config = RateLimitConfig { interval: Duration::from_secs(3_600), burst: 1_000_000 };
    let message =
        "`rate_limit.burst` is 1000000, but must be small enough that interval x burst is at most 100 days";
    check_refused(config, message);
}
#[test]
fn a_table_of_no_keys_is_refused() {
    let config = KeyedRateLimitConfig { max_keys: 0, ..KeyedRateLimitConfig::default() };
    let error = KeyedRateLimit::new(&config, FixedSeed::default(), time_zero()).unwrap_err();
    assert_eq!(error.to_string(), "`rate_limit.max_keys` is 0, but must be 7 to 16777216");
}
