//! `seawall load` over HTTP/2 and WebSocket, against servers of other libraries and Seawall's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use load_support::{OK, check_refused, recorder, report_of};
use tokio::io::{AsyncRead, AsyncWrite};

/// What an HTTP/2 server has seen.
#[derive(Debug, Default)]
struct Seen {
    lines: Mutex<Vec<(String, String)>>,
    connections: AtomicUsize,
    /// Streams at once, at most.
    most: AtomicUsize,
    now: AtomicUsize,
}

/// Answers every request after a moment; `/reset` resets its stream, `/silent` is never answered.
async fn answer_h2(io: impl AsyncRead + AsyncWrite + Unpin, seen: Arc<Seen>) {
    seen.connections.fetch_add(1, SeqCst);
    let Ok(mut connection) = h2::server::handshake(io).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            let now = seen.now.fetch_add(1, SeqCst) + 1;
            seen.most.fetch_max(now, SeqCst);
            let (head, mut body) = request.into_parts();
            let mut read = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                read.extend_from_slice(&data);
            }
            let line = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&read));
            let field = head.headers.get("x-a").map_or("", |value| value.to_str().unwrap());
            seen.lines.lock().unwrap().push((line, field.to_owned()));
            tokio::time::sleep(Duration::from_millis(5)).await;
            seen.now.fetch_sub(1, SeqCst);
            match head.uri.path() {
                "/reset" => return respond.send_reset(h2::Reason::INTERNAL_ERROR),
                "/silent" => return tokio::time::sleep(Duration::from_secs(60)).await,
                _ => {}
            }
            let answer = http_answer();
            if let Ok(mut stream) = respond.send_response(answer, false) {
                let _ = stream.send_data(vec![b'x'; 100_000].into(), true);
            }
        });
    }
}

fn http_answer() -> tungstenite::http::Response<()> {
    tungstenite::http::Response::builder().status(200).body(()).unwrap()
}

/// An HTTP/2 server: its address and what it sees. With `tls`, an authority's file is there too.
fn h2_server(tls: Option<tokio_rustls::TlsAcceptor>) -> (String, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::<Seen>::default();
    let shared = seen.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer_h2(stream, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer_h2(stream, seen).await;
                            }
                        }
                    }
                });
            }
        });
    });
    (address, seen)
}

fn acceptor(alpn: &[u8]) -> tokio_rustls::TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config).into()
}

#[test]
fn streams_share_a_connection() {
    let (address, seen) = h2_server(None);
    let url = format!("http://{address}/x/{{{{seq}}}}");
    let arguments = ["-n", "200", "-c", "2", "--h2", "--streams", "20", "-H", "X-A: b", "-b", "n={{seq}}"];
    let (code, out, json) = report_of(&[&[url.as_str()], &arguments[..]].concat());
    assert_eq!((code, json["requests"].as_u64()), (0, Some(200)), "{out}");
    assert_eq!(json["status"]["200"], 200);
    assert!(json["bytes_received"].as_u64().unwrap() > 200 * 100_000, "windows are opened again: {json}");
    assert_eq!(seen.connections.load(SeqCst), 2);
    assert!(seen.most.load(SeqCst) > 2, "more at once than connections: {}", seen.most.load(SeqCst));
    let lines = seen.lines.lock().unwrap();
    let expected = format!("POST http://{address}/x/7 n=7");
    assert!(lines.iter().any(|(line, field)| *line == expected && field == "b"), "{:?}", lines[0]);
}

#[test]
fn streams_go_over_tls() {
    let (address, seen) = h2_server(Some(acceptor(b"h2")));
    let url = format!("https://{address}/");
    let (code, out, json) = report_of(&[&url, "-n", "60", "-c", "3", "-k", "--h2", "--streams", "5"]);
    assert_eq!((code, json["requests"].as_u64()), (0, Some(60)), "{out}");
    assert_eq!(seen.lines.lock().unwrap().len(), 60);
    let (code, _, json) =
        report_of(&[&url, "-R", "200", "-d", "500ms", "--warmup", "0s", "-k", "--h2", "--streams", "50"]);
    assert!(code == 0 || code == 4, "{json}");
    assert_eq!(json["sent_total"].as_u64().unwrap() + json["backlog_at_end"].as_u64().unwrap(), 100);
}

#[test]
fn a_server_that_does_not_agree_to_http2_is_a_failed_handshake() {
    let (address, _) = h2_server(Some(acceptor(b"http/1.1")));
    let (code, _, json) = report_of(&[&format!("https://{address}/"), "-c", "2", "-k", "--h2"]);
    assert_eq!((code, json["errors"]["tls_handshake"].as_u64()), (1, Some(2)), "{json}");
}

#[test]
fn a_server_that_speaks_http1_is_malformed() {
    let url = load_support::serve(OK);
    let (code, _, json) = report_of(&[&url, "-c", "1", "-d", "200ms", "--warmup", "0s", "--h2"]);
    assert_eq!(code, 1, "{json}");
    assert!(json["errors"]["malformed"].as_u64().unwrap() >= 1, "{json}");
}

#[test]
fn one_stream_may_fail_without_the_others() {
    let (address, seen) = h2_server(None);
    let url = format!("http://{address}/reset");
    let (_, _, json) = report_of(&[&url, "-n", "20", "-c", "1", "--h2", "--streams", "4"]);
    assert_eq!(
        (json["errors"]["read_reset"].as_u64(), seen.connections.load(SeqCst)),
        (Some(20), 1),
        "{json}"
    );
    let url = format!("http://{address}/silent");
    let arguments = ["-n", "8", "-c", "1", "--h2", "--streams", "4", "--timeout", "100ms"];
    let (_, _, json) = report_of(&[&[url.as_str()], &arguments[..]].concat());
    assert_eq!(json["errors"]["timeout_first_byte"].as_u64(), Some(8), "{json}");
    assert_eq!(seen.connections.load(SeqCst), 2, "a timeout resets its stream, not the connection");
}

#[test]
fn our_own_server_answers_streams() {
    let app = seawall::App::new().get("/", || async { "hello" });
    let server = app.bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr());
    std::thread::spawn(move || server.run());
    let (code, out, json) = report_of(&[&url, "-n", "500", "-c", "4", "--h2", "--streams", "25"]);
    assert_eq!((code, json["status"]["200"].as_u64()), (0, Some(500)), "{out}");
    assert!(json["errors"].as_object().unwrap().is_empty(), "{json}");
}

/// Echoes messages; after a ping of its own, so that it is answered too.
fn echo() -> (String, Arc<Mutex<Vec<tungstenite::Message>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let log = Arc::<Mutex<Vec<tungstenite::Message>>>::default();
    let written = log.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = written.clone();
            std::thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else { return };
                while let Ok(message) = socket.read() {
                    log.lock().unwrap().push(message.clone());
                    if message.is_text() || message.is_binary() {
                        let _ = socket.send(tungstenite::Message::Ping(vec![1].into()));
                        if socket.send(message).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, log)
}

#[test]
fn a_message_is_answered_by_the_next_one() {
    let (address, log) = echo();
    let url = format!("ws://{address}/echo");
    for more in [&["-c", "3"][..], &["-c", "1", "-p", "8"], &["-R", "400", "-t", "2"]] {
        log.lock().unwrap().clear();
        let (code, out, json) =
            report_of(&[&[url.as_str(), "-n", "90", "-b", "hello {{seq}}"], more].concat());
        // A busy machine may make an open loop invalid.
        assert!((code == 0 || code == 4) && json["requests"] == 90, "{code} {out}");
        assert!(json["errors"].as_object().unwrap().is_empty(), "{json}");
        assert!(json["status"].as_object().unwrap().is_empty(), "messages have no status: {json}");
        let log = log.lock().unwrap();
        let texts: std::collections::BTreeSet<&str> = log
            .iter()
            .filter(|message| message.is_text())
            .map(|message| message.to_text().unwrap())
            .collect();
        assert!(texts.len() == 90 && texts.contains("hello 89"), "{texts:?}");
        assert!(log.iter().any(tungstenite::Message::is_pong), "pings are answered");
    }
}

#[test]
fn a_server_without_websocket_is_counted() {
    let (url, _) = recorder();
    let url = url.replace("http://", "ws://");
    let (code, _, json) = report_of(&[&url, "-c", "2", "-b", "x"]);
    assert_eq!((code, json["errors"]["malformed"].as_u64()), (1, Some(2)), "{json}");
}

#[test]
fn wrong_protocols_are_refused() {
    check_refused(&["ws://h/"], "`load.body` is empty with WebSocket");
    check_refused(&["http://h/", "--streams", "5"], "--h2");
    check_refused(&["http://h/", "--h2", "--streams", "0"], "`load.pipeline` is 0");
}
