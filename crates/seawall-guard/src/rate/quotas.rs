//! Several quotas for one key, all or none of them: ten a second, and a thousand a day.
//!
//! A table as that of [`KeyedRateLimit`](crate::KeyedRateLimit), with up to four arrival times a key. When a set is
//! full, the key that owes least makes room, and what it owed becomes a floor that every newcomer to the set starts
//! from: so a key that was pushed out finds at least its own debt when it returns, in each of its quotas.

use std::hash::{BuildHasher, Hash};
use std::time::Instant;

use seawall_core::ConfigError;

use super::{RateLimitConfig, direct::nanos_between, gcra::Quota};
use crate::Rejected;
use crate::sync::Mutex;

const WAYS: usize = 8;
const MOST: usize = 4;

/// Limits that hold together, for each key.
#[derive(Debug)]
pub struct KeyedQuotas<S> {
    quotas: Vec<Quota>,
    start: Instant,
    sets: Box<[Mutex<Set>]>,
    hasher: S,
}

#[derive(Debug)]
struct Set {
    slots: [Slot; WAYS],
    floor: [u64; MOST],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u64,
    tats: [u64; MOST],
}

impl<S: BuildHasher> KeyedQuotas<S> {
    /// A table without debts for 1 to 4 quotas; 40 bytes for each of `max_keys`, 8 to 16,777,216 keys, rounded up to
    /// a power of two.
    ///
    /// # Errors
    /// If there is no quota or there are more than four, or a value is outside its range.
    pub fn new(
        quotas: &[RateLimitConfig],
        max_keys: u32,
        hasher: S,
        start: Instant,
    ) -> Result<Self, ConfigError> {
        if !(1..=MOST).contains(&quotas.len()) {
            return Err(ConfigError::new("rate_limit.quotas", format!("{} quotas", quotas.len()), "1 to 4"));
        }
        if !(8..=1 << 24).contains(&max_keys) {
            return Err(ConfigError::new("rate_limit.max_keys", max_keys, "8 to 16777216"));
        }
        let quotas = quotas.iter().map(RateLimitConfig::checked).collect::<Result<_, _>>()?;
        let sets = max_keys.next_power_of_two() as usize / WAYS;
        let empty = || Mutex::new(Set { slots: [Slot::default(); WAYS], floor: [0; MOST] });
        Ok(Self { quotas, start, sets: (0..sets).map(|_| empty()).collect(), hasher })
    }

    /// Takes `cost` units from every quota of `key`, or from none.
    ///
    /// # Errors
    /// As [`RateLimit::try_take`](crate::RateLimit::try_take), of the quota that has to be waited for longest.
    pub fn try_take<K: Hash + ?Sized>(&self, key: &K, cost: u32, now: Instant) -> Result<(), Rejected> {
        let now = nanos_between(self.start, now);
        let key = self.hasher.hash_one(key);
        let mut set = self.sets[key as usize & (self.sets.len() - 1)].lock();
        let own = set.slots.iter().position(|slot| slot.key == key && slot.tats != [0; MOST]);
        let before = own.map_or(set.floor, |at| set.slots[at].tats);
        let after = self.take(before, cost, now)?;
        let at = own.unwrap_or_else(|| set.evict());
        set.slots[at] = Slot { key, tats: after };
        Ok(())
    }

    fn take(&self, tats: [u64; MOST], cost: u32, now: u64) -> Result<[u64; MOST], Rejected> {
        let mut after = [0; MOST];
        let mut refused: Option<Rejected> = None;
        for (at, quota) in self.quotas.iter().enumerate() {
            match quota.take(tats[at], cost, now) {
                Ok(next) => after[at] = next,
                Err(too_costly @ Rejected::TooCostly { .. }) => return Err(too_costly),
                Err(later) => {
                    let longer = refused.is_none_or(|other| later.retry_after() > other.retry_after());
                    refused = if longer { Some(later) } else { refused };
                }
            }
        }
        refused.map_or(Ok(after), Err)
    }
}

impl Set {
    /// The slot that owes least, its debts kept as a floor.
    fn evict(&mut self) -> usize {
        let owes = |slot: &Slot| slot.tats.iter().copied().max().unwrap_or(0);
        let least = self.slots.iter().enumerate().min_by_key(|(_, slot)| owes(slot));
        let at = least.map_or(0, |(at, _)| at);
        for (floor, owed) in self.floor.iter_mut().zip(self.slots[at].tats) {
            *floor = (*floor).max(owed);
        }
        at
    }
}
