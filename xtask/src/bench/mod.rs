//! `cargo xtask bench`: Seawall beside its peers, in one run, in turns. Here are servers; `router` and
//! `profile` are benches of their own.
//!
//! A server is pinned to one core, the generator to another. Each round visits every server once, in an order that is
//! reversed from round to round, so that a machine that drifts drifts for all. What is compared is the ratio within
//! a round; medians and ranges are over rounds. CPU comes from the scheduler's own account of the server's threads.

mod profile;
mod router;
mod server;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

pub(crate) use profile::{ProfileArgs, profile};
pub(crate) use router::{RouterArgs, router};
use server::Server;

/// The server that the others are compared with.
const BASELINE: &str = "axum";
const SERVERS: [&str; 3] = ["seawall", "hyper", BASELINE];

/// How a comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct HelloArgs {
    /// Rounds; each visits every server once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=100))]
    rounds: u32,
    /// Seconds of load per server and round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Connections.
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Also writes every measurement here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One visit to one server.
#[derive(Debug, Clone, Serialize)]
struct Visit {
    server: &'static str,
    round: u32,
    rps: f64,
    p99_us: f64,
    cpu_us: f64,
    user_us: f64,
    generator: String,
}

/// What is read of the generator's JSON.
#[derive(Debug, Deserialize)]
struct Load {
    rps: f64,
    sent_total: u64,
    latency_us: Latency,
    validity: Validity,
    errors: std::collections::BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Latency {
    p99: f64,
}

#[derive(Debug, Deserialize)]
struct Validity {
    verdict: String,
}

/// `GET /` with a small JSON answer: Seawall with its defaults, plain hyper, axum.
pub(crate) fn hello(root: &Path, args: &HelloArgs) -> Result<()> {
    let target = build(root)?;
    let mut servers = Vec::new();
    for name in SERVERS {
        servers.push(Server::start(&target.join(format!("peers/release/hello-{name}")), name)?);
    }
    let generator = target.join("release/seawall");
    let mut visits = Vec::new();
    for round in 0..args.rounds {
        for at in 0..servers.len() {
            let at = if round % 2 == 0 { at } else { servers.len() - 1 - at };
            let visit = visit(&generator, &servers[at], round, args)?;
            println!(
                "round {:>2}  {:<8} {:>9.0} req/s  {:>6.2} us",
                round + 1,
                visit.server,
                visit.rps,
                visit.cpu_us
            );
            visits.push(visit);
        }
    }
    println!("\n{}", table::render(&visits, &SERVERS, BASELINE));
    if let Some(path) = &args.json {
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        serde_json::to_writer_pretty(file, &visits)?;
    }
    Ok(())
}

/// Builds the generator and the peers; the folder with both.
fn build(root: &Path) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    println!("building the generator and the peers");
    cargo(root, &["build", "--release", "--quiet", "--package", "seawall-cli"], &target)?;
    let peers = target.join("peers");
    cargo(root, &["build", "--release", "--quiet", "--manifest-path", "bench/Cargo.toml"], &peers)?;
    Ok(target)
}

fn cargo(root: &Path, arguments: &[&str], target: &Path) -> Result<()> {
    let mut command = Command::new("cargo");
    let status = command.current_dir(root).args(arguments).env("CARGO_TARGET_DIR", target).status()?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}

fn visit(generator: &Path, server: &Server, round: u32, args: &HelloArgs) -> Result<Visit> {
    let before = server.cpu()?;
    let load = load(generator, &server.url(), args.connections, args.seconds)?;
    let spent = server.cpu()?.since(before);
    if !load.errors.is_empty() {
        bail!("{} answered with errors: {:?}", server.name(), load.errors);
    }
    let per_request = |nanos: f64| nanos / 1e3 / load.sent_total.max(1) as f64;
    Ok(Visit {
        server: server.name(),
        round,
        rps: load.rps,
        p99_us: load.latency_us.p99,
        cpu_us: per_request(spent.total_nanos),
        user_us: per_request(spent.total_nanos * spent.user_share()),
        generator: load.validity.verdict,
    })
}

fn load(generator: &Path, url: &str, connections: u32, seconds: u32) -> Result<Load> {
    let json = std::env::temp_dir().join(format!("seawall-bench-{}.json", std::process::id()));
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(generator).args(["load", url, "-t", "1", "--warmup", "200ms"]);
    command.arg("-c").arg(connections.to_string()).arg("-d").arg(format!("{seconds}s"));
    command.arg("--json").arg(&json).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("taskset cannot be started; it is in Debian's util-linux")?;
    if !status.success() {
        bail!("the generator failed with {status}");
    }
    let text = std::fs::read_to_string(&json)?;
    std::fs::remove_file(&json)?;
    serde_json::from_str(&text).context("the generator's JSON is not what was expected")
}
