//! Two buffers that look like a socket to h2: what was fed is read, what is written is taken.
//!
//! Neither grows without bound: h2 reads all that was fed before the next read of the real socket, and the caller
//! takes the output after each poll.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A handle to both buffers. The lock is never contended: one thread has all handles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pipe(Arc<Mutex<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
}

impl Pipe {
    pub(crate) fn feed(&self, bytes: &[u8]) {
        self.buffers().input.extend_from_slice(bytes);
    }

    pub(crate) fn take_output(&self, out: &mut Vec<u8>) {
        out.append(&mut self.buffers().output);
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.buffers();
        let left = &buffers.input[buffers.read..];
        if left.is_empty() {
            return Poll::Pending;
        }
        let count = left.len().min(room.remaining());
        room.put_slice(&left[..count]);
        buffers.read += count;
        if buffers.read == buffers.input.len() {
            buffers.input.clear();
            buffers.read = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.buffers().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
