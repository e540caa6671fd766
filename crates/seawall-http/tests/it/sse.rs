//! Server-sent events: what a browser reads, and how a stream ends.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Error, Event, NotSent, ServerConfig, Sse, SseSender};

use crate::block_on;
use crate::live::{Live, read_until, wait_until};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn events_of_a_producer_come_in_order() {
    let app = App::new().get("/", async || {
        Sse::new(async |events| {
            for id in 1..=3 {
                events.send(Event::data(format!("tick {id}")).id(id.to_string())).await?;
            }
            Ok(())
        })
    });
    let answer = crate::send(app, "GET /");
    assert_eq!(answer.text(), "id: 1\ndata: tick 1\n\nid: 2\ndata: tick 2\n\nid: 3\ndata: tick 3\n\n");
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-accel-buffering"), "no");
}

#[test]
fn a_client_that_comes_back_says_where_it_was() {
    let seen = async |c: Context| c.last_event_id().unwrap_or("new").to_owned();
    let client = TestClient::new(App::new().get("/", seen)).unwrap();
    block_on(async {
        assert_eq!(client.get("/").header("last-event-id", "17").await.text(), "17");
        assert_eq!(client.get("/").await.text(), "new");
        assert_eq!(client.get("/").header("last-event-id", "").await.text(), "new");
    });
}

#[test]
fn an_event_that_would_forge_another_is_refused() {
    let app = App::new().get("/", async || {
        Sse::new(async |events| events.send(Event::data("x").id("1\ndata: forged")).await)
    });
    let answer = crate::send(app, "GET /");
    assert!(answer.broken().unwrap().contains("id has a line break"), "{answer:?}");
}

#[test]
fn a_producer_that_fails_breaks_the_stream_off() {
    let app = App::new().get("/", async || {
        Sse::new(async |events| {
            events.send(Event::data("one")).await?;
            Err(Error::internal("the source is gone"))
        })
    });
    assert!(crate::send(app, "GET /").broken().unwrap().contains("the source is gone"));
}

#[test]
fn a_channel_that_is_full_gives_the_event_back() {
    let (sender, stream) = Sse::channel(2);
    sender.try_send(Event::data("1")).unwrap();
    sender.try_send(Event::data("2")).unwrap();
    assert_eq!(sender.try_send(Event::data("3")), Err(NotSent::Full(Event::data("3"))));
    assert_eq!(sender.try_send(Event::data("4").id("\n")), Err(NotSent::Invalid(Event::data("4").id("\n"))));
    drop(stream);
    assert_eq!(sender.try_send(Event::data("5")), Err(NotSent::Closed(Event::data("5"))));
    assert!(block_on(sender.send(Event::data("6"))).is_err());
    block_on(sender.closed());
}

/// An app whose every stream leaves its sender with the test.
fn with_senders() -> (App, Arc<Mutex<Vec<SseSender>>>) {
    let senders = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&senders);
    let app = App::new().get("/", move || {
        let (sender, stream) = Sse::channel(4);
        kept.lock().unwrap().push(sender);
        async move { stream.keep_alive(Duration::ZERO) }
    });
    (app, senders)
}

#[test]
fn events_leave_as_they_come() {
    let (app, senders) = with_senders();
    let server = Live::start(app);
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "\r\n\r\n");
    for data in ["one", "two"] {
        senders.lock().unwrap()[0].try_send(Event::data(data)).unwrap();
        assert!(read_until(&mut stream, "\n\n").ends_with(&format!("data: {data}\n\n")));
    }
    senders.lock().unwrap().clear();
    assert!(read_until(&mut stream, "0\r\n\r\n").starts_with("\r\n0"), "the last sender ends the stream");
}

#[test]
fn silence_is_filled_with_comments() {
    let app = App::new().get("/", async || {
        Sse::new(async |_events| std::future::pending().await).keep_alive(Duration::from_millis(20))
    });
    let server =
        Live::with(app, ServerConfig { idle_timeout: Duration::from_millis(30), ..ServerConfig::default() });
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    for _ in 0..5 {
        read_until(&mut stream, ": keep-alive\n\n");
    }
}

#[test]
fn who_sends_hears_that_the_client_has_gone() {
    let (app, senders) = with_senders();
    let server = Live::start(app);
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "\r\n\r\n");
    drop(stream);
    let sender = senders.lock().unwrap()[0].clone();
    wait_until(|| sender.try_send(Event::data("?")) == Err(NotSent::Closed(Event::data("?"))));
}

#[test]
fn a_drain_ends_streams_after_what_waits() {
    let (app, senders) = with_senders();
    let server = Live::start(app);
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "\r\n\r\n");
    senders.lock().unwrap()[0].try_send(Event::data("last")).unwrap();
    server.stop(); // returns although the sender is alive
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: last\n\n") && rest.ends_with("0\r\n\r\n"), "{rest:?}");
    assert_eq!(senders.lock().unwrap()[0].try_send(Event::data("x")), Err(NotSent::Closed(Event::data("x"))));
}

#[test]
fn a_drain_drops_producers() {
    struct Dropped(Arc<Mutex<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let dropped = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&dropped);
    let app = App::new().get("/", move || {
        let guard = Dropped(Arc::clone(&flag));
        async move {
            Sse::new(|events| async move {
                let _guard = guard;
                events.send(Event::data("first")).await?;
                std::future::pending().await
            })
        }
    });
    let server = Live::start(app);
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "first\n\n");
    server.stop();
    assert!(*dropped.lock().unwrap());
}

#[test]
fn a_drain_ends_streams_of_http2_too() {
    let (app, senders) = with_senders();
    let server = Live::start(app);
    let (addr, handle) = (server.addr, server.handle.clone());
    let body = block_on(async move {
        let io = TokioIo::new(tokio::net::TcpStream::connect(addr).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://a/").body(Full::<Bytes>::default()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        senders.lock().unwrap()[0].try_send(Event::data("last")).unwrap();
        handle.shutdown();
        answer.into_body().collect().await.unwrap().to_bytes()
    });
    assert_eq!(body, "data: last\n\n");
    server.stop();
}
