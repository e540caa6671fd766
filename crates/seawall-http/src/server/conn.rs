//! One connection: which protocol it speaks, and the door to its engine.
//!
//! HTTP/2 with prior knowledge begins with a fixed preface (RFC 9113, 3.4); everything else is HTTP/1.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;
use tokio::time::{sleep, timeout};

use super::h1::{self, Home};
use super::h2;
use super::handshake::establish;
use super::listener::Accepted;
use super::shutdown::{Phase, Shutdown};
use super::stream::Stream;
use crate::peer::Peer;

/// How long a connection that was accepted just before the drain may take to send its first bytes: its client saw it
/// accepted, and may have sent a request already.
const FIRST_BYTES: Duration = Duration::from_millis(250);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a socket until either side ends it. Faults of the client end its connection and nothing else.
pub(super) async fn serve(accepted: Accepted, home: Arc<Home>, shutdown: Shutdown) {
    let Accepted { stream, address, door, place: _place, .. } = accepted;
    let ended = match establish(stream, address, &door, &shutdown).await {
        Ok((stream, peer)) => run(stream, peer, &home, shutdown).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %address, "connection ended");
    }
}

async fn run(mut stream: Stream, peer: Peer, home: &Arc<Home>, shutdown: Shutdown) -> io::Result<()> {
    let mut ahead = BytesMut::new();
    let late = async {
        shutdown.reached(Phase::Draining).await;
        sleep(FIRST_BYTES).await;
    };
    let protocol = tokio::select! {
        biased;
        protocol = detect(&mut stream, &mut ahead, home.limits.head) => protocol?,
        () = late => return Ok(()),
    };
    let is_http2 = matches!(protocol, Protocol::Http2);
    if peer.chose_http2().is_some_and(|chosen| chosen != is_http2) {
        let problem = "the client does not speak the protocol that it chose (ALPN)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    match protocol {
        Protocol::Http1 => h1::serve(stream, ahead, peer, home, shutdown).await,
        Protocol::Http2 => Box::pin(h2::serve(stream, ahead, peer, home, &shutdown)).await,
    }
    Ok(())
}

enum Protocol {
    Http1,
    Http2,
}

/// Reads until it is certain which protocol it is: for HTTP/1, one byte is usually enough.
async fn detect(stream: &mut Stream, ahead: &mut BytesMut, limit: Duration) -> io::Result<Protocol> {
    let read = async {
        loop {
            if stream.read_buf(ahead).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match ahead.len() {
                len if !PREFACE.starts_with(&ahead[..len.min(PREFACE.len())]) => return Ok(Protocol::Http1),
                len if len >= PREFACE.len() => return Ok(Protocol::Http2),
                _ => {}
            }
        }
    };
    timeout(limit, read).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_sizes() {
        fn size<F>(_: &F) -> usize {
            size_of::<F>()
        }
        fn f<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        println!("serve {}", f(serve));
        println!("conn {}", h1::sizes());
        let _ = size::<u8>;
    }
}
