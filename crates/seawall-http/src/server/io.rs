//! The socket as hyper sees it: with what was read ahead, and with a time limit on heads.
//!
//! hyper has one timer for a head and for the idle time before it. Here the head has its own: it starts with the
//! first byte that comes while no request is under way, and ends when the request is handed to the service.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

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

/// A socket with what was read from it ahead of time.
pub(super) struct Io {
    stream: TcpStream,
    ahead: Bytes,
    head_timeout: Duration,
    /// Runs while a head is under way.
    head_timer: Option<Pin<Box<Sleep>>>,
    busy: Busy,
}

impl Io {
    pub(super) fn new(stream: TcpStream, ahead: Bytes, head_timeout: Duration, busy: Busy) -> Self {
        let head_timer = (!ahead.is_empty()).then(|| Box::pin(sleep(head_timeout)));
        Self { stream, ahead, head_timeout, head_timer, busy }
    }

    /// An error once the head that is under way takes too long.
    fn check_head(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.busy.0.load(Relaxed) {
            self.head_timer = None;
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
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let came = buf.filled().len() > before;
        if came && self.head_timer.is_none() && !self.busy.0.load(Relaxed) {
            self.head_timer = Some(Box::pin(sleep(self.head_timeout)));
        }
        if let Err(late) = self.check_head(cx) {
            return Poll::Ready(Err(late));
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
