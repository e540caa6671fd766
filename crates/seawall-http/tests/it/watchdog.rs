//! Workers that do not let go, and what the log says of them.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use seawall_http::{App, ServerConfig};

use crate::live::{LIMIT, Live, read_until, wait_until};
use crate::sample;
use crate::tracing::Lines;

/// Runs a server whose `/` blocks its worker by `wait` until it may go, and looks at its log.
fn check(wait: fn(&AtomicBool)) {
    let go = Arc::new(AtomicBool::new(false));
    let may_go = Arc::clone(&go);
    let block = move || {
        let may_go = Arc::clone(&may_go);
        async move {
            wait(&may_go);
            "done"
        }
    };
    let app = App::new().get("/", block);
    let registry = app.metrics();
    let server =
        app.config(ServerConfig { workers: Some(1), ..ServerConfig::default() }).bind("127.0.0.1:0").unwrap();
    let (addr, stop) = (server.local_addr(), server.handle());
    let lines = Lines::default();
    let theirs = lines.clone();
    let running = thread::spawn(move || theirs.hear(|| server.run()));
    let stuck = || sample(&registry, "seawall_worker_stuck_total", "worker=0");

    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    wait_until(|| lines.text().contains("a worker is stuck"));
    assert_eq!(stuck(), 1);
    go.store(true, Ordering::SeqCst);
    read_until(&mut stream, "done");
    wait_until(|| lines.text().contains("answers again"));
    stop.shutdown();
    running.join().unwrap().unwrap();

    let text = lines.text();
    let of_it: Vec<_> = text.lines().filter(|line| line.contains("stuck")).collect();
    assert_eq!(of_it.len(), 2, "{text}");
    let millis = |line: &str| -> u64 {
        let (_, behind) = line.split_once("stuck_ms=").unwrap();
        behind.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(of_it[0].contains("ERROR") && of_it[0].contains("worker=0"), "{text}");
    assert!(of_it[0].contains("stack=\"not known: seawall-observe takes stacks"), "{text}");
    assert!(of_it[1].contains("WARN") && of_it[1].contains("worker=0"), "{text}");
    assert!(100 <= millis(of_it[0]) && millis(of_it[0]) <= millis(of_it[1]), "{text}");
    assert_eq!(stuck(), 1);
}

#[expect(clippy::disallowed_methods, reason = "the mistake that is to be found")]
fn sleep(go: &AtomicBool) {
    while !go.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
}

fn spin(go: &AtomicBool) {
    while !go.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
}

#[test]
fn a_handler_that_sleeps_is_told_once_and_again_when_it_is_over() {
    check(sleep);
}
#[test]
fn a_handler_that_spins_is_told_once_and_again_when_it_is_over() {
    check(spin);
}

#[test]
fn a_handler_that_waits_as_it_should_is_not_stuck() {
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        "slow"
    };
    let app = App::new().get("/", slow);
    let registry = app.metrics();
    let config = ServerConfig {
        stuck_after: Some(Duration::from_secs(1)),
        workers: Some(1),
        ..ServerConfig::default()
    };
    let server = Live::with(app, config);
    assert!(server.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").ends_with("slow"));
    assert_eq!(sample(&registry, "seawall_worker_stuck_total", "worker=0"), 0);
}
