//! Routes that change while the server runs: every worker has a slot, and a swap fills all of them.
//!
//! A request takes what its worker's slot holds when it arrives and keeps it to its end, so that it never sees half of
//! one app and half of another. Workers are filled one after the other, so for some microseconds two of them may
//! answer by different apps.

use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::Inner;

/// Puts another app in the place of the one that runs; see [`App::swappable`]. A clone is another handle to the same.
#[derive(Clone, Default)]
pub struct Swap(Arc<Mutex<Slots>>);

/// The slots of all workers that still run.
#[derive(Default)]
struct Slots(Vec<Weak<Slot>>);

/// What one worker serves.
pub(crate) struct Slot {
    inner: ArcSwap<Inner>,
    swap: Swap,
}

impl Swap {
    /// Serves `app` from now on: its routes, groups, middleware, state, error handlers and body limit. Requests that
    /// are being answered end as they began. Metrics and tasks stay with those of the app before; the limits and
    /// timeouts of connections stay as the server was started with.
    ///
    /// # Errors
    /// As [`App::build`], and if no service runs that was built from the app before; nothing changes then.
    pub fn swap(&self, app: App) -> Result<()> {
        let running = self.0.lock().0.iter().find_map(Weak::upgrade).map(|slot| slot.load());
        let running = running.ok_or_else(|| Error::internal("no running service was built from this app"))?;
        let service = app.registry(running.registry()).with_tasks(running.tasks()).build()?;
        // Under the lock, so that a worker that starts meanwhile is not left with the app before.
        for slot in self.0.lock().0.iter().filter_map(Weak::upgrade) {
            slot.inner.store(service.inner().replicate());
        }
        Ok(())
    }

    /// A slot that holds `inner` until the next swap.
    pub(crate) fn slot(&self, inner: &Arc<Inner>) -> Arc<Slot> {
        self.0.lock().add(self, Arc::clone(inner))
    }
}

impl Slots {
    fn add(&mut self, swap: &Swap, inner: Arc<Inner>) -> Arc<Slot> {
        let slot = Arc::new(Slot { inner: ArcSwap::new(inner), swap: swap.clone() });
        self.0.retain(|slot| slot.strong_count() > 0);
        self.0.push(Arc::downgrade(&slot));
        slot
    }
}

impl Slot {
    pub(crate) fn load(&self) -> Arc<Inner> {
        self.inner.load_full()
    }

    /// What another worker serves, and its slot.
    pub(crate) fn replicate(&self) -> (Arc<Inner>, Arc<Self>) {
        let mut slots = self.swap.0.lock();
        let inner = self.load().replicate();
        (Arc::clone(&inner), slots.add(&self.swap, inner))
    }
}

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swap").field("workers", &self.0.lock().0.len()).finish()
    }
}
