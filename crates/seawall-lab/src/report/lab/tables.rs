//! Section 14: endpoints, errors, settings, the machine, and the command line that repeats the run.

use std::fmt::Write as _;

use super::data::LabReport;
use super::page::open;
use crate::report::Fact;
use crate::report::format::{escape, grouped, millis, number, percent};

pub(super) fn section(out: &mut String, report: &LabReport) {
    open(out, "tables", "Tables, and how to repeat this", "Numbers from another machine differ.");
    let _ = write!(
        out,
        "<div class=\"card repeat\"><code id=\"command\">{}</code><button type=\"button\" id=\"copy\" hidden>Copy</button></div>",
        escape(&report.command)
    );
    endpoints(out, report);
    errors(out, report);
    facts(out, "Settings", &report.settings);
    facts(out, "Machine and versions", &report.environment);
    out.push_str("<p class=\"downloads\"><button type=\"button\" id=\"download\" hidden>Save the data as JSON</button></p></section>\n");
}

fn endpoints(out: &mut String, report: &LabReport) {
    if report.endpoints.is_empty() {
        out.push_str("<p class=\"why\">No endpoint was asked.</p>");
        return;
    }
    out.push_str(
        "<div class=\"card table-card\"><h3>Endpoints</h3><div class=\"scroll\"><table><thead><tr><th>Request</th>\
         <th class=\"num\">Answers</th><th class=\"num\">Per second</th><th class=\"num\">Errors</th><th class=\"num\">p50</th>\
         <th class=\"num\">p99</th><th class=\"num\">p99.9</th><th class=\"num\">max</th></tr></thead><tbody>",
    );
    for one in &report.endpoints {
        let ms = |value: Option<f64>| value.map_or_else(|| "–".into(), millis);
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>",
            escape(&one.name),
            grouped(one.requests),
            number(one.rps),
            percent(one.error_rate),
            ms(one.p50_ms),
            ms(one.p99_ms),
            ms(one.p999_ms),
            ms(one.max_ms)
        );
    }
    out.push_str("</tbody></table></div></div>");
}

fn errors(out: &mut String, report: &LabReport) {
    if report.errors.is_empty() {
        out.push_str("<div class=\"card table-card\"><h3>Errors</h3><p class=\"soft\">None.</p></div>");
        return;
    }
    out.push_str(
        "<div class=\"card table-card\"><h3>Errors</h3><div class=\"scroll\"><table><thead><tr><th>Class</th><th>During</th>\
         <th class=\"num\">Count</th></tr></thead><tbody>",
    );
    for error in &report.errors {
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"num\">{}</td></tr>",
            escape(&error.class),
            escape(&error.during),
            grouped(error.count)
        );
    }
    out.push_str("</tbody></table></div></div>");
}

fn facts(out: &mut String, title: &str, facts: &[Fact]) {
    if facts.is_empty() {
        return;
    }
    let _ = write!(out, "<div class=\"card table-card\"><h3>{}</h3><dl class=\"facts\">", escape(title));
    for fact in facts {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&fact.name), escape(&fact.value));
    }
    out.push_str("</dl></div>");
}
