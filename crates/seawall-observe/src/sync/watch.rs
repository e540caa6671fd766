//! What is known of one instrumented lock, and the list of all threads that wait for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::ledger::Ledger;
use super::profile;
use crate::{clock, sys};

/// Beside every lock.
#[derive(Debug)]
pub(super) struct Watch {
    name: &'static str,
    /// The thread that holds it; 0 for nobody, or for readers.
    holder: AtomicU32,
    waiters: AtomicU32,
    /// Only waiters and those they wait for come here.
    ledger: Mutex<Ledger>,
    made: Instant,
}

/// A thread that waits.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) thread: u32,
    pub(crate) lock: &'static str,
    /// For what: to read, to write, or simply to have it.
    pub(crate) what: &'static str,
    pub(crate) holder: Option<u32>,
    pub(crate) since: Duration,
}

struct Entry {
    watch: Arc<Watch>,
    what: &'static str,
    since: Instant,
}

/// One entry per waiting thread, so as many as there are threads.
static WAITS: Mutex<Option<HashMap<u32, Entry>>> = Mutex::new(None);

/// Every thread that waits for an instrumented lock now.
pub(crate) fn waits() -> Vec<Wait> {
    let now = clock::now();
    let waits = WAITS.lock();
    let wait = |(thread, entry): (&u32, &Entry)| {
        let holder = entry.watch.holder.load(Ordering::Relaxed);
        Wait {
            thread: *thread,
            lock: entry.watch.name,
            what: entry.what,
            holder: (holder != 0).then_some(holder),
            since: now.saturating_duration_since(entry.since),
        }
    };
    let mut all: Vec<_> = waits.iter().flatten().map(wait).collect();
    all.sort_by_key(|wait| wait.thread);
    all
}

impl Watch {
    pub(super) fn new(name: &'static str) -> Arc<Self> {
        let (holder, waiters) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { name, holder, waiters, ledger: Mutex::default(), made: clock::now() })
    }

    /// The calling thread holds the lock.
    pub(super) fn taken(&self) {
        self.holder.store(this_thread(), Ordering::Relaxed);
    }

    /// The calling thread is about to release it; whether somebody waits for that.
    pub(super) fn releasing(&self) -> bool {
        self.holder.store(0, Ordering::Relaxed);
        self.waiters.load(Ordering::Relaxed) > 0
    }

    /// The lock was released, and somebody had waited for that: it is charged to the caller's stack.
    pub(super) fn released(&self) {
        let waited = self.ledger.lock().release(self.now());
        if waited > 0 {
            profile::mutex_released(waited);
        }
    }

    /// Waits with `lock` and counts how long that took.
    pub(super) fn wait<G>(self: &Arc<Self>, what: &'static str, lock: impl FnOnce() -> G) -> G {
        let waiting = Waiting::begin(self, what);
        let guard = lock();
        let time = clock::now().saturating_duration_since(waiting.since);
        drop(waiting);
        profile::block_ended(time);
        guard
    }

    fn now(&self) -> u64 {
        clock::now().saturating_duration_since(self.made).as_nanos() as u64
    }
}

/// The calling thread is in the list while this lives.
struct Waiting<'a> {
    watch: &'a Arc<Watch>,
    thread: u32,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(watch: &'a Arc<Watch>, what: &'static str) -> Self {
        let (thread, since) = (this_thread(), clock::now());
        watch.waiters.fetch_add(1, Ordering::Relaxed);
        watch.ledger.lock().begin(watch.now());
        let entry = Entry { watch: Arc::clone(watch), what, since };
        WAITS.lock().get_or_insert_default().insert(thread, entry);
        Self { watch, thread, since }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let entry = WAITS.lock().as_mut().and_then(|waits| waits.remove(&self.thread));
        drop(entry); // not under the lock of the list
        self.watch.ledger.lock().end(self.watch.now());
        self.watch.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The kernel's number of this thread, asked for once.
fn this_thread() -> u32 {
    thread_local!(static ID: u32 = sys::thread_id());
    // While a thread ends its locals may be gone already; locks are still used then.
    ID.try_with(|id| *id).unwrap_or_else(|_| sys::thread_id())
}
