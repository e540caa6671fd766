//! Answers: [`Response`], and what a handler may return instead of one.
//!
//! `values.rs` has the types that become answers, `stream.rs` the bodies that are written while they are sent, `file/`
//! files with their conditions and ranges, `events.rs` server-sent events, `render.rs` templates.

mod body;
mod disposition;
mod event;
mod events;
mod fields;
pub(crate) mod file;
mod jsonp;
mod mapped;
#[cfg(feature = "minijinja")]
mod minijinja;
mod redirect;
mod render;
mod stream;
mod values;

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::error::{Error, Result};
#[cfg(feature = "websocket")]
use crate::server::Takeover;

#[cfg(feature = "minijinja")]
pub use self::minijinja::MiniJinja;
pub(crate) use body::{BodyFailed, WireBody};
pub(crate) use disposition::Disposition;
pub use event::Event;
pub(crate) use events::is_event_stream;
pub use events::{NotSent, Sse, SseSender};
pub(crate) use fields::{Fields, Set};
pub use file::File;
pub(crate) use file::disk;
pub(crate) use file::lists_tag;
pub(crate) use jsonp::jsonp;
pub(crate) use mapped::Around;
pub use redirect::Redirect;
pub use render::{Renderer, TemplateData};
pub(crate) use render::{Templates, content_type_of};
pub use stream::BodyWriter;
#[cfg(feature = "xml")]
pub use values::Xml;
pub(crate) use values::json;
#[cfg(feature = "xml")]
pub(crate) use values::xml;
pub use values::{Html, Pretty};

pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
#[cfg(feature = "xml")]
pub(crate) const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The only value of `X-Content-Type-Options`: the browser must not guess another type.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// An answer. `Send + Sync`, so that a middleware may look at it across an `.await`.
pub struct Response {
    status: StatusCode,
    headers: Fields,
    body: ResponseBody,
    held: Option<Permits>,
}

/// What an answer keeps until its body ends.
type Permits = Box<Held<dyn Send + Sync>>;

pub(crate) enum ResponseBody {
    Whole(Bytes),
    Stream(stream::Producer),
    Events(Box<events::Events>),
    /// A body with something of a middleware around it.
    Mapped(Box<mapped::Mapped>),
    /// No body: after the head the connection speaks another protocol.
    #[cfg(feature = "websocket")]
    Takeover(Option<Takeover>),
}

/// A list with one allocation per entry; the last one held is the first one dropped.
struct Held<T: ?Sized> {
    _rest: Option<Permits>,
    _value: T,
}

impl Response {
    /// An answer whose body is all there. It has no content type until [`Response::header`] gives it one.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::with_body(status, ResponseBody::Whole(body.into()))
    }

    fn with_body(status: StatusCode, body: ResponseBody) -> Self {
        Self { status, headers: Fields::default(), body, held: None }
    }

    /// An answer whose body is written while it is sent: `write` gets a [`BodyWriter`], whose `write` waits until
    /// the connection has taken the piece before, so that memory stays bounded.
    ///
    /// `write` runs on the connection's task and is dropped when the client goes away. If it fails, the connection
    /// is cut, so that the client sees a broken body and not a short one. Without [`Response::length`] the body is
    /// sent in chunks.
    pub fn stream<W, Fut>(status: StatusCode, content_type: HeaderValue, write: W) -> Self
    where
        W: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let body = ResponseBody::Stream(stream::Producer::new(write));
        Self::with_body(status, body).header(header::CONTENT_TYPE, content_type)
    }

    /// Declares how many bytes a streamed body will have: they are announced in `Content-Length`. A producer that
    /// writes more, or ends before, breaks the connection off. Nothing changes for a body that is all there.
    #[must_use]
    pub fn length(mut self, bytes: u64) -> Self {
        if let ResponseBody::Stream(producer) = &mut self.body {
            producer.declare(bytes);
        }
        self
    }

    /// An answer after which the connection belongs to `takeover`.
    #[cfg(feature = "websocket")]
    pub(crate) fn switching_protocols(takeover: Takeover) -> Self {
        Self::with_body(StatusCode::SWITCHING_PROTOCOLS, ResponseBody::Takeover(Some(takeover)))
    }

    /// Whether the connection speaks another protocol behind this answer.
    pub(crate) fn switches_protocols(&self) -> bool {
        #[cfg(feature = "websocket")]
        return self.status == StatusCode::SWITCHING_PROTOCOLS
            && matches!(self.body, ResponseBody::Takeover(_));
        #[cfg(not(feature = "websocket"))]
        false
    }

    /// Sets a header; it replaces an earlier one of its name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
    /// Changes the status.
    pub fn set_status(&mut self, status: StatusCode) {
        self.status = status;
    }
    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.headers.map()
    }
    /// The headers, to change.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.map_mut()
    }
    /// The headers, to add to, without the map that others would see.
    pub(crate) fn fields_mut(&mut self) -> &mut Fields {
        &mut self.headers
    }
    /// The body, if it is all there; `None` while it is a stream.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.body {
            ResponseBody::Whole(bytes) => Some(bytes),
            ResponseBody::Stream(_) | ResponseBody::Events(_) | ResponseBody::Mapped(_) => None,
            #[cfg(feature = "websocket")]
            ResponseBody::Takeover(_) => None,
        }
    }
    /// Puts another body in place; headers stay as they are.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = ResponseBody::Whole(body.into());
    }

    /// Keeps `permit` until the last byte of the body is written, or the client is gone. For an answer that switches
    /// to another protocol that is the end of its head: what is to last as long as a WebSocket belongs into the
    /// future that serves it.
    #[must_use]
    pub fn hold(mut self, permit: impl Send + Sync + 'static) -> Self {
        self.held = Some(Box::new(Held { _rest: self.held.take(), _value: permit }));
        self
    }

    /// What a HEAD request gets: the length that the body would have had, and no body.
    pub(crate) fn without_body(mut self) -> Self {
        let length = match &self.body {
            ResponseBody::Whole(bytes) => Some(bytes.len() as u64),
            ResponseBody::Stream(producer) => producer.declared(),
            ResponseBody::Mapped(mapped) => mapped.declared(),
            ResponseBody::Events(_) => None,
            #[cfg(feature = "websocket")]
            ResponseBody::Takeover(_) => None,
        };
        if let Some(length) = length {
            self.headers.map_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        self.body = ResponseBody::Whole(Bytes::new());
        self
    }

    pub(crate) fn into_wire(self) -> http::Response<WireBody> {
        let (status, headers, body) = self.into_parts();
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers.into_map();
        response
    }

    pub(crate) fn into_parts(self) -> (StatusCode, Fields, WireBody) {
        (self.status, self.headers, WireBody::new(self.body, self.held))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.bytes().map_or("a stream".to_owned(), |bytes| format!("{} bytes", bytes.len()));
        f.debug_struct("Response").field("status", &self.status).field("body", &body).finish_non_exhaustive()
    }
}

/// What a handler may answer with. It may fail, because an error stays a value until
/// [`App::on_error`](crate::App::on_error).
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer with `{Self}`",
    label = "the answer of this handler is not a response",
    note = "answers are `Response`, `&'static str`, `String`, `Bytes`, `Json<T>`, `Html<T>`, `Redirect`, `StatusCode`, `(StatusCode, T)` and `Result<T, E>` of these",
    note = "for an empty answer return `StatusCode::NO_CONTENT`; for a type of your own implement `IntoResponse`"
)]
pub trait IntoResponse {
    /// Makes the answer.
    ///
    /// # Errors
    /// Whatever the answer cannot be made of, e.g. JSON with map keys that are no strings.
    fn into_response(self) -> Result<Response>;
}

/// `Into<Error>`, with a message of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become a `seawall::Error`",
    label = "this handler fails with something that is no error",
    note = "implement `std::error::Error` for it, or `From<{Self}> for seawall::Error`"
)]
pub trait IntoError: Into<Error> {}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> IntoError for E {}

fn typed(content_type: HeaderValue, body: impl Into<Bytes>) -> Response {
    Response::new(StatusCode::OK, body).header(header::CONTENT_TYPE, content_type)
}
