//! A request that is sent again is not done again.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode};
use seawall_http::middleware::{Idempotency, IdempotencyConfig, MemoryIdempotency, MemoryIdempotencyConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Response};
use serde_json::Value;
use tokio::sync::Notify;

use crate::block_on;

type Once = Idempotency<MemoryIdempotency>;

fn once(config: &IdempotencyConfig) -> Once {
    Idempotency::new(config, MemoryIdempotency::new(&MemoryIdempotencyConfig::default()).unwrap()).unwrap()
}

/// A shop that counts what it was asked to do.
struct Shop {
    client: TestClient,
    orders: Arc<AtomicU32>,
    /// Lets `/slow` go on.
    go: Arc<Notify>,
}

impl Shop {
    fn new(once: Once) -> Self {
        let (orders, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let count = |orders: &Arc<AtomicU32>| {
            let orders = Arc::clone(orders);
            move || orders.fetch_add(1, SeqCst) + 1
        };
        let (order, slow, fail) = (count(&orders), count(&orders), count(&orders));
        let (broken, streamed) = (count(&orders), count(&orders));
        let wait = Arc::clone(&go);
        let app = App::new()
            .with(once)
            .post("/order", move |c: Context| {
                let number = order();
                async move {
                    let body = c.body().await?;
                    let answer =
                        Response::new(StatusCode::CREATED, format!("order {number}: {} bytes", body.len()));
                    let answer = answer.header(HeaderName::from_static("x-order"), HeaderValue::from(number));
                    Ok::<_, Error>(answer.header(http::header::SET_COOKIE, HeaderValue::from_static("a=1")))
                }
            })
            .post("/slow", move || {
                let (number, wait) = (slow(), Arc::clone(&wait));
                async move {
                    wait.notified().await;
                    format!("order {number}")
                }
            })
            .post("/fails", move || {
                let number = fail();
                async move { if number == 1 { Err(Error::unavailable("busy")) } else { Ok("at last") } }
            })
            .post("/panics", move || {
                let number = broken();
                async move {
                    assert!(number != 1, "on purpose");
                    "at last"
                }
            })
            .post("/streams", move |c: Context| {
                streamed();
                async move {
                    c.stream(200, "text/plain", |mut body| async move { body.write(Bytes::from("x")).await })
                }
            });
        Self { client: TestClient::new(app).unwrap(), orders, go }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &'static str) -> TestResponse {
        let request = self.client.post(path).body(body);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).await
    }
    async fn keyed(&self, path: &str, key: &str) -> TestResponse {
        self.post(path, &[("idempotency-key", key)], "one boot").await
    }
    fn orders(&self) -> u32 {
        self.orders.load(SeqCst)
    }
}

#[track_caller]
fn play(once: Once, script: impl AsyncFnOnce(&Shop)) {
    block_on(async { script(&Shop::new(once)).await });
}

fn code(answer: &TestResponse) -> String {
    answer.json::<Value>()["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_second_request_gets_the_first_answer() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        let first = shop.keyed("/order", "\"k1\"").await;
        let again = shop.keyed("/order", "k1").await;
        for answer in [&first, &again] {
            assert_eq!((answer.status().as_u16(), answer.text()), (201, "order 1: 8 bytes"));
            assert_eq!(answer.header("x-order"), "1");
        }
        assert_eq!(
            (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
            ("", "true")
        );
        assert_eq!((first.header("set-cookie"), again.header("set-cookie")), ("a=1", ""));
        assert_eq!(shop.orders(), 1);
        assert_eq!(shop.keyed("/order", "\"k2\"").await.text(), "order 2: 8 bytes");
    });
}

#[test]
fn a_key_is_for_one_request() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        shop.keyed("/order", "k").await;
        let other = shop.post("/order", &[("idempotency-key", "k")], "two boots").await;
        assert_eq!((other.status().as_u16(), code(&other)), (422, "idempotency_mismatch".to_owned()));
        assert_eq!(shop.keyed("/order?x", "k").await.status(), 422);
        assert_eq!(shop.orders(), 1);
    });
}

#[test]
fn a_key_belongs_to_whoever_sends_it() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        let by =
            async |who| shop.post("/order", &[("idempotency-key", "k"), ("authorization", who)], "").await;
        assert_eq!(
            (by("ann").await.text(), by("bob").await.text()),
            ("order 1: 0 bytes", "order 2: 0 bytes")
        );
        assert_eq!(by("ann").await.text(), "order 1: 0 bytes");
    });
    let by_cookie = once(&IdempotencyConfig::default()).scope_by(|c| c.cookie("user").map(Cow::Borrowed));
    play(by_cookie, async |shop| {
        let by = async |who| shop.post("/order", &[("idempotency-key", "k"), ("cookie", who)], "").await;
        assert_eq!(
            (by("user=a").await.text(), by("user=b").await.text()),
            ("order 1: 0 bytes", "order 2: 0 bytes")
        );
    });
}

#[test]
fn while_the_first_one_runs_the_second_is_a_conflict() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        let (first, ()) = tokio::join!(shop.keyed("/slow", "k"), async {
            while shop.orders() == 0 {
                tokio::task::yield_now().await;
            }
            let second = shop.keyed("/slow", "k").await;
            assert_eq!((second.status().as_u16(), code(&second)), (409, "idempotency_in_flight".to_owned()));
            assert_eq!(second.header("retry-after"), "1");
            shop.go.notify_one();
        });
        assert_eq!(first.text(), "order 1");
        assert_eq!(shop.keyed("/slow", "k").await.text(), "order 1");
    });
}

#[test]
fn a_client_that_goes_away_finds_its_answer_when_it_comes_back() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        {
            let mut gone = Box::pin(shop.keyed("/slow", "k"));
            while shop.orders() == 0 {
                assert!((&mut gone).now_or_never().is_none());
                tokio::task::yield_now().await;
            }
        }
        shop.go.notify_one();
        let back = loop {
            let answer = shop.keyed("/slow", "k").await;
            if answer.status() != 409 {
                break answer;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((back.text(), shop.orders()), ("order 1", 1));
    });
}

#[test]
fn a_failure_is_not_kept() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        assert_eq!(shop.keyed("/fails", "k").await.status(), 503);
        assert_eq!(shop.keyed("/fails", "k").await.text(), "at last");
        assert_eq!(shop.keyed("/fails", "k").await.header("idempotency-replayed"), "true");
    });
    play(once(&IdempotencyConfig::default()), async |shop| {
        assert_eq!(shop.keyed("/panics", "k").await.status(), 500);
        assert_eq!(shop.keyed("/panics", "k").await.text(), "at last");
    });
}

#[test]
fn what_cannot_be_kept_is_still_done_once() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        assert_eq!(shop.keyed("/streams", "k").await.text(), "x");
        let again = shop.keyed("/streams", "k").await;
        assert_eq!((again.status().as_u16(), code(&again)), (409, "idempotency_not_kept".to_owned()));
        assert_eq!(shop.orders(), 1);
    });
    play(once(&IdempotencyConfig { max_body_bytes: 3, ..IdempotencyConfig::default() }), async |shop| {
        assert_eq!(shop.keyed("/order", "k").await.status(), 201);
        assert_eq!(shop.keyed("/order", "k").await.status(), 409);
        assert_eq!(shop.orders(), 1);
    });
}

#[test]
fn a_full_store_refuses_before_anything_is_done() {
    let config = MemoryIdempotencyConfig { max_keys: 1, ..MemoryIdempotencyConfig::default() };
    let once =
        Idempotency::new(&IdempotencyConfig::default(), MemoryIdempotency::new(&config).unwrap()).unwrap();
    play(once, async |shop| {
        let (_, ()) = tokio::join!(shop.keyed("/slow", "k1"), async {
            while shop.orders() == 0 {
                tokio::task::yield_now().await;
            }
            let refused = shop.keyed("/order", "k2").await;
            assert_eq!((refused.status().as_u16(), refused.header("retry-after")), (503, "1"));
            shop.go.notify_one();
        });
        assert_eq!(shop.orders(), 1);
    });
}

#[test]
fn requests_without_a_key_pass_unless_one_is_asked_for() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        shop.post("/order", &[], "").await;
        shop.post("/order", &[], "").await;
        assert_eq!(shop.orders(), 2);
    });
    play(once(&IdempotencyConfig { required: true, ..IdempotencyConfig::default() }), async |shop| {
        let answer = shop.post("/order", &[], "").await;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.json::<Value>()["fields"][0]["field"], "Idempotency-Key");
        assert_eq!(shop.client.get("/order").await.status(), 405);
        assert_eq!(shop.orders(), 0);
    });
}

#[test]
fn what_is_no_key_is_refused_by_name() {
    play(once(&IdempotencyConfig::default()), async |shop| {
        for key in ["", "\"", "a b", &"x".repeat(256)] {
            assert_eq!(shop.keyed("/order", key).await.status(), 400, "{key}");
        }
        let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
        assert_eq!(shop.post("/order", &two, "").await.status(), 400);
        assert_eq!(shop.keyed("/order", &"x".repeat(255)).await.status(), 201);
    });
}

#[test]
fn bounds_that_are_none_are_refused() {
    let store = || MemoryIdempotency::new(&MemoryIdempotencyConfig::default()).unwrap();
    let problem = |config| Idempotency::new(&config, store()).unwrap_err().to_string();
    assert_eq!(
        problem(IdempotencyConfig { methods: vec![], ..IdempotencyConfig::default() }),
        "`idempotency.methods` is [], but must be at least one method, by name"
    );
    assert_eq!(
        problem(IdempotencyConfig { max_key_bytes: 0, ..IdempotencyConfig::default() }),
        "`idempotency.max_key_bytes` is 0, but must be 1 to 1024"
    );
    let problem = |config| MemoryIdempotency::new(&config).unwrap_err().to_string();
    assert_eq!(
        problem(MemoryIdempotencyConfig { max_keys: 0, ..MemoryIdempotencyConfig::default() }),
        "`idempotency.max_keys` is 0, but must be 1 to 10000000"
    );
}
