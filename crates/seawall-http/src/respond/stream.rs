//! Bodies that are written while they are sent: a producer future and a channel with room for one piece.
//!
//! The connection polls the producer itself, so there is no task to track: when the client goes away, the body is
//! dropped, and the producer with it.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::body::BodyFailed;
use crate::error::{Error, Result};

/// Where the producer of a streamed body writes to.
#[derive(Debug)]
pub struct BodyWriter(mpsc::Sender<Frame<Bytes>>);

impl BodyWriter {
    /// Sends a piece, after waiting for the connection to take the one before. An empty piece is skipped.
    ///
    /// # Errors
    /// If the client is gone.
    ///
    /// # Cancel safety
    /// A piece whose call was cancelled is not sent.
    pub async fn write(&mut self, piece: impl Into<Bytes>) -> Result<()> {
        let piece = piece.into();
        if piece.is_empty() {
            return Ok(());
        }
        self.0.send(Frame::data(piece)).await.map_err(|_| gone())
    }

    /// Ends the body with these trailers, such as a checksum of what was written. HTTP/2 sends them always, HTTP/1.1
    /// only if the client said `TE: trailers`, the answer has a `Trailer` header with their names, and no length was
    /// declared (RFC 9110, 6.5).
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn finish(self, trailers: HeaderMap) -> Result<()> {
        self.0.send(Frame::trailers(trailers)).await.map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::internal("the client is gone")
}

/// The producer, and what it has made but not sent. In a `Mutex` only to be `Sync`: it is used through `get_mut`.
pub(crate) struct Producer {
    running: Mutex<Running>,
    /// Bytes that were declared and have not come yet.
    left: Option<u64>,
}

struct Running {
    writing: Option<BoxFuture<'static, Result<()>>>,
    pieces: mpsc::Receiver<Frame<Bytes>>,
}

impl Producer {
    pub(super) fn new<W, Fut>(write: W) -> Self
    where
        W: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, pieces) = mpsc::channel(1);
        let running = Running { writing: Some(write(BodyWriter(sender)).boxed()), pieces };
        Self { running: Mutex::new(running), left: None }
    }

    pub(super) fn declare(&mut self, bytes: u64) {
        self.left = Some(bytes);
    }
    pub(super) fn declared(&self) -> Option<u64> {
        self.left
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Running { writing, pieces } = self.running.get_mut();
        let done = writing.as_mut().map(|writing| writing.poll_unpin(cx));
        if let Some(Poll::Ready(done)) = done {
            *writing = None; // and with it the writer, so that the channel ends
            if let Err(error) = done {
                return Poll::Ready(Some(Err(BodyFailed(error))));
            }
        }
        pieces.poll_recv(cx).map(|piece| counted(&mut self.left, piece))
    }
}

/// The piece, if it keeps what was declared. hyper would cut what is too long without a word, and only log an end
/// that comes too soon.
fn counted(left: &mut Option<u64>, piece: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, BodyFailed>> {
    let failed = |problem: &'static str| Some(Err(BodyFailed(Error::internal(problem))));
    let Some(open) = left else { return piece.map(Ok) };
    let Some(piece) = piece else {
        return if *open == 0 { None } else { failed("the body ended before its declared length") };
    };
    let length = piece.data_ref().map_or(0, |data| data.len() as u64);
    match open.checked_sub(length) {
        Some(rest) => *open = rest,
        None => return failed("the body is longer than its declared length"),
    }
    Some(Ok(piece))
}
