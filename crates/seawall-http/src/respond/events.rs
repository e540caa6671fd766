//! Server-sent events: an answer whose body is a stream of [`Event`]s (WHATWG HTML, 9.2).
//!
//! The events come from a channel with a bound, written by whoever holds a [`SseSender`]: a task of yours, or a
//! producer that the connection drives. Comments in between keep proxies from taking a quiet stream for a dead one.
//! When the server drains, the stream ends after the event that is being sent; a browser reconnects, elsewhere.

use std::future::pending;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{fmt, pin::Pin};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep_until};

use super::body::BodyFailed;
use super::{Event, IntoResponse, Response, ResponseBody};
use crate::clock;
use crate::error::{Error, Result};

/// How long a stream may be silent before a comment is sent, unless said otherwise: under the minute after which
/// most proxies give up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events that a producer may be ahead of its connection.
const AHEAD: usize = 1;

/// An answer of server-sent events.
///
/// ```
/// use std::time::Duration;
/// use seawall_http::{Event, Sse};
///
/// async fn clock() -> Sse {
///     Sse::new(async |events| {
///         for tick in 0.. {
///             events.send(Event::data("tick").id(tick.to_string())).await?;
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///         Ok(())
///     })
/// }
/// ```
#[must_use = "a handler answers with it"]
pub struct Sse(Events);

/// Where events are sent. Cloning gives another sender of the same stream, which ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct SseSender(mpsc::Sender<Bytes>);

/// Why an event was not sent.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The channel is full: the client reads slower than events come.
    Full(Event),
    /// The client is gone, or the server drains.
    Closed(Event),
    /// Its id or its type has a line break.
    Invalid(Event),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the client reads slower than events come",
            Self::Closed(_) => "the stream of events has ended",
            Self::Invalid(_) => "the id or the type of an event has a line break",
        })
    }
}
impl std::error::Error for NotSent {}

impl SseSender {
    /// Sends an event; while the channel is full, waits for the connection to take one.
    ///
    /// # Errors
    /// If the client is gone or the server drains; 500 for an id or a type with a line break.
    ///
    /// # Cancel safety
    /// An event whose call was cancelled is not sent.
    pub async fn send(&self, event: Event) -> Result<()> {
        let bytes = event.encode()?;
        self.0.send(bytes).await.map_err(|_| Error::from(NotSent::Closed(event)))
    }
    /// Sends an event if there is room for it now, and gives it back if not.
    ///
    /// # Errors
    /// A [`NotSent`] that says why.
    pub fn try_send(&self, event: Event) -> Result<(), NotSent> {
        use mpsc::error::TrySendError::{Closed, Full};
        let Ok(bytes) = event.encode() else { return Err(NotSent::Invalid(event)) };
        self.0.try_send(bytes).map_err(|error| match error {
            Full(_) => NotSent::Full(event),
            Closed(_) => NotSent::Closed(event),
        })
    }
    /// Returns when nobody will read any more: the client is gone, or the server drains.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Sse {
    /// Events from a producer. It runs on the connection's task, at most one event ahead of the client, and is
    /// dropped when the client goes away or the server drains. When it returns, the stream ends; if it fails, the
    /// connection is cut, and the error is logged.
    pub fn new<W, Fut>(write: W) -> Self
    where
        W: FnOnce(SseSender) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(AHEAD);
        let writing = write(SseSender(sender)).boxed();
        Self(Events::new(events, Some(writing)))
    }

    /// Events from elsewhere, such as a task that watches something for many clients. `capacity` events may wait for
    /// the client, at least one; when as many do, [`SseSender::send`] waits and [`SseSender::try_send`] says so.
    pub fn channel(capacity: usize) -> (SseSender, Self) {
        let (sender, events) = mpsc::channel(capacity.max(1));
        (SseSender(sender), Self(Events::new(events, None)))
    }

    /// After how much silence a comment is sent. Default 15 s; zero sends none.
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.0.keep_alive = every;
        self
    }
}

impl IntoResponse for Sse {
    fn into_response(self) -> Result<Response> {
        const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
        // nginx would gather the stream, and hold events back.
        const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
        let response = Response::with_body(StatusCode::OK, ResponseBody::Events(Box::new(self.0)));
        Ok(response
            .header(header::CONTENT_TYPE, EVENTS)
            .header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
            .header(X_ACCEL_BUFFERING, HeaderValue::from_static("no")))
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").field("keep_alive", &self.0.keep_alive).finish_non_exhaustive()
    }
}

/// The body. In `Mutex`es only to be `Sync`: they are used through `get_mut`.
pub(crate) struct Events {
    events: mpsc::Receiver<Bytes>,
    writing: Mutex<Option<BoxFuture<'static, Result<()>>>>,
    drain: Mutex<BoxFuture<'static, ()>>,
    keep_alive: Duration,
    /// When something was sent last, and the timer that looks at it.
    spoke: Instant,
    silence: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Events {
    fn new(events: mpsc::Receiver<Bytes>, writing: Option<BoxFuture<'static, Result<()>>>) -> Self {
        Self {
            events,
            writing: Mutex::new(writing),
            drain: Mutex::new(pending().boxed()),
            keep_alive: KEEP_ALIVE,
            spoke: clock::now(),
            silence: None,
            ended: false,
        }
    }

    /// Ends the stream when `drain` returns.
    pub(super) fn end_with(&mut self, drain: impl Future<Output = ()> + Send + 'static) {
        self.drain = Mutex::new(drain.boxed());
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        if !self.ended && self.drain.get_mut().poll_unpin(cx).is_ready() {
            self.end(); // what waits in the channel is still sent
        }
        if let Some(Err(error)) = self.poll_writing(cx) {
            self.end();
            return Poll::Ready(Some(Err(BodyFailed(error))));
        }
        match self.events.poll_recv(cx) {
            Poll::Ready(Some(event)) => {
                self.spoke = clock::now();
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_silence(cx),
        }
    }

    /// Drives the producer; what it ended with, once.
    fn poll_writing(&mut self, cx: &mut Context<'_>) -> Option<Result<()>> {
        let writing = self.writing.get_mut();
        let Poll::Ready(done) = writing.as_mut()?.poll_unpin(cx) else { return None };
        *writing = None; // and with it the sender, so that the channel ends
        Some(done)
    }

    /// A comment, once nothing was sent for long. The timer is left alone by events: it is set anew when it fires.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        if self.keep_alive.is_zero() {
            return Poll::Pending;
        }
        loop {
            let due = (self.spoke + self.keep_alive).into();
            let silence = self.silence.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(silence.as_mut().poll(cx));
            if silence.deadline() >= due {
                self.spoke = clock::now();
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": keep-alive\n\n")))));
            }
            silence.as_mut().reset(due);
        }
    }

    /// Tells whoever sends, by what they send to being gone.
    fn end(&mut self) {
        self.ended = true;
        *self.writing.get_mut() = None;
        self.events.close();
    }
}

/// Whether an answer of this type is a stream of events, which has no end of its own: it holds its connection's room, but
/// not that of a request.
pub(crate) fn is_event_stream(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}
