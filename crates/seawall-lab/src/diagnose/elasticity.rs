//! What throughput does when one capacity is changed: the experiment that tells a cause from a bystander.
//!
//! The elasticity is `ln(X after / X before) / ln(capacity after / capacity before)`: 1 where throughput grows with the
//! capacity, 0 where it does not care. Of several queues the bottleneck is the one whose capacity moves the throughput, as in
//! Coz (Curtsinger and Berger, 2015), who slow the rest down where we can change the capacity itself. Blocks of both run in
//! pairs, so that a machine whose speed drifts does not decide. Pure.

use serde::{Deserialize, Serialize};

use super::model::{Cause, ExperimentResult, Finding, Severity};

/// From this elasticity on, the capacity is (a part of) what limits the service.
pub const MIN_ELASTICITY: f64 = 0.15;
/// A cache helps from this gain on, as a logarithm: ten percent.
const MIN_GAIN: f64 = 0.095;
/// Of the doubt that is left in a cause, a confirmed prediction leaves this part.
const DOUBT_LEFT: f64 = 1.0 / 3.0;
/// Of the confidence in a cause, a prediction that failed leaves this part.
const CONFIDENCE_LEFT: f64 = 0.4;

/// A capacity of a service that can be chosen at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// Connections or threads of the pool that requests wait for.
    Pool,
    /// Threads that serve.
    Workers,
    /// Requests that are let in at once, or per second.
    Limit,
    /// A cache before what requests wait for: 0 is off, 1 is on. It has no elasticity, only an effect.
    Cache,
}

impl Capacity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pool, Self::Workers, Self::Limit, Self::Cache];

    /// Its name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Workers => "workers",
            Self::Limit => "limit",
            Self::Cache => "cache",
        }
    }

    /// A value of it in a command: a number, or `off` and `on`.
    pub fn value(self, value: u32) -> String {
        match (self, value) {
            (Self::Cache, 0) => "off".to_owned(),
            (Self::Cache, _) => "on".to_owned(),
            (Self::Pool | Self::Workers | Self::Limit, number) => number.to_string(),
        }
    }

    /// The cause says that more of it would help.
    pub fn helps(self, cause: Cause) -> bool {
        match self {
            Self::Pool => matches!(cause, Cause::PoolStarvation | Cause::BlockingPool),
            Self::Workers => matches!(cause, Cause::SingleThreaded | Cause::BlockingInAsync),
            Self::Limit => cause == Cause::OwnProtection,
            Self::Cache => matches!(cause, Cause::PoolStarvation | Cause::Downstream),
        }
    }
}

/// One capacity, changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Which.
    pub capacity: Capacity,
    /// As it was.
    pub from: u32,
    /// As it was changed to.
    pub to: u32,
    /// Throughput of blocks side by side, without the change and with it, requests per second.
    pub pairs: Vec<(f64, f64)>,
}

impl Trial {
    /// What throughput gained in each pair, `ln(after / before)`, rising; pairs in which nothing was answered are left out.
    fn gains(&self) -> Vec<f64> {
        let counted = self.pairs.iter().filter(|(before, after)| *before > 0.0 && *after > 0.0);
        let mut all: Vec<f64> = counted.map(|(before, after)| (after / before).ln()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// The logarithm of the change; none where it is from nothing to something, or no change.
    fn changed(&self) -> Option<f64> {
        let changed = (f64::from(self.to) / f64::from(self.from)).ln();
        (changed.is_finite() && changed != 0.0).then_some(changed)
    }

    /// The median of the pairs; none without a pair, or where the change is no number.
    pub fn elasticity(&self) -> Option<f64> {
        Some(median(&self.gains())? / self.changed()?)
    }

    /// As the finding shows it. Confirmed when the median says so and at least four pairs of five moved the same way.
    pub fn result(&self) -> Option<ExperimentResult> {
        let gains = self.gains();
        let gain = median(&gains)?;
        let more = self.changed().unwrap_or(1.0).signum();
        let moved = gains.iter().filter(|gain| *gain * more > 0.0).count();
        let enough = match (self.capacity, self.elasticity()) {
            (_, Some(elasticity)) => elasticity >= MIN_ELASTICITY,
            (Capacity::Cache, None) => gain >= MIN_GAIN,
            (Capacity::Pool | Capacity::Workers | Capacity::Limit, None) => return None,
        };
        let of = |side: fn(&(f64, f64)) -> f64| {
            let mut all: Vec<f64> = self.pairs.iter().map(side).collect();
            all.sort_by(f64::total_cmp);
            median(&all)
        };
        let value = |value| self.capacity.value(value);
        Some(ExperimentResult {
            measured: format!(
                "throughput with {} {} in place of {} ({moved} of {} pairs moved as predicted)",
                self.capacity.name(),
                value(self.to),
                value(self.from),
                gains.len()
            ),
            unit: "requests/s".to_owned(),
            before: of(|pair| pair.0)?,
            after: of(|pair| pair.1)?,
            elasticity: self.elasticity(),
            confirmed: enough && moved * 5 >= gains.len() * 4,
        })
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// Puts the trials where they belong, and the confidence where they leave it. What is proven to move the throughput is a
/// defect, whatever it looked like; what none of its trials moves is probably not the cause.
pub(super) fn weigh(findings: &mut [Finding], trials: &[Trial]) {
    for finding in findings {
        let own = trials.iter().filter(|trial| trial.capacity.helps(finding.cause));
        let mut results: Vec<ExperimentResult> = own.filter_map(Trial::result).collect();
        // The strongest first.
        let gain = |result: &ExperimentResult| (result.confirmed, (result.after / result.before).ln().abs());
        results.sort_by(|a, b| gain(b).partial_cmp(&gain(a)).unwrap_or(std::cmp::Ordering::Equal));
        let Some(first) = results.first() else { continue };
        if first.confirmed {
            finding.confidence = 1.0 - (1.0 - finding.confidence) * DOUBT_LEFT;
            finding.severity = Severity::Defect;
        } else {
            finding.confidence *= CONFIDENCE_LEFT;
        }
        let mut results = results.into_iter();
        finding.experiment.result = results.next();
        finding.experiment.others = results.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(to: u32, pairs: &[(f64, f64)]) -> Trial {
        Trial { capacity: Capacity::Pool, from: 2, to, pairs: pairs.to_vec() }
    }

    #[track_caller]
    fn check(to: u32, pairs: &[(f64, f64)], elasticity: f64, confirmed: bool) {
        let result = trial(to, pairs).result().unwrap();
        assert!((result.elasticity.unwrap() - elasticity).abs() < 1e-9, "{result:?}");
        assert_eq!(result.confirmed, confirmed, "{result:?}");
    }
    #[test]
    fn throughput_that_grows_with_the_capacity_has_an_elasticity_of_one() {
        check(4, &[(100.0, 200.0), (110.0, 220.0), (90.0, 180.0)], 1.0, true);
    }
    #[test]
    fn a_capacity_that_was_halved_moves_it_the_same_way() {
        check(1, &[(200.0, 100.0), (220.0, 110.0)], 1.0, true);
    }
    #[test]
    fn a_bystander_has_none() {
        check(4, &[(100.0, 100.0), (100.0, 101.0), (100.0, 99.0)], 0.0, false);
    }
    #[test]
    fn chance_confirms_nothing() {
        check(4, &[(100.0, 200.0), (100.0, 150.0), (100.0, 90.0)], 1.5f64.log2(), false);
    }
    #[test]
    fn a_cache_has_an_effect_and_no_elasticity() {
        let of = |after| {
            let pairs = vec![(100.0, after); 5];
            Trial { capacity: Capacity::Cache, from: 0, to: 1, pairs }.result().unwrap()
        };
        assert_eq!((of(170.0).elasticity, of(170.0).confirmed, of(105.0).confirmed), (None, true, false));
        assert!(of(170.0).measured.contains("cache on in place of off (5 of 5 pairs"), "{:?}", of(170.0));
    }
    #[test]
    fn a_drift_of_the_machine_does_not_decide() {
        check(4, &[(100.0, 130.0), (50.0, 65.0), (200.0, 260.0)], 1.3f64.log2(), true);
    }
    #[test]
    fn without_an_answer_there_is_no_result() {
        assert_eq!(trial(4, &[]).result(), None);
        assert_eq!(trial(4, &[(0.0, 5.0)]).result(), None);
        assert_eq!(trial(2, &[(1.0, 5.0)]).result(), None, "nothing was changed");
    }
}
