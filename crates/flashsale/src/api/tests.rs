//! Every route and every documented refusal, through the whole app but without a network.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use seawall::core::metrics::Registry;
use seawall::data::sql::{Side, SqlError};
use seawall::json;
use seawall::testing::{TestClient, TestResponse};
use tempfile::TempDir;

use super::*;
use crate::FlashsaleConfig;
use crate::clock::ManualWallClock;
use crate::domain::Workers;
use crate::domain::steps::{Careful, Steps};

/// The service on a new database of three products, of which product 1 has two units.
struct Service {
    client: TestClient,
    clock: Arc<ManualWallClock>,
    shop: Shop,
    workers: Option<Workers>,
    _directory: TempDir,
}

impl Service {
    fn new() -> Self {
        Self::with(Box::new(Careful), |_| {})
    }

    fn with(steps: Box<dyn Steps>, change: impl FnOnce(&mut FlashsaleConfig)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config =
            FlashsaleConfig { data_dir: directory.path().to_owned(), units: 2, ..FlashsaleConfig::default() };
        change(&mut config);
        let clock = Arc::new(ManualWallClock::new());
        let wall_clock = Arc::<ManualWallClock>::clone(&clock);
        let shop = Shop::open_with(&config, &Registry::new(), 3, steps, wall_clock).unwrap();
        let workers = Some(shop.start_workers().unwrap());
        let client = TestClient::new(app(shop.clone())).unwrap();
        Self { client, clock, shop, workers, _directory: directory }
    }

    fn get(&self, path: &str) -> TestResponse {
        block_on(async { self.client.get(path).await })
    }

    fn post(&self, path: &str, body: &str, key: Option<&str>) -> TestResponse {
        let mut request =
            self.client.post(path).header("content-type", "application/json").body(body.to_owned());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        block_on(async { request.await })
    }

    fn user(&self) -> u64 {
        let answer = self.post("/api/v1/users", r#"{"name":"Ann"}"#, None);
        assert_eq!(answer.status(), 201);
        answer.json::<serde_json::Value>()["id"].as_u64().unwrap()
    }

    fn order(&self, user: u64, key: &str) -> TestResponse {
        let body = json!({"user_id": user, "product_id": 1, "quantity": 1}).to_string();
        self.post("/api/v1/orders", &body, Some(key))
    }

    /// A new user's order; its number, once it is settled.
    fn bought(&self, key: &str) -> u64 {
        let answer = self.order(self.user(), key);
        assert_eq!(answer.status(), 202, "{}", answer.text());
        let id = answer.json::<serde_json::Value>()["order_id"].as_u64().unwrap();
        for _ in 0..100_000 {
            if self.state(id) != "pending" {
                return id;
            }
            std::thread::yield_now();
        }
        panic!("order {id} is not settled");
    }

    fn state(&self, id: u64) -> String {
        let answer = self.get(&format!("/api/v1/orders/{id}"));
        answer.json::<serde_json::Value>()["state"].as_str().unwrap().to_owned()
    }

    fn act(&self, id: u64, verb: &str) -> TestResponse {
        self.post(&format!("/api/v1/orders/{id}/{verb}"), "", None)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.workers.take().unwrap().stop();
        self.shop.close();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

/// The whole JSON of a refusal.
#[track_caller]
fn refused(answer: &TestResponse, status: u16, body: serde_json::Value) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.json::<serde_json::Value>(), body);
}

#[track_caller]
fn bad_field(answer: &TestResponse, field: &str, message: &str) {
    let body = json!({
        "message": "the request holds a value that is not allowed",
        "fields": [{"field": field, "message": message}],
    });
    refused(answer, 422, body);
}

fn order_body(user: u64, product: u64, quantity: u64) -> String {
    json!({"user_id": user, "product_id": product, "quantity": quantity}).to_string()
}

#[test]
fn the_page_and_its_parts_are_served() {
    let service = Service::new();
    for (path, kind, text) in [
        ("/", "text/html; charset=utf-8", "<title>Harbour flash sale</title>"),
        ("/sale.css", "text/css; charset=utf-8", "--gold"),
        ("/sale.js", "text/javascript; charset=utf-8", "idempotency-key"),
    ] {
        let answer = service.get(path);
        assert_eq!((answer.status().as_u16(), answer.header("content-type")), (200, kind));
        assert!(answer.text().contains(text));
    }
}

#[test]
fn products_are_listed_in_pages() {
    let service = Service::new();
    let ids = |path: &str| -> Vec<u64> {
        let list: Vec<serde_json::Value> = service.get(path).json();
        list.iter().map(|product| product["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("/api/v1/products"), [1, 2, 3]);
    assert_eq!(ids("/api/v1/products?after=1&limit=1"), [2]);
}

#[test]
fn a_product_and_its_stock_are_shown() {
    let service = Service::new();
    let product: serde_json::Value = service.get("/api/v1/products/1").json();
    assert_eq!((product["id"].as_u64(), product["price_cents"].as_u64()), (Some(1), Some(4_900)));
    let stock: serde_json::Value = service.get("/api/v1/products/1/stock").json();
    assert_eq!(stock, json!({"product_id": 1, "left": 2, "initial": 2}));
}

#[test]
fn a_user_is_made_and_shown() {
    let service = Service::new();
    let id = service.user();
    let user: serde_json::Value = service.get(&format!("/api/v1/users/{id}")).json();
    assert_eq!(user, json!({"id": id, "name": "Ann"}));
}

#[test]
fn an_order_is_taken_in_settled_and_paid() {
    let service = Service::new();
    let user = service.user();
    let answer = service.order(user, "k");
    assert_eq!(answer.status(), 202);
    let id = answer.json::<serde_json::Value>()["order_id"].as_u64().unwrap();
    assert_eq!(answer.json::<serde_json::Value>(), json!({"order_id": id, "state": "pending"}));
    let seen = service.get(&format!("/api/v1/orders/{id}"));
    assert_eq!(seen.status(), 200, "a buyer reads his own order at once");
    let again = service.order(user, "k");
    assert_eq!((again.status(), again.text()), (answer.status(), answer.text()), "same key, same answer");
    let id = service.bought("other");
    for _ in 0..2 {
        let paid = service.act(id, "pay");
        assert_eq!(paid.status(), 200);
        assert_eq!(paid.json::<serde_json::Value>()["state"], "paid");
    }
}

#[test]
fn a_cancelled_order_stays_so() {
    let service = Service::new();
    let id = service.bought("k");
    for _ in 0..2 {
        let cancelled = service.act(id, "cancel");
        assert_eq!(cancelled.status(), 200);
        assert_eq!(cancelled.json::<serde_json::Value>()["state"], "cancelled");
    }
}

#[test]
fn the_wrong_state_is_409() {
    let service = Service::new();
    let id = service.bought("k");
    service.act(id, "cancel");
    let message = format!("order {id} is cancelled, so it cannot be paid");
    refused(&service.act(id, "pay"), 409, json!({"message": message, "code": "wrong_state"}));
    let id = service.bought("other");
    service.act(id, "pay");
    let message = format!("order {id} is paid, so it cannot be cancelled");
    refused(&service.act(id, "cancel"), 409, json!({"message": message, "code": "wrong_state"}));
}

#[test]
fn an_order_not_paid_in_time_expires() {
    let service = Service::new();
    let id = service.bought("k");
    service.clock.advance(Duration::from_secs(60));
    let answer = service.act(id, "pay");
    let message = format!("order {id} is expired, so it cannot be paid");
    refused(&answer, 409, json!({"message": message, "code": "wrong_state"}));
    assert_eq!(service.state(id), "expired");
}

#[test]
fn sold_out_is_409() {
    let service = Service::new();
    service.bought("a");
    service.bought("b");
    let answer = service.order(service.user(), "c");
    refused(&answer, 409, json!({"message": "product 1 is sold out", "code": "sold_out"}));
}

#[test]
fn a_second_unit_for_one_user_is_409() {
    let service = Service::new();
    let user = service.user();
    assert_eq!(service.order(user, "a").status(), 202);
    let body = json!({"message": "one user may hold at most 1 of this product", "code": "user_limit"});
    refused(&service.order(user, "b"), 409, body);
}

#[test]
fn an_order_before_the_sale_is_409_and_says_when_to_come_back() {
    let service = Service::with(Box::new(Careful), |config| config.sale_starts_in = Duration::from_secs(90));
    let answer = service.order(service.user(), "k");
    refused(&answer, 409, json!({"message": "the sale begins in 90 s", "code": "not_started"}));
    assert_eq!(answer.header("retry-after"), "90");
}

#[test]
fn the_same_key_for_another_order_is_422() {
    let service = Service::new();
    let user = service.user();
    assert_eq!(service.order(user, "k").status(), 202);
    let body = json!({"message": "this idempotency key was used for another order", "code": "key_reused"});
    refused(&service.order(service.user(), "k"), 422, body.clone());
    let more = service.post("/api/v1/orders", &order_body(user, 1, 2), Some("k"));
    refused(&more, 422, body);
}

#[test]
fn a_missing_or_invalid_key_is_400() {
    let service = Service::new();
    let body = order_body(service.user(), 1, 1);
    let check = |key: Option<&str>, problem: &str| {
        let expected = json!({
            "message": "an order needs an idempotency key",
            "code": "idempotency_key",
            "fields": [{"field": "Idempotency-Key", "message": problem}],
        });
        refused(&service.post("/api/v1/orders", &body, key), 400, expected);
    };
    check(None, "is missing, but must be 1 to 64 visible ASCII characters");
    check(Some(""), "is 0 bytes long, but must be 1 to 64 visible ASCII characters");
    check(Some("two words"), "is 9 bytes long, but must be 1 to 64 visible ASCII characters");
    check(Some(&"x".repeat(65)), "is 65 bytes long, but must be 1 to 64 visible ASCII characters");
}

#[test]
fn unknown_things_are_404() {
    let service = Service::new();
    let user = service.user();
    let unknown = |what: &str, id: u64| json!({"message": format!("there is no {what} {id}"), "code": format!("unknown_{what}")});
    refused(&service.get("/api/v1/products/99"), 404, unknown("product", 99));
    refused(&service.get("/api/v1/products/0/stock"), 404, unknown("product", 0));
    refused(&service.get("/api/v1/users/99"), 404, unknown("user", 99));
    refused(&service.get("/api/v1/orders/99"), 404, unknown("order", 99));
    refused(&service.act(99, "pay"), 404, unknown("order", 99));
    refused(&service.act(99, "cancel"), 404, unknown("order", 99));
    let order = |user, product| service.post("/api/v1/orders", &order_body(user, product, 1), Some("k"));
    refused(&order(user, 99), 404, unknown("product", 99));
    refused(&order(99, 1), 404, unknown("user", 99));
    let message = format!("there is nothing with the number {}", u64::MAX);
    let answer = service.get(&format!("/api/v1/orders/{}", u64::MAX));
    refused(&answer, 404, json!({"message": message, "code": "unknown_number"}));
}

#[test]
fn what_is_no_json_is_400() {
    let service = Service::new();
    for body in ["", "{", r#"{"user_id": 1,}"#] {
        let answer = service.post("/api/v1/orders", body, Some("k"));
        assert_eq!(answer.status(), 400, "{}", answer.text());
        assert_eq!(answer.json::<serde_json::Value>()["fields"][0]["field"], "body");
    }
}

#[test]
fn json_of_another_shape_is_422_and_names_the_field() {
    let service = Service::new();
    let check = |body: &str, field: &str| {
        let answer = service.post("/api/v1/orders", body, Some("k"));
        assert_eq!(answer.status(), 422, "{}", answer.text());
        assert_eq!(answer.json::<serde_json::Value>()["fields"][0]["field"], field, "{}", answer.text());
    };
    check(r#"{"user_id": "ann", "product_id": 1, "quantity": 1}"#, "user_id");
    check(r#"{"user_id": 1, "product_id": -1, "quantity": 1}"#, "product_id");
    check(r#"{"user_id": 1, "product_id": 1, "quantity": 1.5}"#, "quantity");
    check(r#"{"user_id": 1, "product_id": 1}"#, "quantity");
}

#[test]
fn a_value_out_of_range_is_422_and_names_field_value_and_range() {
    let service = Service::new();
    let order = |body: &str| service.post("/api/v1/orders", body, Some("k"));
    bad_field(&order(&order_body(1, 1, 0)), "quantity", "is 0, but must be 1 to 100");
    bad_field(&order(&order_body(1, 1, 101)), "quantity", "is 101, but must be 1 to 100");
    bad_field(&order(&order_body(0, 1, 1)), "user_id", "is 0, but must be 1 to 9223372036854775807");
    bad_field(
        &order(&order_body(1, u64::MAX, 1)),
        "product_id",
        "is 18446744073709551615, but must be 1 to 9223372036854775807",
    );
    let page = service.get("/api/v1/products?limit=101");
    bad_field(&page, "limit", "is 101, but must be 1 to 100");
    let user = service.post("/api/v1/users", r#"{"name":"  "}"#, None);
    bad_field(&user, "name", "is 0 characters long, but must be 1 to 100");
}

#[test]
fn a_path_without_a_number_is_400() {
    let service = Service::new();
    let answer = service.get("/api/v1/orders/abc");
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<serde_json::Value>()["fields"][0]["field"], "id");
}

/// A queue between orders and stock that has no room.
struct Full;

impl Steps for Full {
    fn created(&self, _: u64) -> Result<(), ShopError> {
        Err(ShopError::QueueFull)
    }
}

#[test]
fn a_full_queue_is_503_with_retry_after_and_takes_nothing_in() {
    let service = Service::with(Box::new(Full), |_| {});
    let answer = service.order(service.user(), "k");
    let body = json!({"message": "too many orders at once, please try again", "code": "overloaded"});
    refused(&answer, 503, body);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(service.get("/api/v1/orders/1").status(), 404);
}

#[track_caller]
fn mapped(error: SqlError, status: u16) {
    assert_eq!(errors::status(&ShopError::Data(error)).status(), status);
}

#[test]
fn a_full_writer_is_503() {
    mapped(SqlError::Full { side: Side::Write, waited: Duration::ZERO }, 503);
}

#[test]
fn a_failed_commit_is_503() {
    mapped(SqlError::Commit { reason: "disk full".to_owned() }, 503);
}

#[test]
fn a_closed_database_is_503() {
    mapped(SqlError::Closed, 503);
}

#[test]
fn a_broken_database_is_500() {
    mapped(SqlError::Panicked, 500);
}
