//! What one address seems to cost: peak-EWMA of its latency times the calls that are out.
//!
//! A latency above the estimate replaces it at once; one below pulls it down with weight `1 - e^(-dt / decay)`
//! (Finagle's `PeakEwma`, tower's after it). An address that nobody asks gets cheaper by and by, so that a slow moment
//! is forgotten. A failure never counts with its own latency, which may be short: it adds a penalty, which decays too
//! and is halved by every success.

use std::time::{Duration, Instant};

use super::BalanceConfig;

/// The estimate of one address.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Nanoseconds; nothing until the first answer.
    latency: Option<f64>,
    /// Nanoseconds that failures added.
    penalty: f64,
    /// When either of them last changed.
    changed: Instant,
    /// When it was last chosen, or came to be.
    chosen: Instant,
    pending: u32,
}

impl Load {
    pub(crate) fn new(now: Instant) -> Self {
        Self { latency: None, penalty: 0.0, changed: now, chosen: now, pending: 0 }
    }

    /// It was chosen for a call.
    pub(crate) fn start(&mut self, now: Instant) {
        self.pending += 1;
        self.chosen = now;
    }

    /// A call has its answer, after `latency`.
    pub(crate) fn succeed(&mut self, latency: Duration, config: &BalanceConfig, now: Instant) {
        self.pending = self.pending.saturating_sub(1);
        let kept = self.kept(config, now);
        let seen = latency.as_nanos() as f64;
        self.penalty = self.penalty * kept / 2.0;
        self.latency = Some(match self.latency {
            Some(known) if seen <= known => known * kept + seen * (1.0 - kept),
            _ => seen,
        });
        self.changed = now;
    }

    /// A call failed.
    pub(crate) fn fail(&mut self, config: &BalanceConfig, now: Instant) {
        self.pending = self.pending.saturating_sub(1);
        let kept = self.kept(config, now);
        self.penalty = (self.penalty * kept).max(config.failure_penalty.as_nanos() as f64);
        // The rest decays over the same time, and must not decay twice.
        self.latency = self.latency.map(|known| known * kept);
        self.changed = now;
    }

    /// Nobody waited for the end of a call that has been out for `waited`: its latency is at least that.
    pub(crate) fn cancel(&mut self, waited: Duration, config: &BalanceConfig, now: Instant) {
        self.pending = self.pending.saturating_sub(1);
        let seen = waited.as_nanos() as f64;
        if self.latency.is_some_and(|known| seen > known) {
            self.penalty *= self.kept(config, now);
            self.latency = Some(seen);
            self.changed = now;
        }
    }

    /// The latency that is expected at `now`; nothing if there was no answer yet.
    pub(crate) fn latency(&self, config: &BalanceConfig, now: Instant) -> Option<f64> {
        Some(self.latency? * self.kept(config, now))
    }

    /// What a further call would cost, if its latency were `latency`.
    pub(crate) fn cost(&self, latency: f64, config: &BalanceConfig, now: Instant) -> f64 {
        (latency + self.penalty * self.kept(config, now)) * (f64::from(self.pending) + 1.0)
    }

    pub(crate) fn unchosen_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.chosen)
    }

    /// Which part of an estimate is left since it last changed.
    fn kept(&self, config: &BalanceConfig, now: Instant) -> f64 {
        let idle = now.saturating_duration_since(self.changed);
        (-idle.as_secs_f64() / config.decay.as_secs_f64()).exp()
    }
}
