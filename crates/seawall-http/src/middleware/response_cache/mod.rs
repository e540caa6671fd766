//! Answers that are made once and used many times: a shared cache in front of the handler, by the rules of
//! [RFC 9111](https://www.rfc-editor.org/rfc/rfc9111).
//!
//! What is kept is for the handler to say, with `Cache-Control`; where it is kept, for a [`CacheStore`]. `rules.rs` has
//! the decisions, `memory.rs` a store in this process.
//!
//! Left out: stale answers (`stale-while-revalidate`), asking the handler whether an old answer still holds, ranges of
//! what is kept.

mod directives;
mod memory;
mod rules;
mod store;
mod stored;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use seawall_core::ConfigError;
use seawall_core::metrics::Counter;
use serde::Deserialize;

use self::rules::{Limits, Role, Wanted};
use super::answer::headers_mut;
use super::digest::digest;
use super::etag::not_modified;
use super::{Middleware, Next, seconds};
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

pub use memory::{MemoryCache, MemoryCacheConfig, MemoryClaim};
pub use store::{CacheLookup, CacheStore};
pub use stored::CachedAnswer;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseCacheConfig {
    /// How long an answer is fresh that does not say it, in seconds. Default zero: only what says so is kept.
    #[serde(with = "seconds")]
    pub default_fresh: Duration,
    /// The longest time that any answer is kept, whatever it says, in seconds. 1 s to 365 days. Default a day.
    #[serde(with = "seconds")]
    pub max_fresh: Duration,
    /// Bytes of a body that is kept; longer ones pass. At most 64 MiB. Default 256 KiB.
    pub max_body_bytes: usize,
    /// Whether a client may ask for a new answer, as browsers do when somebody reloads a page. Default true, as the
    /// RFC has it; false keeps clients from going past the cache at will. `no-store` of a request is always obeyed.
    pub obey_clients: bool,
    /// The name of this cache in `Cache-Status` (RFC 9211), which says of each answer where it comes from. Default
    /// none: the header is not sent.
    pub cache_status: Option<String>,
}

impl Default for ResponseCacheConfig {
    fn default() -> Self {
        Self {
            default_fresh: Duration::ZERO,
            max_fresh: Duration::from_secs(86_400),
            max_body_bytes: 256 << 10,
            obey_clients: true,
            cache_status: None,
        }
    }
}

type KeyOf = dyn for<'c> Fn(&'c Context) -> Option<Cow<'c, str>> + Send + Sync;

/// Answers with what is kept, and keeps what the handler says may be kept.
///
/// | request | what happens |
/// |---|---|
/// | GET, HEAD | answered with what is kept, if it is fresh and fits; else the handler runs, and what a GET brings is kept if it may be |
/// | with `Authorization` or `Cookie` | the same for answers that say `public` or `s-maxage`; all others pass |
/// | with `no-cache`, `max-age`, `min-fresh`, `only-if-cached` | obeyed, unless `obey_clients` is off; what the client makes us make anew is not kept |
/// | with `no-store`, `Range`, `If-Match`, `If-Unmodified-Since`, `Upgrade` or a body | passes |
/// | with `If-None-Match` or `If-Modified-Since` | 304 where the client has what is kept, or what was just made |
/// | POST, PUT, PATCH, DELETE and what is not known to be safe | passes; once it succeeds, what is kept for its target is forgotten, and for the targets in `Location` and `Content-Location` |
/// | OPTIONS, TRACE, QUERY | passes |
///
/// | answer | kept |
/// |---|---|
/// | fresh by `s-maxage`, `max-age` or `Expires`, in this order, or by `default_fresh` | yes, for that time less its `Age`, at most `max_fresh` |
/// | `no-store`, `no-cache`, `private`, `Set-Cookie`, `Vary: *` | no |
/// | to a request with `Authorization` or `Cookie` | if it says `public` or `s-maxage` |
/// | 206, 304, 4xx but 404, 405, 410 and 414, 5xx; an `Err` of any status | no |
/// | streamed, or longer than `max_body_bytes` | no |
///
/// It belongs inside of what admits callers (else strangers get what the admitted have made) and of what writes headers
/// per request (`Cors`, `Compress`, `RequestId`), which must not be kept; outside of whatever sets cookies (`Sessions`,
/// `Csrf`), so that it sees them. Answers are told apart by scheme, host and target, and by the fields that `Vary`
/// names; say otherwise with [`ResponseCache::key_by`].
///
/// ```
/// use http::{HeaderValue, header};
/// use seawall_http::middleware::{MemoryCache, ResponseCache, ResponseCacheConfig};
/// use seawall_http::{App, IntoResponse as _, Response, Result};
///
/// async fn products() -> Result<Response> {
///     let answer = "boots".into_response()?;
///     Ok(answer.header(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=2")))
/// }
///
/// let store = MemoryCache::new(&Default::default())?;
/// let cache = ResponseCache::new(&ResponseCacheConfig::default(), store)?;
/// let app = App::new().with(cache).get("/products", products);
/// # Ok::<(), seawall_http::Error>(())
/// ```
///
/// # Cancel safety
/// A request that is cancelled keeps nothing; whoever waits for its answer goes on.
pub struct ResponseCache<S> {
    store: S,
    limits: Limits,
    obey_clients: bool,
    cache_status: Option<String>,
    key_of: Option<Box<KeyOf>>,
    counted: OnceLock<[Counter; Came::ALL.len()]>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// From the store.
    Hit,
    /// From the handler, and is kept.
    Stored,
    /// From the handler, and is not kept.
    Miss,
    /// From the handler, because nothing that is kept would do.
    Anew,
    /// From the handler, because the cache has no part in it.
    Passed,
}

impl Came {
    const ALL: [Self; 5] = [Self::Hit, Self::Stored, Self::Miss, Self::Anew, Self::Passed];

    const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stored => "stored",
            Self::Miss => "miss",
            Self::Anew => "anew",
            Self::Passed => "passed",
        }
    }

    /// As RFC 9211 (2) says it, behind the cache's name.
    const fn status(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stored => "fwd=miss; stored",
            Self::Miss => "fwd=miss",
            Self::Anew => "fwd=request",
            Self::Passed => "fwd=bypass",
        }
    }
}

/// The key of what is kept for a target (`/products?page=2`) on a host, where no [`ResponseCache::key_by`] makes it: to
/// [invalidate](CacheStore::invalidate) it in the store.
pub fn cache_key(scheme: &str, host: &str, target: &str) -> [u8; 32] {
    let upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
    let host = if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
    digest(&[scheme.as_bytes(), host.as_bytes(), target.as_bytes()])
}

impl<S: CacheStore> ResponseCache<S> {
    /// Keeps answers in `store`.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &ResponseCacheConfig, store: S) -> Result<Self, ConfigError> {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        const MOST_BODY: usize = 64 << 20;
        let ResponseCacheConfig { default_fresh, max_fresh, max_body_bytes, obey_clients, cache_status } =
            config;
        if !(Duration::from_secs(1)..=YEAR).contains(max_fresh) {
            return Err(ConfigError::new(
                "response_cache.max_fresh",
                format!("{max_fresh:?}"),
                "1 second to 365 days",
            ));
        }
        if default_fresh > max_fresh {
            let allowed = "at most response_cache.max_fresh";
            return Err(ConfigError::new(
                "response_cache.default_fresh",
                format!("{default_fresh:?}"),
                allowed,
            ));
        }
        if *max_body_bytes > MOST_BODY {
            let allowed = format!("at most {MOST_BODY}");
            return Err(ConfigError::new("response_cache.max_body_bytes", max_body_bytes, allowed));
        }
        if let Some(name) = cache_status.as_ref().filter(|name| !is_token(name)) {
            let allowed = "a letter, then letters, digits, `-`, `_` and `.`, at most 64";
            return Err(ConfigError::new("response_cache.cache_status", format!("{name:?}"), allowed));
        }
        let limits =
            Limits { default_fresh: *default_fresh, max_fresh: *max_fresh, max_body_bytes: *max_body_bytes };
        let (obey_clients, cache_status) = (*obey_clients, cache_status.clone());
        Ok(Self { store, limits, obey_clients, cache_status, key_of: None, counted: OnceLock::new() })
    }

    /// What answers are kept under, instead of scheme, host and target: a target without the parameters that only
    /// advertisers read, say. `None` lets a request pass. Whatever the answer depends on must be in it, or in `Vary`. It
    /// is asked for changes, too, which have what is kept under it forgotten.
    #[must_use]
    pub fn key_by(
        self,
        key_of: impl for<'c> Fn(&'c Context) -> Option<Cow<'c, str>> + Send + Sync + 'static,
    ) -> Self {
        Self { key_of: Some(Box::new(key_of)), ..self }
    }

    fn key(&self, c: &Context) -> Option<[u8; 32]> {
        match &self.key_of {
            Some(key_of) => key_of(c).map(|key| digest(&[key.as_bytes()])),
            None => Some(cache_key(c.scheme(), c.host().unwrap_or_default(), target(c))),
        }
    }

    async fn run(&self, c: &Context, next: Next) -> (Result<Response>, Came) {
        let role = rules::role(c.method(), c.headers(), self.obey_clients);
        match (role, self.key(c)) {
            (Role::Passes, _) | (_, None) => (next.run(c.clone()).await, Came::Passed),
            (Role::Changes, Some(key)) => {
                let answer = next.run(c.clone()).await;
                self.forget(key, c, &answer).await;
                (answer, Came::Passed)
            }
            // An answer to what a body says would be given to all who ask without one.
            (Role::Reads(_), _) if c.has_body() => (next.run(c.clone()).await, Came::Passed),
            (Role::Reads(wanted), Some(key)) => self.read(key, &wanted, c, next).await,
        }
    }

    async fn read(
        &self,
        key: [u8; 32],
        wanted: &Wanted,
        c: &Context,
        next: Next,
    ) -> (Result<Response>, Came) {
        let now = clock::wall();
        match self.look_up(key, wanted, c).await {
            Found::Kept(kept) if wanted.takes(&kept, now) => (Ok(reuse(&kept, c, now)), Came::Hit),
            Found::Kept(_) | Found::Nothing if wanted.only_kept => (Err(Error::not_in_cache()), Came::Miss),
            Found::Kept(_) => (next.run(c.clone()).await, Came::Anew),
            Found::Nothing => {
                let came = if wanted.anew { Came::Anew } else { Came::Miss };
                (next.run(c.clone()).await, came)
            }
            Found::Claimed(claim) => self.make(claim, wanted, c, next).await,
        }
    }

    /// What the store has. One that fails has nothing, and the request goes on.
    async fn look_up(&self, key: [u8; 32], wanted: &Wanted, c: &Context) -> Found<S::Claim> {
        let fills = *c.method() == Method::GET && !wanted.anew && !wanted.only_kept;
        let found = if fills {
            self.store.get_or_claim(key, c.headers()).await.map(Found::from)
        } else {
            self.store.get(key, c.headers()).await.map(|kept| kept.map_or(Found::Nothing, Found::Kept))
        };
        found.unwrap_or_else(|problem| {
            tracing::warn!(?problem, "the response cache's store does not answer");
            Found::Nothing
        })
    }

    /// Runs the handler, and keeps what it answers.
    async fn make(
        &self,
        claim: S::Claim,
        wanted: &Wanted,
        c: &Context,
        next: Next,
    ) -> (Result<Response>, Came) {
        c.take_conditions(); // else the first answer may be a 304, which nobody else can use
        let mut answer = next.run(c.clone()).await;
        let came = self.keep(claim, wanted, c, &answer).await;
        if let Ok(response) = &mut answer {
            shorten(response, c);
        }
        (answer, came)
    }

    async fn keep(&self, claim: S::Claim, wanted: &Wanted, c: &Context, answer: &Result<Response>) -> Came {
        let Ok(response) = answer else { return Came::Miss };
        if response.status().is_server_error() {
            return Came::Miss;
        }
        let Some((kept, left)) = rules::keep(wanted, c.headers(), response, &self.limits, clock::wall())
        else {
            self.store.not_kept(claim);
            return Came::Miss;
        };
        match self.store.fill(claim, Arc::new(kept), left).await {
            Ok(()) => Came::Stored,
            Err(problem) => {
                tracing::warn!(?problem, "the response cache's store does not keep an answer");
                Came::Miss
            }
        }
    }

    /// Forgets what a change has made wrong, before the client hears that it succeeded.
    async fn forget(&self, key: [u8; 32], c: &Context, answer: &Result<Response>) {
        let Some(response) = answer.as_ref().ok().filter(|response| response.status().as_u16() < 400) else {
            return;
        };
        let mut keys = vec![key];
        if self.key_of.is_none() {
            let host = c.host().unwrap_or_default();
            let targets = rules::changed_elsewhere(response.headers(), host);
            keys.extend(targets.map(|target| cache_key(c.scheme(), host, &target)));
        }
        for key in keys {
            if let Err(problem) = self.store.invalidate(key).await {
                tracing::warn!(?problem, "the response cache's store does not forget an answer");
            }
        }
    }

    /// Counts where an answer came from, and tells the client if that is wanted.
    fn note(&self, came: Came, c: &Context, answer: &mut Result<Response>) {
        let counted = self.counted.get_or_init(|| {
            Came::ALL.map(|came| {
                c.shared().registry().counter(
                    "seawall_response_cache_requests_total",
                    "Requests that came to a response cache, by where their answer came from.",
                    &[("outcome", came.name())],
                )
            })
        });
        counted[came as usize].inc();
        if let Some(name) = &self.cache_status {
            let value = HeaderValue::try_from(format!("{name}; {}", came.status()));
            headers_mut(answer).append(CACHE_STATUS, value.expect("a name is visible ASCII"));
        }
    }
}

enum Found<C> {
    Kept(Arc<CachedAnswer>),
    Claimed(C),
    Nothing,
}

impl<C> From<CacheLookup<C>> for Found<C> {
    fn from(lookup: CacheLookup<C>) -> Self {
        match lookup {
            CacheLookup::Kept(kept) => Self::Kept(kept),
            CacheLookup::Missing(claim) => Self::Claimed(claim),
        }
    }
}

fn reuse(kept: &CachedAnswer, c: &Context, now: SystemTime) -> Response {
    let mut response = kept.response(now);
    shorten(&mut response, c);
    response
}

/// Without its body, where the client has that.
fn shorten(response: &mut Response, c: &Context) {
    if response.status() == StatusCode::OK && rules::client_has_it(c.headers(), response.headers()) {
        not_modified(response);
    }
}

fn target(c: &Context) -> &str {
    c.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str)
}

/// A token of structured fields (RFC 9651, 3.3.4), with fewer characters than there might be.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(fits)
}

impl<S: CacheStore> Middleware for ResponseCache<S> {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        if c.other_methods().is_some() {
            return next.run(c).await; // a 405 or the answer to OPTIONS
        }
        let (mut answer, came) = self.run(&c, next).await;
        self.note(came, &c, &mut answer);
        answer
    }
}

impl<S> fmt::Debug for ResponseCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache").field("limits", &self.limits).finish_non_exhaustive()
    }
}
