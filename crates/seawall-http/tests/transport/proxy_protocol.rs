//! The PROXY protocol over real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_http::{App, Context, Listen, ProxyProtocol, ProxyProtocolConfig};

use crate::live::Live;
use crate::{GET_AND_CLOSE, sample, workers};

fn protocol(trusted: &str, timeout: Duration) -> ProxyProtocol {
    ProxyProtocol::new(&ProxyProtocolConfig { trusted: vec![trusted.to_owned()], timeout }).unwrap()
}

/// A server that says who is at the other end, behind proxies in these networks.
fn behind(trusted: &str, timeout: Duration) -> (Live, Registry) {
    let app = App::new().get("/", async |c: Context| format!("{:?}", c.peer()));
    let registry = app.metrics();
    let listen = Listen::tcp("127.0.0.1:0").proxy_protocol(protocol(trusted, timeout));
    (Live::on(listen, app, workers(1)), registry)
}

const PATIENT: Duration = Duration::from_secs(30);
const LINE: &str = "PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n";

/// The answer to a request behind this header, or nothing.
fn send(server: &Live, header: &[u8]) -> String {
    let mut stream = server.connect();
    // A connection that is refused may be reset while we write.
    let _ = stream.write_all(&[header, GET_AND_CLOSE.as_bytes()].concat());
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let fixed = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x20 | command, family, 0, body.len() as u8]].concat();
    [fixed.as_slice(), body].concat()
}

#[test]
fn the_announced_client_is_the_peer() {
    let (server, _) = behind("loopback", PATIENT);
    assert!(send(&server, LINE.as_bytes()).ends_with("Some(203.0.113.7:4711)"));
    let body = [203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 187];
    assert!(send(&server, &version_2(1, 0x11, &body)).ends_with("Some(203.0.113.7:4711)"));
    assert!(send(&server, b"PROXY UNKNOWN\r\n").ends_with("None"));
}

#[test]
fn a_proxy_that_asks_for_itself_is_the_peer() {
    let (server, _) = behind("loopback", PATIENT);
    let answer = send(&server, &version_2(0, 0, &[]));
    assert!(answer.contains("Some(127.0.0.1:"), "{answer}");
}

#[test]
fn a_header_that_comes_byte_by_byte_is_one() {
    let (server, _) = behind("loopback", PATIENT);
    let mut stream = server.connect();
    for byte in format!("{LINE}{GET_AND_CLOSE}").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("Some(203.0.113.7:4711)"), "{text}");
}

#[test]
fn a_large_header_leaves_the_request_alone() {
    let (server, _) = behind("loopback", PATIENT);
    let mut body = vec![203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 187];
    body.extend([&[0x04, 0, 200][..], &[7; 200]].concat());
    assert!(send(&server, &version_2(1, 0x11, &body)).ends_with("Some(203.0.113.7:4711)"));
}

#[test]
fn without_a_header_there_is_no_connection() {
    let (server, registry) = behind("loopback", PATIENT);
    assert_eq!(send(&server, b""), "");
    assert_eq!(send(&server, b"PROXY TCP4 nonsense\r\n"), "");
    assert_eq!(sample(&registry, "seawall_proxy_protocol_refused_total", ""), 2);
}

#[test]
fn a_stranger_cannot_announce_anybody() {
    let (server, registry) = behind("10.0.0.0/8", PATIENT);
    assert_eq!(send(&server, LINE.as_bytes()), "");
    assert_eq!(send(&server, b""), "");
    assert_eq!(sample(&registry, "seawall_proxy_protocol_refused_total", ""), 2);
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let (server, _) = behind("loopback", Duration::from_millis(100));
    let mut stream = server.connect();
    stream.write_all(&LINE.as_bytes()[..20]).unwrap();
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
}

#[test]
fn a_unix_socket_may_be_a_proxy_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let app = App::new().get("/", async |c: Context| format!("{:?}", c.client_ip()));
    let listen = Listen::unix(&path).proxy_protocol(protocol("unix", PATIENT));
    let _server = Live::on(listen, app, workers(1));
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(format!("{LINE}{GET_AND_CLOSE}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("Some(203.0.113.7)"), "{text}");
}

#[test]
fn a_configuration_that_trusts_nobody_or_everybody_is_an_error() {
    let new = |trusted: &[&str], seconds| {
        let trusted = trusted.iter().map(|&network| network.to_owned()).collect();
        let config = ProxyProtocolConfig { trusted, timeout: Duration::from_secs(seconds) };
        ProxyProtocol::new(&config).unwrap_err().to_string()
    };
    assert_eq!(new(&[], 5), "`proxy_protocol.trusted` is empty, but must be the networks of your proxies");
    assert!(new(&["0.0.0.0/0"], 5).contains("a network that is not everybody"));
    assert!(new(&["unix"], 0).starts_with("`proxy_protocol.timeout` is 0ns, but must be more than zero"));
}

#[cfg(feature = "tls")]
#[test]
fn the_header_comes_before_tls() {
    use crate::certificates::{Authority, Client};
    let authority = Authority::new();
    let app = App::new().get("/", async |c: Context| format!("{:?} {}", c.peer(), c.scheme()));
    let listen = Listen::tcp("127.0.0.1:0").proxy_protocol(protocol("loopback", PATIENT));
    let server = Live::on(listen.tls(authority.tls(&["shop.test"])), app, workers(1));
    let mut stream: TcpStream = server.connect();
    stream.write_all(LINE.as_bytes()).unwrap();
    let mut stream = Client::of(&authority).over(stream, "shop.test");
    assert_eq!(crate::ask(&mut stream), "Some(203.0.113.7:4711) https");
}
