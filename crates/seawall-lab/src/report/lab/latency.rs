//! Sections 3 to 5: the heat map, the percentile spectrum, and latency and throughput against load.

use super::data::{Collected, HeatColumn, LabReport, Spectrum};
use super::load::{GROUP, TIME, span, with_phases};
use super::page::{missing, open};
use crate::artifact::Scale;
use crate::report::Quantile;
use crate::report::chart::{Axis, Chart, Column, Heat, Kind, Look, Shape, Tone, Unit};
use crate::report::format::{escape, number, percent};
use crate::search::{Axis as Moved, Judgement, KneeInterval, KneeProbe};

const LATENCY: Axis = Axis { label: "latency, ms", kind: Kind::Log, unit: Unit::Millis };
/// Builds or levels drawn in one spectrum at most.
const MAX_CURVES: usize = 3;

pub(super) fn heat(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Latency heat map";
    let columns = match &report.heat {
        Collected::Data(columns) => columns,
        Collected::Missing(why) => return missing(out, "heat", TITLE, why),
    };
    let lead = "Every request is in here: the stronger the colour, the more. Two bands mean two kinds of answers, which no percentile shows.";
    open(out, "heat", TITLE, lead);
    out.push_str("<div class=\"charts\">");
    let about = "From the moment each request was due, so a stalled service cannot hide its queue.";
    let chart =
        Chart::new("heat", "Latency over time", about, TIME, LATENCY).full_width().group(GROUP, span(report));
    let cells: Vec<Column> = columns.iter().map(|c| (c.t_s, c.t_s + c.length_s, c.cells.clone())).collect();
    let chart = match Heat::new(&cells, seawall_load::CELLS_PER_OCTAVE) {
        Some(heat) => chart.heat(heat),
        None => chart,
    };
    let chart = chart
        .series("p99.9", Tone::Red, Shape::Line, lines(columns, |c| c.p999_ms))
        .series("p99", Tone::Amber, Shape::Line, lines(columns, |c| c.p99_ms))
        .series("p50", Tone::Teal, Shape::Line, lines(columns, |c| c.p50_ms));
    out.push_str(&with_phases(chart, report).figure());
    out.push_str("</div></section>\n");
}

/// A value at each column's middle, with a gap where the load paused.
fn lines(columns: &[HeatColumn], of: impl Fn(&HeatColumn) -> Option<f64>) -> Vec<(f64, f64)> {
    let mut points = Vec::with_capacity(columns.len());
    for (i, column) in columns.iter().enumerate() {
        points.push((column.t_s + column.length_s / 2.0, of(column).unwrap_or(f64::NAN)));
        let end = column.t_s + column.length_s;
        if columns.get(i + 1).is_some_and(|next| next.t_s - end > 0.05) {
            points.push((end, f64::NAN));
        }
    }
    points
}

pub(super) fn spectrum(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Percentile spectrum";
    let curves = match &report.spectrum {
        Collected::Data(curves) => curves,
        Collected::Missing(why) => return missing(out, "spectrum", TITLE, why),
    };
    let lead = "Each step to the right is ten times rarer. Solid: from the moment a request was due. Dashed: from the moment it \
                was sent; the gap between them is waiting that a closed test would hide.";
    open(out, "spectrum", TITLE, lead);
    out.push_str("<div class=\"charts\">");
    let x = Axis { label: "percentile", kind: Kind::Log, unit: Unit::Quantile };
    let about = "All measured requests together.";
    let tones = [Tone::Blue, Tone::Amber, Tone::Violet];
    let mut chart = Chart::new("spectrum", "Latency by percentile", about, x, LATENCY).full_width();
    for (Spectrum { name, intended, service }, tone) in curves.iter().zip(tones).take(MAX_CURVES) {
        chart = chart.series(name, tone, Shape::Line, curve(intended));
        if service != intended {
            let name = format!("{name}, from the send");
            chart = chart.series(&name, tone, Shape::Dashed, curve(service));
        }
    }
    out.push_str(&chart.figure());
    out.push_str("</div></section>\n");
}

fn curve(points: &[Quantile]) -> Vec<(f64, f64)> {
    points.iter().filter(|p| p.q < 1.0).map(|p| (1.0 / (1.0 - p.q), p.ms)).collect()
}

pub(super) fn limits(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Latency and throughput against load";
    let (knee, scale) = (&report.knee, &report.scale);
    if let (Collected::Missing(why), None) = (knee, scale.data()) {
        return missing(out, "limits", TITLE, why);
    }
    let lead = knee.data().map_or_else(
        || "How throughput grows with concurrency, and where it ends.".to_owned(),
        |knee| format!("The knee is where the objective {} breaks. It is an interval: what lies between was not proven.", knee.slo),
    );
    open(out, "limits", TITLE, &lead);
    out.push_str("<div class=\"charts\">");
    match knee {
        Collected::Data(knee) => out.push_str(&against_load(knee).figure()),
        Collected::Missing(why) => note(out, "Latency against load", why),
    }
    match scale {
        Collected::Data(scale) => out.push_str(&scaling(scale).figure()),
        Collected::Missing(why) => note(out, "Throughput against concurrency", why),
    }
    out.push_str("</div></section>\n");
}

/// A card of a chart that is not there.
fn note(out: &mut String, title: &str, why: &str) {
    out.push_str(&format!(
        "<div class=\"chart half absent\"><h3>{}</h3><p class=\"why\">Not collected: {}.</p></div>",
        escape(title),
        escape(why.trim_end_matches('.'))
    ));
}

fn against_load(knee: &KneeInterval) -> Chart {
    let (label, unit) = match knee.axis {
        Moved::Rate => ("offered load, requests/s", Unit::PerSecond),
        Moved::Connections => ("connections", Unit::Count),
    };
    let x = Axis { label, kind: Kind::Log, unit };
    let of = |which: Judgement| {
        let judged = knee.probes.iter().filter(move |p| p.judgement == which);
        let mut points: Vec<(f64, f64)> = judged.filter_map(|p| Some((p.load, p.p99_ms?.value))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let about = "One dot per probe, its p99. The knee lies where the dots cross the objective.";
    let mut chart = Chart::new("against-load", "Latency against load", about, x, LATENCY)
        .series("p50", Tone::Teal, Shape::Line, medians(&knee.probes))
        .series("p99, passed", Tone::Blue, Shape::Dots, of(Judgement::Pass))
        .series("p99, failed", Tone::Red, Shape::Dots, of(Judgement::Fail))
        .series("p99, too close to say", Tone::Amber, Shape::Dots, of(Judgement::Marginal))
        .series("p99, did not count", Tone::Grey, Shape::Dots, of(Judgement::Invalid));
    if let Some((text, ms)) = p99_limit(&knee.slo) {
        chart = chart.guide(ms, Tone::Red, format!("objective: {text}"));
    }
    match (knee.lo, knee.hi) {
        (Some(lo), Some(hi)) => {
            chart.region(lo, hi, Tone::Violet, Look::Strong, &format!("knee {} – {}", number(lo), number(hi)))
        }
        _ => chart,
    }
}

/// The latency objective of a list such as `p99<50ms,err<0.1%`, to be drawn as a line.
fn p99_limit(slo: &str) -> Option<(&str, f64)> {
    slo.split(',').map(str::trim).find_map(|part| {
        let rest = part.strip_prefix("p99")?.trim_start().strip_prefix('<')?.trim_start_matches('=').trim();
        let units = [("us", 1e-3), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3)];
        let ms = units
            .into_iter()
            .find_map(|(unit, factor)| Some(rest.strip_suffix(unit)?.trim().parse::<f64>().ok()? * factor));
        ms.filter(|ms| *ms > 0.0).map(|ms| (part, ms))
    })
}

/// p50 at each load in rising order; of several probes at one load the middle one.
fn medians(probes: &[KneeProbe]) -> Vec<(f64, f64)> {
    let counted = probes.iter().filter(|p| p.judgement != Judgement::Invalid);
    let mut points: Vec<(f64, f64)> = counted.filter_map(|p| p.p50_ms.map(|ms| (p.load, ms))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    points.chunk_by(|a, b| a.0 == b.0).map(|same| same[same.len() / 2]).collect()
}

fn scaling(scale: &Scale) -> Chart {
    let x = Axis { label: "connections", kind: Kind::Linear, unit: Unit::Count };
    let y = Axis { label: "requests/s", kind: Kind::Linear, unit: Unit::PerSecond };
    let about = match &scale.fit {
        Some(fit) => format!(
            "Universal Scalability Law: serial part {}, agreement {}. {}",
            percent(fit.sigma.value),
            scientific(fit.kappa.value),
            fit.meaning
        ),
        None => scale.notes.first().cloned().unwrap_or_else(|| "Too few points for a law.".to_owned()),
    };
    let about = match &scale.bend {
        Some(bend) => format!(
            "{about} Beyond {} connections (shaded) latency grows faster than throughput.",
            number(bend.load)
        ),
        None => about,
    };
    let of = |valid: bool| {
        let points = scale.points.iter().filter(move |p| p.invalid.is_empty() == valid);
        points.map(|p| (p.n, p.rps)).collect::<Vec<_>>()
    };
    let mut chart = Chart::new("scaling", "Throughput against concurrency", about, x, y);
    if let Some(bend) = &scale.bend {
        chart = chart.region(bend.between.0, bend.between.1, Tone::Teal, Look::Shade, "");
    }
    if let Some(fit) = &scale.fit {
        let ideal = scale.points.iter().map(|p| p.n).fold(0.0, f64::max);
        let top = scale.points.iter().map(|p| p.rps).fold(0.0, f64::max);
        let ends = (top * 1.1 / fit.lambda.value.max(f64::MIN_POSITIVE)).min(ideal);
        chart = chart
            .band("95 % of the fit", Tone::Blue, fit.curve.iter().map(|p| (p.n, p.low, p.high)))
            .series(
                "if nothing were shared",
                Tone::Grey,
                Shape::Dashed,
                [(0.0, 0.0), (ends, fit.lambda.value * ends)],
            )
            .series("fitted law", Tone::Blue, Shape::Line, fit.curve.iter().map(|p| (p.n, p.rps)));
        if let Some(peak) = &fit.peak_n {
            let label = format!("peak {} – {}", number(peak.low), number(peak.high));
            chart = chart.region(peak.low, peak.high, Tone::Violet, Look::Strong, &label);
        }
    }
    chart.series("measured", Tone::Amber, Shape::Dots, of(true)).series(
        "did not count",
        Tone::Grey,
        Shape::Dots,
        of(false),
    )
}

/// A small number without a row of zeros: `2.1e-4`, and a plain `0`.
fn scientific(x: f64) -> String {
    if x == 0.0 { "0".into() } else { format!("{x:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_objective_is_found_among_others() {
        assert_eq!(p99_limit("err<0.1%, p99<50ms"), Some(("p99<50ms", 50.0)));
        assert_eq!(p99_limit("p99 <= 1.5s"), Some(("p99 <= 1.5s", 1500.0)));
        assert_eq!(p99_limit("p99.9<50ms,rps>5"), None);
    }
    #[test]
    fn a_pause_in_the_load_is_a_gap_in_the_line() {
        let column = |t_s| HeatColumn {
            t_s,
            length_s: 1.0,
            warmup: false,
            p50_ms: Some(1.0),
            p99_ms: None,
            p999_ms: None,
            cells: vec![],
        };
        let points = lines(&[column(0.0), column(1.0), column(5.0)], |c| c.p50_ms);
        assert_eq!(points.len(), 4);
        assert!(points[2].0 == 2.0 && points[2].1.is_nan());
    }
}
