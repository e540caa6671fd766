//! Overload protection, pure and synchronous: who may come in, how often, and when to try again.
//!
//! | part | question it answers |
//! |---|---|
//! | [`Gate`] | is there room for one more at this moment? (hard cap, and bulkhead) |
//! | [`Admission`] | who starts now, who waits, who is turned away? |
//! | [`Limiter`] | how many at once does the service stand? |
//! | [`RateLimit`], [`KeyedRateLimit`], [`KeyedQuotas`], [`SlidingWindow`], [`Pacer`] | has this caller had its share for now? |
//! | [`Breaker`], [`HostBreakers`] | is the other side worth calling? |
//! | [`Backoff`] | how long until the next attempt? |
//! | [`RetryPolicy`], [`Hedge`] | again, when, and is that safe? |
//! | [`Throttle`] | should we hold back by ourselves? |
//! | [`Fallback`] | may something else be answered instead? |
//! | [`Pressure`] | is the machine at its end? |
//! | [`RetryBudget`] | may there be another attempt at all? |
//!
//! Nothing here waits, reads a clock, draws a random number or does I/O: time and randomness are arguments, so every
//! decision can be replayed. Waiting belongs to the callers. A refusal is a [`Rejected`], a fact without a status
//! code: how it reads in HTTP is decided in one place, in `seawall-http`.

#![forbid(unsafe_code)]

mod admit;
mod backoff;
mod breaker;
mod budget;
mod deadline;
mod fallback;
mod gate;
mod limit;
mod parts;
mod pressure;
mod rate;
mod rejected;
mod retry;
mod sync;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod throttle;

pub use admit::{
    Admission, AdmissionConfig, AdmissionFacts, Decision, Meta, Next, Priority, Ticket, WorkPermit,
};
pub use backoff::{Backoff, BackoffConfig};
pub use breaker::{
    Attempt, Breaker, BreakerCause, BreakerConfig, BreakerEvent, BreakerState, BreakerWindow, HostBreakers,
};
pub use budget::{RetryBudget, RetryBudgetConfig};
pub use deadline::{attempt_timeout, deadline_from_wire, deadline_to_wire};
pub use fallback::{Fallback, FallbackConfig, FallbackDecision};
pub use gate::{Gate, Permit};
pub use limit::{Algorithm, ConcurrencyLimit, LimitConfig, Limiter, Sample, Window};
pub use pressure::{Pressure, PressureConfig, Readings};
pub use rate::{
    Enforcement, KeyedQuotas, KeyedRateLimit, KeyedRateLimitConfig, Pacer, PacerConfig, RateLeft, RateLimit,
    RateLimitConfig, RateStore, SlidingMode, SlidingWindow, SlidingWindowConfig,
};
pub use rejected::Rejected;
pub use retry::{
    ConcurrentRetries, ConcurrentRetriesConfig, Failure, GiveUp, Hedge, HedgeConfig, Jitter, Repeatable,
    RetryAfter, RetryConfig, RetryDecision, RetryPermit, RetryPolicy, parse_retry_after,
};
pub use throttle::{Throttle, ThrottleConfig};
