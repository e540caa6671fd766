//! After the sale: the checker's verdicts for the report, and the counts that go with them.
//!
//! The promises are the checker's. What is counted here, from the same history and database, is how much was broken:
//! units too many, orders gone, deductions twice.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::checker::history::OrderState;
use flashsale::checker::{self, Answer, Database, History, Kind, LedgerKind, Rules};
use seawall_lab::report::Check;

/// What the run amounted to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verified {
    /// One per promise.
    pub(super) checks: Vec<Check>,
    /// Orders acknowledged to a client.
    pub(super) acked: u64,
    /// Of these, orders that hold their units in the end.
    pub(super) confirmed: u64,
    /// Of these, orders that ended rejected.
    pub(super) rejected: u64,
    /// Units of the product at first.
    pub(super) units_initial: u64,
    /// Units of the product that orders hold in the end.
    pub(super) units_sold: u64,
    /// Units sold beyond the stock, over all products.
    pub(super) oversold: u64,
    /// Acknowledged orders that are gone or never became final.
    pub(super) lost: u64,
    /// Orders whose units were taken more than once.
    pub(super) duplicated: u64,
}

/// Judges and counts. `product` is the one that was for sale.
pub(super) fn verify(history: &History, database: &Database, rules: &Rules, product: u64) -> Verified {
    let checks = checker::check(history, database, rules).verdicts.into_iter().map(|verdict| Check {
        name: verdict.name.to_owned(),
        pass: verdict.pass,
        meaning: meaning(verdict.name).to_owned(),
        detail: verdict.explanation,
    });
    let acked: BTreeSet<u64> = history
        .operations
        .iter()
        .filter(|operation| operation.kind == Kind::Create)
        .filter_map(|operation| match operation.answer {
            Answer::Ok { order_id, .. } => Some(order_id),
            Answer::Refused { .. } | Answer::Unknown => None,
        })
        .collect();
    let states: BTreeMap<u64, OrderState> =
        database.orders.iter().map(|order| (order.id, order.state)).collect();
    let ended = |wanted: fn(OrderState) -> bool| {
        acked.iter().filter(|id| states.get(id).is_some_and(|state| wanted(*state))).count() as u64
    };
    let held = |id: u64| {
        let orders =
            database.orders.iter().filter(move |order| order.product_id == id && order.state.holds_stock());
        orders.map(|order| order.quantity).sum::<u64>()
    };
    Verified {
        checks: checks.collect(),
        acked: acked.len() as u64,
        confirmed: ended(OrderState::holds_stock),
        rejected: ended(|state| state == OrderState::Rejected),
        units_initial: database
            .stock
            .iter()
            .filter(|row| row.product_id == product)
            .map(|row| row.initial)
            .sum(),
        units_sold: held(product),
        oversold: database.stock.iter().map(|row| held(row.product_id).saturating_sub(row.initial)).sum(),
        lost: acked.len() as u64 - ended(|state| state.is_final()),
        duplicated: deducted_twice(database),
    }
}

fn deducted_twice(database: &Database) -> u64 {
    let mut deductions: BTreeMap<u64, u32> = BTreeMap::new();
    for row in database.ledger.iter().filter(|row| row.kind == LedgerKind::Deduct) {
        *deductions.entry(row.order_id).or_default() += 1;
    }
    deductions.values().filter(|count| **count > 1).count() as u64
}

/// A promise in a sentence for the reader of the report.
fn meaning(name: &str) -> &'static str {
    match name {
        "no_oversell" => "At no moment were more units sold than there were.",
        "conservation" => "Units at first = units left + units taken - units given back, for every product.",
        "no_lost_order" => "Every acknowledged order exists and is final, as its buyer was told.",
        "exactly_once_deduction" => "An order that holds units took them exactly once; others took none.",
        "no_phantom" => "No order exists that no buyer asked for.",
        "idempotent" => "However often a request is repeated, there is one order and one answer.",
        "per_user_limit" => "At no moment did a buyer hold more units than allowed.",
        "no_undersell" => "Whoever was told \"sold out\" was told the truth.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use flashsale::checker::{LedgerRow, Operation, OrderRow, StockRow};

    use super::*;

    fn created(user_id: u64, order_id: u64) -> Operation {
        Operation {
            kind: Kind::Create,
            user_id,
            product_id: 1,
            quantity: 1,
            key: format!("k{order_id}"),
            order_id: None,
            invoked_us: 0,
            finished_us: 1,
            answer: Answer::Ok { order_id, state: OrderState::Pending },
        }
    }

    fn order(id: u64, state: OrderState) -> OrderRow {
        OrderRow {
            id,
            user_id: id,
            product_id: 1,
            quantity: 1,
            state,
            key: format!("k{id}"),
            rejected_at: None,
        }
    }

    fn deduct(seq: u64, order_id: u64) -> LedgerRow {
        LedgerRow { seq, order_id, kind: LedgerKind::Deduct, product_id: 1, quantity: 1 }
    }

    fn check(orders: Vec<OrderRow>, ledger: Vec<LedgerRow>, initial: u64) -> Verified {
        let history = History { operations: (1..=3).map(|id| created(id, id)).collect() };
        let stock = vec![StockRow { product_id: 1, initial, left: 0 }];
        let database = Database { stock, ledger, orders, unsettled: 0 };
        verify(&history, &database, &Rules { per_user_limit: 1 }, 1)
    }

    #[test]
    fn a_good_run_counts_what_was_sold() {
        let orders =
            vec![order(1, OrderState::Paid), order(2, OrderState::Paid), order(3, OrderState::Rejected)];
        let verified = check(orders, vec![deduct(1, 1), deduct(2, 2)], 2);
        assert_eq!((verified.acked, verified.confirmed, verified.rejected), (3, 2, 1));
        assert_eq!((verified.units_initial, verified.units_sold), (2, 2));
        assert_eq!((verified.oversold, verified.lost, verified.duplicated), (0, 0, 0));
    }

    #[test]
    fn units_beyond_the_stock_are_counted() {
        let orders = (1..=3).map(|id| order(id, OrderState::Paid)).collect();
        assert_eq!(check(orders, vec![], 2).oversold, 1);
    }

    #[test]
    fn an_order_that_is_gone_and_one_that_hangs_are_lost() {
        let verified = check(vec![order(1, OrderState::Pending), order(2, OrderState::Paid)], vec![], 2);
        assert_eq!(verified.lost, 2);
    }

    #[test]
    fn a_second_deduction_is_counted_once_per_order() {
        let orders = (1..=3).map(|id| order(id, OrderState::Paid)).collect();
        assert_eq!(
            check(orders, vec![deduct(1, 1), deduct(2, 1), deduct(3, 1), deduct(4, 2)], 9).duplicated,
            1
        );
    }

    #[test]
    fn every_promise_of_the_checker_has_a_meaning() {
        let checks = check(vec![], vec![], 0).checks;
        assert!(checks.len() >= 8);
        assert!(checks.iter().all(|check| !check.meaning.is_empty()), "{checks:?}");
    }
}
