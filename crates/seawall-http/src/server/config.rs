//! Limits and timeouts of the server: plain data, checked once when the app is built.

use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_guard::{AdmissionConfig, Pressure, PressureConfig};

/// Limits and timeouts of the server. All are on by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Worker threads, each with a runtime of its own. 1 to 1024. Default: one per core.
    pub workers: Option<usize>,
    /// Connections held at once; further ones wait in the kernel's queue. 1 to 1,000,000. Default: 0.8 x the
    /// process's limit on open files, at most 65,536.
    pub max_connections: u32,
    /// Requests queued or in flight at once in the whole process; a further one is answered 503 before it becomes a
    /// request, from bytes that are ready, and counted in `seawall_http_refused_total`. A last line of defence behind
    /// `admission`: it does not know what the service can do. 1 to 10,000,000. Default 65,536.
    pub max_in_flight: u32,
    /// How requests are admitted under load: the adaptive limit, the queue and the deadline; see
    /// [`AdmissionConfig`]. `None` switches all of that off, and only `max_in_flight` is left. Default: on.
    pub admission: Option<AdmissionConfig>,
    /// TLS handshakes that compute at once in the whole process, from the client's first message until it has its answer;
    /// further ones wait for their turn, in the order in which they came, within their own timeout. A handshake takes
    /// about a millisecond of a core, in one piece: this bounds how long a crowd of newcomers keeps a worker from the
    /// requests that it has. A client that does not go on after the answer holds nobody up. 1 to 1,000,000. Default 32.
    pub max_handshakes: u32,
    /// How long a worker may not let go, because of a handler that computes or blocks, until the log says so, with the
    /// stack of its thread if seawall-observe is there to take it. `None` switches the watchdog off. 10 ms to 1 h. Default
    /// 100 ms.
    pub stuck_after: Option<Duration>,
    /// Where nothing new is begun because memory or file handles are nearly used up.
    pub pressure: PressureConfig,
    /// How long the kernel's queue of connections may get; the kernel cuts it to `net.core.somaxconn`. At least 1.
    /// Default 4096.
    pub backlog: u16,
    /// From a request's first byte to the end of its head, the detection of HTTP/2 included; from its acceptance, for
    /// a connection's first. The connection is closed then. More than zero. Default 10 s.
    pub head_timeout: Duration,
    /// How long a connection may stay open between requests. More than zero. Default 60 s.
    pub idle_timeout: Duration,
    /// How long a client may take for the next piece of a body that a handler reads; a 408 then, if the handler passes
    /// on what it gets. More than zero. Default 30 s.
    pub body_gap_timeout: Duration,
    /// How long a client may leave an answer unread before its connection is cut. More than zero. Default 30 s.
    pub write_stall_timeout: Duration,
    /// Whether a client that has closed its sending side still gets its answer. The other end of a connection looks the
    /// same when it is closed and when it is half closed: by default it counts as gone, and the handler that it
    /// waits for is dropped. Requests that came before and are answered without a wait are always answered. Default
    /// false.
    pub half_close: bool,
    /// Bytes of a request's head; more is a 431. 8 KiB to 1 MiB. Default 32 KiB.
    pub max_head_bytes: usize,
    /// Header fields of a request; more is a 431. 1 to 1000. Default 100.
    pub max_headers: usize,
    /// Bytes of a request's body, counted on the stream; more is a 413. Default 2 MiB.
    pub body_limit: usize,
    /// Threads for blocking work per runtime. 1 to 512. Default 16.
    pub max_blocking_threads: usize,
    /// How long connections may take to end once the server drains; what is left then is cut. Default 30 s.
    pub shutdown_timeout: Duration,

    /// How long the server goes on accepting after it was told to stop and has said so
    /// ([`Server::on_drain`](crate::Server::on_drain)): the time in which a balancer hears of it. At most 1 h. Default
    /// 0 s; behind a balancer, 5 s or twice its check interval.
    pub drain_delay: Duration,
    /// How old a connection may get, give or take a tenth, so that connections that were made together do not end
    /// together; then it ends as in a drain, after the request that it is on. At least 1 s. Default: any age.
    pub max_connection_age: Option<Duration>,
    /// Requests that one connection may carry; it ends after the last one. At least 1. Default: any number.
    pub max_requests_per_connection: Option<u32>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            workers: None,
            max_connections: max_connections(open_file_limit()),
            max_in_flight: 65_536,
            admission: Some(AdmissionConfig::default()),
            max_handshakes: 32,
            stuck_after: Some(Duration::from_millis(100)),
            pressure: PressureConfig::default(),
            backlog: 4096,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_gap_timeout: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(30),
            half_close: false,
            max_head_bytes: 32 << 10,
            max_headers: 100,
            body_limit: 2 << 20,
            max_blocking_threads: 16,
            shutdown_timeout: Duration::from_secs(30),

            drain_delay: Duration::ZERO,
            max_connection_age: None,
            max_requests_per_connection: None,
        }
    }
}

impl ServerConfig {
    /// The first field that cannot be used.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self {
            workers,
            max_connections,
            max_in_flight,
            admission,
            max_handshakes,
            stuck_after,
            pressure,
            backlog,
            head_timeout,
            idle_timeout,
            body_gap_timeout,
            write_stall_timeout,
            half_close: _,
            max_head_bytes,
            max_headers,
            body_limit: _,
            max_blocking_threads,
            shutdown_timeout: _,

            drain_delay,
            max_connection_age,
            max_requests_per_connection,
        } = self;
        admission.as_ref().map_or(Ok(()), AdmissionConfig::check)?;
        Pressure::new(pressure)?;
        within("server.workers", workers.unwrap_or(1), 1, 1024)?;
        within("server.max_connections", *max_connections as usize, 1, 1_000_000)?;
        within("server.max_in_flight", *max_in_flight as usize, 1, 10_000_000)?;
        within("server.max_handshakes", *max_handshakes as usize, 1, 1_000_000)?;
        if let Some(time) = stuck_after.filter(|time| !(SHORTEST_STUCK..=LONGEST_STUCK).contains(time)) {
            return Err(ConfigError::new("server.stuck_after", format!("{time:?}"), "10 ms to 1 h"));
        }
        within("server.backlog", usize::from(*backlog), 1, usize::from(u16::MAX))?;
        within("server.max_head_bytes", *max_head_bytes, 8 << 10, 1 << 20)?;
        within("server.max_headers", *max_headers, 1, 1000)?;
        within("server.max_blocking_threads", *max_blocking_threads, 1, 512)?;
        for (field, timeout) in [
            ("server.head_timeout", head_timeout),
            ("server.idle_timeout", idle_timeout),
            ("server.body_gap_timeout", body_gap_timeout),
            ("server.write_stall_timeout", write_stall_timeout),
        ] {
            if timeout.is_zero() {
                return Err(ConfigError::new(field, "0s", "more than zero"));
            }
        }
        if *drain_delay > LONGEST_DELAY {
            return Err(ConfigError::new("server.drain_delay", format!("{drain_delay:?}"), "at most 1 h"));
        }
        if let Some(age) = max_connection_age.filter(|age| *age < SHORTEST_AGE) {
            return Err(ConfigError::new("server.max_connection_age", format!("{age:?}"), "at least 1 s"));
        }
        if *max_requests_per_connection == Some(0) {
            return Err(ConfigError::new("server.max_requests_per_connection", 0, "at least 1"));
        }
        Ok(())
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    }

    pub(crate) fn in_flight_cap(&self) -> NonZeroU32 {
        NonZeroU32::new(self.max_in_flight).unwrap_or(NonZeroU32::MIN)
    }

    pub(crate) fn connection_cap(&self) -> NonZeroU32 {
        NonZeroU32::new(self.max_connections).unwrap_or(NonZeroU32::MIN)
    }
}

/// A drain that takes longer to begin is a mistake of units.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// Younger connections would cost more to make than they carry.
const SHORTEST_AGE: Duration = Duration::from_secs(1);

/// Any busy worker takes shorter turns than this; nobody waits for longer than that.
const SHORTEST_STUCK: Duration = Duration::from_millis(10);
const LONGEST_STUCK: Duration = Duration::from_secs(3600);

/// An age with up to a tenth more or less, as `random` says, which is 0 to `u16::MAX`.
pub(super) fn jittered(age: Duration, random: u16) -> Duration {
    let share = 0.9 + 0.2 * f64::from(random) / f64::from(u16::MAX);
    age.mul_f64(share)
}

fn within(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(field, value, format_args!("{min} to {max}")))
}

/// A fifth is left for files, upstream connections and the like.
fn max_connections(open_files: u64) -> u32 {
    (open_files / 5 * 4).clamp(1, 65_536) as u32
}

/// The soft limit, from `/proc`, since std has no call for it; 1024, the usual one, where that cannot be read.
pub(super) fn open_file_limit() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    parse_open_files(&limits).unwrap_or(1024)
}

fn parse_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(ServerConfig::default().check(), Ok(()));
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut ServerConfig), problem: &str) {
        let mut config = ServerConfig::default();
        change(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), problem);
    }

    #[test]
    fn a_bad_value_is_named_with_its_range() {
        refused(|c| c.workers = Some(0), "`server.workers` is 0, but must be 1 to 1024");
        refused(|c| c.max_head_bytes = 100, "`server.max_head_bytes` is 100, but must be 8192 to 1048576");
        refused(|c| c.max_handshakes = 0, "`server.max_handshakes` is 0, but must be 1 to 1000000");
        let short = Some(Duration::from_millis(9));
        refused(|c| c.stuck_after = short, "`server.stuck_after` is 9ms, but must be 10 ms to 1 h");
        refused(
            |c| c.head_timeout = Duration::ZERO,
            "`server.head_timeout` is 0s, but must be more than zero",
        );
        refused(
            |c| c.drain_delay = Duration::from_secs(5_000),
            "`server.drain_delay` is 5000s, but must be at most 1 h",
        );
        refused(
            |c| c.max_connection_age = Some(Duration::from_millis(20)),
            "`server.max_connection_age` is 20ms, but must be at least 1 s",
        );
        refused(
            |c| c.max_requests_per_connection = Some(0),
            "`server.max_requests_per_connection` is 0, but must be at least 1",
        );
    }

    #[test]
    fn an_age_varies_by_a_tenth() {
        let age = Duration::from_secs(100);
        assert_eq!(jittered(age, 0), Duration::from_secs(90));
        assert_eq!(jittered(age, u16::MAX), Duration::from_secs(110));
    }

    #[test]
    fn connections_leave_a_fifth_of_the_files() {
        assert_eq!(max_connections(1024), 816);
        assert_eq!(max_connections(u64::MAX), 65_536);
        assert_eq!(max_connections(0), 1);
    }

    #[test]
    fn reads_the_limit_as_linux_writes_it() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files            20000                1048576      files\n";
        assert_eq!(parse_open_files(text), Some(20_000));
        assert_eq!(parse_open_files("Max open files unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(parse_open_files("nothing of the kind"), None);
    }
}
