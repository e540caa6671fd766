//! A small raw server for the tests: a thread per connection, and a closure that answers one request.
//!
//! The closure gets the connection's stream after a request was read; what it returns decides about the connection.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use seawall_load::{Load, LoadConfig, Report, WarmUp};

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

/// A running server; it lives as long as the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Requests that were read completely.
    pub(crate) requests: Arc<AtomicU64>,
}

impl Server {
    /// Answers request number `n` of the whole server (from 0) with `answer(stream, n)`.
    pub(crate) fn start(answer: impl Fn(&mut TcpStream, u64) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let (answer, counter) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                std::thread::spawn(move || serve(stream, &*answer, &counter));
            }
        });
        Self { address, requests }
    }

    /// Answers every request with these bytes.
    pub(crate) fn saying(answer: &'static str) -> Self {
        Self::start(move |stream, _| {
            let _ = stream.write_all(answer.as_bytes());
            Then::Keep
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&mut TcpStream, u64) -> Then, counter: &AtomicU64) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // Requests of the tests have no body, or one that comes with the head.
        while !buffer.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => buffer.extend_from_slice(&piece[..count]),
            }
        }
        buffer.clear();
        let number = counter.fetch_add(1, SeqCst);
        if answer(&mut stream, number) == Then::Close {
            return;
        }
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Lets a server thread be slow: this is what it simulates, nobody waits for a condition.
#[expect(clippy::disallowed_methods, reason = "a server that works for so long")]
pub(crate) fn work_for(time: Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::disallowed_methods, reason = "tests measure time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A short run of 4 connections without warm-up.
pub(crate) fn config(url: &str) -> LoadConfig {
    LoadConfig {
        url: url.to_owned(),
        connections: 4,
        duration: Duration::from_millis(500),
        warmup: WarmUp::Fixed(Duration::ZERO),
        timeout: Duration::from_secs(1),
        ..LoadConfig::default()
    }
}

/// Runs a load, and checks what holds for every run: nothing is lost.
pub(crate) fn run(config: &LoadConfig) -> Report {
    let report = Load::new(config).unwrap().run(&mut |_| {}).unwrap();
    assert_nothing_lost(&report);
    report
}

pub(crate) fn assert_nothing_lost(report: &Report) {
    assert_eq!(
        report.sent_total,
        report.answered_total + report.failed_total + report.unanswered_at_end,
        "{report:#?}"
    );
    assert!(report.requests <= report.answered_total);
}
