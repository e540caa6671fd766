//! [`Context`]: the request, what middleware learnt about it, and the short ways to an answer.
//!
//! A handle of one word; cloning it is one atomic add. Nothing in it changes under a reader: values are only
//! appended, the body is only ever taken or kept whole.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::{Chain, Shared};
use crate::body::Body;
use crate::error::{Error, Result};
use crate::extract::{Json, Path, Query};
use crate::middleware::BodyLimit;
use crate::respond::{BodyWriter, HTML, IntoResponse as _, JSON, Redirect, Response, TEXT};
use crate::router::Params;
use crate::values::Values;

/// The request, and what middleware learnt about it. A handle: cloning it is one atomic add.
///
/// A middleware that wants to look at the request after `next.run` keeps a clone, and
/// [`App::on_error`](crate::App::on_error) sees what the handler saw.
#[derive(Clone)]
pub struct Context(Arc<Exchange>);

/// What the server knows of a request beside the request itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) at: Instant,
}

struct Exchange {
    head: http::request::Parts,
    arrival: Arrival,
    body: Mutex<BodyState>,
    matched: OnceLock<Matched>,
    /// The methods that the path exists for, if not for this one.
    other_methods: OnceLock<Vec<Method>>,
    request_id: OnceLock<Box<str>>,
    values: Values,
    shared: Arc<Shared>,
}

enum BodyState {
    Unread(Body),
    Whole(Bytes),
    /// Somebody streams it, or was cancelled while reading all of it.
    Taken,
}

/// The route, and where its parameters stand in the path.
pub(crate) struct Matched {
    pub(crate) chain: Arc<Chain>,
    pub(crate) params: Params,
}

struct Rewritten(Uri);

impl Context {
    pub(crate) fn new(request: http::Request<Body>, arrival: Arrival, shared: Arc<Shared>) -> Self {
        let (head, body) = request.into_parts();
        Self(Arc::new(Exchange {
            head,
            arrival,
            body: Mutex::new(BodyState::Unread(body)),
            matched: OnceLock::new(),
            other_methods: OnceLock::new(),
            request_id: OnceLock::new(),
            values: Values::default(),
            shared,
        }))
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.0.head.method
    }
    /// The target; after [`Context::rewrite`], the new one.
    pub fn uri(&self) -> &Uri {
        self.0.values.last::<Rewritten>().map_or(&self.0.head.uri, |rewritten| &rewritten.0)
    }
    /// The path as it was sent, not decoded.
    pub fn path(&self) -> &str {
        self.uri().path()
    }
    /// The HTTP version.
    pub fn version(&self) -> Version {
        self.0.head.version
    }
    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.head.headers
    }
    /// A header as text; `None` if it is missing or no visible ASCII.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }
    /// The other end of the connection; `None` in a [`TestClient`](crate::testing::TestClient).
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.arrival.peer
    }
    /// When the request's head was read.
    pub fn received_at(&self) -> Instant {
        self.0.arrival.at
    }
    /// The pattern that matched, `/users/:id`: the only name of a route that is fit for a metric label. `None`
    /// before routing, and where no route matched.
    pub fn route(&self) -> Option<&str> {
        Some(self.0.matched.get()?.chain.pattern()).filter(|pattern| !pattern.is_empty())
    }

    /// Gives the router another target; for [`App::pre`](crate::App::pre). Once a route is found it does nothing.
    pub fn rewrite(&self, uri: Uri) {
        if self.0.matched.get().is_none() {
            self.set(Rewritten(uri));
        }
    }

    /// This request's id: `X-Request-Id` if the client sent a plausible one, else a new one. Made when first asked
    /// for; it comes back to the client only through the [`RequestId`](crate::middleware::RequestId) middleware.
    pub fn request_id(&self) -> &str {
        self.0.request_id.get_or_init(|| crate::middleware::request_id(self.headers()))
    }

    /// Remembers `value` for whoever comes later; it hides an earlier one of its type. A request carries at most 64
    /// values; further ones are dropped and logged.
    pub fn set<T: Any + Send + Sync>(&self, value: T) {
        if !self.0.values.push(value) {
            let kind = std::any::type_name::<T>();
            tracing::warn!(
                route = self.route(),
                kind,
                "a request carries 64 values already; this one is dropped"
            );
        }
    }
    /// The last value of its type that was [`set`](Context::set).
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.values.last()
    }
    /// What [`App::state`](crate::App::state) was given. Prefer [`State`](crate::State) as an argument: that is
    /// checked at start, this cannot be.
    ///
    /// # Errors
    /// 500, naming the type for the log, if nobody gave it.
    pub fn state<T: Any + Send + Sync>(&self) -> Result<&T> {
        self.0.shared.state::<T>().map(|state| &***state)
    }

    /// A path parameter, percent-decoded once and parsed.
    ///
    /// # Errors
    /// 400 naming the parameter if its value does not parse; 500 if the route has no such parameter.
    pub fn param<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T> {
        let found = self.params()?.find(|(known, _)| *known == name);
        let Some((_, value)) = found else {
            return Err(Error::internal(format!("this route has no parameter `{name}`")));
        };
        value.parse().map_err(|e| Error::bad_request("invalid path parameter").field(name.to_owned(), e))
    }

    /// Names and decoded values of the path parameters, in the order of the path; that of `*` is `*`.
    ///
    /// # Errors
    /// 400 if a value is not UTF-8 once decoded.
    pub(crate) fn params(&self) -> Result<impl Iterator<Item = (&str, Cow<'_, str>)>> {
        let matched = self.0.matched.get();
        let names = matched.map_or(&[][..], |matched| matched.chain.names());
        let spans = matched.map_or(&[][..], |matched| matched.params.spans());
        let mut decoded = smallvec::SmallVec::<[(&str, Cow<'_, str>); 4]>::new();
        for (name, &(start, end)) in names.iter().zip(spans) {
            let raw = &self.path()[start as usize..end as usize];
            let value = percent_decode_str(raw).decode_utf8();
            let not_text =
                |_| Error::bad_request("invalid path parameter").field(name.to_string(), "is not UTF-8");
            decoded.push((name, value.map_err(not_text)?));
        }
        Ok(decoded.into_iter())
    }

    /// The query, into a type of yours.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        Query::read(self).map(|Query(value)| value)
    }
    /// The path parameters, into a type of yours; see [`Path`].
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub fn params_as<T: DeserializeOwned>(&self) -> Result<T> {
        Path::read(self).map(|Path(value)| value)
    }
    /// The JSON body, into a type of yours.
    ///
    /// # Errors
    /// 400 for what is no JSON, 413, 415, and 422 naming the field.
    pub async fn bind<T: DeserializeOwned>(&self) -> Result<T> {
        Json::read(self).await.map(|Json(value)| value)
    }

    /// The whole body. It stays readable, so that a middleware may peek, or run the rest of the chain again.
    ///
    /// # Errors
    /// 413 over the limit; 400 if the client broke it off; 500 if it is being streamed already.
    ///
    /// # Cancel safety
    /// Not safe: a body whose reading was cancelled is gone.
    pub async fn body(&self) -> Result<Bytes> {
        let body = match std::mem::replace(&mut *self.0.body.lock(), BodyState::Taken) {
            BodyState::Whole(bytes) => Body::whole(bytes),
            BodyState::Unread(body) => body.limited(self.body_limit()),
            BodyState::Taken => return Err(already_read()),
        };
        let bytes = body.collect().await?;
        *self.0.body.lock() = BodyState::Whole(bytes.clone());
        Ok(bytes)
    }

    /// The body as a stream. The first reader takes it, unless somebody has read all of it before.
    ///
    /// # Errors
    /// 500 if it is being streamed already.
    pub fn stream_body(&self) -> Result<Body> {
        let mut state = self.0.body.lock();
        match &*state {
            BodyState::Whole(bytes) => return Ok(Body::whole(bytes.clone())),
            BodyState::Taken => return Err(already_read()),
            BodyState::Unread(_) => {}
        }
        let BodyState::Unread(body) = std::mem::replace(&mut *state, BodyState::Taken) else {
            return Err(already_read());
        };
        Ok(body.limited(self.body_limit()))
    }

    fn body_limit(&self) -> usize {
        self.get::<BodyLimit>().map_or(self.0.shared.body_limit, BodyLimit::bytes)
    }

    /// Answers with JSON.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `value` does not serialise.
    pub fn json<T: Serialize + ?Sized>(&self, status: u16, value: &T) -> Result<Response> {
        answer(status, JSON, serde_json::to_vec(value)?)
    }
    /// Answers with plain text.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status.
    pub fn text(&self, status: u16, text: impl Into<Bytes>) -> Result<Response> {
        answer(status, TEXT, text)
    }
    /// Answers with HTML.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status.
    pub fn html(&self, status: u16, html: impl Into<Bytes>) -> Result<Response> {
        answer(status, HTML, html)
    }
    /// Answers with bytes of a content type of yours.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `content_type` no header value.
    pub fn bytes(&self, status: u16, content_type: &str, bytes: impl Into<Bytes>) -> Result<Response> {
        answer(status, HeaderValue::from_str(content_type)?, bytes)
    }
    /// Answers with a body that is written while it is sent; see [`Response::stream`].
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `content_type` no header value.
    pub fn stream<W, Fut>(&self, status: u16, content_type: &str, write: W) -> Result<Response>
    where
        W: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Ok(Response::stream(StatusCode::from_u16(status)?, HeaderValue::from_str(content_type)?, write))
    }
    /// Sends the client elsewhere.
    ///
    /// # Errors
    /// 500 if `status` is no redirect or `location` no header value.
    pub fn redirect(&self, status: u16, location: impl Into<String>) -> Result<Response> {
        Redirect::with_status(StatusCode::from_u16(status)?, location)?.into_response()
    }
    /// Answers with 204 and nothing else.
    ///
    /// # Errors
    /// None; a `Result` only to read like its neighbours.
    pub fn no_content(&self) -> Result<Response> {
        StatusCode::NO_CONTENT.into_response()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
    pub(crate) fn matched(&self) -> Option<&Matched> {
        self.0.matched.get()
    }
    /// A second attempt would find the same route, so it changes nothing.
    pub(crate) fn set_matched(&self, matched: Matched) {
        let _ = self.0.matched.set(matched);
    }
    pub(crate) fn other_methods(&self) -> Option<&[Method]> {
        self.0.other_methods.get().map(Vec::as_slice)
    }
    pub(crate) fn set_other_methods(&self, methods: Vec<Method>) {
        let _ = self.0.other_methods.set(methods);
    }
}

fn answer(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Result<Response> {
    Ok(Response::new(StatusCode::from_u16(status)?, body).header(header::CONTENT_TYPE, content_type))
}

fn already_read() -> Error {
    Error::internal("the body is being read already, or its reader was cancelled")
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} {})", self.method(), self.path())
    }
}
