//! Blocks of load on builds: start one, warm it up, measure, end it; and the whole plan of a comparison.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use seawall_lab::compare::{Block, CompareConfig, Metric, Pair, Side, order};
use seawall_lab::report::lab::Recorder;
use seawall_lab::stats::{Counts, Random};
use seawall_load::{Load, LoadConfig, Mode, Report, WarmUp};

use super::server::{Launch, Server};
use crate::demo::clock;
use crate::demo::progress::Progress;

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

/// One block that was measured.
pub(crate) struct Measured {
    pub(crate) block: Block,
    pub(crate) report: Report,
    /// Seconds since the whole began.
    pub(crate) start_s: f64,
}

impl BlockPlan {
    /// Runs one block.
    ///
    /// # Errors
    /// When the build does not come up or dies, or the generator cannot work.
    pub(crate) fn run(&self, launch: &Launch) -> Result<Measured> {
        let log = self.dir.join("build.log");
        let mut server = Server::start(launch, &self.load.url, &log)?;
        let load = Load::new(&self.load)?;
        let start_s = clock::now().saturating_duration_since(self.origin).as_secs_f64();
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
        server.stop();
        Ok(Measured { block: block(&report, cpu_s), report, start_s })
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
    Block { values, latency: Counts::of(&report.latency), service, invalid }
}

/// The blocks of a comparison, in the order they ran.
pub(crate) struct Blocks {
    pub(crate) noise: Vec<Pair>,
    pub(crate) pairs: Vec<Pair>,
    /// All of A's runs together.
    pub(crate) a: Option<Report>,
    /// All of B's.
    pub(crate) b: Option<Report>,
}

/// Runs a whole comparison: A with itself, then A and B in turn.
///
/// # Errors
/// As a block's, or when it was interrupted.
pub(crate) fn run(
    plan: &BlockPlan,
    (a, b): (&Launch, &Launch),
    config: &CompareConfig,
    recorder: &mut Recorder,
    progress: &Progress,
) -> Result<Blocks> {
    let mut random = Random::new(config.seed);
    let noise_order = order(config.noise_pairs, &mut random);
    let order = order(config.pairs, &mut random);
    let total = (noise_order.len() + order.len()) * 2;
    let phase = progress.phase(&format!("{} and {}", a.name, b.name));
    let mut done = 0;
    let (mut of_a, mut of_b): (Option<Report>, Option<Report>) = (None, None);
    let mut measure = |launch: &Launch, is_b: bool| -> Result<Block> {
        let left = plan.length() * (total - done) as u32;
        phase.at(
            done as f64 / total as f64,
            format!("{}, block {} of {total}, {} s left", launch.name, done + 1, left.as_secs()),
        );
        let measured = plan.run(launch)?;
        if plan.interrupt.load(Relaxed) {
            return Err(anyhow!("interrupted"));
        }
        done += 1;
        recorder.add(&launch.name, measured.start_s, &measured.report);
        merge(if is_b { &mut of_b } else { &mut of_a }, measured.report);
        Ok(measured.block)
    };
    let mut noise = Vec::new();
    for (first, _) in noise_order {
        let blocks = (measure(a, false)?, measure(a, false)?);
        noise.push(paired(first, blocks));
    }
    let mut pairs = Vec::new();
    for (first, second) in order {
        let launch = |side: Side| if side == Side::A { a } else { b };
        let blocks = (measure(launch(first), first == Side::B)?, measure(launch(second), second == Side::B)?);
        pairs.push(paired(first, blocks));
    }
    phase.done(&format!("{} pairs, {} pairs of {} with itself", pairs.len(), noise.len(), a.name));
    Ok(Blocks { noise, pairs, a: of_a, b: of_b })
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
