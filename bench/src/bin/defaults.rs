//! `GET /` on Seawall with one thing changed: `defaults ADDR VARIANT`. `defaults --list` names the variants, a line each
//! with a tab before what it is; the first one is Seawall as it is without being asked.

use std::time::Duration;

use bench_peers::{MESSAGE, ORIGIN};
use seawall::middleware::{
    AccessLines, AccessLog, AccessLogConfig, BodyLimit, Compress, CompressConfig, ConcurrencyLimit,
    ConcurrencyLimitConfig, Cors, CorsConfig, Csrf, CsrfConfig, ETag, ETagConfig, RateLimitHeaders,
    RateLimiter, RateLimiterConfig, Recover, RequestId, SecureHeaders, SecureHeadersConfig, Timeout,
    TimeoutConfig, Trace,
};
use seawall::observe::{LogConfig, init_logging};
use seawall::prelude::*;
use seawall::{ProxyConfig, TrustedProxies};
use serde::Serialize;

/// A name, what it is, and what it does to an app that has no routes yet.
type Variant = (&'static str, &'static str, fn(App) -> Result<App>);

const VARIANTS: [Variant; 29] = [
    ("default", "nothing: recovery, limits, timeouts, metrics as always", Ok),
    ("before", "a hook before the handler that does nothing", |app| Ok(app.with(before(|_| Ok(None))))),
    ("around", "an asynchronous middleware that does nothing", |app| Ok(app.with(pass))),
    ("recover", "`Recover`, within the recovery that is always there", |app| Ok(app.with(Recover))),
    ("body-limit", "`BodyLimit`", |app| Ok(app.with(BodyLimit::new(1 << 20)))),
    ("timeout", "`Timeout`", |app| Ok(app.with(Timeout::new(&TimeoutConfig::default())?))),
    ("no-admission", "no admission: neither limit nor queue nor deadline", |app| {
        Ok(app.config(ServerConfig { admission: None, ..config() }))
    }),
    ("ignore-timeouts", "`ignore_timeouts`: callers' time is not looked at", |app| Ok(app.ignore_timeouts())),
    ("half-close", "`half_close`", |app| Ok(app.config(ServerConfig { half_close: true, ..config() }))),
    ("connection-age", "`max_connection_age` of an hour", |app| {
        Ok(app.config(ServerConfig { max_connection_age: Some(Duration::from_secs(3_600)), ..config() }))
    }),
    ("requests-per-connection", "`max_requests_per_connection`, never reached", |app| {
        Ok(app.config(ServerConfig { max_requests_per_connection: Some(u32::MAX), ..config() }))
    }),
    ("trust-proxies", "`trust_proxies`, the peer is none", |app| {
        let config = ProxyConfig { trusted: vec!["10.0.0.0/8".to_owned()], ..ProxyConfig::default() };
        Ok(app.trust_proxies(&TrustedProxies::new(&config)?))
    }),
    ("request-id", "`RequestId`", |app| Ok(app.with(RequestId))),
    ("access-lines", "`AccessLines`, text to /dev/null", |app| Ok(app.with(lines(1)?))),
    ("access-lines-sampled", "`AccessLines`, one request of 100", |app| Ok(app.with(lines(100)?))),
    ("access-log", "`AccessLog`, through tracing to /dev/null", |app| {
        init_logging(&LogConfig::default())?;
        Ok(app.with(AccessLog))
    }),
    ("trace-unread", "`Trace`, nobody listens", |app| Ok(app.with(Trace))),
    ("cors", "`Cors`, the request names an origin", |app| Ok(app.with(cors()?))),
    ("compress-short", "`Compress`, the answer is too short", |app| {
        Ok(app.with(Compress::new(&CompressConfig::default())?))
    }),
    ("compress-gzip", "`Compress`, the 33 bytes are sent as gzip", |app| {
        Ok(app.with(Compress::new(&CompressConfig { min_length: 0, ..CompressConfig::default() })?))
    }),
    ("rate-limiter", "`RateLimiter` by address, without headers", |app| {
        Ok(app.with(rate_limiter(RateLimitHeaders::None)?))
    }),
    ("rate-limiter-headers", "`RateLimiter` by address, with headers", |app| {
        Ok(app.with(rate_limiter(RateLimitHeaders::Draft)?))
    }),
    ("concurrency-limit", "`ConcurrencyLimit`", |app| {
        let config = ConcurrencyLimitConfig { max_in_flight: 10_000, ..ConcurrencyLimitConfig::default() };
        Ok(app.with(ConcurrencyLimit::new(&config)?))
    }),
    ("secure-headers", "`SecureHeaders`", |app| {
        Ok(app.with(SecureHeaders::new(&SecureHeadersConfig::default())?))
    }),
    ("csrf", "`Csrf`, a GET", |app| Ok(app.with(Csrf::new(&CsrfConfig::default())?))),
    ("etag", "`ETag`, computed of the body", |app| Ok(app.with(ETag::new(&ETagConfig::default())?))),
    ("problem-json", "`problem_json`, nothing fails", |app| Ok(app.problem_json())),
    ("many-routes", "a thousand routes more", |app| {
        Ok((0..1_000).fold(app, |app, at| app.get(&format!("/res{at}/:id"), hello)))
    }),
    ("five", "request id, access lines, recover, CORS and timeout together", |app| {
        let timeout = Timeout::new(&TimeoutConfig::default())?;
        Ok(app.with(RequestId).with(lines(1)?).with(Recover).with(cors()?).with(timeout))
    }),
];

#[derive(Serialize)]
struct Answer {
    message: &'static str,
}

fn main() -> Result<()> {
    let given: Vec<_> = std::env::args().skip(1).collect();
    let (addr, name) = match given.as_slice() {
        [list] if list == "--list" => {
            VARIANTS.iter().for_each(|(name, what, _)| println!("{name}\t{what}"));
            return Ok(());
        }
        [addr, name] => (addr, name),
        _ => panic!("usage: defaults --list, or defaults ADDR VARIANT"),
    };
    let found = VARIANTS.iter().find(|(variant, _, _)| variant == name);
    let (_, _, change) = found.unwrap_or_else(|| panic!("no variant {name}"));
    change(App::new().config(config()).show_routes(false))?.get("/", hello).run(addr)
}

fn config() -> ServerConfig {
    ServerConfig { workers: Some(1), ..ServerConfig::default() }
}

async fn hello() -> Json<Answer> {
    Json(Answer { message: MESSAGE })
}

async fn pass(c: Context, next: Next) -> Result<Response> {
    next.run(c).await
}

fn lines(sample_every: u32) -> Result<AccessLines> {
    Ok(AccessLines::new(&AccessLogConfig { sample_every, ..AccessLogConfig::default() })?)
}

fn cors() -> Result<Cors> {
    Ok(Cors::new(&CorsConfig { allow_origins: vec![ORIGIN.to_owned()], ..CorsConfig::default() })?)
}

/// So much that nobody is refused: what is measured is the look-up.
fn rate_limiter(headers: RateLimitHeaders) -> Result<RateLimiter> {
    let config = RateLimiterConfig {
        requests: 1_000_000_000,
        per: Duration::from_secs(1),
        burst: 1_000_000,
        headers,
        ..RateLimiterConfig::default()
    };
    Ok(RateLimiter::new(&config)?)
}
