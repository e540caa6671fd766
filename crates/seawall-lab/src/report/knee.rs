//! The section on the knee: the probes over time, latency against load, and the percentile curve.

use std::fmt::Write as _;

use super::chart::{Axis, Chart, Kind, Look, Shape, Tone, Unit};
use super::data::{AtKnee, KneePhase, LoadPoint, Report};
use super::format::{bytes, escape, millis, number, percent};
use super::page::{knee_words, open_section};
use crate::search::{Judgement, Slo, Stage};

const TIME: Axis = Axis { label: "time since the run began, s", kind: Kind::Linear, unit: Unit::Seconds };
const RATE: Axis = Axis { label: "requests/s", kind: Kind::Linear, unit: Unit::PerSecond };
const LATENCY: Axis = Axis { label: "latency, ms", kind: Kind::Log, unit: Unit::Millis };

pub(super) fn section(out: &mut String, report: &Report) {
    let Some(knee) = &report.knee else { return };
    let lead = format!(
        "{} is asked for at rising rates until p99 passes {} ms, errors pass {} or less than {} of the rate is answered. \
         Then the gap is halved. Result: {}.",
        knee.target,
        number(report.slo.p99_ms),
        percent(report.slo.max_error_rate),
        percent(report.slo.min_achieved),
        knee_words(knee)
    );
    open_section(out, "knee", "Finding the knee", &lead);
    out.push_str("<div class=\"charts\">");
    out.push_str(&throughput(knee).figure());
    out.push_str(&latency(knee, &report.slo).figure());
    out.push_str(&against_load(knee, &report.slo).figure());
    out.push_str(&percentiles(knee.at_knee.as_ref()).figure());
    out.push_str("</div>");
    if let Some(at) = &knee.at_knee {
        numbers(out, at);
    }
    table(out, knee);
    out.push_str("</section>\n");
}

fn tone(judgement: Judgement) -> Tone {
    match judgement {
        Judgement::Pass => Tone::Green,
        Judgement::Fail => Tone::Red,
        Judgement::Marginal => Tone::Amber,
        Judgement::Invalid => Tone::Grey,
    }
}

fn word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Pass => "pass",
        Judgement::Fail => "fail",
        Judgement::Marginal => "marginal",
        Judgement::Invalid => "invalid",
    }
}

/// The probes as ribbons, their warm-ups greyed.
fn with_probes(mut chart: Chart, knee: &KneePhase) -> Chart {
    for probe in &knee.probes {
        chart = chart.region(probe.start_s, probe.measured_from_s, Tone::Grey, Look::Muted, "").region(
            probe.start_s,
            probe.end_s,
            tone(probe.judgement),
            Look::Ribbon,
            "",
        );
    }
    let words = [
        (Judgement::Pass, "probe passed"),
        (Judgement::Fail, "probe failed"),
        (Judgement::Marginal, "too close to say"),
        (Judgement::Invalid, "did not count"),
    ];
    for (judgement, name) in words {
        if knee.probes.iter().any(|p| p.judgement == judgement) {
            chart = chart.key(name, tone(judgement));
        }
    }
    chart
}

/// Each tick as a level from its begin to its end, with a gap wherever the load paused between two probes.
fn series<'a>(
    knee: &'a KneePhase,
    value: impl Fn(&LoadPoint) -> f64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let points = &knee.timeline;
    points.iter().enumerate().flat_map(move |(i, point)| {
        let end = point.t_s + point.length_s;
        let pauses = points.get(i + 1).is_some_and(|next| next.t_s - end > 0.02);
        let gap = pauses.then_some((end, f64::NAN));
        [(point.t_s, value(point)), (end, value(point))].into_iter().chain(gap)
    })
}

fn throughput(knee: &KneePhase) -> Chart {
    let chart = Chart::new(
        "throughput",
        "Throughput over time",
        "Each step is one probe at one rate. The ribbon on top is its verdict.",
        TIME,
        RATE,
    )
    .full_width()
    .group("knee", span(knee))
    .series("answered", Tone::Blue, Shape::Area, series(knee, |p| p.achieved_rps))
    .series("offered", Tone::Grey, Shape::Dashed, series(knee, |p| p.offered_rps));
    let failed = knee.timeline.iter().any(|p| p.errors_per_s > 0.0);
    let chart = if failed {
        chart.series("errors", Tone::Red, Shape::Line, series(knee, |p| p.errors_per_s))
    } else {
        chart
    };
    with_probes(chart, knee)
}

fn latency(knee: &KneePhase, slo: &Slo) -> Chart {
    let chart = Chart::new(
        "latency",
        "Latency over time",
        "From the moment each request was due, so a stalled service cannot hide its queue.",
        TIME,
        LATENCY,
    )
    .full_width()
    .group("knee", span(knee))
    .series("p99", Tone::Violet, Shape::Line, series(knee, |p| p.p99_ms.unwrap_or(f64::NAN)))
    .series("p50", Tone::Teal, Shape::Line, series(knee, |p| p.p50_ms.unwrap_or(f64::NAN)))
    .guide(slo.p99_ms, Tone::Red, format!("objective: p99 < {} ms", number(slo.p99_ms)));
    with_probes(chart, knee)
}

fn span(knee: &KneePhase) -> Option<(f64, f64)> {
    let start = knee.probes.first().map(|p| p.start_s).or(knee.timeline.first().map(|p| p.t_s))?;
    let end = knee.probes.last().map(|p| p.end_s).or(knee.timeline.last().map(|p| p.t_s))?;
    Some((start, end))
}

fn against_load(knee: &KneePhase, slo: &Slo) -> Chart {
    let x = Axis { label: "offered load, requests/s", kind: Kind::Log, unit: Unit::PerSecond };
    let of = |which: Judgement, value: fn(&super::data::Probe) -> Option<f64>| {
        let mut points: Vec<(f64, f64)> = knee
            .probes
            .iter()
            .filter(|p| p.judgement == which)
            .filter_map(|p| value(p).map(|ms| (p.offered_rps, ms)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let medians = medians(&knee.probes);
    let chart = Chart::new(
        "against-load",
        "Latency against load",
        "One dot per probe. The knee lies where the dots cross the objective.",
        x,
        LATENCY,
    )
    .series("p50", Tone::Teal, Shape::Line, medians)
    .series("p99, passed", Tone::Green, Shape::Dots, of(Judgement::Pass, |p| p.p99_ms))
    .series("p99, failed", Tone::Red, Shape::Dots, of(Judgement::Fail, |p| p.p99_ms))
    .series("p99, too close to say", Tone::Amber, Shape::Dots, of(Judgement::Marginal, |p| p.p99_ms))
    .series("p99, did not count", Tone::Grey, Shape::Dots, of(Judgement::Invalid, |p| p.p99_ms))
    .guide(slo.p99_ms, Tone::Red, format!("objective: p99 < {} ms", number(slo.p99_ms)));
    match (knee.lo_rps, knee.hi_rps) {
        (Some(lo), Some(hi)) => {
            chart.region(lo, hi, Tone::Blue, Look::Strong, &format!("knee {} – {}", number(lo), number(hi)))
        }
        _ => chart,
    }
}

/// p50 at each rate in rising order; of several probes at one rate the middle one, so that the line goes up or down only
/// with the load.
fn medians(probes: &[super::data::Probe]) -> Vec<(f64, f64)> {
    let counted = probes.iter().filter(|p| p.judgement != Judgement::Invalid);
    let mut points: Vec<(f64, f64)> =
        counted.filter_map(|p| p.p50_ms.map(|ms| (p.offered_rps, ms))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    points.chunk_by(|a, b| a.0 == b.0).map(|same| same[same.len() / 2]).collect()
}

fn percentiles(at: Option<&AtKnee>) -> Chart {
    let x = Axis { label: "percentile", kind: Kind::Log, unit: Unit::Quantile };
    let y = Axis { label: "latency, ms", kind: Kind::Log, unit: Unit::Millis };
    let about = at.map_or_else(String::new, |at| {
        format!(
            "At {} requests/s. The gap between the curves is time spent waiting to be sent.",
            number(at.rps)
        )
    });
    let curve = |points: &[super::data::Quantile]| -> Vec<(f64, f64)> {
        points.iter().filter(|p| p.q < 1.0).map(|p| (1.0 / (1.0 - p.q), p.ms)).collect()
    };
    let chart = Chart::new("percentiles", "Percentiles at the knee", about, x, y);
    let Some(at) = at else { return chart };
    chart.series("from the intended send time", Tone::Violet, Shape::Line, curve(&at.intended)).series(
        "from the real send time",
        Tone::Teal,
        Shape::Line,
        curve(&at.service),
    )
}

/// Everything measured at the knee, as a list to read and to copy from.
fn numbers(out: &mut String, at: &AtKnee) {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        all.extend(at.intended_ms(q).map(|ms| (format!("Latency {name}"), millis(ms))));
    }
    if let Some(cost) = &at.cost {
        all.push(("CPU per request, user".into(), millis(cost.cpu_user_us / 1000.0)));
        all.push(("CPU per request, kernel".into(), millis(cost.cpu_sys_us / 1000.0)));
        all.push(("Context switches per request, voluntary".into(), number(cost.voluntary_switches)));
        all.push(("Context switches per request, involuntary".into(), number(cost.involuntary_switches)));
        all.push(("Resident memory".into(), bytes(cost.rss_bytes as f64)));
        all.extend(
            cost.generator_cpu_us.map(|us| ("CPU per request, generator".into(), millis(us / 1000.0))),
        );
    }
    for one in &at.waiting {
        all.push((
            format!("Waiting, {}", one.name),
            format!("{} on average, {} at most", number(one.mean), number(one.max)),
        ));
    }
    let _ = write!(
        out,
        "<div class=\"card numbers\"><h3>At the knee, {} requests/s</h3><dl class=\"facts\">",
        number(at.rps)
    );
    for (name, value) in all {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&name), escape(&value));
    }
    out.push_str("</dl></div>");
}

fn table(out: &mut String, knee: &KneePhase) {
    let _ = write!(
        out,
        "<details><summary>All {} probes</summary><div class=\"scroll\"><table><thead><tr><th>Begin</th><th>Why</th>\
         <th class=\"num\">Offered</th><th class=\"num\">Answered</th><th class=\"num\">p50</th><th class=\"num\">p99</th>\
         <th class=\"num\">Errors</th><th>Verdict</th><th>Reason</th></tr></thead><tbody>",
        knee.probes.len()
    );
    for probe in &knee.probes {
        let stage = match probe.stage {
            Stage::Ramp => "ramp",
            Stage::Bisect => "bisect",
            Stage::Confirm => "confirm",
            Stage::Repeat => "repeat",
        };
        let ms = |value: Option<f64>| value.map_or_else(|| "–".into(), millis);
        let _ = write!(
            out,
            "<tr><td>{:.1} s</td><td>{stage}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td><span class=\"pill {}\">{}</span></td><td>{}</td></tr>",
            probe.start_s,
            number(probe.offered_rps),
            number(probe.achieved_rps),
            ms(probe.p50_ms),
            ms(probe.p99_ms),
            percent(probe.error_rate),
            word(probe.judgement),
            word(probe.judgement),
            escape(&probe.reasons.join("; "))
        );
    }
    out.push_str("</tbody></table></div></details>");
}
