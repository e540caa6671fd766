//! `seawall load`: puts load on an HTTP service and says what it measured, and whether that may be believed.
//!
//! Here are the arguments, the signals and the exit codes; the measuring is seawall-load's.

mod progress;
mod text;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use seawall_load::{Arrivals, Load, LoadConfig, Report, Stage, WarmUp};

use progress::Progress;
pub(crate) use text::count;
use values::Header;

/// Exit code of a run in which nothing was answered.
const FAILED: u8 = 1;
/// Exit code of a wrong command line.
const USAGE: u8 = 2;
/// Exit code of a run whose numbers must not be used.
const INVALID: u8 = 4;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

const EXAMPLES: &str = "\
Examples:
  As fast as it answers, on 64 connections for 10 seconds:
      seawall load http://127.0.0.1:8080/

  What users feel at 5,000 requests per second, however slow the answers are:
      seawall load http://127.0.0.1:8080/ -R 5000 -c 256 -d 30s

  A morning: ten seconds at 100, a climb to 5,000 within a minute, then two minutes there, with random gaps:
      seawall load http://127.0.0.1:8080/ --stages 10s:100,1m:100..5k,2m:5k --poisson --max-conns 1000

  A POST with a body from a file, and the result as JSON:
      seawall load http://127.0.0.1:8080/orders -m POST -b @order.json -H 'Content-Type: application/json' --json result.json

Which loop?
  Without -R each connection sends when its last answer is there (closed loop, as wrk does): this finds the highest
  throughput, but a slow server slows its own test down, and waiting users are not seen.
  With -R, --stages or --ramp requests are due at fixed times (open loop), and latency counts from those times: this
  is what users feel.

Exit codes:
  0 measured   1 nothing was answered   2 wrong arguments   4 INVALID: the generator, not the server, was the limit
  130 interrupted (the report is still printed and written)";

/// A list in one value: clap takes a plain `Vec` for an argument that is repeated.
type Stages = Vec<Stage>;

/// Arguments of `seawall load`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("pace").args(["rate", "stages", "ramp"]).multiple(false))]
pub(crate) struct LoadArgs {
    /// The target, such as http://127.0.0.1:8080/path
    url: String,
    /// Keep-alive connections
    #[arg(short = 'c', long, value_name = "N", default_value_t = 64)]
    connections: usize,
    /// Generator threads; connections and rate are divided among them
    #[arg(short = 't', long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// How long to measure, after the warm-up: 500ms, 10s, 2m; stages bring their own length
    #[arg(short = 'd', long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    duration: Duration,
    /// Open loop: requests per second that are due, such as 5000 or 20k. Without it: closed loop
    #[arg(short = 'R', long, value_name = "N", value_parser = values::rate)]
    rate: Option<f64>,
    /// Send so many requests in all and end; -d is the limit then. Without a warm-up, unless one is given
    #[arg(short = 'n', long, value_name = "N")]
    requests: Option<u64>,
    /// Open loop whose rate changes: times with a rate or a ramp, such as 10s:100,30s:100..5k,1m:5k
    #[arg(long, value_name = "STAGES", value_parser = values::stages, conflicts_with = "rate")]
    stages: Option<Stages>,
    /// Open loop whose rate goes from one value to another over -d, such as 100..5k
    #[arg(long, value_name = "FROM..TO", value_parser = values::ramp, conflicts_with_all = ["rate", "stages"])]
    ramp: Option<(f64, f64)>,
    /// Open loop: random gaps, as many independent users make them (a Poisson process), instead of even ones. They
    /// meet in bursts, so queues show that even gaps hide
    #[arg(long, requires = "pace")]
    poisson: bool,
    /// Where the random numbers begin: the same seed, threads and rate give the same gaps
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Open loop: open up to so many connections when none is free [default: as -c]
    #[arg(long, value_name = "N", requires = "pace")]
    max_conns: Option<usize>,
    /// Open loop: give a request up that was due so long ago and still has no connection, as users do; it is counted
    /// as deadline_shed, with the time it waited [default: it waits]
    #[arg(long, value_name = "TIME", value_parser = values::duration, requires = "pace")]
    deadline: Option<Duration>,
    /// A header field, such as 'Accept: text/html'; repeat for more
    #[arg(short = 'H', long = "header", value_name = "K:V", value_parser = values::header)]
    headers: Vec<Header>,
    /// The method [default: GET, with a body POST]
    #[arg(short = 'm', long, value_name = "METHOD")]
    method: Option<String>,
    /// The body: a text, or @FILE
    #[arg(short = 'b', long, value_name = "TEXT|@FILE")]
    body: Option<String>,
    /// Warm-up before the measurement: a time, auto (until the answers are steady), or 0s
    #[arg(long, value_name = "TIME|auto", default_value = "auto", value_parser = values::warmup)]
    warmup: WarmUp,
    /// How long an answer may take, counted from the send
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    timeout: Duration,
    /// How long making a connection may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    connect_timeout: Duration,
    /// Also write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the load, prints the report, and says how the process should exit.
///
/// # Errors
/// A file that cannot be read or written, a host without an address, a generator that could not start.
pub(crate) fn run(args: &LoadArgs) -> Result<ExitCode> {
    let config = config(args)?;
    let load = match Load::new(&config) {
        Ok(load) => load,
        Err(error) => {
            eprintln!("error: {error}\n\nFor more, try `seawall load --help`.");
            return Ok(ExitCode::from(USAGE));
        }
    };
    // The first Ctrl-C ends the run with a report, the second one ends the process.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(INTERRUPTED),
            Arc::clone(&config.interrupt),
        )
        .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&config.interrupt)))
        .context("cannot listen for Ctrl-C")?;
    }
    let mut progress = Progress::new();
    let report = load.run(&mut |tick| progress.tick(tick));
    progress.finish();
    let report = report?;
    print!("{}", text::render(&report));
    if let Some(path) = &args.json {
        write_json(&report, path)?;
    }
    Ok(ExitCode::from(exit_code(&report)))
}

fn config(args: &LoadArgs) -> Result<LoadConfig> {
    let body = match &args.body {
        None => Vec::new(),
        Some(body) => match body.strip_prefix('@') {
            Some(path) => std::fs::read(path).with_context(|| format!("cannot read the body from {path}"))?,
            None => body.clone().into_bytes(),
        },
    };
    let method =
        args.method.clone().unwrap_or_else(|| (if body.is_empty() { "GET" } else { "POST" }).to_owned());
    let stages = match args.ramp {
        Some((from, to)) => vec![Stage { duration: args.duration, from, to }],
        None => args.stages.clone().unwrap_or_default(),
    };
    Ok(LoadConfig {
        url: args.url.clone(),
        connections: args.connections,
        threads: args.threads,
        duration: args.duration,
        requests: args.requests,
        rate: args.rate,
        stages,
        arrivals: if args.poisson { Arrivals::Poisson { seed: args.seed } } else { Arrivals::Even },
        deadline: args.deadline,
        max_conns: args.max_conns,
        method,
        headers: args.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        body,
        warmup: args.warmup,
        timeout: args.timeout,
        connect_timeout: args.connect_timeout,
        ..LoadConfig::default()
    })
}

fn write_json(report: &Report, path: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}

fn exit_code(report: &Report) -> u8 {
    if report.interrupted {
        INTERRUPTED
    } else if report.requests == 0 {
        FAILED
    } else if report.is_invalid() {
        INVALID
    } else {
        0
    }
}
