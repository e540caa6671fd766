//! A line chart as an SVG. Pure; points that cannot be drawn (not finite, or not above zero on a logarithmic axis) are
//! left out.

use std::fmt::Write as _;

use super::escape;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 12.0;
/// More points than this are thinned out: a screen has no more columns.
const MAX_POINTS: usize = 1_000;

/// Nothing that is drawn is smaller, but for zero.
const SMALLEST: f64 = 1e-9;

/// How values are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// By their logarithm.
    Log,
}

/// A line.
#[derive(Debug)]
pub(super) struct Series {
    name: &'static str,
    class: &'static str,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// `class` is a colour of the style sheet.
    pub(super) fn new(name: &'static str, class: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { name, class, points }
    }
}

/// A chart, built up by its methods.
#[derive(Debug)]
pub(super) struct Chart {
    title: &'static str,
    x_label: &'static str,
    x: Scale,
    y: Scale,
    series: Vec<Series>,
    shade: Option<(f64, &'static str)>,
}

/// An axis that knows its data: where a value lies between its ends, and what is written along it.
#[derive(Debug)]
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    fn over(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        match scale {
            Scale::Linear => Self { scale, low: 0.0, high: if high >= SMALLEST { high } else { 1.0 } },
            Scale::Log if low.is_finite() => {
                let (low, high) = (low.log10().floor(), high.log10().ceil());
                Self { scale, low, high: if high > low { high } else { low + 1.0 } }
            }
            Scale::Log => Self { scale, low: 0.0, high: 1.0 },
        }
    }

    /// 0 at the low end, 1 at the high one.
    fn at(&self, value: f64) -> f64 {
        let value = if self.scale == Scale::Log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Log => (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power)).collect(),
            Scale::Linear => {
                let rough = self.high / 5.0;
                let power = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|unit| unit * power);
                let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
                (0..=(self.high / step) as u32).map(|n| f64::from(n) * step).collect()
            }
        }
    }
}

impl Chart {
    pub(super) fn new(title: &'static str, x_label: &'static str, x: Scale, y: Scale) -> Self {
        Self { title, x_label, x, y, series: Vec::new(), shade: None }
    }

    /// Adds a line, if it has a point that can be drawn.
    pub(super) fn series(mut self, mut series: Series) -> Self {
        let fits = |scale: Scale, v: f64| v.is_finite() && (scale == Scale::Linear || v >= SMALLEST);
        series.points.retain(|&(x, y)| fits(self.x, x) && fits(self.y, y));
        let keep_every = series.points.len().div_ceil(MAX_POINTS).max(1);
        series.points = series.points.into_iter().step_by(keep_every).collect();
        if !series.points.is_empty() {
            self.series.push(series);
        }
        self
    }

    /// Shades the x axis from its start up to here, if that is anything.
    pub(super) fn shaded(mut self, until: f64, what: &'static str) -> Self {
        self.shade = (until > 0.0).then_some((until, what));
        self
    }

    /// The chart with its title and its legend.
    pub(super) fn figure(&self) -> String {
        let mut out = format!("<figure><figcaption>{}", escape(self.title));
        for series in &self.series {
            let _ = write!(out, "<small class=\"c-{}\">{}</small>", series.class, escape(series.name));
        }
        if let Some((_, what)) = self.shade {
            let _ = write!(out, "<small>grey: {}</small>", escape(what));
        }
        let _ = write!(
            out,
            "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(self.title)
        );
        self.draw(&mut out);
        out.push_str("</svg></figure>\n");
        out
    }

    fn draw(&self, out: &mut String) {
        let all = || self.series.iter().flat_map(|series| series.points.iter());
        let (x, y) = (Axis::over(self.x, all().map(|p| p.0)), Axis::over(self.y, all().map(|p| p.1)));
        let across = |value: f64| LEFT + x.at(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.at(value) * (HEIGHT - BOTTOM - TOP);
        // Writing to a string cannot fail, here and below.
        if let Some((until, _)) = self.shade {
            let (width, height) = (across(until.min(x.high)) - LEFT, HEIGHT - BOTTOM - TOP);
            let _ = write!(
                out,
                "<rect class=\"shade\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"/>"
            );
        }
        for tick in y.ticks() {
            let (at, right, text) = (up(tick), WIDTH - RIGHT, number(tick));
            let _ = write!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>");
            let _ = write!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        for tick in x.ticks() {
            let (at, text, low) = (across(tick), number(tick), HEIGHT - BOTTOM + 14.0);
            let _ = write!(out, "<text x=\"{at:.1}\" y=\"{low}\" text-anchor=\"middle\">{text}</text>");
        }
        let (middle, low, label) = (f64::midpoint(LEFT, WIDTH), HEIGHT - 4.0, escape(self.x_label));
        let _ = write!(out, "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{label}</text>");
        for series in &self.series {
            let _ = write!(out, "<polyline class=\"c-{}\" points=\"", series.class);
            for &(px, py) in &series.points {
                let _ = write!(out, "{:.1},{:.1} ", across(px), up(py));
            }
            out.push_str("\"/>");
        }
    }
}

/// `1500000` as `1.5M`.
fn number(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{}M", value / 1e6),
        _ if value >= 1e3 => format!("{}k", value / 1e3),
        _ => format!("{}", (value * 1e3).round() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_chart_is_drawn() {
        let figure = Chart::new("t", "x", Scale::Log, Scale::Log).figure();
        assert!(figure.contains("<svg") && !figure.contains("<polyline"), "{figure}");
    }

    #[test]
    fn ends_of_the_axes_are_where_they_belong() {
        let axis = Axis::over(Scale::Log, [20.0, 4_000.0].into_iter());
        assert_eq!((axis.at(10.0), axis.at(10_000.0)), (0.0, 1.0));
        assert_eq!(axis.ticks(), [10.0, 100.0, 1_000.0, 10_000.0]);
        let axis = Axis::over(Scale::Linear, [3.0, 12.0].into_iter());
        assert_eq!((axis.at(0.0), axis.at(12.0)), (0.0, 1.0));
        assert_eq!(axis.ticks(), [0.0, 5.0, 10.0]);
    }

    proptest! {
        #[test]
        fn any_points_are_drawn_inside(
            points in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..40),
            log: bool,
        ) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            // What a run can measure: no negative times, and nothing beyond a few hundred years.
            let points = points.into_iter().map(|(x, y)| (x.abs() % 1e10, y.abs() % 1e10)).collect();
            let figure = Chart::new("t", "x", scale, scale).series(Series::new("s", "one", points)).figure();
            prop_assert!(!figure.contains("NaN") && !figure.contains("inf"), "{}", figure);
            for pair in figure.split("points=\"").nth(1).unwrap_or_default().split('"').next().unwrap_or_default().split_whitespace() {
                let (x, y) = pair.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                prop_assert!((LEFT - 0.1..=WIDTH).contains(&x) && (TOP - 0.1..=HEIGHT).contains(&y), "{} {}", x, y);
            }
        }
    }
}
