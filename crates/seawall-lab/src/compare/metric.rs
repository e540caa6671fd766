//! What is compared, which direction is better, and on which scale an effect is told.

use serde::{Deserialize, Serialize};

/// A number that every block has, unless it could not be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Answers per second.
    Throughput,
    /// Median latency, milliseconds.
    P50,
    /// 99th percentile, milliseconds.
    P99,
    /// 99.9th percentile, milliseconds.
    P999,
    /// CPU of the service per answer, microseconds.
    CpuPerRequest,
    /// Failed share, 0 to 1.
    ErrorRate,
}

/// Which direction is an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// How an effect is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// As a part of A: 0.05 is 5 % more.
    Relative,
    /// As a difference of shares: 0.05 is 5 percentage points more.
    Points,
}

impl Metric {
    /// All of them, in the order to show.
    pub const ALL: [Self; 6] =
        [Self::Throughput, Self::P50, Self::P99, Self::P999, Self::CpuPerRequest, Self::ErrorRate];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Throughput => "Throughput",
            Self::P50 => "Latency p50",
            Self::P99 => "Latency p99",
            Self::P999 => "Latency p99.9",
            Self::CpuPerRequest => "CPU per request",
            Self::ErrorRate => "Error rate",
        }
    }

    /// For command lines and JSON; [`Metric::parse`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::CpuPerRequest => "cpu_per_request",
            Self::ErrorRate => "error_rate",
        }
    }

    /// The metric of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Which direction is better.
    pub fn better(self) -> Better {
        match self {
            Self::Throughput => Better::Higher,
            Self::P50 | Self::P99 | Self::P999 | Self::CpuPerRequest | Self::ErrorRate => Better::Lower,
        }
    }

    /// How effects on it are told.
    pub fn scale(self) -> Scale {
        if self == Self::ErrorRate { Scale::Points } else { Scale::Relative }
    }

    /// The quantile that it is, for latencies.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
            Self::Throughput | Self::CpuPerRequest | Self::ErrorRate => None,
        }
    }

    /// A value with its unit, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Throughput => format!("{value:.0}/s"),
            Self::P50 | Self::P99 | Self::P999 if value >= 1.0 => format!("{value:.2} ms"),
            Self::P50 | Self::P99 | Self::P999 => format!("{:.0} µs", value * 1e3),
            Self::CpuPerRequest => format!("{value:.1} µs"),
            Self::ErrorRate => format!("{:.3} %", value * 100.0),
        }
    }

    /// A difference of two values on the metric's scale, as the logarithm of their ratio or as it is; none where one of
    /// them is missing or, on the relative scale, not above zero.
    pub(super) fn difference(self, a: f64, b: f64) -> Option<f64> {
        let difference = match self.scale() {
            Scale::Relative if a > 0.0 && b > 0.0 => (b / a).ln(),
            Scale::Relative => return None,
            Scale::Points => b - a,
        };
        difference.is_finite().then_some(difference)
    }

    /// A [`Self::difference`] as an effect: `exp(d) - 1` on the relative scale.
    pub(super) fn effect(self, difference: f64) -> f64 {
        match self.scale() {
            Scale::Relative => difference.exp_m1(),
            Scale::Points => difference,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::parse(metric.name()), Some(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
        assert_eq!(Metric::parse("latency"), None);
    }
    #[test]
    fn twice_as_much_is_a_hundred_percent_more() {
        let difference = Metric::P99.difference(2.0, 4.0).unwrap();
        assert!((Metric::P99.effect(difference) - 1.0).abs() < 1e-12);
        assert_eq!(Metric::P99.difference(0.0, 4.0), None);
    }
    #[test]
    fn errors_are_told_in_points() {
        assert_eq!(Metric::ErrorRate.difference(0.0, 0.25), Some(0.25));
        assert_eq!(Metric::ErrorRate.show(0.0003), "0.030 %");
    }
}
