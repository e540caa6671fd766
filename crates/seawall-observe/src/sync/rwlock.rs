//! [`RwLock`]: parking_lot's, watched.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::mutex::After;
use super::watch::Watch;

/// Many readers or one writer. Waits are measured and can be seen while they last; who the readers are is not known, see
/// [the module](super).
///
/// ```
/// use seawall_observe::sync::RwLock;
///
/// let prices = RwLock::new("prices", vec![3, 5]);
/// prices.write().push(8);
/// assert_eq!(prices.read().len(), 3);
/// ```
pub struct RwLock<T: ?Sized> {
    watch: Arc<Watch>,
    inner: parking_lot::RwLock<T>,
}

impl<T> RwLock<T> {
    /// A lock that is called `name` on pages and in profiles.
    pub fn new(name: &'static str, value: T) -> Self {
        Self { watch: Watch::new(name), inner: parking_lot::RwLock::new(value) }
    }

    /// The value, without the lock.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes, and keeps writers out until the guard is dropped.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let inner = self.inner.try_read();
        let inner = inner.unwrap_or_else(|| self.watch.wait("read", || self.inner.read()));
        RwLockReadGuard { inner, after: After::of(&self.watch) }
    }

    /// Waits until nobody reads or writes, and keeps everybody out until the guard is dropped.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let inner = self.inner.try_write();
        let inner = inner.unwrap_or_else(|| self.watch.wait("write", || self.inner.write()));
        self.watch.taken();
        RwLockWriteGuard { inner, after: After::of(&self.watch) }
    }

    /// The value; nobody else can have the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

/// Holds a [`RwLock`] to read.
#[must_use = "the lock is released the moment the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // In this order: released first, accounted for after.
    inner: parking_lot::RwLockReadGuard<'a, T>,
    after: After<'a>,
}

/// Holds a [`RwLock`] to write.
#[must_use = "the lock is released the moment the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    // In this order: released first, accounted for after.
    inner: parking_lot::RwLockWriteGuard<'a, T>,
    after: After<'a>,
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.after.releasing();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.after.releasing();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
