//! In a real browser: a page from files, WebSockets, server-sent events, an upload; and, in `middleware.rs`, CORS, CSRF,
//! compression and static files.

#![cfg(all(feature = "websocket", feature = "multipart"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod chromium;
#[path = "../live/mod.rs"]
mod live;
#[cfg(feature = "compression")]
mod middleware;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use chromium::Chromium;
use live::Live;
use seawall_http::websocket::{Close, CloseCode, WebSocketUpgrade};
use seawall_http::{App, Context, Event, Multipart, Response, Result, ServerConfig, Sse, State};
use serde_json::json;

/// Requests that asked whether a file has changed.
#[derive(Default)]
struct Revalidated(AtomicUsize);

async fn file(c: Context, revalidated: State<Revalidated>) -> Result<Response> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page");
    let mut answer = c.file(folder.join(c.param::<String>("name")?)).await?;
    if c.header("if-none-match").is_some() && answer.status() == 304 {
        revalidated.0.fetch_add(1, SeqCst);
    }
    answer.headers_mut().insert("cache-control", http::HeaderValue::from_static("no-cache"));
    Ok(answer)
}

async fn socket(ws: WebSocketUpgrade) -> Result<Response> {
    ws.protocols(["shop.v2", "shop.v1"])?.on_upgrade(async |mut socket| {
        while let Some(message) = socket.recv().await {
            let message = message?;
            if message.as_text() == Some("close me") {
                return Ok(socket.close(Close::new(CloseCode::new(4321)?, "as you wish")).await?);
            }
            socket.send(message).await?;
        }
        Ok(())
    })
}

/// Three events, then the end; a browser comes back and says where it was.
async fn events(c: Context) -> Result<Sse> {
    let seen: u32 = c.last_event_id().map(str::parse).transpose()?.unwrap_or(0);
    Ok(Sse::new(move |events| async move {
        events.send(Event::comment("welcome").retry(Duration::from_millis(50))).await?;
        for id in seen + 1..=seen + 3 {
            let event = Event::data(format!("line one\nevent {id}")).id(id.to_string());
            events.send(if id % 2 == 0 { event.event("even") } else { event }).await?;
        }
        Ok(())
    }))
}

async fn upload(mut parts: Multipart) -> Result<String> {
    let mut lines = Vec::new();
    while let Some(mut part) = parts.next_part().await? {
        let (name, file) = (part.name().to_owned(), part.file_name().unwrap_or_default().to_owned());
        let mut sum = 0_u64;
        while let Some(chunk) = part.chunk().await? {
            sum += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        lines.push(format!("{name}|{file}|{sum}"));
    }
    Ok(lines.join("\n"))
}

/// Events that never end by themselves.
async fn endless() -> Sse {
    Sse::new(async |events| {
        events.send(Event::data("hello")).await?;
        std::future::pending().await
    })
}

fn app() -> App {
    App::new()
        .state(Revalidated::default())
        .get("/page/:name", file)
        .get("/socket", socket)
        .get("/events", events)
        .get("/endless", endless)
        .post("/upload", upload)
        .get("/revalidated", async |count: State<Revalidated>| count.0.load(SeqCst).to_string())
}

fn server() -> Live {
    Live::with(app(), ServerConfig { workers: Some(2), ..ServerConfig::default() })
}

/// Runs one part of the page's script; its report. Nothing may go to the console.
#[track_caller]
fn check(part: &str, expected: &serde_json::Value) {
    let server = server();
    let browser = Chromium::open(&server.url(&format!("/page/index.html?part={part}")));
    assert_eq!(&browser.report(), expected);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_page_comes_from_files_with_its_style_and_script() {
    // A style with another content type would be refused; 1 more request is answered with 304.
    check(
        "page",
        &json!({ "title": "Seawall in a browser", "color": "rgb(1, 2, 3)", "again": 200, "revalidated": "1" }),
    );
}

#[test]
fn a_browser_talks_over_a_websocket() {
    check(
        "socket",
        &json!({
            "protocol": "shop.v2",
            "extensions": "",
            "text": "κόσμε 🦀",
            "binary": 200_000,
            "many": 500,
            "server_closed": [4321, "as you wish", true],
            "client_closed": [4000, "mine", true],
        }),
    );
}

#[test]
fn a_browser_reads_events_and_comes_back_where_it_was() {
    check(
        "events",
        &json!([
            ["message", "1", "line one\nevent 1"],
            ["even", "2", "line one\nevent 2"],
            ["message", "3", "line one\nevent 3"],
            ["even", "4", "line one\nevent 4"],
            ["message", "5", "line one\nevent 5"],
            ["even", "6", "line one\nevent 6"],
            ["message", "7", "line one\nevent 7"],
        ]),
    );
}

/// What comes of the page's upload: 300,000 bytes of 0 to 249, in turns.
fn uploaded() -> String {
    let sum = (0..300_000_u64).map(|at| at % 250).sum::<u64>();
    let title = "zwei Wörter".bytes().map(u64::from).sum::<u64>();
    format!("title||{title}\nfile|größe 1.bin|{sum}")
}

#[test]
fn a_browser_uploads_a_file() {
    check("upload", &json!(uploaded()));
}

/// A browser speaks HTTP/2 only over TLS; its WebSockets are HTTP/1.1 beside it.
#[cfg(feature = "tls")]
#[test]
fn a_browser_speaks_http2_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = seawall_http::Tls::files(certificate, key).unwrap();
    let listen = seawall_http::Listen::tcp("127.0.0.1:0").tls(tls);
    let server = Live::on(listen, app(), ServerConfig { workers: Some(2), ..ServerConfig::default() });
    let url = format!("https://localhost:{}/page/index.html?part=sealed", server.addr.port());
    let browser = Chromium::open_with(&url, &["--ignore-certificate-errors"]);
    let ids = ["1", "2", "3", "4", "5", "6", "7"];
    let expected = json!({
        "style": 200, "many": 50, "events": ids, "upload": uploaded(), "text": "hello", "protocols": ["h2"],
    });
    assert_eq!(browser.report(), expected);
}

#[test]
fn a_page_of_another_origin_cannot_open_a_socket() {
    check("origin", &json!({ "own": "open", "other": "refused" }));
}

#[test]
fn a_drain_ends_what_a_browser_holds_open() {
    let server = server();
    let browser = Chromium::open(&server.url("/page/index.html?part=drain"));
    assert_eq!(browser.report(), json!("open"));
    server.stop(); // waits for both
    assert_eq!(browser.report(), json!({ "socket": [1001, "the server stops", true], "events": "ended" }));
    assert_eq!(browser.console(), Vec::<String>::new());
}
