//! Answers that come before the body has: the client sees them, and what it still sends is bounded.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::thread;

use bytes::Bytes;
use seawall_http::{App, ServerConfig};

use crate::live::Live;
use crate::table::LAST;
use crate::wire::{Client, exchange, listen};

fn app() -> App {
    App::new()
        .post("/early", async || "early")
        .post("/reads", async |body: Bytes| body.len().to_string())
        .get("/last", async || "last")
}

fn start() -> Live {
    Live::with(app(), ServerConfig { workers: Some(1), ..ServerConfig::default() })
}

/// More than any server should take of a body that nobody wants: socket buffers of both sides included.
const TOO_MUCH: usize = 64 << 20;

/// Sends `head` and then zeros until nobody takes them; how many were taken.
fn pour(mut stream: TcpStream, head: &str, piece: &[u8]) -> usize {
    let mut sent = 0;
    if stream.write_all(head.as_bytes()).is_err() {
        return sent;
    }
    while sent < TOO_MUCH {
        match stream.write(piece) {
            Ok(0) | Err(_) => return sent,
            Ok(written) => sent += written,
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    sent
}

#[test]
fn a_small_rest_is_drained_and_the_connection_goes_on() {
    let server = start();
    for length in [3, 4000, 30_000] {
        let (head, body) = ("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: ", "x".repeat(length));
        let heard = exchange(&server, format!("{head}{length}\r\n\r\n{body}{LAST}").as_bytes()).unwrap();
        assert_eq!(heard.texts(), ["early", "last"], "{length}");
    }
}

/// A body in chunks may have any length, so nobody need wait for its end; but the client is told.
#[test]
fn a_rest_in_chunks_is_drained_or_the_connection_closed() {
    let server = start();
    for body in [
        "3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "1\r\na\r\n1\r\nb\r\n0\r\n\r\n".to_owned(),
        format!("{:x}\r\n{}\r\n0\r\nx: y\r\n\r\n", 4000, "x".repeat(4000)),
    ] {
        let request =
            format!("POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}{LAST}");
        let heard = exchange(&server, request.as_bytes()).unwrap();
        let expected: &[&str] = if heard.answers[0].says_close() { &["early"] } else { &["early", "last"] };
        assert_eq!(heard.texts(), expected, "{body:.20}");
    }
}

/// The rest may also come after the answer, or in pieces.
#[test]
fn a_small_rest_that_comes_late_is_drained_or_the_connection_closed() {
    let server = start();
    let mut client = Client::new(&server);
    client.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nab");
    let answer = client.next().unwrap();
    assert_eq!(answer.text(), "early");
    client.send("cdef");
    client.send(LAST);
    let rest = client.rest();
    let expected: &[&str] = if answer.says_close() { &[] } else { &["last"] };
    assert_eq!(rest.texts(), expected, "{answer:?}");
}

#[test]
fn a_bad_rest_ends_the_connection() {
    let server = start();
    let request =
        format!("POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{LAST}");
    let heard = exchange(&server, request.as_bytes()).unwrap();
    assert!(!heard.texts().contains(&"last".to_owned()), "{heard:?}");
    assert!(matches!(heard.statuses()[..], [200 | 400] | [200, 400]), "{heard:?}");
}

#[track_caller]
fn large(server: &Live, head: &str, piece: Vec<u8>, status: u16) {
    let stream = server.connect();
    let writer = stream.try_clone().unwrap();
    let head = head.to_owned();
    let writer = thread::spawn(move || pour(writer, &head, &piece));
    let mut stream = stream;
    let heard = listen(&mut stream, &[]).unwrap();
    assert_eq!(heard.statuses(), [status], "the client sees the answer");
    assert!(heard.answers[0].says_close(), "{:?}", heard.answers[0]);
    drop(stream);
    let sent = writer.join().unwrap();
    assert!(sent < TOO_MUCH, "the server took all of {sent} bytes that it did not want");
}

#[test]
fn a_large_rest_is_not_read_to_its_end() {
    let server = start();
    let head = "POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 2000000\r\n\r\n";
    // It is within the limit, but more than is worth draining; what is behind it would be no request.
    large(&server, head, vec![b'x'; 1 << 16], 200);
}

#[test]
fn a_body_without_an_end_is_not_read_to_it() {
    let server = start();
    let head = "POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 1 << 16], b"\r\n".to_vec()].concat();
    large(&server, head, piece, 200);
}

#[test]
fn a_client_that_declares_too_much_sees_its_413_while_it_sends() {
    let server = start();
    let head = "POST /reads HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n";
    large(&server, head, vec![b'x'; 1 << 16], 413);
}

#[test]
fn a_client_that_sends_too_much_sees_its_413_while_it_sends() {
    let server = start();
    let head = "POST /reads HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 1 << 16], b"\r\n".to_vec()].concat();
    large(&server, head, piece, 413);
}

#[test]
fn a_client_whose_path_is_not_there_sees_its_404_while_it_sends() {
    let server = start();
    let head = "POST /none HTTP/1.1\r\nhost: a\r\ncontent-length: 2000000\r\n\r\n";
    large(&server, head, vec![b'x'; 1 << 16], 404);
}

/// A refusal is seen even if more than the refused bytes were on their way.
#[test]
fn a_client_that_is_refused_amid_its_sending_sees_why() {
    let server = start();
    let head = "POST /reads HTTP/1.1\r\nhost : a\r\ncontent-length: 1000\r\n\r\n";
    let heard = exchange(&server, format!("{head}{}", "x".repeat(60_000)).as_bytes()).unwrap();
    assert_eq!((heard.statuses(), heard.reset), (vec![400], false));
}
