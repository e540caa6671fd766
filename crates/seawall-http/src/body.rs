//! The body of a request: a stream that is read at most once, with its limit on the stream itself.
//!
//! The limit counts bytes as they arrive, so that a chunked body is bound by it as well as one that declares its
//! length; a declared length over the limit is refused before a byte is read.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::error::{Error, Result};
use crate::server::Incoming;

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type AnyBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = AnyError> + Send>>;

/// The body of a request, piece by piece. An argument of a handler that takes it must be the last one.
pub struct Body {
    source: Source,
    /// Bytes allowed in all, and how many have come.
    limit: usize,
    seen: usize,
}

enum Source {
    Whole(Bytes),
    /// What the connection reads while it is asked for.
    Incoming(Incoming),
    Stream(AnyBody),
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Incoming(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Incoming(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl Body {
    /// A body that is all there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Whole(bytes.into()), limit: usize::MAX, seen: 0 }
    }

    /// A body that comes in these chunks, without a declared length: what a chunked request looks like to a handler.
    pub fn chunks(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let chunks: std::collections::VecDeque<_> = chunks.into_iter().collect();
        Self::from_http(Chunks(chunks))
    }

    pub(crate) fn from_http<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::whole(Bytes::new());
        }
        Self { source: Source::Stream(Box::pin(body.map_err(Into::into))), limit: usize::MAX, seen: 0 }
    }

    pub(crate) fn incoming(incoming: Incoming) -> Self {
        Self { source: Source::Incoming(incoming), limit: usize::MAX, seen: 0 }
    }

    /// The same body, of which at most `limit` bytes may come.
    pub(crate) fn limited(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Whether it is certain that nothing comes.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.source, Source::Whole(bytes) if bytes.is_empty())
    }

    /// The next piece, or `None` at the end. Trailers are skipped.
    ///
    /// # Errors
    /// 413 once more bytes came than the limit allows; 400 if the client broke the body off.
    ///
    /// # Cancel safety
    /// Nothing is lost: a piece that was not handed out yet comes with the next call.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if exceeds(&self.source.size_hint(), self.limit - self.seen) {
                return Poll::Ready(Some(Err(Error::too_large(self.limit))));
            }
            let chunk = match ready!(self.source.poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Ok(Ok(chunk))) => chunk,
                Some(Ok(Err(_trailers))) => continue,
                Some(Err(error)) => return Poll::Ready(Some(Err(broken_off(error)))),
            };
            if chunk.len() > self.limit - self.seen {
                return Poll::Ready(Some(Err(Error::too_large(self.limit))));
            }
            self.seen += chunk.len();
            return Poll::Ready(Some(Ok(chunk)));
        }
    }

    /// All of it. One piece is handed on as it came, without a copy.
    ///
    /// # Errors
    /// As [`Body::next`].
    pub async fn collect(mut self) -> Result<Bytes> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(&first[..]);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all.freeze())
    }
}

/// Whether so much is certain to come that it is not worth reading.
fn exceeds(hint: &SizeHint, room: usize) -> bool {
    usize::try_from(hint.lower()).map_or(true, |certain| certain > room)
}

/// What a layer of ours said about the body stays what it is: 413, 415, a broken code.
fn broken_off(error: AnyError) -> Error {
    let error = Error::from_boxed(error);
    if error.is_undecided() {
        return Error::bad_request("the body ended before its end").with_cause_of(error);
    }
    error
}

/// For code that knows only the trait, such as tower's. An [`Error`] travels in its error and is found again there.
impl http_body::Body for Body {
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        let polled = ready!(self.poll_next(cx));
        Poll::Ready(polled.map(|chunk| chunk.map(Frame::data).map_err(Into::into)))
    }
    fn is_end_stream(&self) -> bool {
        matches!(&self.source, Source::Whole(bytes) if bytes.is_empty())
    }
    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("limit", &self.limit).field("seen", &self.seen).finish_non_exhaustive()
    }
}

struct Chunks(std::collections::VecDeque<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}
