//! The making of a [`Finding`]: less to write in each rule, and nothing forgotten.

use crate::diagnose::model::{Cause, Experiment, Finding, Number, Severity};
use crate::profile::Frame;

/// The words of a finding.
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) sentence: String,
    pub(super) change: String,
    /// What to try, and what should follow.
    pub(super) experiment: String,
}

/// A finding without numbers yet.
pub(super) fn card(cause: Cause, severity: Severity, share: f64, confidence: f64, words: Words) -> Finding {
    let Words { title, sentence, change, experiment } = words;
    Finding {
        cause,
        severity,
        title: title.to_owned(),
        sentence,
        score: 0.0,
        share: share.clamp(0.0, 1.0),
        confidence,
        numbers: Vec::new(),
        evidence: Vec::new(),
        frames: Vec::new(),
        change,
        experiment: Experiment { what: experiment, command: None, result: None, others: Vec::new() },
    }
}

pub(super) trait Details {
    /// A number that only explains.
    fn number(self, name: &str, value: f64, unit: &str) -> Self;
    /// A number that made the rule take notice, from `threshold` on.
    fn over(self, name: &str, value: f64, unit: &str, threshold: f64) -> Self;
    /// Where to look for oneself.
    fn evidence(self, text: impl Into<String>) -> Self;
    /// Functions of the profile.
    fn frames(self, frames: Vec<Frame>) -> Self;
    /// The experiment's command.
    fn command(self, command: impl Into<String>) -> Self;
}

impl Details for Finding {
    fn number(mut self, name: &str, value: f64, unit: &str) -> Self {
        self.numbers.push(Number { name: name.to_owned(), value, unit: unit.to_owned(), threshold: None });
        self
    }

    fn over(mut self, name: &str, value: f64, unit: &str, threshold: f64) -> Self {
        let threshold = Some(threshold);
        self.numbers.push(Number { name: name.to_owned(), value, unit: unit.to_owned(), threshold });
        self
    }

    fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    fn frames(mut self, frames: Vec<Frame>) -> Self {
        self.frames = frames;
        self
    }

    fn command(mut self, command: impl Into<String>) -> Self {
        self.experiment.command = Some(command.into());
        self
    }
}

/// A share as a percentage for a sentence.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Milliseconds for a sentence.
pub(super) fn ms(value: f64) -> String {
    if value < 10.0 { format!("{value:.2} ms") } else { format!("{value:.0} ms") }
}
