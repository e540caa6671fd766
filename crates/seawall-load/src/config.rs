//! What a run is asked to do, as plain values. Checked once, by [`Load::new`](crate::Load::new) and
//! [`run_users`](crate::users::run_users).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use seawall_core::ConfigError;

use crate::request::Request;
use crate::schedule::Pace;
use crate::target::Target;

/// Most connections of one run: each needs a file descriptor, and towards one address a client port.
pub const MAX_CONNECTIONS: usize = 60_000;
/// Most generator threads.
pub const MAX_THREADS: usize = 256;
/// Longest duration, warm-up and timeout.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// Highest rate in requests per second.
pub const MAX_RATE: f64 = 10_000_000.0;

/// How long the target may warm up before anything is measured. What is sent then is in
/// [`Report::sent_total`](crate::Report::sent_total) and, flagged, in the series; in no other number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// Until throughput and median have been steady for a moment, at least 1 s, at most half of the measurement (but
    /// 1 s to 10 s).
    Auto,
    /// Exactly this long; zero measures from the first request.
    Fixed(Duration),
}

/// One run of the load generator.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// The target: `http://host[:port]/path?query`. No default.
    pub url: String,
    /// Keep-alive connections. Default 64.
    pub connections: usize,
    /// Generator threads, among which connections and rate are divided. Default 1. Never more than connections.
    pub threads: usize,
    /// How long is measured; the warm-up comes before. Default 10 s.
    pub duration: Duration,
    /// `None` (default) is a closed loop. `Some(rate)` is an open loop: so many requests per second are due, however
    /// slow the answers are.
    pub rate: Option<f64>,
    /// Open loop only: when a request is due and no connection is free, more are opened, up to this many. Default:
    /// as many as `connections`, so none.
    pub max_conns: Option<usize>,
    /// The method. Default `GET`.
    pub method: String,
    /// Fields added to each request. `Host` replaces the one from the URL. Default none.
    pub headers: Vec<(String, String)>,
    /// The body of each request; `Content-Length` is set from it. Default empty.
    pub body: Vec<u8>,
    /// Default [`WarmUp::Auto`].
    pub warmup: WarmUp,
    /// How long a request may wait for its complete answer, counted from the send. Also how long the end of the run
    /// waits for the last answers. Default 5 s.
    pub timeout: Duration,
    /// How long a connection may take to be made. Default 2 s.
    pub connect_timeout: Duration,
    /// CPUs for the generator threads: thread `k` is pinned to `cpus[k % len]`. Default: not pinned.
    pub cpus: Option<Vec<usize>>,
    /// Set it to true from anywhere, a signal handler included, to end the run early. The report is still made.
    pub interrupt: Arc<AtomicBool>,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            connections: 64,
            threads: 1,
            duration: Duration::from_secs(10),
            rate: None,
            max_conns: None,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            warmup: WarmUp::Auto,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            cpus: None,
            interrupt: Arc::default(),
        }
    }
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) target: Target,
    pub(crate) request: Vec<u8>,
    pub(crate) head_only: bool,
    pub(crate) pace: Pace,
    pub(crate) connections: usize,
    pub(crate) max_conns: usize,
    pub(crate) threads: usize,
    pub(crate) duration: Duration,
    pub(crate) warmup: WarmUp,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) cpus: Vec<usize>,
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl Checked {
    pub(crate) fn new(config: &LoadConfig) -> Result<Self, ConfigError> {
        let target = Target::parse(&config.url)?;
        let request = Request {
            method: &config.method,
            path: &target.path,
            headers: &config.headers,
            body: &config.body,
        };
        let pace = match config.rate {
            None => Pace::Closed,
            Some(rate) if rate > 0.0 && rate <= MAX_RATE => Pace::Constant { rate },
            Some(rate) => {
                return Err(ConfigError::new(
                    "load.rate",
                    rate,
                    format!("above 0, at most {MAX_RATE} per second"),
                ));
            }
        };
        let connections = in_range("load.connections", config.connections, MAX_CONNECTIONS)?;
        let max_conns = config.max_conns.unwrap_or(connections);
        if max_conns < connections || max_conns > MAX_CONNECTIONS {
            let allowed = format!("{connections} (the connections) to {MAX_CONNECTIONS}");
            return Err(ConfigError::new("load.max_conns", max_conns, allowed));
        }
        if let WarmUp::Fixed(warmup) = config.warmup {
            duration("load.warmup", warmup, Duration::ZERO)?;
        }
        Ok(Self {
            request: request.render(&target.host)?,
            head_only: config.method == "HEAD",
            target,
            pace,
            connections,
            max_conns: if pace == Pace::Closed { connections } else { max_conns },
            threads: in_range("load.threads", config.threads, MAX_THREADS)?.min(connections),
            duration: duration("load.duration", config.duration, Duration::from_millis(1))?,
            warmup: config.warmup,
            timeout: duration("load.timeout", config.timeout, Duration::from_millis(1))?,
            connect_timeout: duration(
                "load.connect_timeout",
                config.connect_timeout,
                Duration::from_millis(1),
            )?,
            cpus: cpus("load.cpus", config.cpus.as_deref())?,
            interrupt: Arc::clone(&config.interrupt),
        })
    }
}

pub(crate) fn in_range(field: &'static str, value: usize, max: usize) -> Result<usize, ConfigError> {
    if (1..=max).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::new(field, value, format!("1 to {max}")))
    }
}

pub(crate) fn duration(field: &'static str, value: Duration, min: Duration) -> Result<Duration, ConfigError> {
    if (min..=MAX_DURATION).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::new(field, format!("{value:?}"), format!("{min:?} to 24 h")))
}

pub(crate) fn cpus(field: &'static str, cpus: Option<&[usize]>) -> Result<Vec<usize>, ConfigError> {
    match cpus {
        Some([]) => Err(ConfigError::new(field, "an empty list", "a list of CPU numbers, or nothing")),
        Some(cpus) => Ok(cpus.to_vec()),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LoadConfig {
        LoadConfig { url: "http://127.0.0.1:1/".to_owned(), ..LoadConfig::default() }
    }

    fn check(config: &LoadConfig, expected: &str) {
        assert_eq!(Checked::new(config).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_default_needs_only_a_url() {
        let checked = Checked::new(&config()).unwrap();
        assert_eq!((checked.connections, checked.max_conns, checked.threads), (64, 64, 1));
    }

    #[test]
    fn there_are_never_more_threads_than_connections() {
        let checked = Checked::new(&LoadConfig { threads: 8, connections: 3, ..config() }).unwrap();
        assert_eq!(checked.threads, 3);
    }

    #[test]
    fn no_connections_are_refused() {
        check(&LoadConfig { connections: 0, ..config() }, "`load.connections` is 0, but must be 1 to 60000");
    }

    #[test]
    fn a_rate_of_zero_is_refused() {
        check(
            &LoadConfig { rate: Some(0.0), ..config() },
            "`load.rate` is 0, but must be above 0, at most 10000000 per second",
        );
        assert!(Checked::new(&LoadConfig { rate: Some(f64::NAN), ..config() }).is_err());
    }

    #[test]
    fn fewer_max_conns_than_connections_are_refused() {
        check(
            &LoadConfig { max_conns: Some(3), ..config() },
            "`load.max_conns` is 3, but must be 64 (the connections) to 60000",
        );
    }

    #[test]
    fn a_timeout_of_zero_is_refused() {
        check(
            &LoadConfig { timeout: Duration::ZERO, ..config() },
            "`load.timeout` is 0ns, but must be 1ms to 24 h",
        );
    }
}
