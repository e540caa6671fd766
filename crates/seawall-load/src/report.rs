//! The result of a run, as plain data that serializes to JSON.
//!
//! Latencies are in microseconds. The names in JSON are stable; new ones may be added.

use std::collections::BTreeMap;
use std::time::Duration;

use seawall_core::Histogram;
use serde::Serialize;

use crate::collect::Totals;
use crate::error::ErrorClass;
use crate::output::hdr_base64;
use crate::self_test::SelfTest;
use crate::slo::SloResult;
use crate::validity::{MIN_SENT_SHARE, SelfCheck, Validity, Verdict, judge};
use crate::window::Window;

/// How requests were paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As fast as the answers came.
    Closed,
    /// At a fixed rate.
    Open,
    /// By virtual users.
    Users,
}

/// What one run measured. "Measured" is what was answered between the end of the warm-up and the end of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The target.
    pub url: String,
    /// How requests were paced.
    pub mode: Mode,
    /// Keep-alive connections (open loop: at the start).
    pub connections: usize,
    /// Generator threads.
    pub threads: usize,
    /// The run was ended early, by its interrupt flag or its observer.
    pub interrupted: bool,
    /// Complete answers that were measured, whatever their status.
    pub requests: u64,
    /// Requests sent in the whole run: warm-up and end included.
    pub sent_total: u64,
    /// Complete answers in the whole run. `sent_total = answered_total + failed_total + unanswered_at_end`.
    pub answered_total: u64,
    /// Requests of the whole run that were sent and failed before their answer was complete.
    pub failed_total: u64,
    /// Requests that were sent and had no answer when the run ended; in `errors` too.
    pub unanswered_at_end: u64,
    /// Open loop: requests that were due and never sent, because no connection became free before the end.
    pub backlog_at_end: u64,
    /// Measured latencies of which only a lower bound is known: timeouts, requests that were given up, unanswered or
    /// never sent. They are in `latency_us` with the time they waited.
    pub censored: u64,
    /// The smallest of these, in microseconds: a quantile from here on may really be larger. Absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub censored_from_us: Option<f64>,
    /// Measured errors by class; classes that did not occur are absent. Answers with status 4xx and 5xx are in here
    /// and in `requests`.
    pub errors: BTreeMap<ErrorClass, u64>,
    /// Measured answers by status code.
    pub status: BTreeMap<u16, u64>,
    /// Answers of the whole run by status code, those of the warm-up and of the end included.
    pub status_total: BTreeMap<u16, u64>,
    /// Answers that were good; absent unless [`LoadConfig::good_within`](crate::LoadConfig::good_within) says what is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<Good>,
    /// Measured answers per second.
    pub rps: f64,
    /// Requests that were due per second (closed loop: sent).
    pub offered_rps: f64,
    /// Requests that were sent per second, while measured.
    pub sent_rps: f64,
    /// Length of the measurement in seconds.
    pub duration_s: f64,
    /// Length of the warm-up in seconds.
    pub warmup_s: f64,
    /// From the time when a request was due (closed loop: sent) to its complete answer. A request that timed out, or
    /// was unanswered at the end, counts with the time it waited.
    pub latency_us: Latency,
    /// From the time when a request was sent.
    pub service_us: Latency,
    /// How late requests were sent for which a connection was free: the generator's own delay.
    pub lag_us: Latency,
    /// From the first step of connecting to a connection that is ready, TLS included; of the measurement only, so it is
    /// zero where connections stay open. Latencies count from the send, or the due time, and not from here.
    pub connect_us: Latency,
    /// CPU time of the generator threads per measured answer, in microseconds, without idle spinning.
    pub cpu_us_per_request: f64,
    /// Share of the time each generator thread ran, without idle spinning.
    pub cpu_shares: Vec<f64>,
    /// Share of the time each generator thread could have run and got no CPU.
    pub run_delay_shares: Vec<f64>,
    /// Bytes of the measured answers.
    pub bytes_received: u64,
    /// May the numbers be used?
    pub validity: Validity,
    /// What this client can do on this machine, if that was tested before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTest>,
    /// What became of the objectives; empty without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slo: Vec<SloResult>,
    /// What the reader should know besides; no defects of the run.
    pub notes: Vec<String>,
    /// One row per second, the warm-up flagged.
    pub series: Vec<Second>,
    /// The percentile curve, from the median to the maximum.
    pub percentiles: Vec<CurvePoint>,
    /// All of `latency_us` in nanoseconds, as HdrHistogram V2, compressed, in base64.
    pub latency_hdr: String,
    /// All of `service_us`, likewise.
    pub service_hdr: String,
    /// Virtual users only: by what was asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<&'static str, LabelReport>,
    /// Virtual users only: users that had not finished when the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished_users: Option<usize>,
    /// All of `latency_us`.
    #[serde(skip)]
    pub latency: Histogram,
    /// All of `service_us`.
    #[serde(skip)]
    pub service: Histogram,
    /// The latencies of each row of `series`, coarsely: for a heat map.
    #[serde(skip)]
    pub slices: Vec<Slice>,
}

/// Parts of an octave that [`Slice::cells`] tells apart.
pub const CELLS_PER_OCTAVE: u32 = 8;

/// The latencies of one row of the series, coarsely. A row has at most some three hundred cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Start, in seconds since the run's start (warm-up included).
    pub t: f64,
    /// Length in seconds.
    pub seconds: f64,
    /// Part of the warm-up.
    pub warmup: bool,
    /// 99.9th percentile, in microseconds; 0 without an answer.
    pub p999_us: f64,
    /// Cell and count, by rising cell: cell `i` holds latencies from `2^(i / 8)` ns up to the next cell's.
    pub cells: Vec<(u32, u64)>,
}

impl Slice {
    pub(crate) fn of(row: &Window, warmup: bool) -> Self {
        let mut cells: Vec<(u32, u64)> = Vec::new();
        for (low, high, count) in row.latency.iter() {
            let middle = (low + (high - low) / 2).max(1) as f64;
            let cell = (middle.log2() * f64::from(CELLS_PER_OCTAVE)) as u32;
            match cells.last_mut() {
                Some(last) if last.0 == cell => last.1 += count,
                _ => cells.push((cell, count)),
            }
        }
        Self {
            t: row.start_ns as f64 / 1e9,
            seconds: row.seconds(),
            warmup,
            p999_us: micros(row.latency.quantile(0.999)),
            cells,
        }
    }
}

/// Answers 2xx, and how many of them came soon enough: what a service under too much load still does for its users.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Good {
    /// The longest latency of a good answer, in microseconds.
    pub within_us: f64,
    /// Good answers that were measured.
    pub total: u64,
    /// Good answers per second.
    pub rps: f64,
    /// Good answers by status code.
    pub status: BTreeMap<u16, u64>,
    /// Latencies of all measured answers 2xx, good or late, from the due time (closed loop: from the send).
    pub success_us: Latency,
}

/// Some quantiles of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest value, exact.
    pub max: f64,
    /// Mean, exact.
    pub mean: f64,
}

/// One second of the run; rows at a change of phase may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Second {
    /// Start, in seconds since the run's start (warm-up included).
    pub t: f64,
    /// Length in seconds.
    pub seconds: f64,
    /// Part of the warm-up: in no statistics.
    pub warmup: bool,
    /// Answers per second.
    pub rps: f64,
    /// Requests that were due per second (of a Poisson process: expected; without a schedule: sent).
    pub offered_rps: f64,
    /// Requests sent per second.
    pub sent_rps: f64,
    /// Median latency of the answers in this second, in microseconds.
    pub p50: f64,
    /// 99th percentile, in microseconds.
    pub p99: f64,
    /// Errors in this second, statuses 4xx and 5xx included.
    pub errors: u64,
    /// Good answers per second; 0 unless the run says what is good.
    pub good_rps: f64,
    /// 99th percentile of the answers 2xx in this second, in microseconds; 0 likewise.
    pub success_p99: f64,
}

/// A point of the percentile curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The quantile, 0 to 1.
    pub q: f64,
    /// Latency from the due time, in microseconds.
    pub latency_us: f64,
    /// Latency from the send, in microseconds.
    pub service_us: f64,
}

/// What was asked under one label.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LabelReport {
    /// Complete answers.
    pub requests: u64,
    /// Requests without a complete answer.
    pub failed: u64,
    /// From the due time.
    pub latency_us: Latency,
    /// All of `latency_us`.
    #[serde(skip)]
    pub latency: Histogram,
}

/// How a run was set up, for its report.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) url: String,
    pub(crate) mode: Mode,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) good_within: Option<Duration>,
}

impl Latency {
    /// The quantiles of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram) -> Self {
        let at = |q| micros(histogram.quantile(q));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(histogram.max()),
            mean: micros(histogram.mean() as u64),
        }
    }
}

impl Report {
    pub(crate) fn new(setup: Setup, totals: Totals) -> Self {
        let measured = &totals.measured;
        let counts = &measured.counts;
        let duration_s = totals.duration_s();
        let per_second = |count: u64| if duration_s > 0.0 { count as f64 / duration_s } else { 0.0 };
        let sent_rps = per_second(counts.sent);
        let offered_rps = match totals.due {
            Some(due) if duration_s > 0.0 => due / duration_s,
            _ => sent_rps,
        };
        let self_check = totals.self_check(setup.mode, offered_rps, sent_rps);
        let mut latency = measured.latency.clone();
        latency.merge(&totals.drained.latency);
        let mut service = measured.service.clone();
        service.merge(&totals.drained.service);
        if setup.mode == Mode::Closed {
            service = latency.clone(); // due when sent
        }
        let errors = ErrorClass::ALL.into_iter().map(|class| (class, totals.errors(class)));
        let cpu_ns: u64 = totals.threads.iter().map(|thread| thread.cpu_ns).sum();
        Self {
            interrupted: totals.interrupted,
            requests: counts.answered,
            sent_total: totals.whole.sent,
            answered_total: totals.whole.answered,
            failed_total: totals.whole.failed,
            unanswered_at_end: totals.whole.unanswered,
            backlog_at_end: totals.backlog,
            censored: counts.censored + totals.drained.counts.censored,
            censored_from_us: totals.censored_from_us(),
            errors: errors.filter(|&(_, count)| count > 0).collect(),
            status: counts.status.0.iter().copied().collect(),
            status_total: totals.whole.status.0.iter().copied().collect(),
            good: setup.good_within.map(|within| good(within, measured, duration_s)),
            rps: round(per_second(counts.answered), 10.0),
            offered_rps: round(offered_rps, 10.0),
            sent_rps: round(sent_rps, 10.0),
            duration_s: round(duration_s, 1e3),
            warmup_s: round(totals.warmup_s(), 1e3),
            latency_us: Latency::of(&latency),
            service_us: Latency::of(&service),
            lag_us: Latency::of(&measured.lag),
            connect_us: Latency::of(&measured.connect),
            cpu_us_per_request: round(cpu_ns as f64 / 1e3 / counts.answered.max(1) as f64, 100.0),
            cpu_shares: self_check.cpu_shares.iter().map(|&share| round(share, 1e3)).collect(),
            run_delay_shares: self_check.run_delay_shares.iter().map(|&share| round(share, 1e3)).collect(),
            bytes_received: counts.bytes_in,
            validity: judge(&self_check),
            self_test: None,
            slo: Vec::new(),
            notes: notes(&totals, &self_check),
            latency_hdr: hdr_base64(&latency),
            service_hdr: hdr_base64(&service),
            percentiles: curve(&latency, &service),
            labels: BTreeMap::new(),
            unfinished_users: None,
            latency,
            service,
            url: setup.url,
            mode: setup.mode,
            connections: setup.connections,
            threads: setup.threads,
            series: totals.series,
            slices: totals.slices,
        }
    }

    /// Errors over attempts, both measured, statuses 4xx included; 0 if there was no attempt.
    pub fn error_rate(&self) -> f64 {
        let errors: u64 = self.errors.values().sum();
        let transport: u64 =
            self.errors.iter().filter(|(class, _)| class.is_transport()).map(|(_, count)| count).sum();
        let attempts = self.requests + transport;
        if attempts == 0 { 0.0 } else { errors as f64 / attempts as f64 }
    }

    /// The numbers must not be used.
    pub fn is_invalid(&self) -> bool {
        self.validity.verdict == Verdict::Invalid
    }
}

fn good(within: Duration, measured: &Window, duration_s: f64) -> Good {
    let total = measured.counts.good.total();
    Good {
        within_us: micros(within.as_nanos() as u64),
        total,
        rps: if duration_s > 0.0 { round(total as f64 / duration_s, 10.0) } else { 0.0 },
        status: measured.counts.good.0.iter().copied().collect(),
        success_us: Latency::of(&measured.success),
    }
}

fn notes(totals: &Totals, check: &SelfCheck) -> Vec<String> {
    let mut notes = Vec::new();
    if totals.interrupted {
        notes.push("the run was ended early".to_owned());
    }
    if totals.warmup_unsteady {
        notes.push("the target was not steady when the warm-up's limit was reached".to_owned());
    }
    let missed = check.sent_rps < check.offered_rps * MIN_SENT_SHARE;
    if check.open_loop && missed && (check.shed > 0 || check.backlog > 0 && check.waited_share > 0.0) {
        let shed = match check.shed {
            0 => String::new(),
            shed => format!(", {shed} were given up at their deadline"),
        };
        notes.push(format!(
            "the server did not keep up: {:.0} requests/s were due, {:.0} were sent{shed}, and {} were still due at the \
             end (every connection was busy); latencies count from the due time",
            check.offered_rps, check.sent_rps, check.backlog
        ));
    }
    if let Some(from) = totals.censored_from_us() {
        notes.push(format!(
            "{} latencies are lower bounds (timed out, unanswered or never sent): quantiles from {from:.0} us on may be \
             larger than shown",
            totals.measured.counts.censored + totals.drained.counts.censored
        ));
    }
    notes
}

/// Points at which the curve has an equal number of 9s more: 0.5, 0.75, 0.875, ... and the maximum.
fn curve(latency: &Histogram, service: &Histogram) -> Vec<CurvePoint> {
    let mut points = vec![0.0, 0.1, 0.25];
    let mut rest = 0.5;
    while rest * latency.count() as f64 >= 1.0 {
        points.push(1.0 - rest);
        points.push(1.0 - rest * 0.75);
        rest /= 2.0;
    }
    points.push(1.0);
    let at = |histogram: &Histogram, q| micros(histogram.quantile(q));
    points
        .into_iter()
        .map(|q| CurvePoint { q, latency_us: at(latency, q), service_us: at(service, q) })
        .collect()
}

/// Nanoseconds as microseconds with one decimal.
pub(crate) fn micros(ns: u64) -> f64 {
    round(ns as f64 / 1e3, 10.0)
}

/// Rounds to so many parts of one: numbers are read by people too.
pub(crate) fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_bounded_and_ends_at_the_maximum() {
        let mut histogram = Histogram::new();
        (1..=1_000_000u64).for_each(|value| histogram.record(value * 1_000));
        let points = curve(&histogram, &histogram);
        assert!(points.len() < 60, "{}", points.len());
        assert!(
            points.windows(2).all(|pair| pair[0].q < pair[1].q && pair[0].latency_us <= pair[1].latency_us)
        );
        assert_eq!(points.last().unwrap().latency_us, 1_000_000.0);
    }

    #[test]
    fn a_slice_keeps_every_count_in_rising_cells() {
        let mut row = Window::starting_at(0);
        (1..=5_000u64).for_each(|micros| row.latency.record(micros * 1_000));
        let slice = Slice::of(&row, true);
        assert_eq!(slice.cells.iter().map(|(_, count)| count).sum::<u64>(), 5_000);
        assert!(slice.cells.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let low = 2f64.powf(f64::from(slice.cells[0].0) / 8.0);
        assert!(low <= 1_000.0 && slice.cells.len() <= 8 * 13 + 1, "{low} {}", slice.cells.len());
    }

    #[test]
    fn an_empty_histogram_has_a_curve_of_zeros() {
        let points = curve(&Histogram::new(), &Histogram::new());
        assert!(points.iter().all(|point| point.latency_us == 0.0));
    }
}
