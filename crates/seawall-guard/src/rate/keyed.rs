//! One limit per key (user, address) in a table of fixed size.
//!
//! Set-associative, as in a processor's cache: a key's hash names a set of eight slots, a slot holds another part of
//! the hash and the key's theoretical arrival time. A key that owes nothing is the same as one never seen, so no
//! sweeper is needed, and 16 bytes a key do.
//!
//! When a set is full, a new key takes over the slot that owes least, **with its debt**. If that debt is zero (the
//! usual case: most keys idle) nobody notices. If all eight owe something, the new key starts with a part of its
//! burst spent. Since debts in a set never fall except with time, an evicted key that returns finds at least what it
//! owed: no key ever gets more than its limit, whatever is thrown at the table. The price of a table that is too
//! small is that newcomers get less, never more.

use std::hash::{BuildHasher, Hash};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use seawall_core::ConfigError;

use super::{RateLimitConfig, direct::nanos_between, gcra::Quota, store::RateLeft};
use crate::Rejected;

/// Eight slots and a lock are 136 bytes: two or three cache lines, read in a row.
const WAYS: usize = 8;

/// How much each key may have, and how many keys are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRateLimitConfig {
    /// What one key may have.
    pub each: RateLimitConfig,
    /// Keys remembered at once, 8 to 16,777,216, rounded up to a power of two; 17 bytes each, taken at the start.
    /// Twice the number of keys that are active within `interval x burst` is plenty. Default 65,536 (1.1 MB).
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
    quota: RwLock<Quota>,
    start: Instant,
    sets: Box<[Mutex<[Slot; WAYS]>]>,
    hasher: S,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The key's whole hash: two keys with the same 64 bits share one limit.
    key: u64,
    /// Theoretical arrival time in nanoseconds since the start; 0 in a slot never used.
    tat: u64,
}

impl<S: BuildHasher> KeyedRateLimit<S> {
    /// A table without debts. Times before `start` count as `start`.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &KeyedRateLimitConfig, hasher: S, start: Instant) -> Result<Self, ConfigError> {
        let KeyedRateLimitConfig { each, max_keys } = *config;
        let quota = each.checked()?;
        if !(8..=1 << 24).contains(&max_keys) {
            return Err(ConfigError::new("rate_limit.max_keys", max_keys, "8 to 16777216"));
        }
        let sets = max_keys.next_power_of_two() as usize / WAYS;
        let empty = [Slot { key: 0, tat: 0 }; WAYS];
        let sets = (0..sets).map(|_| Mutex::new(empty)).collect();
        Ok(Self { quota: RwLock::new(quota), start, sets, hasher })
    }

    /// Changes what each key may have while it works. Debts stay as times: who had to wait a second still has to, at
    /// most until the new burst is owed and no more.
    ///
    /// # Errors
    /// If a field is outside its range; nothing changes then.
    pub fn reconfigure(&self, each: &RateLimitConfig) -> Result<(), ConfigError> {
        let quota = each.checked()?;
        *self.quota.write() = quota;
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
        let quota = *self.quota.read();
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
        let quota = *self.quota.read();
        self.take(quota, key, cost, now).map(drop)
    }

    /// The new arrival time of the key.
    fn take<K: Hash + ?Sized>(&self, quota: Quota, key: &K, cost: u32, now: u64) -> Result<u64, Rejected> {
        let key = self.hasher.hash_one(key);
        // The number of sets is a power of two: the low bits choose one.
        let set = &self.sets[key as usize & (self.sets.len() - 1)];
        let mut slots = set.lock();
        let slot = choose(&mut slots, key);
        let next = quota.take(slot.tat, cost, now)?;
        // Written only when something was taken: refusing a stranger evicts nobody.
        *slot = Slot { key, tat: next };
        Ok(next)
    }
}

/// The key's own slot, else the one that owes least.
fn choose(slots: &mut [Slot; WAYS], key: u64) -> &mut Slot {
    let own = slots.iter().position(|slot| slot.key == key);
    let least = || {
        let by_debt = slots.iter().enumerate().min_by_key(|(_, slot)| slot.tat);
        by_debt.map_or(0, |(at, _)| at)
    };
    let at = own.unwrap_or_else(least);
    &mut slots[at]
}
