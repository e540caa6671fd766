//! A report as Prometheus text. The format is seawall-observe's business; here are names and values.
//!
//! Latencies keep their own buckets out: Prometheus gets the buckets that every Seawall timer has.

use seawall::core::metrics::{Family, Kind, Sample, TIMER_BOUNDS_SECONDS, TimerSnapshot, Value};
use seawall::observe::exposition;
use seawall_load::{Histogram, Report, Verdict};

/// The whole text.
pub(super) fn text(report: &Report) -> String {
    let one = |value| vec![Sample { labels: Vec::new(), value }];
    let errors = report.errors.iter().map(|(class, &count)| Sample {
        labels: vec![("class", class.name().to_owned())],
        value: Value::Counter(count),
    });
    let status = report.status.iter().map(|(code, &count)| Sample {
        labels: vec![("code", code.to_string())],
        value: Value::Counter(count),
    });
    let latency = [("due", &report.latency), ("send", &report.service)].map(|(from, histogram)| Sample {
        labels: vec![("from", from.to_owned())],
        value: Value::Timer(timer(histogram)),
    });
    let valid = i64::from(report.validity.verdict == Verdict::Valid);
    exposition::text(&[
        family("seawall_load_valid", "1 if the numbers may be used.", Kind::Gauge, one(Value::Gauge(valid))),
        family(
            "seawall_load_answers_total",
            "Measured answers by status code.",
            Kind::Counter,
            status.collect(),
        ),
        family("seawall_load_errors_total", "Measured errors by class.", Kind::Counter, errors.collect()),
        family(
            "seawall_load_censored_total",
            "Latencies of which only a lower bound is known.",
            Kind::Counter,
            one(Value::Counter(report.censored)),
        ),
        family(
            "seawall_load_backlog_requests",
            "Requests that were due and never sent.",
            Kind::Gauge,
            one(Value::Gauge(report.backlog_at_end as i64)),
        ),
        family(
            "seawall_load_measured_milliseconds",
            "Length of the measurement.",
            Kind::Gauge,
            one(Value::Gauge((report.duration_s * 1e3) as i64)),
        ),
        family(
            "seawall_load_latency_seconds",
            "From the due time, or the send, to the complete answer.",
            Kind::Timer,
            latency.to_vec(),
        ),
    ])
}

fn family(name: &'static str, help: &'static str, kind: Kind, samples: Vec<Sample>) -> Family {
    Family { name, help, kind, samples }
}

/// Our buckets are finer than a timer's, so each falls into one: by its middle.
fn timer(histogram: &Histogram) -> TimerSnapshot {
    let mut buckets = vec![0; TIMER_BOUNDS_SECONDS.len() + 1];
    for (low, high, count) in histogram.iter() {
        let middle = (low + (high - low) / 2) as f64 / 1e9;
        buckets[TIMER_BOUNDS_SECONDS.partition_point(|&bound| bound < middle)] += count;
    }
    TimerSnapshot { buckets, sum_seconds: histogram.mean() * histogram.count() as f64 / 1e9 }
}
