//! The admission machine: the handle that a driver works with, and the tickets of those who wait.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::{ConfigError, Deadline, Outcome};

use super::config::AdmissionConfig;
use super::meta::Meta;
use super::permit::{Home, WorkPermit};
use super::queue::Waiting;
use super::state::{AdmissionFacts, State};
use crate::gate::Taken;
use crate::sync::Mutex;
use crate::{Gate, Rejected};

/// Decides who starts, who waits and who is turned away. Cloning gives another handle to the same machine.
///
/// `T` is what the driver needs to start the work or to turn it away: a channel, a task. The machine keeps it while
/// the request waits and gives it back with the decision.
pub struct Admission<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    hard_cap: Option<Gate>,
    /// Told when room has become free and somebody waits for it.
    on_room: Option<Box<OnRoom>>,
}

type OnRoom = dyn Fn() + Send + Sync;

/// What became of an arrival.
#[derive(Debug)]
pub enum Decision<T> {
    /// Work on it now.
    Start(WorkPermit, T),
    /// It waits. Keep the ticket for as long as somebody waits for the answer.
    Queued(Ticket<T>),
    /// Turn it away.
    Refused(Rejected, T),
}

/// What to do next with what waits.
#[derive(Debug)]
pub enum Next<T> {
    /// Work on it now.
    Start(WorkPermit, T),
    /// Turn it away.
    Refuse(Rejected, T),
}

/// A place in the queue. Dropping it gives the place up, if the request still waits; otherwise it does nothing.
#[must_use = "the place is given up the moment the ticket is dropped"]
pub struct Ticket<T> {
    shared: Arc<Shared<T>>,
    slot: u32,
    generation: u32,
}

impl<T: Send + 'static> Admission<T> {
    /// A machine with an empty queue. `hard_cap` bounds what is queued or in flight, over all machines that share it.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(
        config: &AdmissionConfig,
        hard_cap: Option<Gate>,
        start: Instant,
    ) -> Result<Self, ConfigError> {
        let state = Mutex::new(State::new(config, start)?);
        Ok(Self(Arc::new(Shared { state, hard_cap, on_room: None })))
    }

    /// As [`new`](Self::new), with somebody to tell when a permit has ended and there are requests that wait: the
    /// driver, which then asks for the [`next`](Self::next). It is called outside of all locks, on whatever thread the
    /// permit ended.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn driven(
        config: &AdmissionConfig,
        hard_cap: Option<Gate>,
        start: Instant,
        on_room: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let state = Mutex::new(State::new(config, start)?);
        Ok(Self(Arc::new(Shared { state, hard_cap, on_room: Some(Box::new(on_room)) })))
    }

    /// Starts an arrival at once if there is room and nobody is ahead of it; `None` if it has to be
    /// [`offer`](Self::offer)ed, which then says why it is refused, if it is. The short way for a driver whose time
    /// slice has room left: nothing is queued, and nothing allocated.
    pub fn try_start(&self, meta: &Meta, now: Instant) -> Option<WorkPermit> {
        let room = self.room().ok()?;
        let mut state = self.0.state.lock();
        if state.queue.len() > 0 || !state.has_room() {
            return None;
        }
        let deadline = state.deadline(meta);
        if state.judge(meta, deadline, now).is_err() {
            state.forget(meta);
            return None;
        }
        state.start();
        drop(state);
        Some(self.started(meta, deadline, room, now))
    }

    /// Puts an arrival into the queue, or refuses it. Never starts anything: that is [`next`](Self::next)'s business,
    /// once everything that has arrived is read.
    ///
    /// A newcomer may push a lesser one out of a full queue; `next` hands that one back to be turned away.
    ///
    /// # Errors
    /// With the reason, and `work` back: [`Rejected::Saturated`] at the hard cap, [`Rejected::DeadlineExceeded`],
    /// [`Rejected::LowPriority`], [`Rejected::QueueFull`].
    pub fn offer(&self, meta: &Meta, work: T, now: Instant) -> Result<Ticket<T>, (Rejected, T)> {
        let room = match self.room() {
            Ok(room) => room,
            Err(rejected) => return Err((rejected, work)),
        };
        let mut state = self.0.state.lock();
        let deadline = state.deadline(meta);
        if let Err(rejected) = state.judge(meta, deadline, now) {
            return Err((rejected, work));
        }
        match state.enqueue(Waiting { work, meta: *meta, deadline, room: room.map(Taken::into_permit) }) {
            Ok((slot, generation)) => Ok(Ticket { shared: Arc::clone(&self.0), slot, generation }),
            Err((waiting, rejected)) => Err((rejected, waiting.work)),
        }
    }

    /// As [`offer`](Self::offer), but starts at once if there is room and nobody is ahead. For a driver that cannot
    /// read first what else has arrived.
    pub fn admit(&self, meta: &Meta, work: T, now: Instant) -> Decision<T> {
        let room = match self.room() {
            Ok(room) => room,
            Err(rejected) => return Decision::Refused(rejected, work),
        };
        let mut state = self.0.state.lock();
        let deadline = state.deadline(meta);
        if let Err(rejected) = state.judge(meta, deadline, now) {
            return Decision::Refused(rejected, work);
        }
        if state.queue.len() == 0 && state.has_room() {
            state.start();
            drop(state);
            return Decision::Start(self.started(meta, deadline, room, now), work);
        }
        match state.enqueue(Waiting { work, meta: *meta, deadline, room: room.map(Taken::into_permit) }) {
            Ok((slot, generation)) => {
                Decision::Queued(Ticket { shared: Arc::clone(&self.0), slot, generation })
            }
            Err((waiting, rejected)) => Decision::Refused(rejected, waiting.work),
        }
    }

    /// The next thing to do for those who wait; nothing, if the limit is reached or nobody waits. Call it until then
    /// or until the time slice is used up, after reading, after a permit has ended, and at
    /// [`look_again`](Self::look_again).
    pub fn next(&self, now: Instant) -> Option<Next<T>> {
        let mut state = self.0.state.lock();
        if let Some((work, rejected)) = state.refuse(now) {
            return Some(Next::Refuse(rejected, work));
        }
        match state.take(now)? {
            Err((work, rejected)) => Some(Next::Refuse(rejected, work)),
            Ok(Waiting { work, meta, deadline, room }) => {
                drop(state);
                if let Some(room) = room {
                    room.keep(); // the permit gives it back
                }
                Some(Next::Start(WorkPermit::new(self.home(), now, meta.arrived, deadline), work))
            }
        }
    }

    /// When to call [`next`](Self::next) again even if nothing happens, so that nobody waits in vain unseen. Nothing
    /// if nobody waits.
    pub fn look_again(&self) -> Option<Instant> {
        self.0.state.lock().look_again()
    }

    /// What it looks like at this moment.
    pub fn facts(&self) -> AdmissionFacts {
        self.0.state.lock().facts()
    }

    /// Takes over new values while it works. What is queued and in flight stays; what the limit has learnt stays too,
    /// unless the limit's own values changed. A queue that is now too long takes no newcomers until it is not.
    ///
    /// # Errors
    /// If a field is outside its range; everything stays as it was.
    pub fn reconfigure(&self, config: &AdmissionConfig, now: Instant) -> Result<(), ConfigError> {
        self.0.state.lock().reconfigure(config, now)
    }

    fn room(&self) -> Result<Option<Taken<'_>>, Rejected> {
        self.0.hard_cap.as_ref().map(Gate::take).transpose()
    }

    fn started(&self, meta: &Meta, deadline: Deadline, room: Option<Taken<'_>>, now: Instant) -> WorkPermit {
        if let Some(room) = room {
            room.keep(); // the permit gives it back
        }
        WorkPermit::new(self.home(), now, meta.arrived, deadline)
    }

    fn home(&self) -> Arc<dyn Home> {
        Arc::clone(&self.0) as Arc<dyn Home>
    }
}

impl<T: Send> Home for Shared<T> {
    fn ended(&self, started: Instant, allowed: Duration, end: Option<(Outcome, Instant)>) {
        let mut state = self.state.lock();
        state.ended(started, allowed, end);
        let somebody_waits = state.queue.len() > 0;
        drop(state);
        if let Some(hard_cap) = &self.hard_cap {
            hard_cap.give_back();
        }
        if somebody_waits && let Some(on_room) = &self.on_room {
            on_room();
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        let waiting = state.queue.cancel(self.slot, self.generation);
        // The owner's value is dropped after the lock: it may do anything, even come back here.
        drop(state);
        drop(waiting);
    }
}

impl<T> Clone for Admission<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Admission<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.0.state.lock().facts()).finish()
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("slot", &self.slot).finish_non_exhaustive()
    }
}
