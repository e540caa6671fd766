//! Settling orders: what the worker does with a batch of messages, in one transaction.

use std::sync::Arc;

use seawall::data::queue::Delivery;
use seawall::data::sql::{SqlError, Tx};

use super::{Order, Parts, ShopError, orders};
use crate::state::OrderState;

/// Settles every order of the batch. The worker acknowledges the messages in the same transaction, so a crash repeats
/// all of it or nothing.
pub(super) fn settle(parts: &Arc<Parts>, tx: &Tx<'_>, batch: &[Delivery]) -> Result<(), ShopError> {
    batch.iter().try_for_each(|delivery| settle_one(parts, tx, delivery))
}

fn settle_one(parts: &Arc<Parts>, tx: &Tx<'_>, delivery: &Delivery) -> Result<(), ShopError> {
    if !parts.steps.is_first(&parts.inbox, tx, &delivery.msg_id)? {
        return Ok(());
    }
    let order_id = std::str::from_utf8(&delivery.payload).ok().and_then(|text| text.parse().ok());
    let order_id = order_id.ok_or(SqlError::Column { column: 0, expected: "the number of an order" })?;
    let order = parts.order(tx, order_id)?;
    if order.state == OrderState::Cancelled {
        return Ok(()); // before it was settled: it holds nothing
    }
    if parts.deduct_in_request && order.state != OrderState::Pending {
        return Ok(()); // settled before its buyer was answered
    }
    settle_order(parts, tx, &order)
}

/// Settles an order that was just placed, before its buyer is answered. Its message is still there: should this process end
/// in between, the worker settles it after the next start.
pub(super) fn settle_now(parts: &Arc<Parts>, tx: &Tx<'_>, order_id: u64) -> Result<(), ShopError> {
    let order = parts.order(tx, order_id)?;
    if order.state != OrderState::Pending {
        return Ok(());
    }
    settle_order(parts, tx, &order)
}

fn settle_order(parts: &Arc<Parts>, tx: &Tx<'_>, order: &Order) -> Result<(), ShopError> {
    if parts.steps.deduct(tx, order)? {
        let pay_by_ms = parts.clock.unix_ms().saturating_add(parts.pay_timeout_ms);
        orders::confirm(tx, order.id, pay_by_ms)?;
        deducted(parts, tx, order)
    } else {
        orders::reject(tx, order.id)?;
        let rejected = parts.metrics.rejected.clone();
        tx.on_end(move |committed| {
            if committed {
                rejected.inc()
            }
        });
        Ok(())
    }
}

/// Lets admission know when the last unit is gone.
fn deducted(parts: &Arc<Parts>, tx: &Tx<'_>, order: &Order) -> Result<(), ShopError> {
    let product_id = order.product_id;
    let left = tx.query_value::<u64>("SELECT left FROM stock WHERE product_id = ?", &[product_id.into()])?;
    let parts = Arc::clone(parts);
    tx.on_end(move |committed| {
        if committed {
            parts.metrics.confirmed.inc();
            if left == Some(0) {
                parts.stock_changed(product_id, true);
            }
        }
    });
    Ok(())
}
