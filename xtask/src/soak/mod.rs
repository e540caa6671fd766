//! `cargo xtask soak`: a server at 80 % of what it can do, with connections that come and go, for minutes.
//!
//! What is looked for is what a test of seconds cannot see: memory and descriptors that creep. Both are sampled each
//! second, drawn, and judged by [`flat::verdict`]. Server and generator have a core each.

mod flat;
mod picture;
mod profiles;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::clock;

/// How long, and where the picture goes.
#[derive(Debug, clap::Args)]
pub(crate) struct SoakArgs {
    /// Minutes of load.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Draws memory and descriptors over time, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// Share of the capacity that is asked for, in percent.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..=100))]
    percent: u32,
    /// Instead: takes profiles of every kind of a service under full load all the while, its heap sampled; fails if it
    /// crashes or loses a request.
    #[arg(long, conflicts_with_all = ["picture", "percent"])]
    profiles: bool,
}

/// Connections at once, and how many requests each makes before another takes its place.
const CONNECTIONS: u32 = 64;
const REQUESTS_PER_CONNECTION: u32 = 100;

/// The generator's word for "I was late": its latencies are worth nothing then, but they are not looked at here.
const LATE: i32 = 4;

/// How the server stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    seconds: f64,
    resident_mib: f64,
    descriptors: f64,
}

/// What is read of the generator's JSON.
#[derive(Debug, Deserialize)]
struct Load {
    rps: f64,
    sent_total: u64,
    errors: std::collections::BTreeMap<String, u64>,
}

/// The server under load, on a core of its own. Dropping it kills the process.
struct Server {
    child: Child,
    addr: String,
}

impl Server {
    /// `program` gets its address as the first argument, and `more`.
    fn start(program: &Path, more: &[&str]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let addr = format!("127.0.0.1:{port}");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program).arg(&addr).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("taskset cannot be started; it is in Debian's util-linux")?;
        let server = Self { child, addr };
        for _ in 0..200 {
            if TcpStream::connect(&server.addr).is_ok() {
                return Ok(server);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        bail!("{} does not listen after 10 s", program.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Loads the server, samples it, and says whether it stayed flat.
pub(crate) fn run(root: &Path, args: &SoakArgs) -> Result<()> {
    if args.profiles {
        return profiles::run(root, args.minutes);
    }
    let target = cargo(
        root,
        &[&["--package", "seawall-cli", "--bins"], &["--package", "seawall-http", "--examples"]],
    )?;
    let generator = target.join("release/seawall");
    let server = Server::start(&target.join("release/examples/hello"), &[])?;
    let capacity = finish(load(&generator, &server, &["-d", "5s"])?)?.rps;
    let rate = capacity * f64::from(args.percent) / 100.0;
    println!("capacity {capacity:.0} requests per second; {rate:.0} for {} min", args.minutes);
    let (due, duration) = (format!("{rate:.0}"), format!("{}m", args.minutes));
    let per_connection = REQUESTS_PER_CONNECTION.to_string();
    let arguments = ["-d", &duration, "-R", &due, "--reqs-per-conn", &per_connection, "--warmup", "0s"];
    let mut running = load(&generator, &server, &arguments)?;
    let samples = samples(&server, &mut running)?;
    let done = finish(running)?;
    if let Some(path) = &args.picture {
        let title =
            format!("{} requests at {due}/s, {REQUESTS_PER_CONNECTION} on each connection", done.sent_total);
        fs::write(path, picture::draw(&title, &samples))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !done.errors.is_empty() {
        bail!("requests went wrong: {:?}", done.errors);
    }
    if done.rps < 0.9 * rate {
        bail!(
            "only {:.0} of {due} requests per second were sent: the machine is too busy for a soak",
            done.rps
        );
    }
    println!("{} requests; {}", done.sent_total, flat::verdict(&samples)?);
    Ok(())
}

/// Builds with each of these lists of arguments, and says where.
fn cargo(root: &Path, builds: &[&[&str]]) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    println!("building the generator and the server");
    for arguments in builds {
        let mut command = Command::new(crate::setup::cargo());
        command.current_dir(root).args(["build", "--release", "--quiet"]).args(*arguments);
        let status = command.env("CARGO_TARGET_DIR", &target).status().context("cannot start cargo")?;
        if !status.success() {
            bail!("cargo build {} failed", arguments.join(" "));
        }
    }
    Ok(target)
}

/// A generator under way, and where it will write what it saw.
struct Running {
    child: Child,
    json: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it stays.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.json);
    }
}

fn load(generator: &Path, server: &Server, arguments: &[&str]) -> Result<Running> {
    let json = std::env::temp_dir().join(format!("seawall-soak-{}.json", std::process::id()));
    let mut command = Command::new("taskset");
    command
        .args(["-c", "1"])
        .arg(generator)
        .args(["load", &format!("http://{}/", server.addr), "-t", "1", "--no-self-test"])
        .args(arguments);
    command.arg("-c").arg(CONNECTIONS.to_string()).arg("--json").arg(&json);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("taskset cannot be started; it is in Debian's util-linux")?;
    Ok(Running { child, json })
}

fn finish(mut running: Running) -> Result<Load> {
    let status = running.child.wait()?;
    if !status.success() && status.code() != Some(LATE) {
        bail!("the generator ended with {status}");
    }
    let text = fs::read_to_string(&running.json)?;
    serde_json::from_str(&text).context("the generator's JSON is not what was expected")
}

/// One sample a second, while the generator runs.
fn samples(server: &Server, running: &mut Running) -> Result<Vec<Sample>> {
    let (begin, mut samples) = (clock::now(), Vec::new());
    while running.child.try_wait()?.is_none() {
        samples.push(sample(server.child.id(), (clock::now() - begin).as_secs_f64())?);
        std::thread::park_timeout(Duration::from_secs(1));
    }
    Ok(samples)
}

fn sample(process: u32, seconds: f64) -> Result<Sample> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the server is gone")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = resident.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.count() as f64;
    Ok(Sample { seconds, resident_mib: kib / 1024.0, descriptors })
}
