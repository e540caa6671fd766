//! One limit per key (user, address) in a table of fixed size.
//!
//! Set-associative, as in a processor's cache: a key's hash names a set of seven slots, a slot holds the hash and the
//! key's theoretical arrival time. A key that owes nothing is the same as one never seen, so no sweeper is needed, and 16
//! bytes a key do.
//!
//! A set is two cache lines: its lock and its hashes, its times. In a large table both are far away, and a lock makes what
//! is behind it wait until it is taken; so both are read once before it, which asks for them at the same time. What was
//! read then is only a guess, and is read again under the lock.
//!
//! When a set is full, a new key takes over the slot that owes least, **with its debt**. If that debt is zero (the
//! usual case: most keys idle) nobody notices. If all seven owe something, the new key starts with a part of its
//! burst spent. Since debts in a set never fall except with time, an evicted key that returns finds at least what it
//! owed: no key ever gets more than its limit, whatever is thrown at the table. The price of a table that is too
//! small is that newcomers get less, never more.

use std::hash::{BuildHasher, Hash};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;
use seawall_core::ConfigError;

use super::gcra::{LiveQuota, Quota};
use super::{RateLimitConfig, direct::nanos_between, store::RateLeft};
use crate::Rejected;

/// A lock and seven hashes are a cache line, seven times another.
const WAYS: usize = 7;

/// How much each key may have, and how many keys are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRateLimitConfig {
    /// What one key may have.
    pub each: RateLimitConfig,
    /// Keys remembered at once, at least, 7 to 16,777,216: 18 to 37 bytes each, taken at the start, for the table is made
    /// of a power of two of sets of seven. Twice the number of keys that are active within `interval x burst` is plenty.
    /// Default 65,536 (2.1 MB).
    pub max_keys: u32,
}

impl Default for KeyedRateLimitConfig {
    fn default() -> Self {
        Self { each: RateLimitConfig::default(), max_keys: 65_536 }
    }
}

/// A rate limit for each key. `S` hashes the keys: give it a random seed, else a client can choose keys that meet in
/// one set and crowd each other (never anybody's limit upward).
#[derive(Debug)]
pub struct KeyedRateLimit<S> {
    quota: LiveQuota,
    start: Instant,
    sets: Box<[Set]>,
    hasher: S,
}

/// Seven slots, changed under the lock only.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set {
    lock: Mutex<()>,
    /// The keys' whole hashes: two keys with the same 64 bits share one limit.
    keys: [AtomicU64; WAYS],
    /// Theoretical arrival times in nanoseconds since the start; 0 in a slot never used.
    tats: [AtomicU64; WAYS],
}

impl Set {
    /// The key's own slot, else the one that owes least.
    fn choose(&self, key: u64) -> usize {
        let own = self.keys.iter().position(|known| known.load(Relaxed) == key);
        let least = || {
            let by_debt = self.tats.iter().enumerate().min_by_key(|(_, tat)| tat.load(Relaxed));
            by_debt.map_or(0, |(at, _)| at)
        };
        own.unwrap_or_else(least)
    }
}

impl<S: BuildHasher> KeyedRateLimit<S> {
    /// A table without debts. Times before `start` count as `start`.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &KeyedRateLimitConfig, hasher: S, start: Instant) -> Result<Self, ConfigError> {
        let KeyedRateLimitConfig { each, max_keys } = *config;
        let quota = each.checked()?;
        if !(7..=1 << 24).contains(&max_keys) {
            return Err(ConfigError::new("rate_limit.max_keys", max_keys, "7 to 16777216"));
        }
        let sets = (max_keys as usize).div_ceil(WAYS).next_power_of_two();
        let sets = (0..sets).map(|_| Set::default()).collect();
        Ok(Self { quota: LiveQuota::new(quota), start, sets, hasher })
    }

    /// Changes what each key may have while it works. Debts stay as times: who had to wait a second still has to, at
    /// most until the new burst is owed and no more. A decision made at this very moment may go by the old interval and
    /// the new burst.
    ///
    /// # Errors
    /// If a field is outside its range; nothing changes then.
    pub fn reconfigure(&self, each: &RateLimitConfig) -> Result<(), ConfigError> {
        self.quota.set(each.checked()?);
        Ok(())
    }

    /// As [`try_take`](Self::try_take), and says what is left.
    ///
    /// # Errors
    /// As [`RateLimit::try_take`](crate::RateLimit::try_take).
    pub fn take_and_tell<K: Hash + ?Sized>(
        &self,
        key: &K,
        cost: u32,
        now: Instant,
    ) -> Result<RateLeft, Rejected> {
        let now = nanos_between(self.start, now);
        let quota = self.quota.get();
        let tat = self.take(quota, key, cost, now)?;
        Ok(quota.left(tat, now))
    }

    /// Takes `cost` units from what `key` may have, all or none. Locks one set for a few nanoseconds; allocates
    /// nothing.
    ///
    /// # Errors
    /// As [`RateLimit::try_take`](crate::RateLimit::try_take).
    pub fn try_take<K: Hash + ?Sized>(&self, key: &K, cost: u32, now: Instant) -> Result<(), Rejected> {
        let now = nanos_between(self.start, now);
        let quota = self.quota.get();
        self.take(quota, key, cost, now).map(drop)
    }

    /// The new arrival time of the key.
    fn take<K: Hash + ?Sized>(&self, quota: Quota, key: &K, cost: u32, now: u64) -> Result<u64, Rejected> {
        let key = self.hasher.hash_one(key);
        // The number of sets is a power of two: the low bits choose one.
        let set = &self.sets[key as usize & (self.sets.len() - 1)];
        black_box(set.keys[0].load(Relaxed) ^ set.tats[0].load(Relaxed));
        let _changing = set.lock.lock();
        let at = set.choose(key);
        let next = quota.take(set.tats[at].load(Relaxed), cost, now)?;
        // Written only when something was taken: refusing a stranger evicts nobody.
        set.keys[at].store(key, Relaxed);
        set.tats[at].store(next, Relaxed);
        Ok(next)
    }
}
