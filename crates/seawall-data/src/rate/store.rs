//! A shared limit as others see it: decisions at once, questions in the background.

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::ConfigError;
use seawall_core::metrics::{Counter, Registry};
use seawall_guard::{KeyedRateLimit, KeyedRateLimitConfig, RateLeft, RateStore, Rejected};

use super::config::{SharedRateLimitConfig, SharedRatesConfig};
use super::leases::{Leases, Terms, Verdict};
use super::link::{Asked, Link};
use super::script::{Answer, Question};
use crate::clock::{Clock as _, SystemClock};

/// After a refusal Redis is asked again when so much time's worth of units is free.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The connection that shared limits use together: one thread, one socket.
pub struct SharedRates {
    link: Arc<Link>,
    config: SharedRatesConfig,
    registry: Registry,
}

/// A limit per key that several processes share. See the module for what it promises. Cloning gives another handle.
///
/// Its keys are hashes that mean the same in all processes: hash with [`SharedKeys`](super::SharedKeys).
#[derive(Clone)]
pub struct SharedRateLimit(Arc<Limit>);

pub(super) struct Limit {
    leases: Leases,
    share: KeyedRateLimit<RandomState>,
    share_burst: u32,
    terms: Terms,
    /// Where its keys are in Redis.
    pub(super) prefix: String,
    start: Instant,
    link: Arc<Link>,
    metrics: Metrics,
}

struct Metrics {
    leased: Counter,
    trusted: Counter,
    local: Counter,
    refused: Counter,
    refused_locally: Counter,
    units: Counter,
}

impl Metrics {
    fn new(limit: &str, registry: &Registry) -> Self {
        let allowed = |source| {
            let labels = [("limit", limit), ("source", source)];
            let help = "Requests that a shared limit let through, by what decided.";
            registry.counter("seawall_shared_rate_allowed_total", help, &labels)
        };
        let denied = |source| {
            let labels = [("limit", limit), ("source", source)];
            let help = "Requests that a shared limit refused, by what decided.";
            registry.counter("seawall_shared_rate_denied_total", help, &labels)
        };
        let help = "Units leased from Redis.";
        let units = registry.counter("seawall_shared_rate_leased_total", help, &[("limit", limit)]);
        Self {
            leased: allowed("lease"),
            trusted: allowed("trust"),
            local: allowed("local"),
            refused: denied("shared"),
            refused_locally: denied("local"),
            units,
        }
    }
}

impl SharedRates {
    /// Starts the thread that talks to Redis. Does not wait for it: until Redis answers, the local shares decide.
    ///
    /// # Errors
    /// If a field is outside its range, or the thread cannot be started.
    pub fn start(config: &SharedRatesConfig, registry: &Registry) -> Result<Self, ConfigError> {
        let client = config.check()?;
        let link = Link::start(client, config.timeout, registry).map_err(|error| {
            ConfigError::new("shared_rates", format_args!("without its thread ({error})"), "startable")
        })?;
        Ok(Self { link: Arc::new(link), config: config.clone(), registry: registry.clone() })
    }

    /// A limit that is shared under its name. Two of one name in one process are two sharers: make one and clone it.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn limit(&self, config: &SharedRateLimitConfig) -> Result<SharedRateLimit, ConfigError> {
        let (lease, share) = config.check(self.config.nodes)?;
        let SharedRateLimitConfig { ref name, each, lease: _, max_keys } = *config;
        let start = SystemClock.now();
        // Checks the whole limit by the rules of the limit of one process; the share alone could be within them.
        KeyedRateLimit::new(&KeyedRateLimitConfig { each, max_keys: 8 }, RandomState::new(), start)?;
        let share = KeyedRateLimitConfig { each: share, max_keys };
        let interval = u64::try_from(each.interval.as_nanos()).expect("at most a day, as was checked");
        let step = ASK_AGAIN.as_nanos() as u64 / interval;
        let terms = Terms {
            interval,
            burst: each.burst,
            lease,
            step: u32::try_from(step).unwrap_or(u32::MAX).clamp(1, lease),
            timeout: self.config.timeout.as_nanos() as u64,
        };
        Ok(SharedRateLimit(Arc::new(Limit {
            share_burst: share.each.burst,
            share: KeyedRateLimit::new(&share, RandomState::new(), start)?,
            leases: Leases::new(terms, max_keys),
            terms,
            prefix: format!("{}:{name}:", self.config.prefix),
            start,
            link: Arc::clone(&self.link),
            metrics: Metrics::new(name, &self.registry),
        })))
    }

    /// Whether Redis answers at this moment.
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Ends the thread and waits for it, for as long as one answer or one attempt to connect takes (a second at most).
    /// Limits that are still in use go on with their local shares. Without it the thread ends by itself when this and
    /// all limits are gone.
    pub fn close(self) {
        self.link.close();
    }
}

impl RateStore for SharedRateLimit {
    fn take(&self, key: u64, cost: u32, now: Instant) -> Result<RateLeft, Rejected> {
        self.0.take(key, cost, now)
    }
}

impl Limit {
    fn take(self: &Arc<Self>, key: u64, cost: u32, now: Instant) -> Result<RateLeft, Rejected> {
        let Terms { burst, step, .. } = self.terms;
        if cost > burst {
            return Err(Rejected::TooCostly { cost, burst });
        }
        let taken = self.leases.take(key, cost, self.nanos(now), self.link.is_up());
        let asked = taken.question.is_none_or(|question| self.ask(question));
        match taken.verdict {
            Verdict::Leased(left) => {
                self.metrics.leased.inc();
                Ok(left)
            }
            Verdict::Trusted(left) => {
                self.metrics.trusted.inc();
                Ok(left)
            }
            Verdict::Refused(nanos) => {
                self.metrics.refused.inc();
                Err(Rejected::RateLimited { retry_after: Duration::from_nanos(nanos) })
            }
            // The answer comes within the timeout, or the local share decides from there.
            Verdict::Unsure if asked => {
                self.metrics.refused.inc();
                let soon = Duration::from_nanos(self.terms.interval).saturating_mul(step);
                Err(Rejected::RateLimited { retry_after: soon.max(Duration::from_nanos(self.terms.timeout)) })
            }
            Verdict::Unsure | Verdict::Unknown => self.take_locally(key, cost, now),
        }
    }

    /// From this process's share. What costs more than the share can hold takes all of it: it must not fail because
    /// Redis is gone.
    fn take_locally(&self, key: u64, cost: u32, now: Instant) -> Result<RateLeft, Rejected> {
        match self.share.take_and_tell(&key, cost.min(self.share_burst), now) {
            Ok(left) => {
                self.metrics.local.inc();
                Ok(RateLeft { burst: self.terms.burst, ..left })
            }
            Err(rejected) => {
                self.metrics.refused_locally.inc();
                Err(rejected)
            }
        }
    }

    fn ask(self: &Arc<Self>, question: Question) -> bool {
        let asked = self.link.ask(Asked { limit: Arc::clone(self), question });
        if !asked {
            self.leases.failed(&question);
        }
        asked
    }

    pub(super) fn answered(&self, question: &Question, answer: &Answer) {
        self.metrics.units.add(answer.leased.into());
        self.leases.answered(question, answer, self.nanos(SystemClock.now()));
    }

    pub(super) fn failed(&self, question: &Question) {
        self.leases.failed(question);
    }

    /// What the script is asked, after the key: interval, burst, trusted, wanted, step.
    pub(super) fn arguments(&self, question: &Question) -> [u64; 5] {
        let Terms { interval, burst, step, .. } = self.terms;
        let Question { trusted, wanted, .. } = *question;
        [interval, burst.into(), trusted.into(), wanted.into(), step.into()]
    }

    /// At least 1, so that 0 can mean never.
    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX).clamp(1, u64::MAX / 2)
    }
}

impl fmt::Debug for SharedRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRates").field("config", &self.config).field("up", &self.is_up()).finish()
    }
}

impl fmt::Debug for SharedRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limit { terms, prefix, .. } = &*self.0;
        f.debug_struct("SharedRateLimit")
            .field("prefix", prefix)
            .field("terms", terms)
            .finish_non_exhaustive()
    }
}
