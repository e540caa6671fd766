//! What Redis does for a shared limit, in whole numbers and without Redis.

use std::collections::HashMap;

use crate::rate::leases::Terms;
use crate::rate::script::{Answer, Question};

/// Debts in nanoseconds and when, in microseconds, they were so large.
#[derive(Debug, Default)]
pub(super) struct Model(HashMap<u64, (u128, u64)>);

impl Model {
    pub(super) fn ask(&mut self, terms: &Terms, question: &Question, micros: u64) -> Answer {
        let (debt, at) = self.0.get(&question.key).copied().unwrap_or((0, micros));
        let earned = u128::from(micros.saturating_sub(at)) * 1_000;
        let interval = u128::from(terms.interval);
        let most = u128::from(terms.burst) * interval;
        // 104 days: what the script's numbers hold.
        let debt =
            (debt.saturating_sub(earned) + u128::from(question.trusted) * interval).min(9 * 10u128.pow(15));
        let free = most.saturating_sub(debt) / interval;
        let leased = free.min(question.wanted.into());
        let debt = debt + leased * interval;
        if leased > 0 || question.trusted > 0 {
            self.0.insert(question.key, (debt, micros));
        }
        let worth = u128::from(terms.step.min(terms.burst)) * interval;
        let wait = if leased < question.wanted.into() { (debt + worth).saturating_sub(most) } else { 0 };
        Answer { leased: leased as u32, wait: wait as u64, debt: debt as u64 }
    }
}
