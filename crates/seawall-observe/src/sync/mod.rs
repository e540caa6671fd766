//! Locks that can be asked: who holds them, who waits, for how long, and whether anybody waits in a circle.
//!
//! [`Mutex`] and [`RwLock`] are parking_lot's with a name. While nobody has to wait they cost two stores more; a wait is
//! measured, counted for the block and the mutex profile, and listed in `/debug/seawall/threads` while it lasts, where a
//! circle of waits is shown as what it is, a deadlock.
//!
//! **Only what is instrumented is seen.** Locks of std, parking_lot and tokio, channels and libraries do not show up in
//! these profiles; the wall-clock and off-CPU profiles see every wait, by its stack alone. Of a read-write lock the
//! writer is known as its holder and readers are not, so a circle through a reader is not found. Waits that are futures
//! can be added by hand, with [`waited`].

mod cycles;
mod ledger;
mod mutex;
mod profile;
mod rwlock;
mod watch;

use std::time::Duration;

pub(crate) use cycles::cycles;
pub use mutex::{Mutex, MutexGuard};
pub(crate) use profile::{Contention, block, mutex};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use watch::{Wait, waits};

/// Counts a wait that has ended for the block profile, with the stack of the caller: for pools, limits, queues and
/// everything else that is waited for without an instrumented lock.
#[inline(never)]
pub fn waited(time: Duration) {
    profile::block_ended(time);
}
