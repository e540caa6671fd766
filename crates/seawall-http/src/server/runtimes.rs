//! What the workers' runtimes do, as metrics: read once a second, so that requests pay nothing for it.
//!
//! Only what tokio tells without its unstable flags. A worker inside a given runtime has the sums over that runtime's
//! threads.

use std::convert::Infallible;
use std::time::Duration;

use seawall_core::metrics::{Counter, Gauge, Registry};
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::{MissedTickBehavior, interval};

/// One worker's runtime.
pub(super) struct RuntimeFacts {
    runtime: RuntimeMetrics,
    busy: Counter,
    parks: Counter,
    tasks: Gauge,
    told: Totals,
}

/// What tokio has counted since the runtime was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    busy_micros: u64,
    parks: u64,
}

impl RuntimeFacts {
    pub(super) fn new(runtime: &Handle, worker: usize, registry: &Registry) -> Self {
        let worker = worker.to_string();
        let labels = [("worker", worker.as_str())];
        Self {
            runtime: runtime.metrics(),
            busy: registry.counter(
                "seawall_worker_busy_microseconds_total",
                "Time in which the worker's runtime ran tasks or looked for some.",
                &labels,
            ),
            parks: registry.counter(
                "seawall_worker_parks_total",
                "Times that the worker's runtime had nothing to do and went to sleep.",
                &labels,
            ),
            tasks: registry.gauge(
                "seawall_worker_tasks",
                "Tasks of the worker's runtime that have not ended: its connections, and what they spawned.",
                &labels,
            ),
            told: Totals::default(),
        }
    }

    /// Publishes all of `all` once a second, for as long as it is polled.
    pub(super) async fn publish(mut all: Vec<Self>) -> Infallible {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            all.iter_mut().for_each(Self::tell);
        }
    }

    fn tell(&mut self) {
        let now = self.totals();
        // tokio's counts only grow.
        self.busy.add(now.busy_micros.saturating_sub(self.told.busy_micros));
        self.parks.add(now.parks.saturating_sub(self.told.parks));
        self.tasks.set(i64::try_from(self.runtime.num_alive_tasks()).unwrap_or(i64::MAX));
        self.told = now;
    }

    fn totals(&self) -> Totals {
        (0..self.runtime.num_workers()).fold(Totals::default(), |sum, thread| Totals {
            busy_micros: sum.busy_micros + self.runtime.worker_total_busy_duration(thread).as_micros() as u64,
            parks: sum.parks + self.runtime.worker_park_count(thread),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn what_a_runtime_did_is_counted_once() {
        let registry = Registry::new();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut facts = RuntimeFacts::new(runtime.handle(), 3, &registry);
        runtime.spawn(std::future::pending::<()>());
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        facts.tell();
        let (busy, parks) = (facts.busy.value(), facts.parks.value());
        assert!(parks > 0 && busy > 0, "{busy} us, {parks} parks");
        assert_eq!(facts.tasks.value(), 1);
        facts.tell();
        assert_eq!((facts.busy.value(), facts.parks.value()), (busy, parks), "nothing has run since");
        let told = registry.snapshot();
        assert!(
            told.iter().all(|family| family.samples[0].labels == [("worker", "3".to_owned())]),
            "{told:?}"
        );
    }
}
