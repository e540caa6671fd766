//! What the database holds when the run is over, read as plain rows.

use std::path::Path;

use seawall::core::metrics::Registry;
use seawall::data::sql::{Conn, SqlError, Sqlite, SqliteConfig};

use crate::state::OrderState;

/// One product's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    /// The product.
    pub product_id: u64,
    /// Units there were at first.
    pub initial: u64,
    /// Units not taken.
    pub left: u64,
}

/// What a row of the ledger did to the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKind {
    /// Took units.
    Deduct,
    /// Gave them back.
    Release,
}

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its place: the order of events.
    pub seq: u64,
    /// For which order.
    pub order_id: u64,
    /// What was done.
    pub kind: LedgerKind,
    /// To which product.
    pub product_id: u64,
    /// How many units.
    pub quantity: u64,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// Its number.
    pub id: u64,
    /// The buyer.
    pub user_id: u64,
    /// What was bought.
    pub product_id: u64,
    /// How many.
    pub quantity: u64,
    /// Where it ended.
    pub state: OrderState,
    /// Its idempotency key.
    pub key: String,
    /// For a rejected order: the last `seq` of the ledger when it was rejected.
    pub rejected_at: Option<u64>,
}

/// The whole database, as far as the checker looks at it. Held in memory: one run's worth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Stock, by product.
    pub stock: Vec<StockRow>,
    /// The ledger, by `seq`.
    pub ledger: Vec<LedgerRow>,
    /// All orders, by number.
    pub orders: Vec<OrderRow>,
    /// Messages that wait for the worker or were given up.
    pub unsettled: u64,
}

impl Database {
    /// Reads the database of `data_dir`. The service must have ended. Blocks.
    ///
    /// # Errors
    /// The service still runs, there is no database, or it cannot be read.
    ///
    /// # Panics
    /// If called in an asynchronous context.
    pub fn read(data_dir: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let path = data_dir.join(crate::domain::schema::FILE);
        if !path.exists() {
            return Err(format!("there is no database at {}", path.display()).into());
        }
        let db = Sqlite::open(&SqliteConfig { path, ..SqliteConfig::default() }, &Registry::new())?;
        let all = db.read_blocking(Self::read_all)?;
        db.close();
        Ok(all)
    }

    pub(crate) fn read_all(conn: &Conn<'_>) -> Result<Self, SqlError> {
        let mut all = Self::default();
        conn.for_each("SELECT product_id, initial, left FROM stock ORDER BY product_id", &[], |row| {
            all.stock.push(StockRow { product_id: row.get(0)?, initial: row.get(1)?, left: row.get(2)? });
            Ok::<(), SqlError>(())
        })?;
        let sql =
            "SELECT seq, order_id, kind = 'deduct', product_id, quantity FROM stock_ledger ORDER BY seq";
        conn.for_each(sql, &[], |row| {
            let kind = if row.get(2)? { LedgerKind::Deduct } else { LedgerKind::Release };
            let (seq, order_id) = (row.get(0)?, row.get(1)?);
            let (product_id, quantity) = (row.get(3)?, row.get(4)?);
            all.ledger.push(LedgerRow { seq, order_id, kind, product_id, quantity });
            Ok::<(), SqlError>(())
        })?;
        let sql =
            "SELECT id, user_id, product_id, quantity, state, idem_key, rejected_at FROM orders ORDER BY id";
        conn.for_each(sql, &[], |row| {
            let state = OrderState::parse(&row.get::<String>(4)?)
                .ok_or(SqlError::Column { column: 4, expected: "the state of an order" })?;
            let (id, user_id, product_id) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (quantity, key, rejected_at) = (row.get(3)?, row.get(5)?, row.get(6)?);
            all.orders.push(OrderRow { id, user_id, product_id, quantity, state, key, rejected_at });
            Ok::<(), SqlError>(())
        })?;
        for table in ["seawall_queue", "seawall_queue_dead"] {
            let count = conn.query_value::<u64>(&format!("SELECT count(*) FROM {table}"), &[])?;
            all.unsettled += count.unwrap_or(0);
        }
        Ok(all)
    }
}
