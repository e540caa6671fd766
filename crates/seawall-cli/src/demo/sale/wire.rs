//! The shop's API as its clients see it: requests as bytes, answers as values.

use std::time::Duration;

use flashsale::checker::history::{Answer as Said, OrderState};
use seawall_load::Request;
use seawall_load::users::Answer;
use serde::Deserialize;

/// Makes the requests of one sale.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) host: String,
    pub(super) product: u64,
}

impl Wire {
    pub(super) fn product(&self) -> Vec<u8> {
        self.get(&format!("/api/v1/products/{}", self.product))
    }

    pub(super) fn stock(&self) -> Vec<u8> {
        self.get(&format!("/api/v1/products/{}/stock", self.product))
    }

    pub(super) fn order(&self, order: u64) -> Vec<u8> {
        self.get(&format!("/api/v1/orders/{order}"))
    }

    pub(super) fn create(&self, user: u64, quantity: u32, key: &str) -> Vec<u8> {
        let body = serde_json::json!({ "user_id": user, "product_id": self.product, "quantity": quantity })
            .to_string();
        self.post("/api/v1/orders", &[("Idempotency-Key".to_owned(), key.to_owned())], &body)
    }

    pub(super) fn pay(&self, order: u64) -> Vec<u8> {
        self.post(&format!("/api/v1/orders/{order}/pay"), &[], "")
    }

    pub(super) fn cancel(&self, order: u64) -> Vec<u8> {
        self.post(&format!("/api/v1/orders/{order}/cancel"), &[], "")
    }

    pub(super) fn register(&self, name: &str) -> Vec<u8> {
        self.post("/api/v1/users", &[], &serde_json::json!({ "name": name }).to_string())
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let request = Request { method: "GET", path, headers: &[], body: b"" };
        request.render(&self.host).expect("our paths are valid")
    }

    fn post(&self, path: &str, headers: &[(String, String)], body: &str) -> Vec<u8> {
        let mut headers = headers.to_vec();
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        let request = Request { method: "POST", path, headers: &headers, body: body.as_bytes() };
        request.render(&self.host).expect("our paths and keys are valid")
    }
}

/// A deliberate refusal: the service has no room now, and says so (429, or 503 with `Retry-After`).
pub(super) fn is_deliberate(answer: &Answer<'_>) -> bool {
    answer.status == 429 || (answer.status == 503 && answer.header("retry-after").is_some())
}

/// How long the service asks to wait; at most 10 s is believed.
pub(super) fn retry_after(answer: &Answer<'_>) -> Option<Duration> {
    let seconds: u64 = answer.header("retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(10)))
}

/// The answer to a question about an order, as the history keeps it.
pub(super) fn said(answer: &Answer<'_>) -> Said {
    #[derive(Deserialize)]
    struct Order {
        order_id: u64,
        state: OrderState,
    }
    #[derive(Deserialize)]
    struct Refusal {
        code: Option<String>,
    }
    if !(200..300).contains(&answer.status) {
        let code = serde_json::from_slice::<Refusal>(answer.body).ok().and_then(|refusal| refusal.code);
        return Said::Refused { status: answer.status, code };
    }
    match serde_json::from_slice(answer.body) {
        Ok(Order { order_id, state }) => Said::Ok { order_id, state },
        Err(_) => Said::Unknown, // a success that says nothing: who knows what happened
    }
}

/// Units left, by an answer about the stock.
pub(super) fn units_left(answer: &Answer<'_>) -> Option<u64> {
    #[derive(Deserialize)]
    struct Stock {
        left: u64,
    }
    (answer.status == 200)
        .then(|| serde_json::from_slice::<Stock>(answer.body).ok().map(|stock| stock.left))?
}

/// The number of a new user.
pub(super) fn user_id(answer: &Answer<'_>) -> Option<u64> {
    #[derive(Deserialize)]
    struct User {
        id: u64,
    }
    (answer.status == 201).then(|| serde_json::from_slice::<User>(answer.body).ok().map(|user| user.id))?
}
