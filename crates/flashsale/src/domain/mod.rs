//! The shop: users, products, stock, orders. It knows no HTTP.
//!
//! An order is taken in ([`Shop::place`]: admission in memory, then a durable intent and a message for the stock in
//! one commit), and settled later by a worker (`settle.rs`), which takes the message, deducts the stock, writes the
//! ledger and changes the order's state in one transaction. Payment, cancellation and expiry change state and ledger
//! together as well. So at every moment, and after every crash, the file is consistent with itself.

pub(crate) mod admission;
mod error;
mod expiry;
mod far;
mod metrics;
mod orders;
pub mod schema;
mod settle;
pub(crate) mod steps;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use seawall::core::metrics::Registry;
use seawall::data::cache::{Cache, CacheConfig};
use seawall::data::queue::{Inbox, Queue, QueueConfig, QueueStats, Worker};
use seawall::data::sql::{Conn, SqlError, Sqlite, SqliteConfig, Tx};

pub use self::error::ShopError;
pub use self::orders::{NewOrder, Order};

use self::admission::{Admission, InFlight};
use self::expiry::Expiry;
use self::metrics::Metrics;
use self::steps::{Careful, Steps};
use crate::clock::{SystemWallClock, WallClock, millis};
use crate::config::FlashsaleConfig;
use crate::state::OrderState;

/// Units that one order may ask for.
pub const MAX_QUANTITY: u32 = 100;

/// The answer to a new order: durable, not yet settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The order's number.
    pub order_id: u64,
}

/// A product as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its price.
    pub price_cents: u64,
    /// When its sale begins, in milliseconds since 1970.
    pub sale_starts_ms: u64,
}

/// The stock of a product as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Units not taken.
    pub left: u64,
    /// Units there were at first.
    pub initial: u64,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub id: u64,
    /// The name.
    pub name: String,
}

/// The shop. Cloning gives another handle.
#[derive(Clone)]
pub struct Shop(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) db: Sqlite,
    database_away: Duration,
    pub(crate) queue: Queue,
    inbox: Inbox,
    /// All products there are; fixed after the start.
    admissions: HashMap<u64, Admission>,
    in_flight: Arc<InFlight>,
    products: Cache<u64, Arc<Product>>,
    stocks: Cache<u64, Stock>,
    pay_timeout_ms: u64,
    per_user_limit: u32,
    cached: bool,
    deduct_in_request: bool,
    steps: Box<dyn Steps>,
    clock: Arc<dyn WallClock>,
    metrics: Metrics,
}

/// What works in the background of an open shop.
#[derive(Debug)]
pub struct Workers {
    settle: Worker,
    expiry: Expiry,
}

impl Workers {
    /// Stops both, each after the work in its hands. Blocks.
    pub fn stop(self) {
        self.expiry.stop();
        self.settle.stop();
    }
}

/// Why the shop could not be opened.
pub type OpenError = Box<dyn std::error::Error + Send + Sync>;

impl Shop {
    /// Opens the database of `config.data_dir`, filling a new one. Blocks: call it from a plain thread, at start.
    ///
    /// # Errors
    /// A bad configuration, a directory that cannot be made, another process with the database open, or what the
    /// database says.
    pub fn open(config: &FlashsaleConfig, registry: &Registry) -> Result<Self, OpenError> {
        Self::open_with(config, registry, schema::PRODUCTS, Box::new(Careful), Arc::new(SystemWallClock))
    }

    pub(crate) fn open_with(
        config: &FlashsaleConfig,
        registry: &Registry,
        products: u64,
        steps: Box<dyn Steps>,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, OpenError> {
        config.check()?;
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| format!("cannot make {}: {error}", config.data_dir.display()))?;
        let path = config.data_dir.join(schema::FILE);
        let db = Sqlite::open(
            &SqliteConfig { path, readers: config.readers, ..SqliteConfig::default() },
            registry,
        )?;
        let (units, starts) = (config.units, clock.unix_ms().saturating_add(millis(config.sale_starts_in)));
        db.write_blocking(move |tx| schema::prepare(tx, products, units, starts))?;
        let queue = QueueConfig { name: "orders".to_owned(), max_depth: 200_000, ..QueueConfig::default() };
        Ok(Self(Arc::new(Parts {
            queue: Queue::open(&db, &queue, registry)?,
            inbox: Inbox::new("settle", 1_000_000)?,
            admissions: db.read_blocking(admissions)?,
            in_flight: Arc::default(),
            products: Cache::new(&cache("products", schema::PRODUCTS, 5_000, 60_000), registry)?,
            stocks: Cache::new(&cache("stocks", schema::PRODUCTS, 100, 1_000), registry)?,
            pay_timeout_ms: millis(config.pay_timeout),
            per_user_limit: config.per_user_limit,
            database_away: config.database_away,
            cached: config.cache,
            deduct_in_request: config.deduct_in_request,
            steps,
            clock,
            metrics: Metrics::new(registry),
            db,
        })))
    }

    /// Starts the worker that settles orders, and the one that lets unpaid orders expire.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start_workers(&self) -> std::io::Result<Workers> {
        let parts = Arc::clone(&self.0);
        let settle = Worker::spawn(&self.0.queue, move |tx, batch| settle::settle(&parts, tx, batch))?;
        Ok(Workers { settle, expiry: Expiry::spawn(self)? })
    }

    /// Finishes what is queued and closes the database. Blocks: call it after the workers have stopped.
    pub fn close(&self) {
        self.0.db.close();
    }

    /// Takes an order in. When this answers, the order is on disk, and will be settled whatever happens to this
    /// process. The same key gives the same order again, and never a second one. Dropping the future may leave the
    /// order placed or not: ask again with the same key.
    ///
    /// # Errors
    /// [`ShopError`]; nothing was placed then.
    pub async fn place(&self, order: NewOrder) -> Result<Placed, ShopError> {
        let outcome = self.admit(order).await;
        if outcome.is_err() {
            self.0.metrics.refused.inc();
        }
        outcome
    }

    async fn admit(&self, order: NewOrder) -> Result<Placed, ShopError> {
        let parts = &self.0;
        let unknown = ShopError::UnknownProduct(order.product_id);
        let admission = parts.admissions.get(&order.product_id).ok_or(unknown)?;
        let now_ms = parts.clock.unix_ms();
        if now_ms < admission.sale_starts_ms {
            return Err(ShopError::NotStarted { in_ms: admission.sale_starts_ms - now_ms });
        }
        let on_its_way = parts.in_flight.enter(&order.key);
        if admission.is_sold_out() && on_its_way.alone {
            // Not everybody who comes too late may cost a write. But this may be somebody who was in time and asks
            // again: since the key is not on its way, its order is on disk by now, or there is none.
            let product_id = order.product_id;
            let placed = parts.read(move |conn| orders::by_key(conn, &order)).await?;
            let order_id = placed.ok_or(ShopError::SoldOut(product_id))?;
            parts.metrics.replayed.inc();
            return Ok(Placed { order_id });
        }
        let task = Arc::clone(parts);
        let write = move |tx: &Tx<'_>| {
            // Kept until the fate of the write is known, also if the buyer has left by then.
            tx.on_end(move |_| drop(on_its_way));
            task.intend(tx, &order, now_ms)
        };
        let placed = parts.steps.acknowledge(Box::pin(parts.db.write(write))).await?;
        if parts.deduct_in_request {
            let task = Arc::clone(parts);
            let settle = move |tx: &Tx<'_>| settle::settle_now(&task, tx, placed.order_id);
            parts.db.write(settle).await?;
        }
        Ok(placed)
    }

    /// Marks a confirmed order as paid. Paying a paid order changes nothing and succeeds.
    ///
    /// # Errors
    /// [`ShopError::WrongState`] unless it is confirmed and not overdue; [`ShopError::UnknownOrder`].
    pub async fn pay(&self, order_id: u64) -> Result<Order, ShopError> {
        let parts = Arc::clone(&self.0);
        let pay = move |tx: &Tx<'_>| {
            let order = parts.order(tx, order_id)?;
            match order.state {
                OrderState::Paid => Ok(order),
                OrderState::Confirmed if order.pay_by_ms.is_some_and(|by| parts.clock.unix_ms() < by) => {
                    orders::set_state(tx, order_id, OrderState::Paid)?;
                    Ok(Order { state: OrderState::Paid, ..order })
                }
                // Overdue: it expires now, whether or not the sweep has come by.
                OrderState::Confirmed => parts.release(tx, order, OrderState::Expired),
                OrderState::Pending | OrderState::Rejected | OrderState::Cancelled | OrderState::Expired => {
                    Ok(order)
                }
            }
        };
        wanted(self.0.db.write(pay).await, OrderState::Paid)
    }

    /// Cancels an order that is not paid, and releases what it held. Cancelling it again changes nothing and
    /// succeeds.
    ///
    /// # Errors
    /// [`ShopError::WrongState`] if it is paid, rejected or expired; [`ShopError::UnknownOrder`].
    pub async fn cancel(&self, order_id: u64) -> Result<Order, ShopError> {
        let parts = Arc::clone(&self.0);
        let cancel = move |tx: &Tx<'_>| {
            let order = parts.order(tx, order_id)?;
            match order.state {
                OrderState::Pending => {
                    orders::set_state(tx, order_id, OrderState::Cancelled)?;
                    Ok(Order { state: OrderState::Cancelled, ..order })
                }
                OrderState::Confirmed => parts.release(tx, order, OrderState::Cancelled),
                OrderState::Cancelled | OrderState::Paid | OrderState::Rejected | OrderState::Expired => {
                    Ok(order)
                }
            }
        };
        wanted(self.0.db.write(cancel).await, OrderState::Cancelled)
    }

    /// The order as it stands; sees every order that was acknowledged.
    ///
    /// # Errors
    /// [`ShopError::UnknownOrder`], and what the database says.
    pub async fn order(&self, order_id: u64) -> Result<Order, ShopError> {
        let found = self.0.read(move |conn| orders::by_id(conn, order_id)).await?;
        found.ok_or(ShopError::UnknownOrder(order_id))
    }

    /// The product, up to a minute old.
    ///
    /// # Errors
    /// [`ShopError::UnknownProduct`], and what the database says.
    pub async fn product(&self, id: u64) -> Result<Arc<Product>, ShopError> {
        self.known(id)?;
        let load = || async {
            let found = self.0.read(move |conn| products(conn, id - 1, 1)).await?;
            let product = found.into_iter().next().filter(|product| product.id == id);
            product.map(Arc::new).ok_or(ShopError::UnknownProduct(id))
        };
        if !self.0.cached {
            return load().await;
        }
        self.0.products.get_or_load(&id, load).await
    }

    /// Up to `max` products with numbers above `after`, by number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn products(&self, after: u64, max: u32) -> Result<Vec<Product>, ShopError> {
        Ok(self.0.read(move |conn| products(conn, after, max)).await?)
    }

    /// The product's stock, up to a second old.
    ///
    /// # Errors
    /// [`ShopError::UnknownProduct`], and what the database says.
    pub async fn stock(&self, id: u64) -> Result<Stock, ShopError> {
        self.known(id)?;
        let load = || async {
            let read = move |conn: &Conn<'_>| {
                conn.query_one("SELECT left, initial FROM stock WHERE product_id = ?", &[id.into()], |row| {
                    Ok::<_, SqlError>(Stock { left: row.get(0)?, initial: row.get(1)? })
                })
            };
            self.0.read(read).await?.ok_or(ShopError::UnknownProduct(id))
        };
        if !self.0.cached {
            return load().await;
        }
        self.0.stocks.get_or_load(&id, load).await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_user(&self, name: String) -> Result<User, ShopError> {
        let insert = move |tx: &Tx<'_>| {
            tx.execute("INSERT INTO users (name) VALUES (?)", &[(&name).into()])?;
            Ok(User { id: tx.last_insert_id(), name })
        };
        self.0.db.write(insert).await
    }

    /// The user.
    ///
    /// # Errors
    /// [`ShopError::UnknownUser`], and what the database says.
    pub async fn user(&self, id: u64) -> Result<User, ShopError> {
        let read = move |conn: &Conn<'_>| {
            conn.query_one("SELECT name FROM users WHERE id = ?", &[id.into()], |row| {
                Ok::<_, SqlError>(User { id, name: row.get(0)? })
            })
        };
        self.0.read(read).await?.ok_or(ShopError::UnknownUser(id))
    }

    /// How the queue between orders and stock stands.
    ///
    /// # Errors
    /// What the database says.
    pub async fn backlog(&self) -> Result<QueueStats, ShopError> {
        Ok(self.0.queue.stats().await?)
    }

    /// The time by the shop's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.unix_ms()
    }

    /// Lets up to `max` overdue orders expire; gives their number. Blocks.
    pub(crate) fn expire_overdue(&self, max: u32) -> Result<usize, ShopError> {
        let parts = Arc::clone(&self.0);
        self.0.db.write_blocking(move |tx| {
            let overdue = orders::overdue(tx, parts.clock.unix_ms(), max)?;
            let expired = overdue.len();
            for order in overdue {
                parts.release(tx, order, OrderState::Expired)?;
            }
            Ok(expired)
        })
    }

    fn known(&self, product_id: u64) -> Result<(), ShopError> {
        if self.0.admissions.contains_key(&product_id) {
            return Ok(());
        }
        Err(ShopError::UnknownProduct(product_id))
    }
}

impl Parts {
    /// The order's row and its message, or the order that this key has already.
    fn intend(&self, tx: &Tx<'_>, order: &NewOrder, now_ms: u64) -> Result<Placed, ShopError> {
        if let Some(order_id) = orders::by_key(tx, order)? {
            self.metrics.replayed.inc();
            return Ok(Placed { order_id });
        }
        if self.admissions.get(&order.product_id).is_none_or(Admission::is_sold_out) {
            return Err(ShopError::SoldOut(order.product_id));
        }
        let user = tx.query_value::<u64>("SELECT id FROM users WHERE id = ?", &[order.user_id.into()])?;
        user.ok_or(ShopError::UnknownUser(order.user_id))?;
        let held = orders::held_by(tx, order.user_id, order.product_id)?;
        if held + u64::from(order.quantity) > u64::from(self.per_user_limit) {
            return Err(ShopError::UserLimit { limit: self.per_user_limit });
        }
        let order_id = orders::insert(tx, order, now_ms)?;
        self.steps.announce(&self.queue, tx, order_id)?;
        self.steps.created(order_id)?;
        let placed = self.metrics.placed.clone();
        tx.on_end(move |committed| {
            if committed {
                placed.inc()
            }
        });
        Ok(Placed { order_id })
    }

    fn order(&self, tx: &Tx<'_>, order_id: u64) -> Result<Order, ShopError> {
        orders::by_id(tx, order_id)?.ok_or(ShopError::UnknownOrder(order_id))
    }

    /// Ends a confirmed order as `into` and gives its units back.
    fn release(self: &Arc<Self>, tx: &Tx<'_>, order: Order, into: OrderState) -> Result<Order, ShopError> {
        self.steps.release(tx, &order)?;
        orders::set_state(tx, order.id, into)?;
        let (parts, product_id) = (Arc::clone(self), order.product_id);
        tx.on_end(move |committed| {
            if committed {
                parts.metrics.released.inc();
                parts.stock_changed(product_id, false);
            }
        });
        Ok(Order { state: into, ..order })
    }

    /// For commit hooks.
    fn stock_changed(&self, product_id: u64, sold_out: bool) {
        if let Some(admission) = self.admissions.get(&product_id) {
            admission.set_sold_out(sold_out);
        }
    }
}

/// An order that did not reach the state it was to reach is an error.
fn wanted(outcome: Result<Order, ShopError>, wanted: OrderState) -> Result<Order, ShopError> {
    let order = outcome?;
    if order.state == wanted {
        return Ok(order);
    }
    Err(ShopError::WrongState { order_id: order.id, state: order.state, wanted })
}

fn cache(name: &str, items: u64, soft_ms: u64, hard_ms: u64) -> CacheConfig {
    CacheConfig {
        name: name.to_owned(),
        capacity: items,
        expected_items: usize::try_from(items).unwrap_or(usize::MAX),
        soft_ttl: Some(Duration::from_millis(soft_ms)),
        ttl: Some(Duration::from_millis(hard_ms)),
    }
}

fn admissions(conn: &Conn<'_>) -> Result<HashMap<u64, Admission>, SqlError> {
    let mut admissions = HashMap::new();
    let sql = "SELECT id, sale_starts_ms, left FROM products JOIN stock ON product_id = id";
    conn.for_each(sql, &[], |row| {
        admissions.insert(row.get(0)?, Admission::new(row.get(1)?, row.get(2)?));
        Ok::<(), SqlError>(())
    })?;
    Ok(admissions)
}

fn products(conn: &Conn<'_>, after: u64, max: u32) -> Result<Vec<Product>, SqlError> {
    let sql = "SELECT id, name, price_cents, sale_starts_ms FROM products WHERE id > ? ORDER BY id LIMIT ?";
    conn.query(sql, &[after.into(), max.into()], |row| {
        let (id, name) = (row.get(0)?, row.get(1)?);
        Ok(Product { id, name, price_cents: row.get(2)?, sale_starts_ms: row.get(3)? })
    })
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.0.metrics.placed.value();
        f.debug_struct("Shop").field("placed", &counted).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
