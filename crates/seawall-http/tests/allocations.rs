//! Allocations per request, exactly: what a handler, an argument, an answer and each middleware cost.
//!
//! A row that goes up is a regression, or needs a reason in the commit that changes it; one that goes down is good
//! news to write here. `cargo test -p seawall-http --test allocations -- --nocapture` prints the table. Counted are
//! allocations and re-allocations on the thread of the request, from the request's head to the dropped answer; the
//! request itself is made before.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait; see docs/UNSAFE.md")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Method, StatusCode};
use seawall_http::middleware::{
    AccessLines, AccessLog, AccessLogConfig, BasicAuth, BasicAuthConfig, BodyLimit, ConcurrencyLimit,
    ConcurrencyLimitConfig, Cors, CorsConfig, CredentialSource, Csrf, CsrfConfig, ETag, ETagConfig,
    EarlyData, EarlyDataConfig, HostAuthorization, HostAuthorizationConfig, Idempotency, IdempotencyConfig,
    KeyAuth, KeyAuthConfig, LogField, LogTarget, MemoryCache, MemoryCacheConfig, MemoryIdempotency,
    MemoryIdempotencyConfig, MemorySessions, MemorySessionsConfig, MethodOverride, MethodOverrideConfig,
    RateLimitHeaders, RateLimiter, RateLimiterConfig, Recover, RequestId, ResponseCache, ResponseCacheConfig,
    Rewrite, RewriteConfig, RewriteRule, SecureHeaders, SecureHeadersConfig, ServerTiming,
    ServerTimingConfig, SessionConfig, Sessions, Trace, TrailingSlash, TrailingSlashConfig,
};
use seawall_http::routing::RouteTable;
use seawall_http::{
    App, Body, Context, Error, Next, Path, ProxyConfig, Result, RouteOptions as _, Service, State,
    TrustedProxies, after, before,
};
use serde::Serialize;

thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });

/// The system's allocator, counting per thread.
struct Counting;

// SAFETY: every call is handed to the system's allocator as it came; the counter is a `Cell` of a thread-local that
// needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: `at` came from `System` with this layout, and the caller gives a size that is not zero.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Headers that a request may bring.
const HEADERS: [(&str, &str); 9] = [
    ("authorization", "Basic YW5uOmNvcnJlY3QgaG9yc2U="), // ann:correct horse
    ("x-api-key", "4f1c8e6a90b24d0f"),
    (
        "x-token",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.ArYAibI1dlEDn27QomKqp1zyziq6-wQFXqVftb2VgKM",
    ),
    ("origin", "https://a.example"),
    ("cookie", "a=1; b=2"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("x-forwarded-for", "9.9.9.9"),
    ("x-request-id", "id-7"),
    ("host", "shop.example"),
];

fn request(target: &str) -> http::Request<Body> {
    let request = http::Request::get(target);
    let request = HEADERS.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::whole("")).unwrap()
}

/// Allocations of one request, once everything that is made once has been made.
fn count(service: &Service, target: &str) -> u64 {
    let once = || {
        let request = request(target);
        let before = COUNT.get();
        drop(service.handle(request).now_or_never().unwrap());
        COUNT.get() - before
    };
    (0..8).for_each(|_| _ = once());
    let counts: Vec<_> = (0..8).map(|_| once()).collect();
    assert!(counts.iter().all(|count| *count == counts[0]), "the same request costs the same: {counts:?}");
    counts[0]
}

#[track_caller]
fn check(what: &str, app: App, target: &str, expected: u64) {
    let service = app.build().unwrap();
    let counted = count(&service, target);
    println!("{counted:>3}  {what}");
    assert_eq!(counted, expected, "{what}");
}

#[derive(Serialize)]
struct Hello {
    message: &'static str,
}

async fn empty() -> StatusCode {
    StatusCode::NO_CONTENT
}
fn app() -> App {
    App::new().get("/", empty)
}

/// The request itself, its URI and its map of headers, and the handler's future. A request that our own engine reads has
/// its bytes in the place of the two in the middle, which are made when they are asked for.
const EMPTY: u64 = 4;

#[test]
fn handlers_and_arguments() {
    check("an empty answer", app(), "/", EMPTY);
    let both = async |_: State<u64>, Path(_): Path<u32>| StatusCode::NO_CONTENT;
    check("State and Path", App::new().state(7_u64).get("/:id", both), "/7", EMPTY + 1);
    check(
        "c.param",
        App::new().get("/:id", async |c: Context| c.param::<u32>("id").map(|_| StatusCode::OK)),
        "/7",
        EMPTY,
    );
}
#[test]
fn answers() {
    // A content type alone needs no map; a body of JSON is one, of just its size.
    check("a &'static str", App::new().get("/", async || "hello"), "/", EMPTY);
    let json = async |c: Context| c.json(200, &Hello { message: "Hello from Seawall!" });
    check("c.json", App::new().get("/", json), "/", EMPTY + 1);
    check("404", app(), "/nowhere", EMPTY + 6);
    check("an error", App::new().get("/", async || Err::<&str, _>(Error::conflict("no"))), "/", EMPTY + 6);
    let problem = App::new().get("/", async || Err::<&str, _>(Error::conflict("no"))).problem_json();
    check("an error as problem+json", problem, "/", EMPTY + 9);
}
#[test]
fn middleware() {
    check("before", app().with(before(|_| Ok(None))), "/", EMPTY);
    check("after", app().with(after(|_, _| {})), "/", EMPTY);
    let around = async |c: Context, next: Next| next.run(c).await;
    check("an async middleware", app().with(around), "/", EMPTY + 1);
    check(
        "five async middlewares",
        app().with(around).with(around).with(around).with(around).with(around),
        "/",
        EMPTY + 5,
    );
    check("BodyLimit", app().with(BodyLimit::new(7)), "/", EMPTY + 1);
    check("RequestId", app().with(RequestId), "/", EMPTY + 3);
    check("AccessLog, nobody listening", app().with(AccessLog), "/", EMPTY);
    let origins = CorsConfig { allow_origins: vec!["https://a.example".to_owned()], ..CorsConfig::default() };
    check("Cors", app().with(Cors::new(&origins).unwrap()), "/", EMPTY + 2);
    let secure = SecureHeaders::new(&SecureHeadersConfig::default()).unwrap();
    check("SecureHeaders", app().with(secure), "/", EMPTY + 3);
    let csrf = Csrf::new(&CsrfConfig::default()).unwrap();
    check("Csrf", app().with(csrf), "/", EMPTY + 1);
    let limit = |headers| {
        RateLimiter::new(&RateLimiterConfig { requests: 1_000, headers, ..RateLimiterConfig::default() })
            .unwrap()
    };
    check("RateLimiter without headers", app().with(limit(RateLimitHeaders::None)), "/", EMPTY);
    check("RateLimiter", app().with(limit(RateLimitHeaders::Draft)), "/", EMPTY + 7);
    let limit = ConcurrencyLimit::new(&ConcurrencyLimitConfig::default()).unwrap();
    check("ConcurrencyLimit", app().with(limit), "/", EMPTY + 2);
    let users = [("ann".to_owned(), "correct horse".into())].into();
    let basic = BasicAuth::new(&BasicAuthConfig { users, ..BasicAuthConfig::default() }).unwrap();
    check("BasicAuth", app().with(basic), "/", EMPTY + 4);
    let header =
        |name: &str| vec![CredentialSource::Header { header: name.to_owned(), scheme: String::new() }];
    let keys = [("ann".to_owned(), "4f1c8e6a90b24d0f".into())].into();
    let key = KeyAuthConfig { keys, sources: header("x-api-key"), ..KeyAuthConfig::default() };
    check("KeyAuth", app().with(KeyAuth::new(&key).unwrap()), "/", EMPTY + 2);
    let store = MemorySessions::new(&MemorySessionsConfig::default()).unwrap();
    let sessions = Sessions::in_store(&SessionConfig::default(), store).unwrap();
    check("Sessions, none used", app().with(sessions), "/", EMPTY + 4);
    let store = MemoryIdempotency::new(&MemoryIdempotencyConfig::default()).unwrap();
    let once = Idempotency::new(&IdempotencyConfig::default(), store).unwrap();
    check("Idempotency without a key", app().with(once), "/", EMPTY + 1);
    let hosts = HostAuthorizationConfig { hosts: vec!["shop.example".to_owned()] };
    let ours = HostAuthorization::new(&hosts).unwrap();
    check("HostAuthorization", app().with(ours), "/", EMPTY);
    check("EarlyData", app().with(EarlyData::new(&EarlyDataConfig::default()).unwrap()), "/", EMPTY);
    let timing = ServerTiming::new(&ServerTimingConfig::default()).unwrap();
    check("ServerTiming", app().with(timing), "/", EMPTY + 5);
    check("pre", app().pre(before(|_| Ok(None))), "/", EMPTY + 1);
}
#[test]
fn an_answer_that_is_kept() {
    let public = http::HeaderValue::from_static("public, max-age=600");
    let hello = move |c: Context| {
        let public = public.clone();
        async move { Ok::<_, Error>(c.text(200, "hello")?.header(http::header::CACHE_CONTROL, public)) }
    };
    let store = MemoryCache::new(&MemoryCacheConfig::default()).unwrap();
    let cache = ResponseCache::new(&ResponseCacheConfig::default(), store).unwrap();
    // Two each for the copy of the headers and the age.
    check("ResponseCache, a hit", App::new().with(cache).get("/", hello), "/", EMPTY + 5);
}
#[cfg(feature = "jwt")]
#[test]
fn a_token() {
    use seawall_http::middleware::{Jwt, JwtAlgorithm, JwtConfig, JwtKey};
    let key = "0123456789abcdef0123456789abcdef".into();
    let config = JwtConfig {
        keys: vec![JwtKey { kid: None, algorithm: JwtAlgorithm::HS256, key }],
        sources: vec![CredentialSource::Header { header: "x-token".to_owned(), scheme: String::new() }],
        ..JwtConfig::default()
    };
    let jwt: Jwt = Jwt::new(&config).unwrap();
    // The first request of the measurement's warm-up has checked the signature.
    check("Jwt, a remembered token", app().with(jwt), "/", EMPTY + 2);
}
#[test]
fn the_access_log_with_a_reader() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        check("AccessLog, written", app().with(AccessLog), "/", EMPTY + 2);
    });
}
#[test]
fn lines_of_the_access_log() {
    let logged = |fields| {
        let to = LogTarget::File("/dev/null".into());
        AccessLines::new(&AccessLogConfig { to, fields, ..AccessLogConfig::default() }).unwrap()
    };
    let cheap =
        logged(vec![LogField::Time, LogField::Method, LogField::Path, LogField::Status, LogField::Micros]);
    check("AccessLines", app().with(cheap), "/", EMPTY);
    let default = logged(AccessLogConfig::default().fields);
    check("AccessLines, with ids of request and trace", app().with(default), "/", EMPTY + 2);
}
#[test]
fn middleware_of_the_wire() {
    let config = RewriteConfig { rules: vec![RewriteRule::new("/old/*", "/$1")], ..RewriteConfig::default() };
    check("Rewrite that does not fit", app().pre(Rewrite::new(&config).unwrap()), "/", EMPTY + 1);
    let slash = TrailingSlash::new(&TrailingSlashConfig::default()).unwrap();
    check("TrailingSlash, right already", app().pre(slash), "/", EMPTY + 1);
    let method = MethodOverride::new(&MethodOverrideConfig::default()).unwrap();
    check("MethodOverride", app().pre(method), "/", EMPTY + 1);
    check("Recover", app().with(Recover), "/", EMPTY + 1);
    check("Trace, nobody listening", app().with(Trace), "/", EMPTY + 1);
    let hello = || App::new().get("/", async || "hello");
    let tagged = hello().with(ETag::new(&ETagConfig::default()).unwrap());
    check("ETag on a &'static str", tagged, "/", EMPTY + 4);
}
#[test]
fn timeouts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    check("timeout", App::new().get("/", empty.timeout(Duration::from_secs(1))), "/", EMPTY + 1);
    check("accept_timeouts without a header", app().accept_timeouts(Duration::from_secs(1)), "/", EMPTY);
}
#[test]
fn facts_of_a_request_cost_nothing_until_asked_for() {
    let ask = |look: fn(&Context) -> bool| {
        App::new().get("/", move |c: Context| {
            assert!(look(&c));
            async { StatusCode::NO_CONTENT }
        })
    };
    check("c.cookie", ask(|c| c.cookie("b") == Some("2")), "/", EMPTY);
    check(
        "c.host, c.scheme, c.client_ip",
        ask(|c| c.scheme() == "http" && c.client_ip() == c.peer().map(|p| p.ip())),
        "/",
        EMPTY,
    );
    check("c.deadline", ask(|c| c.deadline().is_none() && c.time_left().is_none()), "/", EMPTY);
    check("c.request_id, the client's", ask(|c| c.request_id() == "id-7"), "/", EMPTY + 1);
    check("c.trace_id, the client's", ask(|c| c.trace_id().len() == 32), "/", EMPTY + 1);
    let proxies = TrustedProxies::new(&ProxyConfig::default()).unwrap();
    check("trust_proxies, not asked", app().trust_proxies(&proxies), "/", EMPTY);
    check(
        "c.set",
        ask(|c| {
            c.set(7_u8);
            c.get() == Some(&7_u8)
        }),
        "/",
        EMPTY + 1,
    );
}
#[test]
fn cancelled_costs_its_clone_and_a_list_of_waiters_when_it_is_polled() {
    let poll = async |c: Context| -> Result<StatusCode> {
        assert!(c.cancelled().now_or_never().is_none());
        Ok(StatusCode::NO_CONTENT)
    };
    check("c.cancelled, polled", App::new().get("/", poll), "/", EMPTY + 1);
}

/// However long the way: back from dead ends, decoding, through text around parameters.
#[test]
fn finding_a_route_costs_nothing() {
    let mut table = RouteTable::new();
    for number in 0..1_000 {
        table.add(Some(Method::GET), &format!("/api/r{number}/:id/items/:item<int>")).unwrap();
    }
    for pattern in
        ["/api/:a/:b/items/:c", "/api/v:version/:name.json", "/:a/:b/:c/:d/:e/:f/*rest", "/caf\u{e9}"]
    {
        table.add(None, pattern).unwrap();
    }
    table.prepare();
    let segment = "x".repeat(200);
    let long = format!("/{segment}%20/2/3/4/5/6/{}", "7/".repeat(500));
    for path in [
        "/api/r7/1/items/2",
        "/api/r7/1/items/x",
        "/api/v2/x%20y.json",
        "/%63af%C3%A9",
        "/%61pi/%72%31/7/items/%37",
        &long,
    ] {
        let before = COUNT.get();
        let found = table
            .find(&Method::GET, path)
            .map(|found| found.params().map(|(_, value)| value.len()).sum::<usize>());
        let counted = COUNT.get() - before;
        assert!(found.is_some(), "{path}");
        assert_eq!(counted, 0, "{path}");
    }
    let before = COUNT.get();
    assert!(table.find(&Method::GET, "/api/r7/1/nothing").is_none());
    assert_eq!(COUNT.get() - before, 0, "a 404");
}

/// What admission adds to each request while all is well.
#[test]
fn the_short_way_through_admission_allocates_nothing() {
    use seawall_core::Outcome;
    use seawall_guard::{Admission, AdmissionConfig, Meta};
    #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
    let mut now = std::time::Instant::now();
    let admission = Admission::<()>::new(&AdmissionConfig::default(), None, now).unwrap();
    let before = COUNT.get();
    for _ in 0..1_000 {
        let permit = admission.try_start(&Meta::new(now), now).unwrap();
        now += Duration::from_millis(1);
        permit.finish(Outcome::Success, now);
    }
    assert_eq!(COUNT.get() - before, 0);
}
