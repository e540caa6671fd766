//! Concurrency limits: how many requests may be worked on at once, found out from how long they take.
//!
//! A [`Limiter`] gathers samples into [`Window`]s and hands each finished window to a [`ConcurrencyLimit`], the law
//! that moves the number. Around whatever law there is lies the Little cap, always: see [`little`].
//! A sample costs a few additions and allocates nothing. A limiter belongs to one owner; sharing is the business of
//! [`Admission`](crate::Admission), which has one behind its lock.
//!
//! | law | moves by | good for |
//! |---|---|---|
//! | [`Algorithm::Bdp`] | rate x base latency, re-measured at a probe | a service of unknown size (default) |
//! | [`Algorithm::Fixed`] | nothing | a known number of slots: a pool, a disk |
//! | [`Algorithm::Aimd`] | refusals from behind | a dependency that says when it is full |
//! | [`Algorithm::Gradient2`] | long against short latency | comparison; drifts, has a floor of 20 |
//! | [`Algorithm::Vegas`] | estimated queue | comparison; slow with large limits |

mod aimd;
mod bdp;
mod gradient2;
mod little;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod vegas;
mod window;

use std::fmt;
use std::time::{Duration, Instant};

use seawall_core::ConfigError;

pub use window::{Sample, Window};

use aimd::Aimd;
use bdp::Bdp;
use gradient2::Gradient2;
use little::LittleCap;
use vegas::Vegas;
use window::Gathering;

/// A law that moves a limit. It is told about whole windows and answers with a number.
pub trait ConcurrencyLimit: fmt::Debug + Send {
    /// How many may be in flight now. At least 1.
    fn limit(&self) -> u32;
    /// Takes in what happened during one window.
    fn update(&mut self, window: &Window);
    /// How often it has lowered itself to measure that.
    fn probes(&self) -> u64 {
        0
    }
    /// The latency without queueing that the law believes in, if it has one.
    fn base(&self) -> Option<Duration> {
        None
    }
}

/// Which law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Bandwidth-delay product: completions per second x latency without queueing.
    #[default]
    Bdp,
    /// `initial`, for ever. For a number of slots that is known.
    Fixed,
    /// Additive increase, multiplicative decrease (Chiu and Jain, 1989).
    Aimd,
    /// The gradient of long over short latency (Netflix, concurrency-limits).
    Gradient2,
    /// TCP Vegas for requests (Brakmo and Peterson, 1994; Netflix, concurrency-limits).
    Vegas,
}

/// How the limit is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitConfig {
    /// The law. Default [`Algorithm::Bdp`].
    pub algorithm: Algorithm,
    /// Where it begins, `min` to `max`; with [`Algorithm::Fixed`] where it stays. Default 20.
    pub initial: u32,
    /// Never below. 1 to `max`. Default 1.
    pub min: u32,
    /// Never above. At most 1,000,000. Default 4,096.
    pub max: u32,
    /// Length of a window, 1 ms to 10 s; longer where samples are rare. Default 100 ms.
    pub window: Duration,
    /// Samples that make a window, 1 to 10,000, unless it has lasted ten times its length. Default 16.
    pub min_samples: u32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Bdp,
            initial: 20,
            min: 1,
            max: 4_096,
            window: Duration::from_millis(100),
            min_samples: 16,
        }
    }
}

impl LimitConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { algorithm: _, initial, min, max, window, min_samples } = *self;
        if !(1..=1_000_000).contains(&max) {
            return Err(ConfigError::new("limit.max", max, "1 to 1000000"));
        }
        if !(1..=max).contains(&min) {
            return Err(ConfigError::new("limit.min", min, format!("1 to {max} (limit.max)")));
        }
        if !(min..=max).contains(&initial) {
            let allowed = format!("{min} (limit.min) to {max} (limit.max)");
            return Err(ConfigError::new("limit.initial", initial, allowed));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&window) {
            return Err(ConfigError::new("limit.window", format!("{window:?}"), "1 ms to 10 s"));
        }
        if !(1..=10_000).contains(&min_samples) {
            return Err(ConfigError::new("limit.min_samples", min_samples, "1 to 10000"));
        }
        Ok(())
    }

    fn law(&self) -> Box<dyn ConcurrencyLimit> {
        match self.algorithm {
            Algorithm::Bdp => Box::new(Bdp::new(self)),
            Algorithm::Fixed => Box::new(Fixed(self.initial)),
            Algorithm::Aimd => Box::new(Aimd::new(self)),
            Algorithm::Gradient2 => Box::new(Gradient2::new(self)),
            Algorithm::Vegas => Box::new(Vegas::new(self)),
        }
    }
}

/// A limit that stays where it is.
#[derive(Debug)]
struct Fixed(u32);

impl ConcurrencyLimit for Fixed {
    fn limit(&self) -> u32 {
        self.0
    }
    fn update(&mut self, _: &Window) {}
}

/// Samples in, a number out: the windows, a law, and the Little cap around it.
#[derive(Debug)]
pub struct Limiter {
    law: Box<dyn ConcurrencyLimit>,
    little: LittleCap,
    /// What both allow, found once per window: it is asked for at each start and each end.
    limit: u32,
    gathering: Gathering,
    last: Option<Window>,
}

impl Limiter {
    /// A limiter with the law that `config` names.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &LimitConfig, start: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::of(config.law(), config, start))
    }

    /// A limiter with a law of your own; `config` says how windows are made.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn with_law(
        law: Box<dyn ConcurrencyLimit>,
        config: &LimitConfig,
        start: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::of(law, config, start))
    }

    fn of(law: Box<dyn ConcurrencyLimit>, config: &LimitConfig, start: Instant) -> Self {
        let gathering = Gathering::new(config.window, config.min_samples, start);
        let limit = law.limit().max(1);
        Self { law, little: LittleCap::default(), limit, gathering, last: None }
    }

    /// How many may be in flight now. At least 1.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// What the Little cap allows; `u32::MAX` while it does not bind.
    pub fn little_cap(&self) -> u32 {
        self.little.cap()
    }

    /// The latency without queueing that the law believes in, else the mean of the last window.
    pub fn base(&self) -> Option<Duration> {
        self.law.base().or_else(|| Some(self.last.as_ref()?.mean))
    }

    /// How often the law has lowered the limit to measure latency without queueing.
    pub fn probes(&self) -> u64 {
        self.law.probes()
    }

    /// The last whole window.
    pub fn last_window(&self) -> Option<&Window> {
        self.last.as_ref()
    }

    /// Takes in one finished piece of work. Says whether that closed a window, so that the limit may have moved.
    ///
    /// Give it what says something about the service: not what was cancelled, and not what was refused before any
    /// work was done.
    pub fn sample(&mut self, sample: &Sample) -> bool {
        let Some(window) = self.gathering.add(sample, self.limit) else { return false };
        self.law.update(&window);
        self.little.update(&window);
        self.limit = self.law.limit().min(self.little.cap()).max(1);
        self.last = Some(window);
        true
    }

    /// Notes that what is behind has refused work. How long that took says nothing.
    pub fn note_drop(&mut self) {
        self.gathering.note_drop();
    }

    /// Notes that something had to wait for room in this window.
    pub fn note_waiting(&mut self) {
        self.gathering.note_waiting();
    }
}
