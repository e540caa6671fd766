//! At most so many per window of time, counted: in parts of the window, or one by one.
//!
//! | | memory | in any true window |
//! |---|---|---|
//! | [`SlidingMode::Strict`] | one number per part | never above the limit; what was used comes back up to a part late |
//! | [`SlidingMode::Interpolated`] | one number per part | up to **twice** the limit at worst, right on average |
//! | [`SlidingMode::Log`] | one entry per admission, at most `limit` of them | never above the limit, back at once |
//!
//! Interpolation takes the oldest part for the share of it that still lies in the window, as if its calls had come
//! evenly. When they came at its end, twice the limit passes, however many parts there are. GCRA
//! ([`RateLimit`](crate::RateLimit)) needs one number for all of this; these are for quotas that are written down as
//! "so many per hour".

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use seawall_core::ConfigError;

use super::direct::nanos_between;
use crate::Rejected;
use crate::sync::Mutex;

/// How what has passed is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlidingMode {
    /// The oldest part counts as a whole.
    #[default]
    Strict,
    /// The oldest part counts for its share.
    Interpolated,
    /// Each admission is remembered.
    Log,
}

/// How much may pass in any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindowConfig {
    /// What may pass in one window, 1 to 1,000,000. Default 100.
    pub limit: u32,
    /// How long a window is, 1 ms to 100 days. Default 1 minute.
    pub window: Duration,
    /// Into how many parts it is divided, 1 to 1,000; of no meaning to the log. Default 10.
    pub parts: u32,
    /// How it is counted. Default strict.
    pub mode: SlidingMode,
}

impl Default for SlidingWindowConfig {
    fn default() -> Self {
        Self { limit: 100, window: Duration::from_secs(60), parts: 10, mode: SlidingMode::Strict }
    }
}

impl SlidingWindowConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let Self { limit, window, parts, mode: _ } = *self;
        if !(1..=1_000_000).contains(&limit) {
            return Err(ConfigError::new("sliding_window.limit", limit, "1 to 1000000"));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(100 * 86_400)).contains(&window) {
            return Err(ConfigError::new("sliding_window.window", format!("{window:?}"), "1 ms to 100 days"));
        }
        if !(1..=1_000).contains(&parts) {
            return Err(ConfigError::new("sliding_window.parts", parts, "1 to 1000"));
        }
        Ok(())
    }
}

/// A limit per window of time, shared by all callers.
#[derive(Debug)]
pub struct SlidingWindow {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: SlidingWindowConfig,
    /// Number of the part (or, in the log, the time in nanoseconds) and what passed in it; oldest first.
    passed: VecDeque<(u64, u32)>,
    /// What `passed` adds up to.
    total: u64,
}

impl SlidingWindow {
    /// Nothing has passed yet. Times before `start` count as `start`.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &SlidingWindowConfig, start: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let state = State { config: *config, passed: VecDeque::new(), total: 0 };
        Ok(Self { start, state: Mutex::new(state) })
    }

    /// Takes `cost` units, all or none.
    ///
    /// # Errors
    /// [`Rejected::RateLimited`] with a wait after which some of it is free again; [`Rejected::TooCostly`] if the
    /// cost is above the limit.
    pub fn try_take(&self, cost: u32, now: Instant) -> Result<(), Rejected> {
        let now = nanos_between(self.start, now);
        self.state.lock().take(cost, now)
    }

    /// Changes the limit while it works. What has passed counts on.
    ///
    /// # Errors
    /// If `limit` is outside its range.
    pub fn set_limit(&self, limit: u32) -> Result<(), ConfigError> {
        let mut state = self.state.lock();
        let config = SlidingWindowConfig { limit, ..state.config };
        config.check()?;
        state.config = config;
        Ok(())
    }
}

impl State {
    fn take(&mut self, cost: u32, now: u64) -> Result<(), Rejected> {
        let SlidingWindowConfig { limit, .. } = self.config;
        if cost > limit {
            return Err(Rejected::TooCostly { cost, burst: limit });
        }
        // Threads may bring their times out of order: nobody is earlier than the last who passed.
        let slot = self.slot(now).max(self.passed.back().map_or(0, |(slot, _)| *slot));
        self.forget(slot);
        if self.used(now) + u64::from(cost) > u64::from(limit) {
            return Err(Rejected::RateLimited { retry_after: self.wait(now) });
        }
        match self.passed.back_mut() {
            Some((last, sum)) if *last == slot && self.config.mode != SlidingMode::Log => *sum += cost,
            _ if cost > 0 => self.passed.push_back((slot, cost)),
            _ => {}
        }
        self.total += u64::from(cost);
        Ok(())
    }

    fn part(&self) -> u64 {
        // At most 100 days: fits.
        (self.config.window.as_nanos() as u64).div_ceil(u64::from(self.config.parts))
    }

    fn slot(&self, now: u64) -> u64 {
        if self.config.mode == SlidingMode::Log { now } else { now / self.part() }
    }

    /// How far back a slot still counts: the log in time, the others in parts, the one that is half out included.
    fn reach(&self) -> u64 {
        match self.config.mode {
            SlidingMode::Log => self.config.window.as_nanos() as u64,
            SlidingMode::Strict | SlidingMode::Interpolated => u64::from(self.config.parts) + 1,
        }
    }

    fn forget(&mut self, slot: u64) {
        let reach = self.reach();
        while let Some(&(oldest, sum)) = self.passed.front()
            && oldest + reach <= slot
        {
            self.total -= u64::from(sum);
            self.passed.pop_front();
        }
    }

    fn used(&self, now: u64) -> u64 {
        let Some(&(oldest, sum)) = self.passed.front() else { return 0 };
        let half_out = oldest + self.reach() == self.slot(now) + 1;
        if self.config.mode != SlidingMode::Interpolated || !half_out {
            return self.total;
        }
        let into = (now % self.part()) as f64 / self.part() as f64;
        let gone = (f64::from(sum) * into) as u64;
        self.total - gone
    }

    /// Until the oldest counts no more.
    fn wait(&self, now: u64) -> Duration {
        let oldest = self.passed.front().map_or(0, |(slot, _)| *slot);
        let free = match self.config.mode {
            SlidingMode::Log => oldest + self.reach(),
            SlidingMode::Strict => (oldest + self.reach()) * self.part(),
            SlidingMode::Interpolated => (oldest + self.reach() - 1) * self.part() + 1,
        };
        Duration::from_nanos(free.saturating_sub(now).max(1))
    }
}
