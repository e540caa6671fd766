//! Where sessions are kept: a trait for stores of one's own, and a bounded one in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use seawall_core::ConfigError;
use serde::Deserialize;

use crate::clock;
use crate::error::Result;

/// Keeps sessions. The key is a hash of the id that the client has, so that whoever reads the store can take over
/// nobody's session.
pub trait SessionStore: Send + Sync + 'static {
    /// The session, if it is there and has not run out.
    ///
    /// # Errors
    /// If the store cannot say; the request ends with it.
    fn load(&self, key: [u8; 32]) -> impl Future<Output = Result<Option<Bytes>>> + Send;
    /// Keeps a session for `keep` from now, in place of what was there.
    ///
    /// # Errors
    /// If the store cannot keep it; the request ends with it.
    fn save(&self, key: [u8; 32], session: Bytes, keep: Duration) -> impl Future<Output = Result<()>> + Send;
    /// Forgets a session.
    ///
    /// # Errors
    /// If the store cannot; the request ends with it.
    fn delete(&self, key: [u8; 32]) -> impl Future<Output = Result<()>> + Send;
}

/// A store whose type is forgotten.
pub(super) trait AnyStore: Send + Sync {
    fn load(&self, key: [u8; 32]) -> BoxFuture<'_, Result<Option<Bytes>>>;
    fn save(&self, key: [u8; 32], session: Bytes, keep: Duration) -> BoxFuture<'_, Result<()>>;
    fn delete(&self, key: [u8; 32]) -> BoxFuture<'_, Result<()>>;
}

impl<S: SessionStore> AnyStore for S {
    fn load(&self, key: [u8; 32]) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(SessionStore::load(self, key))
    }
    fn save(&self, key: [u8; 32], session: Bytes, keep: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(SessionStore::save(self, key, session, keep))
    }
    fn delete(&self, key: [u8; 32]) -> BoxFuture<'_, Result<()>> {
        Box::pin(SessionStore::delete(self, key))
    }
}

/// Bounds of [`MemorySessions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemorySessionsConfig {
    /// Sessions at once; when full, the one that would run out first makes room. 1 to 10,000,000. Default 100,000.
    pub max_sessions: usize,
    /// Bytes of all sessions together; likewise. At least 1 KiB. Default 64 MiB.
    pub max_bytes: usize,
}

impl Default for MemorySessionsConfig {
    fn default() -> Self {
        Self { max_sessions: 100_000, max_bytes: 64 << 20 }
    }
}

/// Keeps sessions in this process: they are gone when it ends, and other processes do not see them.
pub struct MemorySessions {
    config: MemorySessionsConfig,
    state: Mutex<State>,
}

/// The decisions, with time as an argument.
#[derive(Default)]
struct State {
    entries: HashMap<[u8; 32], Entry>,
    /// By end; numbers make the order total.
    ends: BTreeMap<(Instant, u64), [u8; 32]>,
    bytes: usize,
    numbers: u64,
}

struct Entry {
    session: Bytes,
    end: (Instant, u64),
}

impl MemorySessions {
    /// An empty store.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &MemorySessionsConfig) -> Result<Self, ConfigError> {
        let MemorySessionsConfig { max_sessions, max_bytes } = *config;
        if !(1..=10_000_000).contains(&max_sessions) {
            return Err(ConfigError::new("sessions.max_sessions", max_sessions, "1 to 10000000"));
        }
        if max_bytes < 1024 {
            return Err(ConfigError::new("sessions.max_bytes", max_bytes, "at least 1024"));
        }
        Ok(Self { config: *config, state: Mutex::default() })
    }
    /// Sessions that are kept.
    pub fn len(&self) -> usize {
        self.state.lock().entries.len()
    }
    /// Whether no session is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn load(&self, key: [u8; 32], now: Instant) -> Option<Bytes> {
        let entry = self.entries.get(&key)?;
        (entry.end.0 > now).then(|| entry.session.clone())
    }

    fn save(
        &mut self,
        config: &MemorySessionsConfig,
        key: [u8; 32],
        session: Bytes,
        end: Instant,
        now: Instant,
    ) {
        self.remove(key);
        self.numbers += 1;
        let end = (end, self.numbers);
        let is_over = |first: Option<&(Instant, u64)>| first.is_some_and(|(end, _)| *end <= now);
        while is_over(self.ends.keys().next())
            || self.entries.len() >= config.max_sessions
            || (self.bytes + session.len() > config.max_bytes && !self.ends.is_empty())
        {
            let Some((_, &first)) = self.ends.first_key_value() else { break };
            self.remove(first);
        }
        if session.len() <= config.max_bytes {
            self.bytes += session.len();
            self.ends.insert(end, key);
            self.entries.insert(key, Entry { session, end });
        }
    }

    fn remove(&mut self, key: [u8; 32]) {
        if let Some(entry) = self.entries.remove(&key) {
            self.ends.remove(&entry.end);
            self.bytes -= entry.session.len();
        }
    }
}

impl SessionStore for MemorySessions {
    async fn load(&self, key: [u8; 32]) -> Result<Option<Bytes>> {
        Ok(self.state.lock().load(key, clock::now()))
    }
    async fn save(&self, key: [u8; 32], session: Bytes, keep: Duration) -> Result<()> {
        let now = clock::now();
        self.state.lock().save(&self.config, key, session, now + keep, now);
        Ok(())
    }
    async fn delete(&self, key: [u8; 32]) -> Result<()> {
        self.state.lock().remove(key);
        Ok(())
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions").field("sessions", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is loaded was saved last and has not run out; the books are right and within bounds.
        #[test]
        fn it_is_a_map_that_forgets(steps in prop::collection::vec((0u8..4, 0u8..3, 0u64..4, 0usize..60), 0..60)) {
            let config = MemorySessionsConfig { max_sessions: 2, max_bytes: 100 };
            let (mut state, start) = (State::default(), clock::now());
            let mut saved = HashMap::new();
            let mut now = start;
            for (name, step, pause, bytes) in steps {
                now += Duration::from_secs(pause);
                let key = [name; 32];
                match step {
                    0 => {
                        let session = Bytes::from(vec![name; bytes]);
                        let end = now + Duration::from_secs(5);
                        state.save(&config, key, session.clone(), end, now);
                        saved.insert(name, (session, end));
                        prop_assert!(state.load(key, now).is_some(), "what was just saved is there");
                    }
                    1 => {
                        state.remove(key);
                        saved.remove(&name);
                    }
                    _ => if let Some(session) = state.load(key, now) {
                        let (expected, end) = saved.get(&name).expect("it was saved");
                        prop_assert!(session == expected && *end > now);
                    },
                }
                prop_assert!(state.entries.len() <= config.max_sessions && state.bytes <= config.max_bytes);
                prop_assert_eq!(state.entries.len(), state.ends.len());
                prop_assert_eq!(state.bytes, state.entries.values().map(|entry| entry.session.len()).sum::<usize>());
            }
        }
    }
}
