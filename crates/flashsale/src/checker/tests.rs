//! Each promise, kept and broken, on histories and databases made by hand.

use super::*;
use crate::state::OrderState;

/// Two units of product 1, sold to the orders 1 and 2; order 3 came too late; 4 was told so at once.
fn sale() -> (History, Database) {
    let order = |id: u64, state, rejected_at| OrderRow {
        id,
        user_id: 10 + id,
        product_id: 1,
        quantity: 1,
        state,
        key: format!("k{id}"),
        rejected_at,
    };
    let deduct =
        |seq, order_id| LedgerRow { seq, order_id, kind: LedgerKind::Deduct, product_id: 1, quantity: 1 };
    let database = Database {
        stock: vec![StockRow { product_id: 1, initial: 2, left: 0 }],
        ledger: vec![deduct(1, 1), deduct(2, 2)],
        orders: vec![
            order(1, OrderState::Paid, None),
            order(2, OrderState::Paid, None),
            order(3, OrderState::Rejected, Some(2)),
        ],
        unsettled: 0,
    };
    let ok = |id| Answer::Ok { order_id: id, state: OrderState::Pending };
    let sold_out = Answer::Refused { status: 409, code: Some("sold_out".to_owned()) };
    let operations = vec![create(1, ok(1)), create(2, ok(2)), create(3, ok(3)), create(4, sold_out)];
    (History { operations }, database)
}

fn create(id: u64, answer: Answer) -> Operation {
    Operation {
        kind: Kind::Create,
        user_id: 10 + id,
        product_id: 1,
        quantity: 1,
        key: format!("k{id}"),
        order_id: None,
        invoked_us: id * 100,
        finished_us: id * 100 + 50,
        answer,
    }
}

/// Changes the sale and expects exactly these promises to be broken, and the explanation of the first to say `text`.
#[track_caller]
fn broken(change: impl FnOnce(&mut History, &mut Database), failed: &[&str], text: &str) {
    let (mut history, mut database) = sale();
    change(&mut history, &mut database);
    let report = check(&history, &database, &Rules { per_user_limit: 1 });
    assert_eq!(report.failed(), failed, "{report:#?}");
    let first = report.verdicts.iter().find(|verdict| !verdict.pass);
    assert!(first.is_none_or(|verdict| verdict.explanation.contains(text)), "{report:#?}");
}

#[test]
fn a_clean_sale_passes() {
    broken(|_, _| {}, &[], "");
}

#[test]
fn a_third_unit_of_two_is_an_oversell() {
    broken(
        |_, db| {
            db.orders[2].state = OrderState::Paid;
            db.ledger.push(LedgerRow { seq: 3, order_id: 3, ..db.ledger[0] });
        },
        &["no_oversell", "conservation"],
        "ledger 3 (order 3): 3 of 2 units of product 1 taken",
    );
}

#[test]
fn an_oversell_that_is_released_later_is_still_one() {
    broken(
        |_, db| {
            db.orders[2].state = OrderState::Expired;
            let deduct = LedgerRow { seq: 3, order_id: 3, ..db.ledger[0] };
            let release = LedgerRow { seq: 4, kind: LedgerKind::Release, ..deduct };
            db.ledger.extend([deduct, release]);
        },
        &["no_oversell"],
        "ledger 3",
    );
}

#[test]
fn a_unit_that_vanished_breaks_conservation() {
    broken(|_, db| db.stock[0].initial = 3, &["conservation", "no_undersell"], "3 units at first, 0 left");
}

#[test]
fn an_acknowledged_order_that_is_gone_is_lost() {
    broken(
        |_, db| drop(db.orders.pop()),
        &["no_lost_order"],
        "order 3 (key k3) was acknowledged and is gone",
    );
}

#[test]
fn a_lost_order_whose_number_was_given_away_is_lost() {
    broken(
        |history, _| history.operations[3].answer = Answer::Ok { order_id: 3, state: OrderState::Pending },
        &["no_lost_order"],
        "order 3 was acknowledged for key k4, and is that of k3",
    );
}

#[test]
fn an_order_that_never_ends_is_lost() {
    broken(|_, db| db.orders[2].state = OrderState::Pending, &["no_lost_order"], "order 3 (key k3) is still");
}

#[test]
fn an_order_nobody_was_told_of_must_end_too() {
    let unknown = |history: &mut History, db: &mut Database| {
        history.operations[2].answer = Answer::Unknown;
        db.orders[2].state = OrderState::Pending;
    };
    broken(unknown, &["no_lost_order"], "order 3");
}

#[test]
fn an_unknown_answer_without_an_order_is_no_loss() {
    let unknown = |history: &mut History, db: &mut Database| {
        history.operations[2].answer = Answer::Unknown;
        db.orders.pop();
    };
    broken(unknown, &[], "");
}

#[test]
fn a_payment_that_is_forgotten_is_a_loss() {
    broken(
        |history, db| {
            let answer = Answer::Ok { order_id: 1, state: OrderState::Paid };
            history.operations.push(Operation { kind: Kind::Pay, order_id: Some(1), ..create(1, answer) });
            db.orders[0].state = OrderState::Expired;
            db.ledger.push(LedgerRow { seq: 3, kind: LedgerKind::Release, ..db.ledger[0] });
            db.stock[0].left = 1;
        },
        &["no_lost_order"],
        "order 1 was said to be paid for good, and is expired",
    );
}

#[test]
fn a_message_left_behind_is_a_loss() {
    broken(|_, db| db.unsettled = 2, &["no_lost_order"], "2 messages are not settled");
}

#[test]
fn a_second_deduction_is_noticed() {
    broken(
        |_, db| {
            db.stock[0].initial = 3;
            db.ledger.insert(1, LedgerRow { seq: 2, ..db.ledger[0] });
            db.ledger[2].seq = 3;
            db.orders[2].rejected_at = Some(3);
        },
        &["exactly_once_deduction", "per_user_limit"],
        "order 1 is paid and has [Deduct, Deduct]",
    );
}

#[test]
fn a_paid_order_without_a_deduction_is_noticed() {
    broken(
        |_, db| db.orders[2].state = OrderState::Paid,
        &["exactly_once_deduction"],
        "order 3 is paid and has []",
    );
}

#[test]
fn an_expired_order_without_a_release_is_noticed() {
    broken(
        |_, db| db.orders[0].state = OrderState::Expired,
        &["exactly_once_deduction"],
        "order 1 is expired and has [Deduct]",
    );
}

#[test]
fn a_deduction_for_no_order_is_noticed() {
    broken(
        |history, db| {
            db.orders.remove(0);
            history.operations.remove(0);
        },
        &["exactly_once_deduction"],
        "ledger 1 is for order 1, which does not exist",
    );
}

#[test]
fn an_order_nobody_placed_is_a_phantom() {
    broken(
        |history, _| drop(history.operations.remove(2)),
        &["no_phantom"],
        "order 3: no client has issued its key k3",
    );
}

#[test]
fn an_order_for_something_else_is_a_phantom() {
    broken(
        |history, _| history.operations[2].quantity = 5,
        &["no_phantom"],
        "order 3 is not what was ordered",
    );
}

#[test]
fn two_orders_for_one_key_are_noticed() {
    broken(
        |history, _| {
            let second = Answer::Ok { order_id: 2, state: OrderState::Pending };
            history.operations.push(Operation { invoked_us: 900, finished_us: 950, ..create(1, second) });
        },
        &["no_lost_order", "idempotent"],
        "order 2 was acknowledged for key k1, and is that of k2",
    );
}

#[test]
fn a_refusal_after_an_acknowledgement_is_noticed() {
    broken(
        |history, _| {
            let refused = Answer::Refused { status: 409, code: Some("sold_out".to_owned()) };
            history.operations.push(Operation { invoked_us: 900, finished_us: 950, ..create(1, refused) });
        },
        &["idempotent"],
        "key k1 had order 1 and was refused later (sold_out)",
    );
}

#[test]
fn a_refusal_for_want_of_room_may_follow_an_acknowledgement() {
    broken(
        |history, _| {
            let refused = Answer::Refused { status: 503, code: None };
            history.operations.push(Operation { invoked_us: 900, finished_us: 950, ..create(1, refused) });
        },
        &[],
        "",
    );
}

#[test]
fn a_second_unit_for_one_user_breaks_the_limit() {
    broken(
        |history, db| (history.operations[1].user_id, db.orders[1].user_id) = (11, 11),
        &["per_user_limit"],
        "ledger 2 (order 2): user 11 holds 2 units",
    );
}

#[test]
fn a_rejection_while_units_were_left_is_an_undersell() {
    broken(
        |_, db| db.orders[2].rejected_at = Some(1),
        &["no_undersell"],
        "order 3 was rejected at ledger 1, but 1 units of product 1 were left",
    );
}

#[test]
fn a_refusal_while_units_were_always_left_is_an_undersell() {
    broken(
        |_, db| {
            (db.stock[0].initial, db.stock[0].left) = (3, 1);
            db.orders[2].state = OrderState::Cancelled;
        },
        &["no_undersell"],
        "key k4 was told `sold_out`, but product 1 always had 1 units or more",
    );
}
