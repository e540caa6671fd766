//! Windows, pacing, several quotas, live change, shadow: against a list of everything that passed.

use std::sync::Arc;

use super::*;
use crate::{Enforcement, KeyedQuotas, Pacer, PacerConfig, SlidingMode, SlidingWindow, SlidingWindowConfig};

const MS: Duration = Duration::from_millis(1);

/// The most that passed within any stretch of `window`, both ends not included together.
fn most_in_a_window(passed: &[(u64, u32)], window: u64) -> u32 {
    let from = |start: u64| passed.iter().filter(move |(at, _)| (start..start + window).contains(at));
    passed.iter().map(|&(start, _)| from(start).map(|(_, cost)| cost).sum()).max().unwrap_or(0)
}

fn play(mode: SlidingMode, limit: u32, parts: u32, pauses: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let start = time_zero();
    let config = SlidingWindowConfig { limit, window: Duration::from_secs(1), parts, mode };
    let window = SlidingWindow::new(&config, start).unwrap();
    let mut now = 0;
    let mut passed = Vec::new();
    for &(pause, cost) in pauses {
        now += pause * 1_000_000;
        if window.try_take(cost, start + Duration::from_nanos(now)).is_ok() {
            passed.push((now, cost));
        }
    }
    passed
}

fn traffic() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((0u64..300, 1u32..4), 0..120)
}

proptest! {
    #[test]
    fn a_strict_window_is_never_above_its_limit(limit in 3u32..20, parts in 1u32..12, pauses in traffic()) {
        let passed = play(SlidingMode::Strict, limit, parts, &pauses);
        prop_assert!(most_in_a_window(&passed, 1_000_000_000) <= limit);
    }

    #[test]
    fn an_interpolated_window_is_never_above_twice_its_limit(limit in 3u32..20, parts in 1u32..12, pauses in traffic()) {
        let passed = play(SlidingMode::Interpolated, limit, parts, &pauses);
        prop_assert!(most_in_a_window(&passed, 1_000_000_000) <= 2 * limit);
    }

    /// The log decides as somebody does who looks at all that ever passed.
    #[test]
    fn the_log_is_exact(limit in 3u32..20, pauses in traffic()) {
        let mut expected: Vec<(u64, u32)> = Vec::new();
        let mut now = 0u64;
        for &(pause, cost) in &pauses {
            now += pause * 1_000_000;
            let in_window = expected.iter().filter(|(at, _)| at + 1_000_000_000 > now);
            if in_window.map(|(_, cost)| cost).sum::<u32>() + cost <= limit { expected.push((now, cost)); }
        }
        prop_assert_eq!(play(SlidingMode::Log, limit, 1, &pauses), expected);
    }

    /// Each quota holds for each key, also when the table is far too small.
    #[test]
    fn several_quotas_hold_together(requests in prop::collection::vec((0u32..20, 1u32..3, 0u64..40), 0..200)) {
        let start = time_zero();
        let second = RateLimitConfig { interval: 10 * MS, burst: 4 };
        let minute = RateLimitConfig { interval: 50 * MS, burst: 9 };
        let limits = KeyedQuotas::new(&[second, minute], 8, FixedSeed::default(), start).unwrap();
        let mut logs = HashMap::new();
        let mut now = Duration::ZERO;
        for (key, cost, pause) in requests {
            now += MS * pause as u32;
            let (a, b) = logs.entry(key).or_insert_with(|| (LogOracle::new(&second), LogOracle::new(&minute)));
            if limits.try_take(&key, cost, start + now).is_ok() {
                prop_assert!(a.take(cost, now) && b.take(cost, now), "key {} got more than one of its quotas", key);
            }
        }
    }

    #[test]
    fn several_quotas_with_room_for_all_are_exact(requests in prop::collection::vec((1u32..3, 0u64..40), 0..100)) {
        let start = time_zero();
        let (a, b) = (RateLimitConfig { interval: 10 * MS, burst: 4 }, RateLimitConfig { interval: 50 * MS, burst: 9 });
        let limits = KeyedQuotas::new(&[a, b], 8, FixedSeed::default(), start).unwrap();
        let (mut a, mut b) = (LogOracle::new(&a), LogOracle::new(&b));
        let mut now = Duration::ZERO;
        for (cost, pause) in requests {
            now += MS * pause as u32;
            let fits = a.would_fit(cost.into(), now.as_nanos()) && b.would_fit(cost.into(), now.as_nanos());
            prop_assert_eq!(limits.try_take("key", cost, start + now).is_ok(), fits);
            if fits { a.take(cost, now); b.take(cost, now); }
        }
    }
}

/// A burst at the end of a part, and another a window later: the worst case of interpolation, and the reason for
/// the strict mode.
#[test]
fn interpolation_lets_nearly_twice_the_limit_through_and_strict_does_not() {
    let mut pauses = vec![(999, 1)];
    pauses.extend(std::iter::repeat_n((0, 1), 99));
    pauses.extend(std::iter::repeat_n((1, 1), 1_000));
    let most = |mode| most_in_a_window(&play(mode, 100, 1, &pauses), 1_000_000_000);
    assert!(most(SlidingMode::Interpolated) > 190, "{}", most(SlidingMode::Interpolated));
    assert_eq!(most(SlidingMode::Strict), 100);
}

#[test]
fn eight_threads_get_no_unit_too_many() {
    let start = time_zero();
    let config = RateLimitConfig { interval: MS, burst: 50 };
    let limit = Arc::new(RateLimit::new(&config, start).unwrap());
    let worker = |limit: Arc<RateLimit>| {
        move || {
            (0..125_000u32)
                .filter(|&at| limit.try_take(1, start + Duration::from_micros(8) * at).is_ok())
                .count()
        }
    };
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(worker(Arc::clone(&limit)))).collect();
    let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    // A million requests over one second: the burst, and one each millisecond.
    assert!((1_000..=1_050).contains(&taken), "{taken}");
}

#[test]
fn paced_calls_leave_evenly_and_the_queue_is_bounded() {
    let start = time_zero();
    let config = PacerConfig { max_wait: 25 * MS, ..PacerConfig::default() };
    let pacer = Pacer::new(&config, start).unwrap();
    let waits: Vec<_> = (0..4).map(|_| pacer.reserve(1, start)).collect();
    let refused = Err(Rejected::RateLimited { retry_after: 5 * MS });
    assert_eq!(waits, [Ok(Duration::ZERO), Ok(10 * MS), Ok(20 * MS), refused]);
}

#[test]
fn a_cold_pacer_begins_slowly_and_gets_warm() {
    let start = time_zero();
    let warm_up = Duration::from_secs(1);
    let config = PacerConfig { warm_up, max_wait: Duration::from_secs(60), ..PacerConfig::default() };
    let pacer = Pacer::new(&config, start).unwrap();
    let moments: Vec<_> = (0..200).map(|_| pacer.reserve(1, start).unwrap()).collect();
    assert_eq!(moments[1] - moments[0], 30 * MS);
    assert_eq!(moments[199] - moments[198], 10 * MS);
    // After a long pause it is cold again.
    let later = start + Duration::from_secs(100);
    pacer.reserve(1, later).unwrap();
    assert_eq!(pacer.reserve(1, later), Ok(30 * MS));
}

#[test]
fn a_changed_limit_keeps_its_debt() {
    let start = time_zero();
    let limit = RateLimit::new(&RateLimitConfig { interval: MS, burst: 10 }, start).unwrap();
    limit.try_take(10, start).unwrap();
    limit.reconfigure(&RateLimitConfig { interval: MS, burst: 20 }).unwrap();
    assert_eq!(limit.try_take(11, start).unwrap_err().retry_after(), Some(MS), "ten of twenty are owed");
    let error = limit.reconfigure(&RateLimitConfig { burst: 0, ..RateLimitConfig::default() }).unwrap_err();
    assert_eq!(error.field(), "rate_limit.burst");
    assert_eq!(limit.try_take(10, start), Ok(()));
}

#[test]
fn a_store_says_what_is_left() {
    let start = time_zero();
    let each = RateLimitConfig { interval: 10 * MS, burst: 5 };
    let config = KeyedRateLimitConfig { each, max_keys: 8 };
    let store = KeyedRateLimit::new(&config, FixedSeed::default(), start).unwrap();
    let left = store.take(7, 2, start).unwrap();
    assert_eq!((left.burst, left.remaining, left.full_in), (5, 3, 20 * MS));
    store.reconfigure(&RateLimitConfig { interval: 10 * MS, burst: 2 }).unwrap();
    assert_eq!(store.take(7, 1, start).unwrap_err().retry_after(), Some(10 * MS));
}

#[test]
fn in_shadow_refusals_are_counted_and_pass() {
    let enforcement = Enforcement::new(true);
    assert_eq!(enforcement.apply(Ok(())), Ok(Some(())));
    assert_eq!(enforcement.apply::<()>(Err(Rejected::Throttled)), Ok(None));
    enforcement.set_shadow(false);
    assert_eq!(enforcement.apply::<()>(Err(Rejected::Throttled)), Err(Rejected::Throttled));
    assert_eq!(enforcement.counts(), (1, 2));
}
