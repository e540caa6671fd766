//! Overload in virtual time: clients, a service, and our protection between them, for seeds 1 to 32.
//!
//! Each scenario has hard figures to reach, with ONE configuration for all of them, the default. Each is played again
//! with its guard removed and must then miss its figures: a scenario that cannot fail guards nothing. The figures are
//! printed: `cargo test -p seawall-guard --test sim -- --nocapture`.
//!
//! Goodput is a share of what the slots could do with the service times that were really drawn: over 80 requests
//! those are off by a tenth, by chance.

#![allow(clippy::unwrap_used, reason = "test code: a failed unwrap is a failed test")]
#![cfg(not(loom))]

mod figures;
mod overload;
mod random;
mod retries;
mod service;
mod sharing;
mod worker;

use std::time::Instant;

use seawall_guard::{Admission, AdmissionConfig};

use service::{Plan, Run, Second};

/// All that count.
pub(crate) const SEEDS: std::ops::RangeInclusive<u64> = 1..=32;
/// Enough to see that something is missing.
pub(crate) const FEW_SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

#[expect(clippy::disallowed_methods, reason = "any instant will do as time zero; time is virtual from there")]
pub(crate) fn time_zero() -> Instant {
    Instant::now()
}

/// What stands before the service.
#[derive(Debug, Clone)]
pub(crate) enum Guard {
    None,
    Admission(AdmissionConfig),
}

impl Guard {
    /// The one configuration.
    pub(crate) fn default_values() -> Self {
        Self::Admission(AdmissionConfig::default())
    }

    pub(crate) fn play(&self, plan: &Plan, seed: u64) -> Vec<Second> {
        let start = time_zero();
        let admission = match self {
            Self::None => None,
            Self::Admission(config) => Some(Admission::new(config, None, start).unwrap()),
        };
        Run::play(plan, admission, start, seed)
    }
}
