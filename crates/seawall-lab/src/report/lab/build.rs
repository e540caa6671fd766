//! A report out of what a lab command found: any [`Artifact`] becomes a page.

use super::data::{Collected, LabReport, Mood, NamedProfile, ProfilePair};
use super::water::waterfalls;
use crate::artifact::{Artifact, Found, Scale, Seen};
use crate::compare::Outcome;
use crate::diagnose::{Diagnosis, LevelSummary, Verdict};
use crate::profile::{Profile, ProfileKind};
use crate::report::format::number;
use crate::report::{Fact, LoadPoint, Phase, Validity};
use crate::search::{Axis, KneeInterval};
use crate::store::History;

impl LabReport {
    /// A report without anything in it; every section says that `kind` does not look at it.
    pub fn empty(kind: &str, target: &str) -> Self {
        fn no<T>(why: &str) -> Collected<T> {
            Collected::Missing(why.to_owned())
        }
        let own =
            |what: &str| format!("`seawall lab {kind}` does not look at this; `seawall lab {what}` does");
        let signals = own("diagnose");
        Self {
            title: target.to_owned(),
            kind: kind.to_owned(),
            target: target.to_owned(),
            generated_at: String::new(),
            generator: format!("seawall {}", env!("CARGO_PKG_VERSION")),
            command: String::new(),
            duration_s: 0.0,
            headline: String::new(),
            mood: Mood::Unsure,
            validity: Validity { valid: true, reasons: Vec::new() },
            objectives: Vec::new(),
            evidence: None,
            missing: Vec::new(),
            phases: Vec::new(),
            load: no("no load over time was kept"),
            heat: no("no latencies over time were kept"),
            spectrum: no("no latency distribution was kept"),
            knee: no(&own("find-max")),
            scale: no(&own("scale")),
            waterfall: no(&signals),
            signals: no(&signals),
            sides: Vec::new(),
            profiles: no(&own("profile")),
            differences: no("there are not two profiles of one kind to compare"),
            kernel: no("this needs eBPF, which this program does not bring"),
            diagnosis: no(&signals),
            comparisons: no(&own("compare")),
            endpoints: Vec::new(),
            errors: Vec::new(),
            settings: Vec::new(),
            environment: Vec::<Fact>::new(),
        }
    }

    /// Puts a diagnosis into the report: cards, signals, profiles, the waterfall of its levels.
    pub fn put_diagnosis(&mut self, mut diagnosis: Diagnosis) {
        self.evidence = Some(diagnosis.evidence);
        self.missing.clone_from(&diagnosis.missing);
        let signals = diagnosis.signals.take();
        let from_outside =
            "only the outside of the service could be seen: give its process (`--pid`) or its admin listener";
        let waterfall = signals.as_ref().map(|signals| waterfalls(&diagnosis.levels, signals));
        self.waterfall = match waterfall {
            Some(all) if all.is_empty() => Collected::Missing("no level of the diagnosis counts".into()),
            waterfall => Collected::or(waterfall, from_outside),
        };
        self.signals = Collected::or(signals, from_outside);
        let profiles = std::mem::take(&mut diagnosis.profiles);
        self.put_profiles(profiles, "no profile could be taken: see what is missing in the verdict");
        self.put_levels(&diagnosis.levels);
        self.diagnosis = Collected::Data(diagnosis);
    }

    /// The levels of a diagnosis as load over time, before what was sent after it.
    fn put_levels(&mut self, levels: &[LevelSummary]) {
        let points = levels.iter().filter(|level| level.end_s > level.measured_from_s).map(level_point);
        let mut load: Vec<LoadPoint> = points.collect();
        if let Collected::Data(later) = &mut self.load {
            load.append(later);
        }
        self.load = Collected::or(Some(load).filter(|all| !all.is_empty()), "no load was sent");
        let phases = levels.iter().map(|level| Phase {
            name: level.name.clone(),
            start_s: level.start_s,
            end_s: level.end_s,
        });
        self.phases = phases.chain(std::mem::take(&mut self.phases)).collect();
    }

    /// Puts two profiles of the CPU and their difference into the report, or why there are none.
    pub fn put_profile_pair(&mut self, pair: Option<ProfilePair>, why_none: &str) {
        let named = pair.iter().flat_map(|pair| {
            let of = |name: &str, profile: &Profile| NamedProfile {
                name: format!("{}, {name}", kind_name(profile.kind)),
                profile: profile.clone(),
            };
            [of(&pair.before_name, &pair.before), of(&pair.after_name, &pair.after)]
        });
        let named: Vec<NamedProfile> = named.collect();
        self.profiles = Collected::or(Some(named).filter(|all| !all.is_empty()), why_none);
        self.differences = Collected::or(pair.map(|pair| vec![pair]), why_none);
    }

    /// Puts profiles into the report, named after what they weigh.
    pub fn put_profiles(&mut self, profiles: Vec<Profile>, why_none: &str) {
        let named: Vec<NamedProfile> = profiles
            .into_iter()
            .map(|profile| NamedProfile { name: kind_name(profile.kind).to_owned(), profile })
            .collect();
        self.profiles = Collected::or(Some(named).filter(|all| !all.is_empty()), why_none);
    }
}

fn kind_name(kind: ProfileKind) -> &'static str {
    match kind {
        ProfileKind::Cpu => "Time on a CPU",
        ProfileKind::Heap => "Memory in use",
        ProfileKind::Block => "Time waiting for locks and channels",
        ProfileKind::OffCpu => "Time off the CPU",
    }
}

/// A level as one long tick: what was measured, from its measurement's begin to its end.
fn level_point(level: &LevelSummary) -> LoadPoint {
    LoadPoint {
        t_s: level.measured_from_s,
        length_s: level.end_s - level.measured_from_s,
        offered_rps: level.rps,
        achieved_rps: level.rps,
        errors_per_s: level.rps * level.error_rate,
        p50_ms: level.p50_ms,
        p99_ms: level.p99_ms,
        warmup: false,
    }
}

/// The report of what a command found.
pub fn of_artifact(artifact: &Artifact) -> LabReport {
    let mut report = match &artifact.found {
        Found::Knee(Seen { result, seen }) => of_knee(result, seen_or(seen, "find-max", &artifact.target)),
        Found::Scale(Seen { result, seen }) => of_scale(result, seen_or(seen, "scale", &artifact.target)),
        Found::Profiles(profiles) => {
            let mut report = LabReport::empty("profile", &artifact.target);
            report.headline = format!("{} profiles taken under load", profiles.len());
            report.mood = Mood::Good;
            report.put_profiles(profiles.clone(), "no profile could be taken");
            report
        }
        Found::Diagnosis(diagnosis) => of_diagnosis(diagnosis, &artifact.target),
        Found::Comparison(report) | Found::Cycle(report) => (**report).clone(),
        Found::History(history) => of_history(history, &artifact.target),
    };
    report.generated_at.clone_from(&artifact.made_at);
    report.generator.clone_from(&artifact.generator);
    report.command.clone_from(&artifact.command);
    report.environment.clone_from(&artifact.environment);
    report
}

/// What was seen, or a report without anything in it.
fn seen_or(seen: &Option<Box<LabReport>>, kind: &str, target: &str) -> LabReport {
    seen.as_deref().cloned().unwrap_or_else(|| LabReport::empty(kind, target))
}

fn of_knee(knee: &KneeInterval, mut report: LabReport) -> LabReport {
    let unit = match knee.axis {
        Axis::Rate => "requests/s",
        Axis::Connections => "connections",
    };
    report.headline = match (knee.lo, knee.hi) {
        (Some(lo), Some(hi)) => {
            format!("{} holds at {} {unit} and breaks at {}", knee.slo, number(lo), number(hi))
        }
        (Some(lo), None) => format!("{} holds up to at least {} {unit}", knee.slo, number(lo)),
        (None, Some(hi)) => format!("{} does not hold even at {} {unit}", knee.slo, number(hi)),
        (None, None) => "the knee was not found".to_owned(),
    };
    report.mood = if knee.lo.is_some() { Mood::Good } else { Mood::Bad };
    report.validity = Validity { valid: knee.valid, reasons: knee.reasons.clone() };
    report.knee = Collected::Data(knee.clone());
    report
}

fn of_scale(scale: &Scale, mut report: LabReport) -> LabReport {
    report.headline = match &scale.fit {
        Some(fit) => fit.meaning.clone(),
        None => scale.notes.first().cloned().unwrap_or_else(|| "no law could be fitted".to_owned()),
    };
    report.mood = if scale.fit.is_some() { Mood::Good } else { Mood::Unsure };
    report.scale = Collected::Data(scale.clone());
    report
}

fn of_diagnosis(diagnosis: &Diagnosis, target: &str) -> LabReport {
    let mut report = LabReport::empty("diagnose", target);
    report.headline.clone_from(&diagnosis.summary);
    (report.mood, report.validity.valid) = match diagnosis.verdict {
        Verdict::Healthy => (Mood::Good, true),
        Verdict::Defect => (Mood::Bad, true),
        Verdict::Unexplained => (Mood::Unsure, true),
        Verdict::Invalid => (Mood::Unsure, false),
    };
    report.put_diagnosis(diagnosis.clone());
    report
}

fn of_history(history: &History, target: &str) -> LabReport {
    let mut report = LabReport::empty("history", target);
    let worse = history.changes.iter().filter(|change| change.worse).count();
    report.headline = format!(
        "{} over {} runs: {} changes, {worse} for the worse",
        history.metric.title(),
        history.points.len(),
        history.changes.len()
    );
    report.mood = if worse > 0 { Mood::Bad } else { Mood::Good };
    report.settings = history
        .changes
        .iter()
        .map(|change| Fact {
            name: format!("Change at {}", history.points[change.at].label),
            value: format!("{} → {}", history.metric.show(change.before), history.metric.show(change.after)),
        })
        .collect();
    report
}

/// How an outcome is to be felt.
pub fn mood_of(outcome: Outcome) -> Mood {
    match outcome {
        Outcome::Improvement => Mood::Good,
        Outcome::NoDifference | Outcome::Invalid => Mood::Unsure,
        Outcome::Regression => Mood::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::SCHEMA;
    use crate::report::lab::lab_html;
    use crate::search::Ending;

    fn page(found: Found) -> String {
        let artifact = Artifact {
            schema: SCHEMA,
            generator: "seawall 1".into(),
            made_at: "2026-11-30 21:04:05 UTC".into(),
            command: "seawall lab x".into(),
            target: "GET /".into(),
            environment: vec![],
            found,
        };
        lab_html(&of_artifact(&artifact))
    }

    #[test]
    fn a_knee_is_a_page_whose_other_sections_say_who_looks_at_them() {
        let knee = KneeInterval {
            axis: Axis::Rate,
            lo: Some(1000.0),
            hi: None,
            rps_at_lo: None,
            ending: Ending::LowerBound,
            slo: "p99<50ms".into(),
            valid: false,
            reasons: vec!["the generator was late".into()],
            probes: vec![],
        };
        let page = page(Found::Knee(Seen { result: knee, seen: None }));
        assert!(
            page.contains("p99&lt;50ms holds up to at least 1,000")
                && page.contains("the generator was late")
        );
        assert!(page.contains("`seawall lab diagnose` does") && page.contains("seawall lab x"));
    }
    #[test]
    fn a_scale_without_a_law_says_why() {
        let scale =
            Scale { points: vec![], fit: None, bend: None, notes: vec!["three points are too few".into()] };
        assert!(page(Found::Scale(Seen { result: scale, seen: None })).contains("three points are too few"));
    }
    #[test]
    fn no_profile_is_no_flame_graph() {
        assert!(page(Found::Profiles(vec![])).contains("no profile could be taken"));
    }
}
