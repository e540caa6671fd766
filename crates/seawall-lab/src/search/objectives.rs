//! Objectives as a user writes them, `p99<20ms,p99.9<100ms,err<0.1%`, for a search that needs to know how sure a quantile is.
//!
//! A subset of what `seawall load --slo` takes: quantiles and the share of errors. What else there is (mean, rate) has no
//! interval, and no place in a search for the highest load.

use seawall_core::ConfigError;

use super::{Estimate, Judgement, Slo};

const ALLOWED: &str = "a list such as p99<20ms,p99.9<100ms,err<0.1%";

/// A quantile of latency and its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// 0 to 1.
    pub quantile: f64,
    /// Milliseconds.
    pub limit_ms: f64,
}

/// All objectives of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Objectives {
    /// As they were given.
    pub text: String,
    /// The quantiles; the strictest first.
    pub latency: Vec<Objective>,
    /// Share of errors that is allowed.
    pub max_error_rate: f64,
}

impl Objectives {
    /// Parses a list. Without `err`, 0.1 % of the requests may fail.
    ///
    /// # Errors
    /// Names the part that is no objective, and what would be one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut found = Self { text: text.trim().to_owned(), latency: Vec::new(), max_error_rate: 0.001 };
        for part in text.split(',').map(str::trim) {
            let refused = || ConfigError::new("slo", format!("`{part}`"), ALLOWED);
            let (name, value) = part.split_once('<').ok_or_else(refused)?;
            let value = value.trim_start_matches('=').trim();
            match name.trim() {
                "err" => found.max_error_rate = share(value).ok_or_else(refused)?,
                name => {
                    let percent: f64 = name.strip_prefix('p').and_then(number).ok_or_else(refused)?;
                    let limit_ms = millis(value).filter(|ms| *ms > 0.0).ok_or_else(refused)?;
                    if !(percent > 0.0 && percent < 100.0) {
                        return Err(refused());
                    }
                    found.latency.push(Objective { quantile: percent / 100.0, limit_ms });
                }
            }
        }
        if found.latency.is_empty() {
            return Err(ConfigError::new(
                "slo",
                format!("`{text}`"),
                "at least one quantile, such as p99<20ms",
            ));
        }
        Ok(found)
    }

    /// The part that the search judges by itself: errors, and an answered rate. Quantiles are judged by [`Self::judge`].
    pub fn slo(&self) -> Slo {
        Slo { p99_ms: 3_600_000.0, max_error_rate: self.max_error_rate, ..Slo::default() }
    }

    /// Requests that a probe needs, so that ten lie beyond the highest quantile.
    pub fn samples(&self) -> f64 {
        let highest = self.latency.iter().map(|objective| objective.quantile).fold(0.5, f64::max);
        (10.0 / (1.0 - highest)).min(100_000.0)
    }

    /// What does not hold, or is too close to say. `of` is the quantile with its interval, milliseconds.
    pub fn judge(&self, of: impl Fn(f64) -> Estimate) -> Vec<(Judgement, String)> {
        let judge = |objective: &Objective| {
            let Objective { quantile, limit_ms } = *objective;
            let estimate = of(quantile);
            let name = format!("p{}", (quantile * 1e6).round() / 1e4);
            if estimate.low > limit_ms || estimate.value.is_nan() {
                return Some((
                    Judgement::Fail,
                    format!("{name} {:.2} ms is over {limit_ms} ms", estimate.value),
                ));
            }
            let close = format!("{name} {:.2} ms is too close to {limit_ms} ms to say", estimate.value);
            (estimate.high > limit_ms).then_some((Judgement::Marginal, close))
        };
        self.latency.iter().filter_map(judge).collect()
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

fn millis(text: &str) -> Option<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    units.into_iter().find_map(|(unit, factor)| Some(number(text.strip_suffix(unit)?)? * factor))
}

fn share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent)? / 100.0,
        None => number(text)?,
    };
    (share < 1.0).then_some(share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_is_read_with_its_units() {
        let found = Objectives::parse("p99<20ms, p99.9<=1.5s,err<1%").unwrap();
        assert_eq!(found.latency[1], Objective { quantile: 0.9990000000000001, limit_ms: 1500.0 });
        assert_eq!((found.latency[0].limit_ms, found.max_error_rate), (20.0, 0.01));
        assert!((found.samples() - 10_000.0).abs() < 1.0);
    }
    fn refused(text: &str) {
        assert_eq!(Objectives::parse(text).unwrap_err().field(), "slo", "{text}");
    }
    #[test]
    fn what_is_no_objective_is_refused() {
        ["", "p99", "p99<20", "p100<1s", "p0<1s", "q<1ms", "err<2", "err<1%", "p99<0ms", "rps<5"]
            .into_iter()
            .for_each(refused);
    }
    #[test]
    fn a_quantile_is_over_close_or_under() {
        let objectives = Objectives::parse("p99<20ms").unwrap();
        let judge = |low, high| objectives.judge(|_| Estimate { low, value: f64::midpoint(low, high), high });
        assert_eq!(judge(10.0, 19.0), []);
        assert_eq!(judge(19.0, 21.0)[0].0, Judgement::Marginal);
        assert_eq!(judge(21.0, 22.0), [(Judgement::Fail, "p99 21.50 ms is over 20 ms".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Objectives::parse(&text);
        }
    }
}
