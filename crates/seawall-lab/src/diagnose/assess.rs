//! From facts and findings to one word, one sentence, and what to bear in mind. Pure.

use super::facts::{Facts, Level};
use super::model::{Cause, Finding, LevelSummary, Severity, Verdict};
use crate::laws::little::{self, LittleCheck};
use crate::laws::utilisation::{self, CpuCeiling};

/// CPU of other programs that is worth a word, cores.
const NEIGHBOUR: f64 = 0.3;

/// What the facts and the ranked findings come to.
pub fn verdict(facts: &Facts, findings: &[Finding]) -> Verdict {
    let defect = findings.iter().find(|finding| finding.severity == Severity::Defect);
    match defect {
        Some(finding) if finding.cause == Cause::HiddenWait => Verdict::Unexplained,
        Some(_) => Verdict::Defect,
        None if nothing_counts(facts) => Verdict::Invalid,
        None => Verdict::Healthy,
    }
}

/// Not one level could be measured, and the service was not what stopped it.
fn nothing_counts(facts: &Facts) -> bool {
    facts.levels.iter().all(|level| !level.load.invalid.is_empty()) && !facts.is_cpu_pressed()
}

/// The verdict as a sentence.
pub fn summary(facts: &Facts, verdict: Verdict, findings: &[Finding]) -> String {
    let reached = facts.levels.iter().map(|level| level.load.rps).fold(0.0, f64::max);
    let of = |severity: Severity| findings.iter().find(|finding| finding.severity == severity);
    match verdict {
        Verdict::Defect | Verdict::Unexplained => {
            let first = of(Severity::Defect).map_or("", |finding| finding.sentence.as_str());
            format!("{}: {first}", of(Severity::Defect).map_or("A defect", |finding| finding.title.as_str()))
        }
        Verdict::Invalid => {
            "The generator was the limit at every level, so that nothing can be said about the service: \
            give it CPUs of its own (another machine, taskset), or more threads (-t)."
                .to_owned()
        }
        Verdict::Healthy => match of(Severity::Limit) {
            Some(limit) => format!(
                "Healthy: no defect was found; {reached:.0} requests/s were served, and the limit is the CPU ({}).",
                limit.title.to_lowercase()
            ),
            None => format!(
                "Healthy: no defect was found up to {reached:.0} requests/s, and no limit was reached."
            ),
        },
    }
}

/// What stands between the numbers and the truth.
pub fn caveats(facts: &Facts) -> Vec<String> {
    let mut caveats = Vec::new();
    for level in &facts.levels {
        if let Some(reason) = level.load.invalid.first() {
            caveats.push(format!("{}: {reason}", level.name));
        }
    }
    if let Some((top, window)) = facts.top_window() {
        let generator = top.load.generator_cores;
        let others = window.machine_busy.unwrap_or(0.0) - window.cpu() - generator;
        if others >= NEIGHBOUR && window.machine_idle.is_some_and(|idle| idle < 0.3) {
            caveats.push(format!(
                "Other programs used {others:.1} CPUs at {}: the service's threads waited {:.1} s per second for one.",
                top.name, window.run_delay
            ));
        }
        if window.steal.is_some_and(|steal| steal > 0.05) {
            let steal = window.steal.unwrap_or(0.0) * 100.0;
            caveats.push(format!("The hypervisor took {steal:.0} % of the machine's CPU away."));
        }
        if generator >= 0.2 && window.machine_idle.is_some_and(|idle| idle < 0.2) {
            caveats.push(format!(
                "The generator used {generator:.1} CPUs of the same machine, which the service would have otherwise."
            ));
        }
    }
    caveats
}

/// Little's law at each level of open connections.
pub fn little(facts: &Facts) -> Vec<LittleCheck> {
    let counted = facts.levels.iter().filter(|level| level.load.rps > 0.0 && level.load.unanswered == 0.0);
    counted
        .map(|level| little::check(&level.name, level.connections, level.load.rps, level.load.mean_ms / 1e3))
        .collect()
}

/// What the CPU would allow by the demand at the lightest level that was busy enough to be measured.
pub fn ceiling(facts: &Facts) -> Option<CpuCeiling> {
    let measured = facts.levels.iter().map(|level| level.load.rps).fold(0.0, f64::max);
    let level =
        facts.levels.iter().find(|level| level.window.as_ref().is_some_and(|window| window.cpu() >= 0.05))?;
    utilisation::ceiling(level.window.as_ref()?.cpu(), level.load.rps, facts.usable_cores(), measured)
}

/// A level as the report shows it; its times are the caller's to fill in.
pub fn summary_of(level: &Level) -> LevelSummary {
    let load = &level.load;
    let answered = |ms: f64| (load.rps > 0.0).then_some(ms);
    LevelSummary {
        name: level.name.clone(),
        connections: level.connections as u32,
        start_s: 0.0,
        measured_from_s: 0.0,
        end_s: 0.0,
        rps: load.rps,
        p50_ms: answered(load.p50_ms),
        p99_ms: answered(load.p99_ms),
        mean_ms: answered(load.mean_ms),
        error_rate: level.share_of_status(|status| status >= 400).max(load.unanswered),
        cpu_cores: level.window.as_ref().map(|window| window.cpu()),
        invalid: load.invalid.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::facts::LoadFacts;
    use crate::signals::window::{ThreadWindow, Window};

    fn level(rps: f64, mean_ms: f64, valid: bool, cpu: f64) -> Level {
        let invalid = if valid { vec![] } else { vec!["a generator thread had no reserve".to_owned()] };
        let load = LoadFacts { rps, mean_ms, invalid, generator_cores: 0.9, ..LoadFacts::default() };
        let threads = vec![ThreadWindow { running: cpu, voluntary: 100.0, ..ThreadWindow::default() }];
        let window = Window {
            cpu_user: cpu,
            machine_idle: Some(0.5),
            machine_busy: Some(cpu + 0.9),
            threads,
            ..Window::default()
        };
        Level { name: "8 connections".into(), connections: 8.0, load, window: Some(window) }
    }
    fn facts(levels: Vec<Level>) -> Facts {
        Facts { cores: 2.0, levels, ..Facts::default() }
    }

    #[test]
    fn a_generator_that_was_the_limit_everywhere_says_nothing() {
        let facts = facts(vec![level(9_000.0, 0.9, false, 0.3), level(9_000.0, 0.9, false, 0.3)]);
        let verdict = verdict(&facts, &[]);
        assert_eq!(verdict, Verdict::Invalid);
        assert!(summary(&facts, verdict, &[]).contains("generator was the limit"));
    }
    #[test]
    fn one_valid_level_is_something_to_go_by() {
        let facts = facts(vec![level(900.0, 1.1, true, 0.3), level(9_000.0, 0.9, false, 0.3)]);
        assert_eq!(verdict(&facts, &[]), Verdict::Healthy);
        assert!(caveats(&facts)[0].contains("no reserve"));
    }
    #[test]
    fn a_service_at_its_limit_is_healthy_though_the_generator_had_to_wait() {
        let facts = facts(vec![level(9_000.0, 0.9, false, 1.9)]);
        assert_eq!(verdict(&facts, &[]), Verdict::Healthy);
    }
    #[test]
    fn laws_come_with_the_levels() {
        let facts = facts(vec![level(8_000.0, 1.0, true, 0.4)]);
        assert!(little(&facts)[0].holds, "8 in flight = 8000/s x 1 ms");
        let ceiling = ceiling(&facts).unwrap();
        assert!((ceiling.max_rps - 40_000.0).abs() < 1.0, "{ceiling:?}");
    }
}
