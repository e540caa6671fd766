//! The last sections: what the checker found, and where and how the run was made.

use std::fmt::Write as _;

use super::data::Report;
use super::format::escape;
use super::page::open_section;

pub(super) fn sections(out: &mut String, report: &Report) {
    if !report.checks.is_empty() {
        checker(out, report);
    }
    environment(out, report);
}

fn checker(out: &mut String, report: &Report) {
    let lead =
        "Every promise is checked twice over: against what the clients saw and against the final database.";
    open_section(out, "checker", "The checker", lead);
    out.push_str(
        "<div class=\"scroll card\"><table class=\"checks\"><thead><tr><th>Result</th><th>Promise</th><th>What it means</th>\
         <th>Found</th></tr></thead><tbody>",
    );
    for check in &report.checks {
        let word = if check.pass { "pass" } else { "fail" };
        let _ = write!(
            out,
            "<tr><td><span class=\"pill {word}\">{word}</span></td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(&check.name),
            escape(&check.meaning),
            escape(&check.detail)
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn environment(out: &mut String, report: &Report) {
    let lead = "Numbers from another machine differ; the promises must not.";
    open_section(out, "environment", "Environment, and how to repeat this", lead);
    let _ = write!(
        out,
        "<div class=\"card repeat\"><code id=\"command\">{}</code><button type=\"button\" id=\"copy\" hidden>Copy</button></div>\
         <dl class=\"facts card\">",
        escape(&report.command)
    );
    for fact in &report.environment {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&fact.name), escape(&fact.value));
    }
    out.push_str("</dl><p class=\"downloads\"><button type=\"button\" id=\"download\" hidden>Save the data as JSON</button></p></section>\n");
}
