//! Outlier ejection: an address that fails while its siblings do not is left alone for a while.
//!
//! Two signs, both Envoy's: failures in a row, looked at with every answer; and once per interval a share of successes
//! far below that of the others (mean minus so many standard deviations). Each time it happens again the address stays
//! away longer; every interval without trouble forgives one time. Never more than a share of all is away, and never
//! all: when everything fails, the addresses are not to blame.

use std::time::{Duration, Instant};

use seawall_core::ConfigError;

/// When addresses are ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Ejected after so many failures in a row; 0 is never. Default 5.
    pub consecutive_failures: u32,
    /// How often shares of successes are compared, 100 ms to 1 hour. Default 10 s.
    pub interval: Duration,
    /// How long the first ejection lasts; the n-th in a row lasts n times as long. 1 ms to 1 hour. Default 30 s.
    pub base_time: Duration,
    /// It never lasts longer. At least `base_time`, at most 1 day. Default 5 minutes.
    pub max_time: Duration,
    /// So many of a hundred addresses may be away at once, 0 to 100. One always may, and one always stays. Default 10.
    pub max_percent: u32,
    /// Shares of successes are compared among at least so many addresses, from 3. Default 5.
    pub min_hosts: u32,
    /// An address with fewer answers in an interval is not compared, from 1. Default 100.
    pub min_requests: u32,
    /// How far below the mean a share has to be, in thousandths of a standard deviation, 1 to 10,000; 0 switches the
    /// comparison off. Default 1,900.
    pub deviations_thousandths: u32,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            interval: Duration::from_secs(10),
            base_time: Duration::from_secs(30),
            max_time: Duration::from_secs(300),
            max_percent: 10,
            min_hosts: 5,
            min_requests: 100,
            deviations_thousandths: 1_900,
        }
    }
}

impl EjectionConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const HOUR: Duration = Duration::from_secs(3_600);
        let length = |field: &'static str, value: Duration, least: Duration, most: Duration| {
            let allowed = format!("{least:?} to {most:?}");
            let fits = (least..=most).contains(&value);
            if fits { Ok(()) } else { Err(ConfigError::new(field, format!("{value:?}"), allowed)) }
        };
        length("client.ejection.interval", self.interval, Duration::from_millis(100), HOUR)?;
        length("client.ejection.base_time", self.base_time, Duration::from_millis(1), HOUR)?;
        length("client.ejection.max_time", self.max_time, self.base_time, 24 * HOUR)?;
        if self.max_percent > 100 {
            return Err(ConfigError::new("client.ejection.max_percent", self.max_percent, "0 to 100"));
        }
        if self.min_hosts < 3 {
            return Err(ConfigError::new("client.ejection.min_hosts", self.min_hosts, "from 3"));
        }
        if self.min_requests == 0 {
            return Err(ConfigError::new("client.ejection.min_requests", 0, "from 1"));
        }
        if self.deviations_thousandths > 10_000 {
            let value = self.deviations_thousandths;
            return Err(ConfigError::new("client.ejection.deviations_thousandths", value, "0 to 10000"));
        }
        Ok(())
    }

    /// How many of `hosts` may be away at once.
    fn allowed(&self, hosts: usize) -> usize {
        let share = hosts * self.max_percent as usize / 100;
        share.max(1).min(hosts.saturating_sub(1))
    }
}

/// Why an address was ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EjectionCause {
    Consecutive,
    SuccessRate,
}

impl EjectionCause {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::SuccessRate => "success_rate",
        }
    }
}

/// What is known of one address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    in_a_row: u32,
    good: u32,
    bad: u32,
    /// Ejections in a row, which no quiet interval has forgiven yet.
    times: u32,
    until: Option<Instant>,
    /// Ejected at some time since the last comparison: then the interval forgives nothing.
    troubled: bool,
}

impl Health {
    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn eject(&mut self, config: &EjectionConfig, now: Instant) {
        self.times = self.times.saturating_add(1);
        self.until = Some(now + config.base_time.saturating_mul(self.times).min(config.max_time));
        self.in_a_row = 0;
        self.troubled = true;
    }

    /// The share of successes, if there were answers enough to speak of one.
    fn share(&self, config: &EjectionConfig) -> Option<f64> {
        let all = self.good.saturating_add(self.bad);
        (all >= config.min_requests).then(|| f64::from(self.good) / f64::from(all))
    }
}

/// Takes in one answer of the address at `at`. Says whether that ejected it.
pub(crate) fn record(
    all: &mut [impl AsMut<Health> + AsRef<Health>],
    at: usize,
    good: bool,
    config: &EjectionConfig,
    now: Instant,
) -> Option<EjectionCause> {
    let health = all[at].as_mut();
    if good {
        health.good = health.good.saturating_add(1);
        health.in_a_row = 0;
        return None;
    }
    health.bad = health.bad.saturating_add(1);
    health.in_a_row = health.in_a_row.saturating_add(1);
    let enough = config.consecutive_failures > 0 && health.in_a_row >= config.consecutive_failures;
    (enough && try_eject(all, at, config, now)).then_some(EjectionCause::Consecutive)
}

/// The end of an interval: compares shares of successes, forgives, and begins anew. Gives those that it ejected.
pub(crate) fn compare(
    all: &mut [impl AsMut<Health> + AsRef<Health>],
    config: &EjectionConfig,
    now: Instant,
) -> Vec<usize> {
    let shares: Vec<_> = all.iter().map(|it| it.as_ref().share(config)).collect();
    let mut ejected = Vec::new();
    if let Some(limit) = threshold(&shares, config) {
        for (at, share) in shares.iter().enumerate() {
            if share.is_some_and(|share| share < limit) && try_eject(all, at, config, now) {
                ejected.push(at);
            }
        }
    }
    for it in all.iter_mut() {
        let health = it.as_mut();
        if !health.troubled && !health.is_ejected(now) {
            health.times = health.times.saturating_sub(1);
        }
        health.troubled = health.is_ejected(now);
        (health.good, health.bad) = (0, 0);
    }
    ejected
}

/// Mean minus so many standard deviations of the shares that there are.
fn threshold(shares: &[Option<f64>], config: &EjectionConfig) -> Option<f64> {
    let known: Vec<f64> = shares.iter().copied().flatten().collect();
    if config.deviations_thousandths == 0 || known.len() < config.min_hosts as usize {
        return None;
    }
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    let variance = known.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / count;
    Some(mean - variance.sqrt() * f64::from(config.deviations_thousandths) / 1_000.0)
}

fn try_eject(
    all: &mut [impl AsMut<Health> + AsRef<Health>],
    at: usize,
    config: &EjectionConfig,
    now: Instant,
) -> bool {
    if all[at].as_ref().is_ejected(now) {
        return false;
    }
    let away = all.iter().filter(|it| it.as_ref().is_ejected(now)).count();
    let room = away < config.allowed(all.len());
    if room {
        all[at].as_mut().eject(config, now);
    }
    room
}
