//! The knee phase: warm the service, then drive the lab's search with the load generator.
//!
//! The warm-up is a closed loop; what it reaches tells at which rate the search may begin without wasting its time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use seawall_lab::drive::{DriveConfig, Event, Found, find_knee};
use seawall_lab::load_probe::LoadProbe;
use seawall_lab::report::{KneePhase, Phase as Span};
use seawall_lab::search::{Judgement, SearchConfig, Slo, Stage};
use seawall_load::{Load, LoadConfig, WarmUp};

use super::clock;
use super::progress::Progress;
use crate::load::count;

/// Connections of the generator. Enough to keep one core busy many times over.
const CONNECTIONS: usize = 64;
/// The search begins at this share of what the warm-up reached: four steps of the ramp below it.
const START_SHARE: f64 = 0.25;
/// Probes that a search of this shape takes, repetitions included, to divide the time among them.
const USUAL_PROBES: f64 = 19.0;

/// What to load and for how long.
#[derive(Debug, Clone)]
pub(super) struct KneeConfig {
    /// Where the product page is.
    pub(super) url: String,
    /// How the report names it.
    pub(super) target: String,
    /// Seconds for the first search; repetitions take at most half as long again, together.
    pub(super) seconds: f64,
    /// Processors of the generator.
    pub(super) cpus: Vec<usize>,
    /// The objective.
    pub(super) slo: Slo,
    /// Ends what is running now; what follows ends as soon as it begins.
    pub(super) interrupt: Arc<AtomicBool>,
}

/// Warms the service with a closed loop and returns the rate it reached.
pub(super) fn warm(config: &KneeConfig, progress: &Progress) -> Result<f64> {
    let phase = progress.phase("Warming up");
    let length = Duration::from_millis(if config.seconds < 15.0 { 500 } else { 1500 });
    let load = Load::new(&LoadConfig {
        url: config.url.clone(),
        connections: CONNECTIONS,
        threads: config.cpus.len().max(1),
        duration: length,
        warmup: WarmUp::Fixed(Duration::from_millis(250)),
        cpus: Some(config.cpus.clone()),
        interrupt: Arc::clone(&config.interrupt),
        ..LoadConfig::default()
    })?;
    let report = load.run(&mut |tick| {
        let share = tick.planned_s.map_or(0.0, |planned| tick.elapsed_s / planned);
        phase.at(share, format!("{} requests/s", count(tick.rps)));
    })?;
    if report.rps <= 0.0 && !report.interrupted {
        return Err(anyhow!("the service answered nothing while it was warmed: {:?}", report.errors));
    }
    phase.done(&format!("{} requests/s in a closed loop of {CONNECTIONS} connections", count(report.rps)));
    Ok(report.rps)
}

/// Finds the knee; times in the result count from `origin`.
pub(super) fn find(
    config: &KneeConfig,
    warm_rps: f64,
    origin: Instant,
    progress: &Progress,
) -> Result<Found> {
    let probe_s = (config.seconds / USUAL_PROBES).clamp(0.75, 2.5);
    // A probe is short; its first quarter lets the service settle at the new rate.
    let warmup = quarters(probe_s * 0.25);
    let measure = quarters(probe_s - warmup.as_secs_f64() - 0.1);
    let mut probe = LoadProbe::new(
        LoadConfig {
            url: config.url.clone(),
            connections: CONNECTIONS,
            threads: config.cpus.len().max(1),
            duration: measure,
            warmup: WarmUp::Fixed(warmup),
            timeout: Duration::from_secs(2),
            cpus: Some(config.cpus.clone()),
            interrupt: Arc::clone(&config.interrupt),
            ..LoadConfig::default()
        },
        origin,
    );
    let drive = DriveConfig {
        search: SearchConfig {
            start_rps: (warm_rps * START_SHARE).max(50.0),
            invalid_repeats: 1,
            slo: config.slo.clone(),
            ..SearchConfig::default()
        },
        budget_s: config.seconds,
        repeats: 3,
        repeat_budget_s: (config.seconds / 6.0).max(2.0),
    };
    let phase = progress.phase("Finding the knee");
    let began = clock::now();
    let mut doing = String::new();
    let mut watch = |event: Event<'_>| {
        let share = clock::now().saturating_duration_since(began).as_secs_f64() / config.seconds;
        match event {
            Event::Begin { rate, stage, attempt } => {
                let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                doing = format!("{} {} requests/s{again}", stage_word(stage), count(rate));
                phase.at(share, doing.clone());
            }
            Event::Tick(point) => {
                let p99 = point.p99_ms.map_or_else(String::new, |ms| format!(", p99 {ms:.1} ms"));
                phase.at(share, format!("{doing}{p99}"));
            }
            Event::Judged(probe) if probe.judgement == Judgement::Pass => {}
            Event::Judged(probe) => {
                phase.at(share, format!("{} requests/s: {}", count(probe.rate), probe.reasons.join("; ")))
            }
        }
    };
    let found =
        find_knee(&drive, &config.target, &mut probe, &mut watch).map_err(|error| anyhow!("{error}"))?;
    phase.done(&words(&found.phase));
    Ok(found)
}

/// Whole quarters of a second, the generator's grain; at least one.
fn quarters(seconds: f64) -> Duration {
    Duration::from_millis(250) * ((seconds / 0.25).round().max(1.0) as u32)
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Ramp => "trying",
        Stage::Bisect => "halving at",
        Stage::Confirm => "confirming",
        Stage::Repeat => "repeating",
    }
}

/// The result in a line.
pub(super) fn words(knee: &KneePhase) -> String {
    let after = match knee.attempts {
        0 | 1 => String::new(),
        attempts => format!(", after {attempts} attempts"),
    };
    match (knee.lo_rps, knee.hi_rps) {
        (Some(lo), Some(hi)) => format!("between {} and {} requests/s{after}", count(lo), count(hi)),
        (Some(lo), None) => format!("at least {} requests/s, a lower bound{after}", count(lo)),
        (None, Some(hi)) => format!("below {} requests/s{after}", count(hi)),
        (None, None) => format!("not found{after}"),
    }
}

/// The phase as a span of the run.
pub(super) fn span(knee: &KneePhase) -> Option<Span> {
    let (first, last) = (knee.probes.first()?, knee.probes.last()?);
    Some(Span { name: "finding the knee".into(), start_s: first.start_s, end_s: last.end_s })
}
