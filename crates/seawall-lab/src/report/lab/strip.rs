//! Rows of cells over time: how busy each resource was, or what each thread did.
//!
//! A row is a drawing that is stretched to whatever width there is, one unit per column; names and the time axis are text
//! beside it. So one drawing serves all widths, and zooming is a change of its view box.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::report::chart::{Kind, Scale, Unit};
use crate::report::format::{escape, script_json};

/// Columns of a strip.
pub(super) const COLUMNS: usize = 200;

/// What is drawn in one colour.
pub(super) struct Layer {
    /// Class of the style sheet.
    pub(super) class: String,
    /// (column, from, to): bottom and top within the row, 0 to 1.
    pub(super) cells: Vec<(usize, f64, f64)>,
}

/// One row.
pub(super) struct Row {
    pub(super) name: String,
    /// What the script reads out, one text per column.
    pub(super) texts: Vec<String>,
    pub(super) layers: Vec<Layer>,
}

/// Rows with one time axis.
pub(super) struct Strip<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) about: &'a str,
    pub(super) class: &'a str,
    /// Begin and end, seconds.
    pub(super) span: (f64, f64),
    pub(super) rows: Vec<Row>,
    /// Entries of the legend: class and words.
    pub(super) keys: Vec<(&'a str, &'a str)>,
}

impl Strip<'_> {
    pub(super) fn figure(&self) -> String {
        let mut out = String::new();
        let (from, to) = self.span;
        let _ = write!(
            out,
            "<figure class=\"strip card {}\" id=\"strip-{}\" data-group=\"time\" data-span=\"{from} {to}\" \
             data-columns=\"{COLUMNS}\"><figcaption><h3>{}</h3><p>{}</p></figcaption><ul class=\"legend\">",
            self.class,
            self.id,
            escape(self.title),
            escape(self.about)
        );
        for (class, words) in &self.keys {
            let _ = write!(out, "<li class=\"key-cell\"><i class=\"{class}\"></i>{}</li>", escape(words));
        }
        out.push_str("</ul><div class=\"strip-rows\">");
        for row in &self.rows {
            self.row(&mut out, row);
        }
        out.push_str("<div class=\"strip-axis\"><span></span><div class=\"strip-ticks\">");
        for (at, text) in self.ticks() {
            let _ = write!(out, "<i style=\"left:{:.2}%\">{}</i>", at * 100.0, escape(&text));
        }
        let _ = write!(
            out,
            "</div></div><p class=\"axis-name\">time since the run began, s</p></div>\
             <script type=\"application/json\" class=\"strip-data\">{}</script></figure>",
            script_json(&self.json().to_string())
        );
        out
    }

    fn row(&self, out: &mut String, row: &Row) {
        let name = escape(&row.name);
        let _ = write!(
            out,
            "<div class=\"strip-row\"><span class=\"strip-name\" title=\"{name}\">{name}</span>\
             <svg class=\"strip-svg\" viewBox=\"0 0 {COLUMNS} 1\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name}\">"
        );
        for layer in &row.layers {
            let mut d = String::new();
            for run in layer.cells.chunk_by(|a, b| b.0 == a.0 + 1 && (a.1, a.2) == (b.1, b.2)) {
                let (column, from, to) = run[0];
                let _ = write!(d, "M{column} {:.3}h{}v{:.3}h-{}z", 1.0 - to, run.len(), to - from, run.len());
            }
            if !d.is_empty() {
                let _ = write!(out, "<path class=\"{}\" d=\"{d}\"/>", layer.class);
            }
        }
        out.push_str("</svg></div>");
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        let scale = Scale::fit(Kind::Linear, Unit::Seconds, &[self.span.0, self.span.1], 8, false);
        let places = scale.ticks.iter().filter_map(|tick| Some((scale.place(*tick)?, scale.label(*tick))));
        places.filter(|(at, _)| (0.0..=1.0).contains(at)).collect()
    }

    fn json(&self) -> Value {
        // Runs of one text are written once, with their length.
        let runs = |row: &Row| -> Vec<Value> {
            row.texts.chunk_by(|a, b| a == b).map(|run| json!([run.len(), run[0]])).collect()
        };
        let rows: Vec<_> =
            self.rows.iter().map(|row| json!({ "name": row.name, "texts": runs(row) })).collect();
        json!({ "rows": rows })
    }
}

/// Samples spread over the columns. A sample tells about the time since the one before; where several fall into one column,
/// `pick` chooses. `None` where nothing is known.
pub(super) fn spread<T: Copy>(
    samples: &[(f64, T)],
    (from, to): (f64, f64),
    pick: impl Fn(T, T) -> T,
) -> Vec<Option<T>> {
    let mut columns = vec![None; COLUMNS];
    if to <= from {
        return columns;
    }
    let column = |t: f64| (((t - from) / (to - from) * COLUMNS as f64).max(0.0) as usize).min(COLUMNS - 1);
    // A sample after a pause does not tell about the whole pause.
    let usual = typical(samples) * 3.0;
    for (i, (t, value)) in samples.iter().enumerate() {
        let since = if i == 0 { *t - usual / 3.0 } else { samples[i - 1].0.max(*t - usual) };
        for cell in &mut columns[column(since.max(from) + 1e-9)..=column(*t - 1e-9)] {
            *cell = Some(cell.map_or(*value, |known| pick(known, *value)));
        }
    }
    columns
}

/// The middle distance between samples.
fn typical<T>(samples: &[(f64, T)]) -> f64 {
    let gaps: Vec<f64> = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let middle = crate::stats::median(&gaps);
    if middle.is_finite() { middle } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_fills_the_time_since_the_one_before() {
        let columns = spread(&[(5.0, 1.0), (10.0, 2.0)], (0.0, 10.0), f64::max);
        assert_eq!(
            (columns[0], columns[99], columns[101], columns[199]),
            (Some(1.0), Some(1.0), Some(2.0), Some(2.0))
        );
    }
    #[test]
    fn a_pause_stays_empty() {
        let samples: Vec<(f64, f64)> = [1.0, 2.0, 3.0, 4.0, 40.0].map(|t| (t, 1.0)).to_vec();
        let columns = spread(&samples, (0.0, 40.0), f64::max);
        assert_eq!((columns[19], columns[100], columns[199]), (Some(1.0), None, Some(1.0)));
    }
    #[test]
    fn many_samples_in_a_column_are_picked_from() {
        let samples: Vec<(f64, f64)> =
            (1..=10_000).map(|i| (f64::from(i) / 1000.0, f64::from(i % 100))).collect();
        assert!(spread(&samples, (0.0, 10.0), f64::max).iter().flatten().all(|v| *v >= 49.0));
    }
    #[test]
    fn no_time_is_no_column() {
        assert!(spread(&[(1.0, 1.0)], (1.0, 1.0), f64::max).iter().all(Option::is_none));
    }
}
