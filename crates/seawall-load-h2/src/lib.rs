//! An HTTP/2 client without sockets, threads or a runtime: bytes in, bytes out, and who is finished.
//!
//! The protocol is the h2 crate's. Its connection is a future over tokio's I/O traits; here it is polled by hand over
//! two buffers in memory, each time bytes have come. So the load generator's own event loop drives it, and nothing of
//! tokio's runtime is needed or started. This crate exists to keep those traits out of `seawall-load`.
//!
//! What has no bound of its own is bounded by the caller: requests on their way, and their bodies.
//!
//! Left out: server push (refused), trailers, extended CONNECT.

mod pipe;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};

use pipe::Pipe;

/// What a stream may send before it hears from us; more than most answers have.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for the whole connection.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The peer breaks the rules of HTTP/2 (or speaks something else).
    Malformed,
    /// The peer ended the connection, or said that it will (GOAWAY).
    Closed,
}

/// A request to send.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, and port if there is one.
    pub authority: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Further fields; those that belong to an HTTP/1.1 connection must not be among them.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body; empty for none.
    pub body: &'a [u8],
}

/// A request whose answer is complete, or that failed alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// The caller's number.
    pub id: u64,
    /// The status; `None` if the peer reset the stream.
    pub status: Option<u16>,
}

/// One connection.
pub struct Client {
    pipe: Pipe,
    connection: Connection<Pipe>,
    send: SendRequest<Bytes>,
    /// Not sent yet: the peer allows fewer streams than the caller.
    waiting: VecDeque<(u64, http::Request<()>, Bytes)>,
    streams: Vec<(u64, Stream)>,
}

enum Stream {
    Head(ResponseFuture),
    Body(u16, RecvStream),
}

impl Client {
    /// A new connection; its preface is in the [`output`](Self::output).
    ///
    /// # Errors
    /// Never in practice: nothing has been read yet.
    pub fn new() -> Result<Self, Broken> {
        let pipe = Pipe::default();
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let mut handshake = std::pin::pin!(builder.handshake::<_, Bytes>(pipe.clone()));
        // It only writes, and memory takes everything.
        match handshake.as_mut().poll(&mut context()) {
            Poll::Ready(Ok((send, connection))) => {
                Ok(Self { pipe, connection, send, waiting: VecDeque::new(), streams: Vec::new() })
            }
            Poll::Ready(Err(_)) | Poll::Pending => Err(Broken::Malformed),
        }
    }

    /// Takes a request; `id` names it in [`Finished`]. It leaves with the next [`poll`](Self::poll).
    ///
    /// # Errors
    /// The request cannot be said in HTTP/2.
    pub fn send(&mut self, id: u64, request: &Request<'_>) -> Result<(), Broken> {
        let Request { method, scheme, authority, path, headers, body } = *request;
        let uri = http::Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        let mut builder = http::Request::builder().method(method).version(http::Version::HTTP_2);
        builder = builder.uri(uri.map_err(|_| Broken::Malformed)?);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(()).map_err(|_| Broken::Malformed)?;
        self.waiting.push_back((id, request, Bytes::copy_from_slice(body)));
        Ok(())
    }

    /// Takes bytes that the peer has sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pipe.feed(bytes);
    }

    /// Goes on as far as can be: reads what was fed, sends what may be sent, appends who is finished.
    ///
    /// # Errors
    /// The connection is of no use any more; all that are not finished have failed.
    pub fn poll(&mut self, finished: &mut Vec<Finished>) -> Result<(), Broken> {
        let mut context = context();
        // Streams end while the connection reads, and their windows open while they are read: so both, twice.
        for _ in 0..2 {
            let ended = match Pin::new(&mut self.connection).poll(&mut context) {
                Poll::Pending => None,
                Poll::Ready(Ok(())) => Some(Broken::Closed),
                Poll::Ready(Err(error)) if error.is_go_away() && error.is_remote() => Some(Broken::Closed),
                // Memory has no I/O errors: what h2 calls one is a frame that is none.
                Poll::Ready(Err(_)) => Some(Broken::Malformed),
            };
            self.read_streams(&mut context, finished);
            if let Some(broken) = ended {
                // These streams did not fail alone.
                finished.retain(|finished| finished.status.is_some());
                return Err(broken);
            }
            self.send_waiting(&mut context)?;
        }
        Ok(())
    }

    /// Moves what is to be sent to the peer to the end of `out`.
    pub fn output(&mut self, out: &mut Vec<u8>) {
        self.pipe.take_output(out);
    }

    /// Gives a request up: its stream is reset, and it will not be in any [`Finished`].
    pub fn cancel(&mut self, id: u64) {
        self.waiting.retain(|waiting| waiting.0 != id);
        self.streams.retain(|stream| stream.0 != id);
    }

    fn send_waiting(&mut self, context: &mut Context<'_>) -> Result<(), Broken> {
        while !self.waiting.is_empty() {
            match self.send.poll_ready(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(Broken::Closed),
                Poll::Ready(Ok(())) => {}
            }
            let Some((id, request, body)) = self.waiting.pop_front() else { return Ok(()) };
            let sent = self.send.send_request(request, body.is_empty());
            let (answer, mut stream) = sent.map_err(|_| Broken::Malformed)?;
            if !body.is_empty() {
                // It waits in h2 for the peer's window.
                stream.send_data(body, true).map_err(|_| Broken::Closed)?;
            }
            self.streams.push((id, Stream::Head(answer)));
        }
        Ok(())
    }

    fn read_streams(&mut self, context: &mut Context<'_>, finished: &mut Vec<Finished>) {
        self.streams.retain_mut(|(id, stream)| match stream.read(context) {
            Poll::Pending => true,
            Poll::Ready(status) => {
                finished.push(Finished { id: *id, status });
                false
            }
        });
    }
}

impl Stream {
    /// Reads to the end of the answer; `None` if the stream was reset.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Option<u16>> {
        loop {
            match self {
                Self::Head(answer) => match Pin::new(answer).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Ready(Ok(answer)) => {
                        let status = answer.status().as_u16();
                        *self = Self::Body(status, answer.into_body());
                    }
                },
                Self::Body(status, body) => match body.poll_data(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(Some(*status)),
                    Poll::Ready(Some(Ok(data))) => {
                        let _ = body.flow_control().release_capacity(data.len()); // of a stream that still is
                    }
                    // The answer is complete; the peer only does not want the rest of the request.
                    Poll::Ready(Some(Err(error))) if error.reason() == Some(Reason::NO_ERROR) => {
                        return Poll::Ready(Some(*status));
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(None),
                },
            }
        }
    }
}

/// Nobody is woken: whoever feeds bytes polls.
fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("streams", &self.streams.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: Request<'_> =
        Request { method: "GET", scheme: "http", authority: "h", path: "/", headers: &[], body: b"" };

    fn polled(client: &mut Client) -> (Result<(), Broken>, Vec<Finished>) {
        let mut finished = Vec::new();
        (client.poll(&mut finished), finished)
    }

    #[test]
    fn the_preface_comes_first() {
        let (mut client, mut out) = (Client::new().unwrap(), Vec::new());
        client.send(1, &REQUEST).unwrap();
        assert_eq!(polled(&mut client), (Ok(()), Vec::new()));
        client.output(&mut out);
        assert!(out.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "{out:?}");
    }

    #[test]
    fn another_protocol_is_malformed() {
        let mut client = Client::new().unwrap();
        client.send(1, &REQUEST).unwrap();
        assert_eq!(polled(&mut client).0, Ok(()));
        client.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(polled(&mut client), (Err(Broken::Malformed), Vec::new()));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let mut client = Client::new().unwrap();
        assert_eq!(client.send(1, &Request { authority: "a b", ..REQUEST }), Err(Broken::Malformed));
        assert_eq!(client.send(1, &Request { headers: &[("a b", b"c")], ..REQUEST }), Err(Broken::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let mut client = Client::new().unwrap();
            client.send(1, &REQUEST).unwrap();
            for piece in pieces {
                client.feed(&piece);
                if polled(&mut client).0.is_err() {
                    break;
                }
            }
        }
    }
}
