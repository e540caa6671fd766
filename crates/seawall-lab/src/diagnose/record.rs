//! The CPU profile of a level: from the service's own endpoint, or by `perf`.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock;
use crate::profile::fetch::Endpoint;
use crate::profile::perf::Perf;
use crate::profile::{Profile, ProfileKind};
use crate::signals::service::Service;

/// A shorter profile says nothing, seconds.
const MIN_PROFILE_S: f64 = 0.3;

/// A profile that is being taken.
pub(super) enum Recording {
    Perf(Perf),
    Fetch(JoinHandle<Result<Profile, String>>),
}

impl Recording {
    /// Begins one for a level of this length, which settles so long before.
    pub(super) fn start(
        endpoint: Option<Endpoint>,
        service: &Service,
        length: Duration,
        settle: Duration,
    ) -> Result<Self, String> {
        let (seconds, pids) = (length.as_secs_f64(), service.pids());
        let started = match endpoint {
            Some(endpoint) => {
                let thread = std::thread::Builder::new().name("lab-profile".into());
                let fetch = thread.spawn(move || own_or_perf(&endpoint, seconds, &pids));
                fetch.map(Self::Fetch).map_err(|why| why.to_string())
            }
            None => Perf::start(&pids, seconds + settle.as_secs_f64())
                .map(Self::Perf)
                .map_err(|why| why.to_string()),
        };
        started.map_err(|why| format!("no CPU profile: {why}"))
    }

    /// Waits for its end.
    pub(super) fn finish(self) -> Result<Profile, String> {
        let profile = match self {
            Self::Perf(perf) => perf.finish().map_err(|error| error.to_string()),
            Self::Fetch(thread) => thread.join().unwrap_or_else(|_| Err("the fetch failed".to_owned())),
        };
        profile.map_err(|why| format!("no CPU profile: {why}"))
    }
}

/// The service's own profile; if it has none, the one that `perf` takes in what is left of the level.
fn own_or_perf(endpoint: &Endpoint, seconds: f64, pids: &[u32]) -> Result<Profile, String> {
    let began = clock::now();
    let own = match endpoint.fetch(ProfileKind::Cpu, seconds.ceil() as u32) {
        Ok(profile) => return Ok(profile),
        Err(why) => why,
    };
    let left = seconds - (clock::now() - began).as_secs_f64();
    if left < MIN_PROFILE_S {
        return Err(format!("the service's own: {own}"));
    }
    let perf = Perf::start(pids, left).and_then(Perf::finish);
    perf.map_err(|why| format!("the service's own: {own}; by perf: {why}"))
}
