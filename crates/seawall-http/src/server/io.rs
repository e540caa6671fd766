//! The socket as hyper sees it: with what was read ahead, with a time limit on heads, and with answers that leave in
//! one write.
//!
//! hyper has one timer for a head and for the idle time before it, and sets it anew for each request. Here the two
//! have limits of their own: a head's starts with the first byte that comes while no request is under way, and ends
//! when the request is handed to the service.
//!
//! hyper would write each pipelined answer by itself, and its own remedy holds answers back while half a request is
//! in its buffer. Here writes are gathered, and [`Wire::poll_send`] sends them when the connection has done all it
//! can do for now, which is when its future returns.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use parking_lot::Mutex;
#[cfg(feature = "websocket")]
use tokio::io::AsyncReadExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until, timeout};

use super::ServerConfig;
use super::shutdown::{Phase, Shutdown};
use super::stream::Stream;
#[cfg(feature = "websocket")]
use super::takeover::Takeover;
use crate::clock;

/// Bytes gathered before a write has to wait for the socket.
const MAX_GATHERED: usize = 64 << 10;

/// What the client may still send after our last byte: a limit on bytes and on time.
const LINGER_BYTES: usize = 256 << 10;
const LINGER: Duration = Duration::from_millis(500);

/// How far a connection is with its request, and how far its server is; shared by its socket, its service and its task.
#[derive(Clone)]
pub(super) struct Progress(Arc<Shared>);

struct Shared {
    /// The lower two bits are the phase, the upper ones count the requests, so that two idle times can be told apart.
    phase: AtomicU32,
    shutdown: Shutdown,
    /// Who gets the connection once the answer that is being written is out.
    #[cfg(feature = "websocket")]
    takeover: Mutex<Option<Takeover>>,
}

const IDLE: u32 = 0;
const READING: u32 = 1;
const SERVING: u32 = 2;
const PHASE: u32 = 3;

impl Progress {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        Self(Arc::new(Shared {
            phase: AtomicU32::new(IDLE),
            shutdown,
            #[cfg(feature = "websocket")]
            takeover: Mutex::new(None),
        }))
    }

    /// Returns when the server drains.
    pub(super) fn drain(&self) -> impl Future<Output = ()> + Send + use<> {
        let shutdown = self.0.shutdown.clone();
        async move { shutdown.reached(Phase::Draining).await }
    }

    #[cfg(feature = "websocket")]
    pub(super) fn give_to(&self, takeover: Takeover) {
        *self.0.takeover.lock() = Some(takeover);
    }
    #[cfg(feature = "websocket")]
    pub(super) fn take_takeover(&self) -> Option<Takeover> {
        self.0.takeover.lock().take()
    }

    /// A request begins to be served; it ends when the guard is dropped.
    pub(super) fn begin(&self) -> Serving {
        self.set(SERVING);
        Serving(self.clone())
    }

    /// Part of a head has come, and not all of it.
    pub(super) fn reads_head(&self) -> bool {
        self.now() & PHASE == READING
    }

    fn now(&self) -> u32 {
        self.0.phase.load(Relaxed)
    }

    /// Only one task ever writes, so this needs no exchange.
    fn set(&self, phase: u32) {
        let now = self.now();
        let counted = if phase == IDLE { (now & !PHASE).wrapping_add(PHASE + 1) } else { now & !PHASE };
        self.0.phase.store(counted | phase, Relaxed);
    }
}

/// A request is being served, up to the last byte of its answer's body.
pub(super) struct Serving(Progress);

impl Serving {
    pub(super) fn progress(&self) -> &Progress {
        &self.0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.set(IDLE);
    }
}

/// The time limits of a connection: one for a head, one for the idle time between requests.
///
/// One timer per connection, and it is left alone by a request that comes in one piece: setting a timer may wake the
/// runtime, a system call. It is only ever set earlier, or anew after it fired too early for what has become of
/// the connection meanwhile.
pub(super) struct Limits {
    head: Duration,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// The progress that was seen waiting last, and since when it waits.
    waiting: Option<(u32, Instant)>,
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Head,
    Idle,
}

impl Limits {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self { head: config.head_timeout, idle: config.idle_timeout, timer: None, waiting: None }
    }

    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// To be called when the connection has to wait; ready when it has waited too long.
    pub(super) fn poll_late(&mut self, progress: &Progress, cx: &mut Context<'_>) -> Poll<Late> {
        let progress = progress.now();
        let (limit, late) = match progress & PHASE {
            READING => (self.head, Late::Head),
            IDLE => (self.idle, Late::Idle),
            _ => return Poll::Pending, // a handler's time, and a body's, are not ours to limit
        };
        let since = match self.waiting {
            Some((seen, since)) if seen == progress => since,
            _ => clock::now(),
        };
        self.waiting = Some((progress, since));
        let deadline = (since + limit).into();
        let timer = match &mut self.timer {
            Some(timer) if timer.is_elapsed() && timer.deadline() >= deadline => return Poll::Ready(late),
            Some(timer) if timer.deadline() <= deadline && !timer.is_elapsed() => return Poll::Pending,
            Some(timer) => timer,
            none => none.insert(Box::pin(sleep_until(deadline))),
        };
        timer.as_mut().reset(deadline);
        timer.as_mut().poll(cx).map(|()| late)
    }
}

/// The stream, and what is gathered for it. hyper reads and writes through its [`Io`]; the connection's task keeps this
/// to send. Both are in one task, so the lock is always free.
#[derive(Clone)]
pub(super) struct Wire(Arc<Mutex<Outgoing>>);

struct Outgoing {
    stream: Stream,
    gathered: BytesMut,
}

impl Outgoing {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.gathered))?;
            self.gathered.advance(sent);
        }
        Pin::new(&mut self.stream).poll_flush(cx) // TLS keeps what its socket did not take
    }

    /// Gathers a write, or passes it on if it is large.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gathered.len() + bytes.len() > MAX_GATHERED {
            ready!(self.poll_send(cx))?;
        }
        if bytes.len() > MAX_GATHERED {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Outgoing { stream, gathered: BytesMut::new() })))
    }

    /// Sends what is gathered; pending while the socket takes no more.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }

    /// The end of a connection: says so, and takes what the client still sends, within limits. Closing with bytes
    /// unread would reset the connection, and the client might never see our last answer.
    pub(super) async fn linger(&self) {
        let close = poll_fn(|cx| Pin::new(&mut self.0.lock().stream).poll_shutdown(cx));
        // Whatever goes wrong now, the connection is over.
        let _ = close.await;
        let rest = poll_fn(|cx| poll_discard(&mut self.0.lock().stream, cx));
        let _ = timeout(LINGER, rest).await;
    }
}

/// Takes what the client still sends, within limits.
#[cfg(feature = "websocket")]
pub(super) async fn discard(stream: &mut Stream) {
    let rest = async {
        let mut room = [0; 4096];
        for _ in 0..LINGER_BYTES / room.len() {
            match stream.read(&mut room).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    };
    let _ = timeout(LINGER, rest).await;
}

fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut room = [0; 4096];
    for _ in 0..LINGER_BYTES / room.len() {
        let mut room = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
        if room.filled().is_empty() {
            break;
        }
    }
    Poll::Ready(Ok(()))
}

/// What hyper reads from and writes to.
pub(super) struct Io {
    wire: Wire,
    ahead: Bytes,
    progress: Progress,
}

impl Io {
    pub(super) fn new(wire: Wire, ahead: Bytes, progress: Progress) -> Self {
        Self { wire, ahead, progress }
    }

    /// The stream again, and what was read ahead of hyper. Everything gathered must have been sent.
    ///
    /// # Errors
    /// If somebody else still holds it.
    #[cfg(feature = "websocket")]
    pub(super) fn reunite(self) -> io::Result<(Stream, Bytes)> {
        let Self { wire, ahead, progress: _ } = self;
        let outgoing =
            Arc::into_inner(wire.0).ok_or_else(|| io::Error::other("the socket is still in use"))?;
        Ok((outgoing.into_inner().stream, ahead))
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.ahead.is_empty() {
            ready!(Pin::new(&mut self.wire.0.lock().stream).poll_read(cx, buf))?;
        } else {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..len]);
            self.ahead.advance(len);
        }
        // Bytes that come while no request is under way begin a head.
        if buf.filled().len() > before && self.progress.now() & PHASE == IDLE {
            self.progress.set(READING);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.0.lock().poll_write(cx, bytes)
    }
    /// Nothing is sent here: the connection's task does it when hyper has done all it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.wire.0.lock();
        ready!(outgoing.poll_send(cx))?;
        Pin::new(&mut outgoing.stream).poll_shutdown(cx)
    }
}
