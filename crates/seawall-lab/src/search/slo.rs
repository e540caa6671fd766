//! The service level objective, and the judgement of one measured probe against it.
//!
//! A pass must be proven: the upper end of the percentile's confidence interval lies under the limit. A failure must be
//! proven too. What is neither is [`Judgement::Marginal`], which the search treats as "the knee is about here".

use seawall_core::ConfigError;
use serde::{Deserialize, Serialize};

/// What the service promises. Plain numbers; [`Slo::check`] says whether they make sense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slo {
    /// The 99th percentile of latency, from the intended send time, stays under this many milliseconds. Default 50.
    pub p99_ms: f64,
    /// At most this share of requests may fail, 0.001 is 0.1 %. Default 0.001.
    pub max_error_rate: f64,
    /// At least this share of the offered rate must be answered in time. Default 0.99.
    pub min_achieved: f64,
}

impl Default for Slo {
    fn default() -> Self {
        Self { p99_ms: 50.0, max_error_rate: 0.001, min_achieved: 0.99 }
    }
}

/// A measured value with its confidence interval, `low <= value <= high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Lower end of the interval.
    pub low: f64,
    /// The measured value itself.
    pub value: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// A value taken as exact.
    pub fn exact(value: f64) -> Self {
        Self { low: value, value, high: value }
    }
}

/// What one probe at one rate showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Requests per second the generator set out to send.
    pub offered_rps: f64,
    /// Requests per second that were answered.
    pub achieved_rps: f64,
    /// 99th percentile of latency from the intended send time, in milliseconds.
    pub p99_ms: Estimate,
    /// Failed requests divided by all requests, 0 to 1.
    pub error_rate: f64,
    /// Why the numbers do not count, in words; empty when they do. Such a probe is repeated, never judged.
    pub invalid: Vec<String>,
    /// Further objectives that are broken or too close to say, each with its words. Those that hold are not in here.
    #[serde(default)]
    pub further: Vec<(Judgement, String)>,
}

/// What a measurement means for the rate it was taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// The objective held, beyond the noise of the measurement.
    Pass,
    /// The objective broke, beyond the noise of the measurement.
    Fail,
    /// Too close to the limit to say either.
    Marginal,
    /// The measurement itself is not to be trusted.
    Invalid,
}

impl Slo {
    /// Says whether the limits make sense.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { p99_ms, max_error_rate, min_achieved } = *self;
        if !(p99_ms > 0.0 && p99_ms <= 3_600_000.0) {
            return Err(ConfigError::new("slo.p99_ms", p99_ms, "more than 0 and at most one hour"));
        }
        if !(0.0..1.0).contains(&max_error_rate) {
            return Err(ConfigError::new("slo.max_error_rate", max_error_rate, "0 to less than 1"));
        }
        if !(min_achieved > 0.0 && min_achieved <= 1.0) {
            return Err(ConfigError::new("slo.min_achieved", min_achieved, "more than 0 and at most 1"));
        }
        Ok(())
    }

    /// Judges one probe, and says in words what broke (or why it does not count); no words for a pass.
    pub fn judge(&self, probe: &Measurement) -> (Judgement, Vec<String>) {
        if !probe.invalid.is_empty() {
            return (Judgement::Invalid, probe.invalid.clone());
        }
        let mut broken = Vec::new();
        if probe.p99_ms.low > self.p99_ms || probe.p99_ms.value.is_nan() {
            broken.push(format!("p99 {:.1} ms is over {} ms", probe.p99_ms.value, self.p99_ms));
        }
        if probe.error_rate > self.max_error_rate {
            let (is, limit) = (probe.error_rate * 100.0, self.max_error_rate * 100.0);
            broken.push(format!("{is:.2} % errors are over {limit} %"));
        }
        if probe.achieved_rps < probe.offered_rps * self.min_achieved {
            let share = 100.0 * probe.achieved_rps / probe.offered_rps.max(f64::MIN_POSITIVE);
            broken.push(format!(
                "{share:.1} % of the offered rate was answered, not {} %",
                self.min_achieved * 100.0
            ));
        }
        let further = |wanted: Judgement| {
            probe
                .further
                .iter()
                .filter(move |(judgement, _)| *judgement == wanted)
                .map(|(_, words)| words.clone())
        };
        broken.extend(further(Judgement::Fail));
        if !broken.is_empty() {
            return (Judgement::Fail, broken);
        }
        let close: Vec<String> = further(Judgement::Marginal).collect();
        if !close.is_empty() {
            return (Judgement::Marginal, close);
        }
        if probe.p99_ms.high > self.p99_ms {
            let words = format!("p99 {:.1} ms is too close to {} ms to say", probe.p99_ms.value, self.p99_ms);
            return (Judgement::Marginal, vec![words]);
        }
        (Judgement::Pass, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimate, Judgement, Measurement, Slo};

    fn check(p99: (f64, f64), errors: f64, achieved: f64, expected: Judgement) {
        let probe = Measurement {
            offered_rps: 1000.0,
            achieved_rps: achieved,
            p99_ms: Estimate { low: p99.0, value: f64::midpoint(p99.0, p99.1), high: p99.1 },
            error_rate: errors,
            invalid: Vec::new(),
            further: Vec::new(),
        };
        let (judgement, words) = Slo::default().judge(&probe);
        assert_eq!(judgement, expected, "{words:?}");
        assert_eq!(
            words.is_empty(),
            judgement == Judgement::Pass,
            "words exactly when there is something to say"
        );
    }

    #[test]
    fn passes_when_the_whole_interval_is_under_the_limit() {
        check((20.0, 49.9), 0.0, 1000.0, Judgement::Pass);
    }
    #[test]
    fn fails_when_the_whole_interval_is_over_the_limit() {
        check((50.1, 60.0), 0.0, 1000.0, Judgement::Fail);
    }
    #[test]
    fn is_marginal_when_the_interval_straddles_the_limit() {
        check((45.0, 55.0), 0.0, 1000.0, Judgement::Marginal);
    }
    #[test]
    fn fails_on_errors_alone() {
        check((1.0, 2.0), 0.002, 1000.0, Judgement::Fail);
    }
    #[test]
    fn errors_at_the_limit_still_pass() {
        check((1.0, 2.0), 0.001, 1000.0, Judgement::Pass);
    }
    #[test]
    fn fails_when_the_rate_is_not_achieved() {
        check((1.0, 2.0), 0.0, 989.0, Judgement::Fail);
    }
    #[test]
    fn a_probe_without_answers_fails() {
        check((f64::NAN, f64::NAN), 0.0, 0.0, Judgement::Fail);
    }

    #[test]
    fn an_invalid_probe_is_never_judged() {
        let probe = Measurement {
            offered_rps: 1000.0,
            achieved_rps: 10.0,
            p99_ms: Estimate::exact(900.0),
            error_rate: 1.0,
            invalid: vec!["the generator was at 97 % CPU".into()],
            further: vec![(Judgement::Fail, "p99.9".into())],
        };
        assert_eq!(Slo::default().judge(&probe).0, Judgement::Invalid);
    }

    #[test]
    fn a_further_objective_can_break_a_probe_or_leave_it_open() {
        let probe = |further| Measurement {
            offered_rps: 10.0,
            achieved_rps: 10.0,
            p99_ms: Estimate::exact(1.0),
            error_rate: 0.0,
            invalid: Vec::new(),
            further: vec![(further, "p99.9".into())],
        };
        assert_eq!(Slo::default().judge(&probe(Judgement::Fail)), (Judgement::Fail, vec!["p99.9".into()]));
        assert_eq!(Slo::default().judge(&probe(Judgement::Marginal)).0, Judgement::Marginal);
    }

    #[test]
    fn a_limit_out_of_range_is_named() {
        let slo = Slo { max_error_rate: 1.0, ..Slo::default() };
        assert!(slo.check().unwrap_err().to_string().starts_with("`slo.max_error_rate` is 1"));
        assert!(Slo { p99_ms: f64::NAN, ..Slo::default() }.check().is_err());
    }
}
