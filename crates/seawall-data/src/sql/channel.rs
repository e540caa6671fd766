//! A bounded queue of jobs between asynchronous callers and threads.
//!
//! Callers wait for room, at most a configured time; threads block on the queue. Closing refuses new jobs and lets
//! the threads drain what is there.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use seawall_core::metrics::Gauge;
use tokio::sync::{Semaphore, TryAcquireError};

use super::error::{Side, SqlError};

pub(super) struct Channel<J> {
    side: Side,
    max_wait: Duration,
    /// One permit per free place. A push takes one, a pop gives it back.
    room: Semaphore,
    state: Mutex<State<J>>,
    filled: Condvar,
    depth: Gauge,
    waiters: Gauge,
}

struct State<J> {
    jobs: VecDeque<J>,
    closed: bool,
}

/// Counts a waiter for as long as it waits, cancelled or not.
struct Waiting<'a>(&'a Gauge);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

impl<J> Channel<J> {
    pub(super) fn new(side: Side, capacity: usize, max_wait: Duration, depth: Gauge, waiters: Gauge) -> Self {
        Self {
            side,
            max_wait,
            room: Semaphore::new(capacity),
            state: Mutex::new(State { jobs: VecDeque::with_capacity(capacity), closed: false }),
            filled: Condvar::new(),
            depth,
            waiters,
        }
    }

    /// Puts `job` into the queue, waiting for room if there must be. Dropping the future before it is done leaves
    /// the queue as it was.
    pub(super) async fn push(&self, job: J) -> Result<(), SqlError> {
        match self.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::Closed) => return Err(SqlError::Closed),
            Err(TryAcquireError::NoPermits) => {
                let full = SqlError::Full { side: self.side, waited: self.max_wait };
                if self.max_wait.is_zero() {
                    return Err(full);
                }
                self.waiters.add(1);
                let _waiting = Waiting(&self.waiters);
                match tokio::time::timeout(self.max_wait, self.room.acquire()).await {
                    Ok(Ok(permit)) => permit.forget(),
                    Ok(Err(_)) => return Err(SqlError::Closed),
                    Err(_) => return Err(full),
                }
            }
        }
        self.put(job)
    }

    /// Puts `job` into the queue if there is room now.
    pub(super) fn push_now(&self, job: J) -> Result<(), SqlError> {
        match self.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::Closed) => return Err(SqlError::Closed),
            Err(TryAcquireError::NoPermits) => {
                return Err(SqlError::Full { side: self.side, waited: Duration::ZERO });
            }
        }
        self.put(job)
    }

    fn put(&self, job: J) -> Result<(), SqlError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SqlError::Closed);
        }
        state.jobs.push_back(job);
        drop(state);
        self.depth.add(1);
        self.filled.notify_one();
        Ok(())
    }

    /// The next job; blocks until there is one. `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<J> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                return Some(self.taken(job));
            }
            if state.closed {
                return None;
            }
            self.filled.wait(&mut state);
        }
    }

    /// The next job, if one comes within `patience`.
    pub(super) fn pop_within(&self, patience: Duration) -> Option<J> {
        let mut state = self.state.lock();
        if state.jobs.is_empty() && !state.closed && !patience.is_zero() {
            self.filled.wait_for(&mut state, patience);
        }
        let job = state.jobs.pop_front();
        drop(state);
        job.map(|job| self.taken(job))
    }

    fn taken(&self, job: J) -> J {
        self.depth.sub(1);
        self.room.add_permits(1);
        job
    }

    /// Refuses new jobs; those in the queue are still handed out.
    pub(super) fn close(&self) {
        self.room.close();
        self.state.lock().closed = true;
        self.filled.notify_all();
    }
}
