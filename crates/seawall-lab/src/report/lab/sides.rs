//! Signals of two builds that took turns: whose they are in sections 7, 8 and 10, and the table of those that differ.

use std::fmt::Write as _;

use super::data::LabReport;
use crate::compare::{SignalDifference, SignalPair};
use crate::report::format::{escape, number, percent};
use crate::signals::series::SignalSeries;

/// Differences without proof that are shown at most; the proven ones always are.
const MAX_UNPROVEN: usize = 12;

/// A series to draw, and whose it is.
pub(super) struct View<'a> {
    /// Unique in the page; empty for the whole run.
    pub(super) id: String,
    /// ` of NAME`; empty for the whole run.
    pub(super) of: String,
    pub(super) signals: &'a SignalSeries,
    /// It is one of two builds.
    pub(super) is_side: bool,
}

/// All series of the report: the whole run's first, then A's and B's of each comparison.
pub(super) fn views(report: &LabReport) -> Vec<View<'_>> {
    let whole = report.signals.data().map(|signals| View {
        id: String::new(),
        of: String::new(),
        signals,
        is_side: false,
    });
    let sides = report.sides.iter().enumerate().flat_map(|(i, pair)| {
        let view = |letter: &str, name: &str, signals| View {
            id: format!("-{letter}{i}"),
            of: format!(" of {name}"),
            signals,
            is_side: true,
        };
        [view("a", &pair.a_name, &pair.a), view("b", &pair.b_name, &pair.b)]
    });
    whole.into_iter().chain(sides).collect()
}

/// The table of what differs between two builds.
pub(super) fn differences(out: &mut String, pair: &SignalPair) {
    let SignalPair { a_name, b_name, differences, .. } = pair;
    let proven = differences.iter().filter(|one| one.differs).count();
    let about = match proven {
        0 => "No signal differs, beyond what blocks of one build differ among themselves.".to_owned(),
        1 => "One signal differs, beyond what blocks of one build differ among themselves.".to_owned(),
        n => format!("{n} signals differ, beyond what blocks of one build differ among themselves."),
    };
    let _ = write!(
        out,
        "<div class=\"card table-card differ\"><h3>Where {} and {} differ</h3><p class=\"soft\">{about} Means of blocks; \
         the interval is of B minus A, 95 %.</p>",
        escape(a_name),
        escape(b_name)
    );
    let unproven = differences.iter().filter(|one| !one.differs).take(MAX_UNPROVEN);
    if proven > 0 {
        table(out, pair, differences.iter().filter(|one| one.differs));
    }
    if differences.len() > proven {
        out.push_str("<details><summary>Signals without a proven difference</summary>");
        table(out, pair, unproven);
        out.push_str("</details>");
    }
    out.push_str("</div>");
}

fn table<'a>(out: &mut String, pair: &SignalPair, rows: impl Iterator<Item = &'a SignalDifference>) {
    let _ = write!(
        out,
        "<div class=\"scroll\"><table><thead><tr><th>Signal</th><th class=\"num\">{}</th><th class=\"num\">{}</th>\
         <th class=\"num\">Difference</th><th class=\"num\">from</th><th class=\"num\">to</th><th class=\"num\">p, of all</th></tr></thead><tbody>",
        escape(&pair.a_name),
        escape(&pair.b_name)
    );
    for one in rows {
        let show = |value: f64| shown(&one.signal, value);
        let signed = |value: f64| if value > 0.0 { format!("+{}", show(value)) } else { show(value) };
        let p = if one.p_adjusted < 0.001 { "< 0.001".to_owned() } else { format!("{:.3}", one.p_adjusted) };
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{p}</td></tr>",
            escape(&one.signal),
            show(one.a),
            show(one.b),
            signed(one.shift.estimate),
            signed(one.shift.low),
            signed(one.shift.high),
        );
    }
    out.push_str("</tbody></table></div>");
}

/// Shares are per cent; the rest are counts.
fn shown(signal: &str, value: f64) -> String {
    let is_share = signal.split_once(": ").is_some_and(|(_, what)| what.starts_with("share "));
    if is_share && value < 0.0 {
        format!("−{}", percent(-value))
    } else if is_share {
        percent(value)
    } else {
        number(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_per_cent_and_counts_are_counts() {
        assert_eq!(shown("cpu: share used", 0.5), "50 %");
        assert_eq!(shown("cpu: share used", -0.5), "−50 %");
        assert_eq!(shown("locks: threads waiting", 3.0), "3");
        assert_eq!(shown("gauge: share of nothing", 2.0), "200 %");
    }
}
