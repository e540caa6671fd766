//! How exact is the generator? Runs against the sink, whose own measurements are the truth.

mod support;

use std::time::Duration;

use seawall_load::{LoadConfig, SelfTest, SelfTestConfig, Sink, SinkConfig, self_test};
use support::{config, run};

fn url(sink: &Sink) -> String {
    format!("http://{}/", sink.address())
}

#[test]
fn the_sink_answers_what_it_is_asked() {
    let sink = Sink::start(&SinkConfig { body: 100_000, ..SinkConfig::default() }).unwrap();
    let report = run(&LoadConfig {
        method: "POST".to_owned(),
        body: vec![b'x'; 100_000],
        requests: Some(200),
        ..config(&url(&sink))
    });
    assert_eq!((report.requests, sink.requests()), (200, 200));
    assert!(report.errors.is_empty() && report.bytes_received > 200 * 100_000, "{report:?}");
    sink.stop().unwrap();
}

#[test]
fn the_sink_answers_pipelined_requests() {
    let sink = Sink::start(&SinkConfig::default()).unwrap();
    let report = run(&LoadConfig { pipeline: 16, requests: Some(5_000), ..config(&url(&sink)) });
    assert_eq!((report.requests, sink.requests()), (5_000, 5_000));
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}

/// The median is compared with what the sink measured itself. Another process may take the CPU at any time, which is no
/// error of the generator, so the best of several runs counts: a systematic error is in each of them.
#[test]
fn the_median_of_a_known_delay_is_off_by_less_than_the_way_takes() {
    let delay = Duration::from_millis(2);
    let mut errors = Vec::new();
    for _ in 0..10 {
        let sink = Sink::start(&SinkConfig { delay, ..SinkConfig::default() }).unwrap();
        let report = run(&LoadConfig {
            rate: Some(400.0),
            connections: 8,
            duration: Duration::from_millis(500),
            ..config(&url(&sink))
        });
        let address = sink.address();
        let shared = sink.delays();
        assert!(shared.count() > 100, "{address}: {shared:?}");
        let truth = shared.quantile(0.5) as f64 / 1e3;
        errors.push((report.service_us.p50 - truth, report.latency_us.p50 - truth));
        if errors.last().is_some_and(|&(service, latency)| service.max(latency) < 100.0) {
            break;
        }
    }
    let best = errors.iter().map(|&(service, latency)| service.max(latency)).fold(f64::INFINITY, f64::min);
    // Never below the truth, and above it by two ways over loopback and two wake-ups of sleeping threads.
    assert!(errors.iter().all(|&(service, _)| service > -20.0), "{errors:?}");
    assert!(best < 100.0, "{errors:?}");
}

#[test]
fn the_self_test_says_what_this_client_can_do() {
    let config =
        SelfTestConfig { connections: 8, threads: 1, cpus: None, interrupt: std::sync::Arc::default() };
    let test = self_test(&config).unwrap();
    assert!(test.cpu_us_per_request > 0.0 && test.floor_us > 0.0, "{test:?}");
    // One thread with a CPU of its own: the ceiling is what a request costs, turned round.
    let product = test.ceiling_rps * test.cpu_us_per_request;
    assert!((0.99e6..1.01e6).contains(&product), "{test:?}");
}

#[test]
fn what_the_self_test_found_is_held_against_the_run() {
    let sink = Sink::start(&SinkConfig::default()).unwrap();
    let mut report = run(&LoadConfig { rate: Some(200.0), ..config(&url(&sink)) });
    let notes = report.notes.len();
    let test = SelfTest { ceiling_rps: 1e6, cpu_us_per_request: 1.0, floor_us: 0.01 };
    report.add_self_test(test);
    assert_eq!((report.self_test, report.notes.len()), (Some(test), notes), "{:?}", report.notes);
    report.add_self_test(SelfTest { ceiling_rps: 210.0, floor_us: 1e9, ..test });
    let said = report.notes.join("\n");
    assert!(said.contains("can send 210 at most") && said.contains("a server that does nothing"), "{said}");
}

#[test]
fn a_thread_that_never_sleeps_says_that_it_was_idle() {
    let sink = Sink::start(&SinkConfig::default()).unwrap();
    let report = run(&LoadConfig { rate: Some(200.0), busy_poll: true, ..config(&url(&sink)) });
    assert_eq!(report.sent_total + report.backlog_at_end, 100);
    assert!(report.cpu_shares[0] < 0.9, "its spinning is no work: {:?}", report.cpu_shares);
}
