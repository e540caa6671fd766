//! What admission looks like, as metrics: read once a second, so that requests pay nothing for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::metrics::{Gauge, Registry};
use seawall_guard::AdmissionFacts;
use tokio::time::{MissedTickBehavior, interval};

use super::Dispatcher;

/// The gauges of one worker.
pub(in crate::server) struct Facts {
    dispatcher: Arc<Dispatcher>,
    worker: usize,
    gauges: Gauges,
    /// As it was when it was last told.
    overloaded: bool,
}

struct Gauges {
    in_flight: Gauge,
    limit: Gauge,
    little_cap: Gauge,
    base: Gauge,
    probes: Gauge,
    queued: Gauge,
    max_queue_wait: Gauge,
    overloaded: Gauge,
    cursor: Gauge,
}

impl Facts {
    pub(in crate::server) fn new(dispatcher: &Arc<Dispatcher>, worker: usize, registry: &Registry) -> Self {
        let gauges = Gauges::new(&worker.to_string(), registry);
        Self { dispatcher: Arc::clone(dispatcher), worker, gauges, overloaded: false }
    }

    /// Publishes all of `all` once a second, for as long as it is polled.
    pub(in crate::server) async fn publish(mut all: Vec<Self>) -> Infallible {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            all.iter_mut().for_each(Self::tell);
        }
    }

    fn tell(&mut self) {
        let facts = self.dispatcher.facts();
        self.gauges.set(&facts);
        let AdmissionFacts { overloaded, limit, in_flight, queued, .. } = facts;
        if std::mem::replace(&mut self.overloaded, overloaded) == overloaded {
            return;
        }
        let worker = self.worker;
        if overloaded {
            tracing::warn!(
                worker,
                limit,
                in_flight,
                queued,
                "overload: the newest go first, and what is stale goes"
            );
        } else {
            tracing::info!(worker, limit, in_flight, "the overload is over");
        }
    }
}

impl Gauges {
    fn new(worker: &str, registry: &Registry) -> Self {
        let gauge = |name, help| registry.gauge(name, help, &[("worker", worker)]);
        Self {
            in_flight: gauge("seawall_admission_in_flight", "Requests that were started and have not ended."),
            limit: gauge("seawall_admission_limit", "Requests that may be in flight."),
            little_cap: gauge(
                "seawall_admission_little_cap",
                "What Little's law allows within half of the deadline; 0 while it does not bind.",
            ),
            base: gauge(
                "seawall_admission_base_microseconds",
                "Latency without queueing; 0 if not known yet.",
            ),
            probes: gauge(
                "seawall_admission_probes",
                "How often the limit was lowered to measure latency without queueing.",
            ),
            queued: gauge("seawall_admission_queued", "Requests that wait."),
            max_queue_wait: gauge(
                "seawall_admission_max_queue_wait_microseconds",
                "How long a request may wait in an overload.",
            ),
            overloaded: gauge("seawall_admission_overloaded", "1 in an overload, else 0."),
            cursor: gauge(
                "seawall_admission_cursor",
                "The last level that is admitted, 0 to 511: 128 times the class plus the cohort.",
            ),
        }
    }

    fn set(&self, facts: &AdmissionFacts) {
        let AdmissionFacts {
            in_flight,
            limit,
            little_cap,
            base,
            probes,
            queued,
            max_queue_wait,
            overloaded,
            cursor,
        } = *facts;
        self.probes.set(i64::try_from(probes).unwrap_or(i64::MAX));
        self.in_flight.set(in_flight.into());
        self.limit.set(limit.into());
        self.little_cap.set(if little_cap == u32::MAX { 0 } else { little_cap.into() });
        self.base.set(micros(base.unwrap_or(Duration::ZERO)));
        self.queued.set(queued.into());
        self.max_queue_wait.set(micros(max_queue_wait));
        self.overloaded.set(overloaded.into());
        self.cursor.set(cursor.into());
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
