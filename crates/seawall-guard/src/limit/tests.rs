//! Each law against windows made by hand, and all of them against a queue of known size.

use super::*;

#[expect(clippy::disallowed_methods, reason = "any instant will do as time zero; no test looks again")]
fn time_zero() -> Instant {
    Instant::now()
}

const MS: Duration = Duration::from_millis(1);

fn limiter(algorithm: Algorithm, initial: u32, start: Instant) -> Limiter {
    Limiter::new(&LimitConfig { algorithm, initial, min: 1, ..LimitConfig::default() }, start).unwrap()
}

/// A service with `slots` in parallel, each taking `service`, kept as full as the limiter allows, for `windows`
/// windows of 100 ms: by Little's law everything beyond the slots is time spent waiting inside.
fn saturate(
    limiter: &mut Limiter,
    slots: u32,
    service: Duration,
    allowed: Duration,
    windows: u32,
    start: Instant,
) {
    let mut now = start;
    for _ in 0..windows {
        let mut closed = false;
        while !closed {
            let in_flight = limiter.limit();
            let busy = in_flight.min(slots);
            let latency = service.mul_f64(f64::from(in_flight.max(slots)) / f64::from(slots));
            now += service / busy;
            limiter.note_waiting();
            closed = limiter.sample(&Sample { now, latency, in_flight, allowed, dropped: false });
        }
    }
}

/// Where a law ends on a service of 8 slots x 10 ms that is always full.
#[track_caller]
fn check_settles(algorithm: Algorithm, initial: u32, expected: std::ops::RangeInclusive<u32>) {
    let start = time_zero();
    let mut limiter = limiter(algorithm, initial, start);
    saturate(&mut limiter, 8, 10 * MS, Duration::from_secs(10), 600, start);
    assert!(expected.contains(&limiter.limit()), "{} is not in {expected:?}", limiter.limit());
}

#[test]
fn bdp_comes_down_to_a_little_above_the_slots() {
    check_settles(Algorithm::Bdp, 4_000, 6..=14);
}
#[test]
fn bdp_comes_up_to_a_little_above_the_slots() {
    check_settles(Algorithm::Bdp, 1, 6..=14);
}
#[test]
fn vegas_keeps_a_small_queue() {
    check_settles(Algorithm::Vegas, 2, 9..=24);
}
#[test]
fn gradient2_drifts_upward_when_it_is_always_full() {
    check_settles(Algorithm::Gradient2, 20, 64..=200);
}
#[test]
fn fixed_stays() {
    check_settles(Algorithm::Fixed, 33, 33..=33);
}
#[test]
fn aimd_only_knows_up_without_drops() {
    check_settles(Algorithm::Aimd, 20, 600..=620);
}

#[test]
fn bdp_grows_by_a_factor_while_the_rate_does() {
    let start = time_zero();
    let mut limiter = limiter(Algorithm::Bdp, 2, start);
    saturate(&mut limiter, 64, 10 * MS, Duration::from_secs(10), 18, start);
    assert!(limiter.limit() >= 64, "{} after 1.8 s on 64 slots", limiter.limit());
}

/// One window of `count` samples.
fn window(limiter: &mut Limiter, now: &mut Instant, count: u32, sample: impl Fn(Instant) -> Sample) {
    for _ in 0..count {
        *now += 101 * MS / count;
        limiter.sample(&sample(*now));
    }
}

#[test]
fn a_service_at_half_load_keeps_its_limit() {
    let start = time_zero();
    let mut limiter = limiter(Algorithm::Bdp, 20, start);
    let mut now = start;
    for _ in 0..100 {
        let allowed = Duration::from_secs(10);
        window(&mut limiter, &mut now, 20, |now| Sample {
            now,
            latency: MS,
            in_flight: 10,
            allowed,
            dropped: false,
        });
    }
    assert_eq!(limiter.limit(), 20);
}

#[test]
fn aimd_gives_way_after_a_drop() {
    let start = time_zero();
    let mut limiter = limiter(Algorithm::Aimd, 100, start);
    let mut now = start;
    window(&mut limiter, &mut now, 20, |now| Sample {
        now,
        latency: MS,
        in_flight: 100,
        allowed: Duration::from_secs(1),
        dropped: true,
    });
    assert_eq!(limiter.limit(), 90);
}

/// Every law, set far too high for the deadline: the cap brings the time in system down below half of it, and lets go
/// again when the service gets faster.
#[test]
fn the_little_cap_repairs_a_limit_that_is_too_high() {
    for algorithm in
        [Algorithm::Fixed, Algorithm::Aimd, Algorithm::Gradient2, Algorithm::Vegas, Algorithm::Bdp]
    {
        let start = time_zero();
        let mut limiter = limiter(algorithm, 1_000, start);
        saturate(&mut limiter, 8, 10 * MS, 250 * MS, 60, start);
        // 800 per second x 100 ms = 80, and a quarter more while it is let go.
        assert!(limiter.limit() <= 101, "{algorithm:?}: {}", limiter.limit());
    }
}

#[test]
fn the_little_cap_lets_go_when_times_are_fine() {
    let start = time_zero();
    let mut limiter = limiter(Algorithm::Fixed, 300, start);
    saturate(&mut limiter, 8, 10 * MS, 250 * MS, 20, start);
    assert!(limiter.little_cap() <= 101);
    saturate(&mut limiter, 64, 10 * MS, 250 * MS, 40, start + Duration::from_secs(60));
    assert_eq!(limiter.limit(), 300);
}

#[test]
fn without_a_close_deadline_there_is_no_cap() {
    let start = time_zero();
    let mut limiter = limiter(Algorithm::Fixed, 100, start);
    saturate(&mut limiter, 8, 10 * MS, Duration::from_secs(10), 20, start);
    assert_eq!(limiter.little_cap(), u32::MAX);
}

#[test]
fn a_window_knows_its_shortest_longest_and_mean() {
    let start = time_zero();
    let mut limiter = limiter(Algorithm::Fixed, 10, start);
    for (at, latency) in [(20, 3), (60, 5), (90, 13), (1_000, 7)] {
        let sample = Sample {
            now: start + at * MS,
            latency: latency * MS,
            in_flight: 2,
            allowed: 100 * MS,
            dropped: at == 60,
        };
        limiter.sample(&sample);
    }
    let window = limiter.last_window().unwrap();
    assert_eq!((window.min, window.mean, window.max), (3 * MS, 7 * MS, 13 * MS));
    assert_eq!((window.samples, window.dropped, window.max_in_flight), (4, 1, 2));
    assert_eq!((window.length, window.limited, window.waiting), (1_000 * MS, false, false));
}

/// Checks that a configuration is refused, and in which words.
#[track_caller]
fn check_refused(config: LimitConfig, message: &str) {
    assert_eq!(Limiter::new(&config, time_zero()).unwrap_err().to_string(), message);
}

#[test]
fn a_limit_of_zero_is_refused() {
    check_refused(
        LimitConfig { min: 0, ..LimitConfig::default() },
        "`limit.min` is 0, but must be 1 to 4096 (limit.max)",
    );
}
#[test]
fn a_start_outside_the_range_is_refused() {
    let message = "`limit.initial` is 5000, but must be 1 (limit.min) to 4096 (limit.max)";
    check_refused(LimitConfig { initial: 5_000, ..LimitConfig::default() }, message);
}
#[test]
fn a_window_of_zero_is_refused() {
    let config = LimitConfig { window: Duration::ZERO, ..LimitConfig::default() };
    check_refused(config, "`limit.window` is 0ns, but must be 1 ms to 10 s");
}
