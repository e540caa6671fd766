//! WebSockets over raw sockets: the cases of RFC 6455 one by one, and what becomes of a socket in the server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use seawall_core::metrics::{Registry, Value};
use seawall_http::websocket::{Close, CloseCode, Message, WebSocket, WebSocketUpgrade, WsConfig, WsError};
use seawall_http::{App, Context, Error, Response, Result, ServerConfig, after};

use crate::live::{Live, read_until, wait_until};

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nhost: server.example\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n";

async fn echo(ws: WebSocketUpgrade) -> Result<Response> {
    ws.on_upgrade(async |mut socket| {
        while let Some(message) = socket.recv().await {
            socket.send(message?).await?;
        }
        Ok(())
    })
}

/// A server whose `/` is a WebSocket that this serves.
fn serving<Fut>(config: WsConfig, serve: impl Fn(WebSocket) -> Fut + Clone + Send + Sync + 'static) -> Live
where
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Live::start(App::new().get("/", move |ws: WebSocketUpgrade| {
        let (config, serve) = (config.clone(), serve.clone());
        async move { ws.config(&config)?.on_upgrade(serve) }
    }))
}

/// Opens a WebSocket, and sends `more` in one piece with the handshake.
fn open(server: &Live, more: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&[HANDSHAKE.as_bytes(), b"\r\n", more].concat()).unwrap();
    let head = read_until(&mut stream, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    stream
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it. `first` is FIN, RSV1-3 and the opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = FIN | 8;
const PING: u8 = FIN | 9;
const PONG: u8 = FIN | 10;

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// The next frame, as `text hello`, `binary 3` (its length), `ping`, `pong x`, `close 1000 reason`, or `end`.
fn next(stream: &mut TcpStream) -> String {
    let mut head = [0; 2];
    // A connection that was reset has ended as well.
    if stream.read_exact(&mut head).is_err() {
        return "end".to_owned();
    }
    assert_eq!(head[0] & 0x70, 0, "reserved bits are zero");
    assert_eq!(head[1] & 0x80, 0, "a server does not mask");
    let len = match head[1] {
        126 => u64::from(u16::from_be_bytes(exactly(stream))),
        127 => u64::from_be_bytes(exactly(stream)),
        short => u64::from(short),
    };
    let mut payload = vec![0; len as usize];
    stream.read_exact(&mut payload).unwrap();
    let text = String::from_utf8_lossy(&payload).into_owned();
    match head[0] {
        first if first == FIN | TEXT => format!("text {text}"),
        first if first == FIN | BINARY => format!("binary {len}"),
        PING => "ping".to_owned(),
        PONG => format!("pong {text}"),
        CLOSE if payload.is_empty() => "close".to_owned(),
        CLOSE => {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            format!("close {code} {}", String::from_utf8_lossy(&payload[2..])).trim_end().to_owned()
        }
        other => panic!("a frame that nobody asked for: {other:#x}"),
    }
}

fn exactly<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// All frames to the end of the connection.
fn rest(stream: &mut TcpStream) -> Vec<String> {
    std::iter::from_fn(|| Some(next(stream)).filter(|frame| frame != "end")).collect()
}

/// Sends frames to an echo that takes messages of up to 70,000 bytes; what comes back to the end.
#[track_caller]
fn check(frames: &[Vec<u8>], expected: &[&str]) {
    let config = WsConfig { max_message: 70_000, max_frame: 70_000, ..WsConfig::default() };
    let server = serving(config, echoing);
    for chopped in [false, true] {
        let bytes = frames.concat();
        if chopped && bytes.len() > 2_000 {
            continue; // byte by byte it would take its time
        }
        let mut stream = open(&server, b"");
        for piece in bytes.chunks(if chopped { 1 } else { bytes.len() }) {
            // The server may have closed before all was sent.
            let _ = stream.write_all(piece);
        }
        assert_eq!(rest(&mut stream), expected, "chopped: {chopped}");
    }
}

async fn echoing(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.recv().await {
        socket.send(message?).await?;
    }
    Ok(())
}

fn normal() -> Vec<u8> {
    close(1000, b"")
}

#[test]
fn messages_of_every_size_come_back() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        let binary = format!("binary {len}");
        check(&[frame(FIN | BINARY, &vec![7; len]), normal()], &[&binary, "close 1000"]);
        let text = "x".repeat(len);
        check(&[frame(FIN | TEXT, text.as_bytes()), normal()], &[&format!("text {text}"), "close 1000"]);
    }
}

#[test]
fn fragments_are_put_together() {
    let parts =
        [frame(TEXT, b"a"), frame(CONTINUATION, b""), frame(CONTINUATION, b"b"), frame(FIN, b"c"), normal()];
    check(&parts, &["text abc", "close 1000"]);
    check(&[frame(BINARY, b"a"), frame(FIN, b"b"), normal()], &["binary 2", "close 1000"]);
}

#[test]
fn control_frames_may_come_between_fragments() {
    let parts = [frame(TEXT, b"a"), frame(PING, b"p"), frame(PONG, b""), frame(FIN, b"b"), normal()];
    check(&parts, &["pong p", "text ab", "close 1000"]);
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    check(&[frame(PING, &[b'x'; 125]), normal()], &[&format!("pong {}", "x".repeat(125)), "close 1000"]);
    check(&[frame(PING, b""), normal()], &["pong ", "close 1000"]);
    check(&[frame(PONG, b"unasked"), normal()], &["close 1000"]);
}

#[test]
fn fragments_out_of_order_are_refused() {
    check(&[frame(FIN, b"nothing to continue")], &["close 1002"]);
    check(&[frame(CONTINUATION, b"nothing to continue")], &["close 1002"]);
    check(&[frame(TEXT, b"a"), frame(FIN | TEXT, b"b")], &["close 1002"]);
    check(&[frame(TEXT, b"a"), frame(FIN | BINARY, b"b")], &["close 1002"]);
}

#[test]
fn reserved_bits_and_opcodes_are_refused() {
    for rsv in [0x40, 0x20, 0x10, 0x70] {
        check(&[frame(FIN | rsv | TEXT, b"x")], &["close 1002"]);
        check(&[frame(PING | rsv, b"x")], &["close 1002"]);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(&[frame(FIN | opcode, b"")], &["close 1002"]);
    }
}

#[test]
fn control_frames_are_short_and_whole() {
    check(&[frame(PING, &[0; 126])], &["close 1002"]);
    check(&[frame(CLOSE, &[0; 126])], &["close 1002"]);
    check(&[frame(9, b"half")], &["close 1002"]);
    check(&[frame(8, b"")], &["close 1002"]);
}

#[test]
fn frames_without_a_mask_are_refused() {
    check(&[vec![FIN | TEXT, 2, b'h', b'i']], &["close 1002"]);
    check(&[vec![CLOSE, 0]], &["close 1002"]);
}

#[test]
fn text_must_be_utf8() {
    check(&[frame(FIN | TEXT, "κόσμε".as_bytes()), normal()], &["text κόσμε", "close 1000"]);
    check(&[frame(FIN | TEXT, b"\xce\xba\xe1\xbd")], &["close 1007 not UTF-8"]);
    check(&[frame(FIN | TEXT, b"\xed\xa0\x80")], &["close 1007 not UTF-8"]); // a surrogate
    check(&[frame(FIN | TEXT, b"\xf4\x90\x80\x80")], &["close 1007 not UTF-8"]); // beyond U+10FFFF
    check(&[frame(FIN | TEXT, b"\xc0\xaf")], &["close 1007 not UTF-8"]); // overlong
    check(&[frame(FIN | BINARY, b"\xff\xfe"), normal()], &["binary 2", "close 1000"]);
}

#[test]
fn a_character_may_be_cut_between_fragments() {
    check(&[frame(TEXT, b"\xce"), frame(FIN, b"\xba"), normal()], &["text κ", "close 1000"]);
    check(
        &[frame(TEXT, b"\xf0\x9f"), frame(CONTINUATION, b"\xa6"), frame(FIN, b"\x80"), normal()],
        &["text 🦀", "close 1000"],
    );
    check(&[frame(TEXT, b"\xce"), frame(FIN, b"")], &["close 1007 not UTF-8"]);
}

/// The rest of the message never comes: what is wrong already is refused at once.
#[test]
fn bad_text_is_refused_before_its_end() {
    check(&[frame(TEXT, b"ok"), frame(CONTINUATION, b"\xff")], &["close 1007 not UTF-8"]);
}

#[test]
fn too_large_is_said_before_it_is_read() {
    check(&[frame(FIN | BINARY, &[0; 70_001])], &["close 1009 the limit is 70000 bytes"]);
    let half = frame(BINARY, &[0; 40_000]);
    check(&[half, frame(FIN, &[0; 40_000])], &["close 1009 the limit is 70000 bytes"]);
    // Nothing but the head of a frame of 2^62 bytes.
    let head = [&[FIN | BINARY, 0x80 | 127][..], &(1_u64 << 62).to_be_bytes(), &MASK].concat();
    check(&[head], &["close 1009 the limit is 70000 bytes"]);
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    check(&[frame(CLOSE, b"")], &["close"]);
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check(&[close(code, b"why")], &[&format!("close {code} why")]);
    }
    check(&[close(1000, &[b'x'; 123])], &[&format!("close 1000 {}", "x".repeat(123))]);
}

#[test]
fn codes_that_may_not_be_sent_are_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check(&[close(code, b"")], &["close 1002 Protocol violation"]);
    }
    check(&[frame(CLOSE, b"\x03")], &["close 1002"]);
    check(&[close(1000, b"\xff")], &["close 1007 not UTF-8"]);
}

#[test]
fn nothing_counts_after_a_close_frame() {
    check(&[normal(), frame(FIN | TEXT, b"late"), frame(PING, b"late")], &["close 1000"]);
}

#[test]
fn frames_may_come_with_the_handshake() {
    let server = Live::start(App::new().get("/", echo));
    let mut stream = open(&server, &[frame(FIN | TEXT, b"early"), normal()].concat());
    assert_eq!(rest(&mut stream), ["text early", "close 1000"]);
}

#[test]
fn what_asks_wrong_is_answered_in_http_and_may_ask_again() {
    let server = Live::start(App::new().get("/", echo));
    let plain = server.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(plain.starts_with("HTTP/1.1 426 ") && plain.contains("\r\nupgrade: websocket\r\n"), "{plain}");
    let old = HANDSHAKE.replace("version: 13", "version: 8");
    let mut stream = server.connect();
    stream.write_all(format!("{old}\r\n").as_bytes()).unwrap();
    let refused = read_until(&mut stream, "]}");
    assert!(
        refused.starts_with("HTTP/1.1 426 ") && refused.contains("sec-websocket-version: 13\r\n"),
        "{refused}"
    );
    stream.write_all(format!("{HANDSHAKE}\r\n").as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 101 "));
    let keyless = HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    let refused = server.ask(&format!("{keyless}connection: close\r\n\r\n"));
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("Sec-WebSocket-Key"), "{refused}");
}

#[test]
fn pages_of_other_origins_are_refused() {
    let server = Live::start(App::new().get("/", echo).get("/open", async |ws: WebSocketUpgrade| {
        ws.origins(["https://shop.example"]).on_upgrade(async |_| Ok(()))
    }));
    let ask = |target: &str, origin: &str| {
        let handshake = HANDSHAKE.replace("GET /", &format!("GET {target}"));
        let mut stream = server.connect();
        stream.write_all(format!("{handshake}origin: {origin}\r\n\r\n").as_bytes()).unwrap();
        read_until(&mut stream, "\r\n\r\n")[9..12].to_owned()
    };
    assert_eq!(ask("/", "http://server.example"), "101");
    assert_eq!(ask("/", "http://evil.example"), "403");
    assert_eq!(ask("/open", "https://shop.example"), "101");
    assert_eq!(ask("/open", "http://server.example"), "403");
}

#[test]
fn a_middleware_may_take_the_upgrade_back() {
    let refuse = after(|_, answer| {
        if let Ok(response) = answer {
            response.set_status(http::StatusCode::FORBIDDEN);
        }
    });
    let server = Live::start(App::new().with(refuse).get("/", echo).get("/plain", async || "plain"));
    let mut stream = server.connect();
    stream.write_all(format!("{HANDSHAKE}\r\n").as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 403 "));
    // It is a connection like any other.
    stream.write_all(b"GET /plain HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(read_until(&mut stream, "plain").starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_subprotocol_is_selected_by_our_order() {
    let server = Live::start(App::new().get("/", async |ws: WebSocketUpgrade| {
        let ws = ws.protocols(["chat.v2", "chat.v1"])?;
        let selected = ws.protocol().unwrap_or("none").to_owned();
        ws.on_upgrade(|socket| async move { Ok(socket.send(selected).await?) })
    }));
    let mut stream = server.connect();
    let offer = "sec-websocket-protocol: chat.v1, chat.v2\r\n";
    stream.write_all(format!("{HANDSHAKE}{offer}\r\n").as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").contains("sec-websocket-protocol: chat.v2\r\n"));
    assert_eq!(next(&mut stream), "text chat.v2");
    assert_eq!(next(&mut open(&server, b"")), "text none");
}

/// For clients that do not answer close frames.
fn impatient() -> WsConfig {
    WsConfig { close_timeout: Duration::from_millis(50), ..WsConfig::default() }
}

#[test]
fn a_socket_is_closed_by_what_its_future_comes_to() {
    let ends = |serve: fn(WebSocket) -> futures_util::future::BoxFuture<'static, Result<()>>| {
        let server = serving(impatient(), serve);
        rest(&mut open(&server, b""))
    };
    assert_eq!(
        ends(|socket| Box::pin(async move { Ok(socket.send("bye").await?) })),
        ["text bye", "close 1000"]
    );
    assert_eq!(ends(|_| Box::pin(async { Err(Error::internal("broken")) })), ["close 1011"]);
    assert_eq!(ends(|_| Box::pin(async { panic!("on purpose") })), ["close 1011"]);
    let closes = |socket: WebSocket| -> futures_util::future::BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            socket.send("first").await?;
            socket.close(Close::new(CloseCode::new(4001)?, "enough")).await?;
            let _ = socket.send("late").await; // goes nowhere, whether it is taken or not
            Ok(())
        })
    };
    assert_eq!(ends(closes), ["text first", "close 4001 enough"]);
}

/// What the user's future saw, sent to the test.
fn watching(config: WsConfig) -> (Live, mpsc::Receiver<String>) {
    let (seen, news) = mpsc::sync_channel(16);
    let server = serving(config, move |mut socket| {
        let seen = seen.clone();
        async move {
            while let Some(message) = socket.recv().await {
                let line = match message {
                    Ok(message) => format!("{message:?}"),
                    Err(error) => format!("{error}"),
                };
                seen.send(line).unwrap();
            }
            let close = socket.close_frame().map(|close| format!("{} {}", close.code(), close.reason()));
            seen.send(format!("closed {}", close.unwrap_or_default())).unwrap();
            Ok(())
        }
    });
    (server, news)
}

fn saw(news: &mpsc::Receiver<String>, expected: &str) {
    assert_eq!(news.recv_timeout(crate::live::LIMIT).unwrap(), expected);
}

#[test]
fn the_future_sees_messages_and_the_clients_close_frame() {
    let (server, news) = watching(WsConfig::default());
    let mut stream = open(&server, b"");
    stream
        .write_all(&[frame(FIN | TEXT, b"hi"), frame(FIN | BINARY, b"\x01"), close(4000, b"done")].concat())
        .unwrap();
    saw(&news, "Text(\"hi\")");
    saw(&news, "Binary(b\"\\x01\")");
    saw(&news, "closed 4000 done");
}

#[test]
fn the_future_sees_what_the_client_did_wrong_once() {
    let (server, news) = watching(WsConfig { max_message: 5, ..WsConfig::default() });
    let mut stream = open(&server, b"");
    stream.write_all(&frame(FIN | TEXT, b"123456")).unwrap();
    saw(&news, "a message of 6 bytes, where 5 are allowed");
    saw(&news, "closed ");
}

#[test]
fn the_future_sees_a_connection_that_breaks() {
    let (server, news) = watching(WsConfig::default());
    drop(open(&server, b""));
    assert!(news.recv_timeout(crate::live::LIMIT).unwrap().starts_with("the connection broke"));
    saw(&news, "closed ");
}

#[test]
fn a_client_that_does_not_answer_pings_is_given_up() {
    let millis = Duration::from_millis;
    let config = WsConfig { ping_interval: millis(50), pong_timeout: millis(100), ..WsConfig::default() };
    let (server, news) = watching(config);
    let mut stream = open(&server, b"");
    assert_eq!(next(&mut stream), "ping");
    stream.write_all(&frame(PONG, b"")).unwrap();
    assert_eq!(next(&mut stream), "ping");
    saw(&news, "the client did not answer a ping");
    assert_eq!(next(&mut stream), "end");
}

#[test]
fn an_idle_socket_is_closed_although_it_answers_pings() {
    let millis = Duration::from_millis;
    let config =
        WsConfig { ping_interval: millis(20), idle_timeout: Some(millis(200)), ..WsConfig::default() };
    let (server, news) = watching(config);
    let mut stream = open(&server, b"");
    let mut frames = Vec::new();
    while frames.last().is_none_or(|last: &String| last == "ping") {
        let _ = stream.write_all(&frame(PONG, b""));
        frames.push(next(&mut stream));
    }
    assert_eq!(frames.last().unwrap(), "close 1001 idle");
    saw(&news, "no message came or went for too long");
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let config = WsConfig { write_timeout: Duration::from_millis(100), ..WsConfig::default() };
    let (told, news) = mpsc::sync_channel(1);
    let server = serving(config, move |mut socket| {
        let told = told.clone();
        async move {
            let flood = vec![0_u8; 1 << 20];
            while socket.send(flood.clone()).await.is_ok() {}
            told.send(format!("{:?}", socket.recv().await)).unwrap();
            Ok(())
        }
    });
    let _stream = open(&server, b"");
    saw(&news, "Some(Err(Stalled))");
}

#[test]
fn a_full_queue_gives_the_message_back() {
    let (told, news) = mpsc::sync_channel(1);
    let server = serving(WsConfig { queue: 1, ..impatient() }, move |socket| {
        let told = told.clone();
        async move {
            let (sender, _receiver) = socket.split();
            // Nobody is polled in between, so the second one finds the first.
            sender.try_send("one").unwrap();
            told.send(format!("{:?}", sender.try_send("two"))).unwrap();
            Ok(())
        }
    });
    let mut stream = open(&server, b"");
    saw(&news, "Err(Full(Text(\"two\")))");
    assert_eq!(rest(&mut stream), ["text one", "close 1000"]);
}

/// A future that reads nothing holds at most its queue; the rest waits in the client.
#[test]
fn what_nobody_reads_is_not_read_from_the_client() {
    let (go, gate) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (wait, count) = (Arc::clone(&go), Arc::clone(&gate));
    let server = serving(WsConfig { queue: 2, ..WsConfig::default() }, move |mut socket| {
        let (wait, count) = (Arc::clone(&wait), Arc::clone(&count));
        async move {
            wait.notified().await;
            while let Some(message) = socket.recv().await {
                count.fetch_add(message?.as_bytes().len(), SeqCst);
            }
            Ok(())
        }
    });
    let mut stream = open(&server, b"");
    stream.set_nonblocking(true).unwrap();
    let message = frame(FIN | BINARY, &vec![0; 1 << 20]);
    // The kernel takes some megabytes; a server that read on would take all of it.
    let (mut sent, mut stuck) = (0, 0);
    while stuck < 50 && sent < 64 * message.len() {
        match stream.write(&message[sent % message.len()..]) {
            Ok(written) => (sent, stuck) = (sent + written, 0),
            Err(_) => {
                stuck += 1;
                crate::block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
            }
        }
    }
    assert!(sent < 64 * message.len(), "{sent} bytes went out");
    stream.set_nonblocking(false).unwrap();
    go.notify_one();
    stream.write_all(&message[sent % message.len()..]).unwrap();
    stream.write_all(&normal()).unwrap();
    assert_eq!(rest(&mut stream), ["close 1000"]);
    let messages = sent / message.len() + 1;
    wait_until(|| gate.load(SeqCst) == messages << 20); // nothing is lost
}

#[test]
fn a_socket_has_no_head_and_no_idle_timeout() {
    let millis = Duration::from_millis;
    let config =
        ServerConfig { head_timeout: millis(50), idle_timeout: millis(50), ..ServerConfig::default() };
    let server = Live::with(App::new().get("/", echo), config);
    let mut stream = open(&server, b"");
    crate::block_on(async { tokio::time::sleep(millis(300)).await });
    stream.write_all(&[frame(FIN | TEXT, b"still here"), normal()].concat()).unwrap();
    assert_eq!(rest(&mut stream), ["text still here", "close 1000"]);
}

#[test]
fn a_drain_closes_every_socket_with_1001_and_waits_for_its_future() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let server = serving(WsConfig::default(), move |mut socket| {
        let count = Arc::clone(&count);
        async move {
            while socket.recv().await.is_some() {}
            tokio::time::sleep(Duration::from_millis(50)).await; // such as saving what is left to save
            count.fetch_add(1, SeqCst);
            Ok(())
        }
    });
    let mut streams: Vec<_> = (0..5).map(|_| open(&server, b"")).collect();
    server.handle.shutdown();
    for stream in &mut streams {
        assert_eq!(next(stream), "close 1001 the server stops");
        stream.write_all(&close(1001, b"")).unwrap();
        assert_eq!(next(stream), "end");
    }
    server.stop();
    assert_eq!(done.load(SeqCst), 5);
}

#[test]
fn a_drain_writes_what_was_sent_before_it_closes() {
    let server = serving(WsConfig::default(), async |mut socket: WebSocket| {
        let _ = socket.recv().await;
        for number in 0..8 {
            socket.send(number.to_string()).await?;
        }
        while socket.recv().await.is_some() {}
        Ok(())
    });
    let mut stream = open(&server, b"");
    stream.write_all(&frame(FIN | TEXT, b"go")).unwrap();
    assert_eq!(next(&mut stream), "text 0");
    server.handle.shutdown();
    let mut frames = Vec::new();
    while frames.last().is_none_or(|last: &String| last.starts_with("text")) {
        frames.push(next(&mut stream));
    }
    let expected: Vec<_> =
        (1..8).map(|n| format!("text {n}")).chain(["close 1001 the server stops".to_owned()]).collect();
    assert_eq!(frames, expected);
}

#[test]
fn a_drain_cuts_sockets_at_its_limit() {
    let server = Live::with(
        App::new().get("/", async |ws: WebSocketUpgrade| {
            ws.on_upgrade(async |_socket| std::future::pending().await)
        }),
        ServerConfig { shutdown_timeout: Duration::from_millis(50), ..ServerConfig::default() },
    );
    let mut stream = open(&server, b"");
    server.stop();
    assert_eq!(rest(&mut stream), ["close 1001 the server stops"]);
}

fn gauge(registry: &Registry, name: &str) -> i64 {
    let families = registry.snapshot();
    let family = families.iter().find(|family| family.name == name).unwrap();
    let values = family.samples.iter().map(|sample| match &sample.value {
        Value::Gauge(value) => *value,
        Value::Counter(_) | Value::Timer(_) => panic!("{name} is no gauge"),
    });
    values.sum()
}

#[test]
fn a_socket_counts_as_a_connection_and_not_as_a_request() {
    let app = App::new().get("/", echo);
    let registry = app.metrics();
    let server = Live::start(app);
    let stream = open(&server, b"");
    wait_until(|| gauge(&registry, "http_server_active_requests") == 0);
    assert_eq!(gauge(&registry, "seawall_connections"), 1);
    drop(stream);
    wait_until(|| gauge(&registry, "seawall_connections") == 0);
}

#[test]
fn sockets_count_against_the_cap_on_connections() {
    let config = ServerConfig { workers: Some(1), max_connections: 1, ..ServerConfig::default() };
    let server = Live::with(App::new().get("/", echo), config);
    let first = open(&server, b"");
    let mut second = server.connect();
    second.write_all(format!("{HANDSHAKE}\r\n").as_bytes()).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "there is no room yet");
    second.set_read_timeout(Some(crate::live::LIMIT)).unwrap();
    drop(first);
    assert!(read_until(&mut second, "\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

#[test]
fn the_two_ends_may_live_in_different_tasks() {
    let server = serving(WsConfig::default(), async |socket: WebSocket| {
        let (sender, mut receiver) = socket.split();
        let counting = tokio::spawn(async move {
            let mut count = 0;
            while let Some(Ok(Message::Text(text))) = receiver.recv().await {
                count += text.len();
                sender.send(count.to_string()).await.unwrap();
            }
        });
        drop(counting);
        Ok(())
    });
    let mut stream = open(&server, b"");
    stream.write_all(&[frame(FIN | TEXT, b"abc"), frame(FIN | TEXT, b"de"), normal()].concat()).unwrap();
    assert_eq!(rest(&mut stream), ["text 3", "text 5", "close 1000"]);
}

#[test]
fn a_future_that_ignores_the_end_is_dropped() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let server = serving(impatient(), move |socket| {
        let guard = Dropped(Arc::clone(&count));
        async move {
            let _both = (socket, guard);
            std::future::pending().await
        }
    });
    let mut stream = open(&server, &normal());
    assert_eq!(rest(&mut stream), ["close 1000"]);
    wait_until(|| dropped.load(SeqCst) == 1);
}

#[test]
fn a_bad_configuration_is_a_500_that_names_the_field() {
    let app = App::new().get("/", async |ws: WebSocketUpgrade| {
        ws.config(&WsConfig { queue: 0, ..WsConfig::default() })?.on_upgrade(async |_| Ok(()))
    });
    let server = Live::start(app);
    assert!(server.ask(&format!("{HANDSHAKE}connection: close\r\n\r\n")).starts_with("HTTP/1.1 500 "));
}

/// Whoever looks at the request later, such as an access log, sees its end at the handshake.
#[test]
fn the_request_ends_with_its_answer() {
    let (told, news) = mpsc::sync_channel(1);
    let app = App::new().get("/", move |c: Context, ws: WebSocketUpgrade| {
        let told = told.clone();
        async move {
            ws.on_upgrade(move |socket| async move {
                c.cancelled().await;
                told.send("over".to_owned()).unwrap();
                drop(socket);
                Ok(())
            })
        }
    });
    let server = Live::start(app);
    let _stream = open(&server, b"");
    saw(&news, "over");
}

#[test]
fn errors_say_what_happened() {
    let texts = [WsError::Silent, WsError::Stalled, WsError::Idle, WsError::Closed, WsError::NotUtf8]
        .map(|error| error.to_string());
    assert!(texts.iter().all(|text| !text.is_empty()));
    let unique: std::collections::HashSet<_> = texts.iter().collect();
    assert_eq!(unique.len(), texts.len());
}
