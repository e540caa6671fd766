//! Where a keyed limit keeps its counts: in this process, or shared with others.
//!
//! Deciding is synchronous and never waits. A store that is shared between processes takes its units from leases that
//! it holds already and refills in the background, so that no request ever waits for a network or fails because of it.

use std::fmt;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use super::KeyedRateLimit;
use crate::Rejected;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// What is left of a limit after an admission, for the `RateLimit` header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLeft {
    /// The most that may be taken at once.
    pub burst: u32,
    /// How much of that may be taken now.
    pub remaining: u32,
    /// When all of it may be taken again.
    pub full_in: Duration,
}

/// A limit per key.
pub trait RateStore: fmt::Debug + Send + Sync {
    /// Takes `cost` units from what `key` may have, all or none. `key` is a hash, with a random seed if clients can
    /// choose what is hashed. Must not block.
    ///
    /// # Errors
    /// [`Rejected::RateLimited`] or [`Rejected::TooCostly`], and nothing else: trouble of the store's own is decided
    /// by the store, by a local share of the limit.
    fn take(&self, key: u64, cost: u32, now: Instant) -> Result<RateLeft, Rejected>;
}

impl<S: BuildHasher + fmt::Debug + Send + Sync> RateStore for KeyedRateLimit<S> {
    fn take(&self, key: u64, cost: u32, now: Instant) -> Result<RateLeft, Rejected> {
        self.take_and_tell(&key, cost, now)
    }
}

/// Whether refusals are carried out or only counted: a new limit is first tried in shadow.
#[derive(Debug, Default)]
pub struct Enforcement {
    shadow: AtomicU32,
    allowed: AtomicU64,
    denied: AtomicU64,
}

impl Enforcement {
    /// Refusals are carried out, or with `shadow` only counted.
    pub fn new(shadow: bool) -> Self {
        let it = Self::default();
        it.set_shadow(shadow);
        it
    }

    /// Changes it while it works.
    pub fn set_shadow(&self, shadow: bool) {
        self.shadow.store(shadow.into(), Ordering::Relaxed);
    }

    /// Counts a decision. In shadow a refusal passes as `Ok(None)`.
    ///
    /// # Errors
    /// The refusal, if it is to be carried out.
    pub fn apply<T>(&self, decision: Result<T, Rejected>) -> Result<Option<T>, Rejected> {
        match decision {
            Ok(value) => {
                self.allowed.fetch_add(1, Ordering::Relaxed);
                Ok(Some(value))
            }
            Err(rejected) => {
                self.denied.fetch_add(1, Ordering::Relaxed);
                if self.shadow.load(Ordering::Relaxed) == 0 { Err(rejected) } else { Ok(None) }
            }
        }
    }

    /// How many were allowed and how many were denied, or would have been.
    pub fn counts(&self) -> (u64, u64) {
        (self.allowed.load(Ordering::Relaxed), self.denied.load(Ordering::Relaxed))
    }
}
