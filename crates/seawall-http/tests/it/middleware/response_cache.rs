//! Answers that are made once and used many times.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use seawall_http::middleware::{
    CacheLookup, CacheStore, CachedAnswer, ETag, ETagConfig, MemoryCache, MemoryCacheConfig, ResponseCache,
    ResponseCacheConfig, cache_key,
};
use seawall_http::static_files::{Embedded, EmbeddedConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Response, Result};
use tokio::sync::Semaphore;

use crate::block_on;

type Memory = Arc<MemoryCache>;

/// A shop whose answers are numbered, so that each shows whether it was made anew.
struct Shop {
    client: TestClient,
    store: Memory,
    made: Arc<AtomicU32>,
    /// Lets `/slow` go on, once per permit.
    go: Arc<Semaphore>,
}

fn memory() -> Memory {
    Arc::new(MemoryCache::new(&MemoryCacheConfig::default()).unwrap())
}

fn cached(config: &ResponseCacheConfig, store: &Memory) -> ResponseCache<Memory> {
    ResponseCache::new(config, Arc::clone(store)).unwrap()
}

/// An answer whose headers are those that the request asks for: `answer-cache-control: max-age=9`.
fn as_wanted(c: &Context, number: u32) -> Response {
    let status = c.header("answer-status").map_or(StatusCode::OK, |status| status.parse().unwrap());
    let mut response = Response::new(status, format!("number {number}"));
    for (name, value) in c.headers() {
        if let Some(name) = name.as_str().strip_prefix("answer-").filter(|name| *name != "status") {
            response.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.clone());
        }
    }
    response
}

impl Shop {
    fn with(cache: impl FnOnce(&Memory) -> ResponseCache<Memory>) -> Self {
        let (store, made, go) = (memory(), Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let count = || {
            let made = Arc::clone(&made);
            move || made.fetch_add(1, SeqCst) + 1
        };
        let (any, slow, fails, streams) = (count(), count(), count(), count());
        let wait = Arc::clone(&go);
        let app = App::new()
            .with(cache(&store))
            .any("/any/*", move |c: Context| {
                let number = any();
                async move { as_wanted(&c, number) }
            })
            .get("/slow", move |c: Context| {
                let (number, wait) = (slow(), Arc::clone(&wait));
                async move {
                    wait.acquire().await?.forget();
                    Ok::<_, Error>(as_wanted(&c, number))
                }
            })
            .any("/fails", move || {
                let number = fails();
                async move { Err::<&str, _>(Error::not_found(format!("number {number}"))) }
            })
            .get("/streams", move |c: Context| {
                let number = streams();
                async move {
                    let text = Bytes::from(format!("number {number}"));
                    let answer =
                        c.stream(200, "text/plain", |mut body| async move { body.write(text).await })?;
                    Ok::<_, Error>(
                        answer.header(header::CACHE_CONTROL, HeaderValue::from_static("max-age=9")),
                    )
                }
            });
        Self { client: TestClient::new(app).unwrap(), store, made, go }
    }

    fn new() -> Self {
        Self::with(|store| cached(&ResponseCacheConfig::default(), store))
    }

    async fn ask(&self, request: &str, headers: &[(&str, &str)]) -> TestResponse {
        let (method, target) = request.split_once(' ').unwrap();
        let request = self.client.request(method.parse().unwrap(), target);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).await
    }
    /// With a minute to be kept.
    async fn get(&self, target: &str) -> TestResponse {
        self.ask(&format!("GET {target}"), &[FRESH]).await
    }
    fn made(&self) -> u32 {
        self.made.load(SeqCst)
    }
    async fn until_made(&self, number: u32) {
        while self.made() < number {
            tokio::task::yield_now().await;
        }
    }
}

const FRESH: (&str, &str) = ("answer-cache-control", "max-age=60");

#[track_caller]
fn play(shop: Shop, script: impl AsyncFnOnce(&Shop)) {
    block_on(async { script(&shop).await });
}

#[test]
fn a_fresh_answer_is_made_once() {
    play(Shop::new(), async |shop| {
        let first = shop.get("/any/a?b").await;
        let second = shop.get("/any/a?b").await;
        assert_eq!((first.text(), first.header("age")), ("number 1", ""));
        assert_eq!((second.text(), second.header("age")), ("number 1", "0"));
        assert_eq!(second.header("cache-control"), "max-age=60");
        assert!(!second.header("date").is_empty());
        assert_eq!(shop.made(), 1);
    });
}

#[test]
fn another_target_or_host_is_another_answer() {
    play(Shop::new(), async |shop| {
        shop.get("/any/a").await;
        assert_eq!(shop.get("/any/a?b").await.text(), "number 2");
        assert_eq!(shop.get("/any/A").await.text(), "number 3");
        let by_host = async |host| shop.ask("GET /any/a", &[FRESH, ("host", host)]).await.text().to_owned();
        assert_eq!(by_host("a.example").await, "number 4");
        assert_eq!(by_host("A.Example").await, "number 4");
        assert_eq!(by_host("b.example").await, "number 5");
    });
}

#[test]
fn an_answer_that_does_not_say_so_is_not_kept_unless_that_is_wanted() {
    play(Shop::new(), async |shop| {
        assert_eq!(shop.ask("GET /any/a", &[]).await.text(), "number 1");
        assert_eq!(shop.ask("GET /any/a", &[]).await.text(), "number 2");
    });
    let config = ResponseCacheConfig { default_fresh: Duration::from_secs(60), ..Default::default() };
    play(Shop::with(|store| cached(&config, store)), async |shop| {
        shop.ask("GET /any/a", &[]).await;
        assert_eq!(shop.ask("GET /any/a", &[]).await.text(), "number 1");
        assert_eq!(shop.ask("GET /any/a", &[("cookie", "a=1")]).await.text(), "number 2");
    });
}

#[test]
fn what_must_not_be_kept_is_made_each_time() {
    for line in [
        ("answer-cache-control", "no-store"),
        ("answer-cache-control", "private"),
        ("answer-cache-control", "no-cache"),
        ("answer-set-cookie", "a=1"),
        ("answer-vary", "*"),
        ("answer-status", "503"),
        ("answer-status", "403"),
        ("authorization", "Bearer x"),
        ("cookie", "session=x"),
        ("range", "bytes=0-1"),
        ("cache-control", "no-store"),
    ] {
        play(Shop::new(), async |shop| {
            shop.ask("GET /any/a", &[FRESH, line]).await;
            shop.ask("GET /any/a", &[FRESH, line]).await;
            assert_eq!(shop.made(), 2, "{line:?}");
            assert_eq!(shop.get("/any/a").await.text(), "number 3", "{line:?}");
        });
    }
}

#[test]
fn whoever_signs_in_is_never_answered_with_what_strangers_get_unless_it_is_for_all() {
    play(Shop::new(), async |shop| {
        shop.get("/any/a").await;
        assert_eq!(shop.ask("GET /any/a", &[FRESH, ("authorization", "x")]).await.text(), "number 2");
        let public = ("answer-cache-control", "public, max-age=60");
        let ann =
            async |target| shop.ask(target, &[public, ("authorization", "ann")]).await.text().to_owned();
        assert_eq!(ann("GET /any/b").await, "number 3");
        assert_eq!(ann("GET /any/b").await, "number 3");
        assert_eq!(shop.get("/any/b").await.text(), "number 3");
    });
}

#[test]
fn what_an_answer_depends_on_tells_variants_apart() {
    play(Shop::new(), async |shop| {
        let vary = ("answer-vary", "Accept-Language, accept");
        let by = async |language| {
            shop.ask("GET /any/a", &[FRESH, vary, ("accept-language", language)]).await.text().to_owned()
        };
        assert_eq!((by("de").await, by("fr").await), ("number 1".into(), "number 2".into()));
        assert_eq!((by("de").await, by("fr").await), ("number 1".into(), "number 2".into()));
        assert_eq!(shop.ask("GET /any/a", &[FRESH, vary]).await.text(), "number 3");
        assert_eq!(shop.store.len(), 1, "they are one target");
    });
}

#[test]
fn head_is_answered_with_what_get_has_left() {
    play(Shop::new(), async |shop| {
        assert_eq!(shop.ask("HEAD /any/a", &[FRESH]).await.header("content-length"), "8");
        assert_eq!(shop.get("/any/a").await.text(), "number 2", "a HEAD leaves nothing");
        let head = shop.ask("HEAD /any/a", &[FRESH]).await;
        assert_eq!((head.text(), head.header("content-length"), head.header("age")), ("", "8", "0"));
        assert_eq!(shop.made(), 2);
    });
}

#[test]
fn a_client_that_has_it_gets_304_and_leaves_the_answer_for_others() {
    let tagged = |c: Context| async move { c.text(200, "hello") };
    let store = memory();
    let cache =
        cached(&ResponseCacheConfig { default_fresh: Duration::from_secs(60), ..Default::default() }, &store);
    let app = App::new().with(cache).with(ETag::new(&ETagConfig::default()).unwrap()).get("/", tagged);
    let client = TestClient::new(app).unwrap();
    block_on(async {
        let tag = "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\""; // of `hello`
        let first = client.get("/").header("if-none-match", tag).await;
        assert_eq!((first.status().as_u16(), first.text(), first.header("etag")), (304, "", tag));
        let other = client.get("/").await;
        assert_eq!((other.status().as_u16(), other.text(), other.header("age")), (200, "hello", "0"));
        let again = client.get("/").header("if-none-match", tag).await;
        assert_eq!((again.status().as_u16(), again.text(), again.header("age")), (304, "", "0"));
        assert_eq!(client.get("/").header("if-none-match", "\"x\"").await.text(), "hello");
    });
}

#[test]
fn a_file_with_a_condition_is_kept_whole() {
    let files = Embedded::new([("notes.txt", b"0123456789".as_slice())], &EmbeddedConfig::default()).unwrap();
    let (store, minute) = (memory(), Duration::from_secs(60));
    let cache = cached(&ResponseCacheConfig { default_fresh: minute, ..Default::default() }, &store);
    let client = TestClient::new(App::new().with(cache).get("/*", files)).unwrap();
    block_on(async {
        let tag = client.head("/notes.txt").await.header("etag").to_owned();
        assert!(store.is_empty() && !tag.is_empty());
        assert_eq!(client.get("/notes.txt").header("if-none-match", &tag).await.status(), 304);
        let whole = client.get("/notes.txt").await;
        assert_eq!((whole.text(), whole.header("age")), ("0123456789", "0"));
        let part = client.get("/notes.txt").header("range", "bytes=2-4").await;
        assert_eq!((part.status().as_u16(), part.text()), (206, "234"));
    });
}

#[test]
fn a_change_that_succeeds_has_what_it_changed_made_anew() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "UNHEARD-OF"] {
        play(Shop::new(), async |shop| {
            shop.get("/any/a").await;
            shop.get("/any/b").await;
            shop.ask(&format!("{method} /any/a"), &[("answer-status", "409")]).await;
            assert_eq!(shop.get("/any/a").await.text(), "number 1", "{method} failed");
            shop.ask(&format!("{method} /any/a"), &[("answer-location", "/any/b")]).await;
            assert_eq!(shop.get("/any/a").await.text(), "number 5", "{method}");
            assert_eq!(shop.get("/any/b").await.text(), "number 6", "{method}");
        });
    }
    play(Shop::new(), async |shop| {
        shop.get("/fails").await;
        shop.get("/any/a").await;
        shop.ask("OPTIONS /any/a", &[]).await;
        shop.ask("QUERY /any/a", &[]).await;
        assert_eq!(shop.get("/any/a").await.header("age"), "0");
    });
}

#[test]
fn what_was_being_made_during_a_change_is_not_kept() {
    let (store, go) = (memory(), Arc::new(Semaphore::new(0)));
    let (reads, wait) = (Arc::new(AtomicU32::new(0)), Arc::clone(&go));
    let count = Arc::clone(&reads);
    let read = move |c: Context| {
        let (number, wait) = (count.fetch_add(1, SeqCst) + 1, Arc::clone(&wait));
        async move {
            wait.acquire().await?.forget();
            Ok::<_, Error>(as_wanted(&c, number))
        }
    };
    let app = App::new()
        .with(cached(&ResponseCacheConfig::default(), &store))
        .get("/", read)
        .post("/", async || StatusCode::NO_CONTENT);
    let client = TestClient::new(app).unwrap();
    let get = async || client.get("/").header(FRESH.0, FRESH.1).await.text().to_owned();
    block_on(async {
        let (old, ()) = tokio::join!(get(), async {
            while reads.load(SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(client.post("/").await.status(), 204);
            go.add_permits(3);
        });
        assert_eq!(old, "number 1");
        assert_eq!((get().await, get().await), ("number 2".into(), "number 2".into()));
    });
}

#[test]
fn a_client_may_ask_for_a_new_answer_which_is_not_kept() {
    play(Shop::new(), async |shop| {
        shop.get("/any/a").await;
        let anew = [FRESH, ("cache-control", "no-cache")];
        assert_eq!(shop.ask("GET /any/a", &anew).await.text(), "number 2");
        assert_eq!(shop.get("/any/a").await.text(), "number 1");
    });
    let deaf = ResponseCacheConfig { obey_clients: false, ..Default::default() };
    play(Shop::with(|store| cached(&deaf, store)), async |shop| {
        shop.get("/any/a").await;
        let anew = [FRESH, ("cache-control", "no-cache"), ("pragma", "no-cache")];
        assert_eq!(shop.ask("GET /any/a", &anew).await.text(), "number 1");
    });
}

#[test]
fn a_client_may_want_nothing_but_what_is_kept() {
    play(Shop::new(), async |shop| {
        let only = [FRESH, ("cache-control", "only-if-cached")];
        assert_eq!(shop.ask("GET /any/a", &only).await.status(), 504);
        assert_eq!(shop.made(), 0);
        shop.get("/any/a").await;
        assert_eq!(shop.ask("GET /any/a", &only).await.text(), "number 1");
    });
}

#[test]
fn failures_streams_and_long_bodies_are_not_kept() {
    for target in ["/fails", "/streams"] {
        play(Shop::new(), async |shop| {
            assert!(shop.get(target).await.text().contains("number 1"), "{target}");
            assert!(shop.get(target).await.text().contains("number 2"), "{target}");
        });
    }
    let short = ResponseCacheConfig { max_body_bytes: 7, ..Default::default() };
    play(Shop::with(|store| cached(&short, store)), async |shop| {
        shop.get("/any/a").await;
        assert_eq!(shop.get("/any/a").await.text(), "number 2");
    });
}

#[test]
fn a_body_of_a_get_is_not_part_of_the_key_so_it_passes() {
    play(Shop::new(), async |shop| {
        let poisoned = [FRESH, ("content-length", "6")];
        assert_eq!(shop.ask("GET /any/a", &poisoned).await.text(), "number 1");
        assert_eq!(shop.get("/any/a").await.text(), "number 2");
        assert_eq!(shop.ask("GET /any/a", &poisoned).await.text(), "number 3");
        let unannounced = shop.client.get("/any/a").header(FRESH.0, FRESH.1).chunks([Bytes::from("poison")]);
        assert_eq!(unannounced.await.text(), "number 4");
    });
}

#[test]
fn one_request_makes_the_answer_for_all_who_wait() {
    play(Shop::new(), async |shop| {
        let all = join_all((0..50).map(|_| shop.get("/slow")));
        let (answers, ()) = tokio::join!(all, async {
            shop.until_made(1).await;
            shop.go.add_permits(1);
        });
        assert!(answers.iter().all(|answer| answer.text() == "number 1"));
        assert_eq!(answers.iter().filter(|answer| answer.header("age") == "0").count(), 49);
        assert_eq!(shop.made(), 1);
    });
}

#[test]
fn if_the_one_who_makes_it_goes_away_the_next_one_does() {
    play(Shop::new(), async |shop| {
        let mut gone = Box::pin(shop.get("/slow"));
        while shop.made() == 0 {
            assert!((&mut gone).now_or_never().is_none());
        }
        let waiting = join_all((0..5).map(|_| shop.get("/slow")));
        let (answers, ()) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            assert_eq!(shop.made(), 1, "the others wait");
            drop(gone);
            shop.until_made(2).await;
            shop.go.add_permits(1);
        });
        assert!(answers.iter().all(|answer| answer.text() == "number 2"));
    });
}

#[test]
fn those_who_wait_for_what_is_not_kept_run_side_by_side() {
    play(Shop::new(), async |shop| {
        let private = [("answer-cache-control", "private")];
        let all = join_all((0..5).map(|_| shop.ask("GET /slow", &private)));
        let (answers, ()) = tokio::join!(all, async {
            shop.until_made(1).await;
            shop.go.add_permits(1);
            shop.until_made(5).await; // none has its permit yet, so that all four run
            shop.go.add_permits(4);
        });
        assert_eq!(answers.len(), 5);
        let (more, ()) = tokio::join!(join_all((0..3).map(|_| shop.ask("GET /slow", &private))), async {
            shop.until_made(8).await;
            shop.go.add_permits(3);
        });
        assert_eq!(more.len(), 3);
    });
}

#[test]
fn nobody_waits_longer_than_is_configured() {
    let config = MemoryCacheConfig { max_wait: Duration::from_millis(10), ..Default::default() };
    let store = Arc::new(MemoryCache::new(&config).unwrap());
    play(Shop::with(|_| cached(&ResponseCacheConfig::default(), &store)), async |shop| {
        let both = join_all([shop.get("/slow"), shop.get("/slow")]);
        tokio::join!(both, async {
            shop.until_made(2).await; // the first one holds its answer back all the time
            shop.go.add_permits(2);
        });
    });
}

#[test]
fn the_key_is_for_the_service_to_choose() {
    let shop = Shop::with(|store| {
        cached(&ResponseCacheConfig::default(), store)
            .key_by(|c| c.header("x-beta").is_none().then(|| Cow::Borrowed(c.path())))
    });
    play(shop, async |shop| {
        shop.get("/any/a?campaign=1").await;
        assert_eq!(shop.get("/any/a?campaign=2").await.text(), "number 1");
        assert_eq!(shop.ask("GET /any/a", &[FRESH, ("x-beta", "1")]).await.text(), "number 2");
        assert_eq!(shop.ask("GET /any/a", &[FRESH, ("x-beta", "1")]).await.text(), "number 3");
    });
}

#[test]
fn the_owner_of_the_store_may_forget_a_target() {
    play(Shop::new(), async |shop| {
        shop.ask("GET /any/a?b", &[FRESH, ("host", "a.example")]).await;
        shop.store.invalidate(cache_key("http", "A.example", "/any/a?b")).await.unwrap();
        let again = shop.ask("GET /any/a?b", &[FRESH, ("host", "a.example")]).await;
        assert_eq!(again.text(), "number 2");
        shop.store.clear();
        assert!(shop.store.is_empty());
    });
}

#[test]
fn the_client_and_the_metrics_hear_where_an_answer_came_from() {
    let config = ResponseCacheConfig { cache_status: Some("shop".into()), ..Default::default() };
    play(Shop::with(|store| cached(&config, store)), async |shop| {
        let status =
            async |request, line| shop.ask(request, &[FRESH, line]).await.header("cache-status").to_owned();
        let none = ("x-none", "");
        assert_eq!(status("GET /any/a", none).await, "shop; fwd=miss; stored");
        assert_eq!(status("GET /any/a", none).await, "shop; hit");
        assert_eq!(status("GET /any/a", ("cache-control", "no-cache")).await, "shop; fwd=request");
        assert_eq!(status("GET /fails", none).await, "shop; fwd=miss");
        assert_eq!(status("POST /any/a", none).await, "shop; fwd=bypass");
        let family = shop.client.service().metrics().snapshot();
        let family = family.iter().find(|family| family.name == "seawall_response_cache_requests_total");
        let counted = format!("{:?}", family.unwrap().samples);
        for outcome in ["hit", "stored", "miss", "anew", "passed"] {
            assert!(counted.contains(&format!("\"{outcome}\"")), "{outcome} in {counted}");
        }
    });
}

/// A store that has broken down.
struct Broken;

impl CacheStore for Broken {
    type Claim = [u8; 32];
    async fn get(&self, _: [u8; 32], _: &HeaderMap) -> Result<Option<Arc<CachedAnswer>>> {
        Err(Error::unavailable("down"))
    }
    async fn get_or_claim(&self, key: [u8; 32], request: &HeaderMap) -> Result<CacheLookup<[u8; 32]>> {
        match request.contains_key("x-finds") {
            true => Ok(CacheLookup::Missing(key)),
            false => Err(Error::unavailable("down")),
        }
    }
    async fn fill(&self, _: [u8; 32], _: Arc<CachedAnswer>, _: Duration) -> Result<()> {
        Err(Error::unavailable("down"))
    }
    async fn invalidate(&self, _: [u8; 32]) -> Result<()> {
        Err(Error::unavailable("down"))
    }
}

#[test]
fn a_store_that_fails_costs_its_hits_and_not_the_requests() {
    let cache = ResponseCache::new(&ResponseCacheConfig::default(), Broken).unwrap();
    let app = App::new().with(cache).any("/", move |c: Context| async move { as_wanted(&c, 7) });
    let client = TestClient::new(app).unwrap();
    block_on(async {
        for request in
            [client.get("/"), client.get("/").header("x-finds", ""), client.head("/"), client.post("/")]
        {
            assert_eq!(request.header(FRESH.0, FRESH.1).await.status(), 200);
        }
    });
}

#[test]
fn a_405_passes() {
    let store = memory();
    let app = App::new().with(cached(&ResponseCacheConfig::default(), &store)).get("/", async || "hello");
    let client = TestClient::new(app).unwrap();
    block_on(async {
        assert_eq!(client.post("/").await.status(), 405);
        assert_eq!(client.options("/").await.status(), 204);
        assert_eq!(client.get("/nowhere").await.status(), 404);
    });
}

#[test]
fn bounds_that_are_none_are_refused() {
    let problem = |config| {
        let refused = ResponseCache::new(&config, Broken).unwrap_err();
        refused.field().to_owned()
    };
    let second = Duration::from_secs(1);
    let config = ResponseCacheConfig::default;
    assert_eq!(
        problem(ResponseCacheConfig { max_fresh: Duration::ZERO, ..config() }),
        "response_cache.max_fresh"
    );
    let more = ResponseCacheConfig { default_fresh: second * 2, max_fresh: second, ..config() };
    assert_eq!(problem(more), "response_cache.default_fresh");
    assert_eq!(
        problem(ResponseCacheConfig { max_body_bytes: usize::MAX, ..config() }),
        "response_cache.max_body_bytes"
    );
    for name in ["", "a b", "1a", "a;b"] {
        let named = ResponseCacheConfig { cache_status: Some(name.into()), ..config() };
        assert_eq!(problem(named), "response_cache.cache_status", "{name}");
    }
}
