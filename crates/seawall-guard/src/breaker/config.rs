//! When a breaker opens, for how long, and when it closes again.

use std::time::Duration;

use seawall_core::ConfigError;

/// Which calls are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerWindow {
    /// The last so many, 1 to 10,000, in ten parts: the oldest tenth leaves at once.
    Count(u32),
    /// Those of the last so long, 10 ms to 1 hour, in ten parts.
    Time(Duration),
}

/// How a breaker behaves. Ratios are percentages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Which calls are looked at. Default the last 10 s.
    pub window: BreakerWindow,
    /// Fewer calls than this in the window decide nothing, 1 to 1,000,000. Default 20.
    pub min_calls: u32,
    /// Opens when so many of a hundred calls failed, 1 to 100. Default 50.
    pub failure_percent: u32,
    /// Opens when so many of a hundred calls were slow, 1 to 100. Default 100.
    pub slow_percent: u32,
    /// A call that takes longer is slow. Default 1 minute.
    pub slow_after: Duration,
    /// Opens after so many failures in a row, whatever the window says; 0 is never. Default 0.
    pub consecutive_failures: u32,
    /// Opens at once when a call says that the other side is broken. Default yes.
    pub trip_on_system: bool,
    /// How long it stays open the first time, 1 ms to 1 hour; twice as long each further time. Default 5 s.
    pub open_for: Duration,
    /// It never stays open for longer, jitter aside. At least `open_for`, at most 1 day. Default 60 s.
    pub max_open_for: Duration,
    /// It stays open for up to so many per cent longer, by chance, so that many callers do not come back together. 0 to
    /// 100. Default 10.
    pub jitter_percent: u32,
    /// Calls let through at once while half open, and successes needed to close, 1 to 1,000. Default 3.
    pub probes: u32,
    /// Whether an answer that says when to come back opens it until then. Default yes.
    pub honour_retry_after: bool,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: BreakerWindow::Time(Duration::from_secs(10)),
            min_calls: 20,
            failure_percent: 50,
            slow_percent: 100,
            slow_after: Duration::from_secs(60),
            consecutive_failures: 0,
            trip_on_system: true,
            open_for: Duration::from_secs(5),
            max_open_for: Duration::from_secs(60),
            jitter_percent: 10,
            probes: 3,
            honour_retry_after: true,
        }
    }
}

impl BreakerConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let range = |field: &'static str, value: u32, least: u32, most: u32| {
            let fits = (least..=most).contains(&value);
            let error = || ConfigError::new(field, value, format!("{least} to {most}"));
            if fits { Ok(()) } else { Err(error()) }
        };
        const MS: Duration = Duration::from_millis(1);
        const HOUR: Duration = Duration::from_secs(3_600);
        match self.window {
            BreakerWindow::Count(calls) => range("breaker.window.count", calls, 1, 10_000)?,
            BreakerWindow::Time(length) if !(10 * MS..=HOUR).contains(&length) => {
                let value = format!("{length:?}");
                return Err(ConfigError::new("breaker.window.time", value, "10 ms to 1 hour"));
            }
            BreakerWindow::Time(_) => {}
        }
        range("breaker.min_calls", self.min_calls, 1, 1_000_000)?;
        range("breaker.failure_percent", self.failure_percent, 1, 100)?;
        range("breaker.slow_percent", self.slow_percent, 1, 100)?;
        range("breaker.jitter_percent", self.jitter_percent, 0, 100)?;
        range("breaker.probes", self.probes, 1, 1_000)?;
        if !(MS..=HOUR).contains(&self.open_for) {
            let value = format!("{:?}", self.open_for);
            return Err(ConfigError::new("breaker.open_for", value, "1 ms to 1 hour"));
        }
        if self.max_open_for < self.open_for || self.max_open_for > HOUR * 24 {
            let allowed = format!("{:?} (breaker.open_for) to 1 day", self.open_for);
            let value = format!("{:?}", self.max_open_for);
            return Err(ConfigError::new("breaker.max_open_for", value, allowed));
        }
        Ok(())
    }
}
