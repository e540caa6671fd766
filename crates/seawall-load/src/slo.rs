//! Service-level objectives: `p99<50ms,err<0.1%`. Parsed once, judged against a [`Report`].
//!
//! Pure. A run whose generator was the limit is judged by nobody: see [`Report::judge_slos`]. A quantile of which only
//! a lower bound is known can break an objective, but never meet one.

use seawall_core::{ConfigError, Histogram};
use serde::Serialize;

use crate::report::Report;
use crate::validity::Verdict;

/// Most objectives of a run.
const MAX_SLOS: usize = 100;
/// A quantile may be off by this part of itself.
const BUCKET_ERROR: f64 = 0.008;
const ALLOWED: &str = "a list such as p99<50ms,p99.9<200ms,mean<10ms,max<1s,err<0.1%,rps>5000; `service.p99` counts \
                       from the send instead of the due time";

/// One objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    text: String,
    measure: Measure,
    below: bool,
    /// `<=` and `>=`.
    or_equal: bool,
    limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    /// In microseconds; from the send if `service`.
    Latency { of: Point, service: bool },
    /// As a part of one.
    ErrorRate,
    /// Answers per second.
    Rate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    Quantile(f64),
    Mean,
}

/// What became of an objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SloResult {
    /// The objective as it was given.
    pub slo: String,
    /// What was measured, in the unit of the objective's kind: microseconds, a part of one, or answers per second.
    pub measured: f64,
    /// The objective is met.
    pub met: bool,
    /// Only a lower bound of the measured value is known.
    pub lower_bound: bool,
}

impl Slo {
    /// Parses a list of objectives.
    ///
    /// # Errors
    /// Names the objective that is none, and what would be one.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, ConfigError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > MAX_SLOS {
            return Err(ConfigError::new("load.slo", parts.len(), format!("at most {MAX_SLOS} objectives")));
        }
        let parse = |part: &&str| {
            Self::parse(part).ok_or_else(|| ConfigError::new("load.slo", format!("`{part}`"), ALLOWED))
        };
        parts.iter().map(parse).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let at = text.find(['<', '>'])?;
        let (name, rest) = text.split_at(at);
        let below = rest.starts_with('<');
        let (or_equal, value) = match rest[1..].strip_prefix('=') {
            Some(value) => (true, value.trim()),
            None => (false, rest[1..].trim()),
        };
        let measure = measure(name.trim())?;
        let limit = match measure {
            Measure::Latency { .. } => micros(value)?,
            Measure::ErrorRate => match value.strip_suffix('%') {
                Some(percent) => number(percent)? / 100.0,
                None => number(value)?,
            },
            Measure::Rate => match value.strip_suffix(['k', 'K']) {
                Some(thousands) => number(thousands)? * 1e3,
                None => number(value)?,
            },
        };
        Some(Self { text: text.to_owned(), measure, below, or_equal, limit })
    }

    /// Judges a report. Nothing measured meets no objective.
    pub fn judge(&self, report: &Report) -> SloResult {
        let (measured, lower_bound) = match self.measure {
            Measure::Latency { of, service } => {
                let histogram = if service { &report.service } else { &report.latency };
                let measured = of.of(histogram);
                let censored = report.censored_from_us.filter(|_| !service);
                (
                    measured,
                    censored.is_some_and(|from| measured >= from * (1.0 - BUCKET_ERROR) || of == Point::Mean),
                )
            }
            Measure::ErrorRate => (report.error_rate(), false),
            Measure::Rate => (report.rps, false),
        };
        let within = match (self.below, self.or_equal) {
            (true, false) => measured < self.limit,
            (true, true) => measured <= self.limit,
            (false, false) => measured > self.limit,
            (false, true) => measured >= self.limit,
        };
        let proven = !(lower_bound && self.below);
        let met = within && proven && report.requests > 0;
        SloResult { slo: self.text.clone(), measured, met, lower_bound }
    }
}

impl Point {
    fn of(self, histogram: &Histogram) -> f64 {
        match self {
            Self::Quantile(q) => histogram.quantile(q) as f64 / 1e3,
            Self::Mean => histogram.mean() / 1e3,
        }
    }
}

impl Report {
    /// Judges the objectives and keeps the results in the report. An objective needs a valid run: a closed loop whose
    /// generator was busy all the time is invalid then, because what it measured is not the server's.
    pub fn judge_slos(&mut self, slos: &[Slo]) {
        self.slo = slos.iter().map(|slo| slo.judge(self)).collect();
        if !slos.is_empty() && self.validity.verdict == Verdict::GeneratorBound {
            self.validity.verdict = Verdict::Invalid;
            self.validity.reasons.push("no objective can be judged by it".to_owned());
        }
    }

    /// An objective was not met.
    pub fn breaks_slo(&self) -> bool {
        self.slo.iter().any(|result| !result.met)
    }
}

fn measure(name: &str) -> Option<Measure> {
    let (service, name) = match name.strip_prefix("service.") {
        Some(name) => (true, name),
        None => (false, name),
    };
    let of = match name {
        "mean" => Point::Mean,
        "max" => Point::Quantile(1.0),
        "err" if !service => return Some(Measure::ErrorRate),
        "rps" if !service => return Some(Measure::Rate),
        _ => {
            let percent = number(name.strip_prefix('p')?)?;
            Point::Quantile((0.0..=100.0).contains(&percent).then_some(percent / 100.0)?)
        }
    };
    Some(Measure::Latency { of, service })
}

/// A time in microseconds; its unit is not left out.
fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.into_iter().find_map(|(unit, factor)| Some(number(text.strip_suffix(unit)?)? * factor))
}

/// Digits and a point; no sign, no exponent.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, measure: Measure, below: bool, limit: f64) {
        let slo = Slo::parse(text).unwrap();
        assert_eq!((slo.measure, slo.below, slo.limit), (measure, below, limit), "{text}");
    }

    #[test]
    fn objectives_have_units() {
        let of = |percent: f64| Measure::Latency { of: Point::Quantile(percent / 100.0), service: false };
        check("p99<50ms", of(99.0), true, 50_000.0);
        check("p99.9 <= 1.5s", of(99.9), true, 1_500_000.0);
        check("max<900us", of(100.0), true, 900.0);
        check("service.mean<1s", Measure::Latency { of: Point::Mean, service: true }, true, 1e6);
        check("err<0.1%", Measure::ErrorRate, true, 0.001);
        check("err<0.5", Measure::ErrorRate, true, 0.5);
        check("rps>5k", Measure::Rate, false, 5_000.0);
    }

    #[test]
    fn what_is_no_objective_is_refused_by_name() {
        for text in
            ["", "p99", "p99<50", "p101<1s", "p<1s", "q<1", "err<-1", "rps>1e3", "service.err<1%", "p99=1s"]
        {
            let error = Slo::parse_all(&format!("max<1s,{text}")).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`load.slo` is `{text}`, but must be a list such as")),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,40}") {
            let _ = Slo::parse_all(&text);
        }
    }
}
