//! The HTTP side: routes, JSON, statuses, the page. It decides nothing about orders.
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /api/v1/products?after=0&limit=20` | products by number |
//! | `GET /api/v1/products/:id` | a product |
//! | `GET /api/v1/products/:id/stock` | its stock, up to a second old |
//! | `POST /api/v1/users` `{"name"}` | 201 and the user |
//! | `GET /api/v1/users/:id` | a user |
//! | `POST /api/v1/orders` `{"user_id", "product_id", "quantity"}`, header `Idempotency-Key` | 202 `{"order_id", "state": "pending"}` |
//! | `GET /api/v1/orders/:id` | the order as it stands |
//! | `POST /api/v1/orders/:id/pay`, `/cancel` | the order; 409 in the wrong state |
//! | `GET /openapi.json`, `GET /docs` | this, for machines and for people |
//!
//! Refusals are `{"message", "code"?, "fields"?}`. For orders: 400 bad JSON or key, 404 `unknown_product`,
//! `unknown_user`, `unknown_order`, 409 `sold_out`, `user_limit`, `not_started`, `wrong_state`, 422 a value that is not
//! allowed or `key_reused`, 503 `overloaded` with `Retry-After`.

mod errors;
mod orders;
mod page;
mod products;
mod users;

use seawall::App;
use seawall::openapi::OpenApi;

use crate::domain::{Shop, ShopError};

/// The service as an app, on a shop whose workers the caller has started.
pub fn app(shop: Shop) -> App {
    App::new()
        .state(shop)
        .map_error(|error: &ShopError| errors::status(error))
        .group("/api/v1", |api| {
            api.mount("/products", products::routes())
                .mount("/users", users::routes())
                .mount("/orders", orders::routes())
        })
        .mount("/", page::routes())
        .openapi(OpenApi::new("Flash sale", env!("CARGO_PKG_VERSION")).description(
            "A shop that sells a few units to very many buyers: nothing is oversold, lost or deducted twice.",
        ))
}

#[cfg(test)]
mod tests;
