//! Takes profiles of a service while it is under load: from its own endpoint, or of its process.

use std::time::Duration;

use seawall_load::{Load, LoadConfig, LoadError, Report, Tick, WarmUp};

use super::fetch::Endpoint;
use super::model::{Profile, ProfileKind};
use super::perf::Perf;
use super::states;
use crate::clock;
use crate::signals::service::Service;
use crate::signals::watch::{WatchConfig, Watcher};
use crate::signals::window::Window;

/// The load begins so long before the profiles.
const SETTLE: Duration = Duration::from_secs(1);

/// What to profile.
#[derive(Debug, Clone)]
pub struct TakeConfig {
    /// The load meanwhile; warm-up and duration are set by the profile's length. None: whatever the service does anyway.
    pub load: Option<LoadConfig>,
    /// Its first process, for CPU by `perf` and off-CPU by thread states.
    pub pid: Option<u32>,
    /// Its own `/debug/pprof`, which is asked first.
    pub endpoint: Option<Endpoint>,
    /// Which profiles.
    pub kinds: Vec<ProfileKind>,
    /// How long, whole seconds, at least 1.
    pub seconds: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Taken {
    /// The profiles.
    pub profiles: Vec<Profile>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
    /// The load meanwhile.
    pub load: Option<Report>,
}

/// Takes the profiles, all at once. Blocks for their length, and some seconds.
///
/// # Errors
/// When the load cannot be sent. A profile that cannot be had is no error: see [`Taken::missing`].
pub fn take(config: &TakeConfig, watch: &mut dyn FnMut(&Tick)) -> Result<Taken, LoadError> {
    let load = match &config.load {
        None => None,
        Some(load) => Some(Load::new(&LoadConfig {
            warmup: WarmUp::Fixed(SETTLE),
            duration: Duration::from_secs(u64::from(config.seconds)),
            ..load.clone()
        })?),
    };
    let config_of_work = config.clone();
    let profiles = std::thread::Builder::new().name("lab-profile".into()).spawn(move || {
        clock::pause(if config_of_work.load.is_some() { SETTLE } else { Duration::ZERO });
        all(&config_of_work)
    });
    let report = load.map(|load| load.run(watch)).transpose();
    let profiles = profiles.map(std::thread::JoinHandle::join);
    let (profiles, missing) = match profiles {
        Ok(Ok(taken)) => taken,
        Ok(Err(_)) | Err(_) => (Vec::new(), vec!["the thread that takes the profiles failed".to_owned()]),
    };
    Ok(Taken { profiles, missing, load: report? })
}

/// All kinds at once: heap at the end of the time, the others over all of it.
fn all(config: &TakeConfig) -> (Vec<Profile>, Vec<String>) {
    let (mut profiles, mut missing) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let running: Vec<_> =
            config.kinds.iter().map(|kind| (*kind, scope.spawn(move || one(config, *kind)))).collect();
        for (kind, thread) in running {
            match thread.join() {
                Ok(Ok(profile)) => profiles.push(profile),
                Ok(Err(why)) => missing.push(format!("{kind:?}: {why}")),
                Err(_) => missing.push(format!("{kind:?}: it failed")),
            }
        }
    });
    (profiles, missing)
}

fn one(config: &TakeConfig, kind: ProfileKind) -> Result<Profile, String> {
    let mut tried = Vec::new();
    if let Some(endpoint) = config.endpoint.as_ref().filter(|_| !gives_way(config, kind)) {
        match endpoint.fetch(kind, config.seconds) {
            Ok(profile) => return Ok(profile),
            Err(error) => tried.push(format!("the service's endpoint: {error}")),
        }
    }
    match (kind, config.pid) {
        (ProfileKind::Cpu, Some(pid)) => {
            let pids = Service::new(pid, &[], None).pids();
            let perf = Perf::start(&pids, f64::from(config.seconds)).and_then(Perf::finish);
            return perf.map_err(|error| also(&tried, error.to_string()));
        }
        (ProfileKind::OffCpu, Some(pid)) => return by_states(config, pid).map_err(|why| also(&tried, why)),
        (ProfileKind::Heap | ProfileKind::Block, Some(_)) => {
            tried.push("only the service itself knows it: give its admin listener (--admin)".to_owned());
        }
        (_, None) if config.endpoint.is_none() => {
            tried.push("name the process (--pid) or the service's admin listener (--admin)".to_owned());
        }
        (_, None) => {}
    }
    Err(tried.join("; "))
}

/// A service takes one profile at a time. Where both are wanted, that of the CPU is the one that only it can take well;
/// off-CPU time is seen from outside as well, if the process is known.
fn gives_way(config: &TakeConfig, kind: ProfileKind) -> bool {
    kind == ProfileKind::OffCpu && config.pid.is_some() && config.kinds.contains(&ProfileKind::Cpu)
}

fn also(tried: &[String], why: String) -> String {
    tried.iter().cloned().chain([why]).collect::<Vec<_>>().join("; ")
}

fn by_states(config: &TakeConfig, pid: u32) -> Result<Profile, String> {
    let origin = clock::now();
    let watcher = Watcher::start(Service::new(pid, &[], None), WatchConfig::default(), origin);
    clock::pause(Duration::from_secs(u64::from(config.seconds)));
    let window = Window::between(&watcher.stop(), 0.0, f64::INFINITY);
    window.map(|window| states::off_cpu(&window)).ok_or_else(|| format!("process {pid} is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pid: Option<u32>, kinds: &[ProfileKind]) -> TakeConfig {
        TakeConfig { load: None, pid, endpoint: None, kinds: kinds.to_vec(), seconds: 1 }
    }

    #[test]
    fn threads_of_any_process_show_where_they_wait() {
        let taken =
            take(&config(Some(std::process::id()), &[ProfileKind::OffCpu, ProfileKind::Heap]), &mut |_| {})
                .unwrap();
        assert_eq!(taken.profiles.len(), 1, "{:?}", taken.missing);
        assert!(taken.profiles[0].total > 0.0);
        assert!(taken.missing[0].contains("--admin"), "{:?}", taken.missing);
    }
    #[test]
    fn without_a_process_or_an_endpoint_nothing_can_be_had() {
        let taken = take(&config(None, &[ProfileKind::Cpu]), &mut |_| {}).unwrap();
        assert!(taken.profiles.is_empty() && taken.missing[0].contains("--pid"), "{:?}", taken.missing);
    }
}
