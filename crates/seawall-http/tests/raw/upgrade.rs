//! `Upgrade` (RFC 9110, 7.8): what comes early, what is not meant for us, and what must not be believed.

use seawall_http::App;
#[cfg(feature = "websocket")]
use seawall_http::websocket::WebSocketUpgrade;

use crate::live::Live;
use crate::table::LAST;
use crate::wire::exchange;

fn app() -> App {
    let app = App::new().any("/", async || "no upgrade").get("/last", async || "last");
    #[cfg(feature = "websocket")]
    let app = app.get("/ws", async |ws: WebSocketUpgrade| {
        ws.on_upgrade(async |mut socket| {
            while let Some(message) = socket.recv().await {
                socket.send(message?).await?;
            }
            Ok(())
        })
    });
    app
}

/// An upgrade that nobody here speaks is ignored, and the connection stays what it was.
#[test]
fn an_unknown_protocol_is_ignored() {
    let server = Live::start(app());
    for fields in [
        "connection: upgrade\r\nupgrade: websocket",
        "connection: upgrade\r\nupgrade: x/1",
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA",
        "connection: upgrade\r\nupgrade: TLS/1.2, HTTP/1.1",
        "upgrade: websocket",
        "connection: upgrade",
    ] {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{LAST}");
        let heard = exchange(&server, request.as_bytes()).unwrap();
        assert_eq!(
            (heard.statuses(), heard.texts()),
            (vec![200, 200], vec!["no upgrade".into(), "last".into()]),
            "{fields:?}"
        );
    }
}

#[test]
fn an_upgrade_with_a_body_is_framed_as_any_request() {
    let server = Live::start(app());
    let request = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc{LAST}"
    );
    assert_eq!(exchange(&server, request.as_bytes()).unwrap().texts(), ["no upgrade", "last"]);
}

#[cfg(feature = "websocket")]
mod websocket {
    use super::*;
    use crate::live::read_until;
    use crate::wire::Client;

    const KEY: &str =
        "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    /// The text "hi", masked with zeros.
    const HI: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    /// The same as the server sends it.
    const ECHO: &[u8] = &[0x81, 2, b'h', b'i'];

    fn handshake(version: &str) -> String {
        format!("GET /ws {version}\r\nhost: a\r\nconnection: Upgrade\r\n{KEY}\r\n")
    }

    /// Reads as many bytes as the echo has, behind the head of the answer.
    #[track_caller]
    fn echo(stream: &mut std::net::TcpStream) -> Vec<u8> {
        use std::io::Read as _;
        let head = read_until(stream, "\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut frame = [0; ECHO.len()];
        stream.read_exact(&mut frame).unwrap();
        frame.to_vec()
    }

    /// A client need not wait for the 101 to send frames, and they are not read as requests.
    #[test]
    fn frames_that_come_early_are_frames() {
        use std::io::Write as _;
        let server = Live::start(app());
        let mut stream = server.connect();
        stream.write_all(&[handshake("HTTP/1.1").as_bytes(), HI].concat()).unwrap();
        assert_eq!(echo(&mut stream), ECHO);
    }

    #[test]
    fn frames_that_come_torn_are_frames() {
        use std::io::Write as _;
        let server = Live::start(app());
        let bytes = [handshake("HTTP/1.1").as_bytes(), HI].concat();
        for at in bytes.len() - HI.len() - 4..bytes.len() {
            let mut stream = server.connect();
            let ours = stream.local_addr().unwrap();
            stream.write_all(&bytes[..at]).unwrap();
            crate::live::wait_until(|| crate::wire::unread(server.addr, ours) == Some(0));
            stream.write_all(&bytes[at..]).unwrap();
            assert_eq!(echo(&mut stream), ECHO, "torn at {at}");
        }
    }

    /// A request behind an upgrade that succeeds is no request: it would be a smuggled one.
    #[test]
    fn a_request_behind_an_upgrade_is_not_answered() {
        let server = Live::start(app());
        let mut client = Client::new(&server);
        client.send(&format!("{}{LAST}", handshake("HTTP/1.1")));
        assert_eq!(client.status(), Some(101));
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut client.stream, &mut rest); // a reset is an end as well
        assert!(!rest.windows(5).any(|at| at == b"HTTP/"), "{rest:?}");
    }

    #[test]
    fn a_request_before_an_upgrade_is_answered_first() {
        use std::io::Write as _;
        let server = Live::start(app());
        let mut stream = server.connect();
        let plain = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(&[plain.as_bytes(), handshake("HTTP/1.1").as_bytes(), HI].concat()).unwrap();
        assert!(read_until(&mut stream, "no upgrade").starts_with("HTTP/1.1 200 "));
        assert_eq!(echo(&mut stream), ECHO);
    }

    /// RFC 9110, 7.8: from HTTP/1.0 it is ignored.
    #[test]
    fn http_1_0_is_not_upgraded() {
        let server = Live::start(app());
        let heard = exchange(&server, handshake("HTTP/1.0").as_bytes()).unwrap();
        assert!((400..500).contains(&heard.answers[0].status), "{heard:?}");
    }
}
