//! The diagnosis at work: sends load at several levels, watches service and kernel meanwhile, takes a profile at the
//! highest, runs the experiment that it can run by itself, and hands everything to the rules.
//!
//! Blocks until it is done. It may be ended early by the interrupt flag of its load; what was seen until then is judged.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use seawall_core::{ConfigError, Histogram};
use seawall_load::{ErrorClass, Load, LoadConfig, LoadError, Report, Request, Tick, WarmUp};

use super::elasticity::Trial;
use super::facts::{Facts, Level, LoadFacts};
use super::model::{Diagnosis, Finding, LevelSummary};
use super::record::Recording;
use super::{assess, quick_ack, rules};
use crate::clock;
use crate::profile::Profile;
use crate::profile::fetch::Endpoint;
use crate::signals::series::{EvidenceLevel, PhaseSpan};
use crate::signals::service::{self, Service};
use crate::signals::watch::{Moment, WatchConfig, Watcher};
use crate::signals::window::Window;
use crate::signals::{http, table};

/// Levels at most.
const MAX_LEVELS: usize = 16;
/// Before the load and after it, the service is watched for so long.
const QUIET: Duration = Duration::from_millis(900);
/// How long the admin listener may take for its first answer.
const ENDPOINT_PATIENCE: Duration = Duration::from_secs(1);
/// Of each level, before it counts.
const SETTLE: Duration = Duration::from_millis(400);

/// What to diagnose and how. Checked by [`diagnose`].
#[derive(Debug, Clone)]
pub struct DiagnoseConfig {
    /// The request and where it goes; connections, duration, warm-up and rate are the diagnosis's own.
    pub load: LoadConfig,
    /// The service's first process. Default: whoever listens at the target's port, if that is on this machine.
    pub pid: Option<u32>,
    /// The admin listener of a Seawall service: its signals and its profiles. Default none.
    pub endpoint: Option<Endpoint>,
    /// Where the CPU quota's counters are. Default: found by the process's cgroup.
    pub cpu_stat: Option<PathBuf>,
    /// Connections per level, rising, 1 to 16 levels. Default 1, 8, 64.
    pub levels: Vec<usize>,
    /// Length of a level, 500 ms to 10 min. Default 2 s.
    pub length: Duration,
    /// Also a level with a connection of its own for each request. Default true.
    pub churn: bool,
    /// Take a CPU profile at the highest level, from the endpoint or by `perf`. Default true.
    pub profile: bool,
}

impl Default for DiagnoseConfig {
    fn default() -> Self {
        Self {
            load: LoadConfig::default(),
            pid: None,
            endpoint: None,
            cpu_stat: None,
            levels: vec![1, 8, 64],
            length: Duration::from_secs(2),
            churn: true,
            profile: true,
        }
    }
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum Step<'a> {
    /// The service was found: its first process and its name.
    Found(u32, &'a str),
    /// A part begins; how much of the whole is done, 0 to 1.
    Part(&'a str, f64),
    /// A second of load is over.
    Tick(&'a Tick),
}

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The generator could not work.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Nobody answers.
    #[error("nothing was answered at {url}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What went wrong, and how often.
        why: String,
    },
    /// The process that was named is not there.
    #[error("process {0} is not there, or may not be looked at")]
    NoProcess(u32),
}

/// Tries what the findings name.
type Attempt<'a> = dyn FnMut(&[Finding]) -> Vec<Result<Trial, String>> + 'a;

struct Run<'a> {
    config: &'a DiagnoseConfig,
    at: Option<SocketAddr>,
    service: Option<Service>,
    origin: Instant,
    phases: Vec<PhaseSpan>,
    spans: Vec<LevelSummary>,
    missing: Vec<String>,
    profiles: Vec<Profile>,
}

/// Loads the service, looks, and says what it found. Times in the result count from the call.
///
/// # Errors
/// When the configuration is refused, nobody answers, or the generator could not work.
pub fn diagnose(
    config: &DiagnoseConfig,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<Diagnosis, DiagnoseError> {
    diagnose_and_try(config, watch, &mut |_| Vec::new())
}

/// [`diagnose`] of a service that the caller may start again with another capacity. `attempt` is called once, when the load
/// is over, with the findings so far; it tries what they name, and says of what it could not try why. The findings are
/// then ranked anew.
///
/// # Errors
/// As [`diagnose`].
pub fn diagnose_and_try(
    config: &DiagnoseConfig,
    watch: &mut dyn FnMut(Step<'_>),
    attempt: &mut Attempt<'_>,
) -> Result<Diagnosis, DiagnoseError> {
    check(config)?;
    let at = address(&config.load);
    let pid = config.pid.or_else(|| at.and_then(find));
    let service = pid.map(|pid| {
        Service::new(pid, &at.map(|at| at.port()).into_iter().collect::<Vec<_>>(), config.cpu_stat.as_deref())
    });
    if let (Some(pid), Some(service)) = (config.pid, &service) {
        service.count(None).ok_or(DiagnoseError::NoProcess(pid))?;
    }
    let run = Run {
        config,
        at,
        service,
        origin: clock::now(),
        phases: Vec::new(),
        spans: Vec::new(),
        missing: Vec::new(),
        profiles: Vec::new(),
    };
    run.go(watch, attempt)
}

fn check(config: &DiagnoseConfig) -> Result<(), ConfigError> {
    let DiagnoseConfig { levels, length, .. } = config;
    if levels.is_empty() || levels.len() > MAX_LEVELS || !levels.is_sorted_by(|a, b| a < b) || levels[0] == 0
    {
        return Err(ConfigError::new(
            "diagnose.levels",
            format!("{levels:?}"),
            "1 to 16 rising numbers of connections",
        ));
    }
    if !(Duration::from_millis(500)..=Duration::from_secs(600)).contains(length) {
        return Err(ConfigError::new("diagnose.length", format!("{length:?}"), "500 ms to 10 min"));
    }
    Load::new(&LoadConfig { connections: levels[0], ..config.load.clone() }).map(drop)
}

/// Where the load goes, if it is plain TCP.
fn address(load: &LoadConfig) -> Option<SocketAddr> {
    if load.connect.unix.is_some() {
        return None;
    }
    let to = load.connect.to.clone().or_else(|| {
        let (scheme, rest) = load.url.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let port = if matches!(scheme, "https" | "wss") { 443 } else { 80 };
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Some(if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
    })?;
    to.to_socket_addrs().ok()?.next()
}

/// The service behind a load's target: the process that listens there, if it is on this machine.
pub fn find_service(load: &LoadConfig) -> Option<u32> {
    address(load).and_then(find)
}

/// The process that listens there, if it is on this machine; of several the one that the others descend from.
fn find(at: SocketAddr) -> Option<u32> {
    let listening = service::listeners(at);
    let family =
        |pid: &u32| Service::new(*pid, &[], None).pids().iter().filter(|of| listening.contains(of)).count();
    listening.iter().copied().max_by_key(|pid| (family(pid), std::cmp::Reverse(*pid)))
}

impl Run<'_> {
    fn go(
        mut self,
        watch: &mut dyn FnMut(Step<'_>),
        attempt: &mut Attempt<'_>,
    ) -> Result<Diagnosis, DiagnoseError> {
        if let Some(service) = &self.service {
            watch(Step::Found(service.pid(), &service::name(service.pid())));
        }
        self.ask_endpoint();
        let watcher = self.service.clone().map(|service| {
            let admin = self.config.endpoint.as_ref().map(|endpoint| endpoint.admin);
            Watcher::start(service, WatchConfig { admin, ..WatchConfig::default() }, self.origin)
        });
        let parts = self.config.levels.len() as f64 + 2.0;
        self.quiet("before the load", 0.0, watch);
        let mut levels = Vec::new();
        for (i, connections) in self.config.levels.iter().enumerate() {
            if self.is_interrupted() && !levels.is_empty() {
                break;
            }
            let name = format!("{connections} connection{}", if *connections == 1 { "" } else { "s" });
            watch(Step::Part(&name, (i as f64 + 0.5) / parts));
            let is_last = i + 1 == self.config.levels.len();
            levels.push(self.level(&name, *connections, true, is_last, watch)?);
        }
        let churn = self.churn(&levels, (parts - 1.0) / parts, watch)?;
        self.quiet("after the load", (parts - 0.4) / parts, watch);
        let moments = watcher.map(Watcher::stop).unwrap_or_default();
        let quick_ack = self.quick_ack(&levels);
        let mut facts = self.facts(levels, churn, quick_ack, &moments);
        if !self.is_interrupted() {
            for tried in attempt(&rules::rank(&facts)) {
                match tried {
                    Ok(trial) => facts.trials.push(trial),
                    Err(why) => self.missing.push(why),
                }
            }
        }
        Ok(self.conclude(&facts, &moments))
    }

    /// An admin listener that was named and says nothing is worth a word, before it is missed.
    fn ask_endpoint(&mut self) {
        let Some(endpoint) = &self.config.endpoint else { return };
        if let Err(why) = http::signals(endpoint.admin, ENDPOINT_PATIENCE) {
            self.missing.push(format!("no signals of the service's own: {why}"));
        }
    }

    fn now_s(&self) -> f64 {
        clock::now().saturating_duration_since(self.origin).as_secs_f64()
    }

    fn is_interrupted(&self) -> bool {
        self.config.load.interrupt.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn quiet(&mut self, name: &str, done: f64, watch: &mut dyn FnMut(Step<'_>)) {
        watch(Step::Part(name, done));
        let start_s = self.now_s();
        if self.service.is_some() && !self.is_interrupted() {
            clock::pause(QUIET);
        }
        self.phases.push(PhaseSpan { name: name.to_owned(), start_s, end_s: self.now_s() });
    }

    fn churn(
        &mut self,
        levels: &[Level],
        done: f64,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Option<Level>, DiagnoseError> {
        if !self.config.churn || self.is_interrupted() || levels.is_empty() {
            return Ok(None);
        }
        let connections = *self.config.levels.last().expect("there is a level, it was checked");
        watch(Step::Part("new connections", done));
        self.level("new connections", connections, false, false, watch).map(Some)
    }

    /// Sends one level of load; its window is filled in when the watch is over.
    fn level(
        &mut self,
        name: &str,
        connections: usize,
        keep_alive: bool,
        profile: bool,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Level, DiagnoseError> {
        let timeout = self.config.load.timeout.min(Duration::from_secs(2).max(self.config.length));
        let load = Load::new(&LoadConfig {
            connections,
            duration: self.config.length,
            warmup: WarmUp::Fixed(SETTLE),
            rate: None,
            keep_alive: keep_alive && self.config.load.keep_alive,
            timeout,
            // Longer than a SYN needs to be sent again: a full accept queue shows as slow connections.
            connect_timeout: self.config.load.connect_timeout.max(Duration::from_secs(4)),
            ..self.config.load.clone()
        })?;
        let start_s = self.now_s();
        let recording = if profile { self.record() } else { None };
        let report = load.run(&mut |tick| watch(Step::Tick(tick)))?;
        if let Some(recording) = recording {
            match recording.finish() {
                Ok(profile) => self.profiles.push(profile),
                Err(why) => self.missing.push(why),
            }
        }
        if report.sent_total == 0 && self.spans.is_empty() {
            return Err(unreachable(&report));
        }
        let level = Level {
            name: name.to_owned(),
            connections: connections as f64,
            load: load_facts(&report),
            window: None,
        };
        let measured_from_s = start_s + report.warmup_s;
        let end_s = measured_from_s + report.duration_s;
        self.spans.push(LevelSummary { start_s, measured_from_s, end_s, ..assess::summary_of(&level) });
        self.phases.push(PhaseSpan { name: name.to_owned(), start_s, end_s });
        Ok(level)
    }

    fn record(&mut self) -> Option<Recording> {
        let service = self.service.as_ref().filter(|_| self.config.profile)?;
        match Recording::start(self.config.endpoint.clone(), service, self.config.length, SETTLE) {
            Ok(recording) => Some(recording),
            Err(why) => {
                self.missing.push(why);
                None
            }
        }
    }

    /// The experiment is for what looks like it, on plain HTTP/1.1.
    fn quick_ack(&self, levels: &[Level]) -> Option<super::model::ExperimentResult> {
        let load = &self.config.load;
        let plain = load.url.starts_with("http://") && load.protocol == seawall_load::Protocol::Http1;
        let is_slow = levels.first().is_some_and(|low| low.load.near_40_ms >= 0.2);
        if !(is_slow && plain && load.form.is_empty()) {
            return None;
        }
        let rest = load.url.strip_prefix("http://")?;
        let authority = rest.split(['/', '?']).next()?;
        let path = Some(&rest[authority.len()..]).filter(|path| path.starts_with('/')).unwrap_or("/");
        let request = Request { method: &load.method, path, headers: &load.headers, body: &load.body };
        let whole = request.render(authority).ok()?;
        quick_ack::compare(self.at?, &whole).ok()
    }

    fn facts(
        &mut self,
        mut levels: Vec<Level>,
        mut churn: Option<Level>,
        quick_ack: Option<super::model::ExperimentResult>,
        moments: &[Moment],
    ) -> Facts {
        for (level, span) in levels.iter_mut().chain(&mut churn).zip(&mut self.spans) {
            level.window = Window::between(moments, span.measured_from_s, span.end_s);
            span.cpu_cores = level.window.as_ref().map(Window::cpu);
        }
        let quiet = |phase: Option<&PhaseSpan>| Window::between(moments, phase?.start_s, phase?.end_s);
        let cores = self.service.as_ref().and_then(|service| service::allowed_cpus(service.pid()));
        Facts {
            cores: cores
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64)),
            quota: self.service.as_ref().and_then(Service::quota),
            idle: quiet(self.phases.first()),
            after: quiet(self.phases.last()),
            levels,
            churn,
            cpu_profile: self.profiles.first().filter(|profile| profile.total > 0.0).cloned(),
            quick_ack,
            trials: Vec::new(),
        }
    }

    fn conclude(mut self, facts: &Facts, moments: &[Moment]) -> Diagnosis {
        let evidence = match (moments.is_empty(), facts.cpu_profile.is_some()) {
            (true, _) => EvidenceLevel::L0,
            (false, false) => EvidenceLevel::L1,
            (false, true) => EvidenceLevel::L2,
        };
        if evidence == EvidenceLevel::L0 {
            self.missing.push(
                "no process was found at the target: name it with --pid N to see its threads, CPU and queues"
                    .to_owned(),
            );
        }
        let findings = rules::rank(facts);
        let verdict = assess::verdict(facts, &findings);
        let mut caveats = assess::caveats(facts);
        if self.is_interrupted() {
            caveats.insert(0, "The run was interrupted: not all levels were seen.".to_owned());
        }
        Diagnosis {
            target: format!("{} {}", self.config.load.method, self.config.load.url),
            evidence,
            missing: self.missing,
            verdict,
            summary: assess::summary(facts, verdict, &findings),
            findings,
            caveats,
            levels: self.spans,
            little: assess::little(facts),
            ceiling: assess::ceiling(facts),
            signals: (!moments.is_empty())
                .then(|| table::series(moments, facts.cores, evidence, self.phases)),
            profiles: self.profiles,
        }
    }
}

fn unreachable(report: &Report) -> DiagnoseError {
    let errors: Vec<String> = report.errors.iter().map(|(class, n)| format!("{n} x {class}")).collect();
    DiagnoseError::Unreachable { url: report.url.clone(), why: errors.join(", ") }
}

fn load_facts(report: &Report) -> LoadFacts {
    let ms = |us: f64| us / 1e3;
    let without_answer: u64 = report
        .errors
        .iter()
        .filter(|(class, _)| {
            !matches!(class, ErrorClass::Status4xx | ErrorClass::Status5xx | ErrorClass::ExpectFailed)
        })
        .map(|(_, n)| n)
        .sum();
    let asked = (report.requests + without_answer).max(1) as f64;
    LoadFacts {
        rps: report.rps,
        sent_rps: report.sent_rps,
        mean_ms: ms(report.latency_us.mean),
        p50_ms: ms(report.latency_us.p50),
        p99_ms: ms(report.latency_us.p99),
        near_40_ms: share_between(&report.latency, 36_000_000, 55_000_000),
        connect_mean_ms: ms(report.connect_us.mean),
        connect_p99_ms: ms(report.connect_us.p99),
        unanswered: without_answer as f64 / asked,
        statuses: report.status.clone(),
        answer_bytes: report.bytes_received as f64 / report.requests.max(1) as f64,
        generator_cores: report.cpu_shares.iter().sum(),
        invalid: if report.validity.verdict == seawall_load::Verdict::Valid {
            Vec::new()
        } else {
            report.validity.reasons.clone()
        },
    }
}

/// Share of a histogram's values between two bounds, nanoseconds.
fn share_between(histogram: &Histogram, from: u64, to: u64) -> f64 {
    let within =
        histogram.iter().filter(|(low, _, _)| (from..=to).contains(low)).map(|(_, _, n)| n).sum::<u64>();
    within as f64 / histogram.count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_address(url: &str, expected: &str) {
        let found = address(&LoadConfig { url: url.to_owned(), ..LoadConfig::default() });
        assert_eq!(found, expected.parse().ok(), "{url}");
    }
    #[test]
    fn the_port_comes_from_the_url_or_its_scheme() {
        check_address("http://127.0.0.1:8080/a?b", "127.0.0.1:8080");
        check_address("http://127.0.0.1/", "127.0.0.1:80");
        check_address("https://127.0.0.1?x", "127.0.0.1:443");
        check_address("http://[::1]:80/", "[::1]:80");
        check_address("nothing", "");
    }

    fn refused(config: DiagnoseConfig, field: &str) {
        let error = diagnose(&config, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    #[test]
    fn what_cannot_be_is_refused_by_name() {
        refused(DiagnoseConfig { levels: vec![8, 1], ..DiagnoseConfig::default() }, "diagnose.levels");
        refused(DiagnoseConfig { length: Duration::ZERO, ..DiagnoseConfig::default() }, "diagnose.length");
        refused(DiagnoseConfig::default(), "load.url");
    }
    #[test]
    fn nobody_there_is_an_error_with_what_went_wrong() {
        let load = LoadConfig { url: "http://127.0.0.1:1/".into(), ..LoadConfig::default() };
        let config = DiagnoseConfig {
            load,
            length: Duration::from_millis(500),
            churn: false,
            ..DiagnoseConfig::default()
        };
        let error = diagnose(&config, &mut |_| {}).unwrap_err();
        assert!(matches!(error, DiagnoseError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn the_share_between_two_bounds() {
        let mut histogram = Histogram::new();
        histogram.record_n(1_000_000, 3);
        histogram.record(41_000_000);
        assert_eq!(share_between(&histogram, 36_000_000, 55_000_000), 0.25);
    }
}
