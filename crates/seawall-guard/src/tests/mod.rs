//! Overload in virtual time: clients, workers, a service behind them, and our protection between, for seeds 1 to 32.
//!
//! Workers drive the real admission machine in two phases, as the server does. Each scenario has hard figures to reach,
//! with ONE configuration for all of them, the default. Each is played again with its guard taken away and must then
//! miss its figures: a scenario that cannot fail guards nothing. The figures are printed:
//! `cargo test -p seawall-guard --lib tests:: -- --nocapture`.
//!
//! Goodput is a share of what the slots could do with the service times that were really drawn: over 80 requests
//! those are off by a tenth, by chance.

mod busy;
mod curves;
mod exact;
mod figures;
mod overload;
mod plan;
mod random;
mod retries;
mod sharing;
mod sizes;
mod worker;
mod world;

use std::time::Instant;

use crate::parts::{Part, without};
use crate::{Admission, AdmissionConfig, Algorithm, LimitConfig};

use plan::Plan;
use world::{Second, World};

/// All that count.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=32;
/// Enough to see that something is missing.
const FEW_SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

#[expect(clippy::disallowed_methods, reason = "any instant will do as time zero; time is virtual from there")]
fn time_zero() -> Instant {
    Instant::now()
}

/// What stands before the service.
#[derive(Debug, Clone)]
struct Guard {
    /// Nothing is a plain runtime.
    config: Option<AdmissionConfig>,
    /// What is taken away from it.
    away: Option<Part>,
    /// Whether workers read all that has arrived before they work.
    reads_all: bool,
}

impl Guard {
    const NONE: Self = Self { config: None, away: None, reads_all: true };

    fn new(config: AdmissionConfig) -> Self {
        Self { config: Some(config), away: None, reads_all: true }
    }

    /// The one configuration.
    fn default_values() -> Self {
        Self::new(AdmissionConfig::default())
    }

    /// The same without one of its parts.
    fn without(part: Part) -> Self {
        Self { away: Some(part), ..Self::default_values() }
    }

    /// Another law for the limit, or another number to begin with.
    fn limited(algorithm: Algorithm, initial: u32) -> Self {
        let limit = LimitConfig { algorithm, initial, ..LimitConfig::default() };
        Self::new(AdmissionConfig { limit, ..AdmissionConfig::default() })
    }

    fn play(&self, plan: &Plan, seed: u64) -> Vec<Second> {
        let start = time_zero();
        let admission = || {
            let config = self.config.as_ref()?;
            Some(Admission::new(config, None, start).unwrap())
        };
        without(self.away, || World::play(plan, admission, self.reads_all, start, seed))
    }
}
