//! The drawing itself: one chart at one size, as an SVG element.
//!
//! Colours, fonts and line styles are the style sheet's. Marks sit in a group of their own that the script may stretch
//! along x to zoom; strokes keep their width while it does, and dots are strokes without length for the same reason.

use std::fmt::Write as _;

use super::{Chart, Kind, Look, Region, Scale, Shape};
use crate::report::format::escape;

/// One class of width: the size of the drawing and the CSS class that shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) class: &'static str,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The plot's rectangle inside the drawing.
#[derive(Debug, Clone, Copy)]
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// Width of a character of the axis labels, on average; a little too much is better than an overlap.
const CHARACTER: f64 = 6.7;

struct Drawing<'a> {
    chart: &'a Chart,
    size: Size,
    plot: Plot,
    x: Scale,
    y: Scale,
    clip: String,
}

/// Draws `chart` at `size`.
pub(super) fn draw(chart: &Chart, size: Size) -> String {
    let mut drawing = Drawing::new(chart, size);
    let mut out = String::with_capacity(16 * 1024);
    drawing.open(&mut out);
    drawing.regions(&mut out);
    drawing.y_axis(&mut out);
    drawing.x_axis(&mut out);
    drawing.marks(&mut out);
    drawing.guides(&mut out);
    out.push_str("</svg>");
    out
}

impl<'a> Drawing<'a> {
    fn new(chart: &'a Chart, size: Size) -> Self {
        let has_labels = chart.regions.iter().any(|r| !r.label.is_empty());
        let top = if has_labels { 46.0 } else { 30.0 };
        let height = size.height - top - 44.0;
        let y = Scale::fit(chart.y.kind, chart.y.unit, &chart.ys(), (height / 38.0) as usize, true);
        let widest = y.ticks.iter().map(|t| y.label(*t).chars().count()).max().unwrap_or(1);
        let left = (widest as f64 * CHARACTER + 14.0).max(36.0);
        let width = size.width - left - 18.0;
        let bars = chart.series.iter().any(|s| s.shape == Shape::Bars);
        let x = Self::x_scale(chart, width, bars);
        let clip = format!("clip-{}-{}", chart.id, size.class);
        Self { chart, size, plot: Plot { left, top, width, height }, x, y, clip }
    }

    fn x_scale(chart: &Chart, width: f64, bars: bool) -> Scale {
        let mut xs = chart.xs();
        if bars {
            let step = bar_step(chart);
            let last = xs.iter().copied().fold(0.0, f64::max);
            xs.push(last + step);
        }
        let rounded =
            chart.x.kind == Kind::Log && chart.group.is_none() && chart.x.unit != super::Unit::Quantile;
        let room = if width < 360.0 { 58.0 } else { 76.0 };
        Scale::fit(chart.x.kind, chart.x.unit, &xs, (width / room) as usize, rounded)
    }

    fn px(&self, x: f64) -> Option<f64> {
        self.x.place(x).map(|share| self.plot.left + share * self.plot.width)
    }

    fn py(&self, y: f64) -> Option<f64> {
        self.y.place(y).map(|share| self.plot.top + (1.0 - share) * self.plot.height)
    }

    /// The lowest place a filled shape reaches: zero, or the axis' end on a log axis.
    fn base(&self, y: f64) -> f64 {
        self.py(y.max(self.y.lo)).unwrap_or(self.plot.top + self.plot.height)
    }

    fn open(&self, out: &mut String) {
        let Plot { left, top, width, height } = self.plot;
        let Size { class, width: w, height: h } = self.size;
        // A dot on the edge is shown whole where nothing is ever zoomed out of the plot.
        let spare = if self.chart.group.is_none() { 6.0 } else { 0.0 };
        let kind = |scale: &Scale| if scale.kind == Kind::Log { "log" } else { "linear" };
        let _ = write!(
            out,
            "<svg class=\"chart-svg {class}\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{label}\" \
             data-plot=\"{left:.1} {top:.1} {width:.1} {height:.1}\" data-x=\"{xk} {} {}\" data-y=\"{yk} {} {}\">\
             <title>{label}</title><defs><clipPath id=\"{clip}\"><rect x=\"{cl:.1}\" y=\"{ct:.1}\" width=\"{cw:.1}\" \
             height=\"{ch:.1}\"/></clipPath></defs>",
            self.x.lo,
            self.x.hi,
            self.y.lo,
            self.y.hi,
            label = escape(&self.chart.title),
            xk = kind(&self.x),
            yk = kind(&self.y),
            clip = self.clip,
            cl = left - spare,
            cw = width + 2.0 * spare,
            ct = top - 4.0,
            ch = height + 5.0,
        );
    }

    fn regions(&self, out: &mut String) {
        let _ = write!(out, "<g clip-path=\"url(#{})\"><g class=\"stretch\">", self.clip);
        for region in &self.chart.regions {
            let (Some(from), Some(to)) = (self.px(region.from), self.px(region.to)) else { continue };
            let (from, to) = (from.max(self.plot.left), to.min(self.plot.left + self.plot.width));
            // A hair between neighbours, so that two probes do not look like one.
            let to = if region.look == Look::Ribbon { to - 1.5 } else { to };
            if to <= from {
                continue;
            }
            let (look, y, height) = match region.look {
                Look::Strong => ("shade strong", self.plot.top, self.plot.height),
                Look::Shade => ("shade", self.plot.top, self.plot.height),
                Look::Muted => ("muted", self.plot.top, self.plot.height),
                Look::Ribbon => ("ribbon", self.plot.top - 4.0, 4.0),
            };
            let _ = write!(
                out,
                "<rect class=\"{look} {}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                region.tone.class(),
                to - from,
            );
        }
        out.push_str("</g></g>");
        self.region_labels(out);
    }

    /// Names above the plot. The widest regions are named first; a name that would touch another is left out.
    fn region_labels(&self, out: &mut String) {
        let mut labelled: Vec<&Region> = self.chart.regions.iter().filter(|r| !r.label.is_empty()).collect();
        labelled.sort_by(|a, b| (b.to - b.from).total_cmp(&(a.to - a.from)));
        let (start, end) = (self.plot.left, self.plot.left + self.plot.width);
        let mut taken: Vec<(f64, f64)> = Vec::new();
        out.push_str("<g class=\"region-labels\">");
        for region in labelled {
            let (Some(from), Some(to)) = (self.px(region.from), self.px(region.to)) else { continue };
            let half = region.label.chars().count() as f64 * CHARACTER / 2.0;
            let middle = f64::midpoint(from.max(start), to.min(end))
                .clamp(start + half, (end - half).max(start + half));
            let (left, right) = (middle - half - 4.0, middle + half + 4.0);
            if taken.iter().any(|(l, r)| left < *r && *l < right) {
                continue;
            }
            taken.push((left, right));
            let _ = write!(
                out,
                "<text class=\"region-label {}\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                region.tone.class(),
                self.plot.top - 10.0,
                escape(&region.label),
            );
        }
        out.push_str("</g>");
    }

    fn y_axis(&self, out: &mut String) {
        let Plot { left, width, .. } = self.plot;
        out.push_str("<g class=\"axis\">");
        for tick in &self.y.ticks {
            let Some(y) = self.py(*tick) else { continue };
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left + width,
                left - 8.0,
                y + 4.0,
                escape(&self.y.label(*tick)),
            );
        }
        let _ = write!(
            out,
            "<text class=\"axis-title\" x=\"2\" y=\"13\">{}</text></g>",
            escape(self.chart.y.label)
        );
    }

    fn x_axis(&self, out: &mut String) {
        let Plot { left, top, width, height } = self.plot;
        let bottom = top + height;
        let _ = write!(
            out,
            "<g class=\"axis\"><line class=\"axis-line\" x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{bottom:.1}\" \
             y2=\"{bottom:.1}\"/><g class=\"x-ticks\">",
            left + width
        );
        let mut free_from = 0.0;
        for tick in &self.x.ticks {
            let Some(x) = self.px(*tick) else { continue };
            let label = self.x.label(*tick);
            let half = label.chars().count() as f64 * CHARACTER / 2.0;
            let middle = x.min(self.size.width - half - 1.0);
            let _ = write!(
                out,
                "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\"/>",
                bottom + 5.0
            );
            if middle - half >= free_from {
                free_from = middle + half + 10.0;
                let _ = write!(
                    out,
                    "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    bottom + 19.0,
                    escape(&label)
                );
            }
        }
        let _ = write!(
            out,
            "</g><text class=\"axis-title\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            left + width / 2.0,
            bottom + 38.0,
            escape(self.chart.x.label)
        );
    }

    fn marks(&mut self, out: &mut String) {
        let _ = write!(out, "<g clip-path=\"url(#{})\"><g class=\"stretch marks\">", self.clip);
        self.heat(out);
        for index in 0..self.chart.series.len() {
            let series = &self.chart.series[index];
            let tone = series.tone.class();
            let points = self.chart.tops(index);
            let mut path = |class: &str, d: String| {
                if !d.is_empty() {
                    let _ = write!(out, "<path class=\"{class} {tone}\" d=\"{d}\"/>");
                }
            };
            match series.shape {
                Shape::Line => path("line", self.line(&points)),
                Shape::Dashed => path("line dashed", self.line(&points)),
                Shape::Dots => path("dots", self.dots(&points)),
                Shape::Bars => path("bars", self.bars(&points)),
                Shape::Band => path("area band", self.area(&points)),
                Shape::Area | Shape::Stacked => {
                    let fill = if series.shape == Shape::Area { "area" } else { "area stacked" };
                    path(fill, self.area(&points));
                    path("line", self.line(&points));
                }
            }
        }
        out.push_str("</g></g>");
    }

    /// The cells are defined once per chart, a unit square each; here they are only put into place.
    fn heat(&self, out: &mut String) {
        let Some(((from, to), (low, high), (columns, rows))) =
            self.chart.heat.as_ref().and_then(|heat| Some((heat.span()?, heat.range()?, heat.size())))
        else {
            return;
        };
        let (Some(left), Some(right), Some(top), Some(bottom)) =
            (self.px(from), self.px(to), self.py(high), self.py(low))
        else {
            return;
        };
        let _ = write!(
            out,
            "<use class=\"heat\" href=\"#heat-{}\" transform=\"translate({left:.2} {top:.2}) scale({:.5} {:.5})\"/>",
            self.chart.id,
            (right - left) / columns as f64,
            (bottom - top) / rows as f64,
        );
    }

    /// Runs of points without a gap, in pixels: (x, bottom, top).
    fn runs(&self, points: &[(f64, f64, f64)]) -> Vec<Vec<(f64, f64, f64)>> {
        let mut runs = vec![Vec::new()];
        for (x, bottom, top) in points {
            match (self.px(*x), self.py(*top)) {
                (Some(px), Some(py)) => {
                    runs.last_mut().expect("starts with one run").push((px, self.base(*bottom), py))
                }
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }

    fn line(&self, points: &[(f64, f64, f64)]) -> String {
        let mut d = String::new();
        for run in self.runs(points) {
            for (i, (x, _, y)) in run.iter().enumerate() {
                let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
            }
            if run.len() == 1 {
                d.push_str("h0"); // a lone point shows as a dot
            }
        }
        d
    }

    fn area(&self, points: &[(f64, f64, f64)]) -> String {
        let mut d = String::new();
        for run in self.runs(points) {
            for (i, (x, _, y)) in run.iter().enumerate() {
                let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
            }
            for (x, bottom, _) in run.iter().rev() {
                let _ = write!(d, "L{x:.1} {bottom:.1}");
            }
            d.push('Z');
        }
        d
    }

    fn dots(&self, points: &[(f64, f64, f64)]) -> String {
        let mut d = String::new();
        for (x, _, y) in self.runs(points).into_iter().flatten() {
            let _ = write!(d, "M{x:.1} {y:.1}h0");
        }
        d
    }

    fn bars(&self, points: &[(f64, f64, f64)]) -> String {
        let step = bar_step(self.chart);
        let mut d = String::new();
        for (x, bottom, top) in points {
            let (Some(from), Some(to)) = (self.px(*x), self.px(*x + step)) else { continue };
            let (Some(upper), lower) = (self.py(*top), self.base(*bottom)) else { continue };
            if lower - upper < 0.05 {
                continue;
            }
            let gap = ((to - from) * 0.12).min(2.0);
            let (from, to) = (from + gap / 2.0, to - gap / 2.0);
            let _ = write!(d, "M{from:.1} {lower:.1}V{upper:.1}H{to:.1}V{lower:.1}Z");
        }
        d
    }

    fn guides(&self, out: &mut String) {
        let Plot { left, top, width, .. } = self.plot;
        for guide in &self.chart.guides {
            let Some(y) = self.py(guide.at) else { continue };
            let text_y = if y - 7.0 < top + 10.0 { y + 16.0 } else { y - 7.0 };
            let _ = write!(
                out,
                "<g class=\"guide {}\"><line x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{text_y:.1}\">{}</text></g>",
                guide.tone.class(),
                left + width,
                left + 8.0,
                escape(&guide.label),
            );
        }
    }
}

/// Width of a bar on the x axis: the smallest distance between two neighbours.
fn bar_step(chart: &Chart) -> f64 {
    let bars = chart.series.iter().filter(|s| s.shape == Shape::Bars);
    let steps = bars.flat_map(|s| s.points.windows(2).map(|pair| pair[1].0 - pair[0].0)).filter(|d| *d > 0.0);
    let least = steps.fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 1.0 }
}
