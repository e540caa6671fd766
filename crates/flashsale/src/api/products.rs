//! Products and their stock, to look at.

use seawall::openapi::{Operation, ToSchema, utoipa};
use seawall::prelude::*;
use serde::{Deserialize, Serialize};

use super::errors::bad_field;
use crate::domain::{Product, Shop};

/// Products in one answer.
const MAX_LIMIT: u32 = 100;

/// The routes below `/products`.
pub(super) fn routes() -> Group {
    let list = list.doc(
        about("Products by number")
            .query::<Page>()
            .answer::<Vec<ProductView<'_>>>(200, "at most `limit` of them"),
    );
    let show = show.doc(
        about("A product")
            .path::<u64>("id")
            .answer::<ProductView<'_>>(200, "the product")
            .error(404, UNKNOWN),
    );
    let stock = stock.doc(
        about("Its stock, up to a second old")
            .path::<u64>("id")
            .answer::<StockView>(200, "what is left")
            .error(404, UNKNOWN),
    );
    Group::new().get("", list).get("/:id", show).get("/:id/stock", stock)
}

const UNKNOWN: &str = "unknown_product";

fn about(summary: &str) -> Operation {
    Operation::new(summary).tag("products")
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Page {
    /// Only products with a higher number.
    after: u64,
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: 0, limit: 20 }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct ProductView<'a> {
    id: u64,
    name: &'a str,
    price_cents: u64,
    /// When its sale begins, in milliseconds since 1970.
    sale_starts_ms: u64,
    /// The service's time, so that a client can count down by its own clock.
    now_ms: u64,
}

impl<'a> ProductView<'a> {
    fn new(product: &'a Product, now_ms: u64) -> Self {
        let Product { id, name, price_cents, sale_starts_ms } = product;
        Self { id: *id, name, price_cents: *price_cents, sale_starts_ms: *sale_starts_ms, now_ms }
    }
}

async fn list(c: Context, Query(page): Query<Page>, shop: State<Shop>) -> Result<Response> {
    if !(1..=MAX_LIMIT).contains(&page.limit) {
        return Err(bad_field("limit", page.limit, format_args!("1 to {MAX_LIMIT}")));
    }
    let (products, now_ms) = (shop.products(page.after, page.limit).await?, shop.now_ms());
    let views: Vec<_> = products.iter().map(|product| ProductView::new(product, now_ms)).collect();
    c.json(200, &views)
}

async fn show(c: Context, Path(id): Path<u64>, shop: State<Shop>) -> Result<Response> {
    let product = shop.product(id).await?;
    c.json(200, &ProductView::new(&product, shop.now_ms()))
}

#[derive(Debug, Serialize, ToSchema)]
struct StockView {
    product_id: u64,
    left: u64,
    initial: u64,
}

/// Up to a second old: a crowd that watches the last units must not read them from the disk.
async fn stock(Path(id): Path<u64>, shop: State<Shop>) -> Result<Json<StockView>> {
    let stock = shop.stock(id).await?;
    Ok(Json(StockView { product_id: id, left: stock.left, initial: stock.initial }))
}
