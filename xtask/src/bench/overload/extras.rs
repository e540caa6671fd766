//! What is looked at besides single multiples: a spike and what comes after, refusals although there is room, and
//! memory in a minute of overload.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::cases::{Handler, Peer, refusals};
use super::load::{Length, Pace};
use super::points::Visit;
use super::sums::{self, Row};

/// What a server has to do when all is well, and in a spike.
pub(super) const CALM: f64 = 0.8;
pub(super) const SPIKE: f64 = 10.0;
/// Seconds of warming up, of calm, of the spike, and of calm again.
const LEAD_S: f64 = 1.0;
const CALM_S: f64 = 3.0;
const SPIKE_S: f64 = 5.0;
const AFTER_S: f64 = 8.0;
const STEADY_S: f64 = 10.0;
const MINUTE_S: f64 = 60.0;

/// A spike.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Spike {
    pub(super) server: Peer,
    pub(super) handler: Handler,
    /// Seconds from its end until all is as it was before; absent if that did not come.
    pub(super) recovery_s: Option<f64>,
    /// Good answers in its first second and in all of it, as shares of the capacity.
    pub(super) first_second_share: f64,
    pub(super) share: f64,
    pub(super) capacity: f64,
    /// The p99 that counts as normal.
    pub(super) normal_p99_ms: f64,
    pub(super) begin_s: f64,
    pub(super) end_s: f64,
    pub(super) doubts: Vec<String>,
    pub(super) series: Vec<Row>,
}

/// Load that there is room for, with random gaps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Steady {
    pub(super) server: Peer,
    pub(super) handler: Handler,
    pub(super) offered_x: f64,
    /// Refusals over what was due, and everything that was not good.
    pub(super) refused_share: f64,
    pub(super) not_good_share: f64,
    pub(super) p99_ms: f64,
    pub(super) seconds: f64,
    pub(super) doubts: Vec<String>,
}

/// A minute of overload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Minute {
    pub(super) server: Peer,
    pub(super) handler: Handler,
    pub(super) offered_x: f64,
    pub(super) goodput_share: f64,
    /// Before; the median of the second fifth and of the last; and the most.
    pub(super) rss_start_kib: f64,
    pub(super) rss_early_kib: f64,
    pub(super) rss_late_kib: f64,
    pub(super) rss_max_kib: f64,
    pub(super) doubts: Vec<String>,
}

impl Minute {
    /// Growth between its second fifth and its last.
    pub(super) fn growth(&self) -> f64 {
        self.rss_late_kib / self.rss_early_kib - 1.0
    }
}

/// Calm, a spike, calm.
pub(super) fn spike(visit: &mut Visit) -> Result<Spike> {
    let capacity = visit.capacity()?.rps;
    let part = |seconds: f64, times: f64| format!("{seconds}s:{:.1}", times * capacity);
    let stages = [part(CALM_S, CALM), part(SPIKE_S, SPIKE), part(AFTER_S, CALM)].join(",");
    let length = Length { warmup_ms: (LEAD_S * 1e3) as u32, seconds: 0.0 };
    let run = visit.load(&Pace::Stages(stages), length)?;
    let begin_s = LEAD_S + CALM_S;
    let end_s = begin_s + SPIKE_S;
    let doubts = visit.doubts(&run);
    let series = run.seen.series;
    let normal = sums::normal_p99_us(&series, LEAD_S, begin_s);
    let share = |from, to| sums::good_rps(&series, from, to) / capacity;
    let spike = Spike {
        server: visit.peer,
        handler: visit.handler,
        recovery_s: sums::recovery_s(&series, end_s, normal),
        first_second_share: share(begin_s, begin_s + 1.0),
        share: share(begin_s, end_s),
        capacity,
        normal_p99_ms: normal / 1e3,
        begin_s,
        end_s,
        doubts,
        series,
    };
    let recovery =
        spike.recovery_s.map_or("not recovered".to_owned(), |s| format!("recovered after {s:.2} s"));
    println!(
        "{:<6} {:<14} spike of {SPIKE}x: good {:.1} % of C ({:.1} % in its first second), {recovery}",
        spike.handler.name(),
        spike.server.name(),
        spike.share * 100.0,
        spike.first_second_share * 100.0
    );
    say_doubts(&spike.doubts);
    Ok(spike)
}

/// Load that there is room for.
pub(super) fn steady(visit: &mut Visit) -> Result<Steady> {
    let capacity = visit.capacity()?.rps;
    let length = Length { warmup_ms: 500, seconds: STEADY_S };
    let run = visit.load(&Pace::Poisson(CALM * capacity), length)?;
    let due = (run.seen.offered_rps * run.seen.duration_s).max(1.0);
    let good: u64 = run.seen.good.status.values().sum();
    let steady = Steady {
        server: visit.peer,
        handler: visit.handler,
        offered_x: CALM,
        refused_share: refusals(&run.seen.status) as f64 / due,
        not_good_share: (1.0 - good as f64 / due).max(0.0),
        p99_ms: run.seen.good.success_us.p99 / 1e3,
        seconds: run.seen.duration_s,
        doubts: visit.doubts(&run),
    };
    println!(
        "{:<6} {:<14} {CALM}x with random gaps: refused {:.2} %, p99 {:.1} ms",
        steady.handler.name(),
        steady.server.name(),
        steady.refused_share * 100.0,
        steady.p99_ms
    );
    say_doubts(&steady.doubts);
    Ok(steady)
}

/// A minute of overload.
pub(super) fn minute(visit: &mut Visit) -> Result<Minute> {
    let capacity = visit.capacity()?.rps;
    println!("{:<6} {:<14} a minute at {SPIKE}x", visit.handler.name(), visit.peer.name());
    let length = Length { warmup_ms: 500, seconds: MINUTE_S };
    let run = visit.load(&Pace::Rate(SPIKE * capacity), length)?;
    let fifth = |number: usize| {
        let all = &run.rss_kib;
        super::super::stats::median(all[all.len() * number / 5..all.len() * (number + 1) / 5].to_vec())
    };
    let minute = Minute {
        server: visit.peer,
        handler: visit.handler,
        offered_x: SPIKE,
        goodput_share: visit.handler.work(&run.seen.good.status) / run.seen.duration_s / capacity,
        rss_start_kib: run.rss_start_kib,
        rss_early_kib: fifth(1),
        rss_late_kib: fifth(4),
        rss_max_kib: run.rss_max_kib(),
        doubts: visit.doubts(&run),
    };
    println!(
        "{:<6} {:<14} memory {:.1} MiB before, then {:.1}, at the end {:.1} ({:+.1} %)",
        minute.handler.name(),
        minute.server.name(),
        minute.rss_start_kib / 1024.0,
        minute.rss_early_kib / 1024.0,
        minute.rss_late_kib / 1024.0,
        minute.growth() * 100.0
    );
    say_doubts(&minute.doubts);
    Ok(minute)
}

fn say_doubts(doubts: &[String]) {
    if !doubts.is_empty() {
        println!("  INVALID: {}", doubts.join("; "));
    }
}
