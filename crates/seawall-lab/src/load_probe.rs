//! A [`Probe`] made with `seawall-load`: open loop, latency from the intended send time, the generator's own verdict.
//!
//! One probe is one run: a warm-up at the new rate, the measurement, and the wait for the last answers, after which the
//! service is idle again. The confidence interval of p99 is by order statistics.

use std::time::Instant;

use seawall_core::{ConfigError, Histogram};
use seawall_load::{Load, LoadConfig, LoadError, Report};

use crate::clock;
use crate::drive::{Probe, Probed};
use crate::report::{LoadPoint, Quantile};
use crate::search::{Estimate, Measurement};

/// Sends load at the rate that the search asks for.
#[derive(Debug)]
pub struct LoadProbe {
    config: LoadConfig,
    origin: Instant,
}

/// Why a probe could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadProbeError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The generator could not work.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl LoadProbe {
    /// Probes as `config` says, at the rate the search asks for. Times count from `origin`.
    pub fn new(config: LoadConfig, origin: Instant) -> Self {
        Self { config, origin }
    }
}

impl Probe for LoadProbe {
    type Error = LoadProbeError;

    fn probe(&mut self, rate: f64, watch: &mut dyn FnMut(&LoadPoint)) -> Result<Probed, LoadProbeError> {
        let load = Load::new(&LoadConfig { rate: Some(rate), ..self.config.clone() })?;
        let start_s = clock::now().saturating_duration_since(self.origin).as_secs_f64();
        let mut seen = 0.0;
        let report = load.run(&mut |tick| {
            let length_s = tick.elapsed_s - seen;
            seen = tick.elapsed_s;
            watch(&LoadPoint {
                t_s: start_s + tick.elapsed_s - length_s,
                length_s,
                offered_rps: rate,
                achieved_rps: tick.rps,
                errors_per_s: tick.errors as f64 / length_s.max(1e-3),
                p50_ms: millis(tick.p50_us),
                p99_ms: millis(tick.p99_us),
                warmup: tick.warmup,
            });
        })?;
        Ok(probed(&report, rate, start_s))
    }
}

/// Microseconds as milliseconds; nothing was measured where the generator says 0.
fn millis(us: f64) -> Option<f64> {
    (us > 0.0).then_some(us / 1000.0)
}

fn probed(report: &Report, rate: f64, start_s: f64) -> Probed {
    let timeline = report.series.iter().map(|row| LoadPoint {
        t_s: start_s + row.t,
        length_s: row.seconds,
        offered_rps: rate,
        achieved_rps: row.rps,
        errors_per_s: row.errors as f64 / row.seconds.max(1e-3),
        p50_ms: millis(row.p50),
        p99_ms: millis(row.p99),
        warmup: row.warmup,
    });
    let curve = |value: fn(&seawall_load::CurvePoint) -> f64| {
        let points = report.percentiles.iter().filter(|point| value(point) > 0.0);
        points.map(|point| Quantile { q: point.q, ms: value(point) / 1000.0 }).collect()
    };
    let measured_from_s = start_s + report.warmup_s;
    Probed {
        start_s,
        measured_from_s,
        end_s: measured_from_s + report.duration_s,
        measured: Measurement {
            offered_rps: rate,
            achieved_rps: report.rps,
            p99_ms: estimate(&report.latency, 0.99),
            error_rate: report.error_rate(),
            invalid: if report.is_invalid() { report.validity.reasons.clone() } else { Vec::new() },
            further: Vec::new(),
        },
        p50_ms: millis(report.latency_us.p50),
        requests: report.requests,
        timeline: timeline.collect(),
        intended: curve(|point| point.latency_us),
        service: curve(|point| point.service_us),
        generator_cpu_us: Some(report.cpu_us_per_request),
    }
}

/// A quantile in milliseconds with its 95 % confidence interval by order statistics: the ranks of `n` independent
/// values around the quantile's spread by `sqrt(n q (1 - q))`. NaN without a value.
pub(crate) fn estimate(histogram: &Histogram, q: f64) -> Estimate {
    let n = histogram.count() as f64;
    if n == 0.0 {
        return Estimate::exact(f64::NAN);
    }
    let margin = 1.96 * (q * (1.0 - q) / n).sqrt();
    let at = |q: f64| histogram.quantile(q.clamp(0.0, 1.0)) as f64 / 1e6;
    Estimate { low: at(q - margin), value: at(q), high: at(q + margin) }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use seawall_load::WarmUp;

    use super::*;

    #[test]
    fn the_interval_of_a_quantile_narrows_with_the_number_of_values() {
        let (mut few, mut many) = (Histogram::new(), Histogram::new());
        (1..=1000u64).for_each(|i| few.record(i * 1_000_000));
        (1..=1000u64).for_each(|i| many.record_n(i * 1_000_000, 100));
        let (few, many) = (estimate(&few, 0.99), estimate(&many, 0.99));
        assert!(few.low < few.value && few.value < few.high, "{few:?}");
        assert!(many.high - many.low < (few.high - few.low) / 5.0, "{many:?} {few:?}");
    }

    #[test]
    fn nothing_measured_is_not_a_number() {
        assert!(estimate(&Histogram::new(), 0.99).value.is_nan());
    }

    /// Answers every request of every connection until the test ends.
    fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let (mut stream, mut line) = (stream, String::new());
                    while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                        if line == "\r\n"
                            && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err()
                        {
                            return;
                        }
                        line.clear();
                    }
                });
            }
        });
        url
    }

    #[test]
    fn a_probe_of_a_real_server_counts_what_was_asked() {
        let config = LoadConfig {
            url: server(),
            connections: 4,
            duration: Duration::from_millis(500),
            warmup: WarmUp::Fixed(Duration::from_millis(250)),
            ..LoadConfig::default()
        };
        let mut ticks = 0;
        let probed = LoadProbe::new(config, clock::now()).probe(200.0, &mut |_| ticks += 1).unwrap();
        assert!((90..=110).contains(&probed.requests), "{}", probed.requests);
        assert_eq!(probed.measured.offered_rps, 200.0);
        assert!(probed.measured_from_s > probed.start_s && probed.end_s > probed.measured_from_s);
        assert!(
            probed.timeline.iter().any(|point| point.warmup)
                && probed.timeline.iter().any(|point| !point.warmup)
        );
        assert!(!probed.intended.is_empty() && !probed.service.is_empty());
    }

    #[test]
    fn a_url_that_is_none_is_refused() {
        let error = LoadProbe::new(LoadConfig::default(), clock::now()).probe(10.0, &mut |_| {}).unwrap_err();
        assert!(matches!(error, LoadProbeError::Config(_)), "{error}");
    }
}
