//! The turn of one request that waits: where its connection finds what was decided.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;
use seawall_guard::{Meta, Priority, Rejected, Ticket, WorkPermit};

use super::Dispatcher;

/// Leave to start, or the reason why not.
pub(super) type Decided = Result<WorkPermit, Rejected>;

/// What the queue keeps of a request: only how to tell its connection.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    decided: Option<Decided>,
    waker: Option<Waker>,
}

impl Turn {
    /// Tells whoever waits. The permit travels by value: if nobody waits any more, it falls with the turn.
    pub(super) fn decide(&self, decided: Decided) {
        let mut state = self.0.lock();
        state.decided = Some(decided);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Decided> {
        let mut state = self.0.lock();
        match state.decided.take() {
            Some(decided) => Poll::Ready(decided),
            None => {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// A request in the queue. Dropping it gives its place up, or the room that it was granted.
pub(in crate::server) struct Queued {
    turn: Arc<Turn>,
    dispatcher: Arc<Dispatcher>,
    _ticket: Ticket<Arc<Turn>>,
    arrived: Instant,
    class: Priority,
}

impl Queued {
    pub(super) fn new(
        dispatcher: &Arc<Dispatcher>,
        turn: Arc<Turn>,
        ticket: Ticket<Arc<Turn>>,
        meta: &Meta,
    ) -> Self {
        let Meta { arrived, priority: class, .. } = *meta;
        Self { turn, dispatcher: Arc::clone(dispatcher), _ticket: ticket, arrived, class }
    }

    /// The class of the request.
    pub(in crate::server) fn class(&self) -> Priority {
        self.class
    }

    /// What was decided, once it is. Not to be polled again after that.
    pub(in crate::server) fn poll(&self, cx: &Context<'_>) -> Poll<Decided> {
        self.turn.poll(cx).map(|decided| {
            if let Ok(permit) = &decided {
                self.dispatcher.pace.redeem();
                let waited = permit.started().saturating_duration_since(self.arrived);
                self.dispatcher.waited.observe(waited);
            }
            decided
        })
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let decided = self.turn.0.lock().decided.take();
        if matches!(decided, Some(Ok(_))) {
            self.dispatcher.pace.redeem(); // it will never be polled
        }
    }
}
