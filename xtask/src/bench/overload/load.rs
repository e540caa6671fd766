//! `seawall load` on its own core while the server is watched: what clients saw, beside what that cost the server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::super::process::{CLIENT_CORE, Server};
use super::sums::Row;
use crate::clock;

/// Exit codes of the generator with which the report is written: measured, nothing answered, not to be believed.
const REPORTED: [i32; 3] = [0, 1, 4];
/// An answer is good for so long after the request was due. A client that finds no connection for so long goes away.
pub(super) const GOOD_WITHIN: &str = "100ms";
/// How long a client waits for an answer. Long, so that a server that answers late is seen to do so.
const TIMEOUT: &str = "2s";
/// Connections of an open loop at the start and at most.
const FIRST_CONNECTIONS: &str = "64";
const MOST_CONNECTIONS: &str = "1000";
/// A generator that waited longer than this for its core left answers unread, and connections busy, by its own fault.
const MOST_WAITING: f64 = 0.10;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How requests come.
#[derive(Debug, Clone)]
pub(super) enum Pace {
    /// As fast as answers do, on so many connections.
    Closed(u32),
    /// So many per second.
    Rate(f64),
    /// The same with random gaps.
    Poisson(f64),
    /// Rates one after the other: the generator's own words.
    Stages(String),
}

/// How long requests come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    pub(super) warmup_ms: u32,
    /// Of stages their own.
    pub(super) seconds: f64,
}

/// What clients saw, and what it cost the server.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) seen: Seen,
    /// CPU of the whole run: what was asked while warming up is in it.
    pub(super) cpu_us: f64,
    pub(super) rss_start_kib: f64,
    /// Share of the run in which the server's threads could have run and something else had their core.
    pub(super) waited_share: f64,
    /// Resident memory in KiB every tenth of a second.
    pub(super) rss_kib: Vec<f64>,
}

/// What is read of the generator's report.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) duration_s: f64,
    pub(super) offered_rps: f64,
    pub(super) status: BTreeMap<u16, u64>,
    pub(super) status_total: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) good: Good,
    pub(super) series: Vec<Row>,
    run_delay_shares: Vec<f64>,
    validity: Validity,
}

#[derive(Debug, Deserialize)]
pub(super) struct Good {
    pub(super) status: BTreeMap<u16, u64>,
    pub(super) success_us: Latency,
}

#[derive(Debug, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

#[derive(Debug, Deserialize)]
struct Validity {
    verdict: String,
    reasons: Vec<String>,
}

impl Seen {
    /// Why the generator's numbers say more about itself; empty if they do not. That nothing was answered is the
    /// server's doing.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = match self.validity.verdict.as_str() {
            "valid" => Vec::new(),
            _ if self.requests == 0 => Vec::new(),
            _ => self.validity.reasons.clone(),
        };
        let waited = self.run_delay_shares.iter().copied().fold(0.0, f64::max);
        if waited > MOST_WAITING {
            doubts.push(format!("the generator waited for its core {:.0} % of the time", waited * 100.0));
        }
        doubts
    }
}

impl Run {
    pub(super) fn rss_max_kib(&self) -> f64 {
        self.rss_kib.iter().copied().fold(self.rss_start_kib, f64::max)
    }
}

/// The generator's program, with what stands before it.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    prefix: Vec<String>,
    program: PathBuf,
}

impl Generator {
    pub(super) fn new(program: PathBuf, nice: Option<i32>) -> Self {
        Self { prefix: super::with_niceness(nice), program }
    }

    /// Puts load on a server.
    pub(super) fn load(&self, server: &Server, path: &str, pace: &Pace, length: Length) -> Result<Run> {
        let json = std::env::temp_dir().join(format!("seawall-overload-{}.json", std::process::id()));
        let mut command = self.command(&server.url(path), pace, length);
        command.arg("--json").arg(&json).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (before, rss_start_kib) = (server.cpu()?, server.rss_kib()?);
        let mut child = command.spawn().context("taskset cannot be started; it is in Debian's util-linux")?;
        let mut rss_kib = Vec::new();
        let start = clock::now();
        let mut next = start + LOOK;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::park_timeout(next.saturating_duration_since(clock::now()));
            next += LOOK;
            rss_kib.push(server.rss_kib()?);
        };
        let cpu = server.cpu()?.since(before);
        let took = (clock::now() - start).as_secs_f64();
        if !status.code().is_some_and(|code| REPORTED.contains(&code)) {
            bail!("the generator failed with {status}; to see why:\n  {command:?}");
        }
        let text = std::fs::read_to_string(&json)?;
        std::fs::remove_file(&json)?;
        let seen = serde_json::from_str(&text).context("the generator's JSON is not what was expected")?;
        Ok(Run {
            seen,
            cpu_us: cpu.total_nanos / 1e3,
            waited_share: cpu.waited_nanos / 1e9 / took,
            rss_start_kib,
            rss_kib,
        })
    }

    fn command(&self, url: &str, pace: &Pace, length: Length) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", CLIENT_CORE]).args(&self.prefix).arg(&self.program);
        command.args(["load", url, "-t", "1", "--no-self-test"]);
        command.args(["--good-within", GOOD_WITHIN, "--timeout", TIMEOUT, "--series-every", "250ms"]);
        command.arg("--warmup").arg(format!("{}ms", length.warmup_ms));
        match pace {
            Pace::Closed(connections) => command.arg("-c").arg(connections.to_string()),
            Pace::Rate(rate) => command.arg("-R").arg(format!("{rate:.1}")),
            Pace::Poisson(rate) => command.arg("-R").arg(format!("{rate:.1}")).arg("--poisson"),
            Pace::Stages(stages) => command.arg("--stages").arg(stages),
        };
        if !matches!(pace, Pace::Closed(_)) {
            command.args([
                "-c",
                FIRST_CONNECTIONS,
                "--max-conns",
                MOST_CONNECTIONS,
                "--deadline",
                GOOD_WITHIN,
            ]);
        }
        if !matches!(pace, Pace::Stages(_)) {
            command.arg("-d").arg(format!("{}ms", length.seconds * 1e3));
        }
        command
    }
}
