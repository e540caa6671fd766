//! What a CPU profile costs: the example service under load, without a profile and with one of each kind, in turns.
//!
//! The service has one worker and is pinned to one core with all its threads, the generator to another. CPU per request
//! is what the scheduler charges the whole process, collector of samples included. What it takes afterwards to find
//! names is outside of the load, and shown beside.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::build;
use super::generator::{Generator, Requests};
use super::process::{Server, free_port};
use super::stats::median;
use crate::clock;

/// How the cost is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileArgs {
    /// Rounds; each has the load once per kind of profile.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    rounds: u32,
    /// Seconds of load each time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Connections.
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Samples a second.
    #[arg(long, default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..=999))]
    hz: u32,
}

/// `off` twice: what differs between those two is noise.
const KINDS: [&str; 4] = ["off", "off again", "perf", "timers"];

/// For a profile to begin before the load does.
const BEGIN: Duration = Duration::from_millis(300);

/// One load.
struct Visit {
    cpu_us: f64,
    /// CPU that it took after the load until the answer was there, seconds.
    names_s: f64,
}

/// Measures and prints a table.
pub(crate) fn profile(root: &Path, args: &ProfileArgs) -> Result<()> {
    let target = build::target(root);
    let generator = build::generator(root, &target)?;
    let program = build::example(root, &target, "profiled")?;
    let (port, admin) = (free_port()?, format!("127.0.0.1:{}", free_port()?));
    let command = [program.display().to_string(), format!("127.0.0.1:{port}"), admin.clone()];
    let server = Server::start("profiled", port, &command, Stdio::null())?;
    let mut visits: Vec<[Option<Visit>; KINDS.len()]> = Vec::new();
    for round in 0..args.rounds {
        let mut row = [const { None }; KINDS.len()];
        for at in 0..KINDS.len() {
            // Another one is first each time, and the direction changes.
            let turned = (at + round as usize / 2) % KINDS.len();
            let at = if round % 2 == 0 { turned } else { KINDS.len() - 1 - turned };
            row[at] = Some(visit(&generator, &server, &admin, KINDS[at], args)?);
        }
        let cells = row.iter().flatten().map(|visit| format!("{:>7.3}", visit.cpu_us));
        println!("round {:>2}  {}  us/request", round + 1, cells.collect::<Vec<_>>().join("  "));
        visits.push(row);
    }
    println!("\n{}", table(&visits));
    Ok(())
}

fn table(visits: &[[Option<Visit>; KINDS.len()]]) -> String {
    let mut text = String::from(
        "| profile | CPU us/request | x off, median (quartiles) | CPU for names afterwards |\n|---|---|---|---|\n",
    );
    for (at, kind) in KINDS.iter().enumerate() {
        let own: Vec<_> = visits.iter().filter_map(|row| row[at].as_ref()).collect();
        // Both loads without a profile are the baseline, so that no chance in one of them counts for all.
        let off = |row: &[Option<Visit>; KINDS.len()]| {
            Some((row[0].as_ref()?.cpu_us + row[1].as_ref()?.cpu_us) / 2.0)
        };
        let ratio = |row: &[Option<Visit>; KINDS.len()]| Some(row[at].as_ref()?.cpu_us / off(row)?);
        let mut ratios: Vec<_> = visits.iter().filter_map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let quartile = |part: usize| ratios.get(ratios.len() * part / 4).copied().unwrap_or(f64::NAN);
        let line = format!(
            "| {kind} | {:.3} | **{:.4}** ({:.4}-{:.4}) | {:.2} s |\n",
            median(own.iter().map(|visit| visit.cpu_us).collect()),
            median(ratios.clone()),
            quartile(1),
            quartile(3),
            median(own.iter().map(|visit| visit.names_s).collect()),
        );
        text.push_str(&line);
    }
    text
}

fn visit(
    generator: &Generator,
    server: &Server,
    admin: &str,
    kind: &str,
    args: &ProfileArgs,
) -> Result<Visit> {
    // Longer than the load with its warm-up: all of it is sampled.
    let seconds = args.seconds + 2;
    let path = format!("/debug/pprof/profile?seconds={seconds}&hz={}&method={kind}", args.hz);
    let fetch = (!kind.starts_with("off")).then(|| {
        let admin = admin.to_owned();
        std::thread::spawn(move || fetch(&admin, &path))
    });
    let begun = clock::now();
    std::thread::park_timeout(BEGIN); // for the profile to begin
    let before = server.cpu()?;
    let ProfileArgs { connections, seconds: length, .. } = *args;
    let load = generator
        .measure(server, &Requests { path: "/", headers: &[], connections, depth: 1, seconds: length })?;
    let after = server.cpu()?;
    let bytes = fetch.map(|fetch| fetch.join()).transpose();
    let bytes = bytes.map_err(|_| anyhow::anyhow!("the fetch of the profile panicked"))?.transpose()?;
    if bytes.is_some_and(|bytes| bytes < 500) {
        bail!("the profile is too small to be one");
    }
    // Without a profile it takes as long, so that no load comes after a shorter rest than others.
    let whole = Duration::from_secs(seconds.into()) + BEGIN;
    std::thread::park_timeout(whole.saturating_sub(clock::now() - begun));
    Ok(Visit {
        cpu_us: after.since(before).process_nanos() / 1e3 / load.sent.max(1) as f64,
        names_s: server.cpu()?.since(after).process_nanos() / 1e9,
    })
}

/// The length of the answer.
fn fetch(admin: &str, path: &str) -> Result<usize> {
    let mut stream = TcpStream::connect(admin)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.get(..12).context("no answer to the profile")?;
    if head != b"HTTP/1.1 200" {
        bail!("{path}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(answer.len())
}
