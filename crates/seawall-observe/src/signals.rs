//! The few numbers that tell where a service is stuck, as one JSON document for the lab.
//!
//! Queue depths and waiters are found by their names: every gauge `seawall_[<part>_]queue_depth` is a queue, every
//! `seawall_<part>_waiters` a pool, every `seawall_<part>_threads` the threads behind a queue. So a new queue shows up here
//! because it has a gauge, and for no other reason. `admission` is the server's own queue.

use std::collections::BTreeMap;
use std::time::Duration;

use seawall_core::metrics::{Family, Sample, Value};
use serde::Serialize;

use crate::ProcessUsage;

/// What `/debug/seawall/signals` shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Signals {
    /// The process.
    pub process: ProcessUsage,
    /// Its HTTP server.
    pub server: ServerSignals,
    /// Queues by name: what waits in each now.
    pub queues: BTreeMap<String, i64>,
    /// Pools by name: callers that wait for room in each now.
    pub pools: BTreeMap<String, i64>,
    /// Threads that take from a queue, by the queue's name.
    pub threads: BTreeMap<String, ThreadSignals>,
    /// Seconds since the admin listener was started.
    pub uptime_s: f64,
}

/// The HTTP server's gauges, over all workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ServerSignals {
    /// Requests being answered.
    pub active_requests: i64,
    /// Open connections.
    pub connections: i64,
}

/// The threads behind one queue, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ThreadSignals {
    /// How many there are.
    pub count: i64,
    /// Jobs that they finished.
    pub jobs: u64,
    /// Seconds that they were at work, all together.
    pub busy_s: f64,
    /// Seconds that jobs waited for them, all together.
    pub waited_s: f64,
}

impl Signals {
    /// Picks the signals out of a registry's snapshot.
    pub fn of(process: ProcessUsage, families: &[Family], uptime: Duration) -> Self {
        let sum = |name| families.iter().filter(|family| family.name == name).map(total).sum();
        let server = ServerSignals {
            active_requests: sum("http_server_active_requests"),
            connections: sum("seawall_connections"),
        };
        Self {
            process,
            server,
            queues: queues(families),
            pools: by_name(families, "waiters"),
            threads: threads(families),
            uptime_s: uptime.as_secs_f64(),
        }
    }
}

/// All queues, and the one that requests stand in until the server lets them in.
fn queues(families: &[Family]) -> BTreeMap<String, i64> {
    let mut found = by_name(families, "queue_depth");
    if let Some(family) = families.iter().find(|family| family.name == "seawall_admission_queued") {
        found.insert("admission".to_owned(), total(family));
    }
    found
}

fn total(family: &Family) -> i64 {
    family.samples.iter().map(gauge).sum()
}

fn gauge(sample: &Sample) -> i64 {
    match sample.value {
        Value::Gauge(value) => value,
        Value::Counter(_) | Value::Timer(_) => 0,
    }
}

fn by_name(families: &[Family], what: &str) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for (name, sample) in named(families, what) {
        *found.entry(name).or_default() += gauge(sample);
    }
    found
}

fn threads(families: &[Family]) -> BTreeMap<String, ThreadSignals> {
    let mut found: BTreeMap<String, ThreadSignals> = BTreeMap::new();
    for (name, count) in by_name(families, "threads") {
        found.entry(name).or_default().count = count;
    }
    for (name, sample) in named(families, "work_seconds") {
        if let (Some(threads), Value::Timer(timer)) = (found.get_mut(&name), &sample.value) {
            threads.jobs += timer.count();
            threads.busy_s += timer.sum_seconds;
        }
    }
    for (name, sample) in named(families, "wait_seconds") {
        if let (Some(threads), Value::Timer(timer)) = (found.get_mut(&name), &sample.value) {
            threads.waited_s += timer.sum_seconds;
        }
    }
    found
}

/// The samples of every family `seawall_[<part>_]<what>`, by their part and the values of their labels:
/// `seawall_sql_queue_depth{role="write"}` is `sql.write`, `seawall_queue_depth{queue="jobs"}` is `jobs`.
fn named<'a>(families: &'a [Family], what: &str) -> Vec<(String, &'a Sample)> {
    let mut found = Vec::new();
    for family in families {
        let Some(part) = family.name.strip_prefix("seawall_").and_then(|name| name.strip_suffix(what)) else {
            continue;
        };
        if !(part.is_empty() || part.ends_with('_')) {
            continue;
        }
        for sample in &family.samples {
            let part = (!part.is_empty()).then(|| part.trim_end_matches('_'));
            let labels = sample.labels.iter().map(|(_, value)| value.as_str());
            let name: Vec<_> = part.into_iter().filter(|part| *part != "pool").chain(labels).collect();
            found.push((name.join("."), sample));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use seawall_core::metrics::Registry;

    use super::*;

    const IDLE: ProcessUsage = ProcessUsage {
        cpu_user_s: 0.5,
        cpu_sys_s: 0.25,
        rss_bytes: 4_096,
        ctx_switches_voluntary: 1,
        ctx_switches_involuntary: 2,
        threads: 3,
        open_fds: 4,
    };

    fn signals(registry: &Registry) -> Signals {
        Signals::of(IDLE, &registry.snapshot(), Duration::from_millis(1_500))
    }

    #[test]
    fn workers_are_added_up() {
        let registry = Registry::new();
        for (worker, requests) in [("0", 2), ("1", 3)] {
            registry.gauge("http_server_active_requests", "R.", &[("worker", worker)]).set(requests);
            registry.gauge("seawall_connections", "C.", &[("worker", worker)]).set(10);
        }
        let expected = ServerSignals { active_requests: 5, connections: 20 };
        assert_eq!(signals(&registry).server, expected);
    }

    #[test]
    fn queues_and_pools_are_found_by_their_gauges() {
        let registry = Registry::new();
        registry.gauge("seawall_queue_depth", "D.", &[("queue", "deduct")]).set(7);
        registry.gauge("seawall_sql_queue_depth", "D.", &[("role", "write")]).set(2);
        registry.gauge("seawall_sql_waiters", "W.", &[("role", "read")]).set(1);
        registry.gauge("seawall_pool_waiters", "W.", &[("pool", "db")]).set(4);
        registry.counter("seawall_queue_done_total", "Not a depth.", &[]).inc();
        for worker in ["0", "1"] {
            registry.gauge("seawall_admission_queued", "Q.", &[("worker", worker)]).set(3);
        }
        let signals = signals(&registry);
        let named =
            |map: &BTreeMap<String, i64>| map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
        assert_eq!(named(&signals.queues), ["admission=6", "deduct=7", "sql.write=2"]);
        assert_eq!(named(&signals.pools), ["db=4", "sql.read=1"]);
    }

    #[test]
    fn threads_come_with_what_they_did() {
        let registry = Registry::new();
        registry.gauge("seawall_sql_threads", "T.", &[("side", "read")]).set(2);
        let work = registry.timer("seawall_sql_work_seconds", "W.", &[("side", "read")]);
        for ms in [250, 500] {
            work.observe(Duration::from_millis(ms));
        }
        let wait = registry.timer("seawall_sql_wait_seconds", "W.", &[("side", "read")]);
        wait.observe(Duration::from_secs(3));
        registry.timer("seawall_other_work_seconds", "Nobody's.", &[]).observe(Duration::from_secs(1));
        let expected = ThreadSignals { count: 2, jobs: 2, busy_s: 0.75, waited_s: 3.0 };
        assert_eq!(signals(&registry).threads, [("sql.read".to_owned(), expected)].into());
    }

    #[test]
    fn an_empty_registry_still_has_every_field() {
        let json = serde_json::to_value(signals(&Registry::new())).unwrap();
        let expected = serde_json::json!({
            "process": {
                "cpu_user_s": 0.5, "cpu_sys_s": 0.25, "rss_bytes": 4096,
                "ctx_switches_voluntary": 1, "ctx_switches_involuntary": 2,
                "threads": 3, "open_fds": 4,
            },
            "server": {"active_requests": 0, "connections": 0},
            "queues": {}, "pools": {}, "threads": {}, "uptime_s": 1.5,
        });
        assert_eq!(json, expected);
    }
}
