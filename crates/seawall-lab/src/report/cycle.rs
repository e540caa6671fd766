//! The section on the cycle: a fault that was planted, what the lab said of it, and the proof that the repair helps.

use super::data::Report;
use super::format::escape;
use super::lab::{cards, forest_figure};
use super::page::open_section;

pub(super) fn section(out: &mut String, report: &Report) {
    let Some(cycle) = &report.cycle else { return };
    let lead = "The lab's own cycle on this service: it is started the way such services begin, the lab says what limits it, the \
                configuration is changed, and blocks of both take turns until the gain is proven or not.";
    open_section(out, "cycle", "The cycle: find, change, prove", lead);
    out.push_str("<dl class=\"facts card\">");
    for (name, value) in [("Planted", &cycle.planted), ("Changed", &cycle.change)] {
        out.push_str(&format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(value)));
    }
    out.push_str("</dl>");
    cards(out, &cycle.diagnosis);
    forest_figure(out, 0, &cycle.comparison);
    out.push_str("</section>\n");
}
