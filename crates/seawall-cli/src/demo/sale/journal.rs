//! What the buyers write down: every order operation for the checker, and counts over time for the report.
//!
//! Bounded by the sale: one operation per order request, one bucket per quarter of a second.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flashsale::checker::history::Answer as Said;
use flashsale::checker::{History, Kind, Operation};
use seawall_lab::report::{Quantile, Sale, SalePoint, Validity};
use seawall_load::{Histogram, Report};

/// Length of a bucket of the timeline.
const BUCKET: Duration = Duration::from_millis(250);

/// One journal of a whole sale; a clone writes into the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal(Arc<Mutex<Pages>>);

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) operations: Vec<Operation>,
    timeline: Vec<SalePoint>,
    attempts: u64,
    errors: u64,
    refused: u64,
    ack_latency: Histogram,
    final_latency: Histogram,
    sold_out_at: Option<Duration>,
    last: Duration,
}

/// What an attempt came to, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered as one may expect, refusals of the shop (sold out, limit) included.
    Fine,
    /// An order was acknowledged, so long after it was due.
    Acked(Duration),
    /// The shop said that all is sold.
    SoldOut,
    /// The service said that it has no room now.
    Refused,
    /// A 5xx that is no such refusal, or no answer at all.
    Error,
    /// Another answer that no buyer expects.
    Strange,
}

impl Journal {
    fn with<T>(&self, write: impl FnOnce(&mut Pages) -> T) -> T {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A buyer came.
    pub(super) fn arrived(&self, now: Duration) {
        self.with(|pages| pages.bucket(now).arrivals += 1);
    }

    /// A request came to its end.
    pub(super) fn attempted(&self, now: Duration, outcome: Outcome) {
        self.with(|pages| pages.attempted(now, outcome));
    }

    /// Somebody looked at the stock.
    pub(super) fn saw_stock(&self, now: Duration, left: u64) {
        self.with(|pages| {
            pages.bucket(now).stock_left = Some(left);
            if left == 0 {
                pages.sold_out_at.get_or_insert(now);
            }
        });
    }

    /// A buyer knows what became of an order, so long after the first try.
    pub(super) fn settled(&self, after: Duration) {
        self.with(|pages| pages.final_latency.record(after.as_nanos() as u64));
    }

    /// Keeps an operation for the checker.
    pub(super) fn keep(&self, operation: Operation) {
        self.with(|pages| pages.operations.push(operation));
    }

    /// Takes everything that was written.
    pub(super) fn take(&self) -> Pages {
        self.with(std::mem::take)
    }
}

impl Pages {
    fn bucket(&mut self, now: Duration) -> &mut SalePoint {
        self.last = self.last.max(now);
        let index = (now.as_nanos() / BUCKET.as_nanos()) as usize;
        while self.timeline.len() <= index {
            let t_s = self.timeline.len() as f64 * BUCKET.as_secs_f64();
            self.timeline.push(SalePoint { t_s, ..SalePoint::default() });
        }
        &mut self.timeline[index]
    }

    fn attempted(&mut self, now: Duration, outcome: Outcome) {
        self.attempts += 1;
        let bucket = self.bucket(now);
        match outcome {
            Outcome::Fine => {}
            Outcome::Acked(latency) => {
                bucket.acked += 1;
                self.ack_latency.record(latency.as_nanos() as u64);
            }
            Outcome::SoldOut => {
                bucket.sold_out += 1;
                self.sold_out_at.get_or_insert(now);
            }
            Outcome::Refused => {
                bucket.refused += 1;
                self.refused += 1;
            }
            Outcome::Error => {
                bucket.errors += 1;
                self.errors += 1;
            }
            Outcome::Strange => bucket.errors += 1,
        }
    }

    /// The sale as the buyers saw it; what only the database knows is left at zero.
    pub(super) fn sale(&self, buyers: u64, report: &Report) -> Sale {
        let acked: BTreeSet<u64> = self
            .operations
            .iter()
            .filter(|operation| operation.kind == Kind::Create)
            .filter_map(|operation| match operation.answer {
                Said::Ok { order_id, .. } => Some(order_id),
                Said::Refused { .. } | Said::Unknown => None,
            })
            .collect();
        let share = |part: u64| if self.attempts == 0 { 0.0 } else { part as f64 / self.attempts as f64 };
        Sale {
            buyers,
            orders_acked: acked.len() as u64,
            attempts: self.attempts,
            error_rate: share(self.errors),
            refused_rate: share(self.refused),
            validity: validity(report),
            sold_out_after_s: self.sold_out_at.map(|at| at.as_secs_f64()),
            settled_after_s: Some(self.last.as_secs_f64()),
            bucket_s: BUCKET.as_secs_f64(),
            timeline: self.timeline.clone(),
            ack_latency: curve(&self.ack_latency),
            final_latency: curve(&self.final_latency),
            ..Sale::default()
        }
    }

    /// The history for the checker.
    pub(super) fn into_history(self) -> History {
        History { operations: self.operations }
    }
}

/// The generator's verdict, and that everybody was seen to the end.
fn validity(report: &Report) -> Validity {
    let mut reasons = if report.is_invalid() { report.validity.reasons.clone() } else { Vec::new() };
    match report.unfinished_users {
        Some(0) | None => {}
        Some(users) => {
            reasons.push(format!("{users} buyers had not finished when the time limit was reached"))
        }
    }
    if report.interrupted {
        reasons.push("the sale was interrupted".to_owned());
    }
    Validity { valid: reasons.is_empty(), reasons }
}

/// Quantiles in milliseconds, denser towards the end; empty if there was nothing.
fn curve(histogram: &Histogram) -> Vec<Quantile> {
    if histogram.count() == 0 {
        return Vec::new();
    }
    let points = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];
    points.iter().map(|&q| Quantile { q, ms: histogram.quantile(q) as f64 / 1e6 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn attempts_are_counted_by_what_they_came_to() {
        let journal = Journal::default();
        journal.arrived(Duration::ZERO);
        for outcome in [Outcome::Fine, Outcome::SoldOut, Outcome::Refused, Outcome::Error, Outcome::Strange] {
            journal.attempted(SECOND, outcome);
        }
        journal.attempted(SECOND, Outcome::Acked(SECOND));
        journal.saw_stock(2 * SECOND, 0);
        let pages = journal.take();
        assert_eq!((pages.attempts, pages.errors, pages.refused), (6, 1, 1));
        assert_eq!(pages.timeline.len(), 9);
        assert_eq!((pages.timeline[0].arrivals, pages.timeline[8].stock_left), (1, Some(0)));
        let bucket = &pages.timeline[4];
        assert_eq!((bucket.acked, bucket.sold_out, bucket.refused, bucket.errors), (1, 1, 1, 2));
        assert_eq!(pages.sold_out_at, Some(SECOND));
    }
}
