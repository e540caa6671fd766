//! Section 13: builds against each other, one line per metric with its interval, and the noise floor behind it.

use std::fmt::Write as _;

use super::data::{Collected, LabReport};
use super::page::{missing, open};
use crate::compare::{Comparison, ComparisonKind, Effect, Outcome, Ruling, Scale};
use crate::report::format::{escape, number};

/// Ticks by how far the axis reaches: parts of A.
const TICKS: [(f64, &[f64]); 5] = [
    (0.03, &[-0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03]),
    (0.12, &[-0.1, -0.05, 0.0, 0.05, 0.1]),
    (0.5, &[-0.4, -0.2, 0.0, 0.2, 0.4]),
    (1.5, &[-0.6, -0.4, -0.2, 0.0, 0.25, 0.5, 1.0, 1.5]),
    (f64::INFINITY, &[-0.99, -0.9, -0.75, -0.5, 0.0, 1.0, 3.0, 9.0, 99.0]),
];
/// Ticks nearer than this part of the axis are left out.
const NEAREST: f64 = 0.1;

pub(super) fn section(out: &mut String, report: &LabReport) {
    const TITLE: &str = "A against B";
    let comparisons = match &report.comparisons {
        Collected::Data(comparisons) if !comparisons.is_empty() => comparisons,
        Collected::Data(_) => return missing(out, "comparison", TITLE, "nothing was compared"),
        Collected::Missing(why) => return missing(out, "comparison", TITLE, why),
    };
    let lead = "A difference is claimed only if its interval excludes zero, its p-value holds among all metrics, and it is larger than \
                1 % and than the noise floor: how far a build lies from itself (the grey band).";
    open(out, "comparison", TITLE, lead);
    for (i, comparison) in comparisons.iter().enumerate() {
        figure(out, i, comparison);
    }
    out.push_str("</section>\n");
}

pub(in crate::report) fn figure(out: &mut String, index: usize, of: &Comparison) {
    let (class, word) = match of.outcome {
        Outcome::Regression => ("fail", "regression"),
        Outcome::Improvement => ("pass", "improvement"),
        Outcome::NoDifference => ("invalid", "no difference"),
        Outcome::Invalid => ("marginal", "does not count"),
    };
    let how = match of.kind {
        ComparisonKind::Interleaved => {
            format!("{} pairs of blocks took turns, {} pairs of A with itself", of.blocks.0, of.noise_pairs)
        }
        ComparisonKind::StoredRuns => {
            format!("stored runs: {} blocks of A, {} of B", of.blocks.0, of.blocks.1)
        }
    };
    let _ = write!(
        out,
        "<figure class=\"card forest\" id=\"forest-{index}\"><figcaption><h3>{} <span class=\"against\">against</span> {} \
         <span class=\"pill {class}\">{word}</span></h3><p>{}. {how}.</p></figcaption>",
        escape(&of.b_name),
        escape(&of.a_name),
        escape(&of.summary)
    );
    let axis = Axis::of(&of.effects);
    out.push_str("<div class=\"forest-rows\">");
    of.effects.iter().for_each(|effect| row(out, effect, &axis));
    out.push_str("<div class=\"forest-row forest-axis\"><span></span><div class=\"forest-plot\">");
    for tick in &axis.ticks {
        let _ =
            write!(out, "<i style=\"left:{:.2}%\">{}</i>", axis.place(*tick) * 100.0, percent_words(*tick));
    }
    out.push_str("</div><span></span></div></div><p class=\"axis-name\">B compared with A, % (error rate: percentage points)</p>");
    if !of.notes.is_empty() {
        let lines: String = of.notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
        let _ = write!(out, "<ul class=\"notes\">{lines}</ul>");
    }
    table(out, of);
    out.push_str("</figure>");
}

/// Positions follow the logarithm of the ratio: half and double are equally far from zero.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn of(effects: &[Effect]) -> Self {
        let mut reach: (f64, f64) = (-0.02, 0.02);
        for effect in effects {
            if let Some(found) = effect.effect {
                reach = (reach.0.min(found.low), reach.1.max(found.high));
                reach = (reach.0.min(-effect.threshold), reach.1.max(effect.threshold));
            }
        }
        let (low, high) = (reach.0.max(-0.995).ln_1p(), reach.1.min(999.0).ln_1p());
        let margin = (high - low) * 0.06;
        let (low, high) = (low - margin, high + margin);
        let wide = reach.0.abs().max(reach.1);
        let candidates =
            TICKS.iter().find(|(limit, _)| wide <= *limit).map_or(TICKS[4].1, |(_, ticks)| ticks);
        let mut axis = Self { low, high, ticks: Vec::new() };
        // Zero is always named; the others if they have room.
        let mut ticks = vec![0.0];
        for tick in candidates.iter().copied().filter(|tick| *tick != 0.0) {
            let at = axis.place(tick);
            let room = ticks.iter().all(|other| (axis.place(*other) - at).abs() >= NEAREST);
            if (0.02..=0.98).contains(&at) && room {
                ticks.push(tick);
            }
        }
        axis.ticks = ticks;
        axis
    }

    fn place(&self, effect: f64) -> f64 {
        ((effect.max(-0.999).ln_1p() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

fn percent_words(effect: f64) -> String {
    if effect == 0.0 {
        "0".into()
    } else {
        format!("{:+.3}", effect * 100.0).trim_end_matches('0').trim_end_matches('.').replace('-', "−")
    }
}

fn row(out: &mut String, effect: &Effect, axis: &Axis) {
    let (class, word) = match effect.ruling {
        Ruling::Better => ("t-blue", "better"),
        Ruling::Worse => ("t-red", "worse"),
        Ruling::NoDifference => ("t-grey", "no difference"),
        Ruling::NotMeasured => ("t-grey", "not measured"),
    };
    let _ = write!(
        out,
        "<div class=\"forest-row {class}\"><span class=\"forest-name\">{}</span><div class=\"forest-plot\">",
        effect.metric.title()
    );
    let box_of =
        |from: f64, to: f64| format!("left:{:.2}%;width:{:.2}%", from * 100.0, (to - from).max(0.0) * 100.0);
    let band = box_of(axis.place(-effect.threshold), axis.place(effect.threshold));
    let _ = write!(out, "<i class=\"floor\" style=\"{band}\"></i>");
    for tick in &axis.ticks {
        let zero = if *tick == 0.0 { " zero" } else { "" };
        let _ = write!(out, "<i class=\"rule{zero}\" style=\"left:{:.2}%\"></i>", axis.place(*tick) * 100.0);
    }
    let text = match effect.effect {
        Some(found) => {
            let _ = write!(
                out,
                "<i class=\"whisker\" style=\"{}\"></i><i class=\"point\" style=\"left:{:.2}%\"></i>",
                box_of(axis.place(found.low), axis.place(found.high)),
                axis.place(found.estimate) * 100.0
            );
            let unit = if effect.scale == Scale::Points { "pt" } else { "%" };
            format!(
                "<b>{} {unit}</b> <small>{} to {}</small>",
                percent_words(rounded(found.estimate)),
                percent_words(rounded(found.low)),
                percent_words(rounded(found.high))
            )
        }
        None => "<b>–</b> <small>too little to judge</small>".to_owned(),
    };
    let _ = write!(out, "</div><span class=\"forest-text\">{text}<em>{word}</em></span></div>");
}

/// Three digits that matter of a percentage.
fn rounded(effect: f64) -> f64 {
    if effect == 0.0 || !effect.is_finite() {
        return 0.0;
    }
    let unit = 10f64.powf(effect.abs().log10().floor() - 2.0).max(1e-4);
    (effect / unit).round() * unit
}

fn table(out: &mut String, of: &Comparison) {
    out.push_str(
        "<details><summary>Numbers</summary><div class=\"scroll\"><table><thead><tr><th>Metric</th><th class=\"num\">A</th>\
         <th class=\"num\">B</th><th class=\"num\">p</th><th class=\"num\">p, of all</th><th class=\"num\">Noise floor</th>\
         <th class=\"num\">Claimed above</th><th>Spread</th><th>Gate</th></tr></thead><tbody>",
    );
    for effect in &of.effects {
        let value = |v: Option<f64>| v.map_or_else(|| "–".into(), |v| effect.metric.show(v));
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{} %</td><td>{}</td><td>{}</td></tr>",
            effect.metric.title(),
            value(effect.a),
            value(effect.b),
            p_words(effect.p_value),
            p_words(effect.p_adjusted),
            effect.noise_floor.map_or_else(|| "–".into(), |floor| format!("{} %", number(floor * 100.0))),
            number(effect.threshold * 100.0),
            if effect.spread_differs { "differs" } else { "alike" },
            if effect.gated { "yes" } else { "no" },
        );
    }
    out.push_str("</tbody></table></div></details>");
}

fn p_words(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_double_are_equally_far_from_zero() {
        let axis = Axis { low: -1.0, high: 1.0, ticks: vec![] };
        assert!((axis.place(1.0) + axis.place(-0.5) - 1.0).abs() < 1e-12);
    }
    #[test]
    fn three_digits_are_kept() {
        assert_eq!(percent_words(rounded(-0.123_456)), "−12.3");
        assert_eq!(percent_words(rounded(0.000_004)), "0");
        assert_eq!(percent_words(0.05), "+5");
    }
    #[test]
    fn the_axis_holds_zero_and_has_room_between_its_ticks() {
        let axis = Axis::of(&[]);
        assert!(axis.ticks.contains(&0.0) && axis.ticks.len() >= 3, "{:?}", axis.ticks);
        let mut places: Vec<f64> = axis.ticks.iter().map(|tick| axis.place(*tick)).collect();
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= NEAREST));
    }
}
