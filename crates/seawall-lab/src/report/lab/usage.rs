//! Sections 7, 8, 10 and 11: resources, threads, gauges over time, and what the kernel measured. Of two builds that took
//! turns, each has its own strip.

use std::fmt::Write as _;

use super::data::{Collected, LabReport};
use super::load::{GROUP, TIME, span};
use super::page::{missing, open};
use super::sides::{View, differences, views};
use super::strip::{COLUMNS, Layer, Row, Strip, spread};
use crate::report::chart::{Axis, Chart, Kind, Shape, Tone, Unit};
use crate::report::format::{escape, grouped, number};
use crate::signals::series::{MAX_THREADS, ResourceSeries, SignalSeries, ThreadPoint, ThreadSeries};

/// Small charts of gauges at most; those that move most are kept.
const MAX_GAUGES: usize = 12;
/// Threads that are drawn of each of two builds.
const MAX_SIDE_THREADS: usize = 8;
/// Shades of utilisation.
const SHADES: f64 = 9.0;

/// Why a section has nothing to draw.
fn why(report: &LabReport, otherwise: &str) -> String {
    match &report.signals {
        Collected::Missing(why) if report.sides.is_empty() => why.clone(),
        Collected::Missing(_) | Collected::Data(_) => otherwise.to_owned(),
    }
}

/// From the first to the last signal; the whole run's span if that is not much longer, or of one of two builds, so that the
/// charts lie below each other.
fn span_of(report: &LabReport, signals: &SignalSeries, is_side: bool) -> (f64, f64) {
    let times =
        signals.resources.iter().flat_map(|r| r.utilisation.iter().chain(&r.saturation)).map(|(t, _)| *t);
    let times = times.chain(signals.threads.iter().flat_map(|thread| thread.points.iter().map(|p| p.t_s)));
    let phases = signals.phases.iter().flat_map(|phase| [phase.start_s, phase.end_s]);
    let own = times.chain(phases).map(|t| (t, t)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    match (own, span(report)) {
        (Some(own), Some(whole)) if is_side || own.1 - own.0 > 0.6 * (whole.1 - whole.0) => whole,
        (Some(own), _) if own.1 > own.0 => own,
        (_, whole) => whole.unwrap_or((0.0, 1.0)),
    }
}

pub(super) fn resources(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Resources: utilisation, saturation, errors";
    let mut views = views(report);
    views.retain(|view| !view.signals.resources.is_empty());
    if views.is_empty() {
        return missing(out, "use", TITLE, &why(report, "no resource of the service could be read"));
    }
    open(
        out,
        "use",
        TITLE,
        "The stronger the colour, the busier. A red edge means that something waited for it: that is where to look first.",
    );
    out.push_str("<div class=\"strips\">");
    views.iter().for_each(|view| out.push_str(&resource_strip(report, view)));
    out.push_str("</div>");
    report.sides.iter().for_each(|pair| differences(out, pair));
    out.push_str("</section>\n");
}

fn resource_strip(report: &LabReport, view: &View<'_>) -> String {
    let span = span_of(report, view.signals, view.is_side);
    Strip {
        id: &format!("use{}", view.id),
        title: &format!("Resources{} over time", view.of),
        about: &format!(
            "Processors that the service may use: {}. Pointing at a moment shows it in all charts over time.",
            number(view.signals.cores)
        ),
        class: "use",
        span,
        rows: view.signals.resources.iter().map(|one| resource(one, span)).collect(),
        keys: vec![
            ("h2", "idle"),
            ("h5", "half"),
            ("h9", "fully used"),
            ("saturated", "something waits"),
            ("failing", "errors"),
        ],
    }
    .figure()
}

fn resource(series: &ResourceSeries, span: (f64, f64)) -> Row {
    let spread_max = |points: &[(f64, f64)]| spread(points, span, f64::max);
    let busy = spread_max(&series.utilisation);
    let (waits, errors) = (spread_max(&series.saturation), spread_max(&series.errors));
    let mut layers: Vec<Layer> =
        (1..=9).map(|shade| Layer { class: format!("h{shade}"), cells: Vec::new() }).collect();
    let mut waiting = Layer { class: "saturated".into(), cells: Vec::new() };
    let mut failing = Layer { class: "failing".into(), cells: Vec::new() };
    let mut texts = Vec::with_capacity(COLUMNS);
    for column in 0..COLUMNS {
        if let Some(share) = busy[column] {
            let shade = ((share.clamp(0.0, 1.0) * SHADES).ceil() as usize).clamp(1, 9);
            layers[shade - 1].cells.push((column, 0.0, 1.0));
        }
        if waits[column].is_some_and(|v| v > 0.0) {
            waiting.cells.push((column, 0.74, 1.0));
        }
        if errors[column].is_some_and(|v| v > 0.0) {
            failing.cells.push((column, 0.0, 0.26));
        }
        texts.push(resource_text(series, busy[column], waits[column], errors[column]));
    }
    layers.extend([waiting, failing]);
    Row { name: series.resource.clone(), texts, layers }
}

fn resource_text(
    series: &ResourceSeries,
    busy: Option<f64>,
    waits: Option<f64>,
    errors: Option<f64>,
) -> String {
    let busy = busy.map(|share| format!("{} % used", number(share * 100.0)));
    let waits = waits.filter(|v| *v > 0.0).map(|v| format!("{} {}", number(v), series.saturation_unit));
    let errors = errors.filter(|v| *v > 0.0).map(|v| format!("{} {}", number(v), series.errors_unit));
    [busy, waits, errors].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

pub(super) fn threads(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Threads";
    let mut views = views(report);
    views.retain(|view| !view.signals.threads.is_empty());
    if views.is_empty() {
        return missing(out, "threads", TITLE, &why(report, "no thread of the service could be read"));
    }
    open(
        out,
        "threads",
        TITLE,
        "What each thread did with its time, from the bottom up. Empty is waiting for work.",
    );
    out.push_str("<div class=\"strips\">");
    views.iter().for_each(|view| out.push_str(&thread_strip(report, view)));
    out.push_str("</div></section>\n");
}

fn thread_strip(report: &LabReport, view: &View<'_>) -> String {
    let span = span_of(report, view.signals, view.is_side);
    let rows = if view.is_side { MAX_SIDE_THREADS } else { MAX_THREADS };
    let about = if view.is_side {
        "One row per thread, the busiest first. Each block has a process of its own: threads of one name and rank share a row."
    } else {
        "One row per thread, the busiest first. The height of a colour is its share of the time."
    };
    Strip {
        id: &format!("threads{}", view.id),
        title: &format!("Threads{} over time", view.of),
        about,
        class: "threads",
        span,
        rows: view.signals.threads.iter().take(rows).map(|one| thread(one, span, view.is_side)).collect(),
        keys: STATES.iter().map(|(class, words, _)| (*class, *words)).collect(),
    }
    .figure()
}

/// Class, words and share of each state that is drawn.
type State = (&'static str, &'static str, fn(&ThreadPoint) -> f64);
const STATES: [State; 5] = [
    ("s-run", "running", |p| p.running),
    ("s-delay", "ready, without a CPU", |p| p.run_delay),
    ("s-lock", "waiting for a lock", |p| p.lock),
    ("s-io", "in a blocking call", |p| p.io),
    ("s-sleep", "sleeping", |p| p.sleep),
];

fn thread(series: &ThreadSeries, span: (f64, f64), is_side: bool) -> Row {
    let samples: Vec<(f64, ThreadPoint)> = series.points.iter().map(|p| (p.t_s, *p)).collect();
    let busier = |a: ThreadPoint, b: ThreadPoint| if a.idle <= b.idle { a } else { b };
    let columns = spread(&samples, span, busier);
    let mut layers: Vec<Layer> =
        STATES.iter().map(|(class, ..)| Layer { class: (*class).to_owned(), cells: Vec::new() }).collect();
    let mut texts = Vec::with_capacity(COLUMNS);
    for (column, point) in columns.iter().enumerate() {
        let Some(point) = point else {
            texts.push(String::new());
            continue;
        };
        let mut bottom = 0.0f64;
        let mut words = Vec::new();
        for (layer, (_, name, share)) in layers.iter_mut().zip(&STATES) {
            let share = share(point).clamp(0.0, 1.0);
            if share > 0.005 && bottom < 1.0 {
                layer.cells.push((column, bottom, (bottom + share).min(1.0)));
                words.push(format!("{name} {:.0} %", share * 100.0));
            }
            bottom += share;
        }
        texts.push(if words.is_empty() { "waiting for work".into() } else { words.join(" · ") });
    }
    // The number is that of one block's thread only.
    let name = if is_side { series.name.clone() } else { format!("{} {}", series.name, series.tid) };
    Row { name, texts, layers }
}

/// A gauge: its name, its points by whose they are, and how much it moved.
struct Gauge<'a> {
    name: &'a str,
    of: Vec<(&'a str, &'a [(f64, f64)])>,
    moved: f64,
}

impl Gauge<'_> {
    /// How far its values reach, as a part of the largest.
    fn moved(&self) -> f64 {
        let values = self.of.iter().flat_map(|(_, points)| points.iter()).map(|p| p.1);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        (high - low) / high.abs().max(1.0)
    }
}

/// The gauges of the whole run, or else of the first two builds, those that moved most first.
fn moving(report: &LabReport) -> Vec<Gauge<'_>> {
    let pair = report.sides.first();
    let sources: Vec<(&str, &SignalSeries)> = match (report.signals.data(), pair) {
        (Some(signals), _) => vec![("", signals)],
        (None, Some(pair)) => vec![(&pair.a_name, &pair.a), (&pair.b_name, &pair.b)],
        (None, None) => vec![],
    };
    let mut all: Vec<Gauge<'_>> = Vec::new();
    for (of, signals) in sources {
        for gauge in signals.gauges.iter().filter(|gauge| gauge.points.len() > 1) {
            let points = (of, gauge.points.as_slice());
            match all.iter_mut().find(|known| known.name == gauge.name) {
                Some(known) => known.of.push(points),
                None => all.push(Gauge { name: &gauge.name, of: vec![points], moved: 0.0 }),
            }
        }
    }
    all.iter_mut().for_each(|gauge| gauge.moved = gauge.moved());
    all.sort_by(|a, b| b.moved.total_cmp(&a.moved).then_with(|| a.name.cmp(b.name)));
    all
}

pub(super) fn gauges(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Pools, limits, queues";
    let moving = moving(report);
    let Some(any) = views(report).into_iter().next().filter(|_| !moving.is_empty()) else {
        let nothing = "the service has no signals endpoint (`--admin`), or it said nothing";
        return missing(out, "gauges", TITLE, &why(report, nothing));
    };
    open(
        out,
        "gauges",
        TITLE,
        "What waits inside the service, by its own account. Those that moved most come first.",
    );
    out.push_str("<div class=\"multiples\">");
    let tones = [Tone::Blue, Tone::Teal, Tone::Violet, Tone::Amber];
    let span = Some(span_of(report, any.signals, any.is_side));
    for (i, gauge) in moving.into_iter().take(MAX_GAUGES).enumerate() {
        let y = Axis { label: "", kind: Kind::Linear, unit: Unit::Count };
        let time = Axis { label: "s since the run began", ..TIME };
        let mut chart = Chart::new(GAUGE_IDS[i], gauge.name, "", time, y).small().group(GROUP, span);
        for (of, points) in &gauge.of {
            chart = if of.is_empty() {
                chart.series(gauge.name, tones[i % tones.len()], Shape::Area, points.iter().copied())
            } else {
                // Builds have the colours that they have everywhere.
                let tone = if chart_is_of_a(report, of) { Tone::Blue } else { Tone::Amber };
                chart.series(of, tone, Shape::Line, with_gaps(points))
            };
        }
        out.push_str(&chart.figure());
    }
    out.push_str("</div></section>\n");
}

fn chart_is_of_a(report: &LabReport, name: &str) -> bool {
    report.sides.first().is_some_and(|pair| pair.a_name == name)
}

/// A gap wherever the other build had its turn.
fn with_gaps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let gaps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let usual = crate::stats::median(&gaps) * 3.0;
    let mut all = Vec::with_capacity(points.len());
    for (i, point) in points.iter().enumerate() {
        if i > 0 && point.0 - points[i - 1].0 > usual {
            all.push((points[i - 1].0, f64::NAN));
        }
        all.push(*point);
    }
    all
}

const GAUGE_IDS: [&str; MAX_GAUGES] =
    ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8", "g9", "g10", "g11"];

pub(super) fn kernel(out: &mut String, report: &LabReport) {
    const TITLE: &str = "System calls and run queue";
    let histograms = match &report.kernel {
        Collected::Data(histograms) => histograms,
        Collected::Missing(why) => return missing(out, "kernel", TITLE, why),
    };
    open(out, "kernel", TITLE, "Measured by the kernel itself, for each event.");
    out.push_str("<div class=\"charts\">");
    for one in histograms {
        let most = one.buckets.iter().map(|(_, n)| *n).max().unwrap_or(1).max(1) as f64;
        let _ = write!(
            out,
            "<figure class=\"card bars-card\"><figcaption><h3>{}</h3><p>{}</p></figcaption><table class=\"bar-table\"><tbody>",
            escape(&one.title),
            escape(&one.about)
        );
        for (name, count) in &one.buckets {
            let _ = write!(
                out,
                "<tr><th>{}</th><td class=\"num\">{}</td><td class=\"bar-cell\"><i style=\"width:{:.1}%\"></i></td></tr>",
                escape(name),
                grouped(*count),
                *count as f64 / most * 100.0
            );
        }
        out.push_str("</tbody></table></figure>");
    }
    out.push_str("</div></section>\n");
}
