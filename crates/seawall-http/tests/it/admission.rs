//! Admission over real sockets: who starts, who waits, who is turned away, and with what.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use seawall_core::metrics::{Registry, Value};
use seawall_http::{
    AdmissionConfig, Algorithm, App, Context, Event, LimitConfig, Priority, RequestHead, RouteOptions as _,
    ServerConfig, Sse, Standing,
};

use crate::block_on;
use crate::live::{LIMIT, Live, read_until, wait_until};
use crate::server::unread;

fn one_worker() -> ServerConfig {
    ServerConfig { workers: Some(1), ..ServerConfig::default() }
}

/// One at a time, and so many may wait, for longer than any test does.
fn one_slot(max_queued: u32) -> ServerConfig {
    let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: 1, ..LimitConfig::default() };
    let long = Duration::from_secs(10);
    let admission = AdmissionConfig {
        limit,
        max_queued,
        min_wait: long,
        grace: long,
        deadline: 6 * long,
        ..AdmissionConfig::default()
    };
    ServerConfig { admission: Some(admission), ..one_worker() }
}

/// An app with `/wait`, which is answered when it is told to, and `/`.
fn app() -> (App, Waiting) {
    let [(began, begun), (go_on, told)] = [channel(), channel()];
    let told = Arc::new(Mutex::new(told));
    let wait = move || {
        began.send(()).unwrap();
        let told = Arc::clone(&told);
        async move {
            loop {
                if told.lock().unwrap().try_recv().is_ok() {
                    return "waited";
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    (App::new().get("/wait", wait).any("/", async || "hello"), Waiting { begun, go_on })
}

struct Waiting {
    begun: Receiver<()>,
    go_on: Sender<()>,
}

impl Waiting {
    /// A connection whose request is being worked on.
    fn occupy(&self, server: &Live) -> TcpStream {
        let mut stream = server.connect();
        get(&mut stream, "/wait", "");
        self.begun.recv_timeout(LIMIT).unwrap();
        stream
    }
}

fn get(stream: &mut TcpStream, target: &str, fields: &str) {
    write!(stream, "GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n").unwrap();
}

/// Counts of requests turned away for this reason, of all classes.
pub(crate) fn refused(registry: &Registry, reason: &str) -> u64 {
    let families = registry.snapshot();
    let family = families.iter().find(|family| family.name == "seawall_http_refused_total").unwrap();
    let samples =
        family.samples.iter().filter(|sample| sample.labels.iter().any(|(_, value)| value == reason));
    let count = |value: &Value| if let Value::Counter(count) = value { *count } else { panic!("{value:?}") };
    samples.map(|sample| count(&sample.value)).sum()
}

/// Waits until so many requests stand in the queue.
fn wait_for_queue(registry: &Registry, expected: i64) {
    wait_until(|| {
        let families = registry.snapshot();
        let family = families.iter().find(|family| family.name == "seawall_admission_queued").unwrap();
        matches!(family.samples[0].value, Value::Gauge(value) if value == expected)
    });
}

/// Connections that have been used, so that the worker knows them.
fn known<const N: usize>(server: &Live) -> [TcpStream; N] {
    [(); N].map(|()| {
        let mut stream = server.connect();
        get(&mut stream, "/", "");
        read_until(&mut stream, "hello");
        stream
    })
}

/// The promise that everything rests on: what has arrived is read before the next handler starts. So the last one to
/// come is the first to start, if it matters more.
#[test]
fn all_that_has_arrived_is_read_before_anything_starts() {
    let [(began, begun), (go_on, told)] = [channel(), channel::<()>()];
    let (told, log) = (Mutex::new(told), Arc::new(Mutex::new(Vec::new())));
    let block = move || {
        began.send(()).unwrap();
        told.lock().unwrap().recv_timeout(LIMIT).unwrap(); // as a handler does that only computes
        async { "unblocked" }
    };
    let logged = |name: &'static str| {
        let log = Arc::clone(&log);
        move || {
            log.lock().unwrap().push(name);
            async move { name }
        }
    };
    let app = App::new()
        .get("/", async || "hello")
        .get("/block", block)
        .get("/least", logged("least").priority(Priority::Sheddable))
        .get("/most", logged("most").priority(Priority::CriticalPlus));
    let server = Live::with(app, one_worker());
    let [mut blocking, mut last] = known(&server);
    let mut others: [_; 20] = known(&server);
    get(&mut blocking, "/block", "");
    begun.recv_timeout(LIMIT).unwrap();
    others.iter_mut().for_each(|stream| get(stream, "/least", ""));
    get(&mut last, "/most", "");
    let is_there =
        |stream: &TcpStream| unread(server.addr, stream.local_addr().unwrap()).is_some_and(|bytes| bytes > 0);
    wait_until(|| others.iter().chain([&last]).all(is_there));
    go_on.send(()).unwrap();
    read_until(&mut last, "most");
    others.iter_mut().for_each(|stream| drop(read_until(stream, "least")));
    assert_eq!(log.lock().unwrap()[0], "most");
}

#[test]
fn who_waits_is_served_when_there_is_room() {
    let (app, waiting) = app();
    let server = Live::with(app, one_slot(10));
    let mut first = waiting.occupy(&server);
    let mut others: [_; 3] = [(); 3].map(|()| server.connect());
    others.iter_mut().for_each(|stream| get(stream, "/", ""));
    waiting.go_on.send(()).unwrap();
    read_until(&mut first, "waited");
    others.iter_mut().for_each(|stream| drop(read_until(stream, "hello")));
}

#[test]
fn a_full_queue_turns_away_and_the_connection_goes_on() {
    let (app, waiting) = app();
    let registry = app.metrics();
    let server = Live::with(app, one_slot(1));
    let [mut queued, mut refused_one] = known(&server);
    let mut first = waiting.occupy(&server);
    get(&mut queued, "/wait", "");
    wait_for_queue(&registry, 1);
    let posts = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello".repeat(3);
    refused_one.write_all(posts.as_bytes()).unwrap();
    let answers: Vec<_> = (0..3).map(|_| read_until(&mut refused_one, "\r\n\r\n")).collect();
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 503 ")), "{answers:?}");
    let delays = ["1", "2", "3"].map(|seconds| format!("retry-after: {seconds}\r\n"));
    for delay in delays {
        assert_eq!(
            answers.iter().filter(|answer| answer.contains(&delay)).count(),
            1,
            "{delay} in {answers:?}"
        );
    }
    assert_eq!(refused(&registry, "queue_full"), 3);
    waiting.go_on.send(()).unwrap();
    read_until(&mut first, "waited");
    waiting.go_on.send(()).unwrap();
    read_until(&mut queued, "waited");
    get(&mut refused_one, "/", "");
    read_until(&mut refused_one, "hello");
}

#[test]
fn a_large_body_that_is_turned_away_ends_its_connection() {
    let (app, _waiting) = app();
    let server = Live::with(app, ServerConfig { max_in_flight: 1, ..one_slot(1) });
    let _first = _waiting.occupy(&server);
    let answer = server.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[test]
fn a_caller_that_gives_up_in_the_queue_is_told_in_time() {
    let (app, waiting) = app();
    let registry = app.metrics();
    let server = Live::with(app, one_slot(10));
    let _first = waiting.occupy(&server);
    let mut second = server.connect();
    get(&mut second, "/", "seawall-timeout-ms: 30\r\n");
    let answer = read_until(&mut second, "\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(refused(&registry, "deadline_exceeded"), 1);
}

#[test]
fn who_leaves_gives_the_place_up() {
    let (app, waiting) = app();
    let registry = app.metrics();
    let server = Live::with(app, one_slot(1));
    let [mut leaving] = known(&server);
    get(&mut leaving, "/", ""); // an answer that nobody reads makes the close a reset
    assert_ne!(leaving.peek(&mut [0]).unwrap(), 0);
    let _first = waiting.occupy(&server);
    get(&mut leaving, "/", "");
    wait_for_queue(&registry, 1);
    drop(leaving);
    wait_for_queue(&registry, 0);
}

#[test]
fn a_health_check_neither_waits_nor_is_refused() {
    let (app, waiting) = app();
    let app = app.get("/health", (async || "healthy").bypass_admission());
    let server = Live::with(app, ServerConfig { max_in_flight: 1, ..one_slot(1) });
    let _first = waiting.occupy(&server);
    let [mut refused, mut checked] = [(); 2].map(|()| server.connect());
    get(&mut refused, "/", "");
    assert!(read_until(&mut refused, "\r\n\r\n").starts_with("HTTP/1.1 503 "));
    get(&mut checked, "/health", "");
    read_until(&mut checked, "healthy");
}

#[test]
fn a_stream_of_events_holds_no_room_of_a_request() {
    let (app, _waiting) = app();
    let events = async || {
        Sse::new(async |events| {
            events.send(Event::data("first")).await?;
            std::future::pending().await
        })
    };
    let server = Live::with(app.get("/events", events), one_slot(1));
    let mut stream = server.connect();
    get(&mut stream, "/events", "");
    read_until(&mut stream, "first\n\n");
    let mut other = server.connect();
    get(&mut other, "/", "");
    read_until(&mut other, "hello");
}

#[test]
fn every_request_has_a_deadline_and_a_route_may_have_another() {
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "slow"
    };
    let app = App::new().get("/", slow).get("/longer", slow.deadline(LIMIT)).group("/group", |group| {
        group.deadline(LIMIT).get("/in", slow).get("/short", slow.deadline(Duration::from_millis(5)))
    });
    let deadline = Duration::from_millis(50);
    let admission = Some(AdmissionConfig { deadline, ..AdmissionConfig::default() });
    let server = Live::with(app, ServerConfig { admission, ..one_worker() });
    for (path, status) in [("/", 504), ("/longer", 200), ("/group/in", 200), ("/group/short", 504)] {
        let mut stream = server.connect();
        get(&mut stream, path, "");
        let answer = read_until(&mut stream, "\r\n\r\n");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}

/// The deadline that a handler sees is what a client of its own should be told.
#[test]
fn a_handler_sees_how_much_time_it_has() {
    let left = async |c: Context| format!("{:.0?}.", c.time_left().unwrap().as_secs_f64());
    let server = Live::with(App::new().get("/", left), one_worker());
    for (fields, expected) in
        [("", "10."), ("seawall-timeout-ms: 4900\r\n", "5."), ("grpc-timeout: 1H\r\n", "10.")]
    {
        let mut stream = server.connect();
        get(&mut stream, "/", fields);
        read_until(&mut stream, expected);
    }
}

#[test]
fn tenants_take_turns() {
    let (app, waiting) = app();
    let registry = app.metrics();
    let log = Arc::new(Mutex::new(String::new()));
    let noted = {
        let log = Arc::clone(&log);
        move |c: Context| {
            log.lock().unwrap().push_str(c.header("x-tenant").unwrap());
            async { "noted" }
        }
    };
    let tenant = |head: &RequestHead<'_>| Standing::default().of_tenant(head.header("x-tenant"));
    let server = Live::with(app.get("/noted", noted).classify(tenant), one_slot(100));
    let mut streams: [_; 8] = known(&server);
    let mut first = waiting.occupy(&server);
    for (stream, tenant) in streams.iter_mut().zip("aaaaaabb".chars()) {
        get(stream, "/noted", &format!("x-tenant: {tenant}\r\n"));
    }
    wait_for_queue(&registry, 8);
    waiting.go_on.send(()).unwrap();
    read_until(&mut first, "waited");
    streams.iter_mut().for_each(|stream| drop(read_until(stream, "noted")));
    let log = log.lock().unwrap();
    assert!(log[..5].matches('b').count() == 2, "b's two are among the first five: {log}");
}

#[test]
fn switched_off_there_is_only_the_hard_cap() {
    let (app, waiting) = app();
    let registry = app.metrics();
    let config = ServerConfig { admission: None, max_in_flight: 1, ..one_worker() };
    let server = Live::with(app, config);
    let _first = waiting.occupy(&server);
    let mut second = server.connect();
    get(&mut second, "/", "");
    assert!(read_until(&mut second, "\r\n\r\n").starts_with("HTTP/1.1 503 "));
    assert_eq!(refused(&registry, "saturated"), 1);
}

#[test]
fn streams_of_http2_pass_the_same_gate() {
    let (app, waiting) = app();
    let registry = app.metrics();
    let server = Live::with(app, one_slot(1));
    block_on(async {
        let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut ask = |path: &str| {
            let request = http::Request::get(format!("http://a{path}")).body(Empty::<bytes::Bytes>::new());
            tokio::spawn(client.send_request(request.unwrap()))
        };
        let first = ask("/wait");
        let begun = move || {
            waiting.begun.recv_timeout(LIMIT).unwrap();
            waiting
        };
        let waiting = tokio::task::spawn_blocking(begun).await.unwrap();
        let (mut second, mut third) = (ask("/"), ask("/"));
        // One of them waits, the other finds the queue full.
        let (refusal, other) = tokio::select! {
            answer = &mut second => (answer, third),
            answer = &mut third => (answer, second),
        };
        let refusal = refusal.unwrap().unwrap();
        assert_eq!(refusal.status(), 503);
        assert!(refusal.headers().contains_key("retry-after"));
        waiting.go_on.send(()).unwrap();
        for (answer, expected) in [(first, "waited"), (other, "hello")] {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expected);
        }
    });
    assert_eq!(refused(&registry, "queue_full"), 1);
}
