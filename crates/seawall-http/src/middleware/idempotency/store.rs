//! Where answers are kept for those who ask again: a trait for stores of one's own, and a bounded one in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use seawall_core::ConfigError;
use serde::Deserialize;

use crate::clock;
use crate::error::{Error, Result};
use crate::middleware::seconds;

/// An answer as it is replayed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that concern the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Without headers and body, which may be private.
impl fmt::Debug for StoredAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAnswer").field("status", &self.status).field("bytes", &self.body.len()).finish()
    }
}

/// What a store knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: the request may run. The number names this claim, and ends with it.
    New(u64),
    /// The first request with this key still runs.
    InFlight,
    /// The key was used for another request.
    Mismatch,
    /// This was answered; `None` if the answer could not be kept.
    Done(Option<StoredAnswer>),
}

/// Keeps answers by key. For several processes behind one address it must be shared by them.
pub trait IdempotencyStore: Send + Sync + 'static {
    /// Looks a key up and claims it if it is new, in one step: of two requests at once, only one may get
    /// [`Begun::New`]. `fingerprint` is compared with that of the first request.
    ///
    /// # Errors
    /// If the store cannot say, or has no room; the request is not run then.
    fn begin(&self, key: [u8; 32], fingerprint: [u8; 32]) -> impl Future<Output = Result<Begun>> + Send;
    /// Ends a claim with the answer; `None` if it was too large to keep. A claim that has run out changes nothing.
    ///
    /// # Errors
    /// If the store cannot keep it; the client gets its answer all the same, and the log a warning.
    fn finish(
        &self,
        key: [u8; 32],
        claim: u64,
        answer: Option<StoredAnswer>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Gives a claim up, because the request failed: the next one with this key runs again.
    ///
    /// # Errors
    /// If the store cannot; the key stays claimed until that runs out.
    fn give_up(&self, key: [u8; 32], claim: u64) -> impl Future<Output = Result<()>> + Send;
}

/// Bounds of [`MemoryIdempotency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryIdempotencyConfig {
    /// How long an answer is kept, in seconds, from the first request. 1 s to 30 days. Default a day.
    #[serde(with = "seconds")]
    pub keep: Duration,
    /// Keys at once. When full, the answers that were kept longest make room; if all requests still run, the next one
    /// is a 503. 1 to 10,000,000. Default 100,000.
    pub max_keys: usize,
    /// Bytes of all bodies and headers together; the answers that were kept longest make room. At least 1 KiB. Default
    /// 64 MiB.
    pub max_bytes: usize,
}

impl Default for MemoryIdempotencyConfig {
    fn default() -> Self {
        Self { keep: Duration::from_secs(86_400), max_keys: 100_000, max_bytes: 64 << 20 }
    }
}

/// Keeps answers in this process: they are gone when it ends, and other processes do not see them.
pub struct MemoryIdempotency {
    config: MemoryIdempotencyConfig,
    state: Mutex<State>,
}

/// The decisions, with time as an argument.
#[derive(Default)]
struct State {
    entries: HashMap<[u8; 32], Entry>,
    /// By age: what runs out first is first. Claims are numbers, so that the order is total.
    ages: BTreeMap<(Instant, u64), [u8; 32]>,
    bytes: usize,
    claims: u64,
}

struct Entry {
    fingerprint: [u8; 32],
    claim: u64,
    ends: Instant,
    progress: Progress,
}

enum Progress {
    /// The first request runs.
    Running,
    /// It was answered; `None` if the answer could not be kept.
    Answered(Option<StoredAnswer>),
}

impl Entry {
    fn bytes(&self) -> usize {
        match &self.progress {
            Progress::Answered(Some(answer)) => size(answer),
            Progress::Answered(None) | Progress::Running => 0,
        }
    }
}

/// What an answer takes, roughly.
fn size(answer: &StoredAnswer) -> usize {
    let headers = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64);
    answer.body.len() + headers.sum::<usize>()
}

impl MemoryIdempotency {
    /// An empty store.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &MemoryIdempotencyConfig) -> Result<Self, ConfigError> {
        let MemoryIdempotencyConfig { keep, max_keys, max_bytes } = *config;
        if !(Duration::from_secs(1)..=Duration::from_secs(30 * 86_400)).contains(&keep) {
            return Err(ConfigError::new("idempotency.keep", format!("{keep:?}"), "1 second to 30 days"));
        }
        if !(1..=10_000_000).contains(&max_keys) {
            return Err(ConfigError::new("idempotency.max_keys", max_keys, "1 to 10000000"));
        }
        if max_bytes < 1024 {
            return Err(ConfigError::new("idempotency.max_bytes", max_bytes, "at least 1024"));
        }
        Ok(Self { config: *config, state: Mutex::default() })
    }
    /// Keys that are kept.
    pub fn len(&self) -> usize {
        self.state.lock().entries.len()
    }
    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn begin(
        &mut self,
        config: &MemoryIdempotencyConfig,
        key: [u8; 32],
        fingerprint: [u8; 32],
        now: Instant,
    ) -> Option<Begun> {
        self.drop_ended(now);
        if let Some(entry) = self.entries.get(&key) {
            return Some(match &entry.progress {
                _ if entry.fingerprint != fingerprint => Begun::Mismatch,
                Progress::Running => Begun::InFlight,
                Progress::Answered(answer) => Begun::Done(answer.clone()),
            });
        }
        if self.entries.len() >= config.max_keys && !self.drop_oldest_answer() {
            return None;
        }
        self.claims += 1;
        let (claim, ends) = (self.claims, now + config.keep);
        self.ages.insert((ends, claim), key);
        self.entries.insert(key, Entry { fingerprint, claim, ends, progress: Progress::Running });
        Some(Begun::New(claim))
    }

    fn finish(
        &mut self,
        config: &MemoryIdempotencyConfig,
        key: [u8; 32],
        claim: u64,
        answer: Option<StoredAnswer>,
    ) {
        let answer = answer.filter(|answer| size(answer) <= config.max_bytes);
        let needed = answer.as_ref().map_or(0, size);
        if self.entries.get(&key).is_none_or(|entry| entry.claim != claim) {
            return; // it has run out meanwhile, and may be somebody else's by now
        }
        while self.bytes + needed > config.max_bytes && self.drop_oldest_answer() {}
        self.bytes += needed;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.progress = Progress::Answered(answer);
        }
    }

    fn give_up(&mut self, key: [u8; 32], claim: u64) {
        if self.entries.get(&key).is_some_and(|entry| entry.claim == claim) {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: [u8; 32]) {
        if let Some(entry) = self.entries.remove(&key) {
            self.ages.remove(&(entry.ends, entry.claim));
            self.bytes -= entry.bytes();
        }
    }

    fn drop_ended(&mut self, now: Instant) {
        while let Some((&(ends, _), &key)) = self.ages.first_key_value()
            && ends <= now
        {
            self.remove(key);
        }
    }

    /// Makes room. Requests that still run are not touched: their claim is what keeps a second one out.
    fn drop_oldest_answer(&mut self) -> bool {
        let is_done = |key: &&[u8; 32]| {
            self.entries.get(*key).is_some_and(|entry| matches!(entry.progress, Progress::Answered(_)))
        };
        let oldest = self.ages.values().find(is_done).copied();
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        oldest.is_some()
    }
}

impl IdempotencyStore for MemoryIdempotency {
    async fn begin(&self, key: [u8; 32], fingerprint: [u8; 32]) -> Result<Begun> {
        let begun = self.state.lock().begin(&self.config, key, fingerprint, clock::now());
        begun.ok_or_else(|| {
            Error::unavailable("too many requests with an Idempotency-Key are in flight")
                .retry_after(Duration::from_secs(1))
        })
    }
    async fn finish(&self, key: [u8; 32], claim: u64, answer: Option<StoredAnswer>) -> Result<()> {
        self.state.lock().finish(&self.config, key, claim, answer);
        Ok(())
    }
    async fn give_up(&self, key: [u8; 32], claim: u64) -> Result<()> {
        self.state.lock().give_up(key, claim);
        Ok(())
    }
}

impl fmt::Debug for MemoryIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryIdempotency").field("keys", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: MemoryIdempotencyConfig =
        MemoryIdempotencyConfig { keep: Duration::from_secs(10), max_keys: 2, max_bytes: 100 };

    fn key(name: u8) -> [u8; 32] {
        [name; 32]
    }
    fn answer(bytes: usize) -> Option<StoredAnswer> {
        let body = Bytes::from(vec![0; bytes]);
        Some(StoredAnswer { status: StatusCode::OK, headers: HeaderMap::new(), body })
    }

    #[derive(Default)]
    struct Played(State, Option<Instant>);

    impl Played {
        fn at(&mut self, seconds: u64) -> Instant {
            *self.1.get_or_insert_with(clock::now) + Duration::from_secs(seconds)
        }
        fn begin(&mut self, name: u8, seconds: u64) -> Option<Begun> {
            let now = self.at(seconds);
            self.0.begin(&CONFIG, key(name), key(0), now)
        }
    }

    #[test]
    fn a_key_is_new_then_in_flight_then_done() {
        let mut played = Played::default();
        assert_eq!(played.begin(1, 0), Some(Begun::New(1)));
        assert_eq!(played.begin(1, 1), Some(Begun::InFlight));
        played.0.finish(&CONFIG, key(1), 1, answer(5));
        assert_eq!(played.begin(1, 2), Some(Begun::Done(answer(5))));
        let now = played.at(3);
        assert_eq!(played.0.begin(&CONFIG, key(1), key(9), now), Some(Begun::Mismatch));
        assert_eq!(played.begin(1, 10), Some(Begun::New(2)));
    }
    #[test]
    fn a_claim_that_was_given_up_is_new_again() {
        let mut played = Played::default();
        assert_eq!(played.begin(1, 0), Some(Begun::New(1)));
        played.0.give_up(key(1), 1);
        assert_eq!(played.begin(1, 1), Some(Begun::New(2)));
    }
    #[test]
    fn a_claim_that_ran_out_changes_nothing() {
        let mut played = Played::default();
        assert_eq!(played.begin(1, 0), Some(Begun::New(1)));
        assert_eq!(played.begin(1, 10), Some(Begun::New(2)));
        played.0.finish(&CONFIG, key(1), 1, answer(5));
        played.0.give_up(key(1), 1);
        assert_eq!(played.begin(1, 11), Some(Begun::InFlight));
    }
    #[test]
    fn answers_make_room_but_requests_do_not() {
        let mut played = Played::default();
        assert_eq!(played.begin(1, 0), Some(Begun::New(1)));
        assert_eq!(played.begin(2, 1), Some(Begun::New(2)));
        assert_eq!(played.begin(3, 2), None);
        played.0.finish(&CONFIG, key(2), 2, answer(5));
        assert_eq!(played.begin(3, 3), Some(Begun::New(3)));
        assert_eq!(played.begin(1, 4), Some(Begun::InFlight));
    }
    #[test]
    fn bytes_have_a_bound() {
        let mut played = Played::default();
        played.begin(1, 0);
        played.begin(2, 1);
        played.0.finish(&CONFIG, key(1), 1, answer(60));
        played.0.finish(&CONFIG, key(2), 2, answer(60));
        assert_eq!(played.0.bytes, 60);
        assert_eq!(played.begin(2, 2), Some(Begun::Done(answer(60))));
        assert_eq!(played.begin(1, 2), Some(Begun::New(3)), "the oldest made room");
        played.0.finish(&CONFIG, key(1), 3, answer(101));
        assert_eq!(played.begin(1, 3), Some(Begun::Done(None)), "one that never fits is known to be done");
    }

    proptest! {
        /// Whatever happens, the books are right and within bounds.
        #[test]
        fn the_books_stay_right(steps in prop::collection::vec((0u8..4, 0u8..3, 0u64..4, 0usize..120), 0..60)) {
            let mut played = Played::default();
            let (mut now, mut claims) = (0, HashMap::new());
            for (name, step, pause, bytes) in steps {
                now += pause;
                match step {
                    0 => if let Some(Begun::New(claim)) = played.begin(name, now) {
                        claims.insert(name, claim);
                    },
                    1 => if let Some(claim) = claims.remove(&name) {
                        played.0.finish(&CONFIG, key(name), claim, answer(bytes));
                    },
                    _ => if let Some(claim) = claims.remove(&name) {
                        played.0.give_up(key(name), claim);
                    },
                }
                let state = &played.0;
                prop_assert!(state.entries.len() <= CONFIG.max_keys);
                prop_assert_eq!(state.entries.len(), state.ages.len());
                prop_assert_eq!(state.bytes, state.entries.values().map(Entry::bytes).sum::<usize>());
                prop_assert!(state.bytes <= CONFIG.max_bytes);
            }
        }
    }
}
