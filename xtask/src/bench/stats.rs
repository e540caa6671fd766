//! Medians, ratios within rounds, and how sure of them one may be. Pure: random numbers begin where they always begin.

use serde::{Deserialize, Serialize};

/// Resamplings of the bootstrap: the ends of the interval move by less than its second digit with more of them.
const RESAMPLINGS: usize = 4_000;

/// A median over rounds, its 95 % interval (bootstrap), and the least and the most of any round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` without values. A ratio to nothing (in a short visit the kernel may have seen no user time at all) is none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        let (low, high) = interval(&values);
        let (min, max) = (least(&values), most(&values));
        Some(Self { median: median(values), low, high, min, max })
    }

    /// Of the inverse of every value.
    pub(super) fn inverse(self) -> Self {
        let Self { median, low, high, min, max } = self;
        Self { median: 1.0 / median, low: 1.0 / high, high: 1.0 / low, min: 1.0 / max, max: 1.0 / min }
    }
}

/// From where to where 95 % of the medians lie that rounds drawn from these, with replacement, would have had.
fn interval(values: &[f64]) -> (f64, f64) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let draw = |_| median(values.iter().map(|_| values[random.below(values.len())]).collect());
    let mut medians: Vec<f64> = (0..RESAMPLINGS).map(draw).collect();
    medians.sort_by(f64::total_cmp);
    (medians[RESAMPLINGS / 40], medians[RESAMPLINGS - 1 - RESAMPLINGS / 40])
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

pub(super) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub(super) fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Xorshift (Marsaglia): the same order on every machine. Must not be zero.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    pub(super) fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn the_interval_holds_the_median_and_lies_within_the_range() {
        let values: Vec<f64> = (0..20).map(|at| 1.0 + f64::from(at * at % 7) / 10.0).collect();
        let spread = Spread::of(&values).unwrap();
        assert!(spread.min <= spread.low && spread.low <= spread.median, "{spread:?}");
        assert!(spread.median <= spread.high && spread.high <= spread.max, "{spread:?}");
        assert!(spread.high - spread.low < spread.max - spread.min, "{spread:?}");
    }

    #[test]
    fn rounds_that_agree_leave_no_doubt() {
        let same = Spread { median: 2.0, low: 2.0, high: 2.0, min: 2.0, max: 2.0 };
        assert_eq!(Spread::of(&[2.0; 8]), Some(same));
        assert_eq!(Spread::of(&[f64::INFINITY, 2.0, f64::NAN]), Some(same));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn an_inverse_turns_the_ends_round() {
        let spread = Spread { median: 0.5, low: 0.25, high: 1.0, min: 0.125, max: 2.0 };
        assert_eq!(spread.inverse(), Spread { median: 2.0, low: 1.0, high: 4.0, min: 0.5, max: 8.0 });
    }
}
