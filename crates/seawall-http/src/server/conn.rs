//! One connection: which protocol it speaks, and the only door to hyper's server.
//!
//! HTTP/2 with prior knowledge begins with a fixed preface (RFC 9113, 3.4); everything else is HTTP/1. Answers to
//! pipelined requests leave in one write per batch.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use seawall_core::metrics::Gauge;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ServerConfig;
use super::io::{Busy, Io, Wire};
use super::listener::Accepted;
use super::shutdown::{Phase, Shutdown};
use crate::body::Body;
use crate::clock;
use crate::context::Arrival;
use crate::measure::InFlight;
use crate::respond::WireBody;
use crate::service::Service;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection needs of its worker.
pub(super) struct Connection {
    pub(super) service: Service,
    pub(super) in_flight: Gauge,
    pub(super) shutdown: Shutdown,
    pub(super) config: ServerConfig,
}

/// Serves a socket until either side ends it. Faults of the client end its connection and nothing else.
pub(super) async fn serve(accepted: Accepted, connection: Connection) {
    let Accepted { stream, peer, place: _place } = accepted;
    let ended = connection.run(stream, peer).await;
    if let Err(error) = ended {
        tracing::debug!(error, %peer, "connection ended");
    }
}

/// Drives a connection, and sends what it has gathered whenever it has done all it can; at the end, the rest.
async fn run<C>(mut connection: Pin<&mut C>, wire: &Wire) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let ended = poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        // A socket that is full wakes us; one that is broken fails hyper's next read.
        let _ = wire.poll_send(cx);
        ended
    });
    let ended = ended.await;
    let _ = poll_fn(|cx| wire.poll_send(cx)).await;
    ended
}

enum Protocol {
    Http1,
    Http2,
}

/// Reads until it is certain which protocol it is: for HTTP/1, one byte is usually enough.
async fn detect(stream: &mut TcpStream, ahead: &mut BytesMut, limit: Duration) -> io::Result<Protocol> {
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

impl Connection {
    async fn run(self, mut stream: TcpStream, peer: SocketAddr) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut ahead = BytesMut::new();
        let protocol = tokio::select! {
            protocol = detect(&mut stream, &mut ahead, self.config.head_timeout) => protocol?,
            // Nothing of a request is lost: the client has got no answer, and sees the connection close.
            () = self.shutdown.reached(Phase::Draining) => return Ok(()),
        };
        match protocol {
            Protocol::Http1 => self.http1(stream, ahead.freeze(), peer).await?,
            Protocol::Http2 => self.http2(stream, ahead.freeze(), peer).await?,
        }
        Ok(())
    }

    async fn http1(&self, stream: TcpStream, ahead: Bytes, peer: SocketAddr) -> hyper::Result<()> {
        let (busy, wire) = (Busy::default(), Wire::new(stream));
        let io = Io::new(wire.clone(), ahead, self.config.head_timeout, busy.clone());
        let service = service_fn(move |request| {
            let serving = busy.begin();
            let answer = self.answer(request, peer);
            async move {
                let answer = answer.await;
                drop(serving);
                answer
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.config.idle_timeout)
            .max_buf_size(self.config.max_head_bytes)
            .max_headers(self.config.max_headers)
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = run(connection.as_mut(), &wire) => Some(ended),
            () = self.shutdown.reached(Phase::Draining) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                run(connection, &wire).await
            }
        };
        wire.linger().await;
        ended
    }

    async fn http2(&self, stream: TcpStream, ahead: Bytes, peer: SocketAddr) -> hyper::Result<()> {
        let (busy, wire) = (Busy::default(), Wire::new(stream));
        // Streams overlap, so a head's timer would stop and start at random: there is none beyond the preface's.
        let _serving = busy.begin();
        let io = Io::new(wire.clone(), ahead, self.config.head_timeout, busy);
        let (service, in_flight) = (self.service.clone(), self.in_flight.clone());
        let service = service_fn(move |request| answer(service.clone(), in_flight.clone(), request, peer));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(200)
            .max_header_list_size(u32::try_from(self.config.max_head_bytes).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = run(connection.as_mut(), &wire) => return ended,
            () = self.shutdown.reached(Phase::Draining) => {}
        }
        connection.as_mut().graceful_shutdown();
        run(connection, &wire).await
    }

    fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<hyper::Response<WireBody>, Infallible>> + use<> {
        answer(self.service.clone(), self.in_flight.clone(), request, peer)
    }
}

async fn answer(
    service: Service,
    in_flight: Gauge,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<hyper::Response<WireBody>, Infallible> {
    let in_flight = InFlight::start(&in_flight);
    let arrival = Arrival { peer: Some(peer), at: clock::now() };
    let response = service.respond(request.map(Body::from_http), arrival).await;
    let streamed = response.bytes().is_none();
    let response = if streamed { response.hold(in_flight) } else { response };
    Ok(response.into_wire())
}
