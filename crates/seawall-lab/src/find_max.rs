//! The highest load at which a service holds its objectives, as an interval: by rate (open loop) or by connections (closed).
//!
//! The decisions are [`KneeSearch`]'s; here each probe is sent, waited for until its last answer, and judged. A probe lasts
//! until ten requests lie beyond the highest quantile asked for, within its bounds.

use std::time::Duration;

use seawall_core::ConfigError;
use seawall_load::{Load, LoadConfig, LoadError, Report, Tick, WarmUp};

use crate::clock;
use crate::load_probe::estimate;
use crate::search::{
    Answer, Axis, Ending, Judgement, KneeInterval, KneeProbe, KneeSearch, Measurement, Next, Objectives,
    ProbePoint, SearchConfig, Stage,
};

/// Of each probe, before it counts.
const SETTLE: Duration = Duration::from_millis(750);
/// Between two probes, for what the last one left behind.
const REST: Duration = Duration::from_millis(200);
/// Most connections that a search by connections tries.
const MAX_CONNECTIONS: f64 = 10_000.0;

/// What to search and for how long. Checked by [`find_max`].
#[derive(Debug, Clone)]
pub struct FindMaxConfig {
    /// The request and where it goes; rate, warm-up and duration are the search's own, and connections by [`Axis::Connections`].
    pub load: LoadConfig,
    /// What to move.
    pub axis: Axis,
    /// What must hold.
    pub objectives: Objectives,
    /// The first load, in the unit of the axis. Default 200 requests per second, or 2 connections.
    pub start: Option<f64>,
    /// The search ends when the upper end is at most this many times the lower one. Default 1.05.
    pub precision: f64,
    /// Shortest and longest probe. Default 2 s and 10 s.
    pub probe: (Duration, Duration),
    /// The search begins no probe after this. Default 3 min.
    pub budget: Duration,
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum FindMaxEvent<'a> {
    /// A probe begins at this load.
    Begin(f64, Stage),
    /// A second of it is over.
    Tick(&'a Tick),
    /// It was judged.
    Judged(&'a ProbePoint),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FindMaxError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The generator could not work.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Nobody answers.
    #[error("nothing was answered at {0}")]
    Unreachable(String),
}

/// Searches. Blocks for the budget at most, and one probe.
///
/// # Errors
/// When the configuration is refused, nobody answers, or the generator could not work.
pub fn find_max(
    config: &FindMaxConfig,
    watch: &mut dyn FnMut(FindMaxEvent<'_>),
) -> Result<KneeInterval, FindMaxError> {
    let mut search = KneeSearch::new(&search_config(config))?;
    let began = clock::now();
    let mut medians = Vec::new();
    while let Next::Probe { rate, stage } = search.next_probe() {
        let load = match config.axis {
            Axis::Rate => rate,
            Axis::Connections => rate.round(),
        };
        watch(FindMaxEvent::Begin(load, stage));
        let report = probe(config, load, watch)?;
        if report.sent_total == 0 && medians.is_empty() {
            return Err(FindMaxError::Unreachable(report.url));
        }
        if report.interrupted {
            break;
        }
        medians.push((report.latency_us.p50 > 0.0).then_some(report.latency_us.p50 / 1e3));
        let judged = search.record(measurement(config, rate, &report));
        judged.into_iter().for_each(|judged| watch(FindMaxEvent::Judged(judged)));
        if clock::now().saturating_duration_since(began) > config.budget {
            break;
        }
        clock::pause(REST);
    }
    Ok(interval(config, &search.answer(), &medians))
}

fn search_config(config: &FindMaxConfig) -> SearchConfig {
    let by_rate = config.axis == Axis::Rate;
    SearchConfig {
        start_rps: config.start.unwrap_or(if by_rate { 200.0 } else { 2.0 }),
        max_rps: if by_rate { seawall_load::MAX_RATE } else { MAX_CONNECTIONS },
        growth: if by_rate { 1.5 } else { 2.0 },
        precision: config.precision,
        slo: config.objectives.slo(),
        ..SearchConfig::default()
    }
}

fn probe(
    config: &FindMaxConfig,
    load: f64,
    watch: &mut dyn FnMut(FindMaxEvent<'_>),
) -> Result<Report, FindMaxError> {
    let (shortest, longest) = config.probe;
    let (rate, connections, length) = match config.axis {
        Axis::Rate => {
            let enough = Duration::from_secs_f64((config.objectives.samples() / load).min(3600.0));
            (Some(load), config.load.connections, enough.clamp(shortest, longest))
        }
        // The rate of a closed loop is known afterwards only.
        Axis::Connections => (None, load as usize, shortest),
    };
    let warmup = WarmUp::Fixed(SETTLE.min(length));
    let load = Load::new(&LoadConfig { rate, connections, duration: length, warmup, ..config.load.clone() })?;
    Ok(load.run(&mut |tick| watch(FindMaxEvent::Tick(tick)))?)
}

fn measurement(config: &FindMaxConfig, load: f64, report: &Report) -> Measurement {
    // A closed loop is judged by its latency; of a machine that is shared it says so and counts all the same, unless the
    // generator itself had no reserve.
    let invalid = if report.is_invalid() || report.validity.verdict != seawall_load::Verdict::Valid {
        report.validity.reasons.clone()
    } else {
        Vec::new()
    };
    let answered = match config.axis {
        Axis::Rate => report.rps,
        Axis::Connections => load,
    };
    Measurement {
        offered_rps: load,
        achieved_rps: answered,
        p99_ms: estimate(&report.latency, 0.99),
        error_rate: report.error_rate(),
        invalid,
        further: config.objectives.judge(|quantile| estimate(&report.latency, quantile)),
    }
}

fn interval(config: &FindMaxConfig, answer: &Answer, medians: &[Option<f64>]) -> KneeInterval {
    let whole = |load: f64, up: bool| match config.axis {
        Axis::Rate => load,
        Axis::Connections if up => load.round().max(answer.lo.map_or(0.0, f64::round) + 1.0),
        Axis::Connections => load.round(),
    };
    let probes = answer.probes.iter().zip(medians).map(|(probe, p50_ms)| KneeProbe {
        load: whole(probe.rate, false),
        stage: probe.stage,
        achieved_rps: probe.measured.achieved_rps,
        p50_ms: *p50_ms,
        p99_ms: Some(probe.measured.p99_ms).filter(|p99| p99.value.is_finite()),
        error_rate: probe.measured.error_rate,
        judgement: probe.judgement,
        reasons: probe.reasons.clone(),
    });
    let at_lo = |probe: &&ProbePoint| answer.lo == Some(probe.rate) && probe.judgement == Judgement::Pass;
    let invalid = answer.probes.iter().rev().find(|probe| probe.judgement == Judgement::Invalid);
    let undecided = matches!(answer.ending, Ending::LowerBound)
        || (answer.ending == Ending::OutOfBudget && answer.hi.is_none() && invalid.is_some());
    KneeInterval {
        axis: config.axis,
        lo: answer.lo.map(|lo| whole(lo, false)),
        hi: answer.hi.map(|hi| whole(hi, true)),
        rps_at_lo: answer.probes.iter().rfind(at_lo).map(|probe| probe.measured.achieved_rps),
        ending: answer.ending,
        slo: config.objectives.text.clone(),
        valid: !undecided,
        reasons: if undecided {
            invalid.map(|probe| probe.reasons.clone()).unwrap_or_default()
        } else {
            Vec::new()
        },
        probes: probes.collect(),
    }
}
