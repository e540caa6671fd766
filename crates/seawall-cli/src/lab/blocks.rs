//! Blocks of load on builds: start one, warm it up, measure, look inside, end it; and the whole plan of a comparison.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use seawall_lab::compare::{
    Block, CompareConfig, Metric, Pair, Side, SignalPair, join, means, order, signal_differences,
};
use seawall_lab::diagnose::find_service;
use seawall_lab::profile::Profile;
use seawall_lab::profile::fetch::Endpoint;
use seawall_lab::report::lab::{ProfilePair, Recorder};
use seawall_lab::signals::series::{PhaseSpan, SignalSeries};
use seawall_lab::stats::{Counts, Random};
use seawall_load::{Load, LoadConfig, Mode, Report, WarmUp};

use super::inside::{self, Rates, Watch};
use super::server::{Launch, Server};
use crate::demo::clock;
use crate::demo::progress::{Phase, Progress};

/// What each block is.
#[derive(Debug)]
pub(crate) struct BlockPlan {
    /// The load; warm-up and length included.
    pub(crate) load: LoadConfig,
    /// Where logs go.
    pub(crate) dir: PathBuf,
    /// Ends what is running.
    pub(crate) interrupt: Arc<AtomicBool>,
    /// When the whole began.
    pub(crate) origin: Instant,
}

/// What is looked at besides what the generator sees. By default nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// The signals of each block, once a second.
    pub(crate) signals: bool,
    /// After the pairs, a CPU profile of each build under the same load, this long, seconds.
    pub(crate) profile: Option<u32>,
    /// The admin listener that both builds have, if they have one.
    pub(crate) endpoint: Option<Endpoint>,
}

/// One block that was measured.
pub(crate) struct Measured {
    pub(crate) block: Block,
    pub(crate) report: Report,
    signals: Option<SignalSeries>,
    /// Seconds since the whole began.
    pub(crate) start_s: f64,
}

impl BlockPlan {
    /// Runs one block.
    ///
    /// # Errors
    /// When the build does not come up or dies, or the generator cannot work.
    pub(crate) fn run(&self, launch: &Launch) -> Result<Measured> {
        self.run_seen(launch, &Look::default())
    }

    fn run_seen(&self, launch: &Launch, look: &Look) -> Result<Measured> {
        let log = self.dir.join("build.log");
        let mut server = Server::start(launch, &self.load.url, &log)?;
        let load = Load::new(&self.load)?;
        let start_s = self.now_s();
        let watch = look.signals.then(|| {
            let pid = self.service(&server);
            Watch::start(pid, &self.load.url, look.endpoint.as_ref(), Rates::Light, self.origin)
        });
        let mut cpu_from = server.cpu_seconds();
        let report = load.run(&mut |tick| {
            if tick.warmup {
                cpu_from = server.cpu_seconds();
            }
        })?;
        let cpu_s = server.cpu_seconds() - cpu_from;
        if !server.is_alive() && !report.interrupted {
            bail!("`{}` died under load:\n{}", launch.name, server.log_tail());
        }
        let phase = PhaseSpan { name: launch.name.clone(), start_s, end_s: self.now_s() };
        let signals = watch.and_then(|watch| watch.stop(vec![phase]));
        server.stop();
        let mut block = block(&report, cpu_s);
        if let Some(signals) = &signals {
            block.signals = means(signals, start_s + report.warmup_s);
        }
        Ok(Measured { block, report, signals, start_s })
    }

    /// Who listens; the shell around it is not the service.
    fn service(&self, server: &Server) -> u32 {
        find_service(&self.load).unwrap_or_else(|| server.pid())
    }

    fn now_s(&self) -> f64 {
        clock::now().saturating_duration_since(self.origin).as_secs_f64()
    }

    /// A CPU profile of a build under the load of a block.
    fn profile(&self, launch: &Launch, endpoint: Option<&Endpoint>, seconds: u32) -> Result<Profile, String> {
        let log = self.dir.join("build.log");
        let server = Server::start(launch, &self.load.url, &log).map_err(|error| error.to_string())?;
        let profile = inside::cpu_profile(&self.load, Some(self.service(&server)), endpoint, seconds);
        server.stop();
        profile.map_err(|why| format!("no CPU profile of {}: {why}", launch.name))
    }

    /// Length of one block with all that belongs to it, for the estimate that is shown.
    fn length(&self) -> Duration {
        let warmup = match self.load.warmup {
            WarmUp::Fixed(time) => time,
            WarmUp::Auto => Duration::from_secs(5),
        };
        self.load.duration + warmup + Duration::from_millis(300)
    }
}

/// What a run says about its build.
fn block(report: &Report, cpu_s: f64) -> Block {
    let ms = |q: f64| report.latency.quantile(q) as f64 / 1e6;
    let mut values =
        BTreeMap::from([(Metric::Throughput, report.rps), (Metric::ErrorRate, report.error_rate())]);
    if report.latency.count() > 0 {
        values.extend([(Metric::P50, ms(0.5)), (Metric::P99, ms(0.99)), (Metric::P999, ms(0.999))]);
    }
    if cpu_s > 0.0 && report.requests > 0 {
        values.insert(Metric::CpuPerRequest, cpu_s * 1e6 / report.requests as f64);
    }
    let mut invalid = if report.is_invalid() { report.validity.reasons.clone() } else { Vec::new() };
    if report.requests == 0 {
        invalid.push("nothing was answered".to_owned());
    }
    let service = if report.mode == Mode::Closed { Counts::default() } else { Counts::of(&report.service) };
    Block { values, latency: Counts::of(&report.latency), service, invalid, ..Block::default() }
}

/// The blocks of a comparison, in the order they ran.
pub(crate) struct Blocks {
    pub(crate) noise: Vec<Pair>,
    pub(crate) pairs: Vec<Pair>,
    /// All of A's runs together.
    pub(crate) a: Option<Report>,
    /// All of B's.
    pub(crate) b: Option<Report>,
    /// What was seen inside both, and where they differ.
    pub(crate) signals: Option<SignalPair>,
    /// Where the CPU went in both.
    pub(crate) profiles: Option<ProfilePair>,
    /// What could not be seen, and why.
    pub(crate) missing: Vec<String>,
}

/// Runs a whole comparison: A with itself, then A and B in turn.
///
/// # Errors
/// As a block's, or when it was interrupted.
pub(crate) fn run(
    plan: &BlockPlan,
    builds: (&Launch, &Launch),
    config: &CompareConfig,
    recorder: &mut Recorder,
    progress: &Progress,
) -> Result<Blocks> {
    run_seen(plan, builds, config, recorder, progress, &Look::default())
}

/// The same, and looks inside both builds meanwhile. Signals are of the pairs; a profile is taken after them, so that it
/// costs no block anything.
///
/// # Errors
/// As [`run`]'s. What cannot be seen is no error.
pub(crate) fn run_seen(
    plan: &BlockPlan,
    (a, b): (&Launch, &Launch),
    config: &CompareConfig,
    recorder: &mut Recorder,
    progress: &Progress,
    look: &Look,
) -> Result<Blocks> {
    let mut random = Random::new(config.seed);
    let noise_order = order(config.noise_pairs, &mut random);
    let order = order(config.pairs, &mut random);
    let phase = progress.phase(&format!("{} and {}", a.name, b.name));
    let total = (noise_order.len() + order.len()) * 2;
    let mut turns =
        Turns { plan, recorder, phase: &phase, total, done: 0, a: Sums::default(), b: Sums::default() };
    let nothing = Look::default();
    let mut noise = Vec::new();
    for (first, _) in noise_order {
        let blocks = (turns.measure(a, Side::A, &nothing)?, turns.measure(a, Side::A, &nothing)?);
        noise.push(paired(first, blocks));
    }
    let mut pairs = Vec::new();
    for (first, second) in order {
        let launch = |side: Side| if side == Side::A { a } else { b };
        let blocks =
            (turns.measure(launch(first), first, look)?, turns.measure(launch(second), second, look)?);
        pairs.push(paired(first, blocks));
    }
    let Turns { a: of_a, b: of_b, .. } = turns;
    let mut missing = Vec::new();
    let signals = signal_pair((a, b), (of_a.signals, of_b.signals), &pairs, config.alpha);
    if look.signals && signals.is_none() {
        missing.push("the processes of the builds could not be looked at: there are no signals".to_owned());
    }
    let profiles = match look.profile {
        None => None,
        Some(seconds) => {
            phase.at(1.0, format!("CPU profiles, {} s", 2 * (seconds + 2)));
            profile_pair(plan, (a, b), look, seconds).map_err(|why| missing.push(why)).ok()
        }
    };
    if plan.interrupt.load(Relaxed) {
        return Err(anyhow!("interrupted"));
    }
    phase.done(&format!("{} pairs, {} pairs of {} with itself", pairs.len(), noise.len(), a.name));
    Ok(Blocks { noise, pairs, a: of_a.report, b: of_b.report, signals, profiles, missing })
}

/// All of one build's blocks together.
#[derive(Default)]
struct Sums {
    report: Option<Report>,
    signals: Vec<SignalSeries>,
}

/// The blocks as they take turns.
struct Turns<'a> {
    plan: &'a BlockPlan,
    recorder: &'a mut Recorder,
    phase: &'a Phase,
    total: usize,
    done: usize,
    a: Sums,
    b: Sums,
}

impl Turns<'_> {
    fn measure(&mut self, launch: &Launch, side: Side, look: &Look) -> Result<Block> {
        let left = self.plan.length() * (self.total - self.done) as u32;
        self.phase.at(
            self.done as f64 / self.total as f64,
            format!("{}, block {} of {}, {} s left", launch.name, self.done + 1, self.total, left.as_secs()),
        );
        let measured = self.plan.run_seen(launch, look)?;
        if self.plan.interrupt.load(Relaxed) {
            return Err(anyhow!("interrupted"));
        }
        self.done += 1;
        self.recorder.add(&launch.name, measured.start_s, &measured.report);
        let sums = if side == Side::A { &mut self.a } else { &mut self.b };
        merge(&mut sums.report, measured.report);
        sums.signals.extend(measured.signals);
        Ok(measured.block)
    }
}

fn signal_pair(
    (a, b): (&Launch, &Launch),
    (of_a, of_b): (Vec<SignalSeries>, Vec<SignalSeries>),
    pairs: &[Pair],
    alpha: f64,
) -> Option<SignalPair> {
    Some(SignalPair {
        a_name: a.name.clone(),
        b_name: b.name.clone(),
        a: join(of_a)?,
        b: join(of_b)?,
        differences: signal_differences(
            pairs.iter().map(|pair| &pair.a),
            pairs.iter().map(|pair| &pair.b),
            alpha,
        ),
    })
}

fn profile_pair(
    plan: &BlockPlan,
    (a, b): (&Launch, &Launch),
    look: &Look,
    seconds: u32,
) -> Result<ProfilePair, String> {
    let endpoint = look.endpoint.as_ref();
    let (of_a, of_b) = (plan.profile(a, endpoint, seconds)?, plan.profile(b, endpoint, seconds)?);
    Ok(inside::cpu_pair((&a.name, of_a), (&b.name, of_b)))
}

/// Two blocks in the order they ran, as a pair.
fn paired(first: Side, (one, two): (Block, Block)) -> Pair {
    if first == Side::A { Pair { a: one, b: two } } else { Pair { a: two, b: one } }
}

/// Adds a run to the sum of those before, as far as objectives look at it.
pub(crate) fn merge(sum: &mut Option<Report>, run: Report) {
    let Some(all) = sum else {
        *sum = Some(run);
        return;
    };
    let seconds = all.duration_s + run.duration_s;
    let mean = |a: f64, b: f64| (a * all.duration_s + b * run.duration_s) / seconds.max(1e-9);
    (all.rps, all.offered_rps) = (mean(all.rps, run.rps), mean(all.offered_rps, run.offered_rps));
    all.duration_s = seconds;
    all.requests += run.requests;
    all.latency.merge(&run.latency);
    all.service.merge(&run.service);
    for (class, count) in run.errors {
        *all.errors.entry(class).or_insert(0) += count;
    }
    all.censored += run.censored;
    all.censored_from_us = match (all.censored_from_us, run.censored_from_us) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}
