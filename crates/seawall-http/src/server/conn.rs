//! One connection: which protocol it speaks, and the door to its engine.
//!
//! HTTP/2 with prior knowledge begins with a fixed preface (RFC 9113, 3.4); everything else is HTTP/1.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt as _;
use tokio::time::{sleep, timeout};

use super::h1::{self, Conn, Home};
use super::h2;
use super::handshake::{Door, establish};
use super::listener::Accepted;
use super::shutdown::{Phase, Shutdown};
use super::stream::Stream;
use crate::peer::Address;

/// How long a connection that was accepted just before the drain may take to send its first bytes: its client saw it
/// accepted, and may have sent a request already.
const FIRST_BYTES: Duration = Duration::from_millis(250);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a socket until either side ends it. Faults of the client end its connection and nothing else.
///
/// A function that makes a future, because the future of an `async fn` keeps all that it was given to its end. What comes
/// before HTTP is in a box that is gone when it is done: it is large, and a connection is mostly idle behind it.
pub(super) fn serve(
    accepted: Accepted,
    home: Arc<Home>,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send {
    let Accepted { stream, address, door, place, .. } = accepted;
    let opening = Box::pin(open(stream, address, door, Arc::clone(&home), shutdown));
    async move {
        let _place = place; // as long as the connection lasts
        match opening.await {
            Some(Opened::Http1(conn)) => h1::serve(conn, &home).await,
            Some(Opened::Http2(connection)) => connection.await,
            None => {}
        }
    }
}

/// A connection of which it is known what it speaks.
enum Opened {
    Http1(Box<Conn>),
    Http2(BoxFuture<'static, ()>),
}

/// Finds out what a connection speaks; `None` if it has ended before.
async fn open(
    stream: Stream,
    address: Address,
    door: Arc<Door>,
    home: Arc<Home>,
    shutdown: Shutdown,
) -> Option<Opened> {
    let opened = try_open(stream, address, &door, &home, shutdown).await;
    opened.inspect_err(|error| tracing::debug!(%error, peer = %address, "connection ended")).ok()
}

async fn try_open(
    stream: Stream,
    address: Address,
    door: &Door,
    home: &Arc<Home>,
    shutdown: Shutdown,
) -> io::Result<Opened> {
    let (mut stream, peer) = establish(stream, address, door, &shutdown).await?;
    let mut ahead = BytesMut::new();
    let late = async {
        shutdown.reached(Phase::Draining).await;
        sleep(FIRST_BYTES).await;
    };
    let protocol = tokio::select! {
        biased;
        protocol = detect(&mut stream, &mut ahead, home.limits.head) => protocol?,
        () = late => return Err(io::Error::other("the server drains")),
    };
    let is_http2 = matches!(protocol, Protocol::Http2);
    if peer.chose_http2().is_some_and(|chosen| chosen != is_http2) {
        let problem = "the client does not speak the protocol that it chose (ALPN)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(match protocol {
        Protocol::Http1 => Opened::Http1(Box::new(Conn::new(stream, ahead, peer, shutdown, home.limits))),
        Protocol::Http2 => {
            Opened::Http2(Box::pin(h2::serve(stream, ahead, peer, Arc::clone(home), shutdown)))
        }
    })
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

    /// What an idle connection costs is mostly this: a change that makes it larger should know.
    #[test]
    fn a_connection_stays_small() {
        fn size_of_future<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size_of_future(serve) <= 896, "{}", size_of_future(serve));
        assert!(size_of::<Conn>() <= 448, "{}", size_of::<Conn>());
    }
}
