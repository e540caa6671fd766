//! What is measured: servers, what their handlers do, and what an answer is worth.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A server under too much load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// Seawall as it is, one worker.
    Seawall,
    /// Seawall in a tokio runtime of the user's own: no goal is set for it.
    SeawallServe,
    /// Seawall with its protection switched off.
    SeawallOff,
    /// axum as it is.
    Axum,
    /// axum with tower's load shedding and a limit of eight requests at once.
    AxumLimit,
    /// Echo 4 of Debian's packages.
    Echo4,
}

/// What a request costs a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Handler {
    /// 1 ms of computing.
    Cpu,
    /// 5 ms of waiting while it holds one of eight slots.
    Slots,
    /// Nine of ten compute for 0.2 ms, one for 5 ms.
    Mixed,
}

/// Milliseconds of the two kinds of `mixed`, and of their mean.
const CHEAP_MS: f64 = 0.2;
const HEAVY_MS: f64 = 5.0;
const MEAN_MS: f64 = 0.9 * CHEAP_MS + 0.1 * HEAVY_MS;
/// The status that says that a request was a heavy one.
const HEAVY: u16 = 201;
/// The statuses of a refusal: overload, and a quota that is used up.
const REFUSALS: [u16; 2] = [503, 429];

impl Peer {
    /// As in the JSON and on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seawall => "seawall",
            Self::SeawallServe => "seawall-serve",
            Self::SeawallOff => "seawall-off",
            Self::Axum => "axum",
            Self::AxumLimit => "axum-limit",
            Self::Echo4 => "echo4",
        }
    }

    /// The last argument of its program.
    pub(super) fn variant(self) -> &'static str {
        match self {
            Self::SeawallServe => "serve",
            Self::SeawallOff => "off",
            Self::AxumLimit => "limit",
            Self::Seawall | Self::Axum | Self::Echo4 => "run",
        }
    }
}

impl Handler {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Slots => "slots",
            Self::Mixed => "mixed",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cpu => "1 ms of CPU",
            Self::Slots => "5 ms of waiting, 8 slots",
            Self::Mixed => "Mixed: 90 % 0.2 ms, 10 % 5 ms of CPU",
        }
    }

    /// What the generator asks for; `{{rand}}` is its own.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Cpu => "/cpu",
            Self::Slots => "/slots",
            Self::Mixed => "/mixed/{{rand 1 10}}",
        }
    }

    /// One request of it, to see whether a server is idle.
    pub(super) fn probe(self) -> &'static str {
        match self {
            Self::Cpu => "/cpu",
            Self::Slots => "/slots",
            Self::Mixed => "/mixed/1",
        }
    }

    /// Connections of the closed loop that finds the capacity: as few as keep the server busy, so that nobody has a
    /// reason to refuse. tower's limit of eight would refuse the ninth.
    pub(super) fn closed_connections(self, peer: Peer) -> u32 {
        match self {
            Self::Cpu => 4,
            Self::Mixed => 2,
            Self::Slots if peer == Peer::AxumLimit => 8,
            Self::Slots => 12,
        }
    }

    /// It keeps the core busy at its capacity.
    pub(super) fn computes(self) -> bool {
        self != Self::Slots
    }

    /// What these answers are worth, in mean requests: of `mixed` a heavy one is worth as much more as it computes.
    pub(super) fn work(self, answers: &BTreeMap<u16, u64>) -> f64 {
        let worth = |status: u16| match self {
            Self::Cpu | Self::Slots => 1.0,
            Self::Mixed if status == HEAVY => HEAVY_MS / MEAN_MS,
            Self::Mixed => CHEAP_MS / MEAN_MS,
        };
        let successes = answers.iter().filter(|(status, _)| (200..300).contains(*status));
        // From 0 on: an empty sum of floats is -0.
        successes.fold(0.0, |sum, (&status, &count)| sum + worth(status) * count as f64)
    }
}

/// How many of these answers are refusals.
pub(super) fn refusals(answers: &BTreeMap<u16, u64>) -> u64 {
    REFUSALS.iter().filter_map(|status| answers.get(status)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_request_is_worth_what_it_computes() {
        let answers = BTreeMap::from([(200, 900), (201, 100), (503, 4_000), (429, 2), (504, 7)]);
        assert!((Handler::Mixed.work(&answers) - 1_000.0).abs() < 1e-9);
        assert_eq!(Handler::Cpu.work(&answers), 1_000.0);
        assert_eq!(refusals(&answers), 4_002);
        assert!((Handler::Mixed.work(&BTreeMap::from([(201, 1)])) - 5.0 / 0.68).abs() < 1e-9);
    }
}
