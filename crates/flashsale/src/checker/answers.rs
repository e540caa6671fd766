//! The promises about answers: what clients were told against what the database holds.

use std::collections::{HashMap, HashSet};

use super::database::{Database, OrderRow};
use super::history::{Answer, History, Kind, Operation};
use super::{Case, Verdict};

/// The orders of the database, by number and by key.
pub(super) struct Orders<'a> {
    by_id: HashMap<u64, &'a OrderRow>,
    by_key: HashMap<&'a str, &'a OrderRow>,
}

impl<'a> Orders<'a> {
    pub(super) fn new(database: &'a Database) -> Self {
        let by_id = database.orders.iter().map(|order| (order.id, order)).collect();
        let by_key = database.orders.iter().map(|order| (order.key.as_str(), order)).collect();
        Self { by_id, by_key }
    }
}

pub(super) fn no_lost_order(history: &History, database: &Database, orders: &Orders<'_>) -> Verdict {
    let mut case = Case::new("no_lost_order");
    let mut acknowledged = HashSet::new();
    for operation in &history.operations {
        let Answer::Ok { order_id, state } = operation.answer else { continue };
        let Some(order) = orders.by_id.get(&order_id) else {
            if acknowledged.insert(order_id) {
                case.violated(|| {
                    format!("order {order_id} (key {}) was acknowledged and is gone", operation.key)
                });
            }
            continue;
        };
        acknowledged.insert(order_id);
        // The number of a lost order may have been given to the next one.
        if order.key != operation.key {
            let (mine, theirs) = (&operation.key, &order.key);
            case.violated(|| {
                format!("order {order_id} was acknowledged for key {mine}, and is that of {theirs}")
            });
            continue;
        }
        if state.is_final() && state != order.state {
            let (told, is) = (state.name(), order.state.name());
            case.violated(|| format!("order {order_id} was said to be {told} for good, and is {is}"));
        }
    }
    // Also those that no client was told of: whoever got no answer may ask again, and must get a final one.
    for order in database.orders.iter().filter(|order| !order.state.is_final()) {
        case.violated(|| format!("order {} (key {}) is still {}", order.id, order.key, order.state.name()));
    }
    if database.unsettled > 0 {
        case.violated(|| format!("{} messages are not settled", database.unsettled));
    }
    case.verdict(format!("{} acknowledged orders, {} in all", acknowledged.len(), database.orders.len()))
}

pub(super) fn no_phantom(history: &History, database: &Database) -> Verdict {
    let mut case = Case::new("no_phantom");
    let creates = history.operations.iter().filter(|operation| operation.kind == Kind::Create);
    let issued: HashMap<&str, &Operation> = creates.map(|create| (create.key.as_str(), create)).collect();
    for order in &database.orders {
        let (id, key) = (order.id, &order.key);
        match issued.get(key.as_str()) {
            None => case.violated(|| format!("order {id}: no client has issued its key {key}")),
            Some(create) => {
                let same = create.user_id == order.user_id
                    && create.product_id == order.product_id
                    && u64::from(create.quantity) == order.quantity;
                if !same {
                    case.violated(|| format!("order {id} is not what was ordered under its key {key}"));
                }
            }
        }
    }
    case.verdict(format!("{} orders, {} keys issued", database.orders.len(), issued.len()))
}

pub(super) fn idempotent(history: &History, orders: &Orders<'_>) -> Verdict {
    let mut case = Case::new("idempotent");
    let mut creates: Vec<_> =
        history.operations.iter().filter(|operation| operation.kind == Kind::Create).collect();
    creates.sort_by_key(|create| create.finished_us);
    // Per key: the first acknowledgement.
    let mut acknowledged: HashMap<&str, (u64, &Operation)> = HashMap::new();
    for create in &creates {
        let key = create.key.as_str();
        match &create.answer {
            Answer::Ok { order_id, .. } => {
                let (first, _) = acknowledged.entry(key).or_insert((*order_id, create));
                if first != order_id {
                    case.violated(|| format!("key {key} has the orders {first} and {order_id}"));
                } else if orders.by_key.get(key).is_some_and(|order| order.id != *order_id) {
                    let other = orders.by_key[key].id;
                    case.violated(|| {
                        format!("key {key} was told order {order_id}, the database has {other}")
                    });
                }
            }
            Answer::Refused { status: 409, code } => {
                let before =
                    acknowledged.get(key).filter(|(_, first)| first.finished_us <= create.invoked_us);
                if let Some((order_id, _)) = before {
                    let code = code.as_deref().unwrap_or("no code");
                    case.violated(|| {
                        format!("key {key} had order {order_id} and was refused later ({code})")
                    });
                }
            }
            Answer::Refused { .. } | Answer::Unknown => {}
        }
    }
    case.verdict(format!("{} attempts, {} keys acknowledged", creates.len(), acknowledged.len()))
}
