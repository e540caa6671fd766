//! A store in this process: bounded in bytes, with one request at a time per missing answer.
//!
//! The answers are in quick_cache, whose eviction a scan over many targets cannot flush. Who fills what is in one short
//! lock, taken on misses, fills and invalidations, never on hits. What is running has the bound of the requests in
//! flight; nobody waits longer than `max_wait`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use seawall_core::ConfigError;
use serde::Deserialize;
use tokio::sync::watch;

use super::store::{CacheLookup, CacheStore};
use super::stored::CachedAnswer;
use crate::clock;
use crate::error::Result;
use crate::middleware::digest::digest;
use crate::middleware::seconds;

/// Bounds of [`MemoryCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryCacheConfig {
    /// Bytes of all answers together, roughly; those that are used least make room. 64 KiB to 1 TiB. All variants of
    /// one target may have 3.5 MiB of it (a cache below 4 MiB: most of it; one above 256 MiB: most of a 64th); beyond
    /// that its oldest ones go, and an answer that alone needs more is not kept. Default 64 MiB.
    pub max_bytes: usize,
    /// Variants of one target (`Vary`); the oldest makes room. 1 to 1,024. Default 16.
    pub max_variants: usize,
    /// How long a request waits for another one that is making the answer already, in seconds; after that it runs by
    /// itself. Zero waits for nobody; at most an hour. Default 5.
    #[serde(with = "seconds")]
    pub max_wait: Duration,
}

impl Default for MemoryCacheConfig {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_variants: 16, max_wait: Duration::from_secs(5) }
    }
}

/// How long nobody waits for a target whose answer was not fit to be kept: else all its requests would queue up behind
/// each other. The next answer that is kept ends it.
const NO_WAITING: Duration = Duration::from_secs(10);

/// A shard has at least so many bytes, so that a large answer finds room.
const SHARD_BYTES: usize = 4 << 20;
const MOST_SHARDS: usize = 64;

type Answers =
    Cache<[u8; 32], Arc<Entry>, Weight, DefaultHashBuilder, DefaultLifecycle<[u8; 32], Arc<Entry>>>;

/// Keeps answers in this process: they are gone when it ends, and other processes do not see them, nor what they
/// invalidate.
///
/// Of several requests for an answer that is missing, the first one runs; the others wait for it and are answered with
/// what it brings. If it fails or its client goes away, the next one runs. If its answer must not be kept, they all run,
/// and for ten seconds nobody waits for that target.
pub struct MemoryCache {
    config: MemoryCacheConfig,
    answers: Answers,
    /// Bytes that the answers for one target may have: what is larger than a shard allows, quick_cache drops.
    most_per_target: usize,
    flights: Arc<Mutex<Flights>>,
}

/// What is known of a key.
#[derive(Clone, Default)]
struct Entry {
    /// The fields that the newest answer depended on; they tell who may wait for whom.
    vary: Vec<HeaderName>,
    /// The newest first.
    variants: Vec<Variant>,
    /// Until then nobody waits.
    no_waiting: Option<Instant>,
}

#[derive(Clone)]
struct Variant {
    answer: Arc<CachedAnswer>,
    ends: Instant,
}

#[derive(Clone)]
struct Weight;

impl Weighter<[u8; 32], Arc<Entry>> for Weight {
    fn weight(&self, _: &[u8; 32], entry: &Arc<Entry>) -> u64 {
        /// Of the key, its places in the tables, and an entry without answers.
        const OWN: usize = 256;
        let answers = entry.variants.iter().map(|variant| variant.answer.size());
        (OWN + answers.sum::<usize>()) as u64
    }
}

impl Entry {
    fn find(&self, request: &HeaderMap, now: Instant) -> Option<&Arc<CachedAnswer>> {
        let mut fresh = self.variants.iter().filter(|variant| variant.ends > now);
        fresh.find(|variant| variant.answer.fits(request)).map(|variant| &variant.answer)
    }

    /// With a new answer, without what has run out and what the new one stands for; without the oldest where they
    /// are too many or too large.
    fn with(&self, new: Variant, now: Instant, most: usize, most_bytes: usize) -> Self {
        let vary = new.answer.vary.iter().map(|(name, _)| name.clone()).collect();
        let stays = |known: &&Variant| known.ends > now && known.answer.vary != new.answer.vary;
        let mut bytes = new.answer.size();
        let fits = |known: &&Variant| {
            bytes += known.answer.size();
            bytes <= most_bytes
        };
        let others = self.variants.iter().filter(stays).take(most - 1).take_while(fits).cloned();
        let others = others.collect::<Vec<_>>();
        Self { vary, variants: std::iter::once(new).chain(others).collect(), no_waiting: None }
    }
}

/// Who makes what, and what was forgotten meanwhile.
struct Flights {
    running: HashMap<[u8; 32], watch::Receiver<()>>,
    /// How often something was forgotten, by the first byte of its key: a fill that began before is too late. That
    /// it also stops a few fills of other keys costs a miss each.
    forgotten: [u64; 256],
}

/// The right to fill what was missing in a [`MemoryCache`].
pub struct MemoryClaim {
    key: [u8; 32],
    forgotten: u64,
    /// Its flight, if others may wait for it; they hear of its end by the sender's.
    flight: Option<([u8; 32], watch::Sender<()>)>,
    flights: Arc<Mutex<Flights>>,
}

impl Drop for MemoryClaim {
    fn drop(&mut self) {
        if let Some((id, _)) = &self.flight {
            self.flights.lock().running.remove(id);
        }
    }
}

impl fmt::Debug for MemoryClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryClaim").field("waited_for", &self.flight.is_some()).finish_non_exhaustive()
    }
}

/// What is to be done about a missing answer.
enum Missing {
    Kept(Arc<CachedAnswer>),
    Claimed(MemoryClaim),
    /// Somebody makes it; this ends when that does.
    Wait(watch::Receiver<()>),
}

impl MemoryCache {
    /// An empty store.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &MemoryCacheConfig) -> Result<Self, ConfigError> {
        const MOST_BYTES: usize = 1 << 40;
        let MemoryCacheConfig { max_bytes, max_variants, max_wait } = *config;
        if !(64 << 10..=MOST_BYTES).contains(&max_bytes) {
            return Err(ConfigError::new(
                "memory_cache.max_bytes",
                max_bytes,
                format!("65536 to {MOST_BYTES}"),
            ));
        }
        if !(1..=1024).contains(&max_variants) {
            return Err(ConfigError::new("memory_cache.max_variants", max_variants, "1 to 1024"));
        }
        if max_wait > Duration::from_secs(3_600) {
            return Err(ConfigError::new("memory_cache.max_wait", format!("{max_wait:?}"), "at most 1 hour"));
        }
        let shards = 1 << (max_bytes / SHARD_BYTES).clamp(1, MOST_SHARDS).ilog2();
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(max_bytes / 4096)
            .weight_capacity(max_bytes as u64)
            .build()
            .expect("both capacities are given");
        let answers =
            Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default());
        let per_shard = usize::try_from(answers.shard_capacity()).unwrap_or(usize::MAX);
        let most_per_target = per_shard - per_shard / 8;
        let flights = Flights { running: HashMap::new(), forgotten: [0; 256] };
        Ok(Self { config: *config, answers, most_per_target, flights: Arc::new(Mutex::new(flights)) })
    }
    /// Targets that something is known of.
    pub fn len(&self) -> usize {
        self.answers.len()
    }
    /// Whether nothing is known of any target.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
    /// Bytes that the answers take, roughly.
    pub fn bytes(&self) -> u64 {
        self.answers.weight()
    }
    /// Forgets everything, what is being made now included.
    pub fn clear(&self) {
        let mut flights = self.flights.lock();
        flights.forgotten.iter_mut().for_each(|times| *times += 1);
        self.answers.clear();
    }

    fn find(&self, key: [u8; 32], request: &HeaderMap, now: Instant) -> Option<Arc<CachedAnswer>> {
        self.answers.get(&key)?.find(request, now).cloned()
    }

    /// One step of a request for an answer that is not there; `alone` waits for nobody.
    fn missing(&self, key: [u8; 32], request: &HeaderMap, now: Instant, alone: bool) -> Missing {
        let mut flights = self.flights.lock();
        let known = self.answers.get(&key);
        let known = known.as_deref();
        // It may have come while we waited for the lock.
        if let Some(answer) = known.and_then(|known| known.find(request, now)) {
            return Missing::Kept(Arc::clone(answer));
        }
        let forgotten = flights.forgotten[usize::from(key[0])];
        let claim = |flight| {
            let flights = Arc::clone(&self.flights);
            Missing::Claimed(MemoryClaim { key, forgotten, flight, flights })
        };
        let in_vain = known.is_some_and(|known| known.no_waiting.is_some_and(|until| until > now));
        if alone || in_vain {
            return claim(None);
        }
        let id = flight_id(key, known.map_or(&[], |known| &known.vary), request);
        if let Some(running) = flights.running.get(&id) {
            return Missing::Wait(running.clone());
        }
        let (landed, running) = watch::channel(());
        flights.running.insert(id, running);
        claim(Some((id, landed)))
    }

    /// Keeps an answer, unless its key was forgotten meanwhile.
    fn keep(&self, claim: &MemoryClaim, answer: Arc<CachedAnswer>, ends: Instant, now: Instant) {
        let flights = self.flights.lock();
        if flights.forgotten[usize::from(claim.key[0])] != claim.forgotten {
            return;
        }
        let known = self.answers.peek(&claim.key).unwrap_or_default();
        if answer.size() > self.most_per_target {
            return self.note_in_vain(claim.key, &known, now);
        }
        let entry = known.with(Variant { answer, ends }, now, self.config.max_variants, self.most_per_target);
        self.answers.insert(claim.key, Arc::new(entry));
    }

    fn do_not_wait(&self, claim: &MemoryClaim, now: Instant) {
        let _flights = self.flights.lock();
        let known = self.answers.peek(&claim.key).unwrap_or_default();
        self.note_in_vain(claim.key, &known, now);
    }

    /// With the lock on the flights held.
    fn note_in_vain(&self, key: [u8; 32], known: &Entry, now: Instant) {
        let entry = Entry { no_waiting: Some(now + NO_WAITING), ..known.clone() };
        self.answers.insert(key, Arc::new(entry));
    }
}

/// Requests that wait for each other: for the same key, with the same values in the fields that its answer depended
/// on when it was last made.
fn flight_id(key: [u8; 32], vary: &[HeaderName], request: &HeaderMap) -> [u8; 32] {
    if vary.is_empty() {
        return key;
    }
    let mut parts: Vec<&[u8]> = vec![&key];
    for name in vary {
        parts.push(name.as_str().as_bytes());
        parts.extend(request.get_all(name).iter().map(http::HeaderValue::as_bytes));
    }
    digest(&parts)
}

impl CacheStore for MemoryCache {
    type Claim = MemoryClaim;

    async fn get(&self, key: [u8; 32], request: &HeaderMap) -> Result<Option<Arc<CachedAnswer>>> {
        Ok(self.find(key, request, clock::now()))
    }

    async fn get_or_claim(&self, key: [u8; 32], request: &HeaderMap) -> Result<CacheLookup<MemoryClaim>> {
        let begun = clock::now();
        if let Some(answer) = self.find(key, request, begun) {
            return Ok(CacheLookup::Kept(answer));
        }
        let give_up = begun + self.config.max_wait;
        loop {
            let now = clock::now();
            match self.missing(key, request, now, now >= give_up) {
                Missing::Kept(answer) => return Ok(CacheLookup::Kept(answer)),
                Missing::Claimed(claim) => return Ok(CacheLookup::Missing(claim)),
                Missing::Wait(mut running) => {
                    // Nothing is ever sent: what is waited for is the end of the sender, or of our patience.
                    let _ = tokio::time::timeout_at(give_up.into(), running.changed()).await;
                }
            }
        }
    }

    async fn fill(&self, claim: MemoryClaim, answer: Arc<CachedAnswer>, keep: Duration) -> Result<()> {
        let now = clock::now();
        self.keep(&claim, answer, now + keep, now);
        drop(claim); // after the answer is there: whoever waits looks for it
        Ok(())
    }

    fn not_kept(&self, claim: MemoryClaim) {
        self.do_not_wait(&claim, clock::now());
        drop(claim); // after the note, for the same reason
    }

    async fn invalidate(&self, key: [u8; 32]) -> Result<()> {
        let mut flights = self.flights.lock();
        flights.forgotten[usize::from(key[0])] += 1;
        self.answers.remove(&key);
        Ok(())
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("targets", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
