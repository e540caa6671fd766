//! Input from path, query, headers and body, with allowed values.

use seawall::prelude::*;
use seawall::{Invalid, Validate};
use serde::Deserialize;

fn main() -> Result<()> {
    App::new()
        .get("/search", search)
        .post("/shops/:shop/orders", place)
        .post("/stays", book)
        .run("127.0.0.1:8080")
}

#[derive(Deserialize)]
struct Search {
    q: String,
    #[serde(default)]
    tag: Vec<String>,
}

async fn search(Query(Search { q, tag }): Query<Search>) -> String {
    format!("{q} {tag:?}")
}

/// Each field says where it comes from.
#[derive(Bind)]
struct Place {
    #[bind(path)]
    shop: u64,
    #[bind(header = "x-tenant")]
    tenant: Option<String>,
    #[bind(body)]
    order: NewOrder,
}

#[derive(Deserialize)]
struct NewOrder {
    quantity: u32,
}

async fn place(Place { shop, tenant, order }: Place) -> String {
    format!("{} at {shop} for {tenant:?}", order.quantity)
}

#[derive(Deserialize)]
struct Stay {
    from: u32,
    to: u32,
}

impl Validate for Stay {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.unless(self.from < self.to, "to", "must be after `from`");
        invalid.into_result()
    }
}

async fn book(Valid(Json(stay)): Valid<Json<Stay>>) -> String {
    format!("{} nights", stay.to - stay.from)
}
