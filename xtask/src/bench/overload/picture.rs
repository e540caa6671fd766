//! The picture: the share that is left, and the p99 beneath, against the load; a column per handler. SVG with a light and
//! a dark dress, of which the reader's browser takes the right one.

use std::fmt::Write as _;

use super::Results;
use super::cases::{Handler, Peer};
use super::points::Row;
use super::report::{handlers, label, peers};
use super::spike_picture;

const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const COLUMN: f64 = 330.0;
/// A single one.
const WIDE_COLUMN: f64 = 640.0;
const GAP: f64 = 58.0;
const TOP: f64 = 56.0;
const LEGEND_LINE: f64 = 20.0;
const LEGEND_COLUMN: f64 = 330.0;
const SHARE_HEIGHT: f64 = 230.0;
const P99_HEIGHT: f64 = 140.0;
const BETWEEN: f64 = 62.0;
const BOTTOM: f64 = 52.0;
/// Labels of an axis stand apart by this at least.
const APART: f64 = 24.0;

/// An answer is good for so long.
const GOOD_MS: f64 = 100.0;
/// The least and the most of the axis of p99.
const P99_MS: (f64, f64) = (1.0, 10_000.0);

const STYLE: &str = "\
text{font-family:system-ui,sans-serif;font-size:12px;fill:#24292f}\
.h{font-size:17px;font-weight:600}.s{font-size:13px;font-weight:600}.m{fill:#57606a}\
.bg{fill:#fff}.grid{stroke:#d8dee4}.axis{stroke:#57606a}.limit{stroke:#57606a;stroke-dasharray:2 3}\
.l{fill:none;stroke-width:1.8;stroke-linejoin:round}.p{stroke-width:1.5}.open{fill:#fff}.thin{stroke-width:1.3}.band{fill:#57606a;fill-opacity:.12}\
.ours{stroke-width:3.2}.ceiling{fill:none;stroke-width:1.6;stroke-dasharray:6 4}\
.c0{stroke:#0969da}.f0{fill:#0969da}.c1{stroke:#8250df}.f1{fill:#8250df}.c2{stroke:#6e7781}.f2{fill:#6e7781}\
.c3{stroke:#cf222e}.f3{fill:#cf222e}.c4{stroke:#bc6c00}.f4{fill:#bc6c00}.c5{stroke:#1a7f37}.f5{fill:#1a7f37}\
@media (prefers-color-scheme:dark){\
text{fill:#e6edf3}.m{fill:#9198a1}.bg{fill:#0d1117}.open{fill:#0d1117}.grid{stroke:#2b323b}.band{fill:#9198a1}.axis{stroke:#9198a1}.limit{stroke:#9198a1}\
.c0{stroke:#4493f8}.f0{fill:#4493f8}.c1{stroke:#ab7df8}.f1{fill:#ab7df8}.c2{stroke:#9198a1}.f2{fill:#9198a1}\
.c3{stroke:#ff6b63}.f3{fill:#ff6b63}.c4{stroke:#e3973b}.f4{fill:#e3973b}.c5{stroke:#3fb950}.f5{fill:#3fb950}}";

/// The picture, as SVG.
pub(in super::super) fn draw(results: &Results) -> String {
    let handlers = handlers(results);
    let columns = handlers.len() as f64;
    let column = if handlers.len() == 1 { WIDE_COLUMN } else { COLUMN };
    let width = LEFT + columns * column + (columns - 1.0) * GAP + RIGHT;
    let entries = legend(results);
    let per_line = ((width - LEFT) / LEGEND_COLUMN).floor().max(1.0) as usize;
    let top = TOP + entries.len().div_ceil(per_line) as f64 * LEGEND_LINE + 50.0;
    let spike_top = top + SHARE_HEIGHT + BETWEEN + P99_HEIGHT + BOTTOM;
    let height = spike_top + spike_picture::height(results);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>Good answers and p99 against the offered load</title>\n<style>{STYLE}</style>\n\
         <rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"h\" x=\"{LEFT}\" y=\"26\">What is left when more is asked for than a server can do</text>\n\
         <text class=\"m\" x=\"{LEFT}\" y=\"44\">One core; good: a success within 100 ms of the time it was due. Open loop.</text>\n"
    );
    if results.rows.iter().any(|row| !row.valid) {
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{:.1}\" y=\"44\" text-anchor=\"end\">hollow: not sure</text>",
            width - RIGHT
        );
    }
    for (at, (class, dashed, text)) in entries.iter().enumerate() {
        let x = LEFT + (at % per_line) as f64 * LEGEND_COLUMN;
        let y = TOP + 12.0 + (at / per_line) as f64 * LEGEND_LINE;
        let line = if *dashed { "ceiling" } else { "l" };
        let _ = writeln!(
            out,
            "<line class=\"{line} {class}\" x1=\"{x}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/><text x=\"{:.1}\" y=\"{y}\">{}</text>",
            x + 26.0,
            y - 4.0,
            y - 4.0,
            x + 33.0,
            escaped(text)
        );
    }
    for (number, &handler) in handlers.iter().enumerate() {
        let x = LEFT + number as f64 * (column + GAP);
        Column { results, handler, x, width: column, top }.draw(&mut out);
    }
    spike_picture::draw(&mut out, results, LEFT, width - RIGHT, spike_top);
    out.push_str("</svg>\n");
    out
}

/// Class, dashed or not, and words of each entry.
fn legend(results: &Results) -> Vec<(String, bool, String)> {
    let mut entries: Vec<_> =
        peers(results).into_iter().map(|peer| (class(peer), false, label(results, peer))).collect();
    if results.rows.iter().any(|row| row.server == Peer::Seawall && row.ceiling.is_some()) {
        let words = "possible at Seawall's price of a refusal".to_owned();
        entries.insert(1, (colour(Peer::Seawall), true, words));
    }
    entries
}

pub(super) fn class(peer: Peer) -> String {
    if peer == Peer::Seawall { format!("ours {}", colour(peer)) } else { colour(peer) }
}

fn colour(peer: Peer) -> String {
    format!("c{}", peer as u8)
}

/// The two panels of a handler.
struct Column<'a> {
    results: &'a Results,
    handler: Handler,
    x: f64,
    width: f64,
    top: f64,
}

/// A logarithmic axis, in pixels.
#[derive(Debug, Clone, Copy)]
struct Log {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Log {
    fn at(self, value: f64) -> f64 {
        let share =
            (value.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln().max(1e-9);
        self.from + (self.to - self.from) * share
    }
}

impl Column<'_> {
    fn rows(&self, peer: Peer) -> Vec<&Row> {
        let of = |row: &&Row| (row.server, row.handler) == (peer, self.handler);
        let mut rows: Vec<_> = self.results.rows.iter().filter(of).collect();
        rows.sort_by(|a, b| a.offered_x.total_cmp(&b.offered_x));
        rows
    }

    fn loads(&self) -> Vec<f64> {
        let of = |row: &&Row| row.handler == self.handler;
        let mut loads: Vec<f64> = self.results.rows.iter().filter(of).map(|row| row.offered_x).collect();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        loads
    }

    fn draw(&self, out: &mut String) {
        let loads = self.loads();
        let (low, high) = (loads[0], loads[loads.len() - 1].max(loads[0] * 1.01));
        let x = Log { low, high, from: self.x + 8.0, to: self.x + self.width - 8.0 };
        let share_bottom = self.top + SHARE_HEIGHT;
        let most = self.results.rows.iter().map(|row| row.goodput_share).fold(1.0, f64::max).min(1.2);
        let share = |share: f64| share_bottom - SHARE_HEIGHT * share.clamp(0.0, most) / most;
        let p99_top = share_bottom + BETWEEN;
        let p99_bottom = p99_top + P99_HEIGHT;
        let p99 = Log { low: P99_MS.0, high: P99_MS.1, from: p99_bottom, to: p99_top };
        let left = self.x;
        let _ = writeln!(
            out,
            "<text class=\"s\" x=\"{left}\" y=\"{:.1}\">{}</text>",
            self.top - 26.0,
            self.handler.title()
        );
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{left}\" y=\"{:.1}\">good answers, % of the capacity</text>",
            self.top - 9.0
        );
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{left}\" y=\"{:.1}\">p99 of the answers</text>",
            p99_top - 9.0
        );
        for percent in [0.0, 20.0, 40.0, 60.0, 80.0, 100.0] {
            self.level(out, share(percent / 100.0), &format!("{percent}"), "grid");
        }
        for (ms, words) in
            [(1.0, "1 ms"), (10.0, "10 ms"), (GOOD_MS, "100 ms"), (1_000.0, "1 s"), (10_000.0, "10 s")]
        {
            self.level(out, p99.at(ms), words, if ms == GOOD_MS { "limit" } else { "grid" });
        }
        for bottom in [share_bottom, p99_bottom] {
            self.ticks(out, x, &loads, bottom);
        }
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">offered load, times the capacity (logarithmic)</text>",
            left + self.width / 2.0,
            p99_bottom + 38.0
        );
        self.curves(out, &|row| Some((x.at(row.offered_x), share(row.goodput_share))), true, &|row| {
            Some((x.at(row.offered_x), share(row.ceiling?)))
        });
        self.curves(out, &|row| Some((x.at(row.offered_x), p99.at(row.p99_ms?))), false, &|_| None);
    }

    /// A line across with its label.
    fn level(&self, out: &mut String, y: f64, words: &str, class: &str) {
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
            self.x,
            self.x + self.width,
            self.x - 7.0,
            y + 4.0
        );
    }

    fn ticks(&self, out: &mut String, x: Log, loads: &[f64], bottom: f64) {
        // Of two that would overlap the rounder one is named.
        let named = |load: &&f64| {
            let rounder = |other: &f64| other.fract() == 0.0 && load.fract() != 0.0;
            !loads.iter().any(|other| rounder(other) && (x.at(*other) - x.at(**load)).abs() < APART)
        };
        let _ = writeln!(
            out,
            "<line class=\"axis\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>",
            self.x,
            self.x + self.width
        );
        for load in loads {
            let at = x.at(*load);
            let _ = writeln!(
                out,
                "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\"/>",
                bottom + 5.0
            );
        }
        for load in loads.iter().filter(named) {
            let _ = writeln!(
                out,
                "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{load}x</text>",
                x.at(*load),
                bottom + 18.0
            );
        }
    }

    /// A curve per server, ours on top; and `dashed` of ours.
    fn curves(
        &self,
        out: &mut String,
        place: &dyn Fn(&Row) -> Option<(f64, f64)>,
        with_dashed: bool,
        dashed: &dyn Fn(&Row) -> Option<(f64, f64)>,
    ) {
        for peer in peers(self.results).into_iter().rev() {
            let rows = self.rows(peer);
            if with_dashed && peer == Peer::Seawall {
                line(out, &format!("ceiling {}", colour(peer)), rows.iter().map(|row| dashed(row)));
            }
            line(out, &format!("l {}", class(peer)), rows.iter().map(|row| place(row)));
            for row in &rows {
                let Some((x, y)) = place(row) else { continue };
                // What is not sure is hollow.
                let fill = if row.valid { format!("f{}", peer as u8) } else { "open".to_owned() };
                let radius = if peer == Peer::Seawall { 4.0 } else { 3.0 };
                let _ = writeln!(
                    out,
                    "<circle class=\"p {} {fill}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>",
                    colour(peer)
                );
            }
        }
    }
}

/// Through all that is there; what is missing is left open.
pub(super) fn line(out: &mut String, class: &str, places: impl Iterator<Item = Option<(f64, f64)>>) {
    let mut path = String::new();
    let mut pen = 'M';
    for place in places {
        match place {
            Some((x, y)) => {
                let _ = write!(path, "{pen}{x:.1} {y:.1}");
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    if !path.is_empty() {
        let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\"/>");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::results;
    use super::*;

    #[test]
    fn a_picture_has_a_curve_per_server_and_panel() {
        let svg = draw(&results());
        assert_eq!(svg.matches("<path class=\"l ").count(), 4, "{svg}");
        assert_eq!(svg.matches("<path class=\"ceiling").count(), 1);
        assert!(svg.contains("prefers-color-scheme") && svg.contains("1 ms of CPU") && svg.contains(">10x<"));
    }

    #[test]
    fn what_has_no_value_has_no_point_and_what_is_not_sure_is_hollow() {
        let mut results = results();
        let points = draw(&results).matches("<circle").count();
        results.rows[2].p99_ms = None;
        results.rows[3].valid = false;
        let svg = draw(&results);
        assert_eq!(svg.matches("<circle").count(), points - 1);
        assert_eq!(svg.matches(" open\"").count(), 2);
    }

    #[test]
    fn a_logarithmic_axis_has_equal_steps_for_equal_factors() {
        let axis = Log { low: 0.5, high: 50.0, from: 0.0, to: 100.0 };
        let places = [0.5, 5.0, 50.0, 500.0].map(|value| axis.at(value));
        assert!(places.iter().zip([0.0, 50.0, 100.0, 100.0]).all(|(is, should)| (is - should).abs() < 1e-9));
    }
}
