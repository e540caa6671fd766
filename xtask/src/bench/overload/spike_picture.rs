//! The lowest panel of the picture: good answers over time, before, in and after a spike.

use std::fmt::Write as _;

use super::Results;
use super::cases::Peer;
use super::extras::{CALM, SPIKE, Spike};
use super::picture::{class, line};

const HEIGHT: f64 = 150.0;
const HEAD: f64 = 46.0;
const FOOT: f64 = 44.0;

/// Its height with words above and below; nothing without spikes.
pub(super) fn height(results: &Results) -> f64 {
    if results.spikes.is_empty() { 0.0 } else { HEAD + HEIGHT + FOOT }
}

/// Draws it from `top` on, between `left` and `right`.
pub(super) fn draw(out: &mut String, results: &Results, left: f64, right: f64, top: f64) {
    let Some(first) = results.spikes.first() else { return };
    let top = top + HEAD;
    let bottom = top + HEIGHT;
    // The warm-up is left out.
    let begin = first.series.iter().map(|row| row.t).find(|t| *t >= 1.0).unwrap_or(0.0);
    let end = first.series.iter().map(|row| row.t + row.seconds).fold(first.end_s, f64::max);
    let x = |t: f64| left + (right - left) * ((t - begin) / (end - begin)).clamp(0.0, 1.0);
    let y = |share: f64| bottom - HEIGHT * share.clamp(0.0, 1.0);
    let seconds = first.end_s - first.begin_s;
    let _ = writeln!(
        out,
        "<text class=\"s\" x=\"{left}\" y=\"{:.1}\">{}: {seconds} s at {SPIKE}x in a load of {CALM}x</text>\n\
         <text class=\"m\" x=\"{left}\" y=\"{:.1}\">good answers, % of the capacity</text>\n\
         <rect class=\"band\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\"/>",
        top - 26.0,
        first.handler.title(),
        top - 9.0,
        x(first.begin_s),
        x(first.end_s) - x(first.begin_s)
    );
    for percent in [0.0, 20.0, 40.0, 60.0, 80.0, 100.0] {
        let (at, class) = (y(percent / 100.0), if percent == 0.0 { "axis" } else { "grid" });
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent}</text>",
            left - 7.0,
            at + 4.0
        );
    }
    for second in (0..=(end - begin) as u32).step_by(2) {
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second}</text>",
            x(begin + f64::from(second)),
            bottom + 18.0
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">seconds</text>",
        (left + right) / 2.0,
        bottom + 36.0
    );
    for spike in results.spikes.iter().rev() {
        curve(out, spike, begin, &x, &y);
    }
}

fn curve(out: &mut String, spike: &Spike, begin: f64, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    let rows = spike.series.iter().filter(|row| row.t >= begin);
    let places = rows.map(|row| Some((x(row.t + row.seconds / 2.0), y(row.good_rps / spike.capacity))));
    let thin = if spike.server == Peer::Seawall { "" } else { " thin" };
    line(out, &format!("l {}{thin}", class(spike.server)), places);
}
