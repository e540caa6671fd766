//! What the process has used up of its memory, file handles and processor time, read once a second. Close to the end of
//! one of them nothing new is begun: it is the last line, behind admission and the hard cap.

use std::convert::Infallible;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seawall_guard::{Pressure, Readings, Rejected};
use tokio::time::{MissedTickBehavior, interval};

use super::config::open_file_limit;
use crate::clock;

/// What may be short, as [`Rejected::UnderPressure`] calls it.
const RESOURCES: [&str; 3] = ["memory", "processor time", "file handles"];

/// What is short at this moment, for all workers to see.
#[derive(Debug, Default)]
pub(super) struct UnderPressure(AtomicUsize);

impl UnderPressure {
    /// The resource that is nearly used up, if one is.
    pub(super) fn resource(&self) -> Option<&'static str> {
        RESOURCES.get(self.0.load(Relaxed).wrapping_sub(1)).copied()
    }

    fn set(&self, resource: Option<&str>) {
        let number = resource.and_then(|short| RESOURCES.iter().position(|known| *known == short));
        let number = number.map_or(0, |at| at + 1);
        let before = self.0.swap(number, Relaxed);
        if before == number {
            return;
        }
        match resource {
            Some(resource) => {
                tracing::error!(resource, "nearly used up: requests are refused until there is more")
            }
            None => tracing::info!("there is enough again of what was nearly used up"),
        }
    }
}

/// Reads once a second, for as long as it is polled.
pub(super) async fn watch(pressure: Arc<Mutex<Pressure>>, found: Arc<UnderPressure>) -> Infallible {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut busy = Busy::default();
    loop {
        seconds.tick().await;
        let fds = file_handles();
        let readings = Readings { memory: memory(), cpu: busy.read(clock::now()), fds };
        let checked = {
            let mut pressure = pressure.lock();
            pressure.read(&readings);
            pressure.check()
        };
        found.set(match checked {
            Err(Rejected::UnderPressure { resource }) => Some(resource),
            Ok(()) | Err(_) => None,
        });
    }
}

/// The share of memory in use: of the cgroup if that has a limit, else of the machine. What the kernel would give back
/// at once does not count.
fn memory() -> Option<f64> {
    let read = |name| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let of_cgroup = || cgroup_share(&read("memory.max")?, &read("memory.current")?, &read("memory.stat")?);
    of_cgroup().or_else(|| machine_share(&fs::read_to_string("/proc/meminfo").ok()?))
}

fn cgroup_share(max: &str, current: &str, stat: &str) -> Option<f64> {
    let max: f64 = max.trim().parse().ok()?; // "max" is no limit
    let current: f64 = current.trim().parse().ok()?;
    let reclaimable = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let reclaimable: f64 = reclaimable.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0.0);
    (max > 0.0).then(|| (current - reclaimable).max(0.0) / max)
}

fn machine_share(meminfo: &str) -> Option<f64> {
    let kib = |name: &str| -> Option<f64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let total = kib("MemTotal:")?;
    (total > 0.0).then_some(1.0 - kib("MemAvailable:")? / total)
}

/// The share of file handles in use. The kernel hands out the lowest free number, so the number of a file that is opened
/// now says how many are in use; holes below it can only make it too small, and are filled first.
fn file_handles() -> Option<f64> {
    let probe = File::open("/proc/self/limits").ok()?;
    Some(f64::from(probe.as_raw_fd()) / open_file_limit() as f64)
}

/// The share of processor time, over the last five readings.
#[derive(Default)]
struct Busy {
    readings: [Option<(Instant, f64)>; 5],
    next: usize,
}

/// The kernel's clock ticks, as everything in `/proc` counts time on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

impl Busy {
    fn read(&mut self, now: Instant) -> Option<f64> {
        let used = cpu_seconds(&fs::read_to_string("/proc/self/stat").ok()?)?;
        self.share(now, used, cores())
    }

    fn share(&mut self, now: Instant, used: f64, cores: f64) -> Option<f64> {
        let oldest = self.readings[self.next].replace((now, used));
        self.next = (self.next + 1) % self.readings.len();
        let (then, before) = oldest?;
        let passed = now.saturating_duration_since(then).as_secs_f64();
        (passed > 0.0).then(|| (used - before) / (passed * cores))
    }
}

/// Processor time of the process, from `/proc/self/stat`: fields 14 and 15, counted behind the name, which may hold
/// anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// What the cgroup allows, else what the machine has.
fn cores() -> f64 {
    let quota = fs::read_to_string("/sys/fs/cgroup/cpu.max").ok();
    let quota = quota.and_then(|text| quota_cores(&text));
    quota.unwrap_or_else(|| thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64))
}

fn quota_cores(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_seen_until_it_is_not() {
        let found = UnderPressure::default();
        assert_eq!(found.resource(), None);
        found.set(Some("file handles"));
        assert_eq!(found.resource(), Some("file handles"));
        found.set(None);
        assert_eq!(found.resource(), None);
    }

    #[test]
    fn memory_that_can_be_given_back_does_not_count() {
        let stat = "anon 100\ninactive_file 300\n";
        assert_eq!(cgroup_share("1000\n", "800\n", stat), Some(0.5));
        assert_eq!(cgroup_share("max\n", "800\n", stat), None);
        let meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n";
        assert_eq!(machine_share(meminfo), Some(0.75));
        assert_eq!(machine_share(""), None);
    }

    #[test]
    fn processor_time_is_read_behind_a_name_with_anything_in_it() {
        let stat = "42 (a b) c) S 1 1 1 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(quota_cores("150000 100000\n"), Some(1.5));
        assert_eq!(quota_cores("max 100000\n"), None);
    }

    #[test]
    fn its_share_is_over_five_readings() {
        let (start, mut busy) = (clock::now(), Busy::default());
        let shares: Vec<_> = (0..8u32)
            .map(|second| busy.share(start + Duration::from_secs(second.into()), f64::from(second), 2.0))
            .collect();
        assert_eq!(shares[..5], [None; 5]);
        assert_eq!(shares[5..], [Some(0.5); 3]);
    }

    #[test]
    fn this_process_has_files_and_memory_left() {
        assert!(memory().is_some_and(|share| (0.0..1.0).contains(&share)));
        assert!(file_handles().is_some_and(|share| share < 0.9));
    }
}
