//! [`Mutex`]: parking_lot's, watched.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::watch::Watch;

/// One at a time. Waits are measured and can be seen while they last; see [the module](super).
///
/// ```
/// use seawall_observe::sync::Mutex;
///
/// let stock = Mutex::new("stock", 10);
/// *stock.lock() -= 1;
/// assert_eq!(*stock.lock(), 9);
/// ```
pub struct Mutex<T: ?Sized> {
    watch: Arc<Watch>,
    inner: parking_lot::Mutex<T>,
}

impl<T> Mutex<T> {
    /// A lock that is called `name` on pages and in profiles.
    pub fn new(name: &'static str, value: T) -> Self {
        Self { watch: Watch::new(name), inner: parking_lot::Mutex::new(value) }
    }

    /// The value, without the lock.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free, and holds it until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let inner = self.inner.try_lock();
        let inner = inner.unwrap_or_else(|| self.watch.wait("lock", || self.inner.lock()));
        self.hold(inner)
    }

    /// The lock, if it is free now.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Some(self.hold(self.inner.try_lock()?))
    }

    /// The value; nobody else can have the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn hold<'a>(&'a self, inner: parking_lot::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.watch.taken();
        MutexGuard { inner, after: After::of(&self.watch) }
    }
}

/// Holds a [`Mutex`].
#[must_use = "the lock is released the moment the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    // In this order: released first, accounted for after.
    inner: parking_lot::MutexGuard<'a, T>,
    after: After<'a>,
}

/// Accounts for a release, once the lock is free.
pub(super) struct After<'a> {
    watch: &'a Watch,
    /// Whether somebody waited for it while it was held.
    contended: bool,
}

impl<'a> After<'a> {
    pub(super) fn of(watch: &'a Watch) -> Self {
        Self { watch, contended: false }
    }

    /// Has to be called while the lock is still held.
    pub(super) fn releasing(&mut self) {
        self.contended = self.watch.releasing();
    }
}

impl Drop for After<'_> {
    fn drop(&mut self) {
        if self.contended {
            self.watch.released();
        }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.after.releasing();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
