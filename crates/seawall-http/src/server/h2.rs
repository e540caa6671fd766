//! HTTP/2, by hyper: the one file that names its server.
//!
//! Frames and flow control are hyper's; the limits on streams, resets, time and memory are ours. The requests of a
//! connection run on its own task, so that whoever ends the connection ends them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::header::CONTENT_TYPE;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use seawall_guard::Rejected;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::admission::{Entered, Leave, Polls};
use super::h1::Home;
use super::shutdown::Shutdown;
use super::stream::Stream;
use super::watch::{Limits, Wait, Watch};
use crate::body::Body;
use crate::clock;
use crate::context::Arrival;
use crate::error::turned_away_h2;
use crate::flight::Tracked;
use crate::head::Head;
use crate::measure::Counted;
use crate::peer::Peer;
use crate::respond::{BodyFailed, is_event_stream};

/// Requests that a client may have under way on one connection.
const STREAMS: u32 = 128;

/// Streams that a client may reset before we have seen them, and those that its own faults end: what is beyond is taken
/// for an attack, and the connection ends (CVE-2023-44487, CVE-2025-8671).
const RESETS: usize = 32;

/// What one stream and one connection may have buffered of bodies that nobody has read yet.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What one stream may have buffered of its answer.
const SEND_BUFFER: usize = 64 << 10;

/// How often a client is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Requests that hyper has started and nobody has polled yet.
#[derive(Clone)]
struct Started(Arc<Mutex<Vec<OneStream>>>, Limits);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Started {
    fn execute(&self, future: F) {
        let stream =
            OneStream { future: Box::pin(future), sending: Arc::default(), watch: Watch::new(self.1) };
        self.0.lock().push(stream);
    }
}

/// How far the answer of one stream is with its client.
#[derive(Default)]
struct Sending {
    /// Pieces that were handed over.
    pieces: AtomicU64,
    /// The client has to take some before the next one is asked for.
    held: AtomicBool,
}

thread_local! {
    /// That of the stream which is being polled: hyper makes one future of a request and its answer, so this is the only
    /// way from the one to the other.
    static POLLED: RefCell<Option<Arc<Sending>>> = const { RefCell::new(None) };
}

/// One stream: a request and its answer. It ends when its client leaves the answer where it is for too long, with a window
/// that it does not open, whatever else it does on the connection; dropped, it is reset.
struct OneStream {
    future: BoxFuture<'static, ()>,
    sending: Arc<Sending>,
    watch: Watch,
}

impl Future for OneStream {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { future, sending, watch } = &mut *self;
        let outer = POLLED.replace(Some(Arc::clone(sending)));
        let polled = future.as_mut().poll(cx);
        POLLED.set(outer);
        if polled.is_ready() || !sending.held.load(Relaxed) {
            return polled;
        }
        watch.poll(Wait::Write, sending.pieces.load(Relaxed), None, cx).map(|_late| ())
    }
}

/// The requests of one connection. They go with it.
struct Running {
    requests: FuturesUnordered<OneStream>,
    started: Started,
}

impl Running {
    /// Runs them as far as they go; ready if that may have given the connection something to do.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = Poll::Pending;
        loop {
            self.requests.extend(std::mem::take(&mut *self.started.0.lock()));
            match self.requests.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => progress = Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending if self.started.0.lock().is_empty() => return progress,
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
    }
}

/// What is known of a connection's requests and its socket.
#[derive(Default)]
struct Facts {
    /// Requests so far, and those that are under way.
    started: AtomicU64,
    open: AtomicU64,
    /// Bytes that the socket took, and whether it takes no more for now.
    written: AtomicU64,
    blocked: AtomicBool,
}

impl Facts {
    /// What the connection waits for, if that is anything that has a limit.
    fn waits_for(&self) -> Option<(Wait, u64)> {
        if self.blocked.load(Relaxed) {
            return Some((Wait::Write, self.written.load(Relaxed)));
        }
        (self.open.load(Relaxed) == 0).then(|| (Wait::Idle, self.started.load(Relaxed)))
    }
}

/// Serves a connection to its end. `ahead` was read already, to find out its protocol.
pub(super) async fn serve(stream: Stream, ahead: BytesMut, peer: Peer, home: Arc<Home>, shutdown: Shutdown) {
    let facts = Arc::new(Facts::default());
    let started = Started(Arc::default(), home.limits);
    let mut running = Running { requests: FuturesUnordered::new(), started };
    let io = TokioIo::new(Io { stream, ahead, facts: Arc::clone(&facts) });
    let mut watch = Watch::new(home.limits);
    let service = service_fn(|request| {
        answer(Arc::clone(&home), shutdown.clone(), request, peer.clone(), Open::new(&facts))
    });
    let mut connection = pin!(builder(&running.started, &home).serve_connection(io, service));
    let mut drain = pin!(shutdown.drain());
    let mut draining = false;
    let ended = poll_fn(|cx| {
        if !draining && drain.as_mut().poll(cx).is_ready() {
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(io::Error::other));
            }
            if running.poll(cx).is_pending() {
                break;
            }
        }
        let Some((wait, number)) = facts.waits_for() else { return Poll::Pending };
        watch
            .poll(wait, number, None, cx)
            .map(|late| Err(io::Error::other(format!("{late:?} took too long"))))
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, peer = %peer.address, "connection ended");
    }
}

fn builder(started: &Started, home: &Home) -> Builder<Started> {
    let mut builder = Builder::new(started.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(home.head_limits.bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// One request under way on its connection.
struct Open(Arc<Facts>);

impl Open {
    fn new(facts: &Arc<Facts>) -> Self {
        facts.started.fetch_add(1, Relaxed);
        facts.open.fetch_add(1, Relaxed);
        Self(Arc::clone(facts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

async fn answer(
    home: Arc<Home>,
    shutdown: Shutdown,
    request: hyper::Request<Incoming>,
    peer: Peer,
    open: Open,
) -> Result<hyper::Response<Guarded>, Infallible> {
    let now = clock::now();
    let request = request.map(Body::from_http);
    let (head, body) = request.into_parts();
    let head = Head::from(head);
    let leave = match admit(&home, &head, &peer, now).await {
        Ok(leave) => leave,
        Err(rejected) => {
            let number = open.0.started.load(Relaxed);
            return Ok(turned_away_h2(
                &rejected,
                number,
                Guarded { body: None, leave: None, sending: None, _guards: None },
            ));
        }
    };
    let _guards = Some((Counted::start(&home.in_flight), open));
    let arrival = Arrival { peer, at: now, deadline: leave.deadline() };
    let mut polls = Polls::first(leave.started());
    let answer = {
        let mut answer = pin!(home.service.respond_to(head, body, arrival));
        poll_fn(|cx| {
            polls.begin();
            let answer = answer.as_mut().poll(cx);
            polls.end(clock::now(), &home.entrance);
            answer
        })
        .await
    };
    let is_endless = is_event_stream(answer.headers().get(CONTENT_TYPE));
    Ok(answer.map(|mut body| {
        body.wire().end_with(|| shutdown.drain());
        let body_is_at_its_end = hyper::body::Body::is_end_stream(&body);
        let sending = POLLED.with_borrow(Clone::clone);
        let mut guarded = Guarded { body: Some(body), leave: Some(leave), sending, _guards };
        guarded.note_held(!body_is_at_its_end);
        if is_endless {
            guarded.release();
        }
        guarded
    }))
}

/// Leave to work on a request, once it is its turn.
async fn admit(home: &Home, head: &Head, peer: &Peer, now: Instant) -> Result<Leave, Rejected> {
    if let Some(leave) = home.entrance.try_start(now, now) {
        return Ok(leave);
    }
    let entry = home.service.entry(head, peer, now);
    match home.entrance.enter(&entry, now)? {
        Entered::Now(leave) => Ok(leave),
        Entered::Later(queued) => {
            let decided = poll_fn(|cx| queued.poll(cx)).await;
            let mut permit =
                decided.inspect_err(|rejected| home.entrance.refused(rejected, queued.class()))?;
            permit.begin(clock::now());
            Ok(Leave::Admitted(permit))
        }
    }
}

/// An answer's body, if it has one, and what ends when it does: the request is counted, its connection is not idle, and
/// it has its room.
struct Guarded {
    body: Option<Tracked>,
    leave: Option<Leave>,
    /// Where its client's taking of it is noted.
    sending: Option<Arc<Sending>>,
    _guards: Option<(Counted, Open)>,
}

impl Guarded {
    /// Whether the next thing to happen is that the client takes what it got, or asks for the first piece.
    fn note_held(&self, held: bool) {
        if let Some(sending) = &self.sending {
            sending.held.store(held, Relaxed);
            sending.pieces.fetch_add(1, Relaxed);
        }
    }

    /// Reports the end, once the body has had it.
    fn release(&mut self) {
        if let (Some(body), Some(leave)) = (&self.body, self.leave.take()) {
            leave.finish(body.outcome(), clock::now());
        }
    }
}

impl hyper::body::Body for Guarded {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        let at_the_end = match &frame {
            Poll::Ready(Some(Ok(_))) => self.is_end_stream(),
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if at_the_end {
            self.release();
        }
        self.note_held(!at_the_end && frame.is_ready());
        frame
    }
    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Tracked::is_end_stream)
    }
    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Tracked::size_hint)
    }
}

impl Drop for Guarded {
    /// A body without bytes is never asked for them.
    fn drop(&mut self) {
        if self.body.as_ref().is_some_and(hyper::body::Body::is_end_stream) {
            self.release();
        }
    }
}

/// The socket as hyper sees it, with what was read ahead.
struct Io {
    stream: Stream,
    ahead: BytesMut,
    facts: Arc<Facts>,
}

impl Io {
    /// Remembers whether the socket took something.
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.facts.blocked.store(written.is_pending(), Relaxed);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.facts.written.fetch_add(*bytes as u64, Relaxed);
        }
        written
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note(written)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
