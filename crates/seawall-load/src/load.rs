//! [`Load`]: one request, over and over, closed or open loop.

use std::sync::Arc;

use seawall_core::ConfigError;

use crate::config::{Checked, LoadConfig};
use crate::dial::Dial;
use crate::drive::{Plan, Tick, drive};
use crate::engine::EngineConfig;
use crate::engine::work::Repeated;
use crate::error::LoadError;
use crate::report::{Mode, Report, Setup};
use crate::schedule::{Pace, Share};

/// A load run, checked and ready.
///
/// ```no_run
/// use std::time::Duration;
/// use seawall_load::{Load, LoadConfig};
///
/// let config = LoadConfig {
///     url: "http://127.0.0.1:8080/".to_owned(),
///     rate: Some(5_000.0),
///     duration: Duration::from_secs(5),
///     ..LoadConfig::default()
/// };
/// let report = Load::new(&config)?.run(&mut |tick| println!("{:.0} req/s", tick.rps))?;
/// println!("p99 {:.1} us, {:?}", report.latency_us.p99, report.validity.verdict);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Load {
    checked: Checked,
}

impl Load {
    /// Checks the configuration.
    ///
    /// # Errors
    /// Names the first field that cannot be used, its value, and what is allowed.
    pub fn new(config: &LoadConfig) -> Result<Self, ConfigError> {
        Ok(Self { checked: Checked::new(config)? })
    }

    /// Runs it, and blocks until the last answer is there or its time is over. The observer is called once per
    /// second, on this thread; it may end the run with [`Tick::stop`].
    ///
    /// A server that refuses, fails or is slow is counted in the report. If not one connection can be made at the
    /// start, the run ends at once with a report of that.
    ///
    /// # Errors
    /// The host has no address, or the generator itself could not work.
    pub fn run(&self, observer: &mut dyn FnMut(&Tick)) -> Result<Report, LoadError> {
        match self.checked.pace {
            Pace::Closed => self.run_paced::<false>(observer),
            Pace::Rate(..) | Pace::Times(_) => self.run_paced::<true>(observer),
        }
    }

    fn run_paced<const PACED: bool>(&self, observer: &mut dyn FnMut(&Tick)) -> Result<Report, LoadError> {
        let checked = &self.checked;
        let dial = Arc::new(Dial::new(&checked.connect, &checked.target)?);
        let plan = Plan {
            url: checked.target.url.clone(),
            warmup: checked.warmup,
            duration: checked.duration,
            cpus: checked.cpus.clone(),
            interrupt: checked.interrupt.clone(),
            connections: checked.max_conns,
            pace: checked.pace.clone(),
            series_every: checked.series_every,
        };
        let works = (0..checked.threads).map(|thread| self.part::<PACED>(&plan, &dial, thread)).collect();
        let (totals, _) = drive(&plan, works, observer)?;
        let mode = if PACED { Mode::Open } else { Mode::Closed };
        let (connections, threads) = (checked.connections, checked.threads);
        let (url, good_within) = (checked.target.url.clone(), checked.good_within);
        Ok(Report::new(Setup { url, mode, connections, threads, good_within }, totals))
    }

    /// The part of one thread: its share of the connections and of the schedule.
    fn part<const PACED: bool>(
        &self,
        plan: &Plan,
        dial: &Arc<Dial>,
        thread: usize,
    ) -> (EngineConfig, Repeated<PACED>) {
        let checked = &self.checked;
        let threads = checked.threads;
        let conns_of = |whole: usize| part_of(whole as u64, thread, threads) as usize;
        let config = EngineConfig {
            dial: Arc::clone(dial),
            tls: checked.tls.clone(),
            session: Arc::clone(&checked.session),
            threads,
            pipeline: checked.pipeline,
            requests_per_connection: checked.requests_per_connection,
            direct: checked.compiled.direct,
            connections: conns_of(checked.connections),
            max_conns: conns_of(checked.max_conns),
            connect_timeout_ns: checked.connect_timeout.as_nanos() as u64,
            busy_poll: checked.busy_poll,
            good_within_ns: checked.good_within.map(|within| within.as_nanos() as u64),
            drain_ns: checked.timeout.as_nanos() as u64,
            first_window_ns: plan.first_window_ns(),
        };
        let work = Repeated {
            source: checked.compiled.source(checked.seed, thread),
            head: checked.compiled.head,
            number: thread as u64,
            step: threads as u64,
            share: Share::new(&checked.pace, thread, threads),
            timeout: checked.timeout.as_nanos() as u64,
            deadline: checked.deadline.map(|deadline| deadline.as_nanos() as u64),
            left: checked.requests.map_or(u64::MAX, |requests| part_of(requests, thread, threads)),
            start: 0,
        };
        (config, work)
    }
}

/// The part of thread number `thread` when `whole` is divided among `threads`.
fn part_of(whole: u64, thread: usize, threads: usize) -> u64 {
    whole / threads as u64 + u64::from((thread as u64) < whole % threads as u64)
}
