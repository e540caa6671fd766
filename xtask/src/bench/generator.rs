//! `seawall load` on its own core, and what is read of its report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::process::{CLIENT_CORE, Server};

/// Exit codes of the generator with which the report is written: measured, and measured but not to be believed.
const REPORTED: [i32; 2] = [0, 4];

/// The generator's program.
#[derive(Debug)]
pub(super) struct Generator(pub(super) PathBuf);

/// What is sent, on how many connections, for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requests<'a> {
    pub(super) path: &'a str,
    pub(super) headers: &'a [&'a str],
    pub(super) connections: u32,
    /// Requests on a connection at once.
    pub(super) depth: u32,
    pub(super) seconds: u32,
}

/// What a server did under load: CPU per request beside what its clients saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) rps: f64,
    pub(super) p99_us: f64,
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) sent: u64,
    /// Nothing but the server was the limit.
    pub(super) valid: bool,
}

#[derive(Debug, Deserialize)]
struct Report {
    rps: f64,
    sent_total: u64,
    latency_us: Latency,
    validity: Validity,
    errors: BTreeMap<String, u64>,
    status: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Latency {
    p99: f64,
}

#[derive(Debug, Deserialize)]
struct Validity {
    verdict: String,
}

impl Generator {
    /// Puts load on a server and says what each request has cost it. Any answer but a 200 is a failure.
    pub(super) fn measure(&self, server: &Server, requests: &Requests<'_>) -> Result<Measured> {
        let before = server.cpu()?;
        let report = self.run(&server.url(requests.path), requests)?;
        let spent = server.cpu()?.since(before);
        if !report.errors.is_empty() || report.status.keys().any(|status| status != "200") {
            bail!("answered with {:?} and errors {:?}", report.status, report.errors);
        }
        let per_request = |nanos: f64| nanos / 1e3 / report.sent_total.max(1) as f64;
        Ok(Measured {
            rps: report.rps,
            p99_us: report.latency_us.p99,
            cpu_us: per_request(spent.total_nanos),
            user_us: per_request(spent.total_nanos * spent.user_share()),
            sent: report.sent_total,
            valid: report.validity.verdict == "valid",
        })
    }

    fn run(&self, url: &str, requests: &Requests<'_>) -> Result<Report> {
        let json = std::env::temp_dir().join(format!("seawall-bench-{}.json", std::process::id()));
        let mut command = Command::new("taskset");
        command.args(["-c", CLIENT_CORE]).arg(&self.0).args(["load", url, "-t", "1"]);
        command.args(["--no-self-test", "--warmup", "200ms"]);
        command.arg("-c").arg(requests.connections.to_string()).arg("-p").arg(requests.depth.to_string());
        command.arg("-d").arg(format!("{}s", requests.seconds));
        for header in requests.headers {
            command.args(["-H", header]);
        }
        command.arg("--json").arg(&json).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().context("taskset cannot be started; it is in Debian's util-linux")?;
        if !status.code().is_some_and(|code| REPORTED.contains(&code)) {
            bail!("the generator failed with {status}; to see why:\n  {}", line(&command));
        }
        read(&json)
    }
}

fn read(json: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(json)?;
    std::fs::remove_file(json)?;
    serde_json::from_str(&text).context("the generator's JSON is not what was expected")
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
