//! A comparison for a terminal: the effects, what became of the objectives, and what differs inside the builds.

use seawall_lab::compare::{Comparison, Effect, Outcome, Ruling, function_changes};
use seawall_lab::report::lab::{LabReport, Objective};

/// Signals and functions that are printed.
const SHOWN: usize = 6;

/// The comparison for a terminal.
pub(super) fn lines(comparison: &Comparison, objectives: &[Objective]) -> Vec<String> {
    let mut lines = vec![
        format!("A  {}", comparison.a_name),
        format!("B  {}", comparison.b_name),
        String::new(),
        format!("{:<16} {:>12} {:>12}   {:<28} {}", "", "A", "B", "B against A (95 %)", "verdict"),
    ];
    lines.extend(comparison.effects.iter().map(line));
    for objective in objectives {
        let word = if objective.met { "met" } else { "BROKEN" };
        lines.push(format!("{word}: {} (measured {})", objective.text, objective.measured));
    }
    lines.push(String::new());
    lines.extend(comparison.notes.iter().map(|note| format!("note: {note}")));
    lines.push(match comparison.outcome {
        Outcome::Regression => format!("REGRESSION: {}", comparison.summary),
        Outcome::Invalid => format!("INVALID: {}", comparison.summary),
        Outcome::Improvement | Outcome::NoDifference => comparison.summary.clone(),
    });
    lines
}

/// What was seen inside the builds, for a terminal: the signals that differ, and the functions.
pub(super) fn inside_lines(report: &LabReport) -> Vec<String> {
    let mut lines = Vec::new();
    let signals = report.sides.iter().flat_map(|pair| &pair.differences).filter(|one| one.differs);
    let signals =
        signals.take(SHOWN).map(|one| format!("  {:<52} {:>9.3} {:>9.3}", one.signal, one.a, one.b));
    lines.extend(titled(format!("{:<54} {:>9} {:>9}", "Signals that differ, proven:", "A", "B"), signals));
    let functions = report.differences.data().into_iter().flatten().flat_map(|pair| {
        let shares = function_changes(&pair.before, &pair.after, SHOWN);
        shares.into_iter().map(|one| {
            let name: String = one.function.chars().take(52).collect();
            format!("  {name:<52} {:>7.1} % {:>7.1} %", one.before * 100.0, one.after * 100.0)
        })
    });
    lines.extend(titled(
        format!("{:<54} {:>9} {:>9}", "Functions whose own CPU changed most:", "A", "B"),
        functions,
    ));
    lines.extend(report.missing.iter().map(|why| format!("not seen: {why}")));
    lines
}

/// Lines below their title, with an empty one before it; nothing where there are none.
fn titled(title: String, lines: impl Iterator<Item = String>) -> Vec<String> {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { lines } else { [String::new(), title].into_iter().chain(lines).collect() }
}

fn line(effect: &Effect) -> String {
    let value = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| effect.metric.show(v));
    let interval = effect.effect.map_or_else(String::new, |found| {
        format!("{:+.1} % ({:+.1} to {:+.1})", found.estimate * 100.0, found.low * 100.0, found.high * 100.0)
    });
    let word = match effect.ruling {
        Ruling::Better => "better",
        Ruling::Worse if effect.gated => "WORSE",
        Ruling::Worse => "worse, not gated",
        Ruling::NoDifference => "no difference",
        Ruling::NotMeasured => "not measured",
    };
    let name = effect.metric.title();
    format!("{name:<16} {:>12} {:>12}   {interval:<28} {word}", value(effect.a), value(effect.b))
}
