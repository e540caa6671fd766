//! The checker: compares what the clients saw with what the database holds, and gives a verdict per promise.
//!
//! It is to be run when every order has had the time to become final and the service has ended. It shares with the
//! service only the names of the states and of the tables: a mistake in the service must not hide itself here. The
//! rules are pure functions of [`History`], [`Database`] and [`Rules`].
//!
//! | verdict | promise |
//! |---|---|
//! | `no_oversell` | at every prefix of the ledger, a product's deductions less its releases are at most its initial units |
//! | `conservation` | in the end, initial units = units left + deductions - releases, for every product |
//! | `no_lost_order` | every acknowledged order exists and is final; every final state that a client was told is the one it has; no message is unsettled |
//! | `exactly_once_deduction` | an order that holds units has one `deduct` row; one that gave them back has one `deduct` and then one `release`; others have none; the rows name the order's own product and quantity |
//! | `no_phantom` | every order's idempotency key was issued by a client, for what the order says |
//! | `idempotent` | one key has one order: every acknowledgement names it, and after one no attempt is refused |
//! | `per_user_limit` | at every prefix of the ledger, no user holds more units of a product than allowed |
//! | `no_undersell` | whoever was refused as sold out was refused rightly; see [`Rules`] |

mod answers;
mod database;
pub mod history;
mod ledger;

use serde::Serialize;

pub use self::database::{Database, LedgerKind, LedgerRow, OrderRow, StockRow};
pub use self::history::{Answer, History, Kind, Operation};

/// What the run was allowed.
///
/// *No undersell* means: an order may be `rejected` only if at that point of the ledger (which the order's row names)
/// fewer units were left than it asked for. A client may be told `sold_out` at once only if at some prefix of the
/// ledger fewer units were left than it asked for (clients and ledger share no clock, so the prefix cannot be narrowed
/// down). Units that are released after the last buyer has gone stay unsold, which is nobody's mistake; without
/// releases it follows that a product which refused anybody is sold to the last unit that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Units of a product that one user may hold.
    pub per_user_limit: u64,
}

/// What became of one promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub name: &'static str,
    /// Whether it held.
    pub pass: bool,
    /// What was looked at; if it did not hold, the first cases with their numbers.
    pub explanation: String,
}

/// All verdicts, always in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One per promise.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// Whether every promise held.
    pub fn pass(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.pass)
    }

    /// The names of the promises that did not hold.
    pub fn failed(&self) -> Vec<&'static str> {
        self.verdicts.iter().filter(|verdict| !verdict.pass).map(|verdict| verdict.name).collect()
    }
}

/// Judges a run.
pub fn check(history: &History, database: &Database, rules: &Rules) -> Report {
    let orders = answers::Orders::new(database);
    let verdicts = vec![
        ledger::no_oversell(database),
        ledger::conservation(database),
        answers::no_lost_order(history, database, &orders),
        ledger::exactly_once_deduction(database),
        answers::no_phantom(history, database),
        answers::idempotent(history, &orders),
        ledger::per_user_limit(database, rules),
        ledger::no_undersell(history, database),
    ];
    Report { verdicts }
}

/// Collects the violations of one promise. Keeps the first few: a broken service breaks it thousands of times.
struct Case {
    name: &'static str,
    found: usize,
    first: Vec<String>,
}

const SHOWN: usize = 5;

impl Case {
    fn new(name: &'static str) -> Self {
        Self { name, found: 0, first: Vec::new() }
    }

    fn violated(&mut self, what: impl FnOnce() -> String) {
        self.found += 1;
        if self.first.len() < SHOWN {
            self.first.push(what());
        }
    }

    /// `looked_at` explains a pass.
    fn verdict(self, looked_at: String) -> Verdict {
        let Self { name, found, first } = self;
        if found == 0 {
            return Verdict { name, pass: true, explanation: looked_at };
        }
        let more =
            if found > first.len() { format!("; and {} more", found - first.len()) } else { String::new() };
        Verdict { name, pass: false, explanation: format!("{}{more}", first.join("; ")) }
    }
}

#[cfg(test)]
mod tests;
