//! A type that does not say which values are allowed.

use seawall_http::*;

#[derive(serde::Deserialize)]
struct Order;

async fn create(_: Valid<Json<Order>>) -> &'static str {
    ""
}

fn main() {
    let _ = App::new().post("/", create);
}
