//! The page of the lab's report: head, verdict, contents, the sections in their order, and the data.

use std::fmt::Write as _;

use super::data::{Collected, LabReport, Mood};
use super::sides::views;
use super::{diagnosis, flame, forest, latency, load, tables, usage, water};
use crate::report::format::{escape, millis, percent};
use crate::report::page::{MARK, Page};
use crate::signals::series::{EvidenceLevel, SignalSeries};

/// Heaviest stacks of each profile that go into the page's copy of the data; the JSON file has them all.
const EMBEDDED_STACKS: usize = 120;
/// Points of the load over time that go into the page's copy of the data.
const EMBEDDED_POINTS: usize = 1200;
/// A larger copy loses its largest parts.
const EMBEDDED_BYTES: usize = 400_000;

/// A section's anchor and its name in the contents.
const SECTIONS: [(&str, &str); 13] = [
    ("load", "Load"),
    ("heat", "Heat map"),
    ("spectrum", "Percentiles"),
    ("limits", "Knee"),
    ("waterfall", "Waterfall"),
    ("use", "Resources"),
    ("threads", "Threads"),
    ("flames", "Flame graphs"),
    ("gauges", "Queues"),
    ("kernel", "Kernel"),
    ("diagnosis", "Diagnosis"),
    ("comparison", "A/B"),
    ("tables", "Tables"),
];

/// Renders the report. Pure; all text is escaped.
pub fn lab_html(report: &LabReport) -> String {
    let LabReport { title, generator, generated_at, .. } = report;
    Page { title, kind: "lab", class: "lab", generator, generated_at, json: embedded(report) }.render(|out| {
        header(out, report);
        out.push_str("<main>\n");
        banner(out, report);
        load::section(out, report);
        latency::heat(out, report);
        latency::spectrum(out, report);
        latency::limits(out, report);
        water::section(out, report);
        usage::resources(out, report);
        usage::threads(out, report);
        flame::section(out, report);
        usage::gauges(out, report);
        usage::kernel(out, report);
        diagnosis::section(out, report);
        forest::section(out, report);
        tables::section(out, report);
        out.push_str("</main>\n");
    })
}

/// The copy of the data inside the page: what takes most room is thinned or left to the JSON file, so that the page stays
/// small however long the run was.
fn embedded(report: &LabReport) -> String {
    let mut copy = report.clone();
    let thin = |profile: &mut crate::profile::Profile| {
        let dropped: f64 = profile.stacks.iter().skip(EMBEDDED_STACKS).map(|stack| stack.weight).sum();
        profile.stacks.truncate(EMBEDDED_STACKS);
        profile.dropped += dropped;
    };
    if let Collected::Data(profiles) = &mut copy.profiles {
        profiles.iter_mut().for_each(|named| thin(&mut named.profile));
    }
    if let Collected::Data(pairs) = &mut copy.differences {
        pairs.iter_mut().for_each(|pair| {
            thin(&mut pair.before);
            thin(&mut pair.after);
        });
    }
    if let Collected::Data(points) = &mut copy.load {
        let every = points.len().div_ceil(EMBEDDED_POINTS).max(1);
        let mut at = 0;
        points.retain(|_| {
            at += 1;
            (at - 1) % every == 0
        });
    }
    let elsewhere = "drawn above; its data is in the JSON file";
    copy.heat = Collected::Missing(elsewhere.into());
    let json = |copy: &LabReport| {
        serde_json::to_string(copy).expect("plain data with string keys always serialises")
    };
    let mut text = json(&copy);
    if text.len() > EMBEDDED_BYTES {
        copy.signals = Collected::Missing(elsewhere.into());
        copy.sides.clear();
        text = json(&copy);
    }
    if text.len() > EMBEDDED_BYTES {
        copy.profiles = Collected::Missing(elsewhere.into());
        copy.differences = Collected::Missing(elsewhere.into());
        text = json(&copy);
    }
    text
}

/// Opens a numbered section with its heading and a sentence on how to read it.
pub(super) fn open(out: &mut String, id: &str, title: &str, lead: &str) {
    let number = SECTIONS.iter().position(|(section, _)| *section == id).map_or(0, |at| at + 2);
    let _ = writeln!(
        out,
        "<section id=\"{id}\"><header class=\"section-head\"><h2><span class=\"number\">{number}</span>{}</h2><p>{}</p></header>",
        escape(title),
        escape(lead)
    );
}

/// A whole section that only says why it is empty.
pub(super) fn missing(out: &mut String, id: &str, title: &str, why: &str) {
    let number = SECTIONS.iter().position(|(section, _)| *section == id).map_or(0, |at| at + 2);
    let _ = writeln!(
        out,
        "<section id=\"{id}\" class=\"absent\"><h2><span class=\"number\">{number}</span>{}</h2><p class=\"why\">Not collected: {}.</p></section>",
        escape(title),
        escape(why.trim_end_matches('.'))
    );
}

fn header(out: &mut String, report: &LabReport) {
    let contents: String = SECTIONS
        .iter()
        .map(|(id, name)| {
            format!(
                "<a href=\"#{id}\"{}>{name}</a>",
                if is_there(report, id) { "" } else { " class=\"off\"" }
            )
        })
        .collect();
    let _ = writeln!(
        out,
        "<header class=\"page-head\"><div class=\"brand\">{MARK}<div><p class=\"over\">Seawall lab · {}</p><h1>{}</h1></div></div>\
         <p class=\"when\">{} · took {}</p><button type=\"button\" id=\"theme\" hidden>Dark</button></header>\
         <nav class=\"contents\" aria-label=\"Sections\">{contents}</nav>",
        escape(&report.kind),
        escape(&report.title),
        escape(&report.generated_at),
        escape(&millis(report.duration_s * 1000.0)),
    );
}

fn is_there(report: &LabReport, id: &str) -> bool {
    let series = |has: &dyn Fn(&SignalSeries) -> bool| views(report).iter().any(|view| has(view.signals));
    match id {
        "load" => report.load.data().is_some(),
        "heat" => report.heat.data().is_some(),
        "spectrum" => report.spectrum.data().is_some(),
        "limits" => report.knee.data().is_some() || report.scale.data().is_some(),
        "waterfall" => report.waterfall.data().is_some(),
        "use" => series(&|s| !s.resources.is_empty()),
        "threads" => series(&|s| !s.threads.is_empty()),
        "flames" => report.profiles.data().is_some(),
        "gauges" => series(&|s| !s.gauges.is_empty()),
        "kernel" => report.kernel.data().is_some(),
        "diagnosis" => report.diagnosis.data().is_some(),
        "comparison" => report.comparisons.data().is_some(),
        _ => true,
    }
}

fn banner(out: &mut String, report: &LabReport) {
    let mood = if report.validity.valid { report.mood } else { Mood::Unsure };
    let (class, icon) = match mood {
        Mood::Good => ("good", "M5 12.5l4.5 4.5L19 7.5"),
        Mood::Unsure => ("unsure", "M12 6v8M12 17.5v.5"),
        Mood::Bad => ("bad", "M6.5 6.5l11 11M17.5 6.5l-11 11"),
    };
    let _ = write!(
        out,
        "<section class=\"banner {class}\" id=\"verdict\"><svg class=\"verdict-icon\" viewBox=\"0 0 24 24\" \
         aria-hidden=\"true\"><path d=\"{icon}\"/></svg><div class=\"verdict-text\"><h2>{}</h2><p class=\"target\">{}</p>",
        escape(&report.headline),
        escape(&report.target)
    );
    out.push_str("<dl class=\"seals\">");
    for (name, value, tone) in seals(report) {
        let _ =
            write!(out, "<div class=\"{tone}\"><dt>{}</dt><dd>{}</dd></div>", escape(&name), escape(&value));
    }
    out.push_str("</dl>");
    let reasons = report.validity.reasons.iter().chain(&report.missing);
    let lines: String = reasons.map(|line| format!("<li>{}</li>", escape(line))).collect();
    if !lines.is_empty() {
        let _ = write!(out, "<ul>{lines}</ul>");
    }
    out.push_str("</div></section>\n");
}

/// Name, value and class of each fact about how far the result can be trusted.
fn seals(report: &LabReport) -> Vec<(String, String, &'static str)> {
    let mut seals = vec![if report.validity.valid {
        ("Measurement".into(), "valid".into(), "t-green")
    } else {
        ("Measurement".into(), "does not count".into(), "t-amber")
    }];
    for objective in &report.objectives {
        let tone = if objective.met { "t-green" } else { "t-red" };
        let word = if objective.met { "met" } else { "broken" };
        seals.push((objective.text.clone(), format!("{word}, {}", objective.measured), tone));
    }
    if let Some(level) = report.evidence {
        let words = match level {
            EvidenceLevel::L0 => "L0, from outside only",
            EvidenceLevel::L1 => "L1, process and kernel",
            EvidenceLevel::L2 => "L2, with profiles",
        };
        seals.push(("Evidence".into(), words.into(), "t-blue"));
    }
    let comparisons = report.comparisons.data().map_or(&[][..], Vec::as_slice);
    let floors = comparisons.iter().flat_map(|c| &c.effects).filter_map(|e| {
        let latency = e.metric == crate::compare::Metric::P99;
        e.noise_floor.filter(|_| latency)
    });
    if let Some(floor) = floors.reduce(f64::max) {
        seals.push(("Noise floor, p99".into(), format!("± {}", percent(floor)), "t-blue"));
    }
    seals
}
