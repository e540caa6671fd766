//! Whether a failed call may be answered with something else: an older value, a default, less.
//!
//! A fallback hides a failure, so it is for failures that are not the caller's doing. After a permanent failure the
//! same question has the same answer tomorrow, and an old value would be a lie.

use std::time::Duration;

use seawall_core::{Class, ConfigError, Outcome};

/// What may stand in for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FallbackConfig {
    /// An older value may stand in while it is not older than this. At most 30 days. Default 1 hour.
    pub max_stale: Duration,
    /// A default may stand in where there is no such value. Default no.
    pub default_allowed: bool,
}

impl Default for FallbackConfig {
    fn default() -> Self {
        Self { max_stale: Duration::from_secs(3_600), default_allowed: false }
    }
}

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackDecision {
    /// The value from before.
    Stale,
    /// The default.
    Default,
    /// The failure itself.
    Fail,
}

/// The rules, checked.
#[derive(Debug, Clone, Copy)]
pub struct Fallback(FallbackConfig);

impl Fallback {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &FallbackConfig) -> Result<Self, ConfigError> {
        if config.max_stale > Duration::from_secs(30 * 86_400) {
            let value = format!("{:?}", config.max_stale);
            return Err(ConfigError::new("fallback.max_stale", value, "at most 30 days"));
        }
        Ok(Self(*config))
    }

    /// What stands in for a call that ended like this, given how old the value at hand is, if there is one. Our own
    /// refusals (breaker open, throttled, limit reached) are [`Outcome::Overloaded`] here.
    pub fn decide(&self, outcome: Outcome, stale_for: Option<Duration>) -> FallbackDecision {
        let ours = match outcome {
            Outcome::Overloaded | Outcome::Failure(Class::Transient | Class::System) => true,
            Outcome::Failure(Class::Permanent) | Outcome::Success | Outcome::Cancelled => false,
        };
        match stale_for {
            _ if !ours => FallbackDecision::Fail,
            Some(age) if age <= self.0.max_stale => FallbackDecision::Stale,
            _ if self.0.default_allowed => FallbackDecision::Default,
            _ => FallbackDecision::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, stale_secs: Option<u64>, default_allowed: bool, expected: FallbackDecision) {
        let fallback =
            Fallback::new(&FallbackConfig { default_allowed, ..FallbackConfig::default() }).unwrap();
        assert_eq!(fallback.decide(outcome, stale_secs.map(Duration::from_secs)), expected);
    }

    #[test]
    fn an_old_value_stands_in_for_a_while() {
        check(Outcome::Overloaded, Some(3_600), true, FallbackDecision::Stale);
        check(Outcome::Overloaded, Some(3_601), true, FallbackDecision::Default);
        check(Outcome::Overloaded, Some(3_601), false, FallbackDecision::Fail);
    }
    #[test]
    fn a_failure_of_the_caller_is_not_hidden() {
        check(Outcome::Failure(Class::Permanent), Some(1), true, FallbackDecision::Fail);
    }
    #[test]
    fn a_broken_service_is() {
        check(Outcome::Failure(Class::System), None, true, FallbackDecision::Default);
    }
    #[test]
    fn a_value_older_than_a_month_is_refused_as_a_setting() {
        let config =
            FallbackConfig { max_stale: Duration::from_secs(31 * 86_400), ..FallbackConfig::default() };
        let message = Fallback::new(&config).unwrap_err().to_string();
        assert_eq!(message, "`fallback.max_stale` is 2678400s, but must be at most 30 days");
    }
}
