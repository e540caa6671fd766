//! Input in pieces: however a request is torn, it is answered as in one piece.

use crate::live::Live;
use crate::table::{Echo, LAST};
use crate::wire::{Heard, latin1, listen, send, shown, wait_until_read};

/// One of each kind, refusals among them.
const EXCHANGES: [&str; 18] = [
    "GET /a?b=c HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\nempty:\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET http://a/b HTTP/1.1\r\nhost: c\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n0123456789",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\nz:\r\n\r\n",
    "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nxGET /3 HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/3.0\r\nhost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx : y\r\n\r\n",
];

/// Sends the pieces, each once the server has read what came before.
fn in_pieces(server: &Live, pieces: &[&[u8]]) -> Result<Heard, String> {
    let mut stream = server.connect();
    let ours = stream.local_addr().unwrap();
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            wait_until_read(server.addr, ours);
        }
        send(&mut stream, piece);
    }
    let heads: Vec<_> = pieces.concat().split(|byte| *byte == b'\n').map(is_request).collect::<Vec<_>>();
    listen(&mut stream, &heads.into_iter().flatten().collect::<Vec<_>>())
}

/// Whether a line begins a HEAD request or another one.
fn is_request(line: &[u8]) -> Option<bool> {
    line.windows(6).any(|at| at == b" HTTP/").then(|| line.starts_with(b"HEAD "))
}

/// What matters of it: all but the time of day.
fn essence(heard: Result<Heard, String>) -> Result<Heard, String> {
    let mut heard = heard?;
    for answer in &mut heard.answers {
        answer.fields.retain(|(name, _)| name != "date");
    }
    Ok(heard)
}

/// Compares every way of tearing with the request in one piece.
#[track_caller]
fn check(tear: impl Fn(&[u8]) -> Vec<Vec<&[u8]>>) {
    let server = Echo::start();
    for request in EXCHANGES {
        let bytes = [latin1(request), latin1(LAST)].concat();
        let whole = essence(in_pieces(&server.live, &[&bytes]));
        let seen = server.take_seen();
        assert!(whole.as_ref().is_ok_and(|heard| !heard.answers.is_empty()), "{request:?}: {whole:?}");
        for pieces in tear(&bytes) {
            let torn = essence(in_pieces(&server.live, &pieces));
            assert_eq!(
                (torn, server.take_seen()),
                (whole.clone(), seen.clone()),
                "torn after {}",
                shown(pieces[0])
            );
        }
    }
}

#[test]
fn torn_in_two_at_every_byte_it_is_the_same() {
    // The request that ends the connection is the same in all; only what comes before it is torn.
    check(|bytes| (1..bytes.len() - LAST.len() + 2).map(|at| vec![&bytes[..at], &bytes[at..]]).collect());
}

#[test]
fn byte_by_byte_it_is_the_same() {
    check(|bytes| vec![bytes.chunks(1).collect()]);
}

#[test]
fn in_pieces_of_any_small_size_it_is_the_same() {
    check(|bytes| [2, 3, 5, 7, 16, 61].map(|size| bytes.chunks(size).collect()).into());
}
