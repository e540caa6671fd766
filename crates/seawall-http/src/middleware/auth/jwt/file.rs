//! A JWK set in a file, which its issuer may replace while the server runs.
//!
//! It is read again when it is due, and when a token names a key that nobody knows, but never more often than every
//! five seconds: what a client writes into a token must not make the disk busy. A file that cannot be read or
//! understood leaves the keys as they are, and a warning in the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::keys::KeySet;

/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 20;
/// The shortest time between two readings.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(5);

/// Keys as they were read; the number rises when they change, so that whoever remembers tokens can tell.
pub(super) struct Keys {
    pub(super) set: KeySet,
    pub(super) edition: u64,
}

/// Keys that stay, and those of a file.
pub(super) struct KeyRing {
    current: ArcSwap<Keys>,
    file: Option<File>,
}

struct File {
    path: PathBuf,
    every: Duration,
    fixed: Box<dyn Fn() -> KeySet + Send + Sync>,
    state: Mutex<State>,
    /// One reading at a time; whoever needs its result waits here.
    reading: tokio::sync::Mutex<()>,
}

struct State {
    read_at: Instant,
    text: String,
}

impl KeyRing {
    pub(super) fn fixed(set: KeySet) -> Self {
        Self { current: ArcSwap::from_pointee(Keys { set, edition: 0 }), file: None }
    }

    /// `fixed` makes the keys that stay. Reads the file right here, because it runs at start.
    pub(super) fn with_file(
        path: PathBuf,
        every: Duration,
        fixed: impl Fn() -> KeySet + Send + Sync + 'static,
        now: Instant,
    ) -> Result<Self, String> {
        let text = read(&path)?;
        let mut set = fixed();
        set.extend(KeySet::of_jwks(&text)?);
        let state = Mutex::new(State { read_at: now, text });
        let file = File { path, every, fixed: Box::new(fixed), state, reading: tokio::sync::Mutex::new(()) };
        Ok(Self { current: ArcSwap::from_pointee(Keys { set, edition: 0 }), file: Some(file) })
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Keys>> {
        self.current.load()
    }
    pub(super) fn may_change(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again if that is due. One request waits for it; the others go on with the keys that there are.
    pub(super) async fn refresh(&self, now: Instant) {
        let Some(file) = &self.file else { return };
        if file.age(now) >= file.every
            && let Ok(_reading) = file.reading.try_lock()
        {
            self.read_again(file, now).await;
        }
    }

    /// Reads the file again because a token names a key that `edition` does not have. True if there are other keys now.
    pub(super) async fn look_for_more(&self, edition: u64, now: Instant) -> bool {
        let Some(file) = &self.file else { return false };
        if file.age(now) >= SHORTEST_PAUSE {
            let _reading = file.reading.lock().await;
            if self.current().edition == edition && file.age(now) >= SHORTEST_PAUSE {
                self.read_again(file, now).await;
            }
        }
        self.current().edition != edition
    }

    async fn read_again(&self, file: &File, now: Instant) {
        // Also if it fails, or if we are cancelled: the next attempt is not before its time.
        file.state.lock().read_at = now;
        let path = file.path.clone();
        let text = tokio::task::spawn_blocking(move || read(&path)).await;
        let text = text.unwrap_or_else(|_| Err("its reader panicked".to_owned()));
        let keys = text.and_then(|text| {
            let known = file.state.lock().text == text;
            Ok(if known { None } else { Some((KeySet::of_jwks(&text)?, text)) })
        });
        match keys {
            Ok(None) => {}
            Ok(Some((more, text))) => {
                let mut set = (file.fixed)();
                set.extend(more);
                let edition = self.current().edition + 1;
                tracing::info!(file = %file.path.display(), keys = set.len(), "other JWT keys");
                self.current.store(Arc::new(Keys { set, edition }));
                file.state.lock().text = text;
            }
            Err(problem) => {
                tracing::warn!(file = %file.path.display(), problem, "the JWT keys stay as they are");
            }
        }
    }
}

impl File {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.state.lock().read_at)
    }
}

fn read(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| format!("not readable: {error}"))?;
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("not readable: {error}"))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("longer than {MOST_BYTES} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::token::Header;
    use super::*;

    const EVERY: Duration = Duration::from_secs(60);

    /// A ring whose file has one key, `a`; time is counted from its first reading.
    struct Played {
        ring: KeyRing,
        folder: tempfile::TempDir,
        start: Instant,
    }

    impl Played {
        fn new() -> Self {
            let (folder, start) = (tempfile::tempdir().unwrap(), crate::clock::now());
            let path = folder.path().join("keys.json");
            fs::write(&path, set("a")).unwrap();
            let ring = KeyRing::with_file(path, EVERY, KeySet::default, start).unwrap();
            Self { ring, folder, start }
        }
        fn write(&self, text: &str) {
            fs::write(self.folder.path().join("keys.json"), text).unwrap();
        }
        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }
        fn knows(&self, kid: &str) -> bool {
            let header: Header =
                serde_json::from_str(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)).unwrap();
            // The signature is none: only whether there is such a key is asked for.
            self.ring.current().set.check(&header, "", "") == Err(super::super::token::Refused::BadSignature)
        }
    }

    fn set(kid: &str) -> String {
        format!(r#"{{"keys":[{{"kty":"oct","kid":"{kid}","k":"{}"}}]}}"#, "A".repeat(43))
    }

    #[track_caller]
    fn play(script: impl AsyncFnOnce(&Played)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(script(&Played::new()));
    }

    #[test]
    fn it_is_read_again_when_it_is_due() {
        play(async |played| {
            played.write(&set("b"));
            played.ring.refresh(played.at(59)).await;
            assert!(played.knows("a") && !played.knows("b"));
            played.ring.refresh(played.at(60)).await;
            assert!(played.knows("b") && !played.knows("a"));
        });
    }
    #[test]
    fn an_unknown_key_has_it_read_but_not_too_often() {
        play(async |played| {
            played.write(&set("b"));
            assert!(!played.ring.look_for_more(0, played.at(4)).await);
            assert!(played.ring.look_for_more(0, played.at(5)).await);
            assert!(played.knows("b"));
            played.write(&set("c"));
            assert!(!played.ring.look_for_more(1, played.at(9)).await);
            assert!(played.ring.look_for_more(1, played.at(10)).await);
            // Whoever still has an old edition need not read.
            assert!(played.ring.look_for_more(1, played.at(11)).await);
        });
    }
    #[test]
    fn a_broken_or_missing_file_leaves_the_keys() {
        play(async |played| {
            played.write("{");
            played.ring.refresh(played.at(60)).await;
            assert!(played.knows("a"));
            fs::remove_file(played.folder.path().join("keys.json")).unwrap();
            played.ring.refresh(played.at(120)).await;
            assert!(played.knows("a"));
            played.write(&set("b"));
            played.ring.refresh(played.at(180)).await;
            assert!(played.knows("b"));
        });
    }
    #[test]
    fn the_same_keys_are_the_same_edition() {
        play(async |played| {
            played.ring.refresh(played.at(60)).await;
            assert_eq!(played.ring.current().edition, 0);
            played.write(&set("b"));
            played.ring.refresh(played.at(120)).await;
            assert_eq!(played.ring.current().edition, 1);
        });
    }
    #[test]
    fn its_length_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, vec![b' '; MOST_BYTES as usize + 1]).unwrap();
        assert_eq!(read(&path), Err("longer than 1048576 bytes".to_owned()));
    }
}
