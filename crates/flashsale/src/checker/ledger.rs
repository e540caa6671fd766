//! The promises about the stock: they follow from the ledger alone.

use std::collections::{HashMap, HashSet};

use super::database::{Database, LedgerKind, LedgerRow};
use super::history::{Answer, History, Kind};
use super::{Case, Rules, Verdict};
use crate::state::OrderState;

pub(super) fn no_oversell(database: &Database) -> Verdict {
    let mut case = Case::new("no_oversell");
    let mut taken: HashMap<u64, i128> = HashMap::new();
    let initial: HashMap<u64, u64> = database.stock.iter().map(|row| (row.product_id, row.initial)).collect();
    for row in &database.ledger {
        let taken = taken.entry(row.product_id).or_default();
        *taken += signed(row);
        let initial = initial.get(&row.product_id).copied().unwrap_or(0);
        if *taken > i128::from(initial) {
            case.violated(|| {
                let (seq, order, product) = (row.seq, row.order_id, row.product_id);
                format!("ledger {seq} (order {order}): {taken} of {initial} units of product {product} taken")
            });
        }
    }
    case.verdict(format!("{} ledger rows, each prefix within the stock", database.ledger.len()))
}

pub(super) fn conservation(database: &Database) -> Verdict {
    let mut case = Case::new("conservation");
    let mut taken: HashMap<u64, i128> = HashMap::new();
    for row in &database.ledger {
        *taken.entry(row.product_id).or_default() += signed(row);
    }
    for stock in &database.stock {
        let taken = taken.remove(&stock.product_id).unwrap_or(0);
        if i128::from(stock.initial) != i128::from(stock.left) + taken {
            case.violated(|| {
                let (product, initial, left) = (stock.product_id, stock.initial, stock.left);
                format!(
                    "product {product}: {initial} units at first, {left} left, {taken} taken by the ledger"
                )
            });
        }
    }
    for product in taken.keys() {
        case.violated(|| format!("the ledger knows product {product}, the stock does not"));
    }
    case.verdict(format!("{} products add up", database.stock.len()))
}

pub(super) fn exactly_once_deduction(database: &Database) -> Verdict {
    let mut case = Case::new("exactly_once_deduction");
    let mut rows: HashMap<u64, Vec<&LedgerRow>> = HashMap::new();
    for row in &database.ledger {
        rows.entry(row.order_id).or_default().push(row);
    }
    for order in &database.orders {
        let rows = rows.remove(&order.id).unwrap_or_default();
        let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
        let released = [LedgerKind::Deduct, LedgerKind::Release];
        let right = match order.state {
            OrderState::Confirmed | OrderState::Paid => kinds == [LedgerKind::Deduct],
            OrderState::Expired => kinds == released,
            OrderState::Cancelled => kinds.is_empty() || kinds == released, // before or after it was settled
            OrderState::Pending | OrderState::Rejected => kinds.is_empty(),
        };
        if !right {
            case.violated(|| format!("order {} is {} and has {kinds:?}", order.id, order.state.name()));
        }
        let own = |row: &&LedgerRow| row.product_id == order.product_id && row.quantity == order.quantity;
        if let Some(row) = rows.iter().find(|row| !own(row)) {
            case.violated(|| format!("ledger {} does not match its order {}", row.seq, order.id));
        }
    }
    for (order, rows) in rows {
        case.violated(|| format!("ledger {} is for order {order}, which does not exist", rows[0].seq));
    }
    case.verdict(format!("{} orders, {} ledger rows", database.orders.len(), database.ledger.len()))
}

pub(super) fn per_user_limit(database: &Database, rules: &Rules) -> Verdict {
    let mut case = Case::new("per_user_limit");
    let users: HashMap<u64, u64> = database.orders.iter().map(|order| (order.id, order.user_id)).collect();
    let mut held: HashMap<(u64, u64), i128> = HashMap::new();
    for row in &database.ledger {
        let Some(&user) = users.get(&row.order_id) else { continue };
        let held = held.entry((user, row.product_id)).or_default();
        *held += signed(row);
        if *held > i128::from(rules.per_user_limit) {
            case.violated(|| {
                let (seq, order, product) = (row.seq, row.order_id, row.product_id);
                format!("ledger {seq} (order {order}): user {user} holds {held} units of product {product}")
            });
        }
    }
    let limit = rules.per_user_limit;
    case.verdict(format!("{} pairs of user and product, each at most {limit} units", held.len()))
}

pub(super) fn no_undersell(history: &History, database: &Database) -> Verdict {
    let mut case = Case::new("no_undersell");
    let rejections = rejections(&mut case, database);
    let scarcest = scarcest(database);
    let mut refusals: HashSet<&str> = HashSet::new();
    for operation in &history.operations {
        let sold_out =
            matches!(&operation.answer, Answer::Refused { code: Some(code), .. } if code == "sold_out");
        if operation.kind != Kind::Create || !sold_out || !refusals.insert(&operation.key) {
            continue;
        }
        let left = scarcest.get(&operation.product_id).copied().unwrap_or(0);
        if left >= i128::from(operation.quantity) {
            case.violated(|| {
                let (key, product) = (&operation.key, operation.product_id);
                format!(
                    "key {key} was told `sold_out`, but product {product} always had {left} units or more"
                )
            });
        }
    }
    case.verdict(format!("{rejections} rejected orders and {} refused keys, all rightly", refusals.len()))
}

/// Checks every rejected order at its point of the ledger; gives their number.
fn rejections(case: &mut Case, database: &Database) -> usize {
    let mut rejected: Vec<_> =
        database.orders.iter().filter(|order| order.state == OrderState::Rejected).collect();
    rejected.sort_by_key(|order| order.rejected_at);
    let mut left: HashMap<u64, i128> =
        database.stock.iter().map(|row| (row.product_id, i128::from(row.initial))).collect();
    let mut ledger = database.ledger.iter().peekable();
    for order in &rejected {
        let Some(at) = order.rejected_at else {
            case.violated(|| format!("order {} is rejected, but not said at which point", order.id));
            continue;
        };
        while let Some(row) = ledger.next_if(|row| row.seq <= at) {
            *left.entry(row.product_id).or_default() -= signed(row);
        }
        let left = left.get(&order.product_id).copied().unwrap_or(0);
        if left >= i128::from(order.quantity) {
            case.violated(|| {
                let (id, product) = (order.id, order.product_id);
                format!(
                    "order {id} was rejected at ledger {at}, but {left} units of product {product} were left"
                )
            });
        }
    }
    rejected.len()
}

/// The fewest units of each product that were left at any prefix of the ledger.
fn scarcest(database: &Database) -> HashMap<u64, i128> {
    let mut left: HashMap<u64, i128> =
        database.stock.iter().map(|row| (row.product_id, i128::from(row.initial))).collect();
    let mut scarcest = left.clone();
    for row in &database.ledger {
        let left = left.entry(row.product_id).or_default();
        *left -= signed(row);
        let scarcest = scarcest.entry(row.product_id).or_insert(*left);
        *scarcest = (*scarcest).min(*left);
    }
    scarcest
}

/// Units that the row takes from the stock; negative if it gives them back.
fn signed(row: &LedgerRow) -> i128 {
    match row.kind {
        LedgerKind::Deduct => i128::from(row.quantity),
        LedgerKind::Release => -i128::from(row.quantity),
    }
}
