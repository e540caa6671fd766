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
    /// The queue holds as much as can be served in time.
    #[error("the queue is full")]
    QueueFull,
    /// It stood in the queue for longer than it could be of use.
    #[error("waited too long for room")]
    WaitedTooLong,
    /// There is an overload, and more important work takes all room.
    #[error("more important work takes all room")]
    LowPriority,
    /// Nobody waits for the answer any more, or will by the time that it could be there.
    #[error("the deadline has passed, or is too near")]
    DeadlineExceeded,
    /// The calls before this one failed; the breaker holds them off.
    #[error("circuit open, next try in {retry_after:?}")]
    CircuitOpen {
        /// When the breaker lets the next call through, counted from the refusal.
        retry_after: Duration,
    },
    /// The other side has refused so much that this caller holds back by itself.
    #[error("held back, since the other side refuses most calls")]
    Throttled,
    /// Memory, processor or file handles are nearly used up.
    #[error("the process has run out of {resource}")]
    UnderPressure {
        /// What is short.
        resource: &'static str,
    },
}

impl Rejected {
    /// When to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::CircuitOpen { retry_after } => Some(*retry_after),
            Self::Saturated
            | Self::TooCostly { .. }
            | Self::RetryBudgetSpent
            | Self::QueueFull
            | Self::WaitedTooLong
            | Self::LowPriority
            | Self::DeadlineExceeded
            | Self::Throttled
            | Self::UnderPressure { .. } => None,
        }
    }

    /// How the caller should react: only [`Rejected::TooCostly`] can never pass.
    pub fn class(&self) -> Class {
        match self {
            Self::TooCostly { .. } => Class::Permanent,
            Self::Saturated
            | Self::RateLimited { .. }
            | Self::RetryBudgetSpent
            | Self::QueueFull
            | Self::WaitedTooLong
            | Self::LowPriority
            | Self::DeadlineExceeded
            | Self::CircuitOpen { .. }
            | Self::Throttled
            | Self::UnderPressure { .. } => Class::Transient,
        }
    }

    /// The refusal as a metric label or log field.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooCostly { .. } => "too_costly",
            Self::RetryBudgetSpent => "retry_budget_spent",
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
            Self::LowPriority => "low_priority",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Throttled => "throttled",
            Self::UnderPressure { .. } => "under_pressure",
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
