//! `seawall load`: puts load on an HTTP service and says what it measured, and whether that may be believed.
//!
//! Here are the arguments, the signals and the exit codes; the measuring is seawall-load's.

pub(crate) mod args;
mod live;
mod output;
mod progress;
mod prometheus;
mod replay;
mod scenario;
mod sink;
mod text;
pub(crate) mod values;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use seawall_load::{ConfigError, Load, LoadConfig, LoadError, Report, SelfTestConfig, Tick, self_test};

use args::{ConnectArgs, PaceArgs, RequestArgs, ReuseArgs, TlsArgs};
use output::OutputArgs;
pub(crate) use text::count;

/// Exit code of a run in which nothing was answered.
const FAILED: u8 = 1;
/// Exit code of a run that broke an objective.
const SLO_BROKEN: u8 = 3;
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

  What users still get of a service that is asked for too much: successes within 100 ms of when they were due:
      seawall load http://127.0.0.1:8080/ -R 20k --max-conns 1000 --deadline 100ms --good-within 100ms

  A POST with a body from a file, and the result as JSON:
      seawall load http://127.0.0.1:8080/orders -m POST -b @order.json -H 'Content-Type: application/json' --json result.json

  A different order from each user of a list, on ten requests per connection, over TLS with an authority of your own:
      seawall load https://shop.test/orders -b '{"user":"{{csv.id}}","key":"{{uuid}}"}' --data users.csv \
        --reqs-per-conn 10 --ca ca.pem --connect-to 10.0.0.7:8443

  Does it hold its objectives at 2,000 requests per second? Exit code 0 yes, 3 no, 4 nobody knows:
      seawall load http://127.0.0.1:8080/ -R 2000 -d 1m --slo 'p99<50ms,err<0.1%' --json result.json --csv runs.csv

  A hundred streams on each of four HTTP/2 connections; messages to a WebSocket, each answered by one:
      seawall load https://shop.test/ --h2 --streams 100 -c 4
      seawall load ws://127.0.0.1:8080/echo -b 'hello {{seq}}' -c 100

  How fast is the client itself? In one terminal the sink, in another the load:
      seawall load sink --addr 127.0.0.1:9999
      seawall load http://127.0.0.1:9999/

Templates, in path, fields, body and form:
  {{csv.COLUMN}} the next row of --data   {{seq}} 0, 1, 2, ...   {{rand 1 6}} a whole number, both ends included
  {{uuid}} a random UUID   {{"{{"}} braces that are meant (or --no-templates)

Which loop?
  Without -R each connection sends when its last answer is there (closed loop, as wrk does): this finds the highest
  throughput, but a slow server slows its own test down, and waiting users are not seen.
  With -R, --stages or --ramp requests are due at fixed times (open loop), and latency counts from those times: this
  is what users feel.

Exit codes:
  0 measured, and every --slo was met   1 nothing was answered   2 wrong arguments   3 an --slo was broken
  4 INVALID: the generator, not the server, was the limit   130 interrupted (the report is still printed and written)"#;

/// Arguments of `seawall load`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct LoadArgs {
    #[command(subcommand)]
    command: Option<LoadCommand>,
    /// The target, such as http://127.0.0.1:8080/path, https://example.org/ or ws://127.0.0.1:8080/socket
    #[arg(required = true)]
    url: Option<String>,
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
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum LoadCommand {
    /// A server that does next to nothing: put load on it to see the client's own ceiling
    Sink(sink::SinkArgs),
    /// Sends recorded traffic again, at the times at which it came: access logs and HAR files
    Replay(Box<replay::ReplayArgs>),
    /// Users who go through the steps of a file: think times, extracted values, expectations
    Scenario(Box<scenario::ScenarioArgs>),
}

/// Runs the load, prints the report, and says how the process should exit.
///
/// # Errors
/// A file that cannot be read or written, a host without an address, a generator that could not start.
pub(crate) fn run(args: &LoadArgs) -> Result<ExitCode> {
    match &args.command {
        Some(LoadCommand::Sink(args)) => return sink::run(args),
        Some(LoadCommand::Replay(args)) => return replay::run(args),
        Some(LoadCommand::Scenario(args)) => return scenario::run(args),
        None => {}
    }
    let config = config(args)?;
    measure(
        &args.output,
        &config.url,
        &client(&config),
        || Load::new(&config),
        |load, observer| load.run(observer),
    )
}

/// With what a load is sent.
fn client(config: &LoadConfig) -> SelfTestConfig {
    SelfTestConfig {
        connections: config.connections,
        threads: config.threads,
        cpus: config.cpus.clone(),
        interrupt: Arc::clone(&config.interrupt),
    }
}

/// Checks what is to be run with `prepare`, tests the client, runs it, and puts the report out. Wrong values end with
/// [`USAGE`].
fn measure<T>(
    output: &OutputArgs,
    url: &str,
    client: &SelfTestConfig,
    prepare: impl FnOnce() -> Result<T, ConfigError>,
    run: impl FnOnce(T, &mut dyn FnMut(&Tick)) -> Result<Report, LoadError>,
) -> Result<ExitCode> {
    let prepared = prepare().and_then(|prepared| Ok((prepared, output.slos()?)));
    let (prepared, slos) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(usage(&error)),
    };
    let tests = !output.no_self_test;
    let mut output = output.open(url)?;
    stop_on_signals(&client.interrupt)?;
    let tested = tests.then(|| self_test(client)).transpose()?;
    let report = run(prepared, &mut |tick| output.tick(tick));
    output.end_progress();
    let mut report = match report {
        Err(LoadError::Config(error)) => return Ok(usage(&error)),
        report => report?,
    };
    if let Some(tested) = tested {
        report.add_self_test(tested);
    }
    if !report.interrupted {
        report.judge_slos(&slos);
    }
    output.finish(&report)?;
    Ok(ExitCode::from(exit_code(&report)))
}

fn usage(error: &ConfigError) -> ExitCode {
    eprintln!("error: {error}\n\nFor more, try `seawall load --help`.");
    ExitCode::from(USAGE)
}

/// The first Ctrl-C ends the run with a report, the second one ends the process.
pub(crate) fn stop_on_signals(interrupt: &Arc<AtomicBool>) -> Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let second = (signal, i32::from(INTERRUPTED), Arc::clone(interrupt));
        signal_hook::flag::register_conditional_shutdown(second.0, second.1, second.2)
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(interrupt)))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(())
}

fn config(args: &LoadArgs) -> Result<LoadConfig> {
    let mut config = LoadConfig {
        url: args.url.clone().unwrap_or_default(),
        tls: args.tls.config(),
        ..LoadConfig::default()
    };
    args.pace.put_into(&mut config, args.connect.seed);
    args.request.put_into(&mut config)?;
    args.connect.put_into(&mut config);
    args.reuse.put_into(&mut config);
    Ok(config)
}

fn exit_code(report: &Report) -> u8 {
    if report.interrupted {
        INTERRUPTED
    } else if report.requests == 0 {
        FAILED
    } else if report.is_invalid() {
        INVALID
    } else if report.breaks_slo() {
        SLO_BROKEN
    } else {
        0
    }
}
