//! A request that is sent again is not done again
//! ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
//!
//! What happens, by case:
//!
//! | case | answer |
//! |---|---|
//! | the key is new | the handler runs; its answer is kept |
//! | the first request still runs | 409, code `idempotency_in_flight`, with `Retry-After` |
//! | the key was used for another request | 422, code `idempotency_mismatch` |
//! | it was answered | the same status, headers and body, with `Idempotency-Replayed: true` |
//! | it was answered by a stream, or by more than `max_body_bytes` | 409, code `idempotency_not_kept`: it is done, but not to be had again |
//! | the handler failed (`Err`, a panic, or a 5xx) | nothing is kept, and the next request with the key runs |
//! | the client goes away, or a timeout further out strikes | the handler runs to its end all the same, and its answer is kept: this is the case that the key is for |
//! | the process ends | it waits for what runs, within the drain; what is cut then is lost; the next request with the key runs |

mod store;

use std::borrow::Cow;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::digest::digest;
use super::{Middleware, Next};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;
use crate::service::panicked;

pub use store::{Begun, IdempotencyStore, MemoryIdempotency, MemoryIdempotencyConfig, StoredAnswer};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Headers of one connection or one answer (RFC 9110, 7.6.1); they are not replayed. Nor are cookies: a replay may
/// go to whoever has the key.
const NOT_REPLAYED: [HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::DATE,
    header::TRAILER,
    header::SET_COOKIE,
    HeaderName::from_static("x-request-id"),
];

/// Which requests, and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdempotencyConfig {
    /// Methods that are looked at; others pass. Default `POST` and `PATCH`.
    pub methods: Vec<String>,
    /// Whether a request of these methods must have a key; without one it is a 400 then. Default false.
    pub required: bool,
    /// Bytes of a key, 1 to 1,024. Default 255.
    pub max_key_bytes: usize,
    /// Bytes of an answer's body that are kept. Default 64 KiB.
    pub max_body_bytes: usize,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            methods: vec!["POST".to_owned(), "PATCH".to_owned()],
            required: false,
            max_key_bytes: 255,
            max_body_bytes: 64 << 10,
        }
    }
}

type Scope = dyn for<'c> Fn(&'c Context) -> Option<Cow<'c, str>> + Send + Sync;

/// Runs a request once per `Idempotency-Key`, and answers those that come again with the first answer.
///
/// A key belongs to whoever sends it: requests with another `Authorization` never meet. Where users are known by
/// something else (a cookie, a client certificate), say so with [`Idempotency::scope_by`]. What is compared of a
/// request is its method, its target and its whole body, which is read for that (within the body limit) and stays
/// readable.
///
/// It belongs inside of whatever refuses requests (those are not answered twice but refused twice), and
/// [`Recover`](super::Recover) is not needed inside. The handler runs on a task of its own
/// ([`Context::spawn_detached`]), so that a client that goes away does not stop it, and a drain waits for it.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Idempotency, IdempotencyConfig, MemoryIdempotency};
///
/// let store = MemoryIdempotency::new(&Default::default())?;
/// let once = Idempotency::new(&IdempotencyConfig::default(), store)?;
/// let app = App::new().with(once).post("/orders", async || "ordered");
/// # Ok::<(), seawall_http::Error>(())
/// ```
pub struct Idempotency<S> {
    store: Arc<S>,
    methods: Vec<Method>,
    required: bool,
    max_key_bytes: usize,
    max_body_bytes: usize,
    scope: Option<Box<Scope>>,
}

impl<S: IdempotencyStore> Idempotency<S> {
    /// Keeps answers in `store`.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &IdempotencyConfig, store: S) -> Result<Self, ConfigError> {
        let IdempotencyConfig { methods, required, max_key_bytes, max_body_bytes } = config;
        let read = |name: &String| Method::from_bytes(name.as_bytes()).ok();
        let read: Option<Vec<_>> = methods.iter().map(read).collect();
        let methods = read.filter(|all| !all.is_empty()).ok_or_else(|| {
            ConfigError::new("idempotency.methods", format!("{methods:?}"), "at least one method, by name")
        })?;
        if !(1..=1024).contains(max_key_bytes) {
            return Err(ConfigError::new("idempotency.max_key_bytes", max_key_bytes, "1 to 1024"));
        }
        let (required, max_key_bytes, max_body_bytes) = (*required, *max_key_bytes, *max_body_bytes);
        Ok(Self { store: Arc::new(store), methods, required, max_key_bytes, max_body_bytes, scope: None })
    }

    /// Whose keys are told apart, instead of by `Authorization`. `None` is one scope, too.
    #[must_use]
    pub fn scope_by(
        self,
        scope: impl for<'c> Fn(&'c Context) -> Option<Cow<'c, str>> + Send + Sync + 'static,
    ) -> Self {
        Self { scope: Some(Box::new(scope)), ..self }
    }

    /// Runs the handler on a task that goes on without the client.
    async fn run(&self, claim: Claim<S>, c: Context, next: Next) -> Result<Response> {
        let (spare, inner) = (claim.clone(), c.clone());
        let run = async move {
            let answer = AssertUnwindSafe(next.run(inner)).catch_unwind().await;
            let answer = answer.unwrap_or_else(|panic| Err(panicked(&*panic)));
            claim.end(&answer).await;
            answer
        };
        match c.spawn_detached("request with an Idempotency-Key", run) {
            Ok(task) => task.await.unwrap_or_else(|cut| Err(Error::internal(cut))),
            Err(full) => {
                spare.end(&Err(Error::internal("no room for its task"))).await;
                Err(full)
            }
        }
    }

    /// The key that the store sees: one per scope and key of the client.
    fn key(&self, c: &Context) -> Result<Option<[u8; 32]>> {
        let mut sent = c.headers().get_all(KEY).iter();
        let Some(value) = sent.next() else {
            return match self.required {
                true => Err(Error::bad_request("this request needs an Idempotency-Key")
                    .field("Idempotency-Key", "is missing")),
                false => Ok(None),
            };
        };
        let key = value.to_str().ok().and_then(unquoted).filter(|key| key.len() <= self.max_key_bytes);
        let only = sent.next().is_none();
        let key = key.filter(|_| only).ok_or_else(|| {
            let most = self.max_key_bytes;
            let allowed = format!("must come once, as 1 to {most} visible ASCII characters, best in quotes");
            Error::bad_request("invalid Idempotency-Key").field("Idempotency-Key", allowed)
        })?;
        let whose = match &self.scope {
            Some(scope) => scope(c).map(|scope| scope.into_owned().into_bytes()),
            None => c.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec()),
        };
        Ok(Some(digest(&[whose.as_deref().unwrap_or_default(), key.as_bytes()])))
    }
}

/// The right to end what was begun with a key.
struct Claim<S> {
    store: Arc<S>,
    key: [u8; 32],
    claim: u64,
    max_body_bytes: usize,
}

impl<S> Clone for Claim<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), ..*self }
    }
}

impl<S: IdempotencyStore> Claim<S> {
    async fn end(self, answer: &Result<Response>) {
        let Self { store, key, claim, max_body_bytes } = self;
        let ended = match answer {
            Ok(response) if !response.status().is_server_error() => {
                store.finish(key, claim, kept(response, max_body_bytes)).await
            }
            Ok(_) | Err(_) => store.give_up(key, claim).await,
        };
        if let Err(problem) = ended {
            tracing::warn!(?problem, "an answer to an Idempotency-Key could not be kept");
        }
    }
}

/// What is kept of an answer; `None` if it is not to be had again.
fn kept(response: &Response, max_body_bytes: usize) -> Option<StoredAnswer> {
    let body = response.bytes().filter(|body| body.len() <= max_body_bytes)?.clone();
    let mut headers = response.headers().clone();
    NOT_REPLAYED.iter().for_each(|name| _ = headers.remove(name));
    Some(StoredAnswer { status: response.status(), headers, body })
}

/// A string of structured fields (RFC 9651, 3.3.3), or the bare text that many clients send.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    let Some(quoted) = value.strip_prefix('"') else {
        return visible(value).then_some(Cow::Borrowed(value)).filter(|text| !text.contains(['"', ',']));
    };
    let inner = quoted.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(|next| "\"\\".contains(*next))?),
            '"' => return None,
            ' '..='~' => text.push(character),
            _ => return None,
        }
    }
    (!text.is_empty()).then_some(Cow::Owned(text))
}

fn replay(answer: StoredAnswer) -> Response {
    let StoredAnswer { status, headers, body } = answer;
    let mut response = Response::new(status, body);
    *response.headers_mut() = headers;
    response.header(REPLAYED, HeaderValue::from_static("true"))
}

fn not_kept() -> Error {
    Error::conflict("this was done, but its answer was too large to keep").code("idempotency_not_kept")
}

impl<S: IdempotencyStore> Middleware for Idempotency<S> {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        if !self.methods.contains(c.method()) || c.other_methods().is_some() {
            return next.run(c).await;
        }
        let Some(key) = self.key(&c)? else { return next.run(c).await };
        let body = c.body().await?;
        let target = c.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let fingerprint = digest(&[c.method().as_str().as_bytes(), target.as_bytes(), &body]);
        match self.store.begin(key, fingerprint).await? {
            Begun::New(claim) => {
                let store = Arc::clone(&self.store);
                let claim = Claim { store, key, claim, max_body_bytes: self.max_body_bytes };
                // No await between the claim and the task that ends it: nobody can cancel it in between.
                self.run(claim, c, next).await
            }
            Begun::InFlight => Err(Error::conflict("the first request with this Idempotency-Key still runs")
                .code("idempotency_in_flight")
                .retry_after(Duration::from_secs(1))),
            Begun::Mismatch => Err(Error::invalid("this Idempotency-Key was used for another request")
                .code("idempotency_mismatch")),
            Begun::Done(Some(answer)) => Ok(replay(answer)),
            Begun::Done(None) => Err(not_kept()),
        }
    }
}

impl<S> fmt::Debug for Idempotency<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("methods", &self.methods).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        assert_eq!(unquoted(value).as_deref(), expected, "{value}");
    }

    #[test]
    fn a_key_is_a_string_of_structured_fields_or_bare() {
        check("\"8e03978e-40d5\"", Some("8e03978e-40d5"));
        check("8e03978e-40d5", Some("8e03978e-40d5"));
        check(r#""a\"b\\c d""#, Some(r#"a"b\c d"#));
    }
    #[test]
    fn anything_else_is_none() {
        for value in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "a\"",
            "a b",
            "a, b",
            "\"a\", \"b\"",
            r#""a\x""#,
            r#""a\""#,
            "\"\u{e9}\"",
        ] {
            check(value, None);
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_a_panic(value in ".{0,20}", quoted in "\"[ -~]{0,9}\"") {
            let _ = unquoted(&value);
            let _ = unquoted(&quoted);
        }
        #[test]
        fn what_is_quoted_by_the_rules_is_read(key in "[ -~]{1,12}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            let read = unquoted(&quoted);
            prop_assert_eq!(read.as_deref(), Some(&*key));
        }
    }
}
