//! Clients that are slow on purpose: in the head, in the body, and in reading (slowloris and its kin).

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use seawall_core::metrics::{Registry, Value};
use seawall_http::{App, Context, ServerConfig};

use tokio::sync::Notify;

use crate::live::{Live, read_until, wait_until};
use crate::wire::{Client, send, unread};

/// Far beyond what a test should take: only the limit under test is short.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(250);

fn patient() -> ServerConfig {
    ServerConfig {
        workers: Some(1),
        head_timeout: LONG,
        idle_timeout: LONG,
        body_gap_timeout: LONG,
        write_stall_timeout: LONG,
        ..ServerConfig::default()
    }
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// An app whose `/large` streams without an end; the flag says when that is over.
fn app() -> (App, Arc<AtomicBool>) {
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    let large = move |c: Context| {
        let guard = Dropped(Arc::clone(&flag));
        async move {
            c.stream(200, "text/plain", async move |mut out| {
                let _guard = guard;
                loop {
                    out.write(Bytes::from_static(&[b'x'; 16 << 10])).await?;
                }
            })
        }
    };
    let app = App::new()
        .get("/", async || "hello")
        .post("/", async |body: Bytes| body.len().to_string())
        .post("/early", async || "early")
        .get("/large", large)
        .get("/fixed", async || Bytes::from(vec![b'x'; 16 << 20]))
        .get("/sized", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                for _ in 0..256 {
                    out.write(Bytes::from_static(&[b'x'; 16 << 10])).await?;
                }
                Ok(())
            })
        });
    (app, over)
}

fn pause(length: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::sleep(length).await });
}

/// Sends a byte now and then, as slowloris does, until the server ends the connection; what it said.
#[track_caller]
fn drip(server: &Live, begin: &str, byte: &str) -> Vec<u16> {
    let mut client = Client::new(server);
    client.send(begin);
    for _ in 0..2_000 {
        pause(Duration::from_millis(10));
        if client.stream.write_all(byte.as_bytes()).is_err() {
            return client.rest().statuses();
        }
    }
    panic!("{begin:?} could go on for ever");
}

fn connections(registry: &Registry) -> i64 {
    let families = registry.snapshot();
    let family = families.iter().find(|family| family.name == "seawall_connections");
    let Some(family) = family else { return 0 }; // it has not started yet
    let value = |value: &Value| if let Value::Gauge(value) = value { *value } else { panic!("no gauge") };
    family.samples.iter().map(|sample| value(&sample.value)).sum()
}

#[test]
fn a_head_that_drips_is_cut() {
    let server = Live::with(app().0, ServerConfig { head_timeout: SHORT, ..patient() });
    for (begin, byte) in [
        ("GET / HTTP/1.1\r\nhost: a\r\nx: ", "y"),
        ("GET / HTTP/1.1\r\nhost: a\r\n", "x:y\r\n"),
        ("GET /", "x"),
        ("", "G"),
        ("", "\r\n"),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nx: ", "y"),
    ] {
        let mut statuses = drip(&server, begin, byte);
        statuses.retain(|status| *status != 200); // of the request before
        assert!(matches!(statuses[..], [] | [400 | 408]), "{begin:?}: {statuses:?}");
    }
    for half in ["PRI * HTTP/2.0\r\n\r\nSM\r", "GET", "GET / HTTP/1.1\r\nhost: a\r\n\r", "\r", ""] {
        let mut client = Client::new(&server);
        client.send(half);
        let statuses = client.rest().statuses();
        assert!(matches!(statuses[..], [] | [400 | 408]), "{half:?}: {statuses:?}");
    }
}

#[test]
fn a_body_that_stops_is_cut() {
    let server = Live::with(app().0, ServerConfig { body_gap_timeout: SHORT, ..patient() });
    for begin in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
        "POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc",
    ] {
        let mut client = Client::new(&server);
        client.send(begin);
        let heard = client.rest();
        let finals: Vec<_> = heard.statuses().into_iter().filter(|status| *status != 100).collect();
        let early = begin.starts_with("POST /early");
        assert!(matches!(finals[..], [] | [408]) || early && finals == [200], "{begin:?}: {finals:?}");
    }
}

/// Bytes that come, however slowly, are no gap.
#[test]
fn a_body_that_goes_on_is_waited_for() {
    let server = Live::with(
        app().0,
        ServerConfig {
            body_gap_timeout: Duration::from_secs(5),
            head_timeout: SHORT,
            idle_timeout: SHORT,
            ..patient()
        },
    );
    let mut client = Client::new(&server);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n");
    for _ in 0..10 {
        pause(Duration::from_millis(100));
        client.send("x");
    }
    assert_eq!(client.next().unwrap().text(), "10");
}

/// How long one body was waited for does not count for the next one, however long its handler took.
#[test]
fn each_body_has_a_wait_of_its_own() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let slow = move |body: Bytes| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            body.len().to_string()
        }
    };
    let app = app().0.post("/slow", slow);
    let server = Live::with(app, ServerConfig { body_gap_timeout: Duration::from_secs(1), ..patient() });
    let mut client = Client::new(&server);
    let ours = client.stream.local_addr().unwrap();
    client.send("POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n");
    wait_until(|| unread(server.addr, ours) == Some(0));
    client.send("abcPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n");
    pause(Duration::from_millis(1_200));
    go.notify_one();
    assert_eq!(client.next().unwrap().text(), "3");
    client.send("de");
    assert_eq!(client.next().map(|answer| answer.text()), Some("2".to_owned()));
}

/// A client that asks for much and reads nothing holds its answer no longer than the limit.
#[test]
fn an_answer_that_nobody_reads_is_cut() {
    let (app, over) = app();
    let registry = app.metrics();
    let server = Live::with(app, ServerConfig { write_stall_timeout: SHORT, ..patient() });
    let mut streams: Vec<_> = ["/large", "/fixed", "/large"]
        .map(|target| {
            let mut stream = server.connect();
            send(&mut stream, format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
            stream
        })
        .into();
    wait_until(|| connections(&registry) == 3);
    wait_until(|| over.load(SeqCst) && connections(&registry) == 0);
    let mut all = Vec::new();
    let _ = streams[1].read_to_end(&mut all); // a reset is an end as well
    assert!(all.len() < 16 << 20, "it came whole");
}

/// One that pipelines requests and reads no answer neither.
#[test]
fn a_batch_whose_answers_nobody_reads_is_cut() {
    let (app, _) = app();
    let registry = app.metrics();
    let server = Live::with(app, ServerConfig { write_stall_timeout: SHORT, ..patient() });
    let mut stream = server.connect();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    send(&mut stream, "GET /fixed HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10).as_bytes());
    wait_until(|| connections(&registry) == 1);
    wait_until(|| connections(&registry) == 0);
}

/// A client that reads slowly, but reads, gets all of it.
#[test]
fn a_slow_reader_is_served() {
    let (app, _) = app();
    let server = Live::with(
        app,
        ServerConfig { write_stall_timeout: Duration::from_secs(5), idle_timeout: SHORT, ..patient() },
    );
    let mut stream = server.connect();
    send(&mut stream, b"GET /sized HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let head = read_until(&mut stream, "\r\n\r\n");
    assert!(head.contains("chunked"), "{head}");
    let (mut room, mut read) = (vec![0; 256 << 10], 0);
    loop {
        pause(Duration::from_millis(20));
        match stream.read(&mut room).unwrap() {
            0 => break,
            more => read += more,
        }
    }
    assert!(read > 4 << 20, "{read}");
}

/// The same on HTTP/2: a connection that says nothing after its preface, and one whose client opens no window.
#[test]
fn an_http2_connection_that_says_nothing_is_cut() {
    let (app, _) = app();
    let registry = app.metrics();
    let server = Live::with(app, ServerConfig { idle_timeout: SHORT, head_timeout: SHORT, ..patient() });
    let mut stream = server.connect();
    send(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    wait_until(|| connections(&registry) == 1);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    wait_until(|| connections(&registry) == 0);
}
