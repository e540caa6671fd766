//! The configuration of a queue, plain, and its check.

use std::time::Duration;

use seawall_core::ConfigError;

/// How a queue behaves.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// Its name in the database and in metrics; not empty. Default `default`.
    pub name: String,
    /// Messages that are not acknowledged, at most; then [`QueueError::Full`](super::QueueError::Full). From 1.
    /// Default 1,000,000.
    pub max_depth: u64,
    /// Messages claimed at once, 1 to 10,000. Default 256.
    pub batch: usize,
    /// How long a worker may take before its messages go to somebody else, 10 ms to 1 day. Default 30 s.
    pub lease: Duration,
    /// Deliveries of one message before it is given up, from 1. Default 8.
    pub max_attempts: u32,
    /// The pause after the first failure; it doubles with each further one. Default 50 ms.
    pub retry_pause: Duration,
    /// The longest pause. Default 10 s.
    pub max_retry_pause: Duration,
    /// How often an idle worker looks for retries and ended leases, 1 ms to 1 min. Default 200 ms.
    pub poll: Duration,
    /// Dead letters kept; when there are more the oldest are deleted. Default 10,000.
    pub max_dead: u32,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            max_depth: 1_000_000,
            batch: 256,
            lease: Duration::from_secs(30),
            max_attempts: 8,
            retry_pause: Duration::from_millis(50),
            max_retry_pause: Duration::from_secs(10),
            poll: Duration::from_millis(200),
            max_dead: 10_000,
        }
    }
}

impl QueueConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let within = |field, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::new(field, value, format_args!("{min} to {max}")))
        };
        let lasts = |field, value: Duration, min: Duration, max: Duration| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::new(field, format_args!("{value:?}"), format_args!("{min:?} to {max:?}")))
        };
        if self.name.is_empty() {
            return Err(ConfigError::new("queue.name", "empty", "a name"));
        }
        within("queue.max_depth", self.max_depth, 1, i64::MAX as u64)?;
        within("queue.batch", self.batch as u64, 1, 10_000)?;
        within("queue.max_attempts", self.max_attempts.into(), 1, 1_000_000)?;
        lasts("queue.lease", self.lease, Duration::from_millis(10), Duration::from_secs(86_400))?;
        lasts("queue.poll", self.poll, Duration::from_millis(1), Duration::from_secs(60))?;
        lasts("queue.retry_pause", self.retry_pause, Duration::ZERO, self.max_retry_pause)
    }
}
