//! Schedules against naive oracles: counting one by one, and integrating in small steps.

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn even(profile: Profile) -> Pace {
    Pace::Rate(Arc::new(profile), Arrivals::Even)
}

/// The due times of one share until `end_ns`.
fn times(pace: &Pace, thread: usize, threads: usize, end_ns: u64) -> Vec<u64> {
    let mut share = Share::new(pace, thread, threads);
    let next = || {
        let due = share.due_ns().filter(|&due| due < end_ns)?;
        share.advance();
        Some(due)
    };
    std::iter::from_fn(next).collect()
}

fn all_times(pace: &Pace, threads: usize, end_ns: u64) -> Vec<u64> {
    let mut all: Vec<u64> = (0..threads).flat_map(|thread| times(pace, thread, threads, end_ns)).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_slow_rate_is_exact() {
    assert_eq!(
        all_times(&even(Profile::constant(0.5)), 1, 7 * SECOND),
        [0, 2 * SECOND, 4 * SECOND, 6 * SECOND]
    );
    assert_eq!(even(Profile::constant(0.5)).due_between(0, 6 * SECOND, 1), Some(3.0));
    assert_eq!(even(Profile::constant(0.5)).due_between(0, 6 * SECOND + 1, 1), Some(4.0));
}

#[test]
fn a_ramp_from_nothing_sends_the_area_of_its_triangle() {
    let ramp = Stage { duration: Duration::from_secs(10), from: 0.0, to: 100.0 };
    let times = all_times(&even(Profile::of_stages(&[ramp])), 1, u64::MAX);
    assert_eq!(times.len(), 500);
    // A quarter of the area lies in the first half of the time.
    assert_eq!(times.iter().filter(|&&due| due < 5 * SECOND).count(), 125);
}

#[test]
fn after_the_last_stage_nothing_is_due() {
    let stages =
        [Stage::constant(Duration::from_secs(1), 10.0), Stage::constant(Duration::from_secs(2), 100.0)];
    let pace = even(Profile::of_stages(&stages));
    let times = all_times(&pace, 3, u64::MAX);
    assert_eq!((times.len(), times[9], times[10]), (210, 900_000_000, SECOND));
    let expected = |from, to| pace.expected_between(from * SECOND, to * SECOND).unwrap();
    assert_eq!([expected(0, 1), expected(1, 2), expected(2, 9)], [10.0, 100.0, 100.0]);
}

#[test]
fn a_pause_is_a_stage_with_rate_zero() {
    let second = Duration::from_secs(1);
    let stages = [10.0, 0.0, 10.0].map(|rate| Stage::constant(second, rate));
    let times = all_times(&even(Profile::of_stages(&stages)), 1, u64::MAX);
    assert_eq!(times.len(), 20);
    assert!(!times.iter().any(|due| (SECOND..2 * SECOND).contains(due)), "{times:?}");
}

#[test]
fn given_times_are_kept() {
    let pace = Pace::Times(vec![5, 5, 9, 20].into());
    assert_eq!(all_times(&pace, 3, u64::MAX), [5, 5, 9, 20]);
    assert_eq!(pace.due_between(5, 20, 2), Some(3.0));
}

#[test]
fn poisson_gaps_have_their_mean_and_deviation() {
    for threads in [1, 4] {
        let pace = Pace::Rate(Arc::new(Profile::constant(1_000.0)), Arrivals::Poisson { seed: 1 });
        let times = all_times(&pace, threads, 100 * SECOND);
        // 100,000 expected, with a standard deviation of 316.
        assert!((98_500..101_500).contains(&times.len()), "{}", times.len());
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean - 1.0).abs() < 0.02 && (deviation - 1.0).abs() < 0.03, "{mean} {deviation}");
    }
}

#[test]
fn the_same_seed_gives_the_same_times() {
    let times = |seed| {
        all_times(&Pace::Rate(Arc::new(Profile::constant(100.0)), Arrivals::Poisson { seed }), 2, 10 * SECOND)
    };
    assert_eq!(times(7), times(7));
    assert_ne!(times(7), times(8));
}

#[test]
fn a_huge_backlog_is_sampled_with_its_weight() {
    for arrivals in [Arrivals::Even, Arrivals::Poisson { seed: 3 }] {
        let pace = Pace::Rate(Arc::new(Profile::constant(1e6)), arrivals);
        let (mut looked_at, mut weight, mut sum) = (0u64, 0u64, 0.0);
        let backlog = Share::new(&pace, 0, 1).backlog(10 * SECOND, &mut |wait, n| {
            looked_at += 1;
            weight += n;
            sum += wait as f64 * n as f64;
        });
        assert_eq!(weight, backlog);
        assert!((backlog as f64 - 1e7).abs() < 2e4, "{backlog}");
        assert!(looked_at < 3_000_000, "{looked_at}");
        // They wait evenly from 0 to 10 s.
        assert!((sum / weight as f64 / 5e9 - 1.0).abs() < 0.01, "{}", sum / weight as f64);
    }
}

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    let stage = (1u64..3_000, 0.0f64..2_000.0, 0.0f64..2_000.0).prop_map(|(ms, from, to)| Stage {
        duration: Duration::from_millis(ms),
        from,
        to,
    });
    proptest::collection::vec(stage, 1..6)
}

proptest! {
    #[test]
    fn the_threads_share_the_schedule_without_loss_or_repetition(stages in stages(), threads in 1usize..9) {
        let pace = even(Profile::of_stages(&stages));
        prop_assert_eq!(all_times(&pace, threads, u64::MAX), all_times(&pace, 1, u64::MAX));
    }

    #[test]
    fn due_times_ascend_and_are_as_many_as_the_rate_says(stages in stages()) {
        let pace = even(Profile::of_stages(&stages));
        let times = all_times(&pace, 1, u64::MAX);
        prop_assert!(times.is_sorted());
        // The oracle: the rate summed up in steps of a microsecond's worth of trapezes.
        let area: f64 = stages.iter().map(|s| (s.from + s.to) / 2.0 * s.duration.as_secs_f64()).sum();
        prop_assert!((times.len() as f64 - area).abs() <= 1.0, "{} due, area {}", times.len(), area);
        let mut naive = 0.0;
        let mut begun = 0.0;
        for stage in &stages {
            let seconds = stage.duration.as_secs_f64();
            let middle = begun + seconds / 2.0;
            let half = (stage.from + (stage.from + stage.to) / 2.0) / 2.0 * (seconds / 2.0);
            let counted = times.iter().filter(|&&due| (due as f64) < middle * 1e9).count() as f64;
            prop_assert!((counted - (naive + half)).abs() <= 1.001, "{} until {}", counted, middle);
            naive += (stage.from + stage.to) / 2.0 * seconds;
            begun += seconds;
        }
    }

    #[test]
    fn the_backlog_is_what_was_due_and_not_taken(
        stages in stages(), threads in 1usize..5, taken in 0usize..50, ms in 0u64..10_000, poisson: bool,
    ) {
        let arrivals = if poisson { Arrivals::Poisson { seed: 5 } } else { Arrivals::Even };
        let pace = Pace::Rate(Arc::new(Profile::of_stages(&stages)), arrivals);
        let end = ms * 1_000_000;
        for thread in 0..threads {
            let due = times(&pace, thread, threads, end);
            let mut share = Share::new(&pace, thread, threads);
            (0..taken.min(due.len())).for_each(|_| share.advance());
            let mut waits = Vec::new();
            let backlog = share.backlog(end, &mut |wait, n| waits.extend((0..n).map(|_| wait)));
            let expected: Vec<u64> = due.iter().skip(taken).map(|due| end - due).collect();
            prop_assert_eq!(backlog as usize, expected.len());
            prop_assert_eq!(waits, expected);
        }
    }

    #[test]
    fn what_was_due_between_two_times_is_what_a_walk_counts(
        stages in stages(), threads in 1usize..5, from in 0u64..5_000, length in 0u64..5_000, poisson: bool,
    ) {
        let arrivals = if poisson { Arrivals::Poisson { seed: 5 } } else { Arrivals::Even };
        let pace = Pace::Rate(Arc::new(Profile::of_stages(&stages)), arrivals);
        let (from, to) = (from * 1_000_000, (from + length) * 1_000_000);
        let walked = all_times(&pace, threads, to).iter().filter(|&&due| due >= from).count() as f64;
        let counted = pace.due_between(from, to, threads).unwrap();
        // Of even times it is computed: off by one at most at each edge, where a due time is rounded to the nanosecond.
        prop_assert!((walked - counted).abs() <= if poisson { 0.0 } else { 2.0 }, "{} {}", walked, counted);
    }
}
