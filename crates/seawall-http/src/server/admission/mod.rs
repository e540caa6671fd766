//! Admission at the server's door: what has arrived is read and stamped first, and started after that.
//!
//! ```text
//! head is read ──> nobody ahead, room, and slice left? ──yes──> start
//!                        │no
//!                        └──> class of its route, its caller's deadline ──> queue ──> start, or pre-built refusal
//! ```
//!
//! What is decided, `seawall_guard` decides; here is who drives it. While all is well a request costs a lock and a
//! few additions, and is never queued. Once handlers have computed for a whole time slice (`pace.rs`), newcomers are
//! queued, and the dispatcher lets the worker read all that has arrived before it grants the next turn. That reads come
//! before it rests on tokio's order: a task that yields is polled again after the driver was, behind those whom the
//! driver woke. A test pins it.
//!
//! A connection has at most one request in the queue, so newest first cannot reorder pipelined answers; what it sends
//! meanwhile stays unread, within a bound. Every wait may be dropped: a place in the queue is given up, room that was
//! granted is given back.

mod entrance;
mod facts;
mod pace;
mod refusals;
mod turn;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::ConfigError;
use seawall_core::metrics::{Registry, Timer};
use seawall_guard::{Admission, AdmissionConfig, AdmissionFacts, Gate, Meta, Next, Rejected, WorkPermit};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep_until};

use crate::clock;
pub(crate) use entrance::Entry;
pub(super) use entrance::{Entered, Entrance, Leave, Polls};
pub(super) use facts::Facts;
use pace::Pace;
pub(super) use refusals::{Refusals, report_refusals};
pub(super) use turn::Queued;
use turn::Turn;

/// What a timer of the runtime can tell apart.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The admission of one worker, and who drives it.
pub(super) struct Dispatcher {
    admission: Admission<Arc<Turn>>,
    pace: Pace,
    /// Something waits, or room has become free for it.
    news: Arc<Notify>,
    waited: Timer,
}

/// What there is to do after a round of decisions.
#[derive(Debug, PartialEq, Eq)]
enum Drive {
    /// Read what has arrived, then go on.
    Read,
    /// Nobody can start before something happens, or before that time.
    Wait(Option<Instant>),
}

impl Dispatcher {
    /// For a worker whose tasks run one after the other if `in_order`. Workers of one service have the same `start`, so
    /// that they measure at the same time what they may disturb each other with.
    ///
    /// # Errors
    /// If a field of `config` is outside its range.
    pub(super) fn new(
        config: &AdmissionConfig,
        hard_cap: Gate,
        in_order: bool,
        start: Instant,
        registry: &Registry,
    ) -> Result<Arc<Self>, ConfigError> {
        let news = Arc::new(Notify::new());
        let told = Arc::clone(&news);
        let on_room = move || told.notify_one();
        let admission = Admission::driven(config, Some(hard_cap), start, on_room)?;
        let waited = registry.timer(
            "seawall_admission_queue_wait_seconds",
            "Time that requests waited in the queue before they were started.",
            &[],
        );
        Ok(Arc::new(Self { admission, pace: Pace::new(in_order), news, waited }))
    }

    /// Leave to start now, if nobody is ahead, there is room, and the time slice has some left.
    pub(super) fn try_start(&self, arrived: Instant, now: Instant) -> Option<WorkPermit> {
        if self.pace.is_used_up() {
            return None;
        }
        self.admission.try_start(&Meta::new(arrived), now)
    }

    /// Puts a request into the queue.
    ///
    /// # Errors
    /// With the reason, if it has to be turned away.
    pub(super) fn offer(self: &Arc<Self>, meta: &Meta, now: Instant) -> Result<Queued, Rejected> {
        let turn = Arc::new(Turn::default());
        match self.admission.offer(meta, Arc::clone(&turn), now) {
            Ok(ticket) => {
                self.news.notify_one();
                Ok(Queued::new(self, turn, ticket, meta))
            }
            Err((rejected, _)) => Err(rejected),
        }
    }

    /// What it looks like at this moment.
    pub(super) fn facts(&self) -> AdmissionFacts {
        self.admission.facts()
    }

    /// Takes over new values while it works.
    ///
    /// # Errors
    /// If a field is outside its range; everything stays as it was.
    pub(super) fn reconfigure(&self, config: &AdmissionConfig) -> Result<(), ConfigError> {
        self.admission.reconfigure(config, clock::now())?;
        self.news.notify_one(); // whoever waits may have room now
        Ok(())
    }

    /// Drives the queue for as long as it is polled. One per worker, as a task of its runtime.
    pub(super) async fn run(self: Arc<Self>) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        loop {
            match self.drive(clock::now()) {
                Drive::Read => {
                    yield_now().await;
                    self.pace.renew();
                }
                Drive::Wait(until) => {
                    self.wait(until, &mut timer).await;
                    if self.pace.is_worn() {
                        yield_now().await;
                        self.pace.renew();
                    }
                }
            }
        }
    }

    /// Decides for as long as the slice has something left.
    fn drive(&self, now: Instant) -> Drive {
        loop {
            let Some(look_again) = self.admission.look_again() else { return Drive::Wait(None) };
            if self.pace.is_used_up() {
                return Drive::Read;
            }
            match self.admission.next(now) {
                Some(Next::Start(permit, turn)) => {
                    self.pace.grant();
                    turn.decide(Ok(permit));
                }
                Some(Next::Refuse(rejected, turn)) => turn.decide(Err(rejected)),
                // It may lie in the past while a burst has its grace.
                None => return Drive::Wait(Some(look_again.max(now + SHORTEST_WAIT))),
            }
        }
    }

    /// Until there is news, or until it is time.
    async fn wait(&self, until: Option<Instant>, timer: &mut Option<Pin<Box<Sleep>>>) {
        let Some(until) = until else { return self.news.notified().await };
        match timer {
            Some(timer) => timer.as_mut().reset(until.into()),
            None => *timer = Some(Box::pin(sleep_until(until.into()))),
        }
        let timer = timer.as_mut().expect("it was just set");
        tokio::select! {
            () = self.news.notified() => {}
            () = poll_fn(|cx| timer.as_mut().poll(cx)) => {}
        }
    }
}
