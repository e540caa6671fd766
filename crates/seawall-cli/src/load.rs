//! `seawall load`: puts load on an HTTP service and says what it measured, and whether that may be believed.
//!
//! Here are the arguments, the signals and the exit codes; the measuring is seawall-load's.

mod args;
mod progress;
mod text;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use seawall_load::{Load, LoadConfig, Report};

use args::{ConnectArgs, PaceArgs, RequestArgs, ReuseArgs, TlsArgs};
use progress::Progress;
pub(crate) use text::count;

/// Exit code of a run in which nothing was answered.
const FAILED: u8 = 1;
/// Exit code of a wrong command line.
const USAGE: u8 = 2;
/// Exit code of a run whose numbers must not be used.
const INVALID: u8 = 4;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

const EXAMPLES: &str = r#"Examples:
  As fast as it answers, on 64 connections for 10 seconds:
      seawall load http://127.0.0.1:8080/

  What users feel at 5,000 requests per second, however slow the answers are:
      seawall load http://127.0.0.1:8080/ -R 5000 -c 256 -d 30s

  A morning: ten seconds at 100, a climb to 5,000 within a minute, then two minutes there, with random gaps:
      seawall load http://127.0.0.1:8080/ --stages 10s:100,1m:100..5k,2m:5k --poisson --max-conns 1000

  A POST with a body from a file, and the result as JSON:
      seawall load http://127.0.0.1:8080/orders -m POST -b @order.json -H 'Content-Type: application/json' --json result.json

  A different order from each user of a list, on ten requests per connection, over TLS with an authority of your own:
      seawall load https://shop.test/orders -b '{"user":"{{csv.id}}","key":"{{uuid}}"}' --data users.csv \
        --reqs-per-conn 10 --ca ca.pem --connect-to 10.0.0.7:8443

Templates, in path, fields, body and form:
  {{csv.COLUMN}} the next row of --data   {{seq}} 0, 1, 2, ...   {{rand 1 6}} a whole number, both ends included
  {{uuid}} a random UUID   {{"{{"}} braces that are meant (or --no-templates)

Which loop?
  Without -R each connection sends when its last answer is there (closed loop, as wrk does): this finds the highest
  throughput, but a slow server slows its own test down, and waiting users are not seen.
  With -R, --stages or --ramp requests are due at fixed times (open loop), and latency counts from those times: this
  is what users feel.

Exit codes:
  0 measured   1 nothing was answered   2 wrong arguments   4 INVALID: the generator, not the server, was the limit
  130 interrupted (the report is still printed and written)"#;

/// Arguments of `seawall load`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// The target, such as http://127.0.0.1:8080/path or https://example.org/
    url: String,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    reuse: ReuseArgs,
    #[command(flatten)]
    tls: TlsArgs,
    /// Also write the result as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
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
    let mut config = LoadConfig { url: args.url.clone(), tls: args.tls.config(), ..LoadConfig::default() };
    args.pace.put_into(&mut config, args.connect.seed);
    args.request.put_into(&mut config)?;
    args.connect.put_into(&mut config);
    args.reuse.put_into(&mut config);
    Ok(config)
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
