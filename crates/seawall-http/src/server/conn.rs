//! One connection: which protocol it speaks, and the only door to hyper's server.
//!
//! HTTP/2 with prior knowledge begins with a fixed preface (RFC 9113, 3.4); everything else is HTTP/1. Answers to
//! pipelined requests leave in one write per batch.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
#[cfg(feature = "websocket")]
use http::StatusCode;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use seawall_core::metrics::Gauge;
use tokio::io::AsyncReadExt as _;
use tokio::time::{sleep, timeout};

use super::ServerConfig;
use super::handshake::establish;
use super::io::{Io, Limits, Progress, Serving, Wire};
use super::listener::Accepted;
use super::shutdown::{Phase, Shutdown};
use super::stream::Stream;
#[cfg(feature = "websocket")]
use super::takeover::Taken;
use crate::body::Body;
use crate::clock;
use crate::context::Arrival;
use crate::flight::Tracked;
use crate::measure::Counted;
use crate::peer::Peer;
use crate::respond::BodyFailed;
use crate::service::Service;

/// Room for the first read: most requests come in one.
const FIRST_READ: usize = 1024;

/// How long a connection that was accepted just before the drain may take to send its first bytes: its client saw it
/// accepted, and may have sent a request already.
const FIRST_BYTES: Duration = Duration::from_millis(250);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection needs of its worker.
pub(super) struct Connection {
    pub(super) service: Service,
    pub(super) in_flight: Gauge,
    pub(super) shutdown: Shutdown,
    pub(super) config: ServerConfig,
}

type AnyError = Box<dyn Error + Send + Sync>;

/// Serves a socket until either side ends it. Faults of the client end its connection and nothing else.
pub(super) async fn serve(accepted: Accepted, connection: Connection) {
    let Accepted { stream, address, door, place: _place, .. } = accepted;
    let ended = match establish(stream, address, &door, &connection.shutdown).await {
        Ok((stream, peer)) => connection.run(stream, peer).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        tracing::debug!(error, peer = %address, "connection ended");
    }
}

/// How far a connection is driven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    End,
    NoHeadUnderWay,
}

/// A connection under way, seen from its task.
struct Running<'a> {
    wire: &'a Wire,
    progress: Progress,
    limits: Limits,
}

impl Running<'_> {
    /// Drives hyper, and sends what was gathered whenever hyper has done all it can; at the end, the rest. A
    /// connection that waits too long for the client ends there. Nothing comes back if it has not ended, but come to
    /// where it was to be driven.
    async fn drive<C>(&mut self, mut connection: Pin<&mut C>, until: Until) -> Option<hyper::Result<()>>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let driven = poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            // A socket that is full wakes us; one that is broken fails hyper's next read.
            let _ = self.wire.poll_send(cx);
            if let Poll::Ready(ended) = ended {
                return Poll::Ready(Some(ended));
            }
            if until == Until::NoHeadUnderWay && !self.progress.reads_head() {
                return Poll::Ready(None);
            }
            self.limits.poll_late(&self.progress, cx).map(|late| {
                tracing::debug!(?late, "the client took too long");
                Some(Ok(()))
            })
        });
        let ended = driven.await?;
        let rest = timeout(self.limits.idle(), poll_fn(|cx| self.wire.poll_send(cx)));
        let _ = rest.await; // the connection is over, whatever becomes of its last bytes
        Some(ended)
    }

    /// Drives a connection until it ends; once `drain` returns, to the end of the request that it is on. `end` tells
    /// hyper so.
    async fn run<C>(
        &mut self,
        mut connection: Pin<&mut C>,
        drain: impl Future<Output = ()>,
        end: fn(Pin<&mut C>),
    ) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut ended = tokio::select! {
            biased; // what has come is read before the drain is heard of
            ended = self.drive(connection.as_mut(), Until::End) => ended,
            () = drain => None,
        };
        if ended.is_none() {
            // hyper takes a connection with half a head for an idle one, and would close it.
            ended = self.drive(connection.as_mut(), Until::NoHeadUnderWay).await;
        }
        if ended.is_none() {
            end(connection.as_mut());
            ended = self.drive(connection, Until::End).await;
        }
        ended.unwrap_or(Ok(()))
    }
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

impl Connection {
    async fn run(self, mut stream: Stream, peer: Peer) -> Result<(), AnyError> {
        let mut ahead = BytesMut::with_capacity(FIRST_READ);
        let late = async {
            self.shutdown.reached(Phase::Draining).await;
            sleep(FIRST_BYTES).await;
        };
        let protocol = tokio::select! {
            biased;
            protocol = detect(&mut stream, &mut ahead, self.config.head_timeout) => protocol?,
            () = late => return Ok(()),
        };
        match protocol {
            Protocol::Http1 => self.http1(stream, ahead.freeze(), peer).await?,
            Protocol::Http2 => self.http2(stream, ahead.freeze(), peer).await?,
        }
        Ok(())
    }

    async fn http1(&self, stream: Stream, ahead: Bytes, peer: Peer) -> Result<(), AnyError> {
        let (progress, wire) = (Progress::new(self.shutdown.clone()), Wire::new(stream));
        let io = Io::new(wire.clone(), ahead, progress.clone());
        let serving = progress.clone();
        let service =
            service_fn(|request| self.answer(request, peer.clone(), Exchange::Connection(serving.begin())));
        let mut connection = http1::Builder::new()
            .header_read_timeout(None) // `Limits` has one for heads and one for idle time
            .max_buf_size(self.config.max_head_bytes)
            .max_headers(self.config.max_headers)
            .serve_connection(TokioIo::new(io), service);
        let mut running =
            Running { wire: &wire, progress: progress.clone(), limits: Limits::new(&self.config) };
        let drain = progress.drain();
        let ended =
            running.run(Pin::new(&mut connection), drain, |connection| connection.graceful_shutdown()).await;
        #[cfg(feature = "websocket")]
        if let Some(takeover) = progress.take_takeover().filter(|_| ended.is_ok()) {
            drop(wire);
            let parts = connection.into_parts();
            let (stream, ahead) = parts.io.into_inner().reunite()?;
            let ahead = [parts.read_buf, ahead].concat().into();
            takeover.serve(Taken { stream, ahead, drain: Box::pin(progress.drain()) }).await;
            return Ok(());
        }
        wire.linger().await;
        Ok(ended?)
    }

    async fn http2(&self, stream: Stream, ahead: Bytes, peer: Peer) -> Result<(), AnyError> {
        let (progress, wire) = (Progress::new(self.shutdown.clone()), Wire::new(stream));
        // Streams overlap, so one connection has no one phase: its limits come with the engine's HTTP/2.
        let _always = progress.begin();
        let io = Io::new(wire.clone(), ahead, progress.clone());
        let (service, in_flight, shared) = (self.service.clone(), self.in_flight.clone(), progress.clone());
        let service = service_fn(move |request| {
            let guards = (Counted::start(&in_flight), Exchange::Stream(shared.clone()));
            answer(service.clone(), request, peer.clone(), guards)
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(200)
            .max_header_list_size(u32::try_from(self.config.max_head_bytes).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(io), service);
        let drain = progress.drain();
        let mut running = Running { wire: &wire, progress, limits: Limits::new(&self.config) };
        Ok(running.run(pin!(connection), drain, |connection| connection.graceful_shutdown()).await?)
    }

    fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: Peer,
        exchange: Exchange,
    ) -> impl Future<Output = Result<hyper::Response<Guarded>, Infallible>> + use<> {
        answer(self.service.clone(), request, peer, (Counted::start(&self.in_flight), exchange))
    }
}

/// What a request has of its connection: all of it, or one of its streams.
enum Exchange {
    Connection(Serving),
    Stream(Progress),
}

impl Exchange {
    fn progress(&self) -> &Progress {
        match self {
            Self::Connection(serving) => serving.progress(),
            Self::Stream(progress) => progress,
        }
    }
}

/// What lasts as long as a request: it is counted, and its connection is not idle.
type Guards = (Counted, Exchange);

async fn answer(
    service: Service,
    request: hyper::Request<Incoming>,
    peer: Peer,
    guards: Guards,
) -> Result<hyper::Response<Guarded>, Infallible> {
    let arrival = Arrival { peer, at: clock::now() };
    let mut response = service.respond(request.map(Body::from_http), arrival).await;
    #[cfg(feature = "websocket")]
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let body = response.body_mut().wire();
    body.end_with(|| guards.1.progress().drain());
    #[cfg(feature = "websocket")]
    if let (Some(takeover), Exchange::Connection(serving)) = (body.take_takeover(), &guards.1)
        && switches
    // a middleware may have thought otherwise
    {
        serving.progress().give_to(takeover);
    }
    Ok(response.map(|body| Guarded { body, _guards: guards }))
}

/// An answer's body, with what ends when it does.
struct Guarded {
    body: Tracked,
    _guards: Guards,
}

impl hyper::body::Body for Guarded {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
