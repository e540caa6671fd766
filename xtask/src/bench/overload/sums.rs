//! The arithmetic of the bench: what overload leaves at best, what a refusal costs, when a server has recovered. Pure.

use serde::{Deserialize, Serialize};

/// Fewer refusals than this say nothing about their cost.
const ENOUGH_REFUSALS: u64 = 200;
/// Two measurements of a capacity that differ by more than this were not of the same machine.
const SAME_CAPACITY: f64 = 0.05;
/// A row is normal again if it has this share of what was due.
const NORMAL_SHARE: f64 = 0.95;

/// What a server pays with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prices {
    /// Mean requests per second that it can answer.
    pub(super) capacity: f64,
    /// CPU of an answer and of a refusal.
    pub(super) answer_us: f64,
    pub(super) refusal_us: f64,
    /// It uses all CPU that it gets when it answers at its capacity. Else it has a whole core.
    pub(super) computes: bool,
}

impl Prices {
    /// The share of the capacity that is left at best if `times` the capacity are asked for and every request that is
    /// not answered is refused. Of a handler that only computes this is (1 - k r) / (1 - r), with k the multiple and r the
    /// cost of a refusal over that of an answer, however much of a core it gets.
    pub(super) fn ceiling(self, times: f64) -> f64 {
        let core = if self.computes { self.capacity * self.answer_us / 1e6 } else { 1.0 };
        let refusing_all = times * self.capacity * self.refusal_us / 1e6;
        let answering_all = self.capacity * (self.answer_us - self.refusal_us) / 1e6;
        let best = times.min(1.0);
        // Where an answer costs no more than a refusal there is no trade: only the core's time is a bound.
        if answering_all <= 0.0 { best } else { ((core - refusing_all) / answering_all).clamp(0.0, best) }
    }
}

/// CPU of a refusal: what was used besides the answers, over the refusals. `None` if there are too few.
pub(super) fn refusal_us(used_us: f64, answers: f64, answer_us: f64, refusals: u64) -> Option<f64> {
    (refusals >= ENOUGH_REFUSALS).then(|| (used_us - answers * answer_us) / refusals as f64)
}

/// Whether two measurements of a capacity agree.
pub(super) fn agree(before: f64, after: f64) -> bool {
    (before - after).abs() <= SAME_CAPACITY * (before + after) / 2.0
}

/// What clients saw in a part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Seconds since the start.
    pub(super) t: f64,
    pub(super) seconds: f64,
    pub(super) offered_rps: f64,
    pub(super) good_rps: f64,
    /// Of the answers 2xx, in microseconds.
    pub(super) success_p99: f64,
}

impl Row {
    fn is_within(&self, begin: f64, end: f64) -> bool {
        self.t >= begin - 1e-6 && self.t + self.seconds <= end + 1e-6
    }
}

/// The p99 that counts as normal after a spike: half more than the worst row before it, and 5 ms.
pub(super) fn normal_p99_us(rows: &[Row], begin: f64, spike: f64) -> f64 {
    let before = rows.iter().filter(|row| row.is_within(begin, spike)).map(|row| row.success_p99);
    before.fold(0.0, f64::max) * 1.5 + 5_000.0
}

/// Seconds from the end of a spike to the end of the last row that was not normal; `None` if that is the last of all.
pub(super) fn recovery_s(rows: &[Row], spike_end: f64, normal_p99_us: f64) -> Option<f64> {
    let after: Vec<&Row> = rows.iter().filter(|row| row.t >= spike_end - 1e-6).collect();
    let normal =
        |row: &Row| row.success_p99 <= normal_p99_us && row.good_rps >= row.offered_rps * NORMAL_SHARE;
    match after.iter().rposition(|row| !normal(row)) {
        None if after.is_empty() => None,
        None => Some(0.0),
        Some(last) if last + 1 == after.len() => None,
        Some(last) => Some(after[last].t + after[last].seconds - spike_end),
    }
}

/// Good answers per second between two times.
pub(super) fn good_rps(rows: &[Row], begin: f64, end: f64) -> f64 {
    let within: Vec<_> = rows.iter().filter(|row| row.is_within(begin, end)).collect();
    let seconds: f64 = within.iter().map(|row| row.seconds).sum();
    within.iter().map(|row| row.good_rps * row.seconds).sum::<f64>() / seconds.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
    }

    #[test]
    fn the_ceiling_of_computing_is_the_known_formula() {
        for (refusal_us, k) in [(5.0, 10.0), (10.0, 10.0), (7.0, 2.0), (7.0, 50.0), (20.0, 30.0)] {
            // Half of the core had other work.
            let prices = Prices { capacity: 400.0, answer_us: 1_250.0, refusal_us, computes: true };
            let r = refusal_us / 1_250.0;
            near(prices.ceiling(k), (1.0 - k * r) / (1.0 - r));
        }
    }

    #[test]
    fn no_more_than_is_asked_for_and_no_less_than_nothing() {
        let prices = Prices { capacity: 1_000.0, answer_us: 1_000.0, refusal_us: 10.0, computes: true };
        near(prices.ceiling(0.5), 0.5);
        near(prices.ceiling(1.0), 1.0);
        near(prices.ceiling(200.0), 0.0);
    }

    #[test]
    fn waiting_leaves_cpu_for_refusals() {
        // 1,500 answers of 20 us use 3 % of the core.
        let prices = Prices { capacity: 1_500.0, answer_us: 20.0, refusal_us: 10.0, computes: false };
        near(prices.ceiling(10.0), 1.0);
        near(prices.ceiling(66.0), (1.0 - 0.99) / 0.015);
        near(Prices { answer_us: 10.0, ..prices }.ceiling(10.0), 1.0);
    }

    #[test]
    fn a_refusal_costs_what_answers_did_not() {
        // 3 s of CPU, 2,700 answers of 1 ms, 30,000 refusals.
        near(refusal_us(3e6, 2_700.0, 1_000.0, 30_000).unwrap(), 10.0);
        assert_eq!(refusal_us(3e6, 2_700.0, 1_000.0, 199), None);
    }

    #[test]
    fn capacities_agree_within_a_twentieth() {
        assert!(agree(1_000.0, 1_051.0) && agree(1_051.0, 1_000.0));
        assert!(!agree(1_000.0, 1_053.0) && !agree(0.0, 1.0));
    }

    /// Quarters of a second: `.` normal, `s` slow, `l` with lost answers; the spike is the second second.
    fn rows(script: &str) -> Vec<Row> {
        let row = |(at, mark): (usize, char)| Row {
            t: at as f64 * 0.25,
            seconds: 0.25,
            offered_rps: 800.0,
            good_rps: if mark == 'l' { 700.0 } else { 799.0 },
            success_p99: if mark == 's' { 90_000.0 } else { 2_000.0 },
        };
        script.chars().enumerate().map(row).collect()
    }

    #[track_caller]
    fn check(script: &str, expected: Option<f64>) {
        let rows = rows(script);
        let normal = normal_p99_us(&rows, 0.0, 1.0);
        near(normal, 8_000.0);
        assert_eq!(recovery_s(&rows, 2.0, normal), expected);
    }

    #[test]
    fn who_is_never_disturbed_has_recovered_at_once() {
        check("....ssss........", Some(0.0));
    }
    #[test]
    fn recovery_ends_with_the_last_row_that_is_slow() {
        check("....sssss.s.....", Some(0.75));
    }
    #[test]
    fn answers_that_are_missing_are_no_recovery() {
        check("....sssslll.....", Some(0.75));
    }
    #[test]
    fn who_is_slow_to_the_end_has_not_recovered() {
        check("....ssss.......s", None);
        check("....ssss", None);
    }

    #[test]
    fn good_answers_are_counted_within_whole_rows() {
        near(good_rps(&rows("....llll........"), 1.0, 2.0), 700.0);
        near(good_rps(&rows("....llll........"), 0.0, 2.0), 749.5);
    }
}
