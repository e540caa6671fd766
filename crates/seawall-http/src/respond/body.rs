//! The answer's body as the connection sees it: bytes or a producer, and the permits that fall when it ends.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Permits, ResponseBody};
use crate::error::Error;
#[cfg(feature = "websocket")]
use crate::server::Takeover;

/// What is written to the socket. Dropping it, at the end or when the client is gone, drops what the answer held.
pub(crate) struct WireBody {
    body: ResponseBody,
    _held: Option<Permits>,
}

impl WireBody {
    pub(super) fn new(body: ResponseBody, held: Option<Permits>) -> Self {
        Self { body, _held: held }
    }

    /// Lets a body that would never end by itself end when `drain` returns.
    pub(crate) fn end_with<D>(&mut self, drain: impl FnOnce() -> D)
    where
        D: Future<Output = ()> + Send + 'static,
    {
        match &mut self.body {
            ResponseBody::Events(events) => events.end_with(drain()),
            ResponseBody::Mapped(mapped) => mapped.inner().end_with(drain),
            _ => {}
        }
    }

    /// Takes all of it, if all of it is there.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        let ResponseBody::Whole(bytes) = &mut self.body else { return None };
        Some(std::mem::take(bytes))
    }

    /// Takes out who gets the connection after this answer.
    #[cfg(feature = "websocket")]
    pub(crate) fn take_takeover(&mut self) -> Option<Takeover> {
        let ResponseBody::Takeover(takeover) = &mut self.body else { return None };
        takeover.take()
    }
}

/// The producer of a streamed body failed. Its message is for the log; the client sees the connection cut.
pub(crate) struct BodyFailed(pub(super) Error);

impl From<Error> for BodyFailed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        match &mut self.body {
            ResponseBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ResponseBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ResponseBody::Stream(producer) => producer.poll_next(cx),
            ResponseBody::Events(events) => events.poll_next(cx),
            ResponseBody::Mapped(mapped) => mapped.poll_next(cx),
            #[cfg(feature = "websocket")]
            ResponseBody::Takeover(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            ResponseBody::Whole(bytes) => bytes.is_empty(),
            ResponseBody::Stream(producer) => producer.declared() == Some(0),
            ResponseBody::Events(_) => false,
            ResponseBody::Mapped(mapped) => mapped.declared() == Some(0),
            #[cfg(feature = "websocket")]
            ResponseBody::Takeover(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            ResponseBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ResponseBody::Stream(producer) => {
                producer.declared().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            ResponseBody::Mapped(mapped) => {
                mapped.declared().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            ResponseBody::Events(_) => SizeHint::default(),
            #[cfg(feature = "websocket")]
            ResponseBody::Takeover(_) => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
impl fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body's producer failed: {:?}", self.0)
    }
}
impl std::error::Error for BodyFailed {}
