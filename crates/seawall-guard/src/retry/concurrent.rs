//! Retry budget in its other form: so many retries at once, as a share of the calls at work.
//!
//! [`RetryBudget`](crate::RetryBudget) counts over time; this counts what is out. It suits calls that take long, where
//! a budget over time would let all retries of a minute go out in one moment.

use seawall_core::ConfigError;

use crate::Rejected;
use crate::sync::{Arc, AtomicU32, Ordering};

/// How many retries may be out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrentRetriesConfig {
    /// Retries per hundred calls at work, 0 to 100. Default 20.
    pub percent: u32,
    /// So many always, 0 to 10,000. Default 3.
    pub at_least: u32,
}

impl Default for ConcurrentRetriesConfig {
    fn default() -> Self {
        Self { percent: 20, at_least: 3 }
    }
}

/// Counts the retries that are out. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct ConcurrentRetries {
    config: ConcurrentRetriesConfig,
    out: Arc<AtomicU32>,
}

/// Leave for one retry; dropping it ends it.
#[derive(Debug)]
#[must_use = "the retry counts as over the moment the permit is dropped"]
pub struct RetryPermit(Arc<AtomicU32>);

impl ConcurrentRetries {
    /// None are out.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &ConcurrentRetriesConfig) -> Result<Self, ConfigError> {
        if config.percent > 100 {
            return Err(ConfigError::new("concurrent_retries.percent", config.percent, "0 to 100"));
        }
        if config.at_least > 10_000 {
            return Err(ConfigError::new("concurrent_retries.at_least", config.at_least, "0 to 10000"));
        }
        Ok(Self { config: *config, out: Arc::new(AtomicU32::new(0)) })
    }

    /// Asks for leave to retry, while `active` calls are at work, retries included.
    ///
    /// # Errors
    /// [`Rejected::RetryBudgetSpent`].
    pub fn try_retry(&self, active: u32) -> Result<RetryPermit, Rejected> {
        let share = u64::from(active) * u64::from(self.config.percent) / 100;
        let most = share.max(self.config.at_least.into());
        let take = |out: u32| (u64::from(out) < most).then(|| out + 1);
        match self.out.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(RetryPermit(Arc::clone(&self.out))),
            Err(_) => Err(Rejected::RetryBudgetSpent),
        }
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
