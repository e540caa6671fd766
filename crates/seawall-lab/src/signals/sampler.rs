//! Samples a process, and optionally a signals endpoint, at an interval on a thread of its own.
//!
//! The series is bounded: when it is full, every second sample is dropped and the interval doubles, so a long run keeps
//! its whole length at a coarser grain. A sample that fails is left out; the process may be starting or ending.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use seawall_core::ConfigError;

use super::{ProcessSample, http, proc_fs};
use crate::clock;

/// What to sample and how often. Checked by [`Sampler::start`].
#[derive(Debug, Clone)]
pub struct SamplerConfig {
    /// The process.
    pub pid: u32,
    /// Time between samples, 10 ms to 60 s. Default 250 ms.
    pub interval: Duration,
    /// Samples kept at most, 4 to 100,000. Default 2,000.
    pub capacity: usize,
    /// The service's admin listener, if it has one: `/debug/seawall/signals` is fetched with every sample.
    pub admin: Option<SocketAddr>,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self { pid: 0, interval: Duration::from_millis(250), capacity: 2000, admin: None }
    }
}

/// A process's counters at a moment, seconds since the origin the sampler was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Seconds.
    pub t_s: f64,
    /// The counters.
    pub process: ProcessSample,
}

/// Everything sampled so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// The process, in rising order of time.
    pub samples: Vec<Sample>,
    /// Numbers of the signals endpoint by path (`queues.orders.depth`): (seconds, value).
    pub gauges: BTreeMap<String, Vec<(f64, f64)>>,
}

/// Different numbers of one endpoint kept at most; more are ignored.
const MAX_GAUGES: usize = 128;
/// How long the endpoint may take to answer before the sample goes on without it.
const ADMIN_TIMEOUT: Duration = Duration::from_millis(500);

/// A running sampler. Dropping it stops its thread and throws the series away; [`Sampler::stop`] returns it.
#[derive(Debug)]
pub struct Sampler {
    stop: Option<mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<Series>>,
}

impl Sampler {
    /// Starts sampling; times count from `origin`.
    ///
    /// # Errors
    /// When the interval or the capacity is out of range.
    ///
    /// # Panics
    /// When the system cannot start a thread.
    pub fn start(config: &SamplerConfig, origin: Instant) -> Result<Self, ConfigError> {
        let SamplerConfig { pid, interval, capacity, admin } = *config;
        if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&interval) {
            return Err(ConfigError::new("sampler.interval", format!("{interval:?}"), "10 ms to 60 s"));
        }
        if !(4..=100_000).contains(&capacity) {
            return Err(ConfigError::new("sampler.capacity", capacity, "4 to 100,000"));
        }
        let (stop, stopped) = mpsc::sync_channel(0);
        let work = move || run(pid, interval, capacity, admin, origin, &stopped);
        let thread = std::thread::Builder::new().name("lab-sampler".into()).spawn(work);
        let thread = thread.expect("a process that cannot start one thread cannot measure another");
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Takes a last sample, stops, and returns the series. Takes as long as one sample.
    pub fn stop(mut self) -> Series {
        self.stop = None; // the closed channel is the signal
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    pid: u32,
    mut interval: Duration,
    capacity: usize,
    admin: Option<SocketAddr>,
    origin: Instant,
    stopped: &mpsc::Receiver<()>,
) -> Series {
    let mut series = Series::default();
    let mut due = clock::now();
    loop {
        let t_s = clock::now().saturating_duration_since(origin).as_secs_f64();
        if let Ok(process) = proc_fs::read(pid) {
            series.samples.push(Sample { t_s, process });
        }
        if let Some(numbers) = admin.and_then(|admin| http::signals(admin, ADMIN_TIMEOUT).ok()) {
            series.add(t_s, numbers);
        }
        if series.halve_when_full(capacity) {
            interval *= 2;
        }
        // Late once does not mean a burst later: the next sample is never nearer than half an interval.
        due = (due + interval).max(clock::now() + interval / 2);
        match stopped.recv_timeout(due.saturating_duration_since(clock::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Ok(process) = proc_fs::read(pid) {
        let t_s = clock::now().saturating_duration_since(origin).as_secs_f64();
        series.samples.push(Sample { t_s, process });
    }
    series
}

impl Series {
    fn add(&mut self, t_s: f64, numbers: Vec<(String, f64)>) {
        for (name, value) in numbers {
            let room = self.gauges.len() < MAX_GAUGES;
            if room || self.gauges.contains_key(&name) {
                self.gauges.entry(name).or_default().push((t_s, value));
            }
        }
    }

    fn halve_when_full(&mut self, capacity: usize) -> bool {
        let longest = self.gauges.values().map(Vec::len).max().unwrap_or(0).max(self.samples.len());
        if longest < capacity {
            return false;
        }
        halve(&mut self.samples);
        self.gauges.values_mut().for_each(halve);
        true
    }
}

fn halve<T>(series: &mut Vec<T>) {
    let mut keep = false;
    series.retain(|_| {
        keep = !keep;
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_series_keeps_its_whole_length_at_half_the_grain() {
        let sample = |i: u32| Sample { t_s: f64::from(i), process: ProcessSample::default() };
        let mut series = Series { samples: (0..8).map(sample).collect(), gauges: BTreeMap::new() };
        series.add(1.0, vec![("q".into(), 1.0)]);
        assert!(!series.clone().halve_when_full(9));
        assert!(series.halve_when_full(8));
        assert_eq!(series.samples.iter().map(|s| s.t_s).collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(series.gauges["q"].len(), 1);
    }

    #[test]
    fn the_number_of_gauges_is_bounded() {
        let mut series = Series::default();
        series.add(0.0, (0..1000).map(|i| (format!("g{i}"), 0.0)).collect());
        assert_eq!(series.gauges.len(), MAX_GAUGES);
    }

    #[test]
    fn samples_this_process_until_stopped() {
        let origin = clock::now();
        let config = SamplerConfig {
            pid: std::process::id(),
            interval: Duration::from_millis(10),
            ..SamplerConfig::default()
        };
        let series = Sampler::start(&config, origin).unwrap().stop();
        assert!(series.samples.len() >= 2, "one at the start and one at the stop");
        assert!(series.samples.windows(2).all(|pair| pair[0].t_s <= pair[1].t_s));
    }

    #[test]
    fn a_process_that_is_gone_gives_an_empty_series() {
        let config = SamplerConfig { pid: u32::MAX, ..SamplerConfig::default() };
        assert_eq!(Sampler::start(&config, clock::now()).unwrap().stop(), Series::default());
    }

    #[test]
    fn refuses_an_interval_of_nothing() {
        let config = SamplerConfig { interval: Duration::ZERO, ..SamplerConfig::default() };
        assert_eq!(Sampler::start(&config, clock::now()).unwrap_err().field(), "sampler.interval");
    }
}
