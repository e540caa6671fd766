//! Pacing: calls leave one by one at an even rate, and who comes early is told how long to wait.
//!
//! A leaky bucket used as a queue that nobody stands in: each caller gets the next free moment and waits for it by
//! itself. It spares what is behind the bursts that a token bucket lets through. With a warm-up the rate begins at a
//! fraction and rises evenly, after a start or a long pause: for what is behind has cold caches then.

use std::time::{Duration, Instant};

use seawall_core::ConfigError;

use super::direct::nanos_between;
use crate::Rejected;
use crate::sync::Mutex;

/// How calls are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacerConfig {
    /// From one unit of cost to the next, once warm. 1 ns to 1 day. Default 10 ms.
    pub interval: Duration,
    /// Who would have to wait longer is refused. At most 1 hour. Default 500 ms.
    pub max_wait: Duration,
    /// How long it takes to get warm; zero is no warm-up. At most 1 hour. Default zero.
    pub warm_up: Duration,
    /// How many times slower it is when cold, 1 to 100. Default 3.
    pub cold_factor: u32,
}

impl Default for PacerConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(10),
            max_wait: Duration::from_millis(500),
            warm_up: Duration::ZERO,
            cold_factor: 3,
        }
    }
}

/// Gives each call its moment.
#[derive(Debug)]
pub struct Pacer {
    config: PacerConfig,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next unit may leave, in nanoseconds since the start.
    next: u64,
    /// When it began to get warm.
    warming_since: Option<u64>,
}

impl Pacer {
    /// A pacer that lets the first call through at once.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &PacerConfig, start: Instant) -> Result<Self, ConfigError> {
        const HOUR: Duration = Duration::from_secs(3_600);
        let PacerConfig { interval, max_wait, warm_up, cold_factor } = *config;
        if interval.is_zero() || interval > HOUR * 24 {
            return Err(ConfigError::new("pacer.interval", format!("{interval:?}"), "1 ns to 1 day"));
        }
        if max_wait > HOUR {
            return Err(ConfigError::new("pacer.max_wait", format!("{max_wait:?}"), "at most 1 hour"));
        }
        if warm_up > HOUR {
            return Err(ConfigError::new("pacer.warm_up", format!("{warm_up:?}"), "at most 1 hour"));
        }
        if !(1..=100).contains(&cold_factor) {
            return Err(ConfigError::new("pacer.cold_factor", cold_factor, "1 to 100"));
        }
        Ok(Self { config: *config, start, state: Mutex::new(State::default()) })
    }

    /// Reserves the next moment for a call of `cost` units: how long to wait before it. A call of several units
    /// keeps those after it away for longer. A reservation that is not used is lost.
    ///
    /// # Errors
    /// [`Rejected::RateLimited`] if the wait were longer than `max_wait`, with when it would not be.
    pub fn reserve(&self, cost: u32, now: Instant) -> Result<Duration, Rejected> {
        let now = nanos_between(self.start, now);
        let max_wait = self.config.max_wait.as_nanos() as u64;
        let mut state = self.state.lock();
        let at = state.next.max(now);
        let wait = at - now;
        if wait > max_wait {
            return Err(Rejected::RateLimited { retry_after: Duration::from_nanos(wait - max_wait) });
        }
        let interval = self.interval(&mut state, at);
        state.next = at.saturating_add(interval.saturating_mul(cost.into())).min(1 << 63);
        Ok(Duration::from_nanos(wait))
    }

    /// The spacing at a moment, slower while cold.
    fn interval(&self, state: &mut State, at: u64) -> u64 {
        let interval = self.config.interval.as_nanos() as u64;
        let warm_up = self.config.warm_up.as_nanos() as u64;
        if warm_up == 0 {
            return interval;
        }
        let paused = at.saturating_sub(state.next) > warm_up;
        let since = match state.warming_since {
            Some(since) if !paused => since,
            _ => *state.warming_since.insert(at),
        };
        let warmth = (at.saturating_sub(since) as f64 / warm_up as f64).min(1.0);
        let cold = f64::from(self.config.cold_factor);
        // The rate rises evenly, from 1 / cold of it to all of it.
        let share = 1.0 / cold + (1.0 - 1.0 / cold) * warmth;
        (interval as f64 / share).ceil() as u64
    }
}
