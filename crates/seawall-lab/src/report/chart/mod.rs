//! Charts: what to draw ([`Chart`]), as an HTML figure that holds the drawing in several widths.
//!
//! A drawing that only shrinks makes its text unreadable, so each figure carries one SVG per class of width and the
//! style sheet shows the one that fits. The points are beside them as JSON, for the script that reads values out.
//! Left out: flame graphs, forest plots and strips, which are boxes in HTML and need no drawing per width.

mod figure;
mod heat;
mod scale;
mod svg;

pub(super) use heat::{Column, Heat};

pub(super) use scale::{Kind, Scale, Unit};

/// A colour by its role; the style sheet knows its light and its dark value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Blue,
    Teal,
    Amber,
    Red,
    Violet,
    Green,
    Grey,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Blue => "t-blue",
            Self::Teal => "t-teal",
            Self::Amber => "t-amber",
            Self::Red => "t-red",
            Self::Violet => "t-violet",
            Self::Green => "t-green",
            Self::Grey => "t-grey",
        }
    }
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Line,
    /// A thinner, dashed line for what was meant rather than measured.
    Dashed,
    /// A line whose area down to zero is filled.
    Area,
    /// Filled between the series below (of the same kind) and this one.
    Stacked,
    /// Bars, standing on the bars of the series before.
    Bars,
    /// Dots.
    Dots,
    /// Filled between a lower and an upper value of its own.
    Band,
}

/// One series: its points in rising order of x; NaN in y is a gap.
#[derive(Debug, Clone)]
pub(super) struct Series {
    name: String,
    tone: Tone,
    shape: Shape,
    points: Vec<(f64, f64)>,
    /// The lower values of a band.
    lows: Vec<f64>,
}

/// A part of the x axis that is shaded.
#[derive(Debug, Clone)]
struct Region {
    from: f64,
    to: f64,
    tone: Tone,
    look: Look,
    label: String,
}

/// How a region is shaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The whole height, lightly.
    Shade,
    /// The whole height, to be noticed.
    Strong,
    /// The whole height, greyed: what does not count.
    Muted,
    /// A ribbon along the top.
    Ribbon,
}

/// A horizontal line at a value, with its name.
#[derive(Debug, Clone)]
struct Guide {
    at: f64,
    tone: Tone,
    label: String,
}

/// An axis before it knows its data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
}

/// How much of the page's width a figure takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// One of several small ones in a row.
    Small,
    Half,
    Full,
}

/// A chart, built up by its methods and turned into HTML by `figure`.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    id: &'static str,
    title: String,
    about: String,
    width: Width,
    x: Axis,
    y: Axis,
    /// Figures with the same group share their crosshair and their zoom.
    group: Option<&'static str>,
    series: Vec<Series>,
    regions: Vec<Region>,
    guides: Vec<Guide>,
    /// Entries of the legend that are not series.
    keys: Vec<(String, Tone)>,
    /// x values that must lie on the axis whatever the data.
    x_span: Option<(f64, f64)>,
    /// A heat map below the series.
    heat: Option<Heat>,
}

/// More points than this are thinned out evenly: a screen has no more columns.
const MAX_POINTS: usize = 1200;

impl Chart {
    pub(super) fn new(id: &'static str, title: &str, about: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            id,
            title: title.to_owned(),
            about: about.into(),
            width: Width::Half,
            x,
            y,
            group: None,
            series: Vec::new(),
            regions: Vec::new(),
            guides: Vec::new(),
            keys: Vec::new(),
            x_span: None,
            heat: None,
        }
    }

    pub(super) fn small(mut self) -> Self {
        self.width = Width::Small;
        self
    }

    /// Puts a heat map below the series. Its y axis must be a logarithmic one in milliseconds.
    pub(super) fn heat(mut self, heat: Heat) -> Self {
        self.heat = Some(heat);
        self
    }

    /// Adds a band of (x, low, high). Without a point it is left out.
    pub(super) fn band(
        mut self,
        name: &str,
        tone: Tone,
        points: impl IntoIterator<Item = (f64, f64, f64)>,
    ) -> Self {
        let finite =
            points.into_iter().filter(|(x, low, high)| x.is_finite() && low.is_finite() && high.is_finite());
        let (points, lows): (Vec<_>, Vec<_>) = finite.map(|(x, low, high)| ((x, high), low)).unzip();
        if !points.is_empty() {
            self.series.push(Series { name: name.to_owned(), tone, shape: Shape::Band, points, lows });
        }
        self
    }

    pub(super) fn full_width(mut self) -> Self {
        self.width = Width::Full;
        self
    }

    pub(super) fn group(mut self, group: &'static str, span: Option<(f64, f64)>) -> Self {
        (self.group, self.x_span) = (Some(group), span);
        self
    }

    /// Adds a series. Without a single finite point it is left out, legend and all.
    pub(super) fn series(
        mut self,
        name: &str,
        tone: Tone,
        shape: Shape,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let points = thinned(points.into_iter().filter(|(x, _)| x.is_finite()).collect());
        if points.iter().any(|(_, y)| y.is_finite()) {
            self.series.push(Series { name: name.to_owned(), tone, shape, points, lows: Vec::new() });
        }
        self
    }

    pub(super) fn region(mut self, from: f64, to: f64, tone: Tone, look: Look, label: &str) -> Self {
        if to > from {
            self.regions.push(Region { from, to, tone, look, label: label.to_owned() });
        }
        self
    }

    /// Explains a colour that is not a series.
    pub(super) fn key(mut self, name: &str, tone: Tone) -> Self {
        self.keys.push((name.to_owned(), tone));
        self
    }

    pub(super) fn guide(mut self, at: f64, tone: Tone, label: impl Into<String>) -> Self {
        self.guides.push(Guide { at, tone, label: label.into() });
        self
    }

    /// All x values, for the axis.
    fn xs(&self) -> Vec<f64> {
        let span = self.x_span.map(|(from, to)| [from, to]);
        let points =
            self.series.iter().flat_map(|s| s.points.iter().filter(|p| p.1.is_finite()).map(|p| p.0));
        let heat = self.heat.as_ref().and_then(Heat::span).map(|(from, to)| [from, to]);
        points.chain(span.into_iter().flatten()).chain(heat.into_iter().flatten()).collect()
    }

    /// All y values, for the axis: tops of stacks included.
    fn ys(&self) -> Vec<f64> {
        let tops = (0..self.series.len()).flat_map(|i| self.tops(i));
        // Room above a guide for its name.
        let heat = self.heat.as_ref().and_then(Heat::range).map(|(low, high)| [low, high]);
        let lows = self.series.iter().flat_map(|s| s.lows.iter().copied());
        let values = tops.map(|(_, _, top)| top).chain(self.guides.iter().map(|g| g.at * 1.1));
        values.chain(lows).chain(heat.into_iter().flatten()).collect()
    }

    /// The points of series `index` as (x, bottom, top). Only stacked shapes have a bottom of their own.
    fn tops(&self, index: usize) -> Vec<(f64, f64, f64)> {
        let series = &self.series[index];
        if series.shape == Shape::Band {
            let band = series.points.iter().zip(&series.lows);
            return band.map(|((x, high), low)| (*x, *low, *high)).collect();
        }
        let stacked = matches!(series.shape, Shape::Stacked | Shape::Bars);
        let below: Vec<&Series> =
            self.series[..index].iter().filter(|s| stacked && s.shape == series.shape).collect();
        let bottom = |i: usize| -> f64 {
            below
                .iter()
                .filter_map(|s| s.points.get(i))
                .map(|p| if p.1.is_finite() { p.1 } else { 0.0 })
                .sum()
        };
        series.points.iter().enumerate().map(|(i, (x, y))| (*x, bottom(i), bottom(i) + y)).collect()
    }
}

fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(i, _)| i % every == 0 || *i == last)
        .map(|(_, point)| point)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let axis = Axis { label: "x", kind: Kind::Linear, unit: Unit::Count };
        Chart::new("c", "Title", "About.", axis, axis)
    }

    #[test]
    fn a_stack_stands_on_the_series_before() {
        let chart = chart()
            .series("a", Tone::Blue, Shape::Bars, [(0.0, 1.0), (1.0, 2.0)])
            .series("line", Tone::Red, Shape::Line, [(0.0, 9.0)])
            .series("b", Tone::Teal, Shape::Bars, [(0.0, 3.0), (1.0, 4.0)]);
        assert_eq!(chart.tops(2), vec![(0.0, 1.0, 4.0), (1.0, 2.0, 6.0)]);
        assert_eq!(chart.tops(1), vec![(0.0, 0.0, 9.0)]);
    }

    #[test]
    fn a_series_without_a_value_is_left_out() {
        assert!(chart().series("a", Tone::Blue, Shape::Line, [(0.0, f64::NAN)]).series.is_empty());
    }

    #[test]
    fn a_band_has_a_bottom_of_its_own() {
        let chart = chart().band("b", Tone::Blue, [(0.0, 1.0, 2.0), (1.0, f64::NAN, 2.0)]);
        assert_eq!(chart.tops(0), vec![(0.0, 1.0, 2.0)]);
        assert!(chart.ys().contains(&1.0));
    }

    #[test]
    fn points_are_bounded_and_keep_both_ends() {
        let points = thinned((0..10_000).map(|i| (f64::from(i), 0.0)).collect());
        assert!(points.len() <= MAX_POINTS + 1);
        assert_eq!((points[0].0, points[points.len() - 1].0), (0.0, 9999.0));
    }
}
