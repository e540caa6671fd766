//! The socket as hyper sees it: with what was read ahead, with a time limit on heads, and with answers that leave in
//! one write.
//!
//! hyper has one timer for a head and for the idle time before it. Here the head has its own: it starts with the
//! first byte that comes while no request is under way, and ends when the request is handed to the service.
//!
//! hyper would write each pipelined answer by itself, and its own remedy holds answers back while half a request is
//! in its buffer. Here writes are gathered, and [`Wire::poll_send`] sends them when the connection has done all it
//! can do for now, which is when its future returns.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Bytes gathered before a write has to wait for the socket.
const MAX_GATHERED: usize = 64 << 10;

/// What the client may still send after our last byte: a limit on bytes and on time.
const LINGER_BYTES: usize = 256 << 10;
const LINGER: Duration = Duration::from_millis(500);

/// Whether a request is with the service; shared by the socket and the service of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// A request begins; it ends when the guard is dropped.
    pub(super) fn begin(&self) -> Serving {
        self.0.store(true, Relaxed);
        Serving(self.clone())
    }
}

/// A request is with the service.
pub(super) struct Serving(Busy);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.store(false, Relaxed);
    }
}

/// The socket, and what is gathered for it. hyper owns an [`Io`]; the connection's task keeps this to send.
#[derive(Clone)]
pub(super) struct Wire(Arc<Shared>);

struct Shared {
    stream: TcpStream,
    gathered: Mutex<BytesMut>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Shared { stream, gathered: Mutex::default() }))
    }

    /// Sends what is gathered; pending while the socket takes no more.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.0.gathered.lock();
        while !gathered.is_empty() {
            let sent = ready!(self.poll_direct(cx, &gathered))?;
            gathered.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_direct(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Gathers a write, or passes it on if it is large.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.gathered.lock().len() + bytes.len() > MAX_GATHERED {
            ready!(self.poll_send(cx))?;
        }
        if bytes.len() > MAX_GATHERED {
            return self.poll_direct(cx, bytes);
        }
        self.0.gathered.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(cx))?;
            match self.0.stream.try_read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn close_write(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.0.stream).shutdown(std::net::Shutdown::Write)
    }

    /// The end of a connection: says so, and takes what the client still sends, within limits. Closing with bytes
    /// unread would reset the connection, and the client might never see our last answer.
    pub(super) async fn linger(&self) {
        let _ = self.close_write(); // the client may have closed already
        let discard = async {
            let mut room = vec![0; 4096];
            let mut seen = 0;
            while seen < LINGER_BYTES {
                let mut buf = ReadBuf::new(&mut room);
                match std::future::poll_fn(|cx| self.poll_read(cx, &mut buf)).await {
                    Ok(()) if !buf.filled().is_empty() => seen += buf.filled().len(),
                    Ok(()) | Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, discard).await;
    }
}

/// What hyper reads from and writes to.
pub(super) struct Io {
    wire: Wire,
    ahead: Bytes,
    head_timeout: Duration,
    /// Runs while a head is under way.
    head_timer: Option<Pin<Box<Sleep>>>,
    busy: Busy,
}

impl Io {
    pub(super) fn new(wire: Wire, ahead: Bytes, head_timeout: Duration, busy: Busy) -> Self {
        let head_timer = (!ahead.is_empty()).then(|| Box::pin(sleep(head_timeout)));
        Self { wire, ahead, head_timeout, head_timer, busy }
    }

    /// An error once the head that is under way takes too long.
    fn check_head(&mut self, cx: &mut Context<'_>, came: bool) -> io::Result<()> {
        if self.busy.0.load(Relaxed) {
            self.head_timer = None;
        } else if came && self.head_timer.is_none() {
            self.head_timer = Some(Box::pin(sleep(self.head_timeout)));
        }
        let late = self.head_timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if late { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..len]);
            self.ahead.advance(len);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = self.wire.poll_read(cx, buf);
        let came = buf.filled().len() > before;
        match self.check_head(cx, came) {
            Ok(()) => read,
            Err(late) => Poll::Ready(Err(late)),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.poll_write(cx, bytes)
    }
    /// Nothing is sent here: the connection's task does it when hyper has done all it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_send(cx))?;
        Poll::Ready(self.wire.close_write())
    }
}
