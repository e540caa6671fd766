//! What a service in production has around it: middleware in the order that suits most services, metrics and health on a
//! listener of their own, limits, a drain.
//!
//! `around` is the list to begin with: outermost first, with the reason for each place; it is that of
//! docs/MIDDLEWARE.md, and a test holds the two to the same order. Take out what you do not need.

use std::time::Duration;

use seawall::middleware::{
    AccessLines, AccessLogConfig, Compress, CompressConfig, ConcurrencyLimit, ConcurrencyLimitConfig, Cors,
    CorsConfig, Csrf, CsrfConfig, Decompress, DecompressConfig, ETag, ETagConfig, HostAuthorization,
    HostAuthorizationConfig, Idempotency, IdempotencyConfig, KeyAuth, KeyAuthConfig, MemoryCache,
    MemoryCacheConfig, MemoryIdempotency, MemoryIdempotencyConfig, MemorySessions, MemorySessionsConfig,
    RateLimiter, RateLimiterConfig, Recover, ResponseCache, ResponseCacheConfig, SecureHeaders,
    SecureHeadersConfig, SessionConfig, Sessions, Timeout, TimeoutConfig, Trace, TrailingSlash,
    TrailingSlashConfig,
};
use seawall::observe::{Admin, AdminConfig, Health, LogConfig, init_logging, probes};
use seawall::prelude::*;
use seawall::{Group, ProxyConfig, TrustedProxies};

/// What differs between one installation and the next.
pub(crate) struct Installation {
    /// The names that this service has.
    pub(crate) hosts: Vec<String>,
    /// The origins whose pages may call it.
    pub(crate) pages: Vec<String>,
    /// Who stands in front of it.
    pub(crate) proxies: Vec<String>,
    /// Who may look at `/reports`.
    pub(crate) keys: Vec<(String, String)>,
}

fn main() -> Result<()> {
    init_logging(&LogConfig::default())?;
    // A secret has no default: without it the service does not start.
    let key = std::env::var("REPORTS_KEY")
        .map_err(|_| Error::internal("set REPORTS_KEY, 16 characters or more"))?;
    let here = Installation {
        hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        pages: vec!["http://localhost:3000".to_owned()],
        proxies: vec!["loopback".to_owned()],
        keys: vec![("accounting".to_owned(), key)],
    };
    let health = Health::default();
    let config = ServerConfig { shutdown_timeout: Duration::from_secs(10), ..ServerConfig::default() };
    let app = app(&here, &health)?.config(config);
    let _admin = Admin::start(&AdminConfig::default(), &app.metrics())?;
    app.bind("127.0.0.1:8080")?.on_drain(move || health.drain()).run()
}

pub(crate) fn app(here: &Installation, health: &Health) -> Result<App> {
    let proxies = ProxyConfig { trusted: here.proxies.clone(), ..ProxyConfig::default() };
    let app = App::new().trust_proxies(&TrustedProxies::new(&proxies)?).mount("/", probes(health));
    let app = around(app, here)?;
    Ok(app.get("/", async || "ready").post("/orders", async || "ordered").mount("/reports", reports(here)?))
}

fn around(app: App, here: &Installation) -> Result<App> {
    let hosts = HostAuthorizationConfig { hosts: here.hosts.clone() };
    let cors =
        CorsConfig { allow_origins: here.pages.clone(), allow_credentials: true, ..CorsConfig::default() };
    let csrf = CsrfConfig { trusted_origins: here.pages.clone(), ..CsrfConfig::default() };
    let is_probe = |c: &Context| matches!(c.path(), "/livez" | "/readyz"); // they come by address, and often
    let app = app
        // A path is put right before a route is looked for.
        .pre(TrailingSlash::new(&TrailingSlashConfig::default())?)
        // Whatever ends the request has its line.
        .with(AccessLines::new(&AccessLogConfig::default())?.unless(is_probe))
        // The span has everything in it.
        .with(Trace)
        // Refusals can be named, too.
        .with(RequestId)
        // Nothing below is asked for a host that is not ours.
        .with(HostAuthorization::new(&hosts)?.unless(is_probe))
        // Failures have these headers as well.
        .with(SecureHeaders::new(&SecureHeadersConfig::default())?)
        // A preflight has no credentials, and a script must be able to read whatever refuses it.
        .with(Cors::new(&cors)?)
        // Outside of all that makes bodies and tags.
        .with(Compress::new(&CompressConfig::default())?)
        // Outside of what may take long, inside of what must see the 504.
        .with(Timeout::new(&TimeoutConfig::default())?)
        // Before anybody reads a body.
        .with(Decompress::new(&DecompressConfig::default())?)
        // Before work is done for a caller.
        .with(RateLimiter::new(&RateLimiterConfig::default())?.unless(is_probe))
        // After the rate limit, whose refusals need no room.
        .with(ConcurrencyLimit::new(&ConcurrencyLimitConfig::default())?.unless(is_probe));
    // Here stands what finds out who calls, on the groups that need it; see `reports`.
    let app = app
        // Inside of what admits and of what writes headers per request, outside of what sets cookies.
        .with(ResponseCache::new(&ResponseCacheConfig::default(), MemoryCache::new(&MemoryCacheConfig::default())?)?)
        // Inside of the cache, so that the tag is kept with the answer.
        .with(ETag::new(&ETagConfig::default())?)
        // Before what looks at the session.
        .with(Sessions::in_store(&SessionConfig::default(), MemorySessions::new(&MemorySessionsConfig::default())?)?)
        // After what answers by itself; no browser sends a bearer token unasked.
        .with(Csrf::new(&csrf)?.unless(|c| c.header("authorization").is_some_and(|sent| sent.starts_with("Bearer "))))
        // What was refused further out is refused again, not replayed.
        .with(Idempotency::new(
            &IdempotencyConfig::default(),
            MemoryIdempotency::new(&MemoryIdempotencyConfig::default())?,
        )?)
        // The innermost limit counts, so that a route may have another one.
        .with(BodyLimit::new(256 << 10))
        // All of the above see a panic as an error.
        .with(Recover);
    Ok(app)
}

/// A group that only some may see.
fn reports(here: &Installation) -> Result<Group> {
    let keys = here.keys.iter().map(|(name, key)| (name.clone(), key.as_str().into())).collect();
    let known = KeyAuth::new(&KeyAuthConfig { keys, ..KeyAuthConfig::default() })?;
    Ok(Group::new().with(known).get("/today", async || "nothing sold yet"))
}
