//! Answers: [`Response`], and what a handler may return instead of one.

mod body;
mod stream;

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::extract::Json;

pub(crate) use body::{BodyFailed, WireBody};
pub use stream::BodyWriter;

pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An answer. `Send + Sync`, so that a middleware may look at it across an `.await`.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: ResponseBody,
    held: Option<Permits>,
}

/// What an answer keeps until its body ends.
type Permits = Box<Held<dyn Send + Sync>>;

pub(crate) enum ResponseBody {
    Whole(Bytes),
    Stream(stream::Producer),
}

/// A list with one allocation per entry; the last one held is the first one dropped.
struct Held<T: ?Sized> {
    _rest: Option<Permits>,
    _value: T,
}

impl Response {
    /// An answer whose body is all there. It has no content type until [`Response::header`] gives it one.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: ResponseBody::Whole(body.into()), held: None }
    }

    /// An answer whose body is written while it is sent: `write` gets a [`BodyWriter`], whose `write` waits until
    /// the connection has taken the piece before, so that memory stays bounded.
    ///
    /// `write` runs on the connection's task and is dropped when the client goes away. If it fails, the connection
    /// is cut, so that the client sees a broken body and not a short one.
    pub fn stream<W, Fut>(status: StatusCode, content_type: HeaderValue, write: W) -> Self
    where
        W: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let body = ResponseBody::Stream(stream::Producer::new(write));
        Self { status, headers: HeaderMap::new(), body, held: None }
            .header(header::CONTENT_TYPE, content_type)
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
        &self.headers
    }
    /// The headers, to change.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
    /// The body, if it is all there; `None` while it is a stream.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.body {
            ResponseBody::Whole(bytes) => Some(bytes),
            ResponseBody::Stream(_) => None,
        }
    }
    /// Puts another body in place; headers stay as they are.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = ResponseBody::Whole(body.into());
    }

    /// Keeps `permit` until the last byte of the body is written, or the client is gone.
    #[must_use]
    pub fn hold(mut self, permit: impl Send + Sync + 'static) -> Self {
        self.held = Some(Box::new(Held { _rest: self.held.take(), _value: permit }));
        self
    }

    /// What a HEAD request gets: the length that the body would have had, and no body.
    pub(crate) fn without_body(mut self) -> Self {
        if let ResponseBody::Whole(bytes) = &self.body {
            self.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| bytes.len().into());
        }
        self.body = ResponseBody::Whole(Bytes::new());
        self
    }

    pub(crate) fn into_wire(self) -> http::Response<WireBody> {
        let mut response = http::Response::new(WireBody::new(self.body, self.held));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
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

/// A body that is HTML.
#[derive(Debug, Clone)]
pub struct Html<T>(pub T);

/// Sends the client elsewhere.
#[derive(Debug, Clone)]
pub struct Redirect {
    status: StatusCode,
    location: String,
}

impl Redirect {
    /// 302: elsewhere, this time.
    pub fn found(location: impl Into<String>) -> Self {
        Self { status: StatusCode::FOUND, location: location.into() }
    }
    /// 303: look for the result there, with GET.
    pub fn see_other(location: impl Into<String>) -> Self {
        Self { status: StatusCode::SEE_OTHER, location: location.into() }
    }
    /// 308: elsewhere, from now on, with the same method.
    pub fn permanent(location: impl Into<String>) -> Self {
        Self { status: StatusCode::PERMANENT_REDIRECT, location: location.into() }
    }
    /// With a status of your own.
    ///
    /// # Errors
    /// If it is no 3xx.
    pub fn with_status(status: StatusCode, location: impl Into<String>) -> Result<Self> {
        if !status.is_redirection() {
            return Err(Error::internal(format!("a redirect's status is {status}, but must be 300 to 308")));
        }
        Ok(Self { status, location: location.into() })
    }
}

fn typed(content_type: HeaderValue, body: impl Into<Bytes>) -> Result<Response> {
    Ok(Response::new(StatusCode::OK, body).header(header::CONTENT_TYPE, content_type))
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}
impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response> {
        typed(TEXT, self)
    }
}
impl IntoResponse for String {
    fn into_response(self) -> Result<Response> {
        typed(TEXT, self)
    }
}
impl IntoResponse for Bytes {
    fn into_response(self) -> Result<Response> {
        typed(BYTES, self)
    }
}
impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Result<Response> {
        typed(BYTES, self)
    }
}
impl<T: Into<Bytes>> IntoResponse for Html<T> {
    fn into_response(self) -> Result<Response> {
        typed(HTML, self.0)
    }
}
impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        typed(JSON, serde_json::to_vec(&self.0)?)
    }
}
impl IntoResponse for Redirect {
    fn into_response(self) -> Result<Response> {
        let location = HeaderValue::try_from(self.location)?;
        Ok(Response::new(self.status, Bytes::new()).header(header::LOCATION, location))
    }
}
impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(self, Bytes::new()))
    }
}
impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response> {
        Ok(Response { status: self.0, ..self.1.into_response()? })
    }
}
impl<T: IntoResponse, E: IntoError> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(Into::into)?.into_response()
    }
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
