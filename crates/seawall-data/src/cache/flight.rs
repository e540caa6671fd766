//! One load in progress: who waits for it, and how it ends.

use std::any::Any;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Cache, Entry};

/// How a load ended.
#[derive(Clone)]
pub(super) enum Ended<V> {
    /// With the value that the waiters get.
    Value(V),
    /// With an error of the type that the leader's loader has.
    Error(Arc<dyn Any + Send + Sync>),
    /// The leader went away: choose another.
    Abandoned,
}

pub(super) struct Flight<V> {
    ended: Mutex<Option<Ended<V>>>,
    landed: Notify,
}

impl<V: Clone> Flight<V> {
    pub(super) fn new() -> Self {
        Self { ended: Mutex::new(None), landed: Notify::new() }
    }

    /// Waits for the end. Cancel-safe.
    pub(super) async fn wait(&self) -> Ended<V> {
        loop {
            // Registered before the look, so that an end in between is not missed.
            let mut landed = std::pin::pin!(self.landed.notified());
            landed.as_mut().enable();
            if let Some(ended) = &*self.ended.lock() {
                return ended.clone();
            }
            landed.await;
        }
    }

    /// The first end counts.
    fn end(&self, ended: Ended<V>) {
        self.ended.lock().get_or_insert(ended);
        self.landed.notify_waiters();
    }
}

/// The leader's duty to end its flight, kept even if the leader is dropped.
pub(super) struct Landing<'a, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) cache: &'a Cache<K, V>,
    pub(super) key: &'a K,
    pub(super) flight: &'a Arc<Flight<V>>,
}

impl<K, V> Landing<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps the value, unless the key was invalidated meanwhile, and gives it to the waiters.
    pub(super) fn store(self, value: &V) {
        let mut flights = self.cache.flights.lock();
        // Under the lock, so that an invalidation comes either before (and has taken the flight away) or after (and
        // removes what is stored here).
        if flights.get(self.key).is_some_and(|current| Arc::ptr_eq(current, self.flight)) {
            flights.remove(self.key);
            let entry = Entry { value: value.clone(), stored_at: self.cache.clock.now() };
            self.cache.store.insert(self.key.clone(), entry);
        }
        drop(flights);
        self.flight.end(Ended::Value(value.clone()));
    }

    /// Ends the flight without keeping anything.
    pub(super) fn end(self, ended: Ended<V>) {
        self.leave();
        self.flight.end(ended);
    }

    fn leave(&self) {
        let mut flights = self.cache.flights.lock();
        if flights.get(self.key).is_some_and(|current| Arc::ptr_eq(current, self.flight)) {
            flights.remove(self.key);
        }
    }
}

impl<K, V> Drop for Landing<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        // After `store` or `end` both steps do nothing.
        self.leave();
        self.flight.end(Ended::Abandoned);
    }
}
