//! Hedging: a second call when the first takes unusually long; the first answer counts.
//!
//! It cuts the slow tail of calls to many equal hosts (Dean and Barroso, "The tail at scale", 2013) and costs load,
//! so it has a budget of its own. When to send it is a time that most calls stay below: a quantile of the latencies,
//! which the caller measures. Only for calls that may be done twice, and to another host.

use std::time::Duration;

use seawall_core::ConfigError;

use super::Repeatable;
use crate::{Rejected, RetryBudget, RetryBudgetConfig};

/// When to send a second call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgeConfig {
    /// Never sooner than this. 1 ms to 1 minute. Default 10 ms.
    pub min_delay: Duration,
    /// Second calls per hundred calls, and how many at once after a good time. Default 5 and 10.
    pub budget: RetryBudgetConfig,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(10),
            budget: RetryBudgetConfig { percent: 5, ..RetryBudgetConfig::default() },
        }
    }
}

/// Decides about second calls.
#[derive(Debug)]
pub struct Hedge {
    min_delay: Duration,
    budget: RetryBudget,
}

impl Hedge {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &HedgeConfig) -> Result<Self, ConfigError> {
        let HedgeConfig { min_delay, budget } = *config;
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&min_delay) {
            return Err(ConfigError::new("hedge.min_delay", format!("{min_delay:?}"), "1 ms to 1 minute"));
        }
        Ok(Self { min_delay, budget: RetryBudget::new(&budget)? })
    }

    /// How long to wait for a call before a second one, given the latency that 95 of a hundred stay below. Nothing:
    /// do not hedge it. Notes the call.
    pub fn delay(&self, repeatable: Repeatable, p95: Option<Duration>) -> Option<Duration> {
        self.budget.note_call();
        (repeatable == Repeatable::Idempotent).then_some(p95?.max(self.min_delay))
    }

    /// Asks for leave when the time has come.
    ///
    /// # Errors
    /// [`Rejected::RetryBudgetSpent`]: go on waiting for the first.
    pub fn try_second(&self) -> Result<(), Rejected> {
        self.budget.try_retry()
    }
}
