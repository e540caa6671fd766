//! The shop without HTTP: its rules, its crashes, and what the checker says of broken ones.

mod mutations;
mod oracle;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use seawall::core::metrics::Registry;
use seawall::data::queue::{Delivery, QueueError};
use tempfile::TempDir;

use super::*;
use crate::checker::Database;
use crate::clock::ManualWallClock;

/// A shop with three products: 1 has `units` units and a sale, 2 and 3 have plenty.
struct Sale {
    directory: TempDir,
    config: FlashsaleConfig,
    clock: Arc<ManualWallClock>,
    shop: Shop,
}

impl Sale {
    fn new(units: u64, steps: Box<dyn Steps>, change: impl FnOnce(&mut FlashsaleConfig)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = FlashsaleConfig {
            data_dir: directory.path().to_owned(),
            units,
            pay_timeout: Duration::from_secs(30),
            ..FlashsaleConfig::default()
        };
        change(&mut config);
        let clock = Arc::new(ManualWallClock::new());
        let shop = open(&config, steps, &clock);
        Self { directory, config, clock, shop }
    }

    fn careful(units: u64) -> Self {
        Self::new(units, Box::new(Careful), |_| {})
    }

    /// The process ends and another one takes over.
    fn restart(self) -> Self {
        self.shop.close();
        let shop = open(&self.config, Box::new(Careful), &self.clock);
        Self { shop, ..self }
    }

    fn user(&self) -> u64 {
        block_on(self.shop.add_user("Ann".to_owned())).unwrap().id
    }

    fn place(&self, user_id: u64, key: &str) -> Result<u64, ShopError> {
        let order = NewOrder { user_id, product_id: 1, quantity: 1, key: key.to_owned() };
        block_on(self.shop.place(order)).map(|placed| placed.order_id)
    }

    /// One order each of so many new users; their numbers.
    fn place_many(&self, orders: u64) -> Vec<u64> {
        (0..orders).map(|n| self.place(self.user(), &format!("many-{n}")).unwrap()).collect()
    }

    /// Does what the worker does, until nothing is left to do.
    fn settle(&self) {
        while settle_batch(&self.shop.0) > 0 {}
    }

    fn state(&self, order_id: u64) -> OrderState {
        block_on(self.shop.order(order_id)).unwrap().state
    }

    /// From the database, not from the cache.
    fn left(&self, product_id: u64) -> u64 {
        let database = self.shop.0.db.read_blocking(Database::read_all).unwrap();
        database.stock.iter().find(|row| row.product_id == product_id).unwrap().left
    }
}

fn open(config: &FlashsaleConfig, steps: Box<dyn Steps>, clock: &Arc<ManualWallClock>) -> Shop {
    Shop::open_with(config, &Registry::new(), 3, steps, Arc::<ManualWallClock>::clone(clock)).unwrap()
}

fn settle_batch(parts: &Arc<Parts>) -> usize {
    let batch: Vec<Delivery> = block_on(parts.queue.claim(256)).unwrap();
    let (parts_in, size) = (Arc::clone(parts), batch.len());
    let work = move |tx: &Tx<'_>| {
        settle::settle(&parts_in, tx, &batch)?;
        batch.iter().try_for_each(|delivery| parts_in.queue.ack(tx, delivery))?;
        Ok::<(), ShopError>(())
    };
    parts.db.write_blocking(work).unwrap();
    size
}

/// Delivers the order's message once more, as a queue may.
fn redeliver(parts: &Arc<Parts>, order_id: u64) {
    let queue = parts.queue.clone();
    let name = order_id.to_string();
    let emit = move |tx: &Tx<'_>| queue.emit(tx, &name, name.as_bytes());
    parts.db.write_blocking::<(), QueueError, _>(emit).unwrap();
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

/// The way it is done before somebody measures: the buyer waits for the stock. Whatever the worker does later, the units
/// are deducted once.
#[test]
fn stock_that_is_deducted_in_the_request_is_deducted_once() {
    let sale = Sale::new(1, Box::new(Careful), |config| config.deduct_in_request = true);
    let (first, user) = (sale.place(sale.user(), "k").unwrap(), sale.user());
    assert_eq!((sale.state(first), sale.left(1)), (OrderState::Confirmed, 0));
    sale.settle();
    redeliver(&sale.shop.0, first);
    sale.settle();
    assert_eq!((sale.state(first), sale.left(1)), (OrderState::Confirmed, 0));
    assert!(matches!(sale.place(user, "late"), Err(ShopError::SoldOut(1))));
}

#[test]
fn without_a_cache_the_stock_that_is_shown_is_the_one_in_the_database() {
    let sale = Sale::new(5, Box::new(Careful), |config| config.cache = false);
    assert_eq!(block_on(sale.shop.stock(1)).unwrap().left, 5);
    sale.place_many(2);
    sale.settle();
    assert_eq!(block_on(sale.shop.stock(1)).unwrap().left, 3);
    assert_eq!(block_on(sale.shop.product(1)).unwrap().id, 1);
}

#[test]
fn an_order_is_pending_then_confirmed_then_paid() {
    let sale = Sale::careful(5);
    let order = sale.place(sale.user(), "k").unwrap();
    assert_eq!((sale.state(order), sale.left(1)), (OrderState::Pending, 5));
    sale.settle();
    assert_eq!((sale.state(order), sale.left(1)), (OrderState::Confirmed, 4));
    assert_eq!(block_on(sale.shop.pay(order)).unwrap().state, OrderState::Paid);
    assert_eq!(
        block_on(sale.shop.pay(order)).unwrap().state,
        OrderState::Paid,
        "paying twice changes nothing"
    );
}

#[test]
fn who_comes_too_late_is_rejected_and_then_refused_at_once() {
    let sale = Sale::careful(2);
    let orders = sale.place_many(3);
    sale.settle();
    let states: Vec<_> = orders.iter().map(|order| sale.state(*order)).collect();
    assert_eq!(states, [OrderState::Confirmed, OrderState::Confirmed, OrderState::Rejected]);
    assert_eq!(sale.place(sale.user(), "late"), Err(ShopError::SoldOut(1)));
}

#[test]
fn who_was_in_time_and_asks_again_after_the_sale_is_told_so() {
    let sale = Sale::careful(1);
    let user = sale.user();
    let order = sale.place(user, "k").unwrap();
    sale.settle();
    assert_eq!(sale.place(user, "k"), Ok(order));
    let sale = sale.restart();
    assert_eq!(sale.place(user, "k"), Ok(order));
    assert_eq!(
        sale.place(sale.user(), "other"),
        Err(ShopError::SoldOut(1)),
        "a restart knows what is sold out"
    );
}

#[test]
fn a_release_puts_the_product_back_on_sale() {
    let sale = Sale::careful(1);
    let order = sale.place(sale.user(), "k").unwrap();
    sale.settle();
    assert_eq!(sale.place(sale.user(), "late"), Err(ShopError::SoldOut(1)));
    block_on(sale.shop.cancel(order)).unwrap();
    assert_eq!(sale.left(1), 1);
    sale.place(sale.user(), "late").unwrap();
}

#[test]
fn a_key_cannot_mean_two_orders() {
    let sale = Sale::careful(5);
    let user = sale.user();
    sale.place(user, "k").unwrap();
    assert_eq!(sale.place(sale.user(), "k"), Err(ShopError::KeyReused));
    let more = NewOrder { user_id: user, product_id: 1, quantity: 2, key: "k".to_owned() };
    assert_eq!(block_on(sale.shop.place(more)), Err(ShopError::KeyReused));
}

#[test]
fn the_limit_counts_what_a_user_holds() {
    let sale = Sale::careful(5);
    let user = sale.user();
    let order = sale.place(user, "a").unwrap();
    assert_eq!(sale.place(user, "b"), Err(ShopError::UserLimit { limit: 1 }), "pending orders count");
    sale.settle();
    assert_eq!(sale.place(user, "b"), Err(ShopError::UserLimit { limit: 1 }));
    block_on(sale.shop.cancel(order)).unwrap();
    sale.place(user, "b").unwrap();
}

#[test]
fn unknown_things_are_named() {
    let sale = Sale::careful(5);
    assert_eq!(sale.place(99, "k"), Err(ShopError::UnknownUser(99)));
    let order = NewOrder { user_id: sale.user(), product_id: 99, quantity: 1, key: "k".to_owned() };
    assert_eq!(block_on(sale.shop.place(order)), Err(ShopError::UnknownProduct(99)));
    assert_eq!(block_on(sale.shop.product(99)), Err(ShopError::UnknownProduct(99)));
    assert_eq!(block_on(sale.shop.stock(99)), Err(ShopError::UnknownProduct(99)));
    assert_eq!(block_on(sale.shop.pay(99)), Err(ShopError::UnknownOrder(99)));
    assert_eq!(block_on(sale.shop.cancel(99)), Err(ShopError::UnknownOrder(99)));
    assert_eq!(block_on(sale.shop.order(99)), Err(ShopError::UnknownOrder(99)));
    assert_eq!(block_on(sale.shop.user(99)), Err(ShopError::UnknownUser(99)));
}

#[test]
fn nobody_buys_before_the_sale() {
    let sale = Sale::new(5, Box::new(Careful), |config| config.sale_starts_in = Duration::from_secs(3));
    let user = sale.user();
    assert_eq!(sale.place(user, "k"), Err(ShopError::NotStarted { in_ms: 3_000 }));
    sale.clock.advance(Duration::from_secs(3));
    sale.place(user, "k").unwrap();
}

#[test]
fn an_unpaid_order_expires_and_releases_once() {
    let sale = Sale::careful(5);
    let order = sale.place(sale.user(), "k").unwrap();
    sale.settle();
    sale.clock.advance(Duration::from_secs(29));
    assert_eq!(sale.shop.expire_overdue(10), Ok(0));
    sale.clock.advance(Duration::from_secs(1));
    assert_eq!(sale.shop.expire_overdue(10), Ok(1));
    assert_eq!(sale.shop.expire_overdue(10), Ok(0));
    assert_eq!((sale.state(order), sale.left(1)), (OrderState::Expired, 5));
}

#[test]
fn a_payment_that_comes_too_late_is_refused_and_releases() {
    let sale = Sale::careful(5);
    let order = sale.place(sale.user(), "k").unwrap();
    sale.settle();
    sale.clock.advance(Duration::from_secs(30));
    let wrong =
        ShopError::WrongState { order_id: order, state: OrderState::Expired, wanted: OrderState::Paid };
    assert_eq!(block_on(sale.shop.pay(order)), Err(wrong.clone()));
    assert_eq!(block_on(sale.shop.pay(order)), Err(wrong));
    assert_eq!(sale.left(1), 5);
}

#[test]
fn what_is_paid_cannot_be_cancelled_nor_the_other_way_round() {
    let sale = Sale::careful(5);
    let orders = sale.place_many(2);
    sale.settle();
    block_on(sale.shop.pay(orders[0])).unwrap();
    block_on(sale.shop.cancel(orders[1])).unwrap();
    assert!(matches!(block_on(sale.shop.cancel(orders[0])), Err(ShopError::WrongState { .. })));
    assert!(matches!(block_on(sale.shop.pay(orders[1])), Err(ShopError::WrongState { .. })));
    assert_eq!(block_on(sale.shop.cancel(orders[1])).unwrap().state, OrderState::Cancelled);
    assert_eq!(sale.left(1), 4);
}

#[test]
fn an_order_cancelled_before_it_is_settled_takes_nothing() {
    let sale = Sale::careful(5);
    let order = sale.place(sale.user(), "k").unwrap();
    block_on(sale.shop.cancel(order)).unwrap();
    sale.settle();
    assert_eq!((sale.state(order), sale.left(1)), (OrderState::Cancelled, 5));
}

#[test]
fn a_redelivered_message_does_nothing() {
    let sale = Sale::careful(5);
    let order = sale.place(sale.user(), "k").unwrap();
    redeliver(&sale.shop.0, order);
    sale.settle();
    redeliver(&sale.shop.0, order);
    sale.settle();
    assert_eq!((sale.state(order), sale.left(1)), (OrderState::Confirmed, 4));
}

#[test]
fn an_order_placed_before_the_end_is_settled_after_the_next_start() {
    let sale = Sale::careful(5);
    let orders = sale.place_many(3);
    let claimed = block_on(sale.shop.0.queue.claim(2)).unwrap();
    assert_eq!(claimed.len(), 2, "two are in the hands of a worker that dies");
    let sale = sale.restart();
    sale.settle();
    assert!(orders.iter().all(|order| sale.state(*order) == OrderState::Confirmed));
    assert_eq!(sale.left(1), 2);
}

#[test]
fn the_products_and_their_stock_are_shown() {
    let sale = Sale::careful(5);
    assert_eq!(block_on(sale.shop.product(1)).unwrap().id, 1);
    assert_eq!(block_on(sale.shop.stock(1)), Ok(Stock { left: 5, initial: 5 }));
    let ids: Vec<_> = block_on(sale.shop.products(1, 10)).unwrap().iter().map(|product| product.id).collect();
    assert_eq!(ids, [2, 3]);
}

#[test]
fn a_second_opening_keeps_products_and_stock() {
    let sale = Sale::careful(5);
    sale.place_many(1);
    sale.settle();
    let sale = sale.restart();
    assert_eq!(sale.left(1), 4);
    assert!(sale.directory.path().join(schema::FILE).exists());
}
