//! TLS as a client sees it: names, protocols, client certificates, resumption, limits.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{HandshakeKind, ProtocolVersion};
use seawall_core::metrics::Registry;
use seawall_http::{App, ClientAuth, Context, Listen, Pem, Tls, TlsConfig, TlsVersion};

use crate::certificates::{Authority, Client};
use crate::live::{LIMIT, Live, wait_until};
use crate::{GET_AND_CLOSE, ask, sample, workers};

/// What a handler sees of its connection's TLS.
async fn seen(c: Context) -> String {
    let Some(tls) = c.tls() else { return c.scheme().to_owned() };
    let name = tls.server_name().unwrap_or("-");
    let client = tls.client_certificate().map(|client| (client.dns_names(), client.uris()));
    format!("{} {:?} {name} {client:?}", c.scheme(), tls.version())
}

fn serve(config: &TlsConfig) -> (Live, Registry) {
    let app = App::new().get("/", seen);
    let registry = app.metrics();
    let listen = Listen::tcp("127.0.0.1:0").tls(Tls::new(config).unwrap());
    (Live::on(listen, app, workers(1)), registry)
}

fn handshakes(registry: &Registry, outcome: &str) -> i64 {
    sample(registry, "seawall_tls_handshakes_total", &format!("outcome={outcome}"))
}

#[test]
fn a_request_over_tls_is_https() {
    let authority = Authority::new();
    let (server, registry) = serve(&authority.config(&["shop.test"]));
    let mut stream = Client::of(&authority).over(server.connect(), "shop.test");
    assert_eq!(ask(&mut stream), "https V1_3 shop.test None");
    assert_eq!(handshakes(&registry, "ok"), 1);
    server.stop();
}

#[test]
fn plain_and_tls_are_served_by_one_server() {
    let authority = Authority::new();
    let server = App::new()
        .get("/", seen)
        .config(workers(2))
        .bind([Listen::tcp("127.0.0.1:0"), Listen::tcp("127.0.0.1:0").tls(authority.tls(&["shop.test"]))]);
    let server = server.unwrap();
    let addrs: Vec<_> = server.local_addrs().map(ToString::to_string).collect();
    let handle = server.handle();
    let serving = std::thread::spawn(move || server.run());
    assert_eq!(ask(&mut TcpStream::connect(&addrs[0]).unwrap()), "http");
    let sealed = TcpStream::connect(&addrs[1]).unwrap();
    assert!(ask(&mut Client::of(&authority).over(sealed, "shop.test")).starts_with("https "));
    handle.shutdown();
    serving.join().unwrap().unwrap();
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let authority = Authority::new();
    let mut config = authority.config(&["default.test", "127.0.0.1"]);
    config.identities.push(authority.identity(&["shop.test", "*.shop.test"]));
    config.identities.push(authority.identity(&["api.shop.test"]));
    let (server, _) = serve(&config);
    let client = Client::of(&authority);
    let connect = |name: &str| client.connect(server.connect(), name);
    // The client checks that the name is in the certificate.
    for name in ["default.test", "shop.test", "www.shop.test", "api.shop.test"] {
        assert_eq!(ask(&mut connect(name).unwrap()), format!("https V1_3 {name} None"));
    }
    let got = |name: &str| connect(name).unwrap().conn.peer_certificates().unwrap()[0].clone();
    assert_ne!(got("api.shop.test"), got("www.shop.test"), "the whole name comes before the star");
    assert!(connect("127.0.0.1").is_ok(), "a client that names no host gets the first");
    assert!(connect("other.test").is_err(), "and so does one that names another, which refuses it");
    assert!(connect("a.b.shop.test").is_err(), "a star stands for one label");
}

#[test]
fn alpn_chooses_http_2_unless_it_is_not_offered() {
    let authority = Authority::new();
    let chosen = |http2: bool, offered: &[&str]| {
        let (server, _) = serve(&TlsConfig { http2, ..authority.config(&["shop.test"]) });
        let stream = Client::with(&authority, None, offered).connect(server.connect(), "shop.test").ok()?;
        Some(String::from_utf8(stream.conn.alpn_protocol().unwrap_or(b"none").to_vec()).unwrap())
    };
    assert_eq!(chosen(true, &["http/1.1", "h2"]).unwrap(), "h2");
    assert_eq!(chosen(true, &["http/1.1"]).unwrap(), "http/1.1");
    assert_eq!(chosen(false, &["h2", "http/1.1"]).unwrap(), "http/1.1");
    assert_eq!(chosen(true, &[]).unwrap(), "none");
    assert_eq!(chosen(true, &["spdy/3"]), None, "a client that speaks nothing of ours is told so");
}

#[test]
fn a_client_that_does_not_speak_what_it_chose_is_closed() {
    let authority = Authority::new();
    let (server, _) = serve(&authority.config(&["shop.test"]));
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (chosen, spoken) in [("h2", GET_AND_CLOSE), ("http/1.1", preface)] {
        let client = Client::with(&authority, None, &[chosen]);
        let mut stream = client.over(server.connect(), "shop.test");
        stream.write_all(spoken.as_bytes()).unwrap();
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "{chosen}");
    }
}

#[test]
fn the_oldest_version_may_be_set() {
    let authority = Authority::new();
    let (server, _) = serve(&TlsConfig { min_version: TlsVersion::V1_3, ..authority.config(&["shop.test"]) });
    let stream = Client::of(&authority).connect(server.connect(), "shop.test").unwrap();
    assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn a_required_client_certificate_must_be_there_and_be_ours() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let client_auth = ClientAuth::Required(Pem::bytes(authority.pem()));
    let (server, registry) = serve(&TlsConfig { client_auth, ..authority.config(&["shop.test"]) });
    let try_with = |own: Option<&crate::certificates::Signed>| {
        let mut stream = Client::with(&authority, own, &[]).connect(server.connect(), "shop.test").ok()?;
        stream.write_all(GET_AND_CLOSE.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?; // in TLS 1.3 the refusal comes after the client's handshake
        Some(text.rsplit("\r\n\r\n").next().unwrap().to_owned())
    };
    let own = authority.sign_client("spiffe://shop/worker");
    let expected = r#"https V1_3 shop.test Some((["worker.test"], ["spiffe://shop/worker"]))"#;
    assert_eq!(try_with(Some(&own)).unwrap(), expected);
    assert_eq!(try_with(None), None);
    assert_eq!(try_with(Some(&stranger.sign_client("spiffe://shop/worker"))), None);
    wait_until(|| handshakes(&registry, "failed") == 2);
}

#[test]
fn an_optional_client_certificate_may_be_missing_but_not_bad() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let client_auth = ClientAuth::Optional(Pem::bytes(authority.pem()));
    let (server, registry) = serve(&TlsConfig { client_auth, ..authority.config(&["shop.test"]) });
    let mut stream = Client::of(&authority).over(server.connect(), "shop.test");
    assert_eq!(ask(&mut stream), "https V1_3 shop.test None");
    let own = authority.sign_client("spiffe://shop/worker");
    let mut stream = Client::with(&authority, Some(&own), &[]).over(server.connect(), "shop.test");
    assert!(ask(&mut stream).contains("spiffe://shop/worker"));
    let bad = stranger.sign_client("spiffe://shop/worker");
    let mut stream = Client::with(&authority, Some(&bad), &[]).over(server.connect(), "shop.test");
    let _ = stream.write_all(GET_AND_CLOSE.as_bytes());
    assert!(stream.read_to_string(&mut String::new()).is_err());
    wait_until(|| handshakes(&registry, "failed") == 1);
}

#[test]
fn the_fingerprint_is_that_of_the_certificate() {
    let authority = Authority::new();
    let app = App::new().get("/", async |c: Context| {
        let client = c.tls().and_then(|tls| tls.client_certificate()).unwrap();
        format!("{} {}", client.fingerprint(), client.der().len())
    });
    let client_auth = ClientAuth::Required(Pem::bytes(authority.pem()));
    let tls = Tls::new(&TlsConfig { client_auth, ..authority.config(&["shop.test"]) }).unwrap();
    let server = Live::on(Listen::tcp("127.0.0.1:0").tls(tls), app, workers(1));
    let own = authority.sign_client("spiffe://shop/worker");
    let mut stream = Client::with(&authority, Some(&own), &[]).over(server.connect(), "shop.test");
    let answer = ask(&mut stream);
    let path = authority.file("own.pem", &own.certificate.pem());
    let arguments = ["x509", "-in", path.to_str().unwrap(), "-noout", "-fingerprint", "-sha256"];
    let output = std::process::Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl does not start; `cargo xtask setup` installs it");
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = told.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert_eq!(answer, format!("{expected} {}", own.certificate.der().len()));
}

#[test]
fn a_client_that_comes_back_resumes() {
    let authority = Authority::new();
    let app = App::new().get("/", async |c: Context| c.tls().unwrap().is_resumed().to_string());
    let tls = authority.tls(&["shop.test"]);
    let server = Live::on(Listen::tcp("127.0.0.1:0").tls(tls.clone()), app, workers(2));
    let client = Client::of(&authority);
    let mut first = client.over(server.connect(), "shop.test");
    assert_eq!(ask(&mut first), "false");
    assert_eq!(first.conn.handshake_kind(), Some(HandshakeKind::Full));
    tls.reload().unwrap();
    let mut second = client.over(server.connect(), "shop.test");
    assert_eq!(ask(&mut second), "true", "a reload of the same certificates keeps tickets good");
    assert_eq!(second.conn.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn a_silent_client_is_closed_after_the_handshake_timeout() {
    let authority = Authority::new();
    let handshake_timeout = Duration::from_millis(100);
    let (server, registry) = serve(&TlsConfig { handshake_timeout, ..authority.config(&["shop.test"]) });
    let mut silent = server.connect();
    assert!(!matches!(silent.read(&mut [0]), Ok(1..)));
    wait_until(|| handshakes(&registry, "timeout") == 1);
    assert!(Client::of(&authority).connect(server.connect(), "shop.test").is_ok());
}

#[test]
fn clients_that_stop_in_the_middle_keep_nobody_out() {
    let authority = Authority::new();
    let app = App::new().get("/", seen);
    let registry = app.metrics();
    let config = seawall_http::ServerConfig { max_handshakes: 1, ..workers(1) };
    let server = Live::on(Listen::tcp("127.0.0.1:0").tls(authority.tls(&["shop.test"])), app, config);
    let client = Client::of(&authority);
    // Some that have said their first word and got the answer, and some that say nothing.
    let halves: Vec<_> = (0..100)
        .map(|_| {
            let mut half = client.over(server.connect(), "shop.test");
            half.conn.write_tls(&mut half.sock).unwrap();
            half.sock.read_exact(&mut [0; 5]).unwrap();
            half
        })
        .collect();
    let silent: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let under_way = || sample(&registry, "seawall_tls_handshakes_under_way", "");
    wait_until(|| under_way() == 120);
    assert_eq!(ask(&mut client.over(server.connect(), "shop.test")), "https V1_3 shop.test None");
    assert_eq!(handshakes(&registry, "ok"), 1);
    assert_eq!(under_way(), 120);
    drop((halves, silent));
    wait_until(|| under_way() == 0);
    assert_eq!(handshakes(&registry, "failed"), 120);
}

#[test]
fn plain_http_on_a_tls_port_is_refused_and_nothing_else_happens() {
    let authority = Authority::new();
    let (server, registry) = serve(&authority.config(&["shop.test"]));
    let mut plain = server.connect();
    plain.write_all(GET_AND_CLOSE.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    wait_until(|| handshakes(&registry, "failed") == 1);
    assert!(ask(&mut Client::of(&authority).over(server.connect(), "shop.test")).starts_with("https "));
}

#[test]
fn large_bodies_go_through_both_ways() {
    let authority = Authority::new();
    let app = App::new().post("/", async |body: bytes::Bytes| body);
    let config = seawall_http::ServerConfig { body_limit: 8 << 20, ..workers(1) };
    let server = Live::on(Listen::tcp("127.0.0.1:0").tls(authority.tls(&["shop.test"])), app, config);
    let mut stream = Client::of(&authority).over(server.connect(), "shop.test");
    let body: Vec<u8> = (0..3_000_000).map(|at| (at % 251) as u8).collect();
    let head =
        format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&body), "{} bytes", answer.len());
}

#[test]
fn a_drain_says_goodbye_to_idle_connections() {
    let authority = Authority::new();
    let (server, _) = serve(&authority.config(&["shop.test"]));
    let mut stream = Client::of(&authority).connect(server.connect(), "shop.test").unwrap();
    stream.write_all(crate::GET.as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    server.handle.shutdown();
    stream.sock.set_read_timeout(Some(LIMIT)).unwrap();
    // Without the goodbye of TLS, the end would be an error.
    stream.read_to_end(&mut Vec::new()).unwrap();
    server.stop();
}

#[test]
fn a_drain_does_not_wait_for_a_handshake_that_never_comes() {
    let authority = Authority::new();
    let (server, registry) = serve(&authority.config(&["shop.test"]));
    let silent = server.connect();
    wait_until(|| sample(&registry, "seawall_connections", "worker=0") == 1);
    server.stop(); // long before the handshake's own ten seconds, or the drain's thirty
    assert_eq!(sample(&registry, "seawall_connections_cut_total", ""), 0, "it ended by itself");
    drop(silent);
}

#[cfg(feature = "websocket")]
#[test]
fn a_websocket_takes_over_a_tls_connection_and_hears_of_the_drain() {
    let authority = Authority::new();
    let app = App::new().get("/", async |upgrade: seawall_http::websocket::WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                socket.send(message).await?;
            }
            Ok(())
        })
    });
    let server = Live::on(Listen::tcp("127.0.0.1:0").tls(authority.tls(&["shop.test"])), app, workers(1));
    let mut stream = Client::of(&authority).over(server.connect(), "shop.test");
    let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // The first message comes with the request, under a mask of zeros.
    stream.write_all(&[head.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']].concat()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x81\x02hi") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    server.handle.shutdown();
    let mut close = [0; 4];
    stream.read_exact(&mut close).unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1001_u16.to_be_bytes()[..]));
    stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, close[2], close[3]]).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    server.stop();
}
