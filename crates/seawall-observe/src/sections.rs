//! What the pages of pools, limits and the runtime show of a registry: found by the metrics' names, as the signals are.
//!
//! A part that has a gauge `seawall_<part>_waiters` is a pool, and all its metrics are shown with it. What refuses, sheds,
//! drops or cuts, what is in flight and what breakers do is a limit. So a new pool or limit is here because it has
//! metrics, and for no other reason. Pure.

use std::collections::{BTreeMap, BTreeSet};

use seawall_core::metrics::{Family, Sample, Value};
use serde_json::{Value as Json, json};

/// Ends of names of what limits something.
const LIMITS: [&str; 12] = [
    "_refused_total",
    "_rejected_total",
    "_denied_total",
    "_shed_total",
    "_dropped_total",
    "_cut_total",
    "_ejections_total",
    "_in_flight",
    "_under_way",
    "_active_requests",
    "_limit",
    "_accept_failures_total",
];
/// Words in names of what limits something.
const LIMITING: [&str; 4] = ["_breaker_", "_breakers_", "_limiter_", "_admission_"];

/// Every pool with its metrics; null without one.
pub(crate) fn pools(families: &[Family]) -> Json {
    let part = |family: &Family| family.name.strip_suffix("waiters").map(str::to_owned);
    let parts: BTreeSet<String> = families.iter().filter_map(part).collect();
    let of = |part: &String| {
        let own = families.iter().filter(|family| family.name.starts_with(part.as_str()));
        let facts: BTreeMap<_, _> = own.map(|family| (&family.name[part.len()..], shown(family))).collect();
        (part.trim_start_matches("seawall_").trim_end_matches('_').to_owned(), facts)
    };
    let pools: BTreeMap<_, _> = parts.iter().map(of).collect();
    if pools.is_empty() { Json::Null } else { json!(pools) }
}

/// Everything that limits; null without anything.
pub(crate) fn limits(families: &[Family]) -> Json {
    let limiting = |family: &&Family| {
        let name = family.name;
        LIMITS.iter().any(|end| name.ends_with(end)) || LIMITING.iter().any(|word| name.contains(word))
    };
    let limits: BTreeMap<_, _> =
        families.iter().filter(limiting).map(|family| (family.name, shown(family))).collect();
    if limits.is_empty() { Json::Null } else { json!(limits) }
}

/// What each worker of the server has; null without a server.
pub(crate) fn workers(families: &[Family]) -> Json {
    let mut workers: BTreeMap<String, BTreeMap<&str, Json>> = BTreeMap::new();
    for family in families {
        for sample in &family.samples {
            if let Some((_, worker)) = sample.labels.iter().find(|(name, _)| *name == "worker") {
                workers.entry(worker.clone()).or_default().insert(family.name, number(&sample.value));
            }
        }
    }
    if workers.is_empty() { Json::Null } else { json!(workers) }
}

/// One number, or one per combination of labels.
fn shown(family: &Family) -> Json {
    match family.samples.as_slice() {
        [Sample { labels, value }] if labels.is_empty() => number(value),
        samples => {
            let name = |sample: &Sample| {
                let labels = sample.labels.iter().map(|(name, value)| format!("{name}={value}"));
                labels.collect::<Vec<_>>().join(",")
            };
            json!(samples.iter().map(|s| (name(s), number(&s.value))).collect::<BTreeMap<_, _>>())
        }
    }
}

fn number(value: &Value) -> Json {
    match value {
        Value::Counter(count) => json!(count),
        Value::Gauge(value) => json!(value),
        Value::Timer(timer) => {
            let count = timer.count();
            let mean = if count == 0 { 0.0 } else { timer.sum_seconds / count as f64 };
            json!({"count": count, "mean_seconds": mean})
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use seawall_core::metrics::Registry;

    use super::*;

    #[test]
    fn a_pool_comes_with_all_its_metrics() {
        let registry = Registry::new();
        registry.gauge("seawall_sql_waiters", "W.", &[("side", "read")]).set(2);
        registry.counter("seawall_sql_commits_total", "C.", &[]).inc();
        registry.timer("seawall_sql_wait_seconds", "T.", &[]).observe(Duration::from_secs(2));
        registry.counter("seawall_cache_reads_total", "No pool.", &[]).inc();
        let expected = json!({"sql": {
            "waiters": {"side=read": 2}, "commits_total": 1,
            "wait_seconds": {"count": 1, "mean_seconds": 2.0},
        }});
        assert_eq!(pools(&registry.snapshot()), expected);
    }

    #[test]
    fn limits_are_known_by_their_names() {
        let registry = Registry::new();
        registry.counter("seawall_http_refused_total", "R.", &[("reason", "in_flight")]).inc();
        registry.counter("seawall_rate_limit_denied_total", "D.", &[]).inc();
        registry.gauge("seawall_breaker_state", "S.", &[("name", "db")]).set(1);
        registry.gauge("seawall_client_breakers_open", "O.", &[]).set(2);
        registry.gauge("seawall_connections", "No limit.", &[("worker", "0")]).set(7);
        let expected = json!({
            "seawall_http_refused_total": {"reason=in_flight": 1},
            "seawall_rate_limit_denied_total": 1,
            "seawall_breaker_state": {"name=db": 1},
            "seawall_client_breakers_open": 2,
        });
        assert_eq!(limits(&registry.snapshot()), expected);
        assert_eq!(workers(&registry.snapshot()), json!({"0": {"seawall_connections": 7}}));
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!((pools(&[]), limits(&[]), workers(&[])), (Json::Null, Json::Null, Json::Null));
    }
}
