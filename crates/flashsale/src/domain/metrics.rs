//! What the shop counts: orders, by what happened to them.

use seawall::core::metrics::{Counter, Registry};

pub(super) struct Metrics {
    pub(super) placed: Counter,
    pub(super) replayed: Counter,
    pub(super) refused: Counter,
    pub(super) confirmed: Counter,
    pub(super) rejected: Counter,
    pub(super) released: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let orders = |event| {
            let labels = [("event", event)];
            registry.counter("flashsale_orders_total", "Orders, by what happened to them.", &labels)
        };
        Self {
            placed: orders("placed"),
            replayed: orders("replayed"),
            refused: orders("refused"),
            confirmed: orders("confirmed"),
            rejected: orders("rejected"),
            released: orders("released"),
        }
    }
}
