//! Breaks the shop on purpose, one step at a time, and lets the checker judge: it must name the promise that was
//! broken, and find nothing in the shop as it is.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use seawall::data::queue::{Inbox, Queue};

use super::super::steps::Placing;
use super::*;
use crate::checker::{Answer, History, Kind, Operation, OrderRow, Report, Rules, check};

const BUYERS: u64 = 24;
const UNITS: u64 = 9;

/// One sale, the same for every shop: more buyers than units, every third message delivered twice, some buyers pay,
/// some cancel, the others let their order expire.
fn judge(steps: Box<dyn Steps>) -> Report {
    let sale = Sale::new(UNITS, steps, |_| {});
    let mut history = History::default();
    let mut time = 0;
    let mut log = |kind, user_id, key: &str, order_id, answer| {
        time += 10;
        history.operations.push(Operation {
            kind,
            user_id,
            product_id: 1,
            quantity: 1,
            key: key.to_owned(),
            order_id,
            invoked_us: time,
            finished_us: time + 5,
            answer,
        });
    };
    for n in 0..BUYERS {
        let (user, key) = (sale.user(), format!("key-{n}"));
        let placed = sale.place(user, &key);
        log(Kind::Create, user, &key, None, answered(placed.map(|id| (id, OrderState::Pending))));
        // From the database: what happens to an order must not depend on what its buyer was told.
        let order = orders(&sale).into_iter().find(|order| order.key == key);
        if let Some(order) = order.filter(|_| n % 3 == 0) {
            redeliver(&sale.shop.0, order.id);
        }
    }
    let orders = orders(&sale);
    sale.settle();
    for (n, order) in orders.iter().enumerate() {
        let (kind, outcome) = match n % 4 {
            0 => (Kind::Cancel, block_on(sale.shop.cancel(order.id))),
            1 => (Kind::Status, block_on(sale.shop.order(order.id))),
            _ => (Kind::Pay, block_on(sale.shop.pay(order.id))),
        };
        let answer = answered(outcome.map(|order| (order.id, order.state)));
        log(kind, order.user_id, &order.key, Some(order.id), answer);
    }
    sale.clock.advance(Duration::from_secs(60));
    // A broken shop may fail here, at the schema's own guards; then its orders stay as they are, and are judged so.
    let _ = sale.shop.expire_overdue(1_000);
    let database = sale.shop.0.db.read_blocking(Database::read_all).unwrap();
    check(&history, &database, &Rules { per_user_limit: 1 })
}

fn orders(sale: &Sale) -> Vec<OrderRow> {
    sale.shop.0.db.read_blocking(Database::read_all).unwrap().orders
}

fn answered(outcome: Result<(u64, OrderState), ShopError>) -> Answer {
    match outcome {
        Ok((order_id, state)) => Answer::Ok { order_id, state },
        Err(ShopError::SoldOut(_)) => Answer::Refused { status: 409, code: Some("sold_out".to_owned()) },
        Err(ShopError::WrongState { .. }) => Answer::Refused { status: 409, code: None },
        Err(_) => Answer::Unknown,
    }
}

#[track_caller]
fn caught(steps: impl Steps, promise: &str) {
    let report = judge(Box::new(steps));
    assert!(report.failed().contains(&promise), "{report:#?}");
}

#[test]
fn the_shop_as_it_is_keeps_every_promise() {
    let report = judge(Box::new(Careful));
    assert!(report.pass(), "{report:#?}");
}

/// Does not ask the inbox, and takes a repeated ledger row for "done already".
struct SkipsInbox;

impl Steps for SkipsInbox {
    fn is_first(&self, _: &Inbox, _: &Tx<'_>, _: &str) -> Result<bool, ShopError> {
        Ok(true)
    }
    fn deduct(&self, tx: &Tx<'_>, order: &Order) -> Result<bool, ShopError> {
        let sql = "UPDATE stock SET left = left - ?1 WHERE product_id = ?2 AND left >= ?1";
        let taken = tx.execute(sql, &[order.quantity.into(), order.product_id.into()])?;
        if taken == 1 {
            ledger(tx, order)?;
        }
        Ok(taken == 1)
    }
}

#[test]
fn skipping_the_inbox_is_caught() {
    caught(SkipsInbox, "conservation");
}

/// Answers as soon as the order has its number; every fifth time the process "crashes" before the commit.
#[derive(Default)]
struct AcksBeforeCommit {
    told: Mutex<Option<u64>>,
    orders: AtomicU32,
}

impl Steps for AcksBeforeCommit {
    fn created(&self, order_id: u64) -> Result<(), ShopError> {
        *self.told.lock().unwrap() = Some(order_id);
        let crash = self.orders.fetch_add(1, Ordering::SeqCst) % 5 == 4;
        if crash { Err(ShopError::QueueFull) } else { Ok(()) }
    }
    fn acknowledge<'a>(&'a self, placing: Placing<'a>) -> Placing<'a> {
        Box::pin(async move {
            let outcome = placing.await; // the crash comes after the answer, so let it come
            let told = self.told.lock().unwrap().take();
            told.map_or(outcome, |order_id| Ok(Placed { order_id }))
        })
    }
}

#[test]
fn acknowledging_before_the_commit_is_caught() {
    caught(AcksBeforeCommit::default(), "no_lost_order");
}

/// Several workers look at the stock at the same time, and each then writes what it has computed.
#[derive(Default)]
struct ChecksThenDecrements(Mutex<HashMap<u64, (u64, u32)>>);

impl Steps for ChecksThenDecrements {
    fn deduct(&self, tx: &Tx<'_>, order: &Order) -> Result<bool, ShopError> {
        let product = order.product_id;
        let now = tx.query_value("SELECT left FROM stock WHERE product_id = ?", &[product.into()])?.unwrap();
        let mut looked = self.0.lock().unwrap();
        let (seen, used) = looked.entry(product).or_insert((now, 0));
        if *used == 3 {
            (*seen, *used) = (now, 0);
        }
        *used += 1;
        if *seen < order.quantity.into() {
            return Ok(false);
        }
        let left = *seen - u64::from(order.quantity);
        tx.execute("UPDATE stock SET left = ? WHERE product_id = ?", &[left.into(), product.into()])?;
        ledger(tx, order)?;
        Ok(true)
    }
}

#[test]
fn checking_first_and_decrementing_then_is_caught() {
    caught(ChecksThenDecrements::default(), "no_oversell");
}

/// Loses the message of every seventh order.
struct DropsOutboxRows;

impl Steps for DropsOutboxRows {
    fn announce(&self, queue: &Queue, tx: &Tx<'_>, order_id: u64) -> Result<(), ShopError> {
        if order_id % 7 == 3 { Ok(()) } else { Careful.announce(queue, tx, order_id) }
    }
}

#[test]
fn dropping_an_outbox_row_is_caught() {
    caught(DropsOutboxRows, "no_lost_order");
}

/// Gives units back without telling the ledger.
struct ReleasesSilently;

impl Steps for ReleasesSilently {
    fn release(&self, tx: &Tx<'_>, order: &Order) -> Result<(), ShopError> {
        let sql = "UPDATE stock SET left = left + ? WHERE product_id = ?";
        tx.execute(sql, &[order.quantity.into(), order.product_id.into()])?;
        Ok(())
    }
}

#[test]
fn releasing_without_the_ledger_is_caught() {
    caught(ReleasesSilently, "exactly_once_deduction");
}

fn ledger(tx: &Tx<'_>, order: &Order) -> Result<(), ShopError> {
    tx.execute(
        "INSERT OR IGNORE INTO stock_ledger (order_id, kind, product_id, quantity) VALUES (?, 'deduct', ?, ?)",
        &[order.id.into(), order.product_id.into(), order.quantity.into()],
    )?;
    Ok(())
}
