//! How admission is configured. One set of values serves services of every size.

use std::time::Duration;

use seawall_core::ConfigError;

use crate::LimitConfig;

/// How requests are admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// How many may be worked on at once, and how that is found out.
    pub limit: LimitConfig,
    /// How long a request may take if its caller does not say. 1 ms to 1 hour. Default 10 s.
    pub deadline: Duration,
    /// The least that `max_queue_wait` comes down to, 0 to 10 s. Default 5 ms.
    pub min_wait: Duration,
    /// How long the queue may stand above `max_queue_wait` before that counts as an overload, 1 ms to 10 s. Default
    /// 100 ms.
    pub grace: Duration,
    /// Requests that may wait, 1 to 1,000,000, whatever the times say. About 200 bytes each, taken when first needed.
    /// Default 1,024.
    pub max_queued: u32,
    /// Tenants that have a turn of their own at one moment, 1 to 65,536. What stands in the queue beyond that shares
    /// one turn per class. Default 256.
    pub max_tenants: u32,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            limit: LimitConfig::default(),
            deadline: Duration::from_secs(10),
            min_wait: Duration::from_millis(5),
            grace: Duration::from_millis(100),
            max_queued: 1_024,
            max_tenants: 256,
        }
    }
}

impl AdmissionConfig {
    /// The first field that cannot be used.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.limit.check()?;
        let Self { limit: _, deadline, min_wait, grace, max_queued, max_tenants } = *self;
        const MS: Duration = Duration::from_millis(1);
        const HOUR: Duration = Duration::from_secs(3_600);
        const TEN_SECONDS: Duration = Duration::from_secs(10);
        if !(MS..=HOUR).contains(&deadline) {
            return Err(ConfigError::new("admission.deadline", format!("{deadline:?}"), "1 ms to 1 hour"));
        }
        if min_wait > TEN_SECONDS {
            return Err(ConfigError::new("admission.min_wait", format!("{min_wait:?}"), "0 to 10 s"));
        }
        if !(MS..=TEN_SECONDS).contains(&grace) {
            return Err(ConfigError::new("admission.grace", format!("{grace:?}"), "1 ms to 10 s"));
        }
        if !(1..=1_000_000).contains(&max_queued) {
            return Err(ConfigError::new("admission.max_queued", max_queued, "1 to 1000000"));
        }
        if !(1..=65_536).contains(&max_tenants) {
            return Err(ConfigError::new("admission.max_tenants", max_tenants, "1 to 65536"));
        }
        Ok(())
    }
}
