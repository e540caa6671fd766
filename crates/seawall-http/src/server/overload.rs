//! The overload protection as plain data, and who brings it to the workers of a server that runs.
//!
//! What has been learnt, what is queued and what is in flight stays; see [`Dispatcher::reconfigure`].

use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use seawall_core::ConfigError;
use seawall_core::metrics::Registry;
use seawall_guard::{AdmissionConfig, Algorithm, Gate, LimitConfig, Pressure, PressureConfig};
use serde::{Deserialize, Serialize};

use super::ServerConfig;
use super::admission::Dispatcher;
use crate::live_config::LiveConfig;

/// The overload protection of a server, as a file or an operator says it: what may be changed while the server runs. See
/// [`App::overload_control`](crate::App::overload_control). The defaults are those of [`ServerConfig`]; durations are
/// whole milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverloadConfig {
    /// How long a request may take if its caller does not say; 504 past it. 1 to 3,600,000. Default 10,000.
    pub deadline_ms: u64,
    /// The least that a request may wait in an overload, 0 to 10,000. Default 5.
    pub min_wait_ms: u64,
    /// How long the queue may stand before that counts as an overload, 1 to 10,000. Default 100.
    pub grace_ms: u64,
    /// Requests that may wait in each worker, 1 to 1,000,000. Default 1,024.
    pub max_queued: u32,
    /// Tenants that have a turn of their own, 1 to 65,536. Default 256.
    pub max_tenants: u32,
    /// Requests queued or in flight in the whole process, 1 to 10,000,000. Default 65,536. With a lower one nothing is
    /// taken back: nobody is let in until enough have ended.
    pub max_in_flight: u32,
    /// How many may be worked on at once. To change it makes the limit forget what it has learnt.
    pub limit: OverloadLimit,
    /// Where nothing new is begun.
    pub pressure: OverloadPressure,
}

/// How many requests each worker may work on at once; see [`LimitConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverloadLimit {
    /// The law: `bdp`, `fixed`, `aimd`, `gradient2` or `vegas`. Default `bdp`.
    #[serde(with = "Law")]
    pub algorithm: Algorithm,
    /// Where it begins, `min` to `max`; with `fixed` where it stays. Default 20.
    pub initial: u32,
    /// Never below. 1 to `max`. Default 1.
    pub min: u32,
    /// Never above. At most 1,000,000. Default 4,096.
    pub max: u32,
    /// Length of a window, 1 to 10,000. Default 100.
    pub window_ms: u64,
    /// Samples that make a window, 1 to 10,000. Default 16.
    pub min_samples: u32,
}

/// Where nothing new is begun, in per cent of what there is, 0 to 100; 0 is never. See [`PressureConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverloadPressure {
    /// Of the memory. Default 95.
    pub memory_percent: u32,
    /// Of the processor time. Default 0.
    pub cpu_percent: u32,
    /// Of the file handles. Default 95.
    pub fds_percent: u32,
}

/// How [`Algorithm`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Algorithm", rename_all = "snake_case")]
enum Law {
    Bdp,
    Fixed,
    Aimd,
    Gradient2,
    Vegas,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self::of(&AdmissionConfig::default(), &ServerConfig::default())
    }
}

impl Default for OverloadLimit {
    fn default() -> Self {
        Self::of(&LimitConfig::default())
    }
}

impl Default for OverloadPressure {
    fn default() -> Self {
        Self::of(&PressureConfig::default())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl OverloadConfig {
    pub(crate) fn of(admission: &AdmissionConfig, server: &ServerConfig) -> Self {
        let AdmissionConfig { limit, deadline, min_wait, grace, max_queued, max_tenants } = admission;
        Self {
            deadline_ms: millis(*deadline),
            min_wait_ms: millis(*min_wait),
            grace_ms: millis(*grace),
            max_queued: *max_queued,
            max_tenants: *max_tenants,
            max_in_flight: server.max_in_flight,
            limit: OverloadLimit::of(limit),
            pressure: OverloadPressure::of(&server.pressure),
        }
    }

    fn admission(&self) -> AdmissionConfig {
        let OverloadLimit { algorithm, initial, min, max, window_ms, min_samples } = self.limit;
        let window = Duration::from_millis(window_ms);
        AdmissionConfig {
            limit: LimitConfig { algorithm, initial, min, max, window, min_samples },
            deadline: Duration::from_millis(self.deadline_ms),
            min_wait: Duration::from_millis(self.min_wait_ms),
            grace: Duration::from_millis(self.grace_ms),
            max_queued: self.max_queued,
            max_tenants: self.max_tenants,
        }
    }

    fn pressure(&self) -> PressureConfig {
        let OverloadPressure { memory_percent, cpu_percent, fds_percent } = self.pressure;
        PressureConfig { memory_percent, cpu_percent, fds_percent }
    }

    fn in_flight_cap(&self) -> Result<NonZeroU32, ConfigError> {
        let cap = NonZeroU32::new(self.max_in_flight).filter(|cap| cap.get() <= 10_000_000);
        cap.ok_or_else(|| ConfigError::new("overload.max_in_flight", self.max_in_flight, "1 to 10000000"))
    }

    /// The first field that cannot be used.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.admission().check().map_err(named)?;
        Pressure::new(&self.pressure()).map_err(named)?;
        self.in_flight_cap().map(drop)
    }
}

impl OverloadLimit {
    fn of(limit: &LimitConfig) -> Self {
        let LimitConfig { algorithm, initial, min, max, window, min_samples } = *limit;
        Self { algorithm, initial, min, max, window_ms: millis(window), min_samples }
    }
}

impl OverloadPressure {
    fn of(pressure: &PressureConfig) -> Self {
        let PressureConfig { memory_percent, cpu_percent, fds_percent } = *pressure;
        Self { memory_percent, cpu_percent, fds_percent }
    }
}

/// A problem of the parts, under the name that the field has here.
fn named(error: ConfigError) -> ConfigError {
    let field = error.field().strip_prefix("admission.").unwrap_or(error.field());
    let unit = if matches!(field, "deadline" | "min_wait" | "grace" | "limit.window") { "_ms" } else { "" };
    let field = format!("overload.{field}{unit}");
    error.renamed(field)
}

/// The parts of a server that runs that can be changed.
pub(super) struct Reins {
    dispatchers: Vec<Arc<Dispatcher>>,
    hard_cap: Gate,
    pressure: Arc<Mutex<Pressure>>,
}

impl Reins {
    pub(super) fn new(
        dispatchers: Vec<Arc<Dispatcher>>,
        hard_cap: &Gate,
        pressure: &Arc<Mutex<Pressure>>,
    ) -> Self {
        Self { dispatchers, hard_cap: hard_cap.clone(), pressure: Arc::clone(pressure) }
    }

    /// # Errors
    /// If a field is outside its range; everything stays as it was.
    fn take_over(&self, config: &OverloadConfig) -> Result<(), ConfigError> {
        config.check()?;
        self.hard_cap.set_max_in_flight(config.in_flight_cap()?);
        self.pressure.lock().reconfigure(&config.pressure())?;
        let admission = config.admission();
        self.dispatchers.iter().try_for_each(|dispatcher| dispatcher.reconfigure(&admission))
    }
}

/// Brings changes to the server that runs, or will run.
#[derive(Debug, Clone)]
pub(crate) struct OverloadControl {
    live: LiveConfig<OverloadConfig>,
    /// What it began with, exactly.
    began: (Option<AdmissionConfig>, PressureConfig, u32),
    reins: Arc<Mutex<Vec<Weak<Reins>>>>,
}

impl OverloadControl {
    /// # Errors
    /// If a field is outside its range.
    pub(crate) fn new(server: &ServerConfig) -> Result<Self, ConfigError> {
        let reins: Arc<Mutex<Vec<Weak<Reins>>>> = Arc::default();
        let held = Arc::clone(&reins);
        let apply = move |config: &OverloadConfig| {
            config.check()?;
            held.lock().iter().filter_map(Weak::upgrade).try_for_each(|reins| reins.take_over(config))
        };
        let admission = server.admission.clone().unwrap_or_default();
        let live = LiveConfig::new("overload", OverloadConfig::of(&admission, server), apply)?;
        Ok(Self { live, began: began(server), reins })
    }

    pub(crate) fn live(&self) -> LiveConfig<OverloadConfig> {
        self.live.clone()
    }

    /// What is wrong with a server of this configuration.
    pub(crate) fn problem(&self, server: &ServerConfig) -> Option<&'static str> {
        if server.admission.is_none() {
            return Some("`App::overload_control` has nothing to control: `server.admission` is None");
        }
        let changed = began(server) != self.began;
        changed.then_some("`App::config` has to come before `App::overload_control`, which begins with it")
    }

    /// Gives a server that starts what is in force now, and everything that comes for as long as it keeps what is
    /// returned.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub(super) fn begin(&self, reins: Reins, registry: &Registry) -> Result<Arc<Reins>, ConfigError> {
        self.live.count_in(registry);
        self.live.held(|config| {
            reins.take_over(config)?;
            let reins = Arc::new(reins);
            let mut all = self.reins.lock();
            all.retain(|reins| reins.strong_count() > 0);
            all.push(Arc::downgrade(&reins));
            Ok(reins)
        })
    }
}

fn began(server: &ServerConfig) -> (Option<AdmissionConfig>, PressureConfig, u32) {
    (server.admission.clone(), server.pressure, server.max_in_flight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> LiveConfig<OverloadConfig> {
        OverloadControl::new(&ServerConfig::default()).unwrap().live()
    }

    #[track_caller]
    fn refused(json: &str, problem: &str) {
        let live = live();
        assert_eq!(live.set_json(json, "a test").unwrap_err().to_string(), problem);
        assert_eq!(*live.get(), OverloadConfig::default());
    }

    #[test]
    fn what_is_out_of_range_is_named_as_it_is_written() {
        refused(r#"{"deadline_ms": 0}"#, "`overload.deadline_ms` is 0ns, but must be 1 ms to 1 hour");
        refused(r#"{"min_wait_ms": 10001}"#, "`overload.min_wait_ms` is 10.001s, but must be 0 to 10 s");
        refused(r#"{"grace_ms": 0}"#, "`overload.grace_ms` is 0ns, but must be 1 ms to 10 s");
        refused(r#"{"max_queued": 0}"#, "`overload.max_queued` is 0, but must be 1 to 1000000");
        refused(r#"{"max_tenants": 0}"#, "`overload.max_tenants` is 0, but must be 1 to 65536");
        refused(r#"{"max_in_flight": 0}"#, "`overload.max_in_flight` is 0, but must be 1 to 10000000");
        refused(r#"{"limit": {"max": 0}}"#, "`overload.limit.max` is 0, but must be 1 to 1000000");
        refused(
            r#"{"limit": {"window_ms": 0}}"#,
            "`overload.limit.window_ms` is 0ns, but must be 1 ms to 10 s",
        );
        let percent = "`overload.pressure.cpu_percent` is 101, but must be 0 to 100";
        refused(r#"{"pressure": {"cpu_percent": 101}}"#, percent);
    }

    #[test]
    fn what_is_unknown_or_of_another_kind_is_named() {
        let laws = "`overload.limit.algorithm`: unknown variant `magic`, expected one of `bdp`, `fixed`, `aimd`, \
                    `gradient2`, `vegas`";
        refused(r#"{"limit": {"algorithm": "magic"}}"#, laws);
        let count = "`overload.max_queued`: invalid value: integer `-1`, expected u32";
        refused(r#"{"max_queued": -1}"#, count);
        let unknown = live().set_toml("deadline = 5\n", "a test").unwrap_err();
        assert_eq!(unknown.field(), Some("overload.deadline"));
    }

    #[test]
    fn what_is_not_said_is_as_the_server_was_started() {
        let admission = AdmissionConfig { max_queued: 7, ..AdmissionConfig::default() };
        let config = ServerConfig { admission: Some(admission), ..ServerConfig::default() };
        let live = OverloadControl::new(&config).unwrap().live();
        live.set_toml("[limit]\nalgorithm = \"fixed\"\ninitial = 3\n", "a test").unwrap();
        let OverloadConfig { max_queued, limit, .. } = (*live.get()).clone();
        assert_eq!((max_queued, limit.algorithm, limit.initial), (7, Algorithm::Fixed, 3));
    }
}
