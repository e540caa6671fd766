//! So many per time, and so many at once.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use seawall_core::metrics::Value;
use seawall_http::middleware::{
    ConcurrencyLimit, ConcurrencyLimitConfig, RateLimitHeaders, RateLimiter, RateLimiterConfig,
};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Body, Context, Error, Middleware as _};

use crate::block_on;

async fn hello() -> &'static str {
    "hello"
}

/// Two at once, then one per hour: no test is long enough to see the third.
fn two() -> RateLimiterConfig {
    RateLimiterConfig { requests: 2, per: Duration::from_secs(7200), ..RateLimiterConfig::default() }
}

fn client(limiter: RateLimiter) -> TestClient {
    TestClient::new(App::new().get("/", hello).with(limiter)).unwrap()
}

fn get(client: &TestClient, peer: &str) -> TestResponse {
    block_on(async { client.get("/").peer(peer).await })
}

#[track_caller]
fn refused(config: RateLimiterConfig, message: &str) {
    assert_eq!(RateLimiter::new(&config).unwrap_err().to_string(), message);
}

#[test]
fn each_address_has_its_own_limit() {
    let client = client(RateLimiter::new(&two()).unwrap());
    let statuses =
        ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.2:1"].map(|peer| get(&client, peer).status());
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 200, 429, 200]);
}

#[test]
fn what_a_limit_refuses_is_counted_under_its_name() {
    let app = App::new().with(RateLimiter::new(&two()).unwrap()).get("/", async || "hello");
    let registry = app.metrics();
    let client = TestClient::new(app).unwrap();
    (0..5).for_each(|_| drop(get(&client, "192.0.2.1:1")));
    let families = registry.snapshot();
    let family = families.iter().find(|family| family.name == "seawall_rate_limit_denied_total").unwrap();
    assert!(matches!(family.samples[..], [ref one] if matches!(one.value, Value::Counter(3))), "{family:?}");
    assert_eq!(
        family.samples[0].labels.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["default"]
    );
}

#[test]
fn a_network_of_ipv6_is_one_caller() {
    let client = client(RateLimiter::new(&two()).unwrap());
    let peers =
        ["[2001:db8:0:1::1]:1", "[2001:db8:0:1::2]:1", "[2001:db8:0:1:ffff::]:1", "[2001:db8:0:2::1]:1"];
    assert_eq!(peers.map(|peer| get(&client, peer).status().as_u16()), [200, 200, 429, 200]);
}

#[test]
fn clients_are_told_what_is_left() {
    let client = client(RateLimiter::new(&two()).unwrap());
    let first = get(&client, "192.0.2.1:1");
    assert_eq!(first.header("ratelimit-policy"), "\"default\";q=2;w=7200");
    assert_eq!(first.header("ratelimit"), "\"default\";r=1;t=3600");
    assert_eq!(get(&client, "192.0.2.1:1").header("ratelimit"), "\"default\";r=0;t=7200");
    let third = get(&client, "192.0.2.1:1");
    assert_eq!((third.status().as_u16(), third.header("ratelimit")), (429, "\"default\";r=0;t=3600"));
    assert_eq!(third.header("retry-after"), "3600");
    assert_eq!(third.header("x-ratelimit-limit"), "");
}

#[test]
fn the_older_headers_may_be_sent_instead_or_as_well() {
    let told = |headers| {
        let answer =
            get(&client(RateLimiter::new(&RateLimiterConfig { headers, ..two() }).unwrap()), "192.0.2.1:1");
        ["ratelimit", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
            .map(|name| answer.header(name).to_owned())
    };
    assert_eq!(told(RateLimitHeaders::None), ["", "", "", ""]);
    assert_eq!(told(RateLimitHeaders::Legacy), ["", "2", "1", "3600"]);
    assert_eq!(told(RateLimitHeaders::Both), ["\"default\";r=1;t=3600", "2", "1", "3600"]);
}

#[test]
fn without_headers_it_still_refuses() {
    let client =
        client(RateLimiter::new(&RateLimiterConfig { headers: RateLimitHeaders::None, ..two() }).unwrap());
    let statuses = ["192.0.2.1:1"; 3].map(|peer| get(&client, peer));
    assert_eq!(statuses.each_ref().map(|answer| answer.status().as_u16()), [200, 200, 429]);
    assert_eq!(statuses[2].header("retry-after"), "3600");
}

#[test]
fn a_header_may_be_the_caller() {
    let limiter = RateLimiter::by_header(&two(), "x-api-key".parse().unwrap()).unwrap();
    let client = client(limiter);
    let by = |key: &str| block_on(async { client.get("/").header("x-api-key", key).await }).status().as_u16();
    assert_eq!([by("a"), by("a"), by("a"), by("b")], [200, 200, 429, 200]);
    // Those without one share a limit.
    let nobody = || block_on(async { client.get("/").await }).status().as_u16();
    assert_eq!([nobody(), nobody(), nobody()], [200, 200, 429]);
}

#[test]
fn a_function_may_name_the_caller() {
    let limiter = RateLimiter::by(&two(), |c| c.uri().query().map(Cow::Borrowed));
    let client = client(limiter.unwrap());
    let by = |tenant: &str| block_on(async { client.get(tenant).await }).status().as_u16();
    assert_eq!([by("/?a"), by("/?a"), by("/?a"), by("/?b")], [200, 200, 429, 200]);
}

#[test]
fn limits_stack_and_each_tells() {
    let named = |name: &str, requests| {
        RateLimiter::new(&RateLimiterConfig {
            name: name.into(),
            requests,
            headers: RateLimitHeaders::Both,
            ..two()
        })
        .unwrap()
    };
    let app = App::new().get("/", hello).with(named("all", 3)).with(named("this", 2));
    let client = TestClient::new(app).unwrap();
    let answer = get(&client, "192.0.2.1:1");
    let told: Vec<_> = answer.headers().get_all("ratelimit").iter().collect();
    assert_eq!(told, ["\"this\";r=1;t=3600", "\"all\";r=2;t=2400"]);
    assert_eq!(answer.header("x-ratelimit-limit"), "2");
}

#[test]
fn what_is_not_found_counts_too() {
    let client = client(RateLimiter::new(&two()).unwrap());
    let ask =
        |target: &str| block_on(async { client.post(target).peer("192.0.2.1:1").await }).status().as_u16();
    assert_eq!([ask("/nowhere"), ask("/"), ask("/")], [404, 405, 429]);
}

#[test]
fn all_clones_share_a_limit() {
    let limiter = RateLimiter::new(&two()).unwrap();
    let (one, other) = (client(limiter.clone()), client(limiter));
    let statuses = [&one, &other, &one].map(|client| get(client, "192.0.2.1:1").status().as_u16());
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn exceptions_are_not_counted() {
    let limiter = RateLimiter::new(&two()).unwrap().unless(|c| c.path() == "/");
    let client = TestClient::new(App::new().get("/", hello).with(limiter)).unwrap();
    assert_eq!(["192.0.2.1:1"; 5].map(|peer| get(&client, peer).status().as_u16()), [200; 5]);
}

#[test]
fn a_quota_changes_while_it_works_and_debts_stay() {
    let limiter = RateLimiter::new(&two()).unwrap();
    let live = limiter.live().unwrap();
    let client = client(limiter);
    let status = |peer| get(&client, peer).status().as_u16();
    assert_eq!(["192.0.2.1:1"; 3].map(status), [200, 200, 429]);
    live.set_json(r#"{"requests": 4}"#, "a test").unwrap();
    assert_eq!(live.name(), "rate_limiter.default");
    // Of four per two hours it owes what two per two hours took: the two hours that all four take.
    assert_eq!(status("192.0.2.1:1"), 429);
    assert_eq!(["192.0.2.2:1"; 5].map(status), [200, 200, 200, 200, 429]);
    assert_eq!(get(&client, "192.0.2.3:1").header("ratelimit-policy"), "\"default\";q=4;w=7200");
    live.set_json(r#"{"requests": 8, "per": 7200, "burst": 16}"#, "a test").unwrap();
    assert_eq!(status("192.0.2.1:1"), 200, "more burst lets more debts be");
    for (json, problem) in [
        (r#"{"requests": 0}"#, "`rate_limiter.requests` is 0, but must be at least 1"),
        (
            r#"{"max_keys": 9}"#,
            "`rate_limiter.default.max_keys`: unknown field `max_keys`, expected one of `requests`, `per`, `burst`",
        ),
        (r#"{"burst": 1000001}"#, "`rate_limiter.burst` is 1000001, but must be 1 to 1000000"),
    ] {
        assert_eq!(live.set_json(json, "a test").unwrap_err().to_string(), problem);
    }
    assert_eq!(live.get().burst, 16);
}

#[test]
fn rates_that_are_none_are_refused() {
    refused(
        RateLimiterConfig { requests: 0, ..two() },
        "`rate_limiter.requests` is 0, but must be at least 1",
    );
    refused(
        RateLimiterConfig { per: Duration::ZERO, ..two() },
        "`rate_limiter.per` is 0ns, but must be more than zero, and at most a day for each request",
    );
    refused(
        RateLimiterConfig { ipv6_prefix: 0, ..two() },
        "`rate_limiter.ipv6_prefix` is 0, but must be 32 to 128",
    );
    refused(
        RateLimiterConfig { name: "a b".into(), ..two() },
        "`rate_limiter.name` is \"a b\", but must be letters, digits, `-` and `_`",
    );
}

fn one_at_once() -> ConcurrencyLimit {
    ConcurrencyLimit::new(&ConcurrencyLimitConfig { max_in_flight: 1, retry_after: Duration::from_secs(3) })
        .unwrap()
}

#[test]
fn one_too_many_is_refused_until_there_is_room() {
    let limit = one_at_once();
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let inside = std::sync::Arc::clone(&gate);
    let wait = move || {
        let gate = std::sync::Arc::clone(&inside);
        async move {
            gate.notified().await;
            "done"
        }
    };
    let app = App::new().get("/wait", wait).get("/", hello).with(limit.clone());
    let client = TestClient::new(app).unwrap();
    block_on(async {
        let waiting = client.get("/wait").into_future();
        let (first, ()) = tokio::join!(waiting, async {
            while limit.in_flight() == 0 {
                tokio::task::yield_now().await;
            }
            let second = client.get("/").await;
            assert_eq!((second.status().as_u16(), second.header("retry-after")), (503, "3"));
            gate.notify_one();
        });
        assert_eq!(first.text(), "done");
        assert_eq!((client.get("/").await.status().as_u16(), limit.in_flight()), (200, 0));
    });
}

#[test]
fn a_streamed_answer_holds_its_room_to_its_end() {
    let limit = one_at_once();
    let stream = async |c: Context| {
        c.stream(200, "text/plain", |mut body| async move { body.write(Bytes::from("piece")).await })
    };
    let service = App::new().get("/", stream).with(limit.clone()).build().unwrap();
    block_on(async {
        let request = http::Request::get("/").body(Body::whole("")).unwrap();
        let answer = service.handle(request).await;
        assert_eq!(limit.in_flight(), 1, "the answer is there, its body is not");
        drop(answer);
        assert_eq!(limit.in_flight(), 0, "the client is gone");
    });
}

#[test]
fn failures_panics_and_cancelled_requests_give_the_room_back() {
    let limit = one_at_once();
    let app = App::new()
        .get("/fails", async || Err::<&str, _>(Error::conflict("no")))
        .get("/panics", async || -> &'static str { panic!("on purpose") })
        .get("/never", async || std::future::pending::<&'static str>().await)
        .with(limit.clone());
    let client = TestClient::new(app).unwrap();
    block_on(async {
        assert_eq!(client.get("/fails").await.status(), 409);
        assert_eq!(client.get("/panics").await.status(), 500);
        let mut never = client.get("/never").into_future();
        assert!((&mut never).now_or_never().is_none());
        assert_eq!(limit.in_flight(), 1);
        drop(never);
        assert_eq!(limit.in_flight(), 0);
    });
}

#[test]
fn no_room_at_all_is_refused() {
    let config = ConcurrencyLimitConfig { max_in_flight: 0, ..ConcurrencyLimitConfig::default() };
    let problem = ConcurrencyLimit::new(&config).unwrap_err().to_string();
    assert_eq!(problem, "`concurrency_limit.max_in_flight` is 0, but must be at least 1");
}
