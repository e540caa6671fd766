//! The server over real sockets: what a client sees of timeouts, limits, batches and the drain.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use seawall_core::metrics::{Registry, Value};
use seawall_http::{App, Context, ServerConfig};
use tokio::sync::Notify;

use crate::admission::refused;
use crate::block_on;
use crate::live::{LIMIT, Live, read_until};

fn one_worker() -> ServerConfig {
    ServerConfig { workers: Some(1), ..ServerConfig::default() }
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn pause(length: Duration) {
    block_on(async move { tokio::time::sleep(length).await });
}

fn wait_until(condition: impl Fn() -> bool) {
    let mut rounds = 0;
    while !condition() {
        rounds += 1;
        assert!(rounds < 2_000, "the condition never held");
        pause(Duration::from_millis(10));
    }
}

/// Bytes from `client` that `server` has not read yet, as the kernel counts them; ports are unique on loopback.
pub(crate) fn unread(server: SocketAddr, client: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (own, other) = (format!(":{:04X}", server.port()), format!(":{:04X}", client.port()));
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row =
        row.into_iter().find(|row| row.len() > 4 && row[1].ends_with(&own) && row[2].ends_with(&other))?;
    u64::from_str_radix(row[4].split_once(':')?.1, 16).ok()
}

fn hello() -> App {
    App::new().get("/", async || "hello").post("/", async |body: Bytes| body.len().to_string())
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[test]
fn a_connection_serves_many_requests() {
    let server = Live::with(hello(), one_worker());
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(GET.as_bytes()).unwrap();
        assert!(read_until(&mut stream, "hello").starts_with("HTTP/1.1 200 OK\r\n"));
    }
    server.stop();
}

#[test]
fn pipelined_requests_are_all_answered_in_order() {
    let app = App::new().get("/:n", async |c: Context| c.param::<String>("n"));
    let server = Live::with(app, one_worker());
    let batch: String = (0..64).map(|n| format!("GET /-{n}- HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    let mut stream = server.connect();
    stream.write_all(batch.as_bytes()).unwrap();
    let answers = read_until(&mut stream, "-63-");
    let order: Vec<_> = (0..64).map(|n| answers.find(&format!("-{n}-")).unwrap()).collect();
    assert!(order.is_sorted());
}

#[test]
fn both_protocols_are_served_on_one_port() {
    let server = Live::with(hello(), one_worker());
    assert!(server.ask(GET_AND_CLOSE).ends_with("hello"));
    let addr = server.addr;
    let body = block_on(async move {
        let io = TokioIo::new(tokio::net::TcpStream::connect(addr).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://a/").body(Full::<Bytes>::default()).unwrap();
        sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
    });
    assert_eq!(body, "hello");
}

#[test]
fn a_chunked_body_over_the_limit_is_413() {
    let server = Live::with(hello(), ServerConfig { body_limit: 8, ..one_worker() });
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    assert!(server.ask(&format!("{head}5\r\n12345\r\n0\r\n\r\n")).ends_with("\r\n\r\n5"));
    assert!(server.ask(&format!("{head}5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n")).starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_head_over_the_limit_is_431() {
    let server =
        Live::with(hello(), ServerConfig { max_head_bytes: 8 << 10, max_headers: 10, ..one_worker() });
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(9 << 10));
    let answer = server.ask(&long);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(10));
    assert!(server.ask(&many).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let server =
        Live::with(hello(), ServerConfig { head_timeout: Duration::from_millis(100), ..one_worker() });
    assert_eq!(server.ask("GET / HT"), "", "the first head of a connection");
    assert_eq!(server.ask("PRI * HTTP/2.0\r\n"), "", "half a preface");
    assert_eq!(server.ask(""), "", "nothing at all");
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "hello");
    stream.write_all(b"GET / HT").unwrap();
    assert_eq!(read_to_end(&mut stream), "", "a later head");
}

#[test]
fn half_a_request_holds_no_answer_back() {
    let server = Live::with(hello(), one_worker());
    let mut stream = server.connect();
    stream.write_all(format!("{GET}GET / HT").as_bytes()).unwrap();
    read_until(&mut stream, "hello");
    stream.write_all(b"TP/1.1\r\nhost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "hello");
}

#[test]
fn a_malformed_request_is_answered_with_400() {
    let server = Live::with(hello(), one_worker());
    assert!(server.ask("GET / HTTP/1.1\r\nhost : a\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_stream_may_pause_for_longer_than_the_idle_timeout() {
    let app = App::new().get("/", async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            out.write("one ").await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            out.write("two").await
        })
    });
    let (head_timeout, idle_timeout) = (Duration::from_millis(50), Duration::from_millis(50));
    let server = Live::with(app, ServerConfig { head_timeout, idle_timeout, ..one_worker() });
    assert!(server.ask(GET_AND_CLOSE).contains("two"));
}

#[test]
fn an_idle_connection_outlives_the_head_timeout_but_not_its_own() {
    let (head_timeout, idle_timeout) = (Duration::from_millis(50), Duration::from_millis(500));
    let server = Live::with(hello(), ServerConfig { head_timeout, idle_timeout, ..one_worker() });
    let mut stream = server.connect();
    for _ in 0..2 {
        stream.write_all(GET.as_bytes()).unwrap();
        read_until(&mut stream, "hello");
        pause(head_timeout * 3);
    }
    assert_eq!(read_to_end(&mut stream), "");
}

#[test]
fn connections_over_the_cap_wait_for_room() {
    let server = Live::with(hello(), ServerConfig { max_connections: 2, ..one_worker() });
    let mut first = server.connect();
    let mut second = server.connect();
    for stream in [&mut first, &mut second] {
        stream.write_all(GET.as_bytes()).unwrap();
        read_until(stream, "hello");
    }
    let mut third = server.connect();
    third.write_all(GET_AND_CLOSE.as_bytes()).unwrap();
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "there is no room yet");
    third.set_read_timeout(Some(LIMIT)).unwrap();
    drop(first);
    assert!(read_to_end(&mut third).ends_with("hello"));
}

/// The value of each worker's gauge.
fn per_worker(registry: &Registry, name: &str) -> Vec<i64> {
    let families = registry.snapshot();
    let family = families.iter().find(|family| family.name == name).unwrap();
    let value = |value: &Value| match value {
        Value::Gauge(value) => *value,
        Value::Counter(_) | Value::Timer(_) => panic!("{name} is no gauge"),
    };
    family.samples.iter().map(|sample| value(&sample.value)).collect()
}

#[test]
fn connections_are_spread_evenly() {
    let app = hello();
    let registry = app.metrics();
    let server = Live::with(app, ServerConfig { workers: Some(4), ..ServerConfig::default() });
    let open: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(GET.as_bytes()).unwrap();
            read_until(&mut stream, "hello");
            stream
        })
        .collect();
    assert_eq!(per_worker(&registry, "seawall_connections"), [10, 10, 10, 10]);
    drop(open);
    wait_until(|| per_worker(&registry, "seawall_connections") == [0, 0, 0, 0]);
}

/// An app whose `/slow` waits for the test's word.
fn gated() -> (App, Arc<AtomicUsize>, Arc<Notify>) {
    let (started, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (count, gate) = (Arc::clone(&started), Arc::clone(&go));
    let slow = move || {
        let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
        async move {
            count.fetch_add(1, SeqCst);
            gate.notified().await;
            "slow"
        }
    };
    (hello().get("/slow", slow), started, go)
}

const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn a_drain_lets_requests_end_and_takes_no_new_connections() {
    let (app, started, go) = gated();
    let server = Live::with(app, one_worker());
    let mut stream = server.connect();
    stream.write_all(SLOW.as_bytes()).unwrap();
    wait_until(|| started.load(SeqCst) == 1);
    server.handle.shutdown();
    wait_until(|| TcpStream::connect(server.addr).is_err());
    go.notify_one();
    // The answer may be on its way before the connection hears of the drain, so it need not say `connection: close`;
    // the connection ends behind it in any case, or this would not return.
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
    server.stop();
}

#[test]
fn a_drain_answers_every_request_that_was_accepted() {
    let server = Live::with(hello(), ServerConfig { workers: Some(2), ..ServerConfig::default() });
    let mut streams: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(GET.as_bytes()).unwrap();
    }
    server.handle.shutdown();
    for stream in &mut streams {
        assert!(read_to_end(stream).ends_with("hello"));
    }
}

#[test]
fn a_drain_waits_for_a_head_under_way() {
    let server = Live::with(hello(), one_worker());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "hello");
    stream.write_all(b"GET / HT").unwrap();
    // Or the drain could come first, and find an idle connection.
    let client = stream.local_addr().unwrap();
    wait_until(|| unread(server.addr, client) == Some(0));
    server.handle.shutdown();
    stream.write_all(b"TP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(read_to_end(&mut stream).ends_with("hello"));
}

#[test]
fn the_drain_is_announced() {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    let server = hello().bind("127.0.0.1:0").unwrap().on_drain(move || flag.store(true, SeqCst));
    let handle = server.handle();
    let thread = thread::spawn(move || server.run());
    handle.shutdown();
    thread.join().unwrap().unwrap();
    assert!(told.load(SeqCst));
}

#[test]
fn a_drain_ends_idle_connections_at_once() {
    let server = Live::with(hello(), one_worker());
    let (mut idle, mut silent) = (server.connect(), server.connect());
    idle.write_all(GET.as_bytes()).unwrap();
    read_until(&mut idle, "hello");
    server.stop();
    assert_eq!(read_to_end(&mut idle), "");
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn what_does_not_end_in_time_is_cut() {
    let (app, started, _go) = gated();
    let server =
        Live::with(app, ServerConfig { shutdown_timeout: Duration::from_millis(50), ..one_worker() });
    let mut stream = server.connect();
    stream.write_all(SLOW.as_bytes()).unwrap();
    wait_until(|| started.load(SeqCst) == 1);
    server.stop();
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
}

#[test]
fn a_handler_is_dropped_when_its_client_goes() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let (dropped, started) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (flag, begun) = (Arc::clone(&dropped), Arc::clone(&started));
    let app = App::new().get("/", move || {
        let guard = Dropped(Arc::clone(&flag));
        begun.store(true, SeqCst);
        async move {
            let _guard = guard;
            std::future::pending::<&str>().await
        }
    });
    let server = Live::with(app, one_worker());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    wait_until(|| started.load(SeqCst));
    drop(stream);
    wait_until(|| dropped.load(SeqCst));
}

#[test]
fn requests_in_flight_are_counted() {
    let (app, started, go) = gated();
    let registry = app.metrics();
    let server = Live::with(app, one_worker());
    let mut stream = server.connect();
    stream.write_all(SLOW.as_bytes()).unwrap();
    wait_until(|| started.load(SeqCst) == 1);
    assert_eq!(per_worker(&registry, "http_server_active_requests"), [1]);
    go.notify_one();
    read_until(&mut stream, "slow");
    wait_until(|| per_worker(&registry, "http_server_active_requests") == [0]);
}

#[test]
fn a_handler_sees_its_peer() {
    let app = App::new().get("/", async |c: Context| c.peer().unwrap().to_string());
    let server = Live::with(app, one_worker());
    let mut stream = server.connect();
    let own = stream.local_addr().unwrap().to_string();
    stream.write_all(GET_AND_CLOSE.as_bytes()).unwrap();
    assert!(read_to_end(&mut stream).ends_with(&own));
}

#[test]
fn an_app_serves_inside_a_given_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = runtime.spawn(hello().serve(listener));
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(GET_AND_CLOSE.as_bytes()).unwrap();
    assert!(read_to_end(&mut stream).ends_with("hello"));
    serving.abort();
    assert!(runtime.block_on(serving).unwrap_err().is_cancelled());
    wait_until(|| TcpStream::connect(addr).is_err());
}

#[test]
fn a_given_runtime_may_say_when_to_stop() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let serving = runtime.spawn(hello().serve_until(listener, async move { stopped.notified().await }));
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "hello");
    stop.notify_one();
    assert_eq!(read_to_end(&mut stream), "");
    runtime.block_on(serving).unwrap().unwrap();
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let text = format!("{:?}", hello().bind(&addr).unwrap_err());
    assert!(text.contains(&format!("cannot listen on {addr}")), "{text}");
}

/// An app whose `/wait` is answered when the returned notification comes.
fn waiting() -> (App, [Arc<Notify>; 2]) {
    let [started, go_on] = [(); 2].map(|()| Arc::new(Notify::new()));
    let (begun, released) = (Arc::clone(&started), Arc::clone(&go_on));
    let wait = move || {
        let (begun, released) = (Arc::clone(&begun), Arc::clone(&released));
        async move {
            begun.notify_one();
            released.notified().await;
            "hello"
        }
    };
    (hello().get("/wait", wait), [started, go_on])
}

#[test]
fn beyond_the_cap_requests_are_refused_before_they_are_one() {
    let (app, [started, go_on]) = waiting();
    let registry = app.metrics();
    let server = Live::with(app, ServerConfig { max_in_flight: 1, ..one_worker() });
    let mut first = server.connect();
    first.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    block_on(started.notified());
    // Without a body the connection goes on; behind a large one that nobody read it ends.
    let mut second = server.connect();
    for _ in 0..2 {
        second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let refusal = read_until(&mut second, "\r\n\r\n");
        assert!(refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("\r\nretry-after: "), "{refusal}");
    }
    let refusal = server.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nhello");
    assert!(
        refusal.starts_with("HTTP/1.1 503 ") && refusal.contains("\r\nconnection: close\r\n"),
        "{refusal}"
    );
    assert_eq!(refused(&registry, "saturated"), 3);
    go_on.notify_one();
    read_until(&mut first, "hello");
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    read_until(&mut second, "hello");
}

#[test]
fn idle_time_begins_when_the_client_has_the_whole_answer() {
    const LENGTH: usize = 16 << 20; // more than both sockets take without a reader
    let app = hello().get("/large", async || Bytes::from(vec![b'x'; LENGTH]));
    let idle_timeout = Duration::from_millis(300);
    let server = Live::with(app, ServerConfig { idle_timeout, ..one_worker() });
    let mut stream = server.connect();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "\r\n\r\n");
    pause(2 * idle_timeout);
    stream.read_exact(&mut vec![0; LENGTH]).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "hello");
}
