//! The steps on which the promises of the shop rest, one by one.
//!
//! They are a trait so that tests can break one at a time and see the checker notice. The service knows only
//! [`Careful`]; nothing outside this crate can give it another.

use std::pin::Pin;

use seawall::data::queue::{Inbox, Queue};
use seawall::data::sql::Tx;

use super::{Order, Placed, ShopError};

/// An order on its way to the disk.
pub(crate) type Placing<'a> = Pin<Box<dyn Future<Output = Result<Placed, ShopError>> + Send + 'a>>;

/// The steps of an order's life that must not go wrong. The defaults are right.
pub(crate) trait Steps: Send + Sync + 'static {
    /// Puts the message for the stock into the transaction that creates the order: both are durable or neither.
    fn announce(&self, queue: &Queue, tx: &Tx<'_>, order_id: u64) -> Result<(), ShopError> {
        let name = order_id.to_string();
        Ok(queue.emit(tx, &name, name.as_bytes())?)
    }

    /// Lets the buyer know of the order: `placing` ends when the order is on disk, not before.
    fn acknowledge<'a>(&'a self, placing: Placing<'a>) -> Placing<'a> {
        placing
    }

    /// Called in the transaction that creates the order, last.
    fn created(&self, _order_id: u64) -> Result<(), ShopError> {
        Ok(())
    }

    /// Whether this message is seen for the first time.
    fn is_first(&self, inbox: &Inbox, tx: &Tx<'_>, msg_id: &str) -> Result<bool, ShopError> {
        Ok(inbox.once(tx, msg_id)?)
    }

    /// Takes the order's units from the stock, if there are enough: test and change are one statement. The ledger
    /// takes a second deduction of the same order for an error.
    fn deduct(&self, tx: &Tx<'_>, order: &Order) -> Result<bool, ShopError> {
        let taken = tx.execute(
            "UPDATE stock SET left = left - ?1 WHERE product_id = ?2 AND left >= ?1",
            &[order.quantity.into(), order.product_id.into()],
        )?;
        if taken == 1 {
            record(tx, order, "deduct")?;
        }
        Ok(taken == 1)
    }

    /// Gives the order's units back. The ledger takes a second release of the same order for an error.
    fn release(&self, tx: &Tx<'_>, order: &Order) -> Result<(), ShopError> {
        tx.execute(
            "UPDATE stock SET left = left + ? WHERE product_id = ?",
            &[order.quantity.into(), order.product_id.into()],
        )?;
        record(tx, order, "release")
    }
}

fn record(tx: &Tx<'_>, order: &Order, kind: &str) -> Result<(), ShopError> {
    tx.execute(
        "INSERT INTO stock_ledger (order_id, kind, product_id, quantity) VALUES (?, ?, ?, ?)",
        &[order.id.into(), kind.into(), order.product_id.into(), order.quantity.into()],
    )?;
    Ok(())
}

/// The steps as they should be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Careful;

impl Steps for Careful {}
