//! Section 6: where the mean time of a request goes.
//!
//! From outside come the generator's own stages. From inside comes Little's law for threads: threads in a state, divided by the
//! rate, is the time that a request spends on a thread in that state. What no thread accounts for is elsewhere.

use std::fmt::Write as _;

use super::data::{Collected, LabReport, StageTime, WaterStage, Waterfall};
use super::page::{missing, open};
use crate::diagnose::LevelSummary;
use crate::report::format::{escape, millis};
use crate::signals::series::{SignalSeries, ThreadPoint};

/// Name of the phase in which nothing was sent; what threads do there is not a request's.
const IDLE: &str = "idle";

impl WaterStage {
    const ALL: [Self; 9] = [
        Self::ClientLag,
        Self::ClientQueue,
        Self::Connect,
        Self::RunDelay,
        Self::Cpu,
        Self::Lock,
        Self::Io,
        Self::Sleep,
        Self::Elsewhere,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::ClientLag => "generator late",
            Self::ClientQueue => "waiting for a free connection",
            Self::Connect => "connecting",
            Self::RunDelay => "ready, without a CPU",
            Self::Cpu => "on a CPU",
            Self::Lock => "waiting for a lock",
            Self::Io => "in a blocking call",
            Self::Sleep => "sleeping",
            Self::Elsewhere => "no thread: network, queues, pools, other services",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::ClientLag => "w-lag",
            Self::ClientQueue => "w-queue",
            Self::Connect => "w-connect",
            Self::RunDelay => "s-delay",
            Self::Cpu => "s-run",
            Self::Lock => "s-lock",
            Self::Io => "s-io",
            Self::Sleep => "s-sleep",
            Self::Elsewhere => "w-else",
        }
    }
}

/// The waterfall of each level that counts, from what the threads did meanwhile.
pub fn waterfalls(levels: &[LevelSummary], signals: &SignalSeries) -> Vec<Waterfall> {
    let idle =
        signals.phases.iter().find(|phase| phase.name == IDLE).map(|phase| (phase.start_s, phase.end_s));
    let background = idle.map_or([0.0; 5], |span| busy(signals, span));
    let counted = levels.iter().filter(|level| level.invalid.is_empty() && level.rps > 0.0);
    counted
        .filter_map(|level| {
            let total_ms = level.mean_ms.filter(|ms| *ms > 0.0)?;
            let busy = busy(signals, (level.measured_from_s, level.end_s));
            let per_request = |at: usize| (busy[at] - background[at]).max(0.0) / level.rps * 1e3;
            let parts: Vec<f64> = (0..5).map(per_request).collect();
            let sum: f64 = parts.iter().sum();
            // More than the request took is work beside it; what is shown must add up.
            let scale = if sum > total_ms { total_ms / sum } else { 1.0 };
            let order =
                [WaterStage::RunDelay, WaterStage::Cpu, WaterStage::Lock, WaterStage::Io, WaterStage::Sleep];
            let mut stages: Vec<StageTime> = order
                .into_iter()
                .zip(&parts)
                .map(|(stage, ms)| StageTime { stage, ms: ms * scale })
                .collect();
            stages.push(StageTime { stage: WaterStage::Elsewhere, ms: (total_ms - sum * scale).max(0.0) });
            Some(Waterfall { name: level.name.clone(), total_ms, stages })
        })
        .collect()
}

/// Threads in each state on average within a span: run delay, running, lock, blocking call, sleep.
fn busy(signals: &SignalSeries, (from, to): (f64, f64)) -> [f64; 5] {
    let mut sum = [0.0; 5];
    for thread in &signals.threads {
        let within: Vec<&ThreadPoint> =
            thread.points.iter().filter(|p| p.t_s > from && p.t_s <= to + 0.5).collect();
        for point in &within {
            let shares = [point.run_delay, point.running, point.lock, point.io, point.sleep];
            sum.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share / within.len() as f64);
        }
    }
    sum
}

pub(super) fn section(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Where a request's time goes";
    let waterfalls = match &report.waterfall {
        Collected::Data(waterfalls) if !waterfalls.is_empty() => waterfalls,
        Collected::Data(_) => return missing(out, "waterfall", TITLE, "no part of the run counts"),
        Collected::Missing(why) => return missing(out, "waterfall", TITLE, why),
    };
    let lead = "The mean time, by what it was spent on. Threads in a state divided by the rate of answers is the time per request in \
                that state (Little's law).";
    open(out, "waterfall", TITLE, lead);
    out.push_str("<figure class=\"card water\" id=\"water\"><figcaption><h3>Mean time of a request</h3><p>All bars have one scale.</p></figcaption><ul class=\"legend\">");
    let used =
        |stage: WaterStage| waterfalls.iter().flat_map(|w| &w.stages).any(|s| s.stage == stage && s.ms > 0.0);
    for stage in WaterStage::ALL.into_iter().filter(|stage| used(*stage)) {
        let _ =
            write!(out, "<li class=\"key-cell\"><i class=\"{}\"></i>{}</li>", stage.class(), stage.words());
    }
    out.push_str("</ul><div class=\"water-rows\">");
    let longest = waterfalls.iter().map(|w| w.total_ms).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    for one in waterfalls {
        row(out, one, longest);
    }
    out.push_str("</div></figure></section>\n");
}

fn row(out: &mut String, one: &Waterfall, longest: f64) {
    let _ = write!(
        out,
        "<div class=\"water-row\"><span class=\"strip-name\">{}</span><div class=\"water-bar\">",
        escape(&one.name)
    );
    for StageTime { stage, ms } in one.stages.iter().filter(|stage| stage.ms / longest > 0.000_5) {
        let share = ms / longest * 100.0;
        // A text needs about nine characters' room, at least a fourteenth of a wide bar.
        let text = if share >= 9.0 { millis(*ms) } else { String::new() };
        let _ = write!(
            out,
            "<i class=\"{}\" style=\"width:{share:.2}%\" title=\"{}: {}\">{text}</i>",
            stage.class(),
            stage.words(),
            millis(*ms)
        );
    }
    let _ = write!(out, "</div><b>{}</b></div>", millis(one.total_ms));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::series::{EvidenceLevel, PhaseSpan, ThreadSeries};

    fn level(rps: f64, mean_ms: f64) -> LevelSummary {
        LevelSummary {
            name: "8 connections".into(),
            connections: 8,
            start_s: 10.0,
            measured_from_s: 10.0,
            end_s: 20.0,
            rps,
            p50_ms: None,
            p99_ms: None,
            mean_ms: Some(mean_ms),
            error_rate: 0.0,
            cpu_cores: None,
            invalid: vec![],
        }
    }

    /// One thread that is idle until second 10, then runs half of the time and waits for a lock a quarter of it.
    fn signals() -> SignalSeries {
        let point = |t_s: f64| ThreadPoint {
            t_s,
            running: if t_s > 10.0 { 0.6 } else { 0.1 },
            lock: if t_s > 10.0 { 0.25 } else { 0.0 },
            ..ThreadPoint::default()
        };
        SignalSeries {
            evidence: EvidenceLevel::L1,
            cores: 1.0,
            phases: vec![PhaseSpan { name: "idle".into(), start_s: 0.0, end_s: 9.0 }],
            resources: vec![],
            threads: vec![ThreadSeries {
                pid: 1,
                tid: 1,
                name: "worker".into(),
                points: (1..=20).map(|t| point(f64::from(t))).collect(),
            }],
            gauges: vec![],
        }
    }

    fn ms(of: &Waterfall, stage: WaterStage) -> f64 {
        of.stages.iter().find(|s| s.stage == stage).unwrap().ms
    }

    #[test]
    fn threads_in_a_state_over_the_rate_is_the_time_in_it() {
        let found = &waterfalls(&[level(100.0, 20.0)], &signals())[0];
        // Half a thread beyond the idle tenth, over 100 requests a second: 5 ms.
        assert!(
            (ms(found, WaterStage::Cpu) - 5.0).abs() < 1e-9
                && (ms(found, WaterStage::Lock) - 2.5).abs() < 1e-9
        );
        assert!((ms(found, WaterStage::Elsewhere) - 12.5).abs() < 1e-9);
    }
    #[test]
    fn stages_never_add_up_to_more_than_the_request_took() {
        let found = &waterfalls(&[level(100.0, 1.0)], &signals())[0];
        let sum: f64 = found.stages.iter().map(|stage| stage.ms).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{found:?}");
    }
    #[test]
    fn a_level_that_does_not_count_has_no_waterfall() {
        let mut late = level(100.0, 1.0);
        late.invalid.push("generator late".into());
        assert!(waterfalls(&[late, level(0.0, 1.0)], &signals()).is_empty());
    }
}
