//! What a search and a sweep have in common: one load after another at the same target, each to its end.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use seawall_core::ConfigError;
use seawall_load::{Load, LoadConfig, LoadError, Report, Tick, Verdict};

use crate::clock;

/// Between two loads, for what the last one left behind.
const REST: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The generator could not work.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Nobody answers.
    #[error("nothing was answered at {0}")]
    Unreachable(String),
}

/// One load that was sent.
pub(crate) struct Sent {
    pub(crate) began: Instant,
    pub(crate) report: Report,
}

/// Sends one load. None when the user ended it. `is_first` says that nothing was answered before, so that silence means
/// that nobody is there.
pub(crate) fn send(
    config: &LoadConfig,
    is_first: bool,
    watch: &mut dyn FnMut(&Tick),
) -> Result<Option<Sent>, SweepError> {
    if !is_first {
        clock::pause(REST);
    }
    let load = Load::new(config)?;
    let began = clock::now();
    let report = load.run(watch)?;
    if report.sent_total == 0 && is_first {
        return Err(SweepError::Unreachable(report.url));
    }
    Ok((!config.interrupt.load(Relaxed)).then_some(Sent { began, report }))
}

/// Why a run's numbers do not count: the generator failed, or it was the limit.
pub(crate) fn reasons(report: &Report) -> Vec<String> {
    if report.validity.verdict == Verdict::Valid { Vec::new() } else { report.validity.reasons.clone() }
}
