//! Why a request was turned away before any work was done on it. Facts only: the status code is chosen elsewhere.

use std::time::Duration;

use seawall_core::Class;

/// A refusal. Nothing has been done for the request, so repeating it is safe unless the class says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// All room is taken at this moment.
    #[error("too many in flight")]
    Saturated,
    /// This caller has used up its rate for now.
    #[error("rate limit reached, room again in {retry_after:?}")]
    RateLimited {
        /// The earliest moment at which the same request can pass, counted from the refusal.
        retry_after: Duration,
    },
    /// The request costs more than its limit ever gives at once; waiting does not help.
    #[error("a cost of {cost} is above the limit's burst of {burst}")]
    TooCostly {
        /// What the request asked for.
        cost: u32,
        /// The most the limit gives at once.
        burst: u32,
    },
    /// Too many of the last calls were retries already; another would feed the storm.
    #[error("retry budget spent")]
    RetryBudgetSpent,
}

impl Rejected {
    /// When to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Saturated | Self::TooCostly { .. } | Self::RetryBudgetSpent => None,
        }
    }

    /// How the caller should react: only [`Rejected::TooCostly`] can never pass.
    pub fn class(&self) -> Class {
        match self {
            Self::TooCostly { .. } => Class::Permanent,
            Self::Saturated | Self::RateLimited { .. } | Self::RetryBudgetSpent => Class::Transient,
        }
    }

    /// The refusal as a metric label or log field.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooCostly { .. } => "too_costly",
            Self::RetryBudgetSpent => "retry_budget_spent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_to_come_back_if_it_knows() {
        let refusal = Rejected::RateLimited { retry_after: Duration::from_millis(1_500) };
        assert_eq!(refusal.to_string(), "rate limit reached, room again in 1.5s");
        assert_eq!(refusal.retry_after(), Some(Duration::from_millis(1_500)));
        assert_eq!(Rejected::Saturated.retry_after(), None);
    }

    #[test]
    fn only_an_impossible_cost_is_permanent() {
        assert_eq!(Rejected::TooCostly { cost: 50, burst: 10 }.class(), Class::Permanent);
        assert_eq!(Rejected::Saturated.class(), Class::Transient);
        assert_eq!(Rejected::RetryBudgetSpent.class(), Class::Transient);
    }
}
