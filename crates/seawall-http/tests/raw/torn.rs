//! Input in pieces: however a request is torn, it is answered as in one piece.

use std::future::pending;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::live::LIMIT;
use crate::table::{LAST, echo_app, report};
use crate::wire::{Heard, latin1, parse, shown, unread};

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

/// How often the runtime turns before the next piece is sent: in each turn it asks the kernel what can be read, and runs
/// whoever wants to. Server and client share it, so no time has to pass.
const TURNS: usize = 24;

/// Sends the pieces, each once the server has read what came before.
async fn in_pieces(server: std::net::SocketAddr, pieces: &[&[u8]]) -> Result<Heard, String> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        let _ = stream.write_all(piece).await; // one that has refused takes no more
        for _ in 0..TURNS {
            yield_now().await;
        }
    }
    let mut bytes = Vec::new();
    let end =
        timeout(LIMIT, stream.read_to_end(&mut bytes)).await.map_err(|_| "neither answered nor closed")?;
    let all = pieces.concat();
    let heads: Vec<_> = all.split(|byte| *byte == b'\n').filter_map(is_request).collect();
    let (answers, rest) = parse(&bytes, &heads)?;
    if rest.is_empty() { Ok(Heard { answers, reset: end.is_err() }) } else { Err(shown(rest)) }
}

/// Whether a line begins a HEAD request or another one.
fn is_request(line: &[u8]) -> Option<bool> {
    line.windows(6).any(|at| at == b" HTTP/").then(|| line.starts_with(b"HEAD "))
}

/// What matters of it: of a refusal its status, of an answer all but the time of day. Who refuses a broken body, the
/// engine or the handler that reads it, depends on how much of it came with the head.
fn essence(heard: Result<Heard, String>) -> Result<Heard, String> {
    let mut heard = heard?;
    for answer in &mut heard.answers {
        let refused = answer.status >= 400;
        answer.fields.retain(|(name, _)| if refused { name == "connection" } else { name != "date" });
        if refused {
            answer.body.clear();
        }
    }
    Ok(heard)
}

/// Compares every way of tearing with the request in one piece.
#[track_caller]
fn check(tear: impl Fn(&[u8]) -> Vec<Vec<&[u8]>>) {
    let problems = Mutex::new(Vec::new());
    with_server(async |server, seen| {
        let take_seen = || std::mem::take(&mut *seen.lock().unwrap());
        for request in EXCHANGES {
            let bytes = [latin1(request), latin1(LAST)].concat();
            let whole = (essence(in_pieces(server, &[&bytes]).await), take_seen());
            assert!(whole.0.as_ref().is_ok_and(|heard| !heard.answers.is_empty()), "{request:?}: {whole:?}");
            for pieces in tear(&bytes) {
                let torn = (essence(in_pieces(server, &pieces).await), take_seen());
                if torn != whole {
                    let what = format!("torn: {torn:?}, whole: {whole:?}, first piece {}", shown(pieces[0]));
                    problems.lock().unwrap().push((bytes.clone(), what));
                }
            }
        }
    });
    report(problems.into_inner().unwrap().into_iter());
}

/// Runs a server and its client in one runtime, which asks the kernel for news at every turn.
fn with_server(client: impl AsyncFn(std::net::SocketAddr, Arc<Mutex<Vec<String>>>)) {
    let runtime = Builder::new_current_thread().enable_all().event_interval(1).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, seen) = (listener.local_addr().unwrap(), Arc::default());
        let server = echo_app(&seen).serve_until(listener, pending());
        tokio::select! {
            ended = server => panic!("the server ended: {ended:?}"),
            () = client(addr, seen) => {}
        }
    });
}

/// Or nothing would be torn at all.
#[test]
fn what_was_sent_is_read_before_the_next_piece() {
    with_server(async |server, _| {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let ours = stream.local_addr().unwrap();
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            for _ in 0..TURNS {
                yield_now().await;
            }
            assert_eq!(unread(server, ours), Some(0));
        }
    });
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
