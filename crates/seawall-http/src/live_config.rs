//! Configuration that changes while the program runs: a value with a name, and who checks it and takes it over.
//!
//! A change comes from the program, from text (JSON, or a file that is followed), or over the admin listener. It is
//! taken over as a whole or refused as a whole, with the field named, and then everything stays as it was. What a text
//! does not say is as the configuration was made with, not as the last text had it: a file says the same whatever came
//! before it.
//!
//! Left out: secrets. A configuration is shown to whoever may see the admin listener, and changes are logged.

mod error;
mod file;
mod text;

use std::fmt;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use seawall_core::ConfigError;
use seawall_core::metrics::{Counter, Registry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use error::LiveConfigError;
use text::Format;

/// A configuration of type `T` that may change while the program runs. Cloning gives another handle to the same one.
///
/// `T` is a struct of plain fields, with `#[serde(deny_unknown_fields)]`, so that a name that is misspelt is refused.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use seawall_core::ConfigError;
/// use seawall_http::LiveConfig;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Discount {
///     percent: u32,
/// }
///
/// let in_force = Arc::new(AtomicU32::new(0));
/// let theirs = Arc::clone(&in_force);
/// let live = LiveConfig::new("discount", Discount { percent: 5 }, move |config: &Discount| {
///     if config.percent > 50 {
///         return Err(ConfigError::new("discount.percent", config.percent, "0 to 50"));
///     }
///     theirs.store(config.percent, Ordering::Relaxed);
///     Ok(())
/// })?;
/// assert!(live.set_json(r#"{"percent": 90}"#, "an example").is_err());
/// live.set_json(r#"{"percent": 10}"#, "an example").expect("10 is within the range");
/// assert_eq!(in_force.load(Ordering::Relaxed), 10);
/// # Ok::<(), ConfigError>(())
/// ```
pub struct LiveConfig<T>(Arc<Shared<T>>);

struct Shared<T> {
    name: String,
    /// What it was made with, as JSON: texts are laid over it.
    base: Value,
    current: ArcSwap<T>,
    /// One change at a time.
    changing: Mutex<()>,
    apply: Box<Apply<T>>,
    counters: OnceLock<Counters>,
    /// Ends the thread that follows a file, by being dropped.
    follower: OnceLock<SyncSender<()>>,
}

type Apply<T> = dyn Fn(&T) -> Result<(), ConfigError> + Send + Sync;

/// Changes, by what became of them.
struct Counters {
    applied: Counter,
    refused: Counter,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> LiveConfig<T> {
    /// A configuration that begins with `initial`. `apply` checks a value, and takes it over if it is good: all of it or
    /// nothing. It is called for `initial` right here, later for one change at a time, and must not block for long.
    /// `name` is part of addresses and metrics: 1 to 64 letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// If `apply` refuses `initial`, if the name is none, or if JSON cannot say the value.
    pub fn new(
        name: impl Into<String>,
        initial: T,
        apply: impl Fn(&T) -> Result<(), ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            let allowed = "1 to 64 letters, digits, `-`, `_` and `.`";
            return Err(ConfigError::new("live_config.name", format!("{name:?}"), allowed));
        }
        let base = said(&name, &initial)?;
        apply(&initial)?;
        Ok(Self(Arc::new(Shared {
            name,
            base,
            current: ArcSwap::from_pointee(initial),
            changing: Mutex::new(()),
            apply: Box::new(apply),
            counters: OnceLock::new(),
            follower: OnceLock::new(),
        })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The value that is in force.
    pub fn get(&self) -> Arc<T> {
        self.0.current.load_full()
    }

    /// Checks a value and takes it over. What has changed is logged.
    ///
    /// # Errors
    /// If the value is refused; everything stays as it was.
    pub fn set(&self, value: T) -> Result<(), ConfigError> {
        self.0.counted(self.0.take_over(value, "the program"))
    }

    /// As [`set`](Self::set), from JSON; what it does not say is as the configuration was made with. `by` says in the
    /// log who it was.
    ///
    /// # Errors
    /// If it is no JSON, has a field that is unknown or of another kind, or is refused; everything stays as it was.
    pub fn set_json(&self, text: &str, by: &str) -> Result<(), LiveConfigError> {
        self.0.set_text(Format::Json, text, by)
    }

    /// As [`set_json`](Self::set_json), from TOML.
    ///
    /// # Errors
    /// As [`set_json`](Self::set_json).
    pub fn set_toml(&self, text: &str, by: &str) -> Result<(), LiveConfigError> {
        self.0.set_text(Format::Toml, text, by)
    }

    /// Takes over what is in a file, and follows it from now on: JSON if its name ends with `.json`, TOML if with
    /// `.toml`. At most 1 MiB.
    ///
    /// It is read once a second, whatever its date, so that a link that changes its target is noticed, too; new content
    /// counts when two looks have found the same, so that nobody reads half of a file. Content that is refused is logged
    /// once and changes nothing. What somebody else sets meanwhile stays until the file changes.
    ///
    /// A thread follows the file until the last handle is dropped.
    ///
    /// # Errors
    /// If the file cannot be read, if what is in it is refused, or if another one is followed already.
    pub fn follow_file(&self, path: impl AsRef<Path>) -> Result<(), LiveConfigError> {
        file::follow(&self.0, path.as_ref())
    }

    /// Counts changes in this registry, as `seawall_config_reloads_total`. The first registry given counts. A running
    /// server counts its own, and an admin listener those that it shows.
    pub fn count_in(&self, registry: &Registry) {
        Erased::count_in(&*self.0, registry);
    }

    /// Calls `look` with the value in force, while nobody can change it.
    pub(crate) fn held<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        let _changing = self.0.changing.lock();
        look(&self.0.current.load())
    }
}

/// As JSON.
fn said<T: Serialize>(name: &str, value: &T) -> Result<Value, ConfigError> {
    let unsaid = |error| ConfigError::new(name.to_owned(), error, "something that JSON can say");
    serde_json::to_value(value).map_err(unsaid)
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Shared<T> {
    fn set_text(&self, format: Format, text: &str, by: &str) -> Result<(), LiveConfigError> {
        let taken = format.read(text).and_then(|said| text::value_of(&self.name, &self.base, said));
        let taken = taken.and_then(|value| Ok(self.take_over(value, by)?));
        self.counted(taken).inspect_err(|error| {
            tracing::warn!(config = self.name, by, %error, "configuration refused; everything stays as it was");
        })
    }

    fn take_over(&self, value: T, by: &str) -> Result<(), ConfigError> {
        let after = said(&self.name, &value)?;
        let _changing = self.changing.lock();
        let before = said(&self.name, &**self.current.load())?;
        (self.apply)(&value)?;
        self.current.store(Arc::new(value));
        let changed = text::changes(&before, &after);
        if !changed.is_empty() {
            tracing::info!(config = self.name, by, changed, "configuration changed");
        }
        Ok(())
    }

    fn counted<E>(&self, result: Result<(), E>) -> Result<(), E> {
        if let Some(Counters { applied, refused }) = self.counters.get() {
            if result.is_ok() { applied.inc() } else { refused.inc() }
        }
        result
    }
}

/// A configuration of any type: as an admin listener shows and sets it. Made from a [`LiveConfig`].
#[derive(Clone)]
pub struct AnyLiveConfig(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn name(&self) -> &str;
    fn json(&self) -> String;
    fn set_json(&self, text: &str, by: &str) -> Result<(), LiveConfigError>;
    fn count_in(&self, registry: &Registry);
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Erased for Shared<T> {
    fn name(&self) -> &str {
        &self.name
    }
    fn json(&self) -> String {
        let said = serde_json::to_string_pretty(&**self.current.load());
        said.expect("JSON could say it when it was taken over")
    }
    fn set_json(&self, text: &str, by: &str) -> Result<(), LiveConfigError> {
        self.set_text(Format::Json, text, by)
    }
    fn count_in(&self, registry: &Registry) {
        self.counters.get_or_init(|| Counters::new(&self.name, registry));
    }
}

impl Counters {
    fn new(name: &str, registry: &Registry) -> Self {
        let counter = |outcome| {
            registry.counter(
                "seawall_config_reloads_total",
                "Changes of a configuration while it runs, by what became of them.",
                &[("config", name), ("outcome", outcome)],
            )
        };
        Self { applied: counter("applied"), refused: counter("refused") }
    }
}

impl AnyLiveConfig {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The value that is in force, as JSON.
    pub fn to_json(&self) -> String {
        self.0.json()
    }

    /// As [`LiveConfig::set_json`].
    ///
    /// # Errors
    /// As [`LiveConfig::set_json`].
    pub fn set_json(&self, text: &str, by: &str) -> Result<(), LiveConfigError> {
        self.0.set_json(text, by)
    }

    /// As [`LiveConfig::count_in`].
    pub fn count_in(&self, registry: &Registry) {
        self.0.count_in(registry);
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> From<LiveConfig<T>> for AnyLiveConfig {
    fn from(live: LiveConfig<T>) -> Self {
        Self(live.0)
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> From<&LiveConfig<T>> for AnyLiveConfig {
    fn from(live: &LiveConfig<T>) -> Self {
        live.clone().into()
    }
}

impl<T> Clone for LiveConfig<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for LiveConfig<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveConfig").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnyLiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyLiveConfig").field("name", &self.name()).finish_non_exhaustive()
    }
}
