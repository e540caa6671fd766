//! What a run is asked to do, as plain values. Checked once, by [`Load::new`](crate::Load::new) and
//! [`run_users`](crate::users::run_users).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use seawall_core::ConfigError;

use crate::compile::Compiled;
use crate::dial::ConnectConfig;
use crate::engine::session::SessionConfig;
use crate::form::FormPart;
use crate::schedule::{Arrivals, Pace, Profile, Stage};
use crate::target::Target;
use crate::tls::{TlsClient, TlsConfig};

/// Most connections of one run: each needs a file descriptor, and towards one address a client port.
pub const MAX_CONNECTIONS: usize = 60_000;
/// Most generator threads.
pub const MAX_THREADS: usize = 256;
/// Longest duration, warm-up and timeout.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// Highest rate in requests per second.
pub const MAX_RATE: f64 = 10_000_000.0;
/// Most requests on one connection at once.
pub const MAX_PIPELINE: usize = 1_000;
/// Most stages of an open loop.
pub const MAX_STAGES: usize = 1_000;
/// Most given times of an open loop.
pub const MAX_TIMES: usize = 10_000_000;

/// How long the target may warm up before anything is measured. What is sent then is in
/// [`Report::sent_total`](crate::Report::sent_total) and, flagged, in the series; in no other number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// Until throughput and median have been steady for a moment, at least 1 s, at most half of the measurement (but
    /// 1 s to 10 s). None where nothing becomes steady or nothing may be sent twice: stages, given times, and a given
    /// number of requests.
    Auto,
    /// Exactly this long; zero measures from the first request.
    Fixed(Duration),
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: agreed on by TLS (ALPN), or by prior knowledge on `http` URLs.
    Http2,
    /// WebSocket: each body is a message, and its answer is the next message that comes. The fields are those of the
    /// handshake.
    WebSocket,
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
    /// How long is measured; the warm-up comes before. Default 10 s. Stages and given times bring their own.
    pub duration: Duration,
    /// So many requests are sent in all, or fewer if the duration is over before. Default: no limit.
    pub requests: Option<u64>,
    /// `None` (default) is a closed loop. `Some(rate)` is an open loop: so many requests per second are due, however
    /// slow the answers are.
    pub rate: Option<f64>,
    /// Instead of `rate`: an open loop whose rate changes. A given warm-up comes before, at the first stage's rate.
    /// Default none.
    pub stages: Vec<Stage>,
    /// Instead of `rate`: an open loop with a request at each of these times after the start. Default none.
    pub times: Vec<Duration>,
    /// How the requests of `rate` and `stages` lie in time. Default evenly.
    pub arrivals: Arrivals,
    /// Open loop only: a request that was due so long ago and still has no connection is given up and counted as
    /// `deadline_shed`. Default: it waits until the end of the run.
    pub deadline: Option<Duration>,
    /// Open loop only: when a request is due and no connection is free, more are opened, up to this many. Default:
    /// as many as `connections`, so none.
    pub max_conns: Option<usize>,
    /// The method. Default `GET`.
    pub method: String,
    /// Fields added to each request. `Host` replaces the one from the URL. Default none.
    pub headers: Vec<(String, String)>,
    /// The body of each request; `Content-Length` is set from it. Default empty.
    pub body: Vec<u8>,
    /// A form instead of the body (`multipart/form-data`). Default none.
    pub form: Vec<FormPart>,
    /// Path, values of fields, the body and texts of the form are templates: `{{seq}}`, `{{rand 1 6}}`, `{{uuid}}`,
    /// `{{csv.COLUMN}}`. They are compiled once. Default false: braces are braces.
    pub templates: bool,
    /// A CSV file with the rows of `{{csv.COLUMN}}`. Default none.
    pub data: Option<PathBuf>,
    /// Where the random numbers of templates begin. Default 1.
    pub seed: u64,
    /// Instead of method, path, fields and body: these requests, one after the other, and again from the first;
    /// whole, as [`Request::render`](crate::Request::render) makes them. With `times`, each has its own. Default none.
    pub list: Vec<Vec<u8>>,
    /// Where connections go and come from. Default: to the URL's host.
    pub connect: ConnectConfig,
    /// For `https` URLs.
    pub tls: TlsConfig,
    /// False closes a connection after each answer, and says so in the request. Default true.
    pub keep_alive: bool,
    /// A connection is closed after so many requests, and a new one is opened. Default: as long as the server keeps it.
    pub requests_per_connection: Option<u64>,
    /// An answer is good if its status is 2xx and it is complete so soon after it was due (closed loop: sent); the
    /// report has [`Report::good`](crate::Report::good) then. From 1 ms. Default none.
    pub good_within: Option<Duration>,
    /// Length of a row of the report's series, rounded up to 250 ms. From 250 ms. Default 1 s.
    pub series_every: Duration,
    /// What is spoken. Default HTTP/1.1.
    pub protocol: Protocol,
    /// Requests on one connection at once, sent without waiting for the answers before: pipelining of HTTP/1.1, streams
    /// of HTTP/2, messages of WebSocket. Default 1.
    pub pipeline: usize,
    /// Default [`WarmUp::Auto`].
    pub warmup: WarmUp,
    /// How long a request may wait for its complete answer, counted from the send. Also how long the end of the run
    /// waits for the last answers. Default 5 s.
    pub timeout: Duration,
    /// How long a connection may take to be made. Default 2 s.
    pub connect_timeout: Duration,
    /// The threads never sleep: no wake-up of theirs is in a latency, at the cost of a whole CPU each. Default false.
    pub busy_poll: bool,
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
            requests: None,
            rate: None,
            stages: Vec::new(),
            times: Vec::new(),
            arrivals: Arrivals::Even,
            deadline: None,
            max_conns: None,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            form: Vec::new(),
            templates: false,
            data: None,
            seed: 1,
            list: Vec::new(),
            connect: ConnectConfig::default(),
            tls: TlsConfig::default(),
            keep_alive: true,
            requests_per_connection: None,
            good_within: None,
            series_every: Duration::from_secs(1),
            protocol: Protocol::Http1,
            pipeline: 1,
            warmup: WarmUp::Auto,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            busy_poll: false,
            cpus: None,
            interrupt: Arc::default(),
        }
    }
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) target: Target,
    pub(crate) compiled: Compiled,
    pub(crate) seed: u64,
    pub(crate) connect: ConnectConfig,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) session: Arc<SessionConfig>,
    pub(crate) requests_per_connection: u64,
    pub(crate) pipeline: usize,
    pub(crate) pace: Pace,
    pub(crate) requests: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) connections: usize,
    pub(crate) max_conns: usize,
    pub(crate) threads: usize,
    pub(crate) duration: Duration,
    pub(crate) warmup: WarmUp,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) busy_poll: bool,
    pub(crate) good_within: Option<Duration>,
    pub(crate) series_every: Duration,
    pub(crate) cpus: Vec<usize>,
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl Checked {
    pub(crate) fn new(config: &LoadConfig) -> Result<Self, ConfigError> {
        let target = Target::parse(&config.url)?;
        let compiled = Compiled::new(config, &target)?;
        config.connect.check()?;
        let tls = target
            .tls
            .then(|| TlsClient::new(&config.tls, &target.name, &[alpn(config.protocol)]))
            .transpose()?;
        let session = Arc::new(SessionConfig {
            protocol: config.protocol,
            tls: target.tls,
            host: target.host.clone(),
            path: target.path.clone(),
            headers: config.headers.clone(),
        });
        let Timing { pace, warmup, duration } = Timing::new(config)?;
        let open = !matches!(pace, Pace::Closed);
        let connections = in_range("load.connections", config.connections, MAX_CONNECTIONS)?;
        let max_conns = config.max_conns.unwrap_or(connections);
        if max_conns < connections || max_conns > MAX_CONNECTIONS {
            let allowed = format!("{connections} (the connections) to {MAX_CONNECTIONS}");
            return Err(ConfigError::new("load.max_conns", max_conns, allowed));
        }
        if config.requests == Some(0) {
            return Err(ConfigError::new("load.requests", 0, "at least 1"));
        }
        if let Some(deadline) = config.deadline {
            in_time("load.deadline", deadline, Duration::from_millis(1))?;
            if !open {
                let allowed = "left out in a closed loop: nothing is due there before it can be sent";
                return Err(ConfigError::new("load.deadline", format!("{deadline:?}"), allowed));
            }
        }
        Ok(Self {
            compiled,
            seed: config.seed,
            connect: config.connect.clone(),
            tls,
            session,
            requests_per_connection: requests_per_connection(config)?,
            pipeline: in_range("load.pipeline", config.pipeline, MAX_PIPELINE)?,
            target,
            pace,
            requests: config.requests,
            deadline: config.deadline,
            connections,
            max_conns: if open { max_conns } else { connections },
            threads: in_range("load.threads", config.threads, MAX_THREADS)?.min(connections),
            duration,
            warmup,
            timeout: in_time("load.timeout", config.timeout, Duration::from_millis(1))?,
            connect_timeout: in_time(
                "load.connect_timeout",
                config.connect_timeout,
                Duration::from_millis(1),
            )?,
            busy_poll: config.busy_poll,
            good_within: config.good_within.map_or(Ok(None), |within| {
                in_time("load.good_within", within, Duration::from_millis(1)).map(Some)
            })?,
            series_every: in_time("load.series_every", config.series_every, Duration::from_millis(250))?,
            cpus: cpus("load.cpus", config.cpus.as_deref())?,
            interrupt: Arc::clone(&config.interrupt),
        })
    }
}

fn alpn(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http1 | Protocol::WebSocket => b"http/1.1",
        Protocol::Http2 => b"h2",
    }
}

fn requests_per_connection(config: &LoadConfig) -> Result<u64, ConfigError> {
    match (config.requests_per_connection, config.keep_alive) {
        (Some(0), _) => Err(ConfigError::new("load.requests_per_connection", 0, "at least 1")),
        (Some(requests @ 2..), false) => {
            let allowed = "1, or left out, without keep-alive";
            Err(ConfigError::new("load.requests_per_connection", requests, allowed))
        }
        (_, false) => Ok(1),
        (requests, true) => Ok(requests.unwrap_or(u64::MAX)),
    }
}

/// When what is sent, and how long.
struct Timing {
    pace: Pace,
    warmup: WarmUp,
    duration: Duration,
}

impl Timing {
    fn new(config: &LoadConfig) -> Result<Self, ConfigError> {
        if let WarmUp::Fixed(warmup) = config.warmup {
            in_time("load.warmup", warmup, Duration::ZERO)?;
        }
        let given =
            [config.rate.is_some(), !config.stages.is_empty(), !config.times.is_empty()].map(usize::from);
        if given.iter().sum::<usize>() > 1 {
            return Err(ConfigError::new("load.rate", "given twice", "one of rate, stages and times"));
        }
        if !config.times.is_empty() {
            return Self::of_times(config);
        }
        if !config.stages.is_empty() {
            return Self::of_stages(config);
        }
        let pace = match config.rate {
            None => Pace::Closed,
            Some(rate) => {
                let rate = rate_in_range("load.rate", rate, f64::MIN_POSITIVE)?;
                Pace::Rate(Arc::new(Profile::constant(rate)), config.arrivals)
            }
        };
        let warmup = match config.warmup {
            WarmUp::Auto if config.requests.is_some() => WarmUp::Fixed(Duration::ZERO),
            warmup => warmup,
        };
        let duration = in_time("load.duration", config.duration, Duration::from_millis(1))?;
        Ok(Self { pace, warmup, duration })
    }

    /// What rises and falls never looks steady, so an automatic warm-up is none. A given one comes first, at the rate
    /// of the first stage.
    fn of_stages(config: &LoadConfig) -> Result<Self, ConfigError> {
        in_range("load.stages", config.stages.len(), MAX_STAGES)?;
        for stage in &config.stages {
            in_time("load.stages", stage.duration, Duration::from_millis(1))?;
            rate_in_range("load.stages", stage.from, 0.0)?;
            rate_in_range("load.stages", stage.to, 0.0)?;
        }
        if config.stages.iter().all(|stage| stage.from + stage.to == 0.0) {
            return Err(ConfigError::new("load.stages", "0 throughout", "above 0 in one stage at least"));
        }
        let warmup = match config.warmup {
            WarmUp::Auto => Duration::ZERO,
            WarmUp::Fixed(warmup) => warmup,
        };
        let mut stages = vec![Stage::constant(warmup, config.stages[0].from)];
        stages.extend(&config.stages);
        let duration = config.stages.iter().map(|stage| stage.duration).sum();
        Ok(Self {
            pace: Pace::Rate(Arc::new(Profile::of_stages(&stages)), config.arrivals),
            warmup: WarmUp::Fixed(warmup),
            duration: in_time("load.stages", duration, Duration::from_millis(1))?,
        })
    }

    fn of_times(config: &LoadConfig) -> Result<Self, ConfigError> {
        in_range("load.times", config.times.len(), MAX_TIMES)?;
        if matches!(config.warmup, WarmUp::Fixed(warmup) if !warmup.is_zero()) {
            let allowed = "0 with given times: what is replayed is measured from its first request";
            return Err(ConfigError::new("load.warmup", format!("{:?}", config.warmup), allowed));
        }
        let mut times: Vec<u64> = config.times.iter().map(|time| time.as_nanos() as u64).collect();
        times.sort_unstable();
        // The run ends when all are answered; this is its limit. A last request that is late is still sent.
        let last = Duration::from_nanos(times.last().copied().unwrap_or_default());
        let limit = in_time("load.times", last, Duration::ZERO)? + config.timeout;
        Ok(Self { pace: Pace::Times(times.into()), warmup: WarmUp::Fixed(Duration::ZERO), duration: limit })
    }
}

fn rate_in_range(field: &'static str, rate: f64, min: f64) -> Result<f64, ConfigError> {
    if (min..=MAX_RATE).contains(&rate) {
        return Ok(rate);
    }
    let least = if min > 0.0 { "above 0" } else { "0 or more" };
    Err(ConfigError::new(field, rate, format!("{least}, at most {MAX_RATE} per second")))
}

pub(crate) fn in_range(field: &'static str, value: usize, max: usize) -> Result<usize, ConfigError> {
    if (1..=max).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::new(field, value, format!("1 to {max}")))
    }
}

pub(crate) fn in_time(field: &'static str, value: Duration, min: Duration) -> Result<Duration, ConfigError> {
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
    fn stages_bring_their_duration_and_no_automatic_warm_up() {
        let second = Duration::from_secs(1);
        let stages = vec![Stage::constant(second, 10.0), Stage { duration: second, from: 10.0, to: 0.0 }];
        let checked = Checked::new(&LoadConfig { stages: stages.clone(), ..config() }).unwrap();
        assert_eq!((checked.duration, checked.warmup), (2 * second, WarmUp::Fixed(Duration::ZERO)));
        let warmup = WarmUp::Fixed(3 * second);
        let warm = Checked::new(&LoadConfig { stages, warmup, ..config() }).unwrap();
        assert_eq!(warm.duration, 2 * second);
        // Three seconds at 10 before the stages.
        assert_eq!(warm.pace.expected_between(0, 4_000_000_000), Some(40.0));
    }

    #[test]
    fn stages_without_any_request_are_refused() {
        let stages = vec![Stage::constant(Duration::from_secs(1), 0.0)];
        let expected = "`load.stages` is 0 throughout, but must be above 0 in one stage at least";
        check(&LoadConfig { stages, ..config() }, expected);
        let stages = vec![Stage::constant(Duration::from_secs(1), -5.0)];
        let expected = "`load.stages` is -5, but must be 0 or more, at most 10000000 per second";
        check(&LoadConfig { stages, ..config() }, expected);
    }

    #[test]
    fn a_run_has_one_pace() {
        let times = vec![Duration::ZERO];
        let expected = "`load.rate` is given twice, but must be one of rate, stages and times";
        check(&LoadConfig { rate: Some(1.0), times, ..config() }, expected);
    }

    #[test]
    fn a_deadline_needs_something_due() {
        let error =
            Checked::new(&LoadConfig { deadline: Some(Duration::from_secs(1)), ..config() }).unwrap_err();
        assert!(error.to_string().contains("left out in a closed loop"), "{error}");
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
