//! The derives write `::seawall`: they must work for whoever depends on this crate alone.

#![allow(clippy::unwrap_used, reason = "a test")]

use seawall::prelude::*;
use seawall::testing::TestClient;
use seawall::{Invalid, Validate};

#[derive(serde::Deserialize)]
struct Order {
    quantity: u8,
}

#[derive(Bind)]
struct Place {
    #[bind(path)]
    shop: u64,
    #[bind(query, default = 1)]
    copies: u32,
    #[bind(body)]
    order: Order,
}

impl Validate for Place {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.unless(self.order.quantity > 0, "quantity", "must be above 0");
        invalid.into_result()
    }
}

async fn place(Valid(place): Valid<Place>) -> String {
    format!("{} {} {}", place.shop, place.copies, place.order.quantity)
}

#[tokio::test(flavor = "current_thread")]
async fn a_derived_binding_needs_this_crate_alone() {
    let client = TestClient::new(App::new().post("/:shop", place)).unwrap();
    assert_eq!(client.post("/7?copies=2").body(r#"{"quantity":3}"#).await.text(), "7 2 3");
    assert_eq!(client.post("/7").body(r#"{"quantity":0}"#).await.status(), 422);
    assert_eq!(client.post("/7?copies=x").body(r#"{"quantity":3}"#).await.status(), 400);
}
