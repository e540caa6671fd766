//! A report in formats that other tools read: a line of CSV, HdrHistogram's V2, a line of JSON per second.
//!
//! Left out: Prometheus text (the command writes that), HTML (`html`).

use std::fmt::Write as _;

use base64::Engine as _;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use seawall_core::Histogram;

use crate::report::{Mode, Report};
use crate::validity::Verdict;

/// Nanoseconds that HdrHistogram keeps apart: as ours, up to an hour.
const HDR_MAX_NS: u64 = 3_600_000_000_000;
/// Its digits: finer than our own buckets.
const HDR_DIGITS: u8 = 3;

impl Report {
    /// Names of the columns of [`csv_row`](Self::csv_row), with a line break.
    pub fn csv_header() -> String {
        let mut line = CSV.map(|(name, _)| name).join(",");
        line.push('\n');
        line
    }

    /// The run as one row of CSV (RFC 4180), with a line break: rows of several runs make a table.
    pub fn csv_row(&self) -> String {
        let mut line = CSV.map(|(_, value)| quoted(value(self))).join(",");
        line.push('\n');
        line
    }

    /// Both distributions as an HdrHistogram log (V2, compressed), in nanoseconds: from the due time with the tag
    /// `due`, from the send with the tag `send`. HistogramLogAnalyzer, hdr-plot and others read it.
    pub fn hdr_log(&self) -> String {
        let mut text = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let start = std::time::Duration::from_secs_f64(self.warmup_s.max(0.0));
        let length = std::time::Duration::from_secs_f64(self.duration_s.max(0.0));
        let mut builder = IntervalLogWriterBuilder::new();
        let written = builder.with_max_value_divisor(1e6).begin_log_with(&mut text, &mut serializer);
        if let Ok(mut log) = written {
            for (tag, histogram) in [("due", &self.latency), ("send", &self.service)] {
                let histogram = hdr(histogram);
                // Writing to memory does not fail.
                let _ = log.write_histogram(&histogram, start, length, Tag::new(tag));
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A histogram in HdrHistogram's V2 form, compressed, as base64: tools merge these over runs and machines.
pub(crate) fn hdr_base64(histogram: &Histogram) -> String {
    let mut bytes = Vec::new();
    match V2DeflateSerializer::new().serialize(&hdr(histogram), &mut bytes) {
        Ok(_) => base64::engine::general_purpose::STANDARD.encode(bytes),
        Err(_) => String::new(), // writing to memory does not fail
    }
}

fn hdr(histogram: &Histogram) -> hdrhistogram::Histogram<u64> {
    let mut hdr = hdrhistogram::Histogram::new_with_bounds(1, HDR_MAX_NS, HDR_DIGITS)
        .expect("the bounds are constants and in order");
    for (low, high, count) in histogram.iter() {
        // The extremes are known exactly, the others are the middle of their bucket.
        let value = (low + (high - low) / 2).clamp(histogram.min(), histogram.max());
        hdr.saturating_record_n(value, count);
    }
    hdr
}

type Column = (&'static str, fn(&Report) -> String);

const CSV: [Column; 29] = [
    ("url", |r| r.url.clone()),
    ("mode", |r| mode(r.mode).to_owned()),
    ("verdict", |r| verdict(r.validity.verdict).to_owned()),
    ("connections", |r| r.connections.to_string()),
    ("threads", |r| r.threads.to_string()),
    ("warmup_s", |r| r.warmup_s.to_string()),
    ("duration_s", |r| r.duration_s.to_string()),
    ("requests", |r| r.requests.to_string()),
    ("sent_total", |r| r.sent_total.to_string()),
    ("offered_rps", |r| r.offered_rps.to_string()),
    ("rps", |r| r.rps.to_string()),
    ("errors", |r| r.errors.values().sum::<u64>().to_string()),
    ("error_rate", |r| format!("{:.6}", r.error_rate())),
    ("unanswered_at_end", |r| r.unanswered_at_end.to_string()),
    ("backlog_at_end", |r| r.backlog_at_end.to_string()),
    ("censored", |r| r.censored.to_string()),
    ("p50_us", |r| r.latency_us.p50.to_string()),
    ("p90_us", |r| r.latency_us.p90.to_string()),
    ("p99_us", |r| r.latency_us.p99.to_string()),
    ("p999_us", |r| r.latency_us.p999.to_string()),
    ("max_us", |r| r.latency_us.max.to_string()),
    ("mean_us", |r| r.latency_us.mean.to_string()),
    ("service_p50_us", |r| r.service_us.p50.to_string()),
    ("service_p99_us", |r| r.service_us.p99.to_string()),
    ("lag_p99_us", |r| r.lag_us.p99.to_string()),
    ("cpu_us_per_request", |r| r.cpu_us_per_request.to_string()),
    ("cpu_share_max", |r| largest(&r.cpu_shares)),
    ("run_delay_share_max", |r| largest(&r.run_delay_shares)),
    ("bytes_received", |r| r.bytes_received.to_string()),
];

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Closed => "closed",
        Mode::Open => "open",
        Mode::Users => "users",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::GeneratorBound => "generator_bound",
        Verdict::Invalid => "invalid",
    }
}

fn largest(shares: &[f64]) -> String {
    shares.iter().copied().fold(0.0, f64::max).to_string()
}

fn quoted(value: String) -> String {
    if !value.contains([',', '"', '\n', '\r']) {
        return value;
    }
    let mut text = String::with_capacity(value.len() + 2);
    let _ = write!(text, "\"{}\"", value.replace('"', "\"\"")); // writing to a string cannot fail
    text
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back_with_the_same_quantiles(
            values in proptest::collection::vec(1u64..10_000_000_000, 1..200)
        ) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|&value| histogram.record(value));
            let bytes = base64::engine::general_purpose::STANDARD.decode(hdr_base64(&histogram)).unwrap();
            let read: hdrhistogram::Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            prop_assert_eq!(read.len(), histogram.count());
            for q in [0.5, 0.99] {
                let (ours, theirs) = (histogram.quantile(q) as f64, read.value_at_quantile(q) as f64);
                prop_assert!((ours - theirs).abs() <= ours * 0.01, "{} {}", ours, theirs);
            }
        }
    }

    #[test]
    fn values_with_commas_are_quoted() {
        assert_eq!(quoted("a,\"b\"".to_owned()), "\"a,\"\"b\"\"\"");
    }
}
