//! A buyer as a state machine: looks at the product, orders, waits for the order, pays; and retries as real clients do.
//!
//! ```text
//! look 1-3 times -> order --202--> ask every 500 ms -> confirmed -> pay, cancel, or let it expire
//!                    | ^                             -> rejected --+
//!       429/503/timeout (same key, 3 times)                        |
//!                    +--409 sold out ------------------------------+-> leave, or watch for units that come back
//! ```
//!
//! Everything a buyer asks about orders goes into the journal, for the checker. Asking for an order's state and
//! watching the stock are repeated until there is an answer: the sale's time limit bounds them.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flashsale::checker::history::{Answer as Said, OrderState};
use flashsale::checker::{Kind, Operation};
use seawall_load::users::{Answer, Event, Step, User};

use super::journal::{Journal, Outcome};
use super::plan::{Intent, Plan};
use super::wire::{self, Wire};

/// Units in one order.
const QUANTITY: u32 = 1;
/// How often an order is sent again after a refusal or a timeout.
const MAX_RETRIES: u32 = 3;
/// Back-off before the first retry is a random time up to this; it doubles with each.
const BACKOFF: Duration = Duration::from_millis(200);
/// Between two questions about an order.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long a buyer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A watcher leaves after so many looks at an empty shelf when nobody is left who could give units back. More than one,
/// because the stock that the service shows may be a second old.
const QUIET_LOOKS: u32 = 3;

/// What all buyers of a sale have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) wire: Wire,
    pub(super) journal: Journal,
    /// How many users are neither done nor watching: they may still give units back.
    pub(super) busy: AtomicUsize,
    /// When even watchers leave.
    pub(super) watch_until: Duration,
}

/// The order that a second click got, if it got one.
pub(super) type Found = Arc<Mutex<Option<u64>>>;

/// What a buyer is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Look(usize),
    Create,
    Status,
    Pay,
    Cancel,
    Watch,
}

/// One buyer.
#[derive(Debug)]
pub(super) struct Buyer {
    shared: Arc<Shared>,
    user_id: u64,
    plan: Plan,
    stage: Stage,
    /// The first order's key. A second click used it too; later orders have it with a suffix.
    first_key: String,
    /// That of the order under way.
    key: String,
    /// How many orders this buyer has tried to place, retries not counted.
    purchases: u32,
    retries: u32,
    order: u64,
    /// When the request on its way was due.
    due: Duration,
    /// When the first try of the current order was due; `None` once it is known what became of it.
    first_try: Option<Duration>,
    second_click: Option<Found>,
    /// Counted in [`Shared::busy`].
    busy: bool,
    quiet_looks: u32,
}

impl Buyer {
    /// `key` is the first order's idempotency key; later ones get a suffix.
    pub(super) fn new(
        shared: Arc<Shared>,
        user_id: u64,
        key: String,
        plan: Plan,
        second_click: Option<Found>,
    ) -> Self {
        shared.busy.fetch_add(1, SeqCst);
        Self {
            shared,
            user_id,
            plan,
            stage: Stage::Look(0),
            first_key: key.clone(),
            key,
            purchases: 0,
            retries: 0,
            order: 0,
            due: Duration::ZERO,
            first_try: None,
            second_click,
            busy: true,
            quiet_looks: 0,
        }
    }

    /// Notes whether this buyer may still give units back.
    fn set_busy(&mut self, busy: bool) {
        match (self.busy, busy) {
            (true, false) => self.shared.busy.fetch_sub(1, SeqCst),
            (false, true) => self.shared.busy.fetch_add(1, SeqCst),
            (true, true) | (false, false) => return,
        };
        self.busy = busy;
    }

    fn send(&mut self, stage: Stage, after: Duration, now: Duration) -> Step {
        let wire = &self.shared.wire;
        let (label, request) = match stage {
            Stage::Look(0) => ("look", wire.product()),
            Stage::Look(_) => ("look", wire.stock()),
            Stage::Create => ("create order", wire.create(self.user_id, QUANTITY, &self.key)),
            Stage::Status => ("order status", wire.order(self.order)),
            Stage::Pay => ("pay", wire.pay(self.order)),
            Stage::Cancel => ("cancel", wire.cancel(self.order)),
            Stage::Watch => ("watch stock", wire.stock()),
        };
        self.stage = stage;
        self.due = now + after;
        self.set_busy(stage != Stage::Watch);
        Step::Send { label, request, after, timeout: PATIENCE }
    }

    /// Looks for the `index`-th time, or orders after the last look.
    fn look(&mut self, index: usize, now: Duration) -> Step {
        match self.plan.looks.get(index) {
            Some(&pause) => self.send(Stage::Look(index), pause, now),
            None => self.buy(self.plan.decide, now),
        }
    }

    /// Begins a new order, under a key of its own.
    fn buy(&mut self, after: Duration, now: Duration) -> Step {
        if self.purchases > 0 {
            self.key = format!("{}+{}", self.first_key, self.purchases);
            self.plan.intent = Intent::Pay; // who waited for it wants it
        }
        self.purchases += 1;
        self.retries = 0;
        self.first_try = Some(now + after);
        self.send(Stage::Create, after, now)
    }

    /// Sends the same order again, with the same key, if it has not been sent too often.
    fn retry(&mut self, asked_to_wait: Option<Duration>, now: Duration) -> Step {
        if self.retries == MAX_RETRIES {
            return self.leave_or_watch(now);
        }
        let most = BACKOFF * 2u32.pow(self.retries);
        self.retries += 1;
        let pause = asked_to_wait.unwrap_or_default() + self.plan.random.between(Duration::ZERO, most);
        self.send(Stage::Create, pause, now)
    }

    fn ask(&mut self, asked_to_wait: Option<Duration>, now: Duration) -> Step {
        self.send(Stage::Status, ASK_EVERY.max(asked_to_wait.unwrap_or_default()), now)
    }

    /// There was nothing left. Some watch for units that come back; so does who may own an order by a second click.
    fn leave_or_watch(&mut self, now: Duration) -> Step {
        if !self.plan.watches {
            return Step::Done;
        }
        let found =
            self.second_click.as_ref().and_then(|f| f.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(order) = found {
            self.order = order;
            self.key.clone_from(&self.first_key);
            self.plan.intent = Intent::Pay; // who waited for it wants it
            return self.ask(None, now);
        }
        if now >= self.shared.watch_until || self.quiet_looks >= QUIET_LOOKS {
            return Step::Done;
        }
        let pause = self.plan.random.between(Duration::from_millis(700), Duration::from_millis(1_300));
        self.send(Stage::Watch, pause, now)
    }

    /// What follows from the state of this buyer's order.
    fn follow(&mut self, state: OrderState, now: Duration) -> Step {
        if state != OrderState::Pending
            && let Some(first_try) = self.first_try.take()
        {
            self.shared.journal.settled(now.saturating_sub(first_try));
        }
        let moment = self.plan.random.between(Duration::from_millis(100), Duration::from_millis(400));
        match (state, self.plan.intent) {
            (OrderState::Pending, Intent::CancelPending) if self.stage == Stage::Create => {
                self.send(Stage::Cancel, moment, now)
            }
            (OrderState::Confirmed, Intent::Pay) => self.send(Stage::Pay, moment, now),
            (OrderState::Confirmed, Intent::CancelPending | Intent::CancelConfirmed) => {
                self.send(Stage::Cancel, moment, now)
            }
            (OrderState::Pending, _) | (OrderState::Confirmed, Intent::NeverPay) => self.ask(None, now),
            (OrderState::Rejected, _) => self.leave_or_watch(now),
            (OrderState::Paid | OrderState::Cancelled | OrderState::Expired, _) => Step::Done,
        }
    }

    fn answered(&mut self, answer: &Answer<'_>, now: Duration) -> Step {
        let shared = Arc::clone(&self.shared);
        if let Stage::Look(_) | Stage::Watch = self.stage {
            shared.journal.attempted(now, outcome(answer, None));
            let left = wire::units_left(answer);
            if let Some(left) = left {
                shared.journal.saw_stock(now, left);
            }
            let quiet = self.stage == Stage::Watch && left == Some(0) && shared.busy.load(SeqCst) == 0;
            self.quiet_looks = if quiet { self.quiet_looks + 1 } else { 0 };
            return match self.stage {
                Stage::Look(index) => self.look(index + 1, now),
                _ if left.is_some_and(|left| left > 0) => self.buy(Duration::ZERO, now),
                _ => self.leave_or_watch(now),
            };
        }
        let said = wire::said(answer);
        let acked = (self.stage == Stage::Create).then(|| now.saturating_sub(self.due));
        shared.journal.attempted(now, outcome(answer, acked));
        self.keep(answer.sent, now, said.clone());
        match said {
            Said::Ok { order_id, state } => {
                self.order = order_id;
                self.follow(state, now)
            }
            // Whatever kept it from being paid, cancelled or seen: its state tells what to do next.
            _ if self.stage != Stage::Create => self.ask(wire::retry_after(answer), now),
            Said::Unknown | Said::Refused { status: 429 | 503, .. } => {
                self.retry(wire::retry_after(answer), now)
            }
            Said::Refused { code: Some(code), .. } if code == "not_started" => {
                self.retry(wire::retry_after(answer), now)
            }
            Said::Refused { .. } => self.leave_or_watch(now),
        }
    }

    fn failed(&mut self, sent: Option<Duration>, now: Duration) -> Step {
        self.shared.journal.attempted(now, Outcome::Error);
        match self.stage {
            Stage::Look(index) => return self.look(index + 1, now),
            Stage::Watch => return self.leave_or_watch(now),
            Stage::Create | Stage::Status | Stage::Pay | Stage::Cancel => {}
        }
        if let Some(sent) = sent {
            self.keep(sent, now, Said::Unknown);
        }
        if self.stage == Stage::Create { self.retry(None, now) } else { self.ask(None, now) }
    }

    fn keep(&self, sent: Duration, now: Duration, answer: Said) {
        let (kind, order_id) = match self.stage {
            Stage::Look(_) | Stage::Watch => return,
            Stage::Create => (Kind::Create, None),
            Stage::Status => (Kind::Status, Some(self.order)),
            Stage::Pay => (Kind::Pay, Some(self.order)),
            Stage::Cancel => (Kind::Cancel, Some(self.order)),
        };
        let Shared { wire, journal, .. } = &*self.shared;
        journal.keep(operation(kind, self.user_id, wire.product, &self.key, order_id, (sent, now), answer));
    }
}

impl User for Buyer {
    fn next(&mut self, event: Event<'_>, now: Duration) -> Step {
        let step = match event {
            Event::Start => {
                self.shared.journal.arrived(now);
                self.look(0, now)
            }
            Event::Answer(answer) => self.answered(&answer, now),
            Event::Failed { sent, .. } => self.failed(sent, now),
        };
        if let Step::Done = step {
            self.set_busy(false);
        }
        step
    }
}

/// The second of two clicks: the same order with the same key, on another connection, once.
#[derive(Debug)]
pub(super) struct SecondClick {
    pub(super) shared: Arc<Shared>,
    pub(super) user_id: u64,
    pub(super) key: String,
    pub(super) found: Found,
}

impl User for SecondClick {
    fn next(&mut self, event: Event<'_>, now: Duration) -> Step {
        let Self { shared, user_id, key, found } = self;
        let Shared { wire, journal, .. } = &**shared;
        let keep = |sent, said| {
            journal.keep(operation(Kind::Create, *user_id, wire.product, key, None, (sent, now), said));
        };
        match event {
            Event::Start => {
                return Step::Send {
                    label: "second click",
                    request: wire.create(*user_id, QUANTITY, key),
                    after: Duration::ZERO,
                    timeout: PATIENCE,
                };
            }
            Event::Answer(answer) => {
                let said = wire::said(&answer);
                if let Said::Ok { order_id, .. } = said {
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(order_id);
                }
                journal.attempted(now, outcome(&answer, None));
                keep(answer.sent, said);
            }
            Event::Failed { sent, .. } => {
                journal.attempted(now, Outcome::Error);
                if let Some(sent) = sent {
                    keep(sent, Said::Unknown);
                }
            }
        }
        shared.busy.fetch_sub(1, SeqCst); // its order, if any, was found above
        Step::Done
    }
}

/// What an answer counts as; `acked` is the latency of an order, if this answers one.
fn outcome(answer: &Answer<'_>, acked: Option<Duration>) -> Outcome {
    match (answer.status, acked) {
        (200..=299, Some(latency)) => Outcome::Acked(latency),
        (200..=299, None) => Outcome::Fine,
        _ if wire::is_deliberate(answer) => Outcome::Refused,
        (500.., _) => Outcome::Error,
        (409, _) => match wire::said(answer) {
            Said::Refused { code: Some(code), .. } if code == "sold_out" => Outcome::SoldOut,
            Said::Refused { .. } | Said::Ok { .. } | Said::Unknown => Outcome::Fine,
        },
        _ => Outcome::Strange,
    }
}

/// Times in microseconds; the end is rounded up, so that two operations which overlapped never seem not to.
fn operation(
    kind: Kind,
    user_id: u64,
    product_id: u64,
    key: &str,
    order_id: Option<u64>,
    (sent, now): (Duration, Duration),
    answer: Said,
) -> Operation {
    Operation {
        kind,
        user_id,
        product_id,
        quantity: QUANTITY,
        key: key.to_owned(),
        order_id,
        invoked_us: sent.as_micros() as u64,
        finished_us: now.as_nanos().div_ceil(1_000) as u64,
        answer,
    }
}

#[cfg(test)]
mod tests;
