//! Section 2: what was offered, what was answered, what failed.

use super::data::LabReport;
use super::page::{missing, open};
use crate::report::LoadPoint;
use crate::report::chart::{Axis, Chart, Kind, Look, Shape, Tone, Unit};

pub(super) const TIME: Axis =
    Axis { label: "time since the run began, s", kind: Kind::Linear, unit: Unit::Seconds };
const RATE: Axis = Axis { label: "requests/s", kind: Kind::Linear, unit: Unit::PerSecond };
/// Figures with this group share their crosshair and their zoom.
pub(super) const GROUP: &str = "time";

pub(super) fn section(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Offered and answered";
    let points = match &report.load {
        super::Collected::Data(points) => points,
        super::Collected::Missing(why) => return missing(out, "load", TITLE, why),
    };
    open(
        out,
        "load",
        TITLE,
        "Where the answers fall below what was offered, the service no longer keeps up.",
    );
    out.push_str("<div class=\"charts\">");
    out.push_str(&throughput(report, points).figure());
    out.push_str("</div></section>\n");
}

fn throughput(report: &LabReport, points: &[LoadPoint]) -> Chart {
    let chart = Chart::new(
        "load",
        "Requests per second",
        "Answers with the errors on top of them, and the rate that was offered. Grey is warm-up.",
        TIME,
        RATE,
    )
    .full_width()
    .group(GROUP, span(report))
    .series(
        "answered",
        Tone::Blue,
        Shape::Stacked,
        steps(points, |p| (p.achieved_rps - p.errors_per_s).max(0.0)),
    );
    let failed = points.iter().any(|p| p.errors_per_s > 0.0);
    let chart = if failed {
        // Without errors there is nothing to draw, not even a line on top of the answers.
        let errors = |p: &LoadPoint| if p.errors_per_s > 0.0 { p.errors_per_s } else { f64::NAN };
        chart.series("errors", Tone::Red, Shape::Stacked, steps(points, errors))
    } else {
        chart
    };
    let chart = chart.series("offered", Tone::Grey, Shape::Dashed, steps(points, |p| p.offered_rps));
    let warm = points.iter().filter(|p| p.warmup);
    let chart =
        warm.fold(chart, |chart, p| chart.region(p.t_s, p.t_s + p.length_s, Tone::Grey, Look::Muted, ""));
    with_phases(chart, report)
}

/// Each tick as a level from its begin to its end, with a gap wherever the load paused.
pub(super) fn steps<'a>(
    points: &'a [LoadPoint],
    value: impl Fn(&LoadPoint) -> f64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    points.iter().enumerate().flat_map(move |(i, point)| {
        let end = point.t_s + point.length_s;
        let pauses = points.get(i + 1).is_some_and(|next| next.t_s - end > 0.05);
        [(point.t_s, value(point)), (end, value(point))].into_iter().chain(pauses.then_some((end, f64::NAN)))
    })
}

/// From the first to the last moment of anything that is drawn over time, so that all charts have one axis.
pub(super) fn span(report: &LabReport) -> Option<(f64, f64)> {
    let load = report.load.data().into_iter().flatten().map(|p| (p.t_s, p.t_s + p.length_s));
    let heat = report.heat.data().into_iter().flatten().map(|c| (c.t_s, c.t_s + c.length_s));
    let phases = report.phases.iter().map(|p| (p.start_s, p.end_s));
    load.chain(heat).chain(phases).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The parts of the run as ribbons with their names. Builds A and B have the colours that they have everywhere.
pub(super) fn with_phases(mut chart: Chart, report: &LabReport) -> Chart {
    let tones = [Tone::Blue, Tone::Amber, Tone::Teal, Tone::Violet];
    let mut names: Vec<&str> = Vec::new();
    for phase in &report.phases {
        let at = names.iter().position(|name| *name == phase.name).unwrap_or_else(|| {
            names.push(&phase.name);
            names.len() - 1
        });
        let tone = tones[at % tones.len()];
        chart = chart.region(phase.start_s, phase.end_s, tone, Look::Ribbon, &phase.name);
    }
    chart
}
