//! Looking inside a service while it is under load: its signals over time, and a CPU profile at one load.
//!
//! Nothing here fails a run: what could not be seen is told as a sentence.

use std::time::{Duration, Instant};

use seawall_lab::profile::fetch::Endpoint;
use seawall_lab::profile::take::{TakeConfig, take};
use seawall_lab::profile::{Profile, ProfileKind};
use seawall_lab::report::lab::ProfilePair;
use seawall_lab::signals::series::{EvidenceLevel, PhaseSpan, SignalSeries};
use seawall_lab::signals::service::{self, Service};
use seawall_lab::signals::table;
use seawall_lab::signals::watch::{WatchConfig, Watcher};
use seawall_load::LoadConfig;

use super::server::addresses;

/// A watch of one service.
pub(super) struct Watch {
    watcher: Watcher,
    cores: f64,
}

impl Watch {
    /// Begins to watch process `pid` and its descendants, which serve `url`; times count from `origin`.
    pub(super) fn start(
        pid: u32,
        url: &str,
        endpoint: Option<&Endpoint>,
        rates: Rates,
        origin: Instant,
    ) -> Self {
        let ports: Vec<u16> =
            addresses(url).into_iter().flatten().map(|address| address.port()).take(1).collect();
        let machine = || std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let cores = service::allowed_cpus(pid).unwrap_or_else(machine);
        let (interval, look) = rates.times();
        let config = WatchConfig { interval, look, admin: endpoint.map(|endpoint| endpoint.admin) };
        Self { watcher: Watcher::start(Service::new(pid, &ports, None), config, origin), cores }
    }

    /// Ends the watch. None when the process was not there, or not for long enough.
    pub(super) fn stop(self, phases: Vec<PhaseSpan>) -> Option<SignalSeries> {
        let moments = self.watcher.stop();
        let series = table::series(&moments, self.cores, EvidenceLevel::L1, phases);
        Some(series).filter(|series| !series.resources.is_empty())
    }
}

/// How often is looked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rates {
    /// Two or three times a second, threads as often as a tenth of a CPU allows: for a search.
    Close,
    /// Once a second, threads ten times: for blocks whose cost is what is measured.
    Light,
}

impl Rates {
    /// Between two counts, and between two looks at the threads.
    fn times(self) -> (Duration, Duration) {
        match self {
            Self::Close => (WatchConfig::default().interval, WatchConfig::default().look),
            Self::Light => (Duration::from_secs(1), Duration::from_millis(100)),
        }
    }
}

/// A CPU profile of process `pid` under `load`, or why there is none: from the service's endpoint, or else by `perf`.
pub(super) fn cpu_profile(
    load: &LoadConfig,
    pid: Option<u32>,
    endpoint: Option<&Endpoint>,
    seconds: u32,
) -> Result<Profile, String> {
    let config = TakeConfig {
        load: Some(load.clone()),
        pid,
        endpoint: endpoint.cloned(),
        kinds: vec![ProfileKind::Cpu],
        seconds,
    };
    let taken = take(&config, &mut |_| {}).map_err(|error| error.to_string())?;
    let found = taken.profiles.into_iter().find(|profile| profile.total > 0.0);
    found.ok_or_else(|| {
        let why = taken.missing.into_iter().next();
        why.unwrap_or_else(|| "the service used no CPU while it was profiled".to_owned())
    })
}

/// Two profiles of the CPU as a pair; the names are what the page calls them.
pub(super) fn cpu_pair(before: (&str, Profile), after: (&str, Profile)) -> ProfilePair {
    ProfilePair {
        name: format!("CPU, {} against {}", after.0, before.0),
        before_name: before.0.to_owned(),
        after_name: after.0.to_owned(),
        before: before.1,
        after: after.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_from_inside() {
        let origin = crate::demo::clock::now();
        let watch = Watch::start(std::process::id(), "http://127.0.0.1:1/", None, Rates::Close, origin);
        std::thread::park_timeout(Duration::from_millis(100)); // the watcher watches meanwhile
        let series = watch.stop(Vec::new()).unwrap();
        assert!(series.resources.iter().any(|row| row.resource == "cpu"), "{series:?}");
        assert!(series.cores >= 1.0 && !series.threads.is_empty());
    }
    #[test]
    fn a_process_that_is_gone_has_no_series() {
        let origin = crate::demo::clock::now();
        let watch = Watch::start(u32::MAX, "http://127.0.0.1:1/", None, Rates::Light, origin);
        assert_eq!(watch.stop(Vec::new()), None);
    }
}
