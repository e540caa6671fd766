//! A service that describes itself: <http://127.0.0.1:8080/docs>.

use seawall::openapi::{OpenApi, Operation, ToSchema, utoipa};
use seawall::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, ToSchema)]
struct Order {
    /// How many.
    #[schema(minimum = 1, maximum = 5)]
    quantity: u32,
}

fn main() -> Result<()> {
    app().run("127.0.0.1:8080")
}

fn app() -> App {
    let show = show
        .doc(Operation::new("One order").tag("orders").answer::<Order>(200, "the order").error(404, "none"));
    let place =
        place.doc(Operation::new("Places an order").tag("orders").body::<Order>().answer::<Order>(201, "it"));
    App::new()
        .get("/orders/:id<int(1..)>", show)
        .post("/orders", place)
        .openapi(OpenApi::new("Shop", "1.0").description("Sells what there is."))
}

async fn show(Path(id): Path<u64>) -> Result<Json<Order>> {
    (id < 100).then_some(Json(Order { quantity: 1 })).ok_or_else(|| Error::not_found("no such order"))
}

async fn place(c: Context, Json(order): Json<Order>) -> Result<Response> {
    c.json(201, &order)
}
