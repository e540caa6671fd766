//! `seawall load replay`: recorded traffic, at the times at which it came.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use seawall_load::replay::Recording;
use seawall_load::{Load, LoadConfig};

use super::args::{ConnectArgs, ReuseArgs, TlsArgs, fields};
use super::output::OutputArgs;
use super::text::count;
use super::values::{self, Header};
use super::{client, measure, usage};

const EXAMPLES: &str = "\
Examples:
  Yesterday's traffic against the new version, twice as fast:
      seawall load replay access.log http://127.0.0.1:8080 --speed 2 -c 256

  What a browser recorded:
      seawall load replay session.har https://staging.test

Logs (common, combined, JSON lines as Seawall's access log) have no bodies: only GET, HEAD and OPTIONS are sent, unless
--all-methods. Each request is due at its recorded time (open loop), so latency counts from there.";

/// Arguments of `seawall load replay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// An access log or a HAR file
    file: PathBuf,
    /// Where to send it, such as http://127.0.0.1:8080; the paths are the recorded ones
    url: String,
    /// How much faster than recorded; 0.5 is half as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f64,
    /// Also send logged requests whose body is not known, without one
    #[arg(long)]
    all_methods: bool,
    /// A header field for every request, instead of the recorded one, such as 'Authorization: Bearer x'; repeat for more
    #[arg(short = 'H', long = "header", value_name = "K:V", value_parser = values::header)]
    headers: Vec<Header>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    reuse: ReuseArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let mut config = LoadConfig {
        url: args.url.clone(),
        tls: args.tls.config(),
        headers: fields(&args.headers),
        ..LoadConfig::default()
    };
    args.connect.put_into(&mut config);
    args.reuse.put_into(&mut config);
    let recording = match Recording::read(&args.file, args.all_methods) {
        Ok(recording) => recording,
        Err(error) => return Ok(usage(&error)),
    };
    eprintln!("{} requests to replay", count(recording.requests.len() as f64));
    if recording.without_body > 0 {
        let left_out = count(recording.without_body as f64);
        eprintln!(
            "{left_out} left out: the log does not have their bodies (--all-methods sends them without)"
        );
    }
    if recording.not_understood > 0 {
        eprintln!("{} lines not understood", count(recording.not_understood as f64));
    }
    if let Err(error) = recording.put_into(&mut config, args.speed) {
        return Ok(usage(&error));
    }
    measure(
        &args.output,
        &config.url,
        &client(&config),
        || Load::new(&config),
        |load, observer| load.run(observer),
    )
}
