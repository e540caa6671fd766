//! Retry budget: retries may be a fixed share of the calls, not a multiple of the failures.
//!
//! Each call puts a part of a token in, each retry takes one out. In good times the reserve is full and retries are
//! free; when everything fails, load grows by `percent` and no further, however many attempts each caller would like.
//! Token counts are whole thousandths, so that no share is rounded. Knows no time: a quiet service keeps its reserve.

use seawall_core::ConfigError;

use crate::Rejected;
use crate::sync::{AtomicU32, Ordering};

/// How much of the traffic may be retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudgetConfig {
    /// Retries per hundred calls in the long run, 0 to 100. Default 10.
    pub percent: u32,
    /// Retries that may happen at once after a good time, 1 to 1,000,000; also what a new budget starts with.
    /// Default 10.
    pub reserve: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { percent: 10, reserve: 10 }
    }
}

const TOKEN: u32 = 1_000;

/// The budget itself, shared by all callers of one dependency.
#[derive(Debug)]
pub struct RetryBudget {
    thousandths: AtomicU32,
    per_call: u32,
    most: u32,
}

impl RetryBudget {
    /// A budget with its reserve full.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &RetryBudgetConfig) -> Result<Self, ConfigError> {
        let RetryBudgetConfig { percent, reserve } = *config;
        if percent > 100 {
            return Err(ConfigError::new("retry_budget.percent", percent, "0 to 100"));
        }
        if !(1..=1_000_000).contains(&reserve) {
            return Err(ConfigError::new("retry_budget.reserve", reserve, "1 to 1000000"));
        }
        let most = reserve * TOKEN;
        Ok(Self { thousandths: AtomicU32::new(most), per_call: percent * TOKEN / 100, most })
    }

    /// Notes one call that is not a retry.
    pub fn note_call(&self) {
        let add = |left: u32| (left < self.most).then(|| (left + self.per_call).min(self.most));
        let _ = self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Retries that it pays for at this moment.
    pub fn left(&self) -> u32 {
        self.thousandths.load(Ordering::Relaxed) / TOKEN
    }

    /// Pays for one retry.
    ///
    /// # Errors
    /// [`Rejected::RetryBudgetSpent`]: do not retry, hand the failure on.
    pub fn try_retry(&self) -> Result<(), Rejected> {
        let pay = |left: u32| left.checked_sub(TOKEN);
        match self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay) {
            Ok(_) => Ok(()),
            Err(_) => Err(Rejected::RetryBudgetSpent),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays a script (`c` call, `r` retry) and checks what each retry got: `y` or `n`.
    #[track_caller]
    fn check(percent: u32, reserve: u32, script: &str, expected: &str) {
        let budget = RetryBudget::new(&RetryBudgetConfig { percent, reserve }).unwrap();
        let mut answers = String::new();
        for step in script.chars() {
            match step {
                'c' => budget.note_call(),
                _ => answers.push(if budget.try_retry().is_ok() { 'y' } else { 'n' }),
            }
        }
        assert_eq!(answers, expected);
    }

    #[test]
    fn starts_with_its_reserve() {
        check(10, 2, "rrr", "yyn");
    }
    #[test]
    fn ten_calls_at_ten_percent_pay_for_one_retry() {
        check(10, 1, "rcccccccccrcr", "yny");
    }
    #[test]
    fn a_good_time_saves_no_more_than_the_reserve() {
        check(100, 2, "ccccccccrrr", "yyn");
    }
    #[test]
    fn no_share_means_the_reserve_and_nothing_else() {
        check(0, 1, "rccccr", "yn");
    }

    proptest! {
        /// The promise of the whole thing, in the long run and from the first call on.
        #[test]
        fn retries_never_pass_share_and_reserve(percent in 0u32..=100, reserve in 1u32..5, script in "[cr]{0,300}") {
            let budget = RetryBudget::new(&RetryBudgetConfig { percent, reserve }).unwrap();
            let (mut calls, mut retries) = (0, 0);
            for step in script.chars() {
                match step {
                    'c' => { budget.note_call(); calls += 1; }
                    _ => retries += u32::from(budget.try_retry().is_ok()),
                }
                prop_assert!(retries * 100 <= reserve * 100 + calls * percent);
            }
        }
    }

    #[test]
    fn more_than_one_retry_per_call_is_refused() {
        let config = RetryBudgetConfig { percent: 101, ..RetryBudgetConfig::default() };
        let message = RetryBudget::new(&config).unwrap_err().to_string();
        assert_eq!(message, "`retry_budget.percent` is 101, but must be 0 to 100");
    }
}
