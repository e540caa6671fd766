//! Orders: place, look at, pay, cancel.

use seawall::openapi::{Operation, ToSchema, utoipa};
use seawall::prelude::*;
use serde::{Deserialize, Serialize};

use super::errors::{bad_field, number};
use crate::domain::{MAX_QUANTITY, NewOrder, Order, Shop};
use crate::state::OrderState;

/// The routes below `/orders`.
pub(super) fn routes() -> Group {
    let create = create.doc(
        about("Places an order")
            .description("The order is acknowledged when it is on the disk, and decided soon after.")
            .header::<IdempotencyKey>("Idempotency-Key", true, "sent again, it gives the same order")
            .body::<CreateOrder>()
            .answer::<Created>(202, "acknowledged")
            .error(404, "unknown_product, unknown_user")
            .error(409, "sold_out, user_limit, not_started")
            .error(422, "a value that is not allowed, key_reused")
            .error(503, "overloaded"),
    );
    let one = |summary: &str| {
        let one = about(summary).path::<u64>("id").answer::<OrderView>(200, "the order as it stands");
        one.error(404, "unknown_order")
    };
    let pay = pay.doc(one("Pays an order").error(409, "wrong_state"));
    let cancel = cancel.doc(one("Cancels an order").error(409, "wrong_state"));
    Group::new()
        .post("", create)
        .get("/:id", show.doc(one("An order")))
        .post("/:id/pay", pay)
        .post("/:id/cancel", cancel)
}

fn about(summary: &str) -> Operation {
    Operation::new(summary).tag("orders")
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateOrder {
    #[schema(minimum = 1)]
    user_id: u64,
    #[schema(minimum = 1)]
    product_id: u64,
    #[schema(minimum = 1, maximum = 100)]
    quantity: u32,
}

/// The answer to a new order; the same every time it is asked for with the same key.
#[derive(Debug, Serialize, ToSchema)]
struct Created {
    order_id: u64,
    state: OrderState,
}

#[derive(Debug, Serialize, ToSchema)]
struct OrderView {
    order_id: u64,
    state: OrderState,
    user_id: u64,
    product_id: u64,
    quantity: u32,
    /// Until when it must be paid, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_by_ms: Option<u64>,
    /// The service's time, so that a client can count down by its own clock.
    now_ms: u64,
}

impl OrderView {
    fn new(order: Order, now_ms: u64) -> Json<Self> {
        let Order { id, user_id, product_id, quantity, state, pay_by_ms } = order;
        let pay_by_ms = pay_by_ms.filter(|_| state == OrderState::Confirmed);
        Json(Self { order_id: id, state, user_id, product_id, quantity, pay_by_ms, now_ms })
    }
}

async fn create(
    IdempotencyKey(key): IdempotencyKey,
    shop: State<Shop>,
    Json(body): Json<CreateOrder>,
) -> Result<(StatusCode, Json<Created>)> {
    let user_id = number("user_id", body.user_id)?;
    let product_id = number("product_id", body.product_id)?;
    if !(1..=MAX_QUANTITY).contains(&body.quantity) {
        return Err(bad_field("quantity", body.quantity, format_args!("1 to {MAX_QUANTITY}")));
    }
    let order = NewOrder { user_id, product_id, quantity: body.quantity, key };
    let placed = shop.place(order).await?;
    Ok((StatusCode::ACCEPTED, Json(Created { order_id: placed.order_id, state: OrderState::Pending })))
}

async fn show(Path(id): Path<u64>, shop: State<Shop>) -> Result<Json<OrderView>> {
    Ok(OrderView::new(shop.order(id).await?, shop.now_ms()))
}

async fn pay(Path(id): Path<u64>, shop: State<Shop>) -> Result<Json<OrderView>> {
    Ok(OrderView::new(shop.pay(id).await?, shop.now_ms()))
}

async fn cancel(Path(id): Path<u64>, shop: State<Shop>) -> Result<Json<OrderView>> {
    Ok(OrderView::new(shop.cancel(id).await?, shop.now_ms()))
}

/// The header that makes it safe to send an order again.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$")]
struct IdempotencyKey(String);

impl Extract for IdempotencyKey {
    async fn extract(c: &Context) -> Result<Self> {
        const NAME: &str = "Idempotency-Key";
        const ALLOWED: &str = "1 to 64 visible ASCII characters";
        let refuse = |problem: String| {
            Error::bad_request("an order needs an idempotency key")
                .code("idempotency_key")
                .field(NAME, problem)
        };
        let mut values = c.headers().get_all("idempotency-key").iter();
        let key = values.next().ok_or_else(|| refuse(format!("is missing, but must be {ALLOWED}")))?;
        if values.next().is_some() {
            return Err(refuse("comes more than once, but must come once".to_owned()));
        }
        let (length, visible) = (key.len(), key.as_bytes().iter().all(u8::is_ascii_graphic));
        match key.to_str() {
            Ok(text) if visible && (1..=64).contains(&length) => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(refuse(format!("is {length} bytes long, but must be {ALLOWED}"))),
        }
    }
}
