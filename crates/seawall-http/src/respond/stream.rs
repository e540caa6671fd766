//! Bodies that are written while they are sent: a producer future and a channel with room for one piece.
//!
//! The connection polls the producer itself, so there is no task to track: when the client goes away, the body is
//! dropped, and the producer with it.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::body::BodyFailed;
use crate::error::{Error, Result};

/// Where the producer of a streamed body writes to.
#[derive(Debug)]
pub struct BodyWriter(mpsc::Sender<Bytes>);

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
        self.0.send(piece).await.map_err(|_| Error::internal("the client is gone"))
    }
}

/// The producer, and what it has made but not sent. In a `Mutex` only to be `Sync`: it is used through `get_mut`.
pub(crate) struct Producer(Mutex<Running>);

struct Running {
    writing: Option<BoxFuture<'static, Result<()>>>,
    pieces: mpsc::Receiver<Bytes>,
}

impl Producer {
    pub(super) fn new<W, Fut>(write: W) -> Self
    where
        W: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, pieces) = mpsc::channel(1);
        Self(Mutex::new(Running { writing: Some(write(BodyWriter(sender)).boxed()), pieces }))
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFailed>>> {
        let Running { writing, pieces } = self.0.get_mut();
        let done = writing.as_mut().map(|writing| writing.poll_unpin(cx));
        if let Some(Poll::Ready(done)) = done {
            *writing = None; // and with it the writer, so that the channel ends
            if let Err(error) = done {
                return Poll::Ready(Some(Err(BodyFailed(error))));
            }
        }
        pieces.poll_recv(cx).map(|piece| piece.map(Ok))
    }
}
