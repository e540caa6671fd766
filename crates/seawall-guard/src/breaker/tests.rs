//! The breaker by scripts, and against a reference that keeps every call.

#[cfg(loom)]
mod model {
    use std::time::{Duration, Instant};

    use loom::thread;
    use seawall_core::{Class, Outcome};

    use crate::{Breaker, BreakerConfig};

    /// Open for 5 s, then half open with one probe.
    fn tripped(start: Instant) -> Breaker {
        let config = BreakerConfig { probes: 1, ..BreakerConfig::default() };
        let breaker = Breaker::new(&config, start).unwrap();
        let (attempt, _) = breaker.try_call(start).unwrap();
        attempt.finish(Outcome::Failure(Class::System), None, start, 0);
        breaker
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
    fn time_zero() -> Instant {
        Instant::now()
    }

    #[test]
    fn never_more_probes_than_allowed_and_a_dropped_one_frees_its_place() {
        let start = time_zero();
        let later = start + Duration::from_secs(5);
        loom::model(move || {
            let breaker = tripped(start);
            let other = breaker.clone();
            let thread = thread::spawn(move || other.try_call(later).ok().map(|(attempt, _)| attempt));
            let mine = breaker.try_call(later).ok().map(|(attempt, _)| attempt);
            let theirs = thread.join().unwrap();
            assert!(mine.is_some() != theirs.is_some(), "one probe, and one only");
            drop((mine, theirs));
            assert!(breaker.try_call(later).is_ok(), "a probe that is dropped frees its place");
        });
    }

    #[test]
    fn a_call_that_met_the_opening_counts_for_nothing_after_it() {
        let start = time_zero();
        let later = start + Duration::from_secs(5);
        loom::model(move || {
            let config = BreakerConfig { probes: 1, ..BreakerConfig::default() };
            let breaker = Breaker::new(&config, start).unwrap();
            let other = breaker.clone();
            // It may ask before the opening or after, and reports a failure much later in any case.
            let thread = thread::spawn(move || other.try_call(start).ok().map(|(attempt, _)| attempt));
            let (attempt, _) = breaker.try_call(start).unwrap();
            attempt.finish(Outcome::Failure(Class::System), None, start, 0).expect("it opens");
            assert!(breaker.try_call(start).is_err(), "who saw it open is refused");
            let late = thread.join().unwrap();
            let (probe, _) = breaker.try_call(later).unwrap();
            if let Some(late) = late {
                assert_eq!(late.finish(Outcome::Failure(Class::System), None, later, 0), None);
            }
            assert!(probe.finish(Outcome::Success, None, later, 0).is_some(), "the probe closes it");
        });
    }
}

#[cfg(not(loom))]
mod scripts {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use seawall_core::{Class, Outcome};

    use crate::breaker::window::Ring;
    use crate::{
        Attempt, Breaker, BreakerCause, BreakerConfig, BreakerState, BreakerWindow, HostBreakers, Rejected,
    };

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
    fn time_zero() -> Instant {
        Instant::now()
    }

    fn config() -> BreakerConfig {
        BreakerConfig {
            window: BreakerWindow::Count(10),
            min_calls: 4,
            jitter_percent: 0,
            probes: 2,
            slow_after: SECOND,
            ..BreakerConfig::default()
        }
    }

    /// Plays a script: `s` success, `f` transient failure, `p` permanent, `x` system, `o` overloaded, `l` slow
    /// success, `d` dropped, `.` a second passes. After each step the state: `C`, `O`, `H`; small if the call was
    /// refused.
    #[track_caller]
    fn check(config: &BreakerConfig, script: &str, expected: &str) {
        let mut now = time_zero();
        let breaker = Breaker::new(config, now).unwrap();
        let mut states = String::new();
        for step in script.chars() {
            let mut refused = false;
            match (step, step == '.') {
                (_, true) => now += SECOND,
                (step, _) => match breaker.try_call(now) {
                    Ok((attempt, _)) => {
                        now += if step == 'l' { 2 * SECOND } else { Duration::ZERO };
                        finish(attempt, step, now);
                    }
                    Err(_) => refused = true,
                },
            }
            let state = match breaker.state() {
                BreakerState::Closed => 'C',
                BreakerState::Open => 'O',
                BreakerState::HalfOpen => 'H',
                BreakerState::ForcedClosed | BreakerState::ForcedOpen => 'F',
            };
            states.push(if refused { state.to_ascii_lowercase() } else { state });
        }
        assert_eq!(states, expected);
    }

    fn finish(attempt: Attempt, step: char, now: Instant) {
        let outcome = match step {
            'f' => Outcome::Failure(Class::Transient),
            'p' => Outcome::Failure(Class::Permanent),
            'x' => Outcome::Failure(Class::System),
            'o' => Outcome::Overloaded,
            'd' => return drop(attempt),
            _ => Outcome::Success,
        };
        attempt.finish(outcome, None, now, 0);
    }

    #[test]
    fn opens_when_half_of_the_calls_failed() {
        check(&config(), "sfsf", "CCCO");
    }
    #[test]
    fn a_few_calls_decide_nothing() {
        check(&config(), "fff", "CCC");
    }
    #[test]
    fn a_callers_mistake_is_no_failure() {
        check(&config(), "pppppp", "CCCCCC");
    }
    #[test]
    fn an_overload_is_a_failure() {
        check(&config(), "oooo", "CCCO");
    }
    #[test]
    fn a_broken_other_side_opens_it_at_once() {
        check(&config(), "x", "O");
    }
    #[test]
    fn what_nobody_waited_for_counts_as_nothing() {
        check(&config(), "dddddfff", "CCCCCCCC");
    }
    #[test]
    fn slow_calls_open_it() {
        let config = BreakerConfig { slow_percent: 50, ..config() };
        check(&config, "ssll", "CCCO");
    }
    #[test]
    fn failures_in_a_row_open_it_before_the_window_is_full() {
        let config = BreakerConfig { consecutive_failures: 3, ..config() };
        check(&config, "fff", "CCO");
        check(&BreakerConfig { min_calls: 100, ..config }, "fsffsfff", "CCCCCCCO");
    }
    #[test]
    fn as_many_successes_as_probes_close_it() {
        check(&config(), "x....s.ss", "OOOOOoOHC");
    }
    #[test]
    fn a_failed_probe_opens_it_for_twice_as_long() {
        check(&config(), "x.....f.....s.....s", "OOOOOOOOOOOOoOOOOOH");
    }
    #[test]
    fn probes_that_are_dropped_do_not_hold_it_half_open() {
        check(&config(), "x.....ddddss", "OOOOOOHHHHHC");
    }
    #[test]
    fn a_window_of_time_forgets() {
        let config = BreakerConfig { window: BreakerWindow::Time(10 * SECOND), ..config() };
        check(&config, "ff..........sssff", "CCCCCCCCCCCCCCCCC");
        check(&config, "ff.........ff", "CCCCCCCCCCCCO");
    }

    #[test]
    fn what_fails_late_trips_it_once() {
        let start = time_zero();
        let breaker = Breaker::new(&config(), start).unwrap();
        let attempts: Vec<_> = (0..20).map(|_| breaker.try_call(start).unwrap().0).collect();
        let failure = Outcome::Failure(Class::Transient);
        let events = attempts.into_iter().filter_map(|it| it.finish(failure, None, start, 0));
        let causes: Vec<_> = events.map(|event| (event.to, event.cause)).collect();
        assert_eq!(causes, [(BreakerState::Open, BreakerCause::FailureRatio)]);
    }

    #[test]
    fn it_stays_away_as_long_as_the_other_side_asks() {
        let start = time_zero();
        let breaker = Breaker::new(&config(), start).unwrap();
        let (attempt, _) = breaker.try_call(start).unwrap();
        let event = attempt.finish(Outcome::Overloaded, Some(30 * SECOND), start, 0).unwrap();
        assert_eq!(event.cause, BreakerCause::RetryAfter);
        let refused = Rejected::CircuitOpen { retry_after: 20 * SECOND };
        assert_eq!(breaker.try_call(start + 10 * SECOND).unwrap_err(), refused);
        assert!(breaker.try_call(start + 30 * SECOND).is_ok());
    }

    #[test]
    fn jitter_only_lengthens_and_the_cap_holds() {
        let start = time_zero();
        let config = BreakerConfig { jitter_percent: 10, max_open_for: 8 * SECOND, ..config() };
        let breaker = Breaker::new(&config, start).unwrap();
        let mut now = start;
        for expected in [5.5, 8.8, 8.8] {
            let (attempt, _) = breaker.try_call(now).unwrap();
            attempt.finish(Outcome::Failure(Class::System), None, now, u64::MAX);
            let wait = breaker.try_call(now).unwrap_err().retry_after().unwrap();
            assert_eq!(wait, Duration::from_secs_f64(expected));
            now += wait;
        }
    }

    #[test]
    fn a_forced_state_holds_until_it_is_released() {
        let start = time_zero();
        let breaker = Breaker::new(&config(), start).unwrap();
        assert_eq!(breaker.force(true).unwrap().to, BreakerState::ForcedOpen);
        assert!(breaker.try_call(start + 3_600 * SECOND).is_err());
        breaker.force(false);
        for _ in 0..50 {
            let (attempt, _) = breaker.try_call(start).unwrap();
            assert_eq!(attempt.finish(Outcome::Failure(Class::System), None, start, 0), None);
        }
        assert_eq!(breaker.release().unwrap().to, BreakerState::Closed);
    }

    #[test]
    fn a_full_map_forgets_closed_hosts_only() {
        let now = time_zero();
        let hosts = HostBreakers::new(&config(), 2).unwrap();
        let down = hosts.of("down", now).unwrap();
        down.force(true);
        for host in ["a", "b", "c"] {
            hosts.of(host, now).unwrap();
        }
        assert_eq!(hosts.len(), 2);
        assert_eq!(hosts.of("down", now).unwrap().state(), BreakerState::ForcedOpen);
        hosts.of("c", now).unwrap().force(true);
        assert!(hosts.of("d", now).is_none());
    }

    /// An hour of a dead host, asked every 10 ms: how many calls reach it, with and without a breaker.
    #[test]
    fn a_dead_host_is_spared_nearly_all_calls() {
        let start = time_zero();
        let breaker = Breaker::new(&BreakerConfig::default(), start).unwrap();
        let asked = 360_000; // an hour
        let reached = (0..asked).filter(|&at| {
            let now = start + Duration::from_millis(10) * at;
            let Ok((attempt, _)) = breaker.try_call(now) else { return false };
            attempt.finish(Outcome::Failure(Class::Transient), None, now, 0);
            true
        });
        let reached = reached.count();
        assert!((20..100).contains(&reached), "{reached} of {asked} calls");
    }

    proptest! {
        /// The window against a list of all calls: by time it holds the last nine to ten tenths of it.
        #[test]
        fn a_ring_counts_as_a_list_does(steps in prop::collection::vec((0u64..400, any::<bool>()), 0..200)) {
            let start = time_zero();
            let mut ring = Ring::new(BreakerWindow::Time(SECOND), start);
            let mut list = VecDeque::new();
            let mut now = 0;
            for (pause, failed) in steps {
                now += pause;
                let at = start + Duration::from_millis(now);
                ring.add(failed, false, at);
                list.push_back((now / 100, failed));
                while list.front().is_some_and(|(bucket, _)| bucket + 10 <= now / 100) { list.pop_front(); }
                let total = ring.total(at);
                prop_assert_eq!(total.calls as usize, list.len());
                prop_assert_eq!(total.failed as usize, list.iter().filter(|(_, failed)| *failed).count());
            }
        }

        /// Verdicts do not depend on whether failures come in a burst or spread out.
        #[test]
        fn burst_and_spread_failures_get_the_same_verdict(script in "[sf]{10}") {
            let config = BreakerConfig { min_calls: 10, ..config() };
            let failed = script.matches('f').count();
            let start = time_zero();
            let breaker = Breaker::new(&config, start).unwrap();
            for step in script.chars() {
                finish(breaker.try_call(start).unwrap().0, step, start);
            }
            prop_assert_eq!(breaker.state() == BreakerState::Open, failed >= 5);
        }

        /// Whatever happens, after a long enough quiet time good calls close it.
        #[test]
        fn it_never_sticks(script in "[sfxod.l]{0,80}") {
            let mut now = time_zero();
            let breaker = Breaker::new(&config(), now).unwrap();
            for step in script.chars() {
                now += SECOND;
                if step != '.' && let Ok((attempt, _)) = breaker.try_call(now) { finish(attempt, step, now) }
            }
            for _ in 0..40 {
                now += 100 * SECOND;
                finish(breaker.try_call(now).unwrap().0, 's', now);
            }
            prop_assert_eq!(breaker.state(), BreakerState::Closed);
        }
    }
}
