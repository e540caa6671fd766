//! Section 12: the ranked causes as cards, and the laws that check the measurement.

use std::fmt::Write as _;

use super::data::{Collected, LabReport};
use super::page::{missing, open};
use crate::diagnose::{Diagnosis, Experiment, Finding, Severity, Verdict};
use crate::report::format::{escape, millis, number, percent};

/// Cards that are open; the rest is folded.
const OPEN: usize = 3;
/// Functions of a card.
const FRAMES: usize = 6;

pub(super) fn section(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Diagnosis";
    let diagnosis = match &report.diagnosis {
        Collected::Data(diagnosis) => diagnosis,
        Collected::Missing(why) => return missing(out, "diagnosis", TITLE, why),
    };
    open(
        out,
        "diagnosis",
        TITLE,
        "Ranked by how much of the lost throughput or added latency each cause explains, times how sure its rule is.",
    );
    cards(out, diagnosis);
    checks(out, diagnosis);
    out.push_str("</section>\n");
}

/// The verdict, the causes as cards, and the caveats.
pub(in crate::report) fn cards(out: &mut String, diagnosis: &Diagnosis) {
    let (class, word) = match diagnosis.verdict {
        Verdict::Healthy => ("pass", "healthy"),
        Verdict::Defect => ("fail", "defect"),
        Verdict::Unexplained => ("marginal", "unexplained"),
        Verdict::Invalid => ("invalid", "invalid"),
    };
    let _ = write!(
        out,
        "<p class=\"card verdict-line\"><span class=\"pill {class}\">{word}</span><span>{}</span></p>",
        escape(&diagnosis.summary)
    );
    let (open, folded) = diagnosis.findings.split_at(diagnosis.findings.len().min(OPEN));
    out.push_str("<div class=\"cards\">");
    open.iter().enumerate().for_each(|(i, finding)| card(out, i + 1, finding));
    out.push_str("</div>");
    if !folded.is_empty() {
        let _ = write!(out, "<details><summary>{} more</summary><div class=\"cards\">", folded.len());
        folded.iter().enumerate().for_each(|(i, finding)| card(out, OPEN + i + 1, finding));
        out.push_str("</div></details>");
    }
    if !diagnosis.caveats.is_empty() {
        let lines: String =
            diagnosis.caveats.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
        let _ = write!(
            out,
            "<div class=\"card caveats\"><h3>What stands between the numbers and the truth</h3><ul>{lines}</ul></div>"
        );
    }
}

fn card(out: &mut String, rank: usize, finding: &Finding) {
    let (class, word) = match finding.severity {
        Severity::Limit => ("t-grey", "limit, no defect"),
        Severity::Notice => ("t-amber", "notice"),
        Severity::Defect => ("t-red", "defect"),
    };
    let _ = write!(
        out,
        "<article class=\"card finding {class}\"><header><span class=\"rank\">{rank}</span><h3>{}</h3><span class=\"pill {class}\">{word}</span></header>\
         <p class=\"sentence\">{}</p>",
        escape(&finding.title),
        escape(&finding.sentence)
    );
    for (name, value) in [("explains", finding.share), ("confidence", finding.confidence)] {
        let value = value.clamp(0.0, 1.0);
        let _ = write!(
            out,
            "<div class=\"meter\"><span>{name}</span><div><i style=\"width:{:.1}%\"></i></div><b>{}</b></div>",
            value * 100.0,
            percent((value * 100.0).round() / 100.0)
        );
    }
    numbers(out, finding);
    frames(out, finding);
    let _ = write!(out, "<p class=\"change\"><b>Change</b> {}</p>", escape(&finding.change));
    experiment(out, &finding.experiment);
    if !finding.evidence.is_empty() {
        let items: String =
            finding.evidence.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
        let _ =
            write!(out, "<details><summary>Evidence</summary><ul class=\"evidence\">{items}</ul></details>");
    }
    out.push_str("</article>");
}

fn numbers(out: &mut String, finding: &Finding) {
    if finding.numbers.is_empty() {
        return;
    }
    out.push_str("<table class=\"numbers-table\"><tbody>");
    for one in &finding.numbers {
        let show = |value: f64| {
            if one.unit == "share" {
                percent(value)
            } else {
                format!("{} {}", number(value), one.unit).trim_end().to_owned()
            }
        };
        let threshold =
            one.threshold.map(|value| format!("notable from {}", show(value))).unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"faint\">{}</td></tr>",
            escape(&one.name),
            escape(&show(one.value)),
            escape(&threshold)
        );
    }
    out.push_str("</tbody></table>");
}

fn frames(out: &mut String, finding: &Finding) {
    if finding.frames.is_empty() {
        return;
    }
    out.push_str("<ul class=\"frames\">");
    for frame in finding.frames.iter().take(FRAMES) {
        let _ = write!(
            out,
            "<li><i style=\"width:{:.1}%\"></i><code>{}</code><b>{}</b></li>",
            (frame.total * 100.0).clamp(0.5, 100.0),
            escape(&frame.function),
            percent((frame.total * 1000.0).round() / 1000.0)
        );
    }
    out.push_str("</ul>");
}

fn experiment(out: &mut String, experiment: &Experiment) {
    let _ = write!(out, "<div class=\"experiment\"><p><b>Experiment</b> {}</p>", escape(&experiment.what));
    if let Some(command) = &experiment.command {
        let _ = write!(out, "<code class=\"command\">{}</code>", escape(command));
    }
    for result in experiment.result.iter().chain(&experiment.others) {
        let (class, word) =
            if result.confirmed { ("pass", "confirmed") } else { ("invalid", "not confirmed") };
        let unit = &result.unit;
        let elasticity = result
            .elasticity
            .map(|e| format!(", elasticity {}", number((e * 100.0).round() / 100.0)))
            .unwrap_or_default();
        let _ = write!(
            out,
            "<p><span class=\"pill {class}\">{word}</span> {}: {} {} → {} {}{}</p>",
            escape(&result.measured),
            number(result.before),
            escape(unit),
            number(result.after),
            escape(unit),
            escape(&elasticity)
        );
    }
    out.push_str("</div>");
}

fn checks(out: &mut String, diagnosis: &Diagnosis) {
    if let Some(ceiling) = &diagnosis.ceiling {
        let _ = write!(
            out,
            "<div class=\"card laws\"><h3>What the CPU would allow</h3><p>One request costs {} of CPU; {} processors allow {} requests/s \
             at most. {} were reached, {} of that.</p></div>",
            millis(ceiling.demand_s * 1e3),
            number(ceiling.cores),
            number(ceiling.max_rps),
            number(ceiling.measured_rps),
            percent(ceiling.reached)
        );
    }
    if diagnosis.levels.is_empty() {
        return;
    }
    out.push_str(
        "<details><summary>All levels, and Little's law for each</summary><div class=\"scroll\"><table><thead><tr><th>Level</th>\
         <th class=\"num\">Answered</th><th class=\"num\">p50</th><th class=\"num\">p99</th><th class=\"num\">Errors</th>\
         <th class=\"num\">CPU</th><th class=\"num\">In flight</th><th class=\"num\">Rate × time</th><th>Counts</th></tr></thead><tbody>",
    );
    for level in &diagnosis.levels {
        let little = diagnosis.little.iter().find(|check| check.level == level.name);
        let ms = |value: Option<f64>| value.map_or_else(|| "–".into(), millis);
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td>{}</td></tr>",
            escape(&level.name),
            number(level.rps),
            ms(level.p50_ms),
            ms(level.p99_ms),
            percent(level.error_rate),
            level.cpu_cores.map_or_else(|| "–".into(), number),
            little.map_or_else(|| "–".into(), |l| number(l.in_flight)),
            little.map_or_else(|| "–".into(), |l| number(l.predicted)),
            if level.invalid.is_empty() { "yes".to_owned() } else { escape(&level.invalid.join("; ")) }
        );
    }
    out.push_str("</tbody></table></div></details>");
}
