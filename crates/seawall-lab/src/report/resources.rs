//! The section on resources: what the service's process used over the whole run.

use super::chart::{Axis, Chart, Kind, Look, Shape, Tone, Unit};
use super::data::{Gauge, Report, ResourcePoint, Resources};
use super::format::number;
use super::page::open_section;

const TIME: Axis = Axis { label: "time since the run began, s", kind: Kind::Linear, unit: Unit::Seconds };
/// More series than this in one chart cannot be told apart; the busiest are kept.
const MAX_GAUGES: usize = 5;

pub(super) fn section(out: &mut String, report: &Report) {
    let Some(resources) = &report.resources else { return };
    let lead = format!(
        "What the service's process used, read from the kernel while it ran. It may use {} core{}.",
        number(resources.cores),
        if (resources.cores - 1.0).abs() < 0.01 { "" } else { "s" }
    );
    open_section(out, "resources", "Resources", &lead);
    out.push_str("<div class=\"charts\">");
    for chart in [cpu(resources), memory(resources), switches(resources), threads(resources)] {
        out.push_str(&chart.figure());
    }
    let queues = ("queues", "Queue depths", "Work accepted and not yet done, by queue.", "waiting");
    let pools = ("pools", "Pool waiters", "Tasks waiting for a pooled resource.", "waiting");
    out.push_str(&gauges(resources, queues, &resources.queues).figure());
    out.push_str(&gauges(resources, pools, &resources.pool_waiters).figure());
    out.push_str("</div></section>\n");
}

fn values<'a>(
    resources: &'a Resources,
    value: impl Fn(&ResourcePoint) -> f64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    resources.samples.iter().map(move |point| (point.t_s, value(point)))
}

fn with_phases(chart: Chart, resources: &Resources) -> Chart {
    let span = resources.samples.first().zip(resources.samples.last()).map(|(a, b)| (a.t_s, b.t_s));
    let mut chart = chart.group("run", span);
    for (i, phase) in resources.phases.iter().enumerate() {
        let tone = if i % 2 == 0 { Tone::Grey } else { Tone::Blue };
        chart = chart.region(phase.start_s, phase.end_s, tone, Look::Shade, &phase.name);
    }
    chart
}

fn cpu(resources: &Resources) -> Chart {
    let y = Axis { label: "cores", kind: Kind::Linear, unit: Unit::Cores };
    let chart = Chart::new("cpu", "CPU", "User and kernel time, stacked.", TIME, y)
        .series("user", Tone::Blue, Shape::Stacked, values(resources, |p| p.cpu_user))
        .series("kernel", Tone::Amber, Shape::Stacked, values(resources, |p| p.cpu_sys))
        .guide(resources.cores, Tone::Red, format!("limit: {}", number(resources.cores)));
    with_phases(chart, resources)
}

fn memory(resources: &Resources) -> Chart {
    let y = Axis { label: "resident memory", kind: Kind::Linear, unit: Unit::Bytes };
    let chart = Chart::new("memory", "Memory", "Resident set size of the process.", TIME, y).series(
        "resident",
        Tone::Teal,
        Shape::Area,
        values(resources, |p| p.rss_bytes as f64),
    );
    with_phases(chart, resources)
}

fn switches(resources: &Resources) -> Chart {
    let y = Axis { label: "switches/s", kind: Kind::Linear, unit: Unit::PerSecond };
    let about = "Voluntary: a thread waited. Involuntary: it was pushed off the processor.";
    let chart = Chart::new("switches", "Context switches", about, TIME, y)
        .series("voluntary", Tone::Blue, Shape::Line, values(resources, |p| p.voluntary_per_s))
        .series("involuntary", Tone::Red, Shape::Line, values(resources, |p| p.involuntary_per_s));
    with_phases(chart, resources)
}

fn threads(resources: &Resources) -> Chart {
    let y = Axis { label: "count", kind: Kind::Linear, unit: Unit::Count };
    let fds = values(resources, |p| p.open_fds.map_or(f64::NAN, f64::from));
    let chart =
        Chart::new("threads", "Threads and open files", "Open files include every connection.", TIME, y)
            .series("open files", Tone::Violet, Shape::Line, fds)
            .series("threads", Tone::Teal, Shape::Line, values(resources, |p| f64::from(p.threads)));
    with_phases(chart, resources)
}

fn gauges(
    resources: &Resources,
    (id, title, about, label): (&'static str, &str, &str, &'static str),
    gauges: &[Gauge],
) -> Chart {
    let tones = [Tone::Blue, Tone::Amber, Tone::Teal, Tone::Violet, Tone::Red];
    let mut busiest: Vec<&Gauge> = gauges.iter().collect();
    let peak = |gauge: &Gauge| gauge.points.iter().map(|p| p.1).fold(0.0, f64::max);
    busiest.sort_by(|a, b| peak(b).total_cmp(&peak(a)).then_with(|| a.name.cmp(&b.name)));
    let y = Axis { label, kind: Kind::Linear, unit: Unit::Count };
    let mut chart = Chart::new(id, title, about, TIME, y);
    for (gauge, tone) in busiest.into_iter().zip(tones).take(MAX_GAUGES) {
        chart = chart.series(&gauge.name, tone, Shape::Line, gauge.points.iter().copied());
    }
    with_phases(chart, resources)
}
