//! How long a connection lasts: `Connection`, HTTP/1.0, and a client that ends its half (RFC 9112, 9).

use std::sync::Arc;

use seawall_http::{App, Body, Context, ServerConfig};
use tokio::sync::Notify;

use crate::live::{Live, wait_until};
use crate::table::{Echo, LAST, report};
use crate::wire::{Client, exchange, unread};

/// Sends a request with these field lines, and a second one behind it: whether that is answered too.
#[track_caller]
fn lasts(version: &str, rows: impl IntoIterator<Item = (&'static str, bool)>) {
    let server = Echo::start();
    report(rows.into_iter().filter_map(|(fields, stays)| {
        let request =
            format!("GET / {version}\r\nhost: a\r\n{fields}\r\n").replace("\r\n\r\n\r\n", "\r\n\r\n") + LAST;
        let heard = match exchange(&server.live, request.as_bytes()) {
            Ok(heard) => heard,
            Err(problem) => return Some((request.into_bytes(), problem)),
        };
        let expected: &[u16] = if stays { &[200, 200] } else { &[200] };
        if heard.statuses() != expected {
            return Some((
                request.into_bytes(),
                format!("expected {expected:?}, got {:?}", heard.statuses()),
            ));
        }
        let told = heard.answers[0].says_close();
        let kept = heard.answers[0]
            .values("connection")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("keep-alive"));
        let problem = match (version, stays) {
            (_, true) if told => "stays, but says `connection: close`",
            ("HTTP/1.1", false) if !told => "closes without saying `connection: close`",
            ("HTTP/1.0", true) if !kept => "stays without saying `connection: keep-alive`",
            ("HTTP/1.0", false) if kept => "closes, but says `connection: keep-alive`",
            _ => return None,
        };
        Some((request.into_bytes(), problem.to_owned()))
    }));
}

#[test]
fn http_1_1_stays_until_one_side_says_close() {
    lasts(
        "HTTP/1.1",
        [
            ("", true),
            ("connection: keep-alive\r\n", true),
            ("connection:\r\n", true),
            ("connection: x\r\n", true),
            ("connection: closed\r\n", true),
            ("connection: xclose\r\n", true),
            ("connection: close-x\r\n", true),
            ("connection: \"close\"\r\n", true),
            ("x-connection: close\r\n", true),
            ("proxy-connection: close\r\n", true),
            ("keep-alive: timeout=0\r\n", true),
            ("connection: close\r\n", false),
            ("connection: Close\r\n", false),
            ("CONNECTION: CLOSE\r\n", false),
            ("connection:close\r\n", false),
            ("connection: \t close \t\r\n", false),
            ("connection: close, x\r\n", false),
            ("connection: x, close\r\n", false),
            ("connection: x,close,y\r\n", false),
            ("connection: ,close,\r\n", false),
            ("connection: keep-alive, close\r\n", false),
            ("connection: close, keep-alive\r\n", false),
            ("connection: x\r\nconnection: close\r\n", false),
            ("connection: close\r\nconnection: keep-alive\r\n", false),
            ("connection: close\r\nconnection: x\r\n", false),
        ],
    );
}

#[test]
fn http_1_0_stays_only_if_asked() {
    lasts(
        "HTTP/1.0",
        [
            ("", false),
            ("connection: x\r\n", false),
            ("connection: close\r\n", false),
            ("connection: keep-alive, close\r\n", false),
            ("connection: close\r\nconnection: keep-alive\r\n", false),
            ("keep-alive: timeout=5\r\n", false),
            ("proxy-connection: keep-alive\r\n", false),
            ("connection: keep-alive\r\n", true),
            ("connection: Keep-Alive\r\n", true),
            ("connection: KEEP-ALIVE\r\n", true),
            ("connection: x, keep-alive\r\n", true),
            ("connection: keep-alive,x\r\n", true),
            ("connection: x\r\nconnection: keep-alive\r\n", true),
        ],
    );
}

/// A stream of unknown length, and one route that waits for the test's word.
fn app(go: &Arc<Notify>) -> App {
    let go = Arc::clone(go);
    let slow = move || {
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            "slow"
        }
    };
    App::new()
        .get("/", async || "hello")
        .post("/", async |body: Body| body.collect().await.map(|bytes| bytes.len().to_string()))
        .get("/slow", slow)
        .get("/stream", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                out.write("one ").await?;
                out.write("two").await
            })
        })
}

fn start() -> Live {
    Live::start(app(&Arc::new(Notify::new())))
}

#[test]
fn http_1_0_gets_no_chunks() {
    let server = start();
    for fields in ["", "connection: keep-alive\r\n"] {
        let request = format!("GET /stream HTTP/1.0\r\n{fields}\r\n");
        let heard = exchange(&server, request.as_bytes()).unwrap();
        assert_eq!((heard.statuses(), heard.texts()), (vec![200], vec!["one two".to_owned()]), "{fields:?}");
        let answer = &heard.answers[0];
        assert_eq!(answer.values("transfer-encoding"), [""; 0], "{fields:?}");
        assert!(!answer.values("connection").contains(&"keep-alive"), "its end is that of the connection");
    }
}

#[test]
fn http_1_0_keeps_a_connection_for_an_answer_of_known_length() {
    let server = start();
    let mut client = Client::new(&server);
    for _ in 0..3 {
        client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
        let answer = client.next().unwrap();
        assert_eq!((answer.text().as_str(), answer.values("connection")), ("hello", vec!["keep-alive"]));
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.rest().texts(), ["hello"]);
}

#[test]
fn an_answer_that_closes_ends_the_connection_whoever_asked() {
    let app = App::new().get("/", async |c: Context| {
        let mut answer = c.text(200, "bye")?;
        answer.headers_mut().insert("connection", "close".parse().unwrap());
        Ok::<_, seawall_http::Error>(answer)
    });
    let server = Live::start(app);
    let heard = exchange(&server, format!("GET / HTTP/1.1\r\nhost: a\r\n\r\n{LAST}").as_bytes()).unwrap();
    assert_eq!(
        (heard.texts(), heard.answers[0].values("connection")),
        (vec!["bye".to_owned()], vec!["close"])
    );
}

#[test]
fn a_client_that_has_ended_its_half_is_answered() {
    let server = start();
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /stream HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut client = Client::new(&server);
        client.send(request);
        client.end_writing();
        let heard = client.rest();
        assert_eq!((heard.statuses(), heard.reset), (vec![200], false), "{request}");
    }
}

#[test]
fn a_batch_behind_which_the_client_ended_its_half_is_answered() {
    let server = start();
    let mut client = Client::new(&server);
    client.send(&"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20));
    client.end_writing();
    assert_eq!(client.rest().texts(), ["hello"; 20]);
}

/// Where the server is told that its clients do so: else it takes such a client for one that has gone.
#[test]
fn a_handler_goes_on_although_the_client_has_ended_its_half() {
    let go = Arc::new(Notify::new());
    let config = ServerConfig { workers: Some(1), half_close: true, ..ServerConfig::default() };
    let server = Live::with(app(&go), config);
    let mut client = Client::new(&server);
    client.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    client.end_writing();
    let ours = client.stream.local_addr().unwrap();
    wait_until(|| unread(server.addr, ours) == Some(0) && half_closed(&server, ours));
    go.notify_one();
    assert_eq!(client.rest().texts(), ["slow"]);
}

/// Whether the server's kernel has heard that the client sends nothing more (CLOSE_WAIT).
fn half_closed(server: &Live, client: std::net::SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (own, other) = (format!(":{:04X}", server.addr.port()), format!(":{:04X}", client.port()));
    let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    rows.into_iter()
        .any(|row| row.len() > 3 && row[1].ends_with(&own) && row[2].ends_with(&other) && row[3] == "08")
}

/// Nobody takes half a request for a whole one.
#[test]
fn a_client_that_ends_amid_a_request_gets_no_200() {
    let server = Echo::start();
    let requests = [
        "GET",
        "GET / HTTP/1.1\r\nhost: a\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\r",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n",
    ];
    for request in requests {
        let mut client = Client::new(&server.live);
        client.send(request);
        client.end_writing();
        let heard = client.rest();
        assert!(heard.statuses().iter().all(|status| *status == 400), "{request:?}: {:?}", heard.statuses());
        assert_eq!(server.take_seen(), [""; 0], "{request:?}");
    }
}

/// Between requests a client may go without a word, and gets none.
#[test]
fn a_client_that_ends_between_requests_gets_nothing_more() {
    let server = start();
    let mut client = Client::new(&server);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.status(), Some(200));
    client.end_writing();
    let heard = client.rest();
    assert_eq!((heard.statuses(), heard.reset), (vec![], false));
}
