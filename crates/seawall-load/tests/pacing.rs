//! Open loops whose rate changes, whose gaps are random or given, and what becomes of requests that wait too long.

mod support;

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use seawall_load::{Arrivals, ErrorClass, Load, LoadConfig, Stage, Verdict, WarmUp};
use support::{OK, Server, Then, config, now, run, work_for};

#[test]
fn stages_send_what_their_rates_say() {
    let server = Server::saying(OK);
    let half = Duration::from_millis(500);
    let stages = vec![Stage::constant(half, 100.0), Stage { duration: half, from: 100.0, to: 500.0 }];
    let report = run(&LoadConfig { stages, threads: 2, ..config(&server.url()) });
    assert_eq!(report.sent_total + report.backlog_at_end, 200);
    assert_eq!((report.offered_rps, report.duration_s), (200.0, 1.0));
}

#[test]
fn the_series_shows_the_planned_rate_of_each_second() {
    let server = Server::saying(OK);
    let stages = [100.0, 300.0].map(|rate| Stage::constant(Duration::from_secs(1), rate)).to_vec();
    let report = run(&LoadConfig { stages, ..config(&server.url()) });
    let offered: Vec<f64> = report.series.iter().map(|row| row.offered_rps.round()).collect();
    assert_eq!(offered, [100.0, 300.0]);
}

#[test]
fn a_given_warm_up_comes_before_the_stages() {
    let server = Server::saying(OK);
    let stages = vec![Stage { duration: Duration::from_millis(500), from: 200.0, to: 400.0 }];
    let warmup = WarmUp::Fixed(Duration::from_millis(250));
    let report = run(&LoadConfig { stages, warmup, ..config(&server.url()) });
    assert_eq!(report.sent_total + report.backlog_at_end, 50 + 150);
    assert_eq!((report.warmup_s, report.duration_s, report.offered_rps), (0.25, 0.5, 300.0));
}

#[test]
fn poisson_arrivals_are_random_and_counted_as_they_were_due() {
    let server = Server::saying(OK);
    let report = run(&LoadConfig {
        rate: Some(400.0),
        arrivals: Arrivals::Poisson { seed: 11 },
        threads: 2,
        duration: Duration::from_secs(1),
        ..config(&server.url())
    });
    let due = report.sent_total + report.backlog_at_end;
    // 400 expected, with a standard deviation of 20.
    assert!((300..500).contains(&due) && due != 400, "{due}");
    assert_eq!(report.offered_rps, due as f64);
}

#[test]
fn given_times_are_replayed_and_end_the_run() {
    let seen: &'static Mutex<Vec<Instant>> = Box::leak(Box::default());
    let server = Server::start(move |stream, _| {
        seen.lock().unwrap().push(now());
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let times: Vec<Duration> = [0, 0, 0, 300, 310].map(Duration::from_millis).to_vec();
    let report = run(&LoadConfig { times, ..config(&server.url()) });
    assert_eq!((report.answered_total, report.backlog_at_end), (5, 0));
    let seen = seen.lock().unwrap();
    // The three of the start are there before the pause; a busy machine can only make the pause longer, or shift both.
    let pause = seen[3].duration_since(seen[0]);
    assert!(pause >= Duration::from_millis(150), "{pause:?}");
}

#[test]
fn so_many_requests_are_sent_and_all_answered() {
    for (threads, rate) in [(1, None), (3, None), (2, Some(500.0))] {
        let server = Server::saying(OK);
        let long = LoadConfig {
            requests: Some(101),
            duration: Duration::from_secs(60),
            warmup: WarmUp::Auto,
            threads,
            rate,
            ..config(&server.url())
        };
        let report = run(&long);
        assert_eq!((report.requests, report.sent_total, server.requests()), (101, 101, 101));
        assert_eq!((report.unanswered_at_end, report.backlog_at_end), (0, 0));
        assert!(report.duration_s < 30.0, "{}", report.duration_s);
    }
}

#[test]
fn a_deadline_sheds_what_waits_too_long_and_counts_it() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(50));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let overload = LoadConfig {
        rate: Some(1_000.0),
        deadline: Some(Duration::from_millis(100)),
        duration: Duration::from_secs(1),
        ..config(&server.url())
    };
    let report = run(&overload);
    let shed = report.errors.get(&ErrorClass::DeadlineShed).copied().unwrap_or(0);
    assert!(shed > 500, "4 connections at 50 ms can do 80: {:?}", report.errors);
    assert_eq!(report.sent_total + shed + report.backlog_at_end, 1_000);
    assert!(report.backlog_at_end <= 120, "what is younger than the deadline: {}", report.backlog_at_end);
    assert!(report.censored >= shed, "{}", report.censored);
    assert!(report.censored_from_us.is_some());
    assert!(
        report.notes.iter().any(|note| note.contains("given up at their deadline")),
        "{:?}",
        report.notes
    );
    let blamed = report.validity.reasons.iter().any(|reason| reason.contains("connections were free"));
    assert!(!blamed, "{:?}", report.validity);
}

#[test]
fn what_never_left_is_in_the_latencies_with_the_time_it_waited() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(100));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let report = run(&LoadConfig {
        rate: Some(1_000.0),
        duration: Duration::from_secs(1),
        connections: 1,
        ..config(&server.url())
    });
    assert!(report.backlog_at_end > 900, "{}", report.backlog_at_end);
    assert_eq!(report.latency.count(), report.answered_total + report.censored);
    // They are due evenly over the second and waited until its end.
    assert!((400_000.0..700_000.0).contains(&report.latency_us.p50), "{:?}", report.latency_us);
    assert!(report.notes.iter().any(|note| note.contains("lower bounds")), "{:?}", report.notes);
}

#[test]
fn an_early_stop_claims_no_more_than_was_waited() {
    let server = Server::start(|_, _| {
        work_for(Duration::from_secs(30));
        Then::Close
    });
    let begun = now();
    let patient = LoadConfig {
        duration: Duration::from_secs(60),
        timeout: Duration::from_secs(50),
        ..config(&server.url())
    };
    let report = Load::new(&patient).unwrap().run(&mut |tick| tick.stop()).unwrap();
    assert_eq!((report.unanswered_at_end, report.censored), (4, 4));
    assert!(report.latency_us.max <= begun.elapsed().as_micros() as f64, "{:?}", report.latency_us);
    assert_eq!(report.validity.verdict, Verdict::Invalid);
}
