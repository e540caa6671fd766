//! Copies of the bodies of request and answer, for whoever looks into what two systems tell each other.
//!
//! The copies are made while the bodies pass, piece by piece: nothing is held up, and nothing is read that the handler
//! did not read.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waker, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use seawall_core::ConfigError;
use serde::Deserialize;

use super::{Middleware, Next};
use crate::body::Body;
use crate::context::Context;
use crate::error::Result;
use crate::respond::{Around, BodyFailed, Response, WireBody};

/// How much is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BodyDumpConfig {
    /// Bytes of the request's body that are copied; what is beyond is counted. At most 1 MiB. Default 8 KiB.
    pub max_request_bytes: usize,
    /// The same of the answer's body.
    pub max_response_bytes: usize,
}

const MOST: usize = 1 << 20;

impl Default for BodyDumpConfig {
    fn default() -> Self {
        Self { max_request_bytes: 8 << 10, max_response_bytes: 8 << 10 }
    }
}

/// The copy of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// How many passed in all; more than there are here if it was longer than the limit.
    pub total: u64,
}

impl Copied {
    /// Whether every byte that passed is here.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.total
    }

    fn add(&mut self, piece: &[u8], max: usize) {
        let room = max - self.bytes.len();
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        self.total += piece.len() as u64;
    }
}

/// What passed in one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// What the handler read of the request's body.
    pub request: Copied,
    /// The status of the answer.
    pub status: StatusCode,
    /// What the connection took of the answer's body. Empty for a failure, whose answer is made further out.
    pub response: Copied,
}

type Show = dyn Fn(&Context, Dump) + Send + Sync;

/// Shows the bodies of each exchange to a function, once the answer's body has ended or the client is gone. The
/// function runs on the worker and must not block. A request that ends without an answer (the client left, a timeout
/// further out) is not shown.
///
/// Bodies carry passwords and people: this is for debugging, and what it is given belongs into no log that others read.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{BodyDump, BodyDumpConfig};
///
/// let dump = BodyDump::new(&BodyDumpConfig::default(), |c, dump| {
///     tracing::debug!(path = c.path(), asked = dump.request.total, answered = dump.response.total);
/// })?;
/// let app = App::new().with(dump).post("/", async |text: String| text);
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Clone)]
pub struct BodyDump {
    config: BodyDumpConfig,
    show: Arc<Show>,
}

/// What a request leaves for its answer.
struct Asked(Arc<Mutex<Copied>>);

impl BodyDump {
    /// Checks the configuration; `show` gets what passed.
    ///
    /// # Errors
    /// If a limit is above 1 MiB.
    pub fn new(
        config: &BodyDumpConfig,
        show: impl Fn(&Context, Dump) + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let BodyDumpConfig { max_request_bytes, max_response_bytes } = *config;
        let within = |field, bytes| {
            if bytes > MOST { Err(ConfigError::new(field, bytes, format!("0 to {MOST}"))) } else { Ok(()) }
        };
        within("body_dump.max_request_bytes", max_request_bytes)?;
        within("body_dump.max_response_bytes", max_response_bytes)?;
        Ok(Self { config: *config, show: Arc::new(show) })
    }

    /// Reads along. A body that somebody streams already is not copied.
    fn tap(&self, c: &Context) {
        let copy = Arc::new(Mutex::new(Copied::default()));
        c.set(Asked(Arc::clone(&copy)));
        if let Ok(body) = c.stream_body() {
            c.put_body(Body::from_http(Tapped { body, copy, max: self.config.max_request_bytes }));
        }
    }

    fn look(&self, c: &Context, answer: &mut Result<Response>) {
        let status = match answer {
            Ok(response) => response.status(),
            Err(error) => error.status(),
        };
        let asked = c.get::<Asked>().map(|asked| Arc::clone(&asked.0)).unwrap_or_default();
        let mut showing = Showing {
            c: c.clone(),
            show: Arc::clone(&self.show),
            max: self.config.max_response_bytes,
            asked,
            status,
            copy: Copied::default(),
        };
        let Ok(response) = answer else { return };
        match response.bytes() {
            Some(bytes) => showing.copy.add(bytes, showing.max),
            None => response.map_body(showing),
        }
    }
}

/// A request's body that is copied as it is read.
struct Tapped {
    body: Body,
    copy: Arc<Mutex<Copied>>,
    max: usize,
}

impl http_body::Body for Tapped {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(piece) = polled.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.copy.lock().add(piece, self.max);
        }
        Poll::Ready(polled)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that is copied as it is sent, and shown when it is dropped, which is when nothing more can come.
struct Showing {
    c: Context,
    show: Arc<Show>,
    max: usize,
    asked: Arc<Mutex<Copied>>,
    status: StatusCode,
    copy: Copied,
}

impl Around for Showing {
    fn poll_next(
        &mut self,
        inner: &mut WireBody,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let polled = ready!(Pin::new(inner).poll_frame(cx));
        if let Some(piece) = polled.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.copy.add(piece, self.max);
        }
        Poll::Ready(polled)
    }
    fn length(&self, inner: Option<u64>) -> Option<u64> {
        inner
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        let request = std::mem::take(&mut *self.asked.lock());
        let response = std::mem::take(&mut self.copy);
        (self.show)(&self.c, Dump { request, status: self.status, response });
    }
}

impl fmt::Debug for BodyDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyDump").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Middleware for BodyDump {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        self.tap(&c);
        let mut answer = next.run(c.clone()).await;
        self.look(&c, &mut answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stops_at_its_limit_and_goes_on_counting() {
        let mut copy = Copied::default();
        copy.add(b"abc", 4);
        assert!(copy.is_whole());
        copy.add(b"def", 4);
        copy.add(b"ghi", 4);
        assert_eq!((&copy.bytes[..], copy.total, copy.is_whole()), (&b"abcd"[..], 9, false));
    }

    #[test]
    fn limits_have_a_limit() {
        let config = BodyDumpConfig { max_request_bytes: MOST + 1, ..BodyDumpConfig::default() };
        let text = BodyDump::new(&config, |_, _| {}).unwrap_err().to_string();
        assert_eq!(text, "`body_dump.max_request_bytes` is 1048577, but must be 0 to 1048576");
    }
}
