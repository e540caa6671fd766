//! Middleware: something around a handler, in the order of registration, the first one outermost.
//!
//! [`Middleware`] is an async function or closure of `(Context, Next)`, or a configured type. [`before`] and
//! [`after`] are synchronous hooks that allocate nothing; prefer them where a middleware need not wait.

mod access_log;
pub(crate) mod answer;
mod auth;
mod body_dump;
mod body_limit;
pub(crate) mod coding;
#[cfg(feature = "compression")]
mod compress;
mod concurrency_limit;
mod cors;
mod csrf;
#[cfg(feature = "compression")]
mod decompress;
mod digest;
mod early_data;
mod etag;
mod hook;
mod host_authorization;
mod idempotency;
mod method_override;
mod next;
mod rate_limiter;
mod recover;
mod redirect;
mod request_id;
mod response_cache;
mod rewrite;
mod seconds;
mod secret;
mod secure_headers;
mod server_timing;
mod session;
mod timeout;
mod trace;
mod trailing_slash;
mod unless;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::error::Result;
use crate::extract::Needs;
use crate::respond::Response;

pub use access_log::{AccessLines, AccessLog, AccessLogConfig, LogField, LogFormat, LogTarget};
pub(crate) use access_log::{Ended, Lines, access_log};
pub use auth::{ApiKey, BasicAuth, BasicAuthConfig, BasicUser, CredentialSource, KeyAuth, KeyAuthConfig};
#[cfg(feature = "jwt")]
pub use auth::{Claims, Jwt, JwtAlgorithm, JwtConfig, JwtKey};
pub use body_dump::{BodyDump, BodyDumpConfig, Copied, Dump};
pub use body_limit::BodyLimit;
pub use coding::Coding;
#[cfg(feature = "compression")]
pub use compress::{Compress, CompressConfig};
pub use concurrency_limit::{ConcurrencyLimit, ConcurrencyLimitConfig};
pub use cors::{Cors, CorsConfig};
pub use csrf::{Csrf, CsrfConfig, CsrfToken};
#[cfg(feature = "compression")]
pub use decompress::{Decompress, DecompressConfig};
pub use early_data::{EarlyData, EarlyDataConfig};
pub use etag::{ETag, ETagConfig};
pub(crate) use hook::Looked;
pub use hook::{Hook, after, before};
pub use host_authorization::{HostAuthorization, HostAuthorizationConfig};
pub use idempotency::{
    Begun, Idempotency, IdempotencyConfig, IdempotencyStore, MemoryIdempotency, MemoryIdempotencyConfig,
    StoredAnswer,
};
pub use method_override::{MethodOverride, MethodOverrideConfig, MethodSource};
pub use next::Next;
pub use rate_limiter::{RateLimitHeaders, RateLimiter, RateLimiterConfig, RateQuota};
pub use recover::Recover;
pub use redirect::{CanonicalRedirect, CanonicalRedirectConfig, CanonicalUrl};
pub use request_id::RequestId;
pub(crate) use request_id::{NAME as REQUEST_ID, request_id, send_id};
pub use response_cache::{
    CacheLookup, CacheStore, CachedAnswer, MemoryCache, MemoryCacheConfig, MemoryClaim, ResponseCache,
    ResponseCacheConfig, cache_key,
};
pub use rewrite::{Rewrite, RewriteConfig, RewriteRule};
pub use secret::Secret;
pub use secure_headers::{SecureHeaders, SecureHeadersConfig};
pub use server_timing::{ServerTiming, ServerTimingConfig};
pub use session::{MemorySessions, MemorySessionsConfig, Session, SessionConfig, SessionStore, Sessions};
pub use timeout::{Timeout, TimeoutConfig};
pub use trace::Trace;
pub use trailing_slash::{Slash, TrailingSlash, TrailingSlashConfig};
pub use unless::Unless;

/// Something around a handler: an async function or closure of `(Context, Next)`, or a type of your own.
///
/// Middleware runs in the order of registration, the first one outermost, and may answer without calling `next`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "expected `async fn(Context, Next) -> Result<Response>`",
    note = "write `async fn name(c: Context, next: Next) -> Result<Response>`, or `impl Middleware` for a type of your own"
)]
pub trait Middleware<M = ()>: Send + Sync + Sized + 'static {
    /// Handles a request, by way of `next` or on its own.
    ///
    /// # Errors
    /// Whatever ends the request; it travels outwards through the chain to `on_error`.
    fn handle(&self, c: Context, next: Next) -> impl Future<Output = Result<Response>> + Send;
    /// What must be there before the app may start.
    fn needs(&self, _needs: &mut Needs) {}
    /// The same middleware, which lets pass what `skip` names, as if it were not there. Asked once per request.
    ///
    /// ```
    /// use seawall_http::{App, Context, Middleware as _, Next, Response, Result};
    ///
    /// async fn signed_in(c: Context, next: Next) -> Result<Response> {
    ///     c.header("authorization").ok_or_else(|| seawall_http::Error::unauthorized("sign in first"))?;
    ///     next.run(c).await
    /// }
    ///
    /// App::new().with(signed_in.unless(|c| c.path() == "/health"));
    /// ```
    fn unless(self, skip: impl Fn(&Context) -> bool + Send + Sync + 'static) -> Unless
    where
        M: 'static,
    {
        Unless::new(self.into_step(), Arc::new(skip))
    }
    /// How it is kept in a chain.
    #[doc(hidden)]
    fn into_step(self) -> Step
    where
        M: 'static,
    {
        Step::around(self)
    }
}

impl<F, Fut> Middleware<fn(Context, Next) -> Fut> for F
where
    F: Fn(Context, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    fn handle(&self, c: Context, next: Next) -> impl Future<Output = Result<Response>> + Send {
        self(c, next)
    }
}

/// A closure as a middleware whose type has a name: for `fn my_middleware(config) -> impl Middleware`.
///
/// ```
/// use seawall_http::{App, Error, Middleware, around};
///
/// fn only_on(host: &'static str) -> impl Middleware {
///     around(move |c, next| async move {
///         if c.host() == Some(host) { next.run(c).await } else { Err(Error::not_found("not here")) }
///     })
/// }
///
/// App::new().with(only_on("shop.example")).get("/", async || "hello");
/// ```
pub fn around<F, Fut>(run: F) -> Around<F>
where
    F: Fn(Context, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    Around(run)
}

/// What [`around`] makes.
pub struct Around<F>(F);

impl<F> fmt::Debug for Around<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Around(..)")
    }
}

impl<F, Fut> Middleware for Around<F>
where
    F: Fn(Context, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    fn handle(&self, c: Context, next: Next) -> impl Future<Output = Result<Response>> + Send {
        (self.0)(c, next)
    }
}

/// One link of a compiled chain.
#[doc(hidden)]
#[derive(Clone)]
pub enum Step {
    /// Runs the rest itself: one boxed future.
    Around(Arc<dyn AnyMiddleware>),
    /// Looks before or after: no allocation.
    Hook(Arc<Hook>),
}

impl Step {
    /// As asynchronous middleware, whatever it could be instead.
    pub(crate) fn around<M: 'static>(middleware: impl Middleware<M>) -> Self {
        Self::Around(Arc::new(TypedMiddleware(middleware, PhantomData)))
    }
    pub(crate) fn needs(&self, needs: &mut Needs) {
        if let Self::Around(middleware) = self {
            middleware.needs(needs);
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Around(_) => "Around(..)",
            Self::Hook(_) => "Hook(..)",
        })
    }
}

/// A middleware whose type is forgotten.
#[doc(hidden)]
pub trait AnyMiddleware: Send + Sync {
    /// Runs it.
    fn call(&self, c: Context, next: Next) -> BoxFuture<'_, Result<Response>>;
    /// What it asks for at start.
    fn needs(&self, needs: &mut Needs);
}

struct TypedMiddleware<W, M>(W, PhantomData<fn() -> M>);

impl<W: Middleware<M>, M> AnyMiddleware for TypedMiddleware<W, M> {
    fn call(&self, c: Context, next: Next) -> BoxFuture<'_, Result<Response>> {
        Box::pin(self.0.handle(c, next))
    }
    fn needs(&self, needs: &mut Needs) {
        self.0.needs(needs);
    }
}

/// One that has to wait although others of its type are hooks.
fn boxed_step<W: Middleware>(middleware: W) -> Step {
    Step::Around(Arc::new(TypedMiddleware(middleware, PhantomData::<fn() -> ()>)))
}
