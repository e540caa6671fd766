//! A cache in this process: bounded, with expiry, and with one load per key at a time.
//!
//! [`Cache::get_or_load`]: a fresh value is returned at once. On a miss one caller loads, all others of that key wait
//! for it; if the loading caller goes away, a waiter takes over. Past the soft expiry one caller renews the value while
//! the others go on with the old one, which also stands in if the renewal fails, until the hard expiry. Errors are
//! shared by those who wait for the same load, and never kept.
//!
//! Invalidation wins over loads in progress: what was being loaded when [`Cache::invalidate`] was called is given to
//! those who already waited for it, but not kept. Left out: a second level, tags, jitter, negative caching.

mod flight;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quick_cache::Weighter;
use seawall_core::ConfigError;
use seawall_core::metrics::{Counter, Registry, Timer};

use self::flight::{Ended, Flight, Landing};
use crate::clock::{Clock, SystemClock};

/// How a cache behaves.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Its name in metrics; not empty. Default `default`.
    pub name: String,
    /// The bound: values, or their weights if the cache weighs them; from 1. Beyond it values are evicted, the least
    /// used first. Default 10,000.
    pub capacity: u64,
    /// About how many values it will hold, for sizing; from 1. Default 10,000.
    pub expected_items: usize,
    /// When a value is renewed while still being served; not above `ttl`. Default none.
    pub soft_ttl: Option<Duration>,
    /// When a value is no longer served. Default none: values leave by eviction and invalidation only.
    pub ttl: Option<Duration>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            capacity: 10_000,
            expected_items: 10_000,
            soft_ttl: None,
            ttl: None,
        }
    }
}

impl CacheConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() {
            return Err(ConfigError::new("cache.name", "empty", "a name"));
        }
        if self.capacity == 0 {
            return Err(ConfigError::new("cache.capacity", 0, "from 1"));
        }
        if self.expected_items == 0 {
            return Err(ConfigError::new("cache.expected_items", 0, "from 1"));
        }
        match (self.soft_ttl, self.ttl) {
            (Some(soft), Some(hard)) if soft > hard => Err(ConfigError::new(
                "cache.soft_ttl",
                format_args!("{soft:?}"),
                format_args!("at most `cache.ttl`, {hard:?}"),
            )),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone)]
struct Entry<V> {
    value: V,
    stored_at: Instant,
}

type Weigh<K, V> = dyn Fn(&K, &V) -> u64 + Send + Sync;

#[derive(Clone)]
struct Weight<K, V>(Option<Arc<Weigh<K, V>>>);

impl<K: Clone, V: Clone> Weighter<K, Entry<V>> for Weight<K, V> {
    fn weight(&self, key: &K, entry: &Entry<V>) -> u64 {
        // A weight of 0 would make a value immune to eviction, and so the cache unbounded.
        self.0.as_ref().map_or(1, |weigh| weigh(key, &entry.value).max(1))
    }
}

#[derive(Debug)]
struct Metrics {
    hits: Counter,
    stale: Counter,
    misses: Counter,
    errors: Counter,
    load: Timer,
}

impl Metrics {
    fn new(cache: &str, registry: &Registry) -> Self {
        let reads = |outcome| {
            let labels = [("cache", cache), ("outcome", outcome)];
            registry.counter("seawall_cache_reads_total", "Reads of the cache, by what they found.", &labels)
        };
        let labels = [("cache", cache)];
        Self {
            hits: reads("hit"),
            stale: reads("stale"),
            misses: reads("miss"),
            errors: registry.counter("seawall_cache_load_errors_total", "Loads that failed.", &labels),
            load: registry.timer("seawall_cache_load_seconds", "Time a load took.", &labels),
        }
    }
}

/// A cache of `V` by `K`. Share it in an `Arc`. Values are cloned out: make them cheap to clone.
pub struct Cache<K, V> {
    store: quick_cache::sync::Cache<K, Entry<V>, Weight<K, V>>,
    /// Loads in progress; bounded by the callers, each of whom leads at most one.
    flights: Mutex<HashMap<K, Arc<Flight<V>>>>,
    soft_ttl: Option<Duration>,
    ttl: Option<Duration>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// What the store has for a key.
enum Found<V> {
    Fresh(V),
    /// Past the soft, within the hard expiry.
    Stale(V),
    Nothing,
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache that counts values.
    ///
    /// # Errors
    /// A bad configuration.
    pub fn new(config: &CacheConfig, registry: &Registry) -> Result<Self, ConfigError> {
        Self::build(config, registry, Arc::new(SystemClock), Weight(None))
    }

    /// A cache that tells the time by `clock`, for tests.
    ///
    /// # Errors
    /// A bad configuration.
    pub fn with_clock(
        config: &CacheConfig,
        registry: &Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Self::build(config, registry, clock, Weight(None))
    }

    /// A cache whose capacity bounds the sum of `weigh` over its values; a weight of 0 counts as 1.
    ///
    /// # Errors
    /// A bad configuration.
    pub fn weighted(
        config: &CacheConfig,
        registry: &Registry,
        weigh: impl Fn(&K, &V) -> u64 + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        Self::build(config, registry, Arc::new(SystemClock), Weight(Some(Arc::new(weigh))))
    }

    fn build(
        config: &CacheConfig,
        registry: &Registry,
        clock: Arc<dyn Clock>,
        weight: Weight<K, V>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let CacheConfig { ref name, capacity, expected_items, soft_ttl, ttl } = *config;
        Ok(Self {
            store: quick_cache::sync::Cache::with_weighter(expected_items, capacity, weight),
            flights: Mutex::default(),
            soft_ttl,
            ttl,
            clock,
            metrics: Metrics::new(name, registry),
        })
    }

    /// The value, if it is there and not past its hard expiry.
    pub fn get(&self, key: &K) -> Option<V> {
        match self.find(key) {
            Found::Fresh(value) => {
                self.metrics.hits.inc();
                Some(value)
            }
            Found::Stale(value) => {
                self.metrics.stale.inc();
                Some(value)
            }
            Found::Nothing => {
                self.metrics.misses.inc();
                None
            }
        }
    }

    /// The value, loaded by `load` if need be; see the module for what waits for what.
    ///
    /// Cancel-safe: dropping the future of the caller that loads hands the load to a waiter, who starts its own.
    ///
    /// # Errors
    /// What `load` says, of this caller or of the one it waited for.
    pub async fn get_or_load<E, F, L>(&self, key: &K, load: L) -> Result<V, E>
    where
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<V, E>>,
        L: FnOnce() -> F,
    {
        let stale = match self.find(key) {
            Found::Fresh(value) => {
                self.metrics.hits.inc();
                return Ok(value);
            }
            Found::Stale(value) => {
                self.metrics.stale.inc();
                Some(value)
            }
            Found::Nothing => {
                self.metrics.misses.inc();
                None
            }
        };
        loop {
            let (flight, leads) = self.join(key);
            if leads {
                return self.lead(key, flight, load, stale).await;
            }
            if let Some(value) = stale {
                return Ok(value); // somebody else renews it
            }
            match flight.wait().await {
                Ended::Value(value) => return Ok(value),
                Ended::Error(error) => {
                    if let Some(error) = error.downcast_ref::<E>() {
                        return Err(error.clone());
                    }
                    // The other caller's errors are of another type: this one has to try for itself.
                }
                Ended::Abandoned => {}
            }
        }
    }

    /// Puts a value, fresh from now. A load in progress is not kept: it may be older.
    pub fn insert(&self, key: K, value: V) {
        let mut flights = self.flights.lock();
        flights.remove(&key);
        self.store.insert(key, Entry { value, stored_at: self.clock.now() });
    }

    /// Forgets the value, and whatever is being loaded for the key now.
    pub fn invalidate(&self, key: &K) {
        let mut flights = self.flights.lock();
        flights.remove(key);
        self.store.remove(key);
    }

    /// Values held, expired ones that were not asked for since included.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    fn find(&self, key: &K) -> Found<V> {
        let Some(entry) = self.store.get(key) else { return Found::Nothing };
        if self.soft_ttl.is_none() && self.ttl.is_none() {
            return Found::Fresh(entry.value);
        }
        let age = self.clock.now().saturating_duration_since(entry.stored_at);
        if self.ttl.is_some_and(|ttl| age >= ttl) {
            return Found::Nothing;
        }
        if self.soft_ttl.is_some_and(|ttl| age >= ttl) {
            return Found::Stale(entry.value);
        }
        Found::Fresh(entry.value)
    }

    /// The flight for the key, and whether the caller has to lead it.
    fn join(&self, key: &K) -> (Arc<Flight<V>>, bool) {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(key) {
            return (Arc::clone(flight), false);
        }
        let flight = Arc::new(Flight::new());
        flights.insert(key.clone(), Arc::clone(&flight));
        (flight, true)
    }

    async fn lead<E, F, L>(&self, key: &K, flight: Arc<Flight<V>>, load: L, stale: Option<V>) -> Result<V, E>
    where
        E: Clone + Send + Sync + 'static,
        F: Future<Output = Result<V, E>>,
        L: FnOnce() -> F,
    {
        // If this future is dropped at the await, or the load panics, `landing` wakes the waiters to choose another.
        let landing = Landing { cache: self, key, flight: &flight };
        // Somebody may have landed between our look and our take-off.
        if let Found::Fresh(value) = self.find(key) {
            landing.end(Ended::Value(value.clone()));
            return Ok(value);
        }
        let began = self.clock.now();
        let outcome = load().await;
        self.metrics.load.observe(self.clock.now().saturating_duration_since(began));
        match outcome {
            Ok(value) => {
                landing.store(&value);
                Ok(value)
            }
            Err(error) => {
                self.metrics.errors.inc();
                if let Some(value) = stale {
                    landing.end(Ended::Value(value.clone()));
                    return Ok(value);
                }
                let shared: Arc<dyn Any + Send + Sync> = Arc::new(error.clone());
                landing.end(Ended::Error(shared));
                Err(error)
            }
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("soft_ttl", &self.soft_ttl)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
