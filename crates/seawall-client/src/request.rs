//! A request that is being put together, and sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use http_body::Body;
use seawall_core::Deadline;
use seawall_guard::Repeatable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::Target;
use crate::body::{BoxError, Payload};
use crate::call;
use crate::client::Client;
use crate::config::LONGEST_CALL;
use crate::error::{ErrorKind, Fault, Phase, Result};
use crate::response::Response;

/// Changes the header fields of each attempt.
pub(crate) type Inject = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// A request. Nothing happens before [`send`](Self::send) or [`json`](Self::json); mistakes in it come out there.
///
/// Dropping the future of either gives the call up: a connection of HTTP/1 that is in the middle of it is closed, a
/// stream of HTTP/2 is reset, room and permits are free at once, and the breaker counts it as nothing.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    pub(crate) client: Client,
    pub(crate) parts: Parts,
    mistake: Option<Fault>,
}

/// What a request is made of.
pub(crate) struct Parts {
    pub(crate) method: Method,
    url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    pub(crate) options: Options,
}

/// Where a request differs from its client.
#[derive(Default)]
pub(crate) struct Options {
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) no_retry: bool,
    pub(crate) no_hedge: bool,
    idempotent: Option<bool>,
    pub(crate) max_body: Option<usize>,
    pub(crate) inject: Vec<Inject>,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, method: Method, url: &str) -> Self {
        let parts = Parts {
            method,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            options: Options::default(),
        };
        Self { client, parts, mistake: None }
    }

    /// Sets a header field, in place of what was there.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => _ = self.parts.headers.insert(name, value),
            (Err(_), _) => self.mistake("a header's name is not valid"),
            (_, Err(_)) => self.mistake("a header's value is not valid"),
        }
        self
    }

    /// Sets header fields, in place of those of the same names.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        let mut last = None;
        for (name, value) in headers {
            // A map gives the name with the first of its values alone.
            match (name, &last) {
                (Some(name), _) => {
                    self.parts.headers.insert(name.clone(), value);
                    last = Some(name);
                }
                (None, Some(name)) => _ = self.parts.headers.append(name.clone(), value),
                (None, None) => {}
            }
        }
        self
    }

    /// `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.secret(format!("Bearer {token}"))
    }

    /// `Authorization: Basic`.
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        self.secret(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    fn secret(mut self, value: String) -> Self {
        match HeaderValue::try_from(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.parts.headers.insert(AUTHORIZATION, value);
            }
            Err(_) => self.mistake("a credential is not valid in a header"),
        }
        self
    }

    /// Adds pairs to the URL's query, behind those that it has.
    pub fn query<T: Serialize + ?Sized>(mut self, pairs: &T) -> Self {
        match serde_html_form::to_string(pairs) {
            Ok(pairs) if pairs.is_empty() => {}
            Ok(pairs) => {
                let url = &mut self.parts.url;
                let end = url.find('#').unwrap_or(url.len());
                url.truncate(end); // a fragment is not sent
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&pairs);
            }
            Err(error) => self.fault(Fault::new(ErrorKind::Request, Phase::Prepare).because(error)),
        }
        self
    }

    /// The body, and its `Content-Type` if there is none yet.
    pub fn json_body<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.typed("application/json", bytes.into()),
            Err(error) => {
                self.fault(Fault::new(ErrorKind::Request, Phase::Prepare).because(error));
                self
            }
        }
    }

    /// The body as a form, and its `Content-Type` if there is none yet.
    pub fn form_body<T: Serialize + ?Sized>(mut self, pairs: &T) -> Self {
        match serde_html_form::to_string(pairs) {
            Ok(form) => self.typed("application/x-www-form-urlencoded", form.into()),
            Err(error) => {
                self.fault(Fault::new(ErrorKind::Request, Phase::Prepare).because(error));
                self
            }
        }
    }

    fn typed(mut self, content_type: &'static str, bytes: Bytes) -> Self {
        self.parts.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        self.body(bytes)
    }

    /// The body.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.parts.payload = Payload::Whole(bytes.into());
        self
    }

    /// The body as a stream. It cannot be sent twice, so there is no retry once it has begun, and no hedge.
    pub fn body_stream<B>(mut self, body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.parts.payload = Payload::stream(body);
        self
    }

    /// How long the call may take, retries and the whole answer included, instead of the client's `timeout`. At most a
    /// day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.parts.options.timeout = Some(timeout.min(LONGEST_CALL));
        self
    }

    /// Until when the answer is wanted: what the caller of this service has left. The tighter of this and the timeout
    /// holds, so that time only shrinks on its way down.
    pub fn deadline(mut self, deadline: impl Into<Option<Deadline>>) -> Self {
        self.parts.options.deadline = deadline.into();
        self
    }

    /// How long one attempt may take, instead of the client's `attempt_timeout`.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.parts.options.attempt_timeout = Some(timeout);
        self
    }

    /// One attempt, and no hedge.
    pub fn no_retry(mut self) -> Self {
        self.parts.options.no_retry = true;
        self.parts.options.no_hedge = true;
        self
    }

    /// No second call, however long the first takes.
    pub fn no_hedge(mut self) -> Self {
        self.parts.options.no_hedge = true;
        self
    }

    /// Whether doing it twice is as doing it once, whatever the method says.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.parts.options.idempotent = Some(idempotent);
        self
    }

    /// Sets `Idempotency-Key`: the other side does it once, however often it is sent.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key).idempotent(true)
    }

    /// The most that is read of the answer as a whole, instead of the client's `max_body`.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.parts.options.max_body = Some(bytes);
        self
    }

    /// Changes the header fields of each attempt, last of all: for trace contexts, whose spans differ per attempt.
    /// `client.get(url).inject(move |headers| c.trace().child().inject(headers))`.
    pub fn inject(mut self, inject: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.parts.options.inject.push(Arc::new(inject));
        self
    }

    /// Sends it, and gives the head of the answer, whatever its status. See [`RequestBuilder`] for what happens when
    /// the future is dropped.
    ///
    /// # Errors
    /// If there is no answer. An answer of 500 that no retry made better is an answer.
    pub async fn send(self) -> Result<Response> {
        let fail = |fault: Fault| Err(fault.after(String::new(), 0, Duration::ZERO));
        if let Some(mistake) = self.mistake {
            return fail(mistake);
        }
        let target = match Target::parse(&self.parts.url) {
            Ok(target) => target,
            Err(mistake) => return fail(Fault::new(ErrorKind::Request, Phase::Prepare).says(mistake)),
        };
        call::run(&self.client, target, self.parts).await
    }

    /// Sends it, and reads an answer of 2xx as JSON. Sends `Accept: application/json` if there is no other.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Response::json`]; [`ErrorKind::Status`] for any other status.
    pub async fn json<T: DeserializeOwned>(mut self) -> Result<T> {
        let accept = HeaderValue::from_static("application/json");
        self.parts.headers.entry(header::ACCEPT).or_insert(accept);
        self.send().await?.success()?.json().await
    }

    /// Sends it, and reads an answer of 2xx as a whole.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Response::bytes`]; [`ErrorKind::Status`] for any other status.
    pub async fn bytes(self) -> Result<Bytes> {
        self.send().await?.success()?.bytes().await
    }

    /// Sends it, and reads an answer of 2xx as text.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Response::text`]; [`ErrorKind::Status`] for any other status.
    pub async fn text(self) -> Result<String> {
        self.send().await?.success()?.text().await
    }

    fn mistake(&mut self, message: &'static str) {
        self.fault(Fault::new(ErrorKind::Request, Phase::Prepare).says(message));
    }

    /// The first one is told.
    fn fault(&mut self, fault: Fault) {
        self.mistake.get_or_insert(fault);
    }
}

impl Parts {
    pub(crate) fn repeatable(&self) -> Repeatable {
        let replayable = self.payload.is_replayable();
        match self.options.idempotent {
            None => Repeatable::of_method(self.method.as_str(), false, replayable),
            Some(_) if !replayable => Repeatable::Never,
            Some(true) => Repeatable::Idempotent,
            Some(false) => Repeatable::IfNotSent,
        }
    }
}

impl Options {
    /// The call's deadline: what the request says, or `timeout` from now.
    pub(crate) fn deadline(&self, timeout: Duration, now: std::time::Instant) -> Deadline {
        let own = Deadline::after(now, self.timeout.unwrap_or(timeout));
        self.deadline.map_or(own, |given| given.min(own))
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither URL nor header fields: both may hold secrets.
        f.debug_struct("RequestBuilder")
            .field("method", &self.parts.method)
            .field("body", &self.parts.payload)
            .finish_non_exhaustive()
    }
}
