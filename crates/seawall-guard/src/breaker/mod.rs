//! Circuit breaker: after too many failures the other side is left alone for a while, then tried with a few calls.
//!
//! ```text
//! Closed --too many failures, or slow, or the other side is broken--> Open --its time is up--> HalfOpen
//!    ^                                                                 ^                           |
//!    '---------------- as many successes as there are probes ----------+------- a failure --------'
//! ```
//!
//! [`Breaker::try_call`] gives an [`Attempt`], which reports how the call ended, once. An attempt that is dropped
//! counts as nothing and frees its place: probes that nobody finishes cannot hold the breaker half open. What counts
//! is decided by the [`Outcome`]: a permanent failure is the caller's mistake and counts as a success; a transient one
//! and an overload count as failures; a system failure opens the breaker at once. Our own refusals are never reported.
//! Attempts from before a change of state no longer count: ten calls that fail late trip it once.
//!
//! A change of state is returned as a [`BreakerEvent`], not logged.

mod config;
mod hosts;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::{Class, ConfigError, Outcome};

pub use config::{BreakerConfig, BreakerWindow};
pub use hosts::HostBreakers;

use window::Ring;

use crate::Rejected;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They pass.
    Closed,
    /// They are refused.
    Open,
    /// A few pass, to see.
    HalfOpen,
    /// They pass whatever happens, until somebody says otherwise.
    ForcedClosed,
    /// They are refused until somebody says otherwise.
    ForcedOpen,
}

impl BreakerState {
    /// The state as a metric label or log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedClosed => "forced_closed",
            Self::ForcedOpen => "forced_open",
        }
    }
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerCause {
    /// Too many of the calls in the window failed.
    FailureRatio,
    /// Too many of them were slow.
    SlowRatio,
    /// Too many failed in a row.
    ConsecutiveFailures,
    /// The other side is broken.
    System,
    /// The other side said when to come back.
    RetryAfter,
    /// It had been open for long enough.
    Elapsed,
    /// A probe failed.
    ProbeFailed,
    /// The probes succeeded.
    ProbesSucceeded,
    /// Somebody said so.
    Forced,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerEvent {
    /// Before.
    pub from: BreakerState,
    /// After.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
}

/// A breaker for one other side. Cloning gives another handle to it.
#[derive(Clone)]
pub struct Breaker(Arc<Shared>);

/// A closed breaker is asked without a lock: by far the most questions come then. A question that meets a change of state
/// is answered by the state before it, and its call belongs to the epoch before it.
struct Shared {
    /// The epoch, times two; one more while calls pass whatever else there is. Written under the lock.
    passing: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    config: BreakerConfig,
    state: State,
    ring: Ring,
    consecutive: u32,
    /// How often it has opened since it was last closed for good.
    openings: u32,
    /// Counts changes of state, so that attempts from before one do not count.
    epoch: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { out: u32, succeeded: u32 },
    Forced { open: bool },
}

/// Leave for one call. Report its end with [`finish`](Self::finish); dropped, it counts as nothing.
#[must_use = "an attempt that is dropped counts as nothing"]
pub struct Attempt {
    breaker: Option<Arc<Shared>>,
    epoch: u64,
    started: Instant,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &BreakerConfig, start: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let inner = Inner {
            config: config.clone(),
            state: State::Closed,
            ring: Ring::new(config.window, start),
            consecutive: 0,
            openings: 0,
            epoch: 0,
        };
        Ok(Self(Arc::new(Shared { passing: AtomicU64::new(inner.passing()), inner: Mutex::new(inner) })))
    }

    /// Asks for leave to call. The event is there if this very question made it half open.
    ///
    /// # Errors
    /// [`Rejected::CircuitOpen`] with when to ask again; one second, if nobody can know.
    pub fn try_call(&self, now: Instant) -> Result<(Attempt, Option<BreakerEvent>), Rejected> {
        let passing = self.0.passing.load(Ordering::Acquire);
        let (epoch, event) = if passing % 2 == 1 {
            (passing / 2, None)
        } else {
            self.0.change(|inner| {
                let event = inner.let_time_pass(now);
                inner.admit(now).map(|()| (inner.epoch, event))
            })?
        };
        Ok((Attempt { breaker: Some(Arc::clone(&self.0)), epoch, started: now }, event))
    }

    /// What it does at this moment.
    pub fn state(&self) -> BreakerState {
        self.0.inner.lock().state.name()
    }

    /// Opens or closes it until [`release`](Self::release) is called.
    pub fn force(&self, open: bool) -> Option<BreakerEvent> {
        self.0.change(|inner| inner.change(State::Forced { open }, BreakerCause::Forced))
    }

    /// Ends a forced state: closed, with nothing remembered.
    pub fn release(&self) -> Option<BreakerEvent> {
        self.0.change(|inner| {
            inner.openings = 0;
            inner.change(State::Closed, BreakerCause::Forced)
        })
    }
}

impl Shared {
    /// Does something that may change the state.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let before = inner.epoch;
        let result = change(&mut inner);
        if inner.epoch != before {
            self.passing.store(inner.passing(), Ordering::Release);
        }
        result
    }
}

impl Attempt {
    /// Reports how the call ended. `retry_after` is what the answer said, if it said so; `random` is evenly drawn
    /// from all of `u64` and spreads the time that the breaker stays open.
    pub fn finish(
        mut self,
        outcome: Outcome,
        retry_after: Option<Duration>,
        now: Instant,
        random: u64,
    ) -> Option<BreakerEvent> {
        let breaker = self.breaker.take()?;
        breaker.change(|inner| {
            if inner.epoch != self.epoch {
                return None;
            }
            let slow = now.saturating_duration_since(self.started) > inner.config.slow_after;
            inner.record(outcome, slow, retry_after, now, random)
        })
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(breaker) = self.breaker.take() else { return };
        let mut inner = breaker.inner.lock();
        if inner.epoch == self.epoch
            && let State::HalfOpen { out, .. } = &mut inner.state
        {
            *out = out.saturating_sub(1);
        }
    }
}

impl State {
    fn name(self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::Forced { open: true } => BreakerState::ForcedOpen,
            Self::Forced { open: false } => BreakerState::ForcedClosed,
        }
    }
}

impl Inner {
    /// See [`Shared`].
    fn passing(&self) -> u64 {
        let passes = matches!(self.state, State::Closed | State::Forced { open: false });
        self.epoch * 2 + u64::from(passes)
    }

    fn change(&mut self, to: State, cause: BreakerCause) -> Option<BreakerEvent> {
        let event = BreakerEvent { from: self.state.name(), to: to.name(), cause };
        self.state = to;
        self.epoch += 1;
        self.consecutive = 0;
        self.ring.clear();
        Some(event)
    }

    fn let_time_pass(&mut self, now: Instant) -> Option<BreakerEvent> {
        match self.state {
            State::Open { until } if now >= until => {
                self.change(State::HalfOpen { out: 0, succeeded: 0 }, BreakerCause::Elapsed)
            }
            _ => None,
        }
    }

    fn admit(&mut self, now: Instant) -> Result<(), Rejected> {
        /// What is told where the end is not known.
        const SOON: Duration = Duration::from_secs(1);
        let retry_after = match &mut self.state {
            State::Closed | State::Forced { open: false } => return Ok(()),
            State::HalfOpen { out, succeeded } if *out + *succeeded < self.config.probes => {
                *out += 1;
                return Ok(());
            }
            State::Open { until } => until.saturating_duration_since(now),
            State::HalfOpen { .. } | State::Forced { open: true } => SOON,
        };
        Err(Rejected::CircuitOpen { retry_after })
    }

    fn record(
        &mut self,
        outcome: Outcome,
        slow: bool,
        retry_after: Option<Duration>,
        now: Instant,
        random: u64,
    ) -> Option<BreakerEvent> {
        let failed = match outcome {
            Outcome::Success | Outcome::Failure(Class::Permanent) => false,
            Outcome::Failure(_) | Outcome::Overloaded => true,
            Outcome::Cancelled => return self.probe_is_over(),
        };
        let told = retry_after.filter(|_| failed && self.config.honour_retry_after);
        let broken = outcome == Outcome::Failure(Class::System) && self.config.trip_on_system;
        let cause = match self.state {
            State::Open { .. } | State::Forced { .. } => return None,
            State::HalfOpen { .. } if !failed && !slow => return self.probe_succeeded(),
            State::HalfOpen { .. } => Some(BreakerCause::ProbeFailed),
            State::Closed => {
                self.consecutive = if failed { self.consecutive.saturating_add(1) } else { 0 };
                self.ring.add(failed, slow, now);
                if broken { Some(BreakerCause::System) } else { self.verdict(told.is_some(), now) }
            }
        };
        cause.and_then(|cause| self.open(cause, told, now, random))
    }

    /// What the window and the row say; without `min_calls` only the row and the other side's own word count.
    fn verdict(&mut self, told: bool, now: Instant) -> Option<BreakerCause> {
        let total = self.ring.total(now);
        let above =
            |part: u32, percent: u32| u64::from(part) * 100 >= u64::from(total.calls) * u64::from(percent);
        let enough = total.calls >= self.config.min_calls;
        let in_a_row = self.config.consecutive_failures;
        if told {
            Some(BreakerCause::RetryAfter)
        } else if in_a_row > 0 && self.consecutive >= in_a_row {
            Some(BreakerCause::ConsecutiveFailures)
        } else if enough && above(total.failed, self.config.failure_percent) {
            Some(BreakerCause::FailureRatio)
        } else if enough && above(total.slow, self.config.slow_percent) {
            Some(BreakerCause::SlowRatio)
        } else {
            None
        }
    }

    fn probe_is_over(&mut self) -> Option<BreakerEvent> {
        if let State::HalfOpen { out, .. } = &mut self.state {
            *out = out.saturating_sub(1);
        }
        None
    }

    fn probe_succeeded(&mut self) -> Option<BreakerEvent> {
        let State::HalfOpen { out, succeeded } = &mut self.state else { return None };
        *out = out.saturating_sub(1);
        *succeeded += 1;
        if *succeeded < self.config.probes {
            return None;
        }
        self.openings = 0;
        self.change(State::Closed, BreakerCause::ProbesSucceeded)
    }

    fn open(
        &mut self,
        cause: BreakerCause,
        told: Option<Duration>,
        now: Instant,
        random: u64,
    ) -> Option<BreakerEvent> {
        let BreakerConfig { open_for, max_open_for, jitter_percent, .. } = self.config;
        let factor = 1u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let grown = open_for.saturating_mul(factor).min(max_open_for);
        let share = random as f64 / u64::MAX as f64 * f64::from(jitter_percent) / 100.0;
        // Whoever asks us to stay away for longer than a day does not mean a breaker.
        let wanted = told.unwrap_or(Duration::ZERO).min(Duration::from_secs(86_400));
        let until = now + grown.max(wanted).mul_f64(1.0 + share);
        self.openings = self.openings.saturating_add(1);
        self.change(State::Open { until }, cause)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("started", &self.started).finish_non_exhaustive()
    }
}
