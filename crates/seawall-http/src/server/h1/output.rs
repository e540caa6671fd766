//! What waits to be written to a connection: gathered answers, and at most one large piece behind them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

use super::buffers::{WRITE, give_back_write, lease_to_write};

/// A piece above this is not copied but written from where it is.
const LARGE: usize = WRITE / 4;

/// What waits to be written. It is bounded: whoever adds to it asks [`Output::is_full`] first, and waits.
#[derive(Default)]
pub(super) struct Output {
    /// Leased while there is something in it.
    gathered: Vec<u8>,
    sent: usize,
    large: Bytes,
    /// What follows the large piece: the end of its chunk.
    behind: &'static [u8],
    /// Bytes that the socket has taken so far, to see whether it still takes some.
    taken: u64,
}

impl Output {
    /// Where small things are appended. There must be no large piece.
    pub(super) fn gather(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.large.is_empty(), "what comes behind a large piece waits for it");
        if self.gathered.capacity() == 0 {
            self.gathered = lease_to_write();
        }
        &mut self.gathered
    }

    /// Appends a piece of a body, and what follows it.
    pub(super) fn push(&mut self, piece: Bytes, behind: &'static [u8]) {
        if piece.len() <= LARGE {
            let gathered = self.gather();
            gathered.extend_from_slice(&piece);
            gathered.extend_from_slice(behind);
        } else {
            debug_assert!(self.large.is_empty(), "there is one large piece at most");
            (self.large, self.behind) = (piece, behind);
        }
    }

    /// Whether nothing may be added before some of it is written.
    pub(super) fn is_full(&self) -> bool {
        !self.large.is_empty() || !self.behind.is_empty() || self.gathered.len() >= WRITE - LARGE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.large.is_empty() && self.behind.is_empty()
    }

    /// How much the socket has taken since the connection began.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Writes all of it; pending while the socket takes no more.
    pub(super) fn poll_flush(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.is_empty() {
            let sent = ready!(self.poll_write(stream, cx))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(sent);
        }
        // A buffer of TLS may still have some of it.
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_write(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let gathered = &self.gathered[self.sent..];
        if self.large.is_empty() && self.behind.is_empty() {
            return Pin::new(stream).poll_write(cx, gathered);
        }
        let pieces = [IoSlice::new(gathered), IoSlice::new(&self.large), IoSlice::new(self.behind)];
        let first = pieces.iter().position(|piece| !piece.is_empty()).unwrap_or(0);
        Pin::new(stream).poll_write_vectored(cx, &pieces[first..])
    }

    fn advance(&mut self, sent: usize) {
        self.taken += sent as u64;
        let of_gathered = sent.min(self.gathered.len() - self.sent);
        self.sent += of_gathered;
        if self.sent == self.gathered.len() && self.sent > 0 {
            self.sent = 0;
            self.gathered.clear();
            give_back_write(std::mem::take(&mut self.gathered));
        }
        let rest = sent - of_gathered;
        let of_large = rest.min(self.large.len());
        self.large.advance(of_large);
        if self.large.is_empty() {
            self.large = Bytes::new(); // and with it whoever else's memory it was
        }
        self.behind = &self.behind[rest - of_large..];
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        give_back_write(std::mem::take(&mut self.gathered));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes a few bytes at a time, and then none until it is asked again.
    struct Slow {
        taken: Vec<u8>,
        at_once: usize,
        ready: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.ready = !self.ready;
            if !self.ready {
                return Poll::Pending;
            }
            let take = bytes.len().min(self.at_once);
            self.taken.extend_from_slice(&bytes[..take]);
            Poll::Ready(Ok(take))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn everything_is_written_in_order_however_slowly() {
        for at_once in [1, 7, 1000, 100_000] {
            let mut stream = Slow { taken: Vec::new(), at_once, ready: false };
            let (mut output, mut cx) = (Output::default(), Context::from_waker(Waker::noop()));
            let large = vec![b'l'; LARGE + 1];
            output.gather().extend_from_slice(b"head ");
            output.push(Bytes::from_static(b"small"), b" ");
            output.push(large.clone().into(), b"\r\n");
            assert!(output.is_full());
            while output.poll_flush(&mut stream, &mut cx).is_pending() {}
            assert_eq!(stream.taken, [b"head small ", &large[..], b"\r\n"].concat(), "{at_once} at once");
            assert!(output.is_empty() && !output.is_full());
            assert_eq!(output.taken(), stream.taken.len() as u64);
        }
    }

    #[test]
    fn a_full_one_says_so_and_an_empty_one_holds_no_buffer() {
        let mut output = Output::default();
        while !output.is_full() {
            output.push(Bytes::from(vec![0; 1000]), b"");
        }
        assert!(output.gathered.len() <= WRITE);
        let mut stream = Slow { taken: Vec::new(), at_once: usize::MAX, ready: false };
        let mut cx = Context::from_waker(Waker::noop());
        while output.poll_flush(&mut stream, &mut cx).is_pending() {}
        assert_eq!(output.gathered.capacity(), 0);
    }
}
