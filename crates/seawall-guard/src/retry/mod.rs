//! Whether a failed call may be made again, when, and against whom.
//!
//! [`RetryPolicy::decide`] puts the rules together: the failure must be one that may pass by itself, the call one that
//! may be repeated, attempts and budget must not be used up, and the deadline must leave room for the wait. The delay
//! is drawn by [`Jitter`], and is never shorter than what the other side asked for.

mod after;
mod concurrent;
mod hedge;
mod jitter;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use std::time::{Duration, Instant};

use seawall_core::{Class, ConfigError, Deadline, Outcome};

pub use after::{RetryAfter, parse_retry_after};
pub use concurrent::{ConcurrentRetries, ConcurrentRetriesConfig, RetryPermit};
pub use hedge::{Hedge, HedgeConfig};
pub use jitter::Jitter;

use crate::{Backoff, BackoffConfig, RetryBudget};

/// Whether a call that may have reached the other side can be made again without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// Doing it twice is as doing it once: GET, HEAD, OPTIONS, PUT, DELETE (RFC 9110, section 9.2.2), or a call with
    /// an idempotency key.
    Idempotent,
    /// Only if it certainly was not begun: the connection was refused, or the other side said that it did nothing.
    IfNotSent,
    /// Never: its body is gone.
    Never,
}

impl Repeatable {
    /// By the method's name, in capitals as HTTP has it. `keyed` is a call with an idempotency key, `replayable` one
    /// whose body can be sent again.
    pub fn of_method(method: &str, keyed: bool, replayable: bool) -> Self {
        let safe = matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE" | "QUERY");
        match (safe || keyed, replayable) {
            (_, false) => Self::Never,
            (true, true) => Self::Idempotent,
            (false, true) => Self::IfNotSent,
        }
    }
}

/// How often and how soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryConfig {
    /// Attempts after the first, 0 to 10. Default 2.
    pub max: u32,
    /// How the waits between them grow.
    pub backoff: BackoffConfig,
    /// How they are spread.
    pub jitter: Jitter,
    /// The longest wait that the other side may ask for, at most 1 hour: beyond it the failure is handed on. Default
    /// 10 s.
    pub max_retry_after: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max: 2,
            backoff: BackoffConfig::default(),
            jitter: Jitter::Full,
            max_retry_after: Duration::from_secs(10),
        }
    }
}

/// One attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// How it ended.
    pub outcome: Outcome,
    /// Which retry would be next: 0 after the first attempt.
    pub retry: u32,
    /// Whether the call can be repeated.
    pub repeatable: Repeatable,
    /// Not a byte of it reached the other side.
    pub not_sent: bool,
    /// What the answer said about when to come back.
    pub retry_after: Option<Duration>,
    /// The wait before this attempt, for decorrelated jitter; zero for the first.
    pub previous_delay: Duration,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Wait so long, then try again, at another host if there is one.
    After(Duration),
    /// Hand the failure on.
    GiveUp(GiveUp),
}

/// Why there is no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// It would fail in the same way, or nobody waits.
    Pointless,
    /// Doing it twice might do harm.
    NotRepeatable,
    /// All attempts are used up.
    Attempts,
    /// The retry budget is spent.
    Budget,
    /// There would be no time left for it.
    Deadline,
    /// The other side wants to be left alone for longer than we wait.
    RetryAfter,
}

/// The rules, checked.
#[derive(Debug)]
pub struct RetryPolicy {
    config: RetryConfig,
    backoff: Backoff,
}

impl RetryPolicy {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &RetryConfig) -> Result<Self, ConfigError> {
        if config.max > 10 {
            return Err(ConfigError::new("retry.max", config.max, "0 to 10"));
        }
        if config.max_retry_after > Duration::from_secs(3_600) {
            let value = format!("{:?}", config.max_retry_after);
            return Err(ConfigError::new("retry.max_retry_after", value, "at most 1 hour"));
        }
        Ok(Self { backoff: Backoff::new(&config.backoff)?, config: config.clone() })
    }

    /// What to do after a failure. Takes from the budget only if everything else is in favour. `random` is evenly
    /// drawn from all of `u64`.
    pub fn decide(
        &self,
        failure: &Failure,
        budget: &RetryBudget,
        deadline: Deadline,
        now: Instant,
        random: u64,
    ) -> RetryDecision {
        match self.judge(failure, deadline, now, random) {
            Err(why) => RetryDecision::GiveUp(why),
            Ok(_) if budget.try_retry().is_err() => RetryDecision::GiveUp(GiveUp::Budget),
            Ok(delay) => RetryDecision::After(delay),
        }
    }

    fn judge(
        &self,
        failure: &Failure,
        deadline: Deadline,
        now: Instant,
        random: u64,
    ) -> Result<Duration, GiveUp> {
        let untouched = match failure.outcome {
            Outcome::Success | Outcome::Cancelled => return Err(GiveUp::Pointless),
            // A service that is broken is not helped by more calls; its breaker is.
            Outcome::Failure(Class::Permanent | Class::System) => return Err(GiveUp::Pointless),
            Outcome::Overloaded => true,
            Outcome::Failure(Class::Transient) => failure.not_sent,
        };
        match failure.repeatable {
            Repeatable::Never => return Err(GiveUp::NotRepeatable),
            Repeatable::IfNotSent if !untouched => return Err(GiveUp::NotRepeatable),
            Repeatable::Idempotent | Repeatable::IfNotSent => {}
        }
        if failure.retry >= self.config.max {
            return Err(GiveUp::Attempts);
        }
        let asked = failure.retry_after.unwrap_or(Duration::ZERO);
        if asked > self.config.max_retry_after {
            return Err(GiveUp::RetryAfter);
        }
        let drawn = self.config.jitter.delay(&self.backoff, failure.retry, failure.previous_delay, random);
        let delay = asked.saturating_add(drawn);
        if deadline.remaining(now) <= delay {
            return Err(GiveUp::Deadline);
        }
        Ok(delay)
    }
}
