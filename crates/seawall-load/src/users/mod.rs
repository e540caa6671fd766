//! Virtual users: thousands of clients that decide themselves what to send next, on a bounded set of keep-alive
//! connections.
//!
//! A [`User`] is a state machine. It hears what became of its last request and says what it sends next, and after
//! which pause. Latency counts from the time when a request was due, so users that wait for a free connection are
//! not forgotten. Nothing here waits or reads a clock on a user's behalf: the same events give the same requests.
//!
//! Left out: more than one request of a user at a time.

mod population;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::config::{Protocol, WarmUp, cpus, in_range, in_time};
use crate::dial::{ConnectConfig, Dial};
use crate::drive::{Plan, Tick, drive};
use crate::engine::EngineConfig;
use crate::engine::session::SessionConfig;
use crate::error::{ErrorClass, LoadError};
use crate::report::{LabelReport, Latency, Mode, Report, Setup};
use crate::schedule::Pace;
use crate::target::Target;
use crate::tls::{TlsClient, TlsConfig};
use crate::{MAX_CONNECTIONS, MAX_THREADS};
use population::Population;

/// Most users of one run.
pub const MAX_USERS: usize = 1_000_000;

/// A client that decides what to send. It lives on one generator thread; its methods must not block.
pub trait User: Send {
    /// Called with [`Event::Start`] first, then once for each request that was sent. `now` is the time since the
    /// run's start: of the arrival, of the complete answer, or of the failure.
    fn next(&mut self, event: Event<'_>, now: Duration) -> Step;

    /// What the user thinks of an answer; called before [`next`](Self::next) hears of it. By default the status says
    /// it.
    fn judge(&mut self, answer: &Answer<'_>) -> Opinion {
        let _ = answer;
        Opinion::ByStatus
    }
}

/// What a user thinks of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It is an error if its status is 400 or above.
    ByStatus,
    /// It is none, whatever its status.
    Expected,
    /// It is one, of class [`ExpectFailed`](crate::ErrorClass::ExpectFailed), whatever its status.
    Unexpected,
}

/// What a user hears.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The user arrives.
    Start,
    /// The last request was answered completely.
    Answer(Answer<'a>),
    /// The last request got no complete answer.
    Failed {
        /// Why.
        class: ErrorClass,
        /// When it was sent; `None` if it never left, so that it cannot have had an effect.
        sent: Option<Duration>,
    },
}

/// A complete answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// When the request was sent, since the run's start.
    pub sent: Duration,
    /// The body, at most 1 MiB (a larger one is a failure of class `too_large`).
    pub body: &'a [u8],
    head: &'a [u8],
}

impl<'a> Answer<'a> {
    /// An answer made by hand, to test a [`User`] without a server. `head` is the status line, the fields and the
    /// empty line.
    pub fn new(status: u16, sent: Duration, head: &'a [u8], body: &'a [u8]) -> Self {
        Self { status, sent, body, head }
    }

    /// The first field of this name (in any case) whose value is text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let head = std::str::from_utf8(self.head).ok()?;
        let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// What a user does next.
#[derive(Debug)]
pub enum Step {
    /// Sends a request.
    Send {
        /// As what it is counted in [`Report::labels`], for example `create order`.
        label: &'static str,
        /// The whole request; [`Request::render`](crate::Request::render) makes it.
        request: Vec<u8>,
        /// The pause before it is due.
        after: Duration,
        /// How long its answer may take after the send, and how long it may wait for a connection before.
        timeout: Duration,
    },
    /// Leaves.
    Done,
}

/// How users are run.
#[derive(Debug, Clone)]
pub struct UsersConfig {
    /// The target, for example `http://127.0.0.1:8080`; its path is not used. No default.
    pub url: String,
    /// Keep-alive connections that all users share. Default 256.
    pub connections: usize,
    /// Generator threads; users stay on theirs. Default 1.
    pub threads: usize,
    /// Users that are not done by then are counted as unfinished. Default 60 s.
    pub time_limit: Duration,
    /// How long the last answers are awaited after the time limit. Default 5 s.
    pub drain: Duration,
    /// How long a connection may take to be made. Default 2 s.
    pub connect_timeout: Duration,
    /// Where connections go and come from. Default: to the URL's host.
    pub connect: ConnectConfig,
    /// For `https` URLs.
    pub tls: TlsConfig,
    /// CPUs for the generator threads, as in [`LoadConfig`](crate::LoadConfig). Default: not pinned.
    pub cpus: Option<Vec<usize>>,
    /// Set it to true to end the run early.
    pub interrupt: Arc<AtomicBool>,
}

impl Default for UsersConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            connections: 256,
            threads: 1,
            time_limit: Duration::from_secs(60),
            drain: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            connect: ConnectConfig::default(),
            tls: TlsConfig::default(),
            cpus: None,
            interrupt: Arc::default(),
        }
    }
}

/// Runs users that arrive at the given times until all are done or the time limit is reached, and blocks so long.
///
/// Each request is counted; there is no warm-up. The observer is called once per second and may end the run.
///
/// # Errors
/// The configuration cannot be used, the host has no address, or the generator itself could not work.
pub fn run_users(
    config: &UsersConfig,
    users: Vec<(Duration, Box<dyn User>)>,
    observer: &mut dyn FnMut(&Tick),
) -> Result<Report, LoadError> {
    let target = Target::parse(&config.url)?;
    let connections = in_range("users.connections", config.connections, MAX_CONNECTIONS)?;
    let threads = in_range("users.threads", config.threads, MAX_THREADS)?.min(connections);
    in_range("users.users", users.len(), MAX_USERS)?;
    config.connect.check()?;
    let tls = target.tls.then(|| TlsClient::new(&config.tls, &target.name, &[b"http/1.1"])).transpose()?;
    let session = Arc::new(SessionConfig {
        protocol: Protocol::Http1,
        tls: target.tls,
        host: target.host.clone(),
        path: target.path.clone(),
        headers: Vec::new(),
    });
    let dial = Arc::new(Dial::new(&config.connect, &target)?);
    let plan = Plan {
        url: target.url.clone(),
        warmup: WarmUp::Fixed(Duration::ZERO),
        duration: in_time("users.time_limit", config.time_limit, Duration::from_millis(1))?,
        cpus: cpus("users.cpus", config.cpus.as_deref())?,
        interrupt: Arc::clone(&config.interrupt),
        connections,
        pace: Pace::Closed,
        series_every: Duration::from_secs(1),
    };
    let drain = in_time("users.drain", config.drain, Duration::ZERO)?;
    let connect_timeout = in_time("users.connect_timeout", config.connect_timeout, Duration::from_millis(1))?;
    let mut parts: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, user) in users.into_iter().enumerate() {
        parts[number % threads].push(user);
    }
    let works = parts.into_iter().enumerate().map(|(thread, users)| {
        let connections = connections / threads + usize::from(thread < connections % threads);
        let engine = EngineConfig {
            dial: Arc::clone(&dial),
            tls: tls.clone(),
            session: Arc::clone(&session),
            threads,
            pipeline: 1,
            requests_per_connection: u64::MAX,
            direct: true,
            connections,
            max_conns: connections,
            connect_timeout_ns: connect_timeout.as_nanos() as u64,
            busy_poll: false,
            good_within_ns: None,
            drain_ns: drain.as_nanos() as u64,
            first_window_ns: plan.first_window_ns(),
        };
        (engine, Population::new(users))
    });
    let (totals, populations) = drive(&plan, works.collect(), observer)?;
    let setup = Setup { url: target.url, mode: Mode::Users, connections, threads, good_within: None };
    let mut report = Report::new(setup, totals);
    add_labels(&mut report, &populations);
    Ok(report)
}

fn add_labels(report: &mut Report, populations: &[Population]) {
    report.unfinished_users = Some(populations.iter().map(Population::unfinished).sum());
    for population in populations {
        for (&label, counts) in population.labels() {
            let sum = report.labels.entry(label).or_default();
            sum.requests += counts.requests;
            sum.failed += counts.failed;
            sum.latency.merge(&counts.latency);
        }
    }
    for LabelReport { latency, latency_us, .. } in report.labels.values_mut() {
        *latency_us = Latency::of(latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_an_answer_are_found_in_any_case() {
        let head = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After:  2 \r\n\r\n";
        let answer = Answer { status: 503, sent: Duration::ZERO, body: b"", head };
        assert_eq!(answer.header("retry-after"), Some("2"));
        assert_eq!(answer.header("http/1.1 503 busy"), None);
    }
}
