//! A heat map: time along x, latency on a logarithmic y axis, and how many requests fell into each cell.
//!
//! Each shade is one path of unit squares, defined once and used by the drawings of all widths. Shades follow the logarithm of
//! the count: one slow request among thousands must still be seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

/// Shades, from few to many.
const SHADES: usize = 9;
/// Columns drawn at most; neighbours are put together.
const MAX_COLUMNS: usize = 240;
/// Rows drawn at most; beyond, neighbours are put together.
const MAX_ROWS: usize = 96;

/// One column before it is placed: begin and end in seconds, and (row, count). A row is a part of an octave.
pub(in crate::report) type Column = (f64, f64, Vec<(u32, u64)>);

/// A heat map with columns of one length, that of the shortest.
#[derive(Debug, Clone)]
pub(in crate::report) struct Heat {
    start: f64,
    step: f64,
    columns: usize,
    /// The lowest row that is used.
    first_row: u32,
    rows: usize,
    per_octave: f64,
    /// Cells that hold something: (column, row from the lowest), count.
    cells: BTreeMap<(usize, usize), u64>,
}

impl Heat {
    /// Out of columns in rising order. Row `i` begins at `2^(i / per_octave)` nanoseconds. `None` when nothing is in them.
    pub(in crate::report) fn new(columns: &[Column], per_octave: u32) -> Option<Self> {
        let filled = columns.iter().filter(|(_, _, cells)| !cells.is_empty());
        let start = columns.first()?.0;
        let end = columns.iter().map(|column| column.1).fold(start, f64::max);
        let rows = filled.clone().flat_map(|(_, _, cells)| cells.iter().map(|(row, _)| *row));
        let (low, high) = (rows.clone().min()?, rows.max()?);
        let coarser = ((high - low) as usize / MAX_ROWS + 1) as u32;
        let shortest =
            columns.iter().map(|(from, to, _)| to - from).filter(|d| *d > 0.0).fold(f64::INFINITY, f64::min);
        let step = shortest.max((end - start) / MAX_COLUMNS as f64);
        if !step.is_finite() || step <= 0.0 {
            return None;
        }
        let count = ((end - start) / step).ceil().max(1.0) as usize;
        let mut cells = BTreeMap::new();
        for (from, to, values) in columns {
            // A second beside quarters of one fills four columns: its requests are spread over them, from the middle.
            let wide = (((to - from) / step).round() as usize).clamp(1, count);
            let middle = ((((from + to) / 2.0 - start) / step) as usize).min(count - 1);
            let at = middle.saturating_sub(wide / 2).min(count - wide);
            for (row, n) in values {
                for i in 0..wide {
                    let order = ((i + wide - wide / 2) % wide) as u64;
                    let share = n / wide as u64 + u64::from(order < n % wide as u64);
                    if share > 0 {
                        *cells.entry((at + i, ((row - low) / coarser) as usize)).or_insert(0) += share;
                    }
                }
            }
        }
        let rows = ((high - low) / coarser) as usize + 1;
        Some(Self {
            start,
            step,
            columns: count,
            first_row: low,
            rows,
            per_octave: f64::from(per_octave) / f64::from(coarser),
            cells,
        })
    }

    /// From the first column's begin to the last one's end, seconds.
    pub(super) fn span(&self) -> Option<(f64, f64)> {
        (self.columns > 0).then_some((self.start, self.start + self.step * self.columns as f64))
    }

    /// The lowest and the highest latency, milliseconds.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        (self.rows > 0).then(|| (self.edge(0), self.edge(self.rows)))
    }

    /// The lower edge of a row, milliseconds.
    fn edge(&self, row: usize) -> f64 {
        let coarser = self.coarser();
        let octave = (f64::from(self.first_row) / coarser + row as f64) / self.per_octave;
        2f64.powf(octave) / 1e6
    }

    fn coarser(&self) -> f64 {
        f64::from(seawall_load::CELLS_PER_OCTAVE) / self.per_octave
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    fn shade(count: u64, most: u64) -> usize {
        let share = (count as f64).ln_1p() / (most as f64).ln_1p();
        ((share * SHADES as f64).ceil() as usize).clamp(1, SHADES)
    }

    /// The hidden drawing with the cells: runs of one shade in one row are one box.
    pub(super) fn definition(&self, id: &str) -> String {
        let most = self.cells.values().copied().max().unwrap_or(1);
        let mut paths = vec![String::new(); SHADES + 1];
        for row in 0..self.rows {
            let shades: Vec<usize> = (0..self.columns)
                .map(|column| self.cells.get(&(column, row)).map_or(0, |count| Self::shade(*count, most)))
                .collect();
            let y = self.rows - 1 - row;
            let mut x = 0;
            for run in shades.chunk_by(|a, b| a == b) {
                if run[0] > 0 {
                    let _ = write!(paths[run[0]], "M{x} {y}h{}v1h-{}z", run.len(), run.len());
                }
                x += run.len();
            }
        }
        let mut out = format!("<svg class=\"heat-cells\" aria-hidden=\"true\"><defs><g id=\"heat-{id}\">");
        for (shade, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let _ = write!(out, "<path class=\"h{shade}\" d=\"{path}\"/>");
        }
        out.push_str("</g></defs></svg>");
        out
    }

    /// For the script: where a cell is, and how much is in it.
    pub(super) fn json(&self) -> Value {
        let (low, high) = self.range().unwrap_or((0.0, 1.0));
        let cells: Vec<_> = self.cells.iter().map(|((x, y), n)| json!([x, y, n])).collect();
        json!({ "start": self.start, "step": self.step, "rows": self.rows, "low": low, "high": high, "cells": cells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_a_cell() {
        let columns: Vec<Column> = (0..1000)
            .map(|i| (f64::from(i), f64::from(i + 1), vec![(160 + (i % 7) as u32, 3), (200, 1)]))
            .collect();
        let heat = Heat::new(&columns, 8).unwrap();
        assert!(heat.columns <= MAX_COLUMNS + 1, "{}", heat.columns);
        assert_eq!(heat.cells.values().sum::<u64>(), 4000);
        assert_eq!(heat.rows, 41);
    }
    #[test]
    fn a_second_beside_quarters_of_one_fills_its_columns() {
        let columns = [(0.0, 0.25, vec![(160, 5)]), (0.25, 1.25, vec![(160, 7), (161, 1)])];
        let heat = Heat::new(&columns, 8).unwrap();
        let row = |row| (0..5).map(|column| heat.cells.get(&(column, row)).copied()).collect::<Vec<_>>();
        assert_eq!(row(0), [Some(5), Some(2), Some(1), Some(2), Some(2)]);
        assert_eq!(row(1), [None, None, None, Some(1), None], "a single one is in the middle");
    }
    #[test]
    fn a_row_begins_where_the_generator_says() {
        let heat = Heat::new(&[(0.0, 1.0, vec![(160, 1)])], 8).unwrap();
        let (low, high) = heat.range().unwrap();
        assert!((low - 2f64.powi(20) / 1e6).abs() < 1e-9 && (high / low - 2f64.powf(0.125)).abs() < 1e-9);
    }
    #[test]
    fn a_wide_range_has_fewer_rows_and_the_same_edges() {
        let heat = Heat::new(&[(0.0, 1.0, vec![(80, 1), (300, 1)])], 8).unwrap();
        let (low, high) = heat.range().unwrap();
        assert!(heat.rows <= MAX_ROWS + 1);
        assert!((low - 2f64.powi(10) / 1e6).abs() < 1e-9 && high >= 2f64.powf(301.0 / 8.0) / 1e6 * 0.999);
    }
    #[test]
    fn one_slow_request_among_many_is_seen() {
        assert!(Heat::shade(1, 1_000_000) >= 1);
        assert_eq!(Heat::shade(1_000_000, 1_000_000), SHADES);
    }
    #[test]
    fn nothing_measured_is_no_map() {
        assert!(Heat::new(&[], 8).is_none());
        assert!(Heat::new(&[(0.0, 1.0, vec![])], 8).is_none());
    }
}
