//! Refusals are counted each, and logged as one line per second and reason: a log that grows with the overload would be
//! part of it.

use std::convert::Infallible;
use std::time::Duration;

use seawall_core::metrics::{Counter, Registry};
use seawall_guard::{Priority, Rejected};
use tokio::time::{MissedTickBehavior, interval};

/// Why a request may be refused before it becomes one.
const REASONS: [Rejected; 6] = [
    Rejected::Saturated,
    Rejected::QueueFull,
    Rejected::WaitedTooLong,
    Rejected::LowPriority,
    Rejected::DeadlineExceeded,
    Rejected::UnderPressure { resource: "" },
];

/// Counts refusals by reason and class. Workers share the counters.
#[derive(Debug, Clone)]
pub(in crate::server) struct Refusals([(&'static str, [Counter; CLASSES]); REASONS.len()]);

const CLASSES: usize = Priority::ALL.len();

impl Refusals {
    pub(in crate::server) fn new(registry: &Registry) -> Self {
        Self(REASONS.map(|rejected| {
            let reason = rejected.reason();
            let counter = |class: Priority| {
                registry.counter(
                    "seawall_http_refused_total",
                    "Requests that were refused before they became one, by why, and by their class.",
                    &[("reason", reason), ("priority", class.as_str())],
                )
            };
            (reason, Priority::ALL.map(counter))
        }))
    }

    /// Counts one of this class.
    pub(in crate::server) fn count(&self, rejected: &Rejected, class: Priority) {
        let reason = rejected.reason();
        if let Some((_, counters)) = self.0.iter().find(|(known, _)| *known == reason) {
            counters[class as usize].inc();
        }
    }

    /// What has been refused since `seen`, which is brought up to date.
    fn since(&self, seen: &mut [u64; REASONS.len()]) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().zip(seen).map(|((reason, counters), seen)| {
            let before = std::mem::replace(seen, sum(counters));
            (*reason, seen.saturating_sub(before))
        });
        counts.filter(|(_, refused)| *refused > 0)
    }
}

fn sum(counters: &[Counter]) -> u64 {
    counters.iter().map(Counter::value).sum()
}

/// Logs what was refused, once a second, for as long as it is polled.
pub(in crate::server) async fn report_refusals(refusals: Refusals) -> Infallible {
    let mut seen = refusals.0.each_ref().map(|(_, counters)| sum(counters));
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        for (reason, refused) in refusals.since(&mut seen) {
            tracing::warn!(reason, refused, "requests refused in the last second");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_under_its_reason_and_told_once() {
        let registry = Registry::new();
        let refusals = Refusals::new(&registry);
        let mut seen = [0; REASONS.len()];
        refusals.count(&Rejected::QueueFull, Priority::Critical);
        refusals.count(&Rejected::QueueFull, Priority::Sheddable);
        refusals.count(&Rejected::UnderPressure { resource: "memory" }, Priority::Critical);
        let told: Vec<_> = refusals.since(&mut seen).collect();
        assert_eq!(told, [("queue_full", 2), ("under_pressure", 1)]);
        assert_eq!(refusals.since(&mut seen).count(), 0);
    }
}
