//! The section on the sale: who came, what they were answered, what was left, and how long it took.

use super::chart::{Axis, Chart, Kind, Shape, Tone, Unit};
use super::data::{Quantile, Report, Sale, SalePoint};
use super::format::{grouped, millis, percent};
use super::page::open_section;

const TIME: Axis = Axis { label: "time since the sale opened, s", kind: Kind::Linear, unit: Unit::Seconds };

pub(super) fn section(out: &mut String, report: &Report) {
    let Some(sale) = &report.sale else { return };
    let settled = sale
        .settled_after_s
        .map_or_else(String::new, |s| format!(" Every order was final after {}.", millis(s * 1000.0)));
    let lead = format!(
        "{} buyers want one of {} units and retry as real clients do: {} orders acknowledged, {} confirmed, {} rejected, {} cancelled or not paid in time, \
         {} of all requests refused on purpose.{settled}",
        grouped(sale.buyers),
        grouped(sale.units_initial),
        grouped(sale.orders_acked),
        grouped(sale.orders_confirmed),
        grouped(sale.orders_rejected),
        grouped(sale.orders_acked.saturating_sub(sale.orders_confirmed + sale.orders_rejected + sale.lost)),
        percent(sale.refused_rate)
    );
    open_section(out, "sale", "The sale", &lead);
    out.push_str("<div class=\"charts\">");
    out.push_str(&answers(sale).figure());
    out.push_str(&arrivals(sale).figure());
    out.push_str(&stock(sale).figure());
    out.push_str(&percentiles(sale).figure());
    out.push_str("</div></section>\n");
}

fn rates<'a>(
    sale: &'a Sale,
    value: impl Fn(&SalePoint) -> u64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let bucket = if sale.bucket_s > 0.0 { sale.bucket_s } else { 1.0 };
    sale.timeline.iter().map(move |point| (point.t_s, value(point) as f64 / bucket))
}

fn answers(sale: &Sale) -> Chart {
    let y = Axis { label: "answers/s", kind: Kind::Linear, unit: Unit::PerSecond };
    let about = "Every answer to an order request, stacked. Acknowledged means written to disk.";
    let mut chart = Chart::new("answers", "What buyers were answered", about, TIME, y)
        .full_width()
        .group("sale", None)
        .series("acknowledged", Tone::Green, Shape::Bars, rates(sale, |p| p.acked))
        .series("sold out", Tone::Blue, Shape::Bars, rates(sale, |p| p.sold_out));
    if sale.timeline.iter().any(|p| p.refused > 0) {
        chart = chart.series("refused, to retry", Tone::Amber, Shape::Bars, rates(sale, |p| p.refused));
    }
    if sale.timeline.iter().any(|p| p.errors > 0) {
        chart = chart.series("errors", Tone::Red, Shape::Bars, rates(sale, |p| p.errors));
    }
    chart
}

fn arrivals(sale: &Sale) -> Chart {
    let y = Axis { label: "buyers/s", kind: Kind::Linear, unit: Unit::PerSecond };
    Chart::new("arrivals", "Arrivals", "Buyers do not wait for each other.", TIME, y)
        .group("sale", None)
        .series("buyers arriving", Tone::Violet, Shape::Bars, rates(sale, |p| p.arrivals))
}

fn stock(sale: &Sale) -> Chart {
    let y = Axis { label: "units", kind: Kind::Linear, unit: Unit::Count };
    let bucket = sale.bucket_s;
    let end = |p: &SalePoint| (p.t_s + bucket, p.stock_left.map_or(f64::NAN, |left| left as f64));
    let known = sale.timeline.iter().any(|p| p.stock_left.is_some());
    let first = known.then(|| (sale.timeline[0].t_s, sale.units_initial as f64));
    Chart::new("stock", "Stock left", "Units not yet taken. It may never go below zero.", TIME, y)
        .group("sale", None)
        .series("units left", Tone::Teal, Shape::Area, first.into_iter().chain(sale.timeline.iter().map(end)))
}

fn percentiles(sale: &Sale) -> Chart {
    let x = Axis { label: "percentile", kind: Kind::Log, unit: Unit::Quantile };
    let y = Axis { label: "latency, ms", kind: Kind::Log, unit: Unit::Millis };
    let curve = |points: &[Quantile]| -> Vec<(f64, f64)> {
        points.iter().filter(|p| p.q < 1.0).map(|p| (1.0 / (1.0 - p.q), p.ms)).collect()
    };
    let about = "To the acknowledgement, and from a buyer's first try to the final answer.";
    Chart::new("order-latency", "Order latency", about, x, y)
        .full_width()
        .series("until final", Tone::Violet, Shape::Line, curve(&sale.final_latency))
        .series("until acknowledged", Tone::Green, Shape::Line, curve(&sale.ack_latency))
}
