//! A chart as an HTML figure: caption, legend, the drawings, and the points for the script.

use std::fmt::Write as _;

use serde_json::json;

use super::svg::{self, Size};
use super::{Chart, Heat, Look, Shape, Width};
use crate::report::format::{escape, script_json};

const NARROW: Size = Size { class: "v-narrow", width: 372.0, height: 270.0 };
const MIDDLE: Size = Size { class: "v-middle", width: 548.0, height: 300.0 };
const SMALL: Size = Size { class: "v-small", width: 372.0, height: 196.0 };
const WIDE: Size = Size { class: "v-wide", width: 1140.0, height: 320.0 };

impl Chart {
    /// The figure. A chart without any data says so instead of showing empty axes.
    pub(in crate::report) fn figure(&self) -> String {
        let (width, sizes): (&str, &[Size]) = match self.width {
            Width::Small => ("small", &[SMALL]),
            Width::Half => ("half", &[NARROW, MIDDLE]),
            Width::Full => ("full", &[NARROW, MIDDLE, WIDE]),
        };
        let mut out = String::new();
        let group = self.group.map(|g| format!(" data-group=\"{g}\"")).unwrap_or_default();
        let _ = write!(
            out,
            "<figure class=\"chart {width}\" id=\"chart-{}\"{group}><figcaption><h3>{}</h3><p>{}</p></figcaption>",
            self.id,
            escape(&self.title),
            escape(&self.about)
        );
        if self.series.is_empty() && self.heat.is_none() {
            out.push_str("<p class=\"nothing\">Nothing was recorded here.</p></figure>");
            return out;
        }
        if self.width != Width::Small || self.series.len() > 1 {
            self.legend(&mut out);
        }
        out.push_str("<div class=\"plots\">");
        if let Some(heat) = &self.heat {
            out.push_str(&heat.definition(self.id));
        }
        for size in sizes {
            out.push_str(&svg::draw(self, *size));
        }
        let _ = write!(
            out,
            "</div><script type=\"application/json\" class=\"chart-data\">{}</script></figure>",
            script_json(&self.points_json())
        );
        out
    }

    fn legend(&self, out: &mut String) {
        out.push_str("<ul class=\"legend\">");
        for series in &self.series {
            let shape = match series.shape {
                Shape::Line => "key-line",
                Shape::Dashed => "key-dashed",
                Shape::Area | Shape::Stacked | Shape::Bars | Shape::Band => "key-block",
                Shape::Dots => "key-dot",
            };
            let _ =
                write!(out, "<li class=\"{shape} {}\">{}</li>", series.tone.class(), escape(&series.name));
        }
        if self.regions.iter().any(|r| r.look == Look::Muted) {
            out.push_str("<li class=\"key-muted t-grey\">warm-up, not counted</li>");
        }
        if self.heat.is_some() {
            out.push_str(
                "<li class=\"key-ramp\"><span>few requests</span><i class=\"ramp\"></i><span>many</span></li>",
            );
        }
        for (name, tone) in &self.keys {
            let _ = write!(out, "<li class=\"key-block {}\">{}</li>", tone.class(), escape(name));
        }
        out.push_str("</ul>");
    }

    fn points_json(&self) -> String {
        let series: Vec<_> = (0..self.series.len())
            .map(|i| {
                let one = &self.series[i];
                let stacked = matches!(one.shape, Shape::Stacked | Shape::Bars);
                let band = one.shape == Shape::Band;
                let points: Vec<_> = self
                    .tops(i)
                    .into_iter()
                    .zip(&one.points)
                    .map(|((x, low, top), (_, y))| {
                        let (x, y, top) = (short(x), short(*y), short(top));
                        if stacked {
                            json!([x, y, top])
                        } else if band {
                            json!([x, y, top, short(low)])
                        } else {
                            json!([x, y])
                        }
                    })
                    .collect();
                json!({ "name": one.name, "tone": one.tone.class(), "dots": one.shape == Shape::Dots, "points": points })
            })
            .collect();
        let heat = self.heat.as_ref().map(Heat::json);
        let data = json!({
            "heat": heat, "xUnit": self.x.unit.code(), "yUnit": self.y.unit.code(), "xLabel": self.x.label, "series": series,
        });
        data.to_string()
    }
}

/// Five digits are more than a screen shows; gaps are `null`.
fn short(x: f64) -> Option<f64> {
    if !x.is_finite() || x == 0.0 {
        return x.is_finite().then_some(0.0);
    }
    format!("{x:.4e}").parse().ok()
}
