//! Orders in the database: reading them, and the statements that change their state.

use seawall::data::sql::{Conn, Row, SqlError, Tx, Value};

use super::ShopError;
use crate::state::OrderState;

/// What a buyer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// The buyer.
    pub user_id: u64,
    /// What is bought.
    pub product_id: u64,
    /// How many, from 1.
    pub quantity: u32,
    /// The idempotency key: the same key means the same order.
    pub key: String,
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// The buyer.
    pub user_id: u64,
    /// What is bought.
    pub product_id: u64,
    /// How many.
    pub quantity: u32,
    /// Where it stands.
    pub state: OrderState,
    /// Until when it must be paid, in milliseconds since 1970; set once it is confirmed.
    pub pay_by_ms: Option<u64>,
}

const COLUMNS: &str = "SELECT id, user_id, product_id, quantity, state, pay_by_ms FROM orders";

fn order(row: &Row<'_>) -> Result<Order, SqlError> {
    let state: String = row.get(4)?;
    Ok(Order {
        id: row.get(0)?,
        user_id: row.get(1)?,
        product_id: row.get(2)?,
        quantity: row.get(3)?,
        state: OrderState::parse(&state)
            .ok_or(SqlError::Column { column: 4, expected: "the state of an order" })?,
        pay_by_ms: row.get(5)?,
    })
}

pub(crate) fn by_id(conn: &Conn<'_>, id: u64) -> Result<Option<Order>, SqlError> {
    conn.query_one(&format!("{COLUMNS} WHERE id = ?"), &[id.into()], order)
}

/// The order of this key. An order of another content under the same key is an error.
pub(crate) fn by_key(conn: &Conn<'_>, new: &NewOrder) -> Result<Option<u64>, ShopError> {
    let found = conn.query_one(&format!("{COLUMNS} WHERE idem_key = ?"), &[(&new.key).into()], order)?;
    let Some(found) = found else { return Ok(None) };
    let same =
        found.user_id == new.user_id && found.product_id == new.product_id && found.quantity == new.quantity;
    if same { Ok(Some(found.id)) } else { Err(ShopError::KeyReused) }
}

/// Confirmed orders whose payment is overdue, the oldest first.
pub(crate) fn overdue(conn: &Conn<'_>, now_ms: u64, max: u32) -> Result<Vec<Order>, SqlError> {
    let sql = format!("{COLUMNS} WHERE state = 'confirmed' AND pay_by_ms <= ? ORDER BY pay_by_ms LIMIT ?");
    conn.query(&sql, &[now_ms.into(), max.into()], order)
}

/// Units of the product that the user holds or waits for.
pub(crate) fn held_by(conn: &Conn<'_>, user_id: u64, product_id: u64) -> Result<u64, SqlError> {
    let sql = "SELECT coalesce(sum(quantity), 0) FROM orders \
               WHERE user_id = ? AND product_id = ? AND state IN ('pending', 'confirmed', 'paid')";
    Ok(conn.query_value(sql, &[user_id.into(), product_id.into()])?.unwrap_or(0))
}

pub(crate) fn insert(tx: &Tx<'_>, new: &NewOrder, now_ms: u64) -> Result<u64, SqlError> {
    tx.execute(
        "INSERT INTO orders (user_id, product_id, quantity, state, idem_key, created_ms) \
         VALUES (?, ?, ?, 'pending', ?, ?)",
        &[new.user_id.into(), new.product_id.into(), new.quantity.into(), (&new.key).into(), now_ms.into()],
    )?;
    Ok(tx.last_insert_id())
}

pub(crate) fn set_state(tx: &Tx<'_>, id: u64, state: OrderState) -> Result<(), SqlError> {
    let params: [Value<'_>; 2] = [state.name().into(), id.into()];
    tx.execute("UPDATE orders SET state = ? WHERE id = ?", &params).map(drop)
}

pub(crate) fn confirm(tx: &Tx<'_>, id: u64, pay_by_ms: u64) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE orders SET state = 'confirmed', pay_by_ms = ? WHERE id = ?",
        &[pay_by_ms.into(), id.into()],
    )
    .map(drop)
}

/// Refuses an order for want of stock, and notes at which point of the ledger.
pub(crate) fn reject(tx: &Tx<'_>, id: u64) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE orders SET state = 'rejected', \
         rejected_at = (SELECT coalesce(max(seq), 0) FROM stock_ledger) WHERE id = ?",
        &[id.into()],
    )
    .map(drop)
}
