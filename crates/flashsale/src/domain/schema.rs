//! The tables, and what a new database holds.

use seawall::data::sql::{SqlError, Tx};

/// Products of a new database.
pub const PRODUCTS: u64 = 10_000;
/// The product that everybody wants.
pub const HOT_PRODUCT: u64 = 1;
/// Units of every other product.
pub const COLD_UNITS: u64 = 1_000_000;

/// The name of the file in the data directory.
pub const FILE: &str = "flashsale.db";

/// - `stock.initial` never changes, so that the ledger can be checked against it; `left` is guarded by a CHECK, the
///   last line of defence.
/// - `stock_ledger` is append-only: at most one `deduct` and one `release` per order. `seq` is the order of events.
/// - `orders.rejected_at` is the last `seq` of the ledger when the order was refused for want of stock: it proves
///   that the refusal was right.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS products (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        price_cents INTEGER NOT NULL CHECK (price_cents > 0),
        sale_starts_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS stock (
        product_id INTEGER PRIMARY KEY REFERENCES products,
        initial INTEGER NOT NULL,
        left INTEGER NOT NULL CHECK (left BETWEEN 0 AND initial)
    );
    CREATE TABLE IF NOT EXISTS orders (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL REFERENCES users,
        product_id INTEGER NOT NULL REFERENCES products,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        state TEXT NOT NULL CHECK (state IN
            ('pending', 'confirmed', 'rejected', 'paid', 'cancelled', 'expired')),
        idem_key TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        pay_by_ms INTEGER,
        rejected_at INTEGER
    );
    CREATE INDEX IF NOT EXISTS orders_by_user ON orders (user_id, product_id);
    CREATE INDEX IF NOT EXISTS orders_to_pay ON orders (pay_by_ms) WHERE state = 'confirmed';
    CREATE TABLE IF NOT EXISTS stock_ledger (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        order_id INTEGER NOT NULL REFERENCES orders,
        kind TEXT NOT NULL CHECK (kind IN ('deduct', 'release')),
        product_id INTEGER NOT NULL REFERENCES products,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        UNIQUE (order_id, kind)
    );";

/// Makes the tables and, in a new database, `products` products.
pub(crate) fn prepare(tx: &Tx<'_>, products: u64, units: u64, sale_starts_ms: u64) -> Result<(), SqlError> {
    tx.execute_all(SCHEMA)?;
    if tx.query_value::<u64>("SELECT id FROM products LIMIT 1", &[])?.is_some() {
        return Ok(());
    }
    for id in 1..=products {
        let (name, price_cents, starts, units) = if id == HOT_PRODUCT {
            ("Seawall storm lantern, first edition".to_owned(), 4_900, sale_starts_ms, units)
        } else {
            (format!("Harbour item {id}"), 500 + id * 7 % 9_500, 0, COLD_UNITS)
        };
        tx.execute(
            "INSERT INTO products (id, name, price_cents, sale_starts_ms) VALUES (?, ?, ?, ?)",
            &[id.into(), (&name).into(), price_cents.into(), starts.into()],
        )?;
        tx.execute(
            "INSERT INTO stock (product_id, initial, left) VALUES (?1, ?2, ?2)",
            &[id.into(), units.into()],
        )?;
    }
    Ok(())
}
