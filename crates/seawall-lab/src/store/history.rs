//! What became of a service over its stored runs: one metric, one series, and where it changed.

use serde::{Deserialize, Serialize};

use super::StoredRun;
use crate::compare::{Better, Metric};
use crate::stats::{Random, change_points, median};

/// One run in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When, seconds since 1970-01-01 UTC.
    pub at_s: u64,
    /// What was tested.
    pub label: String,
    /// The metric's value; none where it does not count.
    pub value: Option<f64>,
}

/// A change between two runs that chance does not explain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Index of the first run after it.
    pub at: usize,
    /// The middle of the runs since the change before.
    pub before: f64,
    /// The middle of the runs until the next change.
    pub after: f64,
    /// The chance of such a change in a history without any.
    pub p_value: f64,
    /// It is for the worse.
    pub worse: bool,
    /// Facts of the environment that changed with it: name, before, after. A new kernel is no regression of the service.
    pub environment: Vec<(String, String, String)>,
}

/// One metric over the runs of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Which metric.
    pub metric: Metric,
    /// Which series.
    pub series: String,
    /// The runs, the oldest first.
    pub points: Vec<Point>,
    /// The changes, the oldest first.
    pub changes: Vec<Change>,
}

/// The history of a metric in `series`. `alpha` is the chance of a change that is none.
pub fn history(runs: &[StoredRun], series: &str, metric: Metric, alpha: f64, seed: u64) -> History {
    let runs: Vec<&StoredRun> = runs.iter().filter(|run| run.series == series).collect();
    let points: Vec<Point> = runs
        .iter()
        .map(|run| Point { at_s: run.at_s, label: run.label.clone(), value: run.value(metric) })
        .collect();
    let known: Vec<usize> =
        (0..points.len()).filter(|i| points[*i].value.is_some_and(f64::is_finite)).collect();
    let values: Vec<f64> = known.iter().filter_map(|i| points[*i].value).collect();
    let found = change_points(&values, alpha, &mut Random::new(seed));
    let ends: Vec<usize> = found.iter().map(|change| change.at).chain([values.len()]).collect();
    let changes = found.iter().enumerate().map(|(i, change)| {
        let from = if i == 0 { 0 } else { found[i - 1].at };
        let (before, after) = (median(&values[from..change.at]), median(&values[change.at..ends[i + 1]]));
        Change {
            at: known[change.at],
            before,
            after,
            p_value: change.p_value,
            worse: (after > before) == (metric.better() == Better::Lower),
            environment: changed(runs[known[change.at - 1]], runs[known[change.at]]),
        }
    });
    let changes = changes.collect();
    History { metric, series: series.to_owned(), points, changes }
}

fn changed(before: &StoredRun, after: &StoredRun) -> Vec<(String, String, String)> {
    let differs = after.environment.iter().filter_map(|fact| {
        let old = before.fact(&fact.name)?;
        (old != fact.value).then(|| (fact.name.clone(), old.to_owned(), fact.value.clone()))
    });
    differs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    /// Twelve runs at 10 ms, then twelve at `after`; the kernel changes in between if so asked.
    fn runs(after: f64, new_kernel: bool) -> Vec<StoredRun> {
        let mut random = Random::new(3);
        (0..24)
            .map(|i| {
                let level = if i < 12 { 10.0 } else { after };
                let mut run = run(i, &format!("commit {i}"), level * (1.0 + 0.02 * random.normal()));
                if new_kernel && i >= 12 {
                    run.environment[0].value = "6.19".into();
                }
                run
            })
            .collect()
    }

    #[test]
    fn a_regression_is_found_at_its_run() {
        let found = history(&runs(12.0, false), "GET /", Metric::P99, 0.01, 1);
        assert_eq!(found.points.len(), 24);
        assert_eq!(found.changes.len(), 1);
        let change = &found.changes[0];
        assert!(change.at.abs_diff(12) <= 1 && change.worse && change.environment.is_empty(), "{change:?}");
        assert!((change.before - 10.0).abs() < 0.3 && (change.after - 12.0).abs() < 0.3);
    }
    #[test]
    fn a_change_of_the_machine_is_named() {
        let found = history(&runs(8.0, true), "GET /", Metric::P99, 0.01, 1);
        assert!(!found.changes[0].worse);
        assert_eq!(found.changes[0].environment, [("Kernel".into(), "6.18".into(), "6.19".into())]);
    }
    #[test]
    fn a_steady_history_has_no_change() {
        assert!(history(&runs(10.0, false), "GET /", Metric::P99, 0.01, 1).changes.is_empty());
    }
    #[test]
    fn other_series_and_runs_without_a_value_are_left_out() {
        let mut all = runs(12.0, false);
        all[3].series = "GET /other".into();
        all[5].blocks.clear();
        let found = history(&all, "GET /", Metric::P99, 0.01, 1);
        assert_eq!((found.points.len(), found.points[4].value), (23, None));
        assert_eq!(found.changes.len(), 1);
        assert!(found.changes[0].at.abs_diff(11) <= 1, "{:?}", found.changes);
    }
}
