//! The page around the sections: head, verdict banner, key figures, and the data as JSON.

use std::fmt::Write as _;

use super::data::{KneePhase, Report};
use super::format::{bytes, escape, grouped, millis, number, percent, script_json};
use super::{checks, cycle, knee, resources, sale};
use crate::search::Ending;

const STYLE: &str = concat!(include_str!("assets/report.css"), include_str!("assets/lab.css"));
const SCRIPT: &str = concat!(include_str!("assets/report.js"), include_str!("assets/lab.js"));
pub(super) const MARK: &str = include_str!("assets/mark.svg");

/// Renders the report. Pure; all text is escaped.
pub fn html(report: &Report) -> String {
    let json = serde_json::to_string(report).expect("plain data with string keys always serialises");
    let Report { title, generator, generated_at, .. } = report;
    Page { title, kind: "report", class: "", generator, generated_at, json }.render(|out| {
        header(out, report);
        out.push_str("<main>\n");
        banner(out, report);
        figures(out, report);
        knee::section(out, report);
        resources::section(out, report);
        sale::section(out, report);
        cycle::section(out, report);
        checks::sections(out, report);
        out.push_str("</main>\n");
    })
}

/// What every page is, whatever it shows: one file that needs nothing else.
pub(super) struct Page<'r> {
    pub(super) title: &'r str,
    /// What it is, behind its title: `report`, `lab`.
    pub(super) kind: &'r str,
    /// Of its body.
    pub(super) class: &'r str,
    pub(super) generator: &'r str,
    pub(super) generated_at: &'r str,
    /// The data that it shows.
    pub(super) json: String,
}

impl Page<'_> {
    /// The whole page, around what `body` writes.
    pub(super) fn render(self, body: impl FnOnce(&mut String)) -> String {
        let Self { title, kind, class, generator, generated_at, json } = self;
        let mut out = String::with_capacity(512 * 1024);
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} · Seawall {kind}</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body class=\"{class}\">\n",
            escape(title)
        );
        body(&mut out);
        let _ = write!(
            out,
            "<footer><p>Made by {} on {}. This file is complete: no network, no server.</p></footer>\n\
             <script type=\"application/json\" id=\"report-data\">{}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            escape(generator),
            escape(generated_at),
            script_json(&json)
        );
        out
    }
}

/// Opens a section with its heading and a sentence on how to read it.
pub(super) fn open_section(out: &mut String, id: &str, title: &str, lead: &str) {
    let _ = writeln!(
        out,
        "<section id=\"{id}\"><header class=\"section-head\"><h2>{}</h2><p>{}</p></header>",
        escape(title),
        escape(lead)
    );
}

fn header(out: &mut String, report: &Report) {
    let mut nav = vec![];
    let parts = [
        ("knee", "Knee", report.knee.is_some()),
        ("resources", "Resources", report.resources.is_some()),
        ("sale", "Sale", report.sale.is_some()),
        ("cycle", "The cycle", report.cycle.is_some()),
        ("checker", "Checker", !report.checks.is_empty()),
        ("environment", "Environment", true),
    ];
    for (id, name, _) in parts.iter().filter(|(_, _, there)| *there) {
        nav.push(format!("<a href=\"#{id}\">{name}</a>"));
    }
    let _ = writeln!(
        out,
        "<header class=\"page-head\"><div class=\"brand\">{MARK}<div><p class=\"over\">Seawall report</p><h1>{}</h1></div></div>\
         <p class=\"when\">{} · took {}</p><nav>{}<button type=\"button\" id=\"theme\" hidden>Dark</button></nav></header>",
        escape(&report.title),
        escape(&report.generated_at),
        escape(&millis(report.duration_s * 1000.0)),
        nav.concat()
    );
}

/// How the run as a whole is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Unsure,
    Bad,
}

fn verdict(report: &Report) -> (Verdict, String) {
    let failed: Vec<&str> = report.checks.iter().filter(|c| !c.pass).map(|c| c.name.as_str()).collect();
    if !failed.is_empty() {
        return (Verdict::Bad, format!("A promise was broken: {}", failed.join(", ")));
    }
    if report.sale.as_ref().is_some_and(|sale| !sale.validity.valid) {
        return (Verdict::Unsure, "The sale's numbers do not count".into());
    }
    if report.checks.is_empty() {
        return (Verdict::Unsure, "Nothing was checked".into());
    }
    (Verdict::Good, "Nothing oversold, nothing lost, nothing counted twice".into())
}

fn banner(out: &mut String, report: &Report) {
    let (verdict, headline) = verdict(report);
    let (class, icon) = match verdict {
        Verdict::Good => ("good", "M5 12.5l4.5 4.5L19 7.5"),
        Verdict::Unsure => ("unsure", "M12 6v8M12 17.5v.5"),
        Verdict::Bad => ("bad", "M6.5 6.5l11 11M17.5 6.5l-11 11"),
    };
    let _ = write!(
        out,
        "<section class=\"banner {class}\" id=\"verdict\"><svg class=\"verdict-icon\" viewBox=\"0 0 24 24\" \
         aria-hidden=\"true\"><path d=\"{icon}\"/></svg><div><h2>{}</h2><ul>",
        escape(&headline)
    );
    for line in banner_lines(report) {
        let _ = write!(out, "<li>{}</li>", escape(&line));
    }
    out.push_str("</ul></div></section>\n");
}

fn banner_lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(knee) = &report.knee {
        lines.push(format!("Knee for {}: {}", knee.target, knee_words(knee)));
        if !knee.validity.valid {
            lines.push(format!(
                "The knee phase was not valid after {} attempts ({}), so the knee is a lower bound.",
                knee.attempts,
                joined(&knee.validity.reasons)
            ));
        }
    }
    if let Some(sale) = &report.sale {
        let kept = report.checks.iter().filter(|c| c.pass).count();
        lines.push(format!(
            "{} buyers came for {} units: {} sold, every acknowledged order final, {kept} of {} promises kept.",
            grouped(sale.buyers),
            grouped(sale.units_initial),
            grouped(sale.units_sold),
            report.checks.len()
        ));
        if !sale.validity.valid {
            lines.push(format!("The sale phase was not valid: {}.", joined(&sale.validity.reasons)));
        }
    }
    lines
}

fn joined(reasons: &[String]) -> String {
    if reasons.is_empty() { "no reason recorded".into() } else { reasons.join("; ") }
}

/// The knee in words, as an interval or as what little is known.
pub(super) fn knee_words(knee: &KneePhase) -> String {
    match (knee.lo_rps, knee.hi_rps) {
        (Some(lo), Some(hi)) => {
            let sure = if knee.ending == Ending::Confirmed {
                "confirmed"
            } else {
                "not repeated often enough to be sure"
            };
            format!("between {} and {} requests/s, {sure}", number(lo), number(hi))
        }
        (Some(lo), None) => format!("at least {} requests/s (a lower bound)", number(lo)),
        (None, Some(hi)) => format!("below {} requests/s: no rate tried passed", number(hi)),
        (None, None) => "not found".into(),
    }
}

/// One key figure.
struct Figure {
    label: &'static str,
    value: String,
    unit: &'static str,
    note: String,
    /// Worth alarm.
    bad: bool,
}

fn figures(out: &mut String, report: &Report) {
    let mut all = knee_figures(report);
    all.extend(sale_figures(report));
    out.push_str("<section id=\"figures\" aria-label=\"Key figures\"><dl class=\"figures\">");
    for figure in all {
        let _ = write!(
            out,
            "<div class=\"figure{}\"><dt>{}</dt><dd><strong>{}</strong> <span>{}</span></dd><dd class=\"note\">{}</dd></div>",
            if figure.bad { " alarm" } else { "" },
            escape(figure.label),
            escape(&figure.value),
            escape(figure.unit),
            escape(&figure.note)
        );
    }
    out.push_str("</dl></section>\n");
}

fn knee_figures(report: &Report) -> Vec<Figure> {
    let mut all = Vec::new();
    let Some(knee) = &report.knee else { return all };
    let value = match (knee.lo_rps, knee.hi_rps) {
        (Some(lo), Some(hi)) => format!("{} – {}", number(lo), number(hi)),
        (Some(lo), None) => format!("≥ {}", number(lo)),
        (None, Some(hi)) => format!("< {}", number(hi)),
        (None, None) => "–".into(),
    };
    let note =
        format!("p99 < {} ms, errors < {}", number(report.slo.p99_ms), percent(report.slo.max_error_rate));
    all.push(Figure { label: "Knee, browsing", value, unit: "req/s", note, bad: false });
    let Some(at) = &knee.at_knee else { return all };
    let p99 = at.intended_ms(0.99).map_or_else(|| "–".into(), millis);
    let note =
        format!("p50 {} at {} req/s", at.intended_ms(0.5).map_or_else(|| "–".into(), millis), number(at.rps));
    all.push(Figure { label: "p99 at the knee", value: p99, unit: "", note, bad: false });
    if let Some(cost) = &at.cost {
        let value = number(cost.cpu_user_us + cost.cpu_sys_us);
        let note = format!("{} user + {} kernel", number(cost.cpu_user_us), number(cost.cpu_sys_us));
        all.push(Figure { label: "CPU per request", value, unit: "µs", note, bad: false });
        let note = format!(
            "{} context switches per request",
            number(cost.voluntary_switches + cost.involuntary_switches)
        );
        all.push(Figure {
            label: "Memory at the knee",
            value: bytes(cost.rss_bytes as f64),
            unit: "",
            note,
            bad: false,
        });
    }
    all
}

fn sale_figures(report: &Report) -> Vec<Figure> {
    let Some(sale) = &report.sale else { return Vec::new() };
    let wrong = sale.oversold + sale.lost + sale.duplicated;
    let sold_out = sale
        .sold_out_after_s
        .map_or_else(|| "not sold out".into(), |s| format!("sold out after {}", millis(s * 1000.0)));
    let p99 = super::data::nearest(&sale.ack_latency, 0.99);
    let p50 = super::data::nearest(&sale.ack_latency, 0.5);
    vec![
        Figure {
            label: "Units sold",
            value: grouped(sale.units_sold),
            unit: "",
            note: format!("of {}, {sold_out}", grouped(sale.units_initial)),
            bad: sale.units_sold > sale.units_initial,
        },
        Figure {
            label: "Oversold · lost · doubled",
            value: format!("{} · {} · {}", sale.oversold, sale.lost, sale.duplicated),
            unit: "",
            note: format!("among {} acknowledged orders", grouped(sale.orders_acked)),
            bad: wrong > 0,
        },
        Figure {
            label: "Order p99",
            value: p99.map_or_else(|| "–".into(), millis),
            unit: "",
            note: format!("p50 {}, durable when acknowledged", p50.map_or_else(|| "–".into(), millis)),
            bad: false,
        },
        Figure {
            label: "Errors in the sale",
            value: percent(sale.error_rate),
            unit: "",
            note: format!(
                "{} refused on purpose, of {} requests",
                percent(sale.refused_rate),
                grouped(sale.attempts)
            ),
            bad: sale.error_rate > 0.0003,
        },
    ]
}
