//! What a cycle comes to, and the exit code for CI.

use serde::{Deserialize, Serialize};

use super::Require;
use crate::compare::{Comparison, Outcome};

/// What became of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateResult {
    /// All that was required is proven.
    Passed,
    /// An improvement was required and none is proven.
    NotProven,
    /// An objective is broken.
    SloBroken,
    /// The measurement does not count.
    Invalid,
    /// Something is worse, proven.
    Regression,
}

impl GateResult {
    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::NotProven => 1,
            Self::SloBroken => 3,
            Self::Invalid => 4,
            Self::Regression => 5,
        }
    }
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleVerdict {
    /// What became of the gate.
    pub gate: GateResult,
    /// In a sentence.
    pub summary: String,
}

/// Judges a cycle: one comparison per change, in order, and whether the objectives were met. A regression outranks what does
/// not count, which outranks a broken objective: each makes the next one's answer worthless or unimportant.
pub fn judge(comparisons: &[Comparison], slo_met: bool, require: Require) -> CycleVerdict {
    let of = |outcome: Outcome| comparisons.iter().find(|comparison| comparison.outcome == outcome);
    let verdict = |gate, summary: String| CycleVerdict { gate, summary };
    if let Some(worse) = of(Outcome::Regression) {
        return verdict(GateResult::Regression, worse.summary.clone());
    }
    if let Some(invalid) = of(Outcome::Invalid) {
        return verdict(GateResult::Invalid, invalid.summary.clone());
    }
    if !slo_met {
        return verdict(GateResult::SloBroken, "the objectives are broken by what was kept".into());
    }
    let unproven = comparisons.iter().find(|comparison| comparison.outcome != Outcome::Improvement);
    if let (Require::Improvement, Some(unproven)) = (require, unproven) {
        return verdict(GateResult::NotProven, unproven.summary.clone());
    }
    let better = of(Outcome::Improvement).map(|comparison| comparison.summary.clone());
    verdict(GateResult::Passed, better.unwrap_or_else(|| "nothing is worse, and no gain is proven".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ComparisonKind;

    fn comparison(outcome: Outcome) -> Comparison {
        Comparison {
            kind: ComparisonKind::Interleaved,
            a_name: "a".into(),
            b_name: "b".into(),
            outcome,
            summary: format!("{outcome:?}"),
            effects: vec![],
            blocks: (10, 10),
            noise_pairs: 6,
            notes: vec![],
        }
    }

    fn check(outcomes: &[Outcome], slo_met: bool, require: Require, code: u8) {
        let all: Vec<Comparison> = outcomes.iter().map(|outcome| comparison(*outcome)).collect();
        assert_eq!(judge(&all, slo_met, require).gate.exit_code(), code);
    }
    use Outcome::{Improvement, Invalid, NoDifference, Regression};
    use Require::{Improvement as Better, NoRegression};

    #[test]
    fn nothing_worse_passes() {
        check(&[NoDifference, Improvement], true, NoRegression, 0);
    }
    #[test]
    fn an_improvement_that_was_required_must_be_proven() {
        check(&[NoDifference], true, Better, 1);
        check(&[Improvement], true, Better, 0);
    }
    #[test]
    fn a_broken_objective_is_3() {
        check(&[Improvement], false, Better, 3);
    }
    #[test]
    fn what_does_not_count_is_4_even_with_an_objective_broken() {
        check(&[Improvement, Invalid], false, Better, 4);
    }
    #[test]
    fn a_regression_outranks_all() {
        check(&[Invalid, Regression], false, Better, 5);
    }
    #[test]
    fn a_cycle_without_changes_is_its_objectives() {
        check(&[], true, NoRegression, 0);
        check(&[], false, NoRegression, 3);
    }
}
