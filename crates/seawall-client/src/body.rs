//! The body of a request: bytes that can be sent again, or a stream that is gone once it was sent.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Any error of a body that a caller brings along.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Boxed = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// What goes over the wire, once per attempt.
pub(crate) enum SendBody {
    /// All of it, until it was sent.
    Whole(Option<Bytes>),
    Stream(Boxed),
}

/// What the caller gave.
#[derive(Default)]
pub(crate) enum Payload {
    #[default]
    Empty,
    Whole(Bytes),
    /// Nothing is left of it after the first attempt.
    Stream(Option<Boxed>),
}

impl Payload {
    pub(crate) fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Stream(Some(Box::pin(body.map_err(Into::into))))
    }

    /// Whether it can be sent more than once.
    pub(crate) fn is_replayable(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }

    /// The body of one attempt; `None` if it is gone.
    pub(crate) fn send(&mut self) -> Option<SendBody> {
        match self {
            Self::Empty => Some(SendBody::Whole(None)),
            Self::Whole(bytes) => Some(SendBody::Whole(Some(bytes.clone()))),
            Self::Stream(stream) => stream.take().map(SendBody::Stream),
        }
    }

    /// Takes back what was never sent.
    pub(crate) fn put_back(&mut self, body: SendBody) {
        if let (Self::Stream(place), SendBody::Stream(stream)) = (self, body) {
            *place = Some(stream);
        }
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: they may be anybody's password.
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
