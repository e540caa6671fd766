//! Requests whose end nobody waits for: counted once, logged once, and no gauge keeps them.
//!
//! Real sockets that close early. Nothing waits for a length of time, only for conditions.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use seawall_core::metrics::{Registry, Value};
use seawall_http::middleware::AccessLog;
use seawall_http::{App, Context, Error, Result, RouteOptions as _, ServerConfig, ShutdownHandle, before};
use tokio::sync::Notify;

use crate::block_on;

/// Only a hang waits for it.
const LIMIT: Duration = Duration::from_secs(20);

/// A server with one worker, on a thread of its own.
struct Running {
    addr: SocketAddr,
    registry: Registry,
    handle: ShutdownHandle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    fn start(app: App, config: ServerConfig) -> Self {
        let registry = app.metrics();
        let server = app.config(ServerConfig { workers: Some(1), ..config }).bind("127.0.0.1:0").unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        Self { addr, registry, handle, thread: Some(thread::spawn(move || server.run())) }
    }
    fn send(&self, target: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
        stream
    }
    fn stop(&mut self) {
        self.handle.shutdown();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    /// Route, status, what went wrong, and how many.
    fn counted(&self) -> Vec<(String, String, String, u64)> {
        let families = self.registry.snapshot();
        let family = families.iter().find(|family| family.name == "http_server_request_duration_seconds");
        let samples = family.map_or(&[][..], |family| &family.samples);
        let row = |sample: &seawall_core::metrics::Sample| {
            let label = |name| sample.labels.iter().find(|(known, _)| *known == name).unwrap().1.clone();
            let Value::Timer(timer) = &sample.value else { panic!("no timer") };
            (label("http_route"), label("http_response_status_code"), label("error_type"), timer.count())
        };
        samples.iter().map(row).collect()
    }
    fn in_flight(&self) -> i64 {
        let families = self.registry.snapshot();
        let family = families.iter().find(|family| family.name == "http_server_active_requests").unwrap();
        let Value::Gauge(value) = family.samples[0].value else { panic!("no gauge") };
        value
    }
    /// Waits until exactly these requests are counted, and none is in flight.
    #[track_caller]
    fn ends_with(&self, expected: &[(&str, &str, &str, u64)]) {
        let same = || {
            let counted = self.counted();
            let counted: Vec<_> = counted.iter().map(|(r, s, e, n)| (&**r, &**s, &**e, *n)).collect();
            counted == expected && self.in_flight() == 0
        };
        wait_until(same, || format!("{:?}, {} in flight", self.counted(), self.in_flight()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool, state: impl Fn() -> String) {
    let mut rounds = 0;
    while !condition() {
        rounds += 1;
        assert!(rounds < 2_000, "it never came to that: {}", state());
        block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
    }
}

/// An app whose `/slow` never answers, and whose `/stream` never ends; the notifications say when they run.
fn app() -> (App, Arc<Notify>) {
    let started = Arc::new(Notify::new());
    let (slow, stream) = (Arc::clone(&started), Arc::clone(&started));
    let slow = move || {
        slow.notify_one();
        std::future::pending::<&str>()
    };
    let stream = move |c: Context| {
        let started = Arc::clone(&stream);
        async move {
            c.stream(200, "text/plain", async move |mut out| {
                out.write("one").await?;
                started.notify_one();
                std::future::pending::<Result<()>>().await
            })
        }
    };
    (App::new().get("/", async || "hello").get("/slow", slow).get("/stream", stream), started)
}

fn read_until(stream: &mut TcpStream, end: &str) {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_is_counted_once() {
    let (app, started) = app();
    let server = Running::start(app, ServerConfig::default());
    let stream = server.send("/slow");
    block_on(started.notified());
    assert_eq!((server.counted().len(), server.in_flight()), (0, 1));
    drop(stream);
    server.ends_with(&[("/slow", "", "aborted", 1)]);
}
#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_is_too() {
    let (app, started) = app();
    let server = Running::start(app, ServerConfig::default());
    let mut stream = server.send("/stream");
    read_until(&mut stream, "one");
    block_on(started.notified());
    assert_eq!((server.counted().len(), server.in_flight()), (0, 1));
    drop(stream);
    server.ends_with(&[("/stream", "200", "aborted", 1)]);
}
/// An app whose `/work` says when it runs, and then waits to be let on; what it returns is whether it came to its end.
fn work() -> (App, [Arc<Notify>; 3]) {
    let notes: [Arc<Notify>; 3] = std::array::from_fn(|_| Arc::default());
    let [started, go_on, ended] = notes.clone();
    let handler = move || {
        let (started, go_on, ended) = (Arc::clone(&started), Arc::clone(&go_on), Arc::clone(&ended));
        async move {
            started.notify_one();
            go_on.notified().await;
            ended.notify_one();
            "done"
        }
    };
    (App::new().get("/work", handler.detached()), notes)
}

#[test]
fn a_detached_handler_runs_to_its_end_without_its_client() {
    let (app, [started, go_on, ended]) = work();
    let server = Running::start(app, ServerConfig::default());
    let stream = server.send("/work");
    block_on(started.notified());
    drop(stream);
    server.ends_with(&[("/work", "", "aborted", 1)]);
    go_on.notify_one();
    block_on(ended.notified());
}
#[test]
fn a_detached_handler_answers_a_client_that_stays() {
    let (app, [started, go_on, _]) = work();
    let server = Running::start(app, ServerConfig::default());
    let mut stream = server.send("/work");
    block_on(started.notified());
    go_on.notify_one();
    read_until(&mut stream, "done");
    server.ends_with(&[("/work", "200", "", 1)]);
}
#[test]
fn a_panic_of_a_detached_handler_is_a_500() {
    let broken = || async { if true { panic!("broken") } else { "" } };
    let server = Running::start(App::new().get("/broken", broken.detached()), ServerConfig::default());
    let mut stream = server.send("/broken");
    read_until(&mut stream, "Internal Server Error\"}");
    server.ends_with(&[("/broken", "500", "500", 1)]);
}
#[test]
fn a_half_closed_client_is_answered_where_that_is_asked_for() {
    let (app, [started, go_on, _]) = work();
    let server = Running::start(app, ServerConfig { half_close: true, ..ServerConfig::default() });
    let mut stream = server.send("/work");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    block_on(started.notified());
    go_on.notify_one();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("done"), "{text}");
}
#[test]
fn a_half_closed_client_is_answered_where_nothing_waits() {
    let (app, _) = app();
    let server = Running::start(app, ServerConfig::default());
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("hello").count(), 2, "{text}");
}
#[test]
fn a_client_that_stays_is_not() {
    let (app, _) = app();
    let server = Running::start(app, ServerConfig::default());
    let mut stream = server.send("/");
    read_until(&mut stream, "hello");
    server.ends_with(&[("/", "200", "", 1)]);
    drop(stream);
    server.ends_with(&[("/", "200", "", 1)]);
}
#[test]
fn what_a_shutdown_cuts_counts_as_aborted() {
    let (app, started) = app();
    let mut server = Running::start(
        app,
        ServerConfig { shutdown_timeout: Duration::from_millis(1), ..ServerConfig::default() },
    );
    let _stream = server.send("/slow");
    block_on(started.notified());
    server.stop();
    server.ends_with(&[("/slow", "", "aborted", 1)]);
}
#[test]
fn a_stream_of_http2_that_is_reset_counts_as_aborted() {
    let (app, started) = app();
    let server = Running::start(app, ServerConfig::default());
    let addr = server.addr;
    block_on(async move {
        let io = TokioIo::new(tokio::net::TcpStream::connect(addr).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request =
            |path| http::Request::get(format!("http://a{path}")).body(Full::<Bytes>::default()).unwrap();
        let slow = tokio::spawn(sender.send_request(request("/slow")));
        started.notified().await;
        slow.abort();
        assert!(slow.await.unwrap_err().is_cancelled());
        // The connection lives on, and takes the reset along.
        let hello = sender.send_request(request("/")).await.unwrap();
        assert_eq!(hello.into_body().collect().await.unwrap().to_bytes(), "hello");
    });
    server.ends_with(&[("/", "200", "", 1), ("/slow", "", "aborted", 1)]);
}
#[test]
fn a_connection_of_http2_that_breaks_ends_all_its_requests() {
    let (app, started) = app();
    let server = Running::start(app, ServerConfig::default());
    let addr = server.addr;
    block_on(async move {
        let io = TokioIo::new(tokio::net::TcpStream::connect(addr).await.unwrap());
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let driven = tokio::spawn(connection);
        for _ in 0..3 {
            let request = http::Request::get("http://a/slow").body(Full::<Bytes>::default()).unwrap();
            tokio::spawn(sender.clone().send_request(request));
            started.notified().await;
        }
        driven.abort();
    });
    server.ends_with(&[("/slow", "", "aborted", 3)]);
}
#[test]
fn a_body_whose_producer_fails_is_no_abort() {
    let broken = async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            out.write("one").await?;
            Err(Error::internal("the disk is full"))
        })
    };
    let server = Running::start(App::new().get("/", broken), ServerConfig::default());
    let mut stream = server.send("/");
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    server.ends_with(&[("/", "200", "broken_body", 1)]);
}
#[test]
fn what_ends_before_a_route_is_looked_for_is_counted_without_one() {
    let app = App::new().get("/", async || "hello").pre(before(|c| c.text(200, "early").map(Some)));
    let server = Running::start(app, ServerConfig::default());
    read_until(&mut server.send("/"), "early");
    server.ends_with(&[("", "200", "", 1)]);
}
#[test]
fn spawned_work_hears_that_its_client_has_gone() {
    let (started, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begun, told) = (Arc::clone(&started), Arc::clone(&gone));
    let app = App::new().get("/", move |c: Context| {
        let (begun, told) = (Arc::clone(&begun), Arc::clone(&told));
        tokio::spawn(async move {
            c.cancelled().await;
            told.notify_one();
        });
        begun.notify_one();
        std::future::pending::<&str>()
    });
    let server = Running::start(app, ServerConfig::default());
    let stream = server.send("/");
    block_on(started.notified());
    drop(stream);
    block_on(async { tokio::time::timeout(LIMIT, gone.notified()).await.unwrap() });
    server.ends_with(&[("/", "", "aborted", 1)]);
}

/// A subscriber for the whole process cannot be set by a test, so this one serves on the test's own thread.
#[test]
fn an_aborted_request_has_its_line_in_the_access_log() {
    let lines = crate::tracing::Lines::access(|| {
        block_on(async {
            let (app, started) = app();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let ended = Arc::new(Notify::new());
            let told = Arc::clone(&ended);
            let app = app.with(AccessLog).with(before(move |c| {
                let (told, cancelled) = (Arc::clone(&told), c.cancelled());
                tokio::spawn(async move {
                    cancelled.await;
                    told.notify_one();
                });
                Ok(None)
            }));
            let stop = Arc::new(Notify::new());
            let stopped = Arc::clone(&stop);
            let serving = app.serve_until(listener, async move { stopped.notified().await });
            let client = async {
                let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
                let request = b"GET /slow HTTP/1.1\r\nhost: a\r\nx-request-id: id-7\r\n\r\n";
                tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
                started.notified().await;
                drop(stream);
                ended.notified().await;
                stop.notify_one();
            };
            let (served, ()) = tokio::join!(serving, client);
            served.unwrap();
        });
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["path=\"/slow\"", "error_type=\"aborted\"", "request_id=\"id-7\"", "route=\"/slow\""] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    assert!(!lines[0].contains("status="), "{}", lines[0]);
}
