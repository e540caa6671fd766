//! What a channel is under its lock: values, who waits, who is left.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::task::Waker;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

/// The lock. Whoever was to be woken under it is woken when it is free again.
pub(super) struct Lock<T>(Mutex<State<T>>);

impl<T> Lock<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(State::new(capacity)))
    }
    pub(super) fn lock(&self) -> Locked<'_, T> {
        Locked(Some(self.0.lock()))
    }
}

/// The state, under its lock; there until the drop.
pub(super) struct Locked<'a, T>(Option<MutexGuard<'a, State<T>>>);

impl<T> Deref for Locked<'_, T> {
    type Target = State<T>;
    fn deref(&self) -> &State<T> {
        self.0.as_ref().expect("it is there until the drop")
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut State<T> {
        self.0.as_mut().expect("it is there until the drop")
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        let senders = self.senders_waiting.take_woken();
        let receivers = self.receivers_waiting.take_woken();
        drop(self.0.take());
        senders.into_iter().chain(receivers).for_each(Waker::wake);
    }
}

/// What became of a value.
pub(super) enum Pushed<T> {
    Queued,
    Full(T),
    Closed(T),
}

/// Everything under the lock.
pub(super) struct State<T> {
    values: VecDeque<T>,
    capacity: usize,
    senders: usize,
    receivers: usize,
    closed: bool,
    dropped: u64,
    pub(super) senders_waiting: Waiting,
    pub(super) receivers_waiting: Waiting,
}

impl<T> State<T> {
    /// Empty, with one sender and one receiver. Room is made as it is needed.
    fn new(capacity: usize) -> Self {
        Self {
            values: VecDeque::new(),
            capacity,
            senders: 1,
            receivers: 1,
            closed: false,
            dropped: 0,
            senders_waiting: Waiting::default(),
            receivers_waiting: Waiting::default(),
        }
    }

    pub(super) fn push(&mut self, value: T) -> Pushed<T> {
        if self.closed || self.receivers == 0 {
            return Pushed::Closed(value);
        }
        if self.values.len() >= self.capacity {
            return Pushed::Full(value);
        }
        self.values.push_back(value);
        self.receivers_waiting.wake_first();
        Pushed::Queued
    }

    /// Puts `value` at the end of a full channel and gives back the oldest one.
    pub(super) fn displace(&mut self, value: T) -> Option<T> {
        self.dropped += 1;
        let oldest = self.values.pop_front();
        self.values.push_back(value);
        oldest
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.values.pop_front()?;
        self.senders_waiting.wake_first();
        Some(value)
    }

    /// Somebody was woken for a value and went away.
    pub(super) fn pass_value_on(&mut self) {
        if !self.values.is_empty() {
            self.receivers_waiting.wake_first();
        }
    }

    /// Somebody was woken for room and went away.
    pub(super) fn pass_room_on(&mut self) {
        if self.values.len() < self.capacity {
            self.senders_waiting.wake_first();
        }
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.receivers_waiting.wake_all();
        self.senders_waiting.wake_all();
    }

    /// Whether nothing will come any more; something may still wait.
    pub(super) fn is_closed(&self) -> bool {
        self.closed || self.senders == 0
    }
    pub(super) fn count_dropped(&mut self) {
        self.dropped += 1;
    }
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
    pub(super) fn add_sender(&mut self) {
        self.senders += 1;
    }
    pub(super) fn add_receiver(&mut self) {
        self.receivers += 1;
    }
    pub(super) fn drop_sender(&mut self) {
        self.senders -= 1;
        if self.senders == 0 {
            self.receivers_waiting.wake_all();
        }
    }
    /// What waits goes with the last receiver.
    pub(super) fn drop_receiver(&mut self) -> VecDeque<T> {
        self.receivers -= 1;
        if self.receivers > 0 {
            return VecDeque::new();
        }
        self.senders_waiting.wake_all();
        std::mem::take(&mut self.values)
    }
}

/// Futures that wait, in the order in which they came. At most one entry per future, so it is bounded by the tasks.
#[derive(Default)]
pub(super) struct Waiting {
    /// By ticket, which only grows.
    wakers: VecDeque<(u64, Waker)>,
    woken: Woken,
    next: u64,
}

type Woken = SmallVec<[Waker; 2]>;

impl Waiting {
    /// Keeps its place if it has one, else the last one is given.
    pub(super) fn enrol(&mut self, ticket: Option<u64>, waker: &Waker) -> u64 {
        if let Some(ticket) = ticket
            && let Ok(place) = self.place(ticket)
        {
            self.wakers[place].1.clone_from(waker);
            return ticket;
        }
        self.next += 1;
        self.wakers.push_back((self.next, waker.clone()));
        self.next
    }

    /// Gives its place up; false if it had been woken already.
    pub(super) fn leave(&mut self, ticket: u64) -> bool {
        let place = self.place(ticket);
        place.map(|place| self.wakers.remove(place)).is_ok()
    }

    fn place(&self, ticket: u64) -> Result<usize, usize> {
        self.wakers.binary_search_by_key(&ticket, |(known, _)| *known)
    }
    fn wake_first(&mut self) {
        self.woken.extend(self.wakers.pop_front().map(|(_, waker)| waker));
    }
    fn wake_all(&mut self) {
        self.woken.extend(self.wakers.drain(..).map(|(_, waker)| waker));
    }
    fn take_woken(&mut self) -> Woken {
        std::mem::take(&mut self.woken)
    }
}
