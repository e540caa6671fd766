//! The highest load at which a service holds its objectives, as an interval: by rate (open loop) or by connections (closed).
//!
//! The decisions are [`KneeSearch`]'s; here each probe is sent, waited for until its last answer, and judged. A probe lasts
//! until ten requests lie beyond the highest quantile asked for, within its bounds; one that cannot pass any more is ended.

use std::time::{Duration, Instant};

use seawall_load::{LoadConfig, Report, Tick, WarmUp};

use crate::clock;
use crate::load_probe::estimate;
use crate::search::{
    Answer, Axis, EarlyStop, EarlyStopConfig, Ending, Judgement, KneeInterval, KneeProbe, KneeSearch,
    Measurement, Next, Objectives, ProbePoint, ProbeRow, SearchConfig, Stage,
};
use crate::sweep::{self, Sent, SweepError};

/// Of each probe, before it counts.
const SETTLE: Duration = Duration::from_millis(750);
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
    /// It is over: its load, when it began, what came of it.
    Answered(f64, Instant, &'a Report),
    /// It was judged.
    Judged(&'a ProbePoint),
}

/// Searches. Blocks for the budget at most, and one probe.
///
/// # Errors
/// When the configuration is refused, nobody answers, or the generator could not work.
pub fn find_max(
    config: &FindMaxConfig,
    watch: &mut dyn FnMut(FindMaxEvent<'_>),
) -> Result<KneeInterval, SweepError> {
    let mut search = KneeSearch::new(&search_config(config))?;
    let began = clock::now();
    let mut medians = Vec::new();
    while let Next::Probe { rate, stage } = search.next_probe() {
        let load = match config.axis {
            Axis::Rate => rate,
            Axis::Connections => rate.round(),
        };
        watch(FindMaxEvent::Begin(load, stage));
        let Some((sent, ended)) = probe(config, load, medians.is_empty(), watch)? else { break };
        watch(FindMaxEvent::Answered(load, sent.began, &sent.report));
        medians.push((sent.report.latency_us.p50 > 0.0).then_some(sent.report.latency_us.p50 / 1e3));
        let judged = search.record(measurement(config, rate, &sent.report, ended));
        judged.into_iter().for_each(|judged| watch(FindMaxEvent::Judged(judged)));
        if clock::now().saturating_duration_since(began) > config.budget {
            break;
        }
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
        accept_disturbed: true,
        slo: config.objectives.slo(),
        ..SearchConfig::default()
    }
}

/// One probe, and why it was ended early if it was; none when the user ended it.
fn probe(
    config: &FindMaxConfig,
    load: f64,
    is_first: bool,
    watch: &mut dyn FnMut(FindMaxEvent<'_>),
) -> Result<Option<(Sent, Option<String>)>, SweepError> {
    let (shortest, longest) = config.probe;
    let (rate, connections, duration) = match config.axis {
        Axis::Rate => {
            let enough = Duration::from_secs_f64((config.objectives.samples() / load).min(3600.0));
            (Some(load), config.load.connections, enough.clamp(shortest, longest))
        }
        // The rate of a closed loop is known afterwards only.
        Axis::Connections => (None, load as usize, shortest),
    };
    let slo = config.objectives.slo();
    let mut early = EarlyStop::new(EarlyStopConfig {
        min_achieved: slo.min_achieved,
        max_error_rate: slo.max_error_rate,
        planned_s: duration.as_secs_f64(),
        open_loop: rate.is_some(),
        ..EarlyStopConfig::default()
    })?;
    let mut ended = None;
    let warmup = WarmUp::Fixed(SETTLE.min(duration));
    let load = LoadConfig { rate, connections, duration, warmup, ..config.load.clone() };
    let sent = sweep::send(&load, is_first, &mut |tick| {
        watch(FindMaxEvent::Tick(tick));
        if ended.is_none() && !tick.warmup {
            ended = early.see(&row(tick));
            if ended.is_some() {
                tick.stop();
            }
        }
    })?;
    Ok(sent.map(|sent| (sent, ended)))
}

fn row(tick: &Tick) -> ProbeRow {
    let seconds = tick.second().seconds;
    ProbeRow {
        seconds,
        offered: tick.offered_rps * seconds,
        answered: tick.rps * seconds,
        failed: tick.errors as f64,
    }
}

fn measurement(config: &FindMaxConfig, load: f64, report: &Report, ended: Option<String>) -> Measurement {
    let answered = match config.axis {
        Axis::Rate => report.rps,
        Axis::Connections => load,
    };
    let mut further = config.objectives.judge(|quantile| estimate(&report.latency, quantile));
    further.extend(ended.map(|why| (Judgement::Fail, why)));
    Measurement {
        offered_rps: load,
        achieved_rps: answered,
        p99_ms: estimate(&report.latency, 0.99),
        error_rate: report.error_rate(),
        invalid: sweep::reasons(report),
        further,
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
    // One that was outvoted at a load that holds says nothing about what lies above.
    let above = |probe: &&ProbePoint| answer.lo.is_none_or(|lo| probe.rate > lo);
    let invalid = answer.probes.iter().rev().find(|p| p.judgement == Judgement::Invalid && above(p));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Estimate;

    /// Probes at rates, with their verdicts, when the time was over.
    fn out_of_time(lo: f64, probes: &[(f64, Judgement)]) -> KneeInterval {
        let probe = |(rate, judgement): &(f64, Judgement)| ProbePoint {
            rate: *rate,
            stage: Stage::Ramp,
            measured: Measurement {
                offered_rps: *rate,
                achieved_rps: *rate,
                p99_ms: Estimate::exact(1.0),
                error_rate: 0.0,
                invalid: Vec::new(),
                further: Vec::new(),
            },
            judgement: *judgement,
            reasons: vec!["late".to_owned()],
            met_anyway: false,
        };
        let probes: Vec<ProbePoint> = probes.iter().map(probe).collect();
        let medians = vec![None; probes.len()];
        let answer = Answer { lo: Some(lo), hi: None, ending: Ending::OutOfBudget, probes };
        let config = FindMaxConfig {
            load: LoadConfig::default(),
            axis: Axis::Rate,
            objectives: Objectives::parse("p99<50ms").unwrap(),
            start: None,
            precision: 1.05,
            probe: (SETTLE, SETTLE),
            budget: SETTLE,
        };
        interval(&config, &answer, &medians)
    }

    #[test]
    fn a_disturbed_probe_that_was_outvoted_does_not_make_the_answer_invalid() {
        let found = out_of_time(200.0, &[(200.0, Judgement::Invalid), (200.0, Judgement::Pass)]);
        assert!(found.valid && found.reasons.is_empty(), "{found:?}");
    }
    #[test]
    fn a_disturbed_probe_above_does() {
        let found = out_of_time(200.0, &[(200.0, Judgement::Pass), (300.0, Judgement::Invalid)]);
        assert_eq!((found.valid, found.reasons), (false, vec!["late".to_owned()]));
    }
}
