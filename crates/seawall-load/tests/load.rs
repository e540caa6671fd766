//! Closed and open loops against small servers that answer, stall, cut and lie.

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use seawall_load::{ErrorClass, Load, LoadConfig, Report, Verdict, WarmUp};
use support::{OK, Server, Then, assert_nothing_lost, config, now, run, work_for};

/// Runs against a server that always says `answer`, which must lead to errors of this class.
fn check_class(answer: &'static str, then: Then, class: ErrorClass) -> Report {
    let server = Server::start(move |stream, _| {
        let _ = stream.write_all(answer.as_bytes());
        then
    });
    let report = run(&config(&server.url()));
    assert!(report.errors.get(&class).is_some_and(|&count| count > 0), "{:?}", report.errors);
    report
}

#[test]
fn a_closed_loop_counts_every_answer() {
    let server = Server::saying(OK);
    let report = run(&config(&server.url()));
    assert!(report.requests > 100, "{}", report.requests);
    assert_eq!(report.answered_total, server.requests());
    assert_eq!(report.status.get(&200), Some(&report.requests));
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.latency.count(), report.answered_total);
    assert!((report.rps - report.requests as f64 / report.duration_s).abs() < 1.0);
    assert!((report.duration_s - 0.5).abs() < 1e-9, "the duration is exact: {}", report.duration_s);
}

/// Two kinds of success, and refusals.
fn mixed() -> Server {
    Server::start(|stream, number| {
        let status = ["200 OK", "201 Created", "503 Service Unavailable"][number as usize % 3];
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        Then::Keep
    })
}

#[test]
fn good_answers_are_successes_that_came_soon_enough() {
    let server = mixed();
    let day = Some(Duration::from_secs(24 * 3600));
    let report = run(&LoadConfig { good_within: day, connections: 1, ..config(&server.url()) });
    let good = report.good.as_ref().unwrap();
    let successes: Vec<_> = [200, 201].map(|status| report.status[&status]).into();
    assert_eq!(good.status.values().copied().collect::<Vec<_>>(), successes);
    assert_eq!(good.total, successes.iter().sum::<u64>());
    assert!(report.status[&503] > 0 && good.success_us.max <= report.latency_us.max, "{report:?}");
    let in_rows: f64 = report.series.iter().map(|row| row.good_rps * row.seconds).sum();
    assert!((in_rows - good.total as f64).abs() < 1.0, "{in_rows} {good:?}");
    assert_eq!(report.status_total.values().sum::<u64>(), report.answered_total);
}

#[test]
fn late_answers_are_not_good() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(10));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let within = Some(Duration::from_millis(1));
    let report = run(&LoadConfig { good_within: within, rate: Some(50.0), ..config(&server.url()) });
    let good = report.good.as_ref().unwrap();
    assert_eq!((good.total, good.status.len()), (0, 0));
    assert!(good.success_us.p50 >= 10_000.0 && report.requests > 0, "{good:?}");
}

#[test]
fn rows_of_the_series_may_be_short() {
    let server = Server::saying(OK);
    let report = run(&LoadConfig { series_every: Duration::from_millis(250), ..config(&server.url()) });
    let lengths: Vec<f64> = report.series.iter().map(|row| row.seconds).collect();
    assert_eq!(lengths, [0.25, 0.25]);
    assert!(report.good.is_none());
}

#[test]
fn several_threads_share_the_connections() {
    let server = Server::saying(OK);
    let report = run(&LoadConfig { threads: 3, ..config(&server.url()) });
    assert_eq!(report.answered_total, server.requests());
    assert_eq!(report.cpu_shares.len(), 3);
}

#[test]
fn a_known_delay_is_measured() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(20));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let report = run(&config(&server.url()));
    assert!(report.latency_us.p50 >= 20_000.0, "{:?}", report.latency_us);
    assert!(report.latency.min() >= 19_900_000);
    // 4 connections x 0.5 s / 20 ms, if every answer came at once.
    assert!(report.requests <= 100, "{}", report.requests);
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let server = Server::saying(OK);
    let report = run(&LoadConfig {
        rate: Some(400.0),
        duration: Duration::from_secs(1),
        threads: 2,
        ..config(&server.url())
    });
    assert_eq!(report.offered_rps, 400.0);
    assert_eq!(report.sent_total + report.backlog_at_end, 400);
    assert!(report.sent_total >= 300, "{}", report.sent_total);
}

/// The acceptance test of honest load generators: one second in which nobody is answered, in a run of four. With the
/// latency from the intended time, a request that is due at `s` in the stall waits `1 - s`: a quarter of all requests
/// waits evenly from 0 to 1 s. So p99 is 0.96 s, p90 0.6 s, and the median knows nothing of it.
#[test]
fn a_stall_shows_in_the_percentiles_as_theory_says() {
    let begun = now();
    let stall = Duration::from_millis(1_500)..Duration::from_millis(2_500);
    let server = Server::start(move |stream, _| {
        let since = now().duration_since(begun);
        if stall.contains(&since) {
            work_for(stall.end - since);
        }
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let report = run(&LoadConfig {
        rate: Some(500.0),
        duration: Duration::from_secs(4),
        timeout: Duration::from_secs(3),
        ..config(&server.url())
    });
    let Report { latency_us: latency, service_us: service, .. } = &report;
    assert!((900_000.0..1_150_000.0).contains(&latency.p99), "{latency:?}");
    assert!((500_000.0..750_000.0).contains(&latency.p90), "{latency:?}");
    assert!(latency.p50 < 100_000.0, "{latency:?}");
    assert!(service.p99 < latency.p99 / 2.0, "4 stalled requests of 2,000 hide the stall: {service:?}");
    assert_eq!(report.sent_total + report.backlog_at_end, 2_000);
}

#[test]
fn a_server_that_is_too_slow_is_valid_overload_data() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(20));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let overload =
        LoadConfig { rate: Some(1_000.0), duration: Duration::from_secs(1), ..config(&server.url()) };
    let report = run(&overload);
    assert!(report.rps < 250.0, "4 connections at 20 ms: {}", report.rps);
    assert!(report.backlog_at_end > 500, "{}", report.backlog_at_end);
    assert!(report.notes.iter().any(|note| note.contains("did not keep up")), "{:?}", report.notes);
    let blamed = report.validity.reasons.iter().any(|reason| reason.contains("connections were free"));
    assert!(!blamed, "{:?}", report.validity);
    assert!(report.latency_us.p99 > 500_000.0, "{:?}", report.latency_us);
}

#[test]
fn more_connections_are_opened_when_none_is_free() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(20));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let report = run(&LoadConfig {
        rate: Some(600.0),
        max_conns: Some(64),
        duration: Duration::from_secs(1),
        ..config(&server.url())
    });
    assert!(report.rps > 400.0, "more than 4 connections can do: {}", report.rps);
}

#[test]
fn chunked_answers_are_read() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let server = Server::saying(CHUNKED);
    let report = run(&config(&server.url()));
    assert!(report.errors.is_empty() && report.requests > 100, "{:?}", report.errors);
}

#[test]
fn answers_in_pieces_are_put_together() {
    let server = Server::start(|stream, _| {
        for piece in OK.as_bytes().chunks(7) {
            let _ = stream.write_all(piece);
        }
        Then::Keep
    });
    let report = run(&config(&server.url()));
    assert!(report.errors.is_empty() && report.requests > 50, "{:?}", report.errors);
}

#[test]
fn large_answers_are_read_to_the_end() {
    let body = Arc::new("x".repeat(3 << 20));
    let server = Server::start(move |stream, _| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        Then::Keep
    });
    let report = run(&config(&server.url()));
    assert!(report.errors.is_empty() && report.requests > 4, "{:?}", report.errors);
}

#[test]
fn large_requests_are_written_to_the_end() {
    // The server reads nothing for a while, so the kernel's buffers fill up.
    let server = Server::start(|stream, _| {
        use std::io::Read;
        work_for(Duration::from_millis(20));
        let mut left = vec![0; 1 << 16];
        let mut read = 0;
        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
        while let Ok(count @ 1..) = stream.read(&mut left) {
            read += count;
        }
        let _ = stream.set_read_timeout(None);
        assert!(read > (8 << 20) - (1 << 16), "{read}");
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let config = LoadConfig {
        method: "POST".to_owned(),
        body: vec![b'x'; 8 << 20],
        connections: 1,
        timeout: Duration::from_secs(3),
        ..config(&server.url())
    };
    let report = run(&config);
    assert!(report.answered_total > 0 && report.errors.is_empty(), "{report:?}");
}

#[test]
fn a_connection_may_be_closed_after_each_answer() {
    const CLOSE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let server = Server::start(|stream, _| {
        let _ = stream.write_all(CLOSE.as_bytes());
        Then::Close
    });
    let report = run(&config(&server.url()));
    assert!(report.errors.is_empty() && report.requests > 20, "{:?}", report.errors);
}

#[test]
fn an_answer_may_end_with_the_connection() {
    let server = Server::start(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it");
        Then::Close
    });
    let report = run(&config(&server.url()));
    assert!(report.errors.is_empty() && report.requests > 20, "{:?}", report.errors);
}

#[test]
fn a_server_that_closes_now_and_then_costs_one_request_each_time() {
    let server = Server::start(|stream, number| {
        let _ = stream.write_all(OK.as_bytes());
        if number % 10 == 9 { Then::Close } else { Then::Keep }
    });
    let report = run(&config(&server.url()));
    assert!(report.requests > 20, "it goes on after each: {}", report.requests);
}

#[test]
fn an_answer_that_is_cut_is_an_early_end() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let report = check_class(cut, Then::Close, ErrorClass::EofEarly);
    assert_eq!(report.requests, 0);
    assert_eq!(report.validity.verdict, Verdict::Invalid);
}

#[test]
fn no_answer_at_all_is_an_end_before_it() {
    check_class("", Then::Close, ErrorClass::EofBeforeResponse);
}

#[test]
fn nonsense_is_malformed() {
    check_class("hello, this is not HTTP\r\n\r\n", Then::Keep, ErrorClass::Malformed);
}

#[test]
fn bytes_that_nobody_asked_for_are_malformed() {
    check_class("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", Then::Keep, ErrorClass::Malformed);
}

#[test]
fn statuses_are_counted_by_class_and_code() {
    let report =
        check_class("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", Then::Keep, ErrorClass::Status4xx);
    assert_eq!(report.status.get(&404), Some(&report.requests));
    let report =
        check_class("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", Then::Keep, ErrorClass::Status5xx);
    assert_eq!(report.status.get(&503), Some(&report.requests));
    assert!((report.error_rate() - 1.0).abs() < 0.01, "{}", report.error_rate());
}

#[test]
fn a_reset_is_a_reset() {
    let server = Server::start(|stream, _| {
        // Closing with unread bytes in the buffer resets the connection; linger 0 resets it anyway.
        let socket = socket2::SockRef::from(&*stream);
        let _ = socket.set_linger(Some(Duration::ZERO));
        Then::Close
    });
    let report = run(&config(&server.url()));
    assert!(report.errors.contains_key(&ErrorClass::ReadReset), "{:?}", report.errors);
}

#[test]
fn requests_on_a_connection_that_breaks_are_failed_and_not_forgotten() {
    for pipeline in [1, 8] {
        let server = Server::start(|stream, _| {
            let _ = stream.write_all(OK.as_bytes());
            let _ = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
            Then::Close
        });
        let breaking = LoadConfig { pipeline, connections: 16, ..config(&server.url()) };
        let report = run(&breaking);
        assert!(report.answered_total > 20 && report.failed_total > 0, "{report:?}");
        assert_eq!(report.unanswered_at_end, 0, "{report:?}");
    }
}

#[test]
fn an_answer_that_does_not_come_times_out_and_is_in_the_latencies() {
    let server = Server::start(|_, _| {
        work_for(Duration::from_secs(30));
        Then::Close
    });
    let slow = LoadConfig {
        timeout: Duration::from_millis(100),
        duration: Duration::from_millis(400),
        ..config(&server.url())
    };
    let report = run(&slow);
    let timeouts = report.errors.get(&ErrorClass::TimeoutFirstByte).copied().unwrap_or(0);
    assert!(timeouts >= 4, "{:?}", report.errors);
    assert!(report.latency_us.p50 >= 99_000.0, "{:?}", report.latency_us);
}

#[test]
fn what_is_unanswered_at_the_end_is_counted_as_the_timeout() {
    let server = Server::start(|_, _| {
        work_for(Duration::from_secs(30));
        Then::Close
    });
    let short = LoadConfig {
        duration: Duration::from_millis(100),
        timeout: Duration::from_millis(600),
        ..config(&server.url())
    };
    let report = run(&short);
    assert_eq!(report.unanswered_at_end, 4);
    assert_eq!(report.errors.get(&ErrorClass::UnansweredAtEnd), Some(&4));
    assert!(report.latency_us.p50 >= 599_000.0, "{:?}", report.latency_us);
}

#[test]
fn nobody_listening_ends_the_run_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let long = LoadConfig { duration: Duration::from_secs(3_600), ..config(&url) };
    let report = run(&long);
    assert_eq!(report.errors.get(&ErrorClass::ConnectRefused), Some(&4));
    assert_eq!((report.sent_total, report.requests), (0, 0));
    assert_eq!(report.validity.verdict, Verdict::Invalid);
}

#[test]
fn the_warm_up_is_sent_and_shown_but_not_measured() {
    // Slow until warm: the first answers take longer than any later one.
    let server = Server::start(|stream, number| {
        if number < 4 {
            work_for(Duration::from_millis(400));
        }
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    let warm = LoadConfig { warmup: WarmUp::Fixed(Duration::from_millis(600)), ..config(&server.url()) };
    let report = run(&warm);
    assert!(report.sent_total > report.requests, "{report:?}");
    assert_eq!(report.sent_total, server.requests());
    assert!(report.latency_us.max < 400_000.0, "{:?}", report.latency_us);
    assert!((report.warmup_s - 0.6).abs() < 1e-9 && (report.duration_s - 0.5).abs() < 1e-9, "{report:?}");
    let warm_rows: Vec<_> = report.series.iter().map(|row| row.warmup).collect();
    assert_eq!(warm_rows, [true, false]);
}

#[test]
fn an_automatic_warm_up_ends_by_itself() {
    let server = Server::saying(OK);
    let report = run(&LoadConfig { warmup: WarmUp::Auto, ..config(&server.url()) });
    assert!(report.warmup_s >= 1.0 && report.warmup_s <= 2.0, "{}", report.warmup_s);
    assert!((report.duration_s - 0.5).abs() < 1e-9, "{}", report.duration_s);
    assert!(report.sent_total > report.requests);
}

#[test]
fn the_interrupt_flag_ends_the_run_with_a_report() {
    let server = Server::saying(OK);
    let long = LoadConfig { duration: Duration::from_secs(3_600), ..config(&server.url()) };
    let (flag, requests) = (Arc::clone(&long.interrupt), Arc::clone(&server.requests));
    let watcher = std::thread::spawn(move || {
        let give_up = now() + Duration::from_secs(20);
        while requests.load(SeqCst) < 50 && now() < give_up {
            std::thread::yield_now();
        }
        flag.store(true, SeqCst);
    });
    let report = run(&long);
    watcher.join().unwrap();
    assert!(report.interrupted && report.requests >= 40 && report.duration_s < 30.0, "{report:?}");
}

#[test]
fn the_observer_hears_every_second_and_may_stop() {
    let server = Server::saying(OK);
    let mut ticks = Vec::new();
    let long = LoadConfig { duration: Duration::from_secs(3_600), ..config(&server.url()) };
    let report = Load::new(&long)
        .unwrap()
        .run(&mut |tick| {
            ticks.push((tick.elapsed_s, tick.rps > 0.0, tick.sent_total > 0));
            if ticks.len() == 2 {
                tick.stop();
            }
        })
        .unwrap();
    assert_nothing_lost(&report);
    assert!(report.interrupted);
    assert_eq!(ticks[..2], [(1.0, true, true), (2.0, true, true)]);
}

#[test]
fn head_answers_have_no_body() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    let report = run(&LoadConfig { method: "HEAD".to_owned(), ..config(&server.url()) });
    assert!(report.requests > 100 && report.errors.is_empty(), "{:?}", report.errors);
}

#[test]
fn the_report_is_json_with_the_promised_names() {
    let server = Server::saying(OK);
    let report = run(&LoadConfig { rate: Some(100.0), ..config(&server.url()) });
    let json = serde_json::to_value(&report).unwrap();
    for name in ["requests", "sent_total", "rps", "offered_rps", "duration_s", "cpu_us_per_request"] {
        assert!(json[name].is_number(), "{name}");
    }
    for (part, names) in [
        ("latency_us", ["p50", "p90", "p99", "p999", "max", "mean"]),
        ("service_us", ["p50", "p90", "p99", "p999", "max", "mean"]),
    ] {
        assert!(names.iter().all(|name| json[part][name].is_number()), "{part}");
    }
    assert!(json["errors"].is_object() && json["validity"]["reasons"].is_array());
    assert!(["valid", "invalid", "generator_bound"].contains(&json["validity"]["verdict"].as_str().unwrap()));
}
