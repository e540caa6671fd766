//! `seawall lab scale`: throughput over connections, and the law behind it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use seawall_lab::artifact::{Found, Scale};
use seawall_lab::laws::usl::UslFit;
use seawall_lab::scale::{ScaleConfig, ScaleError, connections, scale};
use seawall_lab::search::Estimate;

use super::common::{OutArgs, TargetArgs, is_interrupted};
use super::text::{bar, ms, wrap};
use super::{INTERRUPTED, INVALID, usage};
use crate::load::{count, values};

const HELP: &str = "What it tells:
  The Universal Scalability Law, X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): lambda is what one connection alone
  gets, sigma the part of the work that is done one at a time (locks, one thread, one disk), kappa the price of agreement
  among all (caches that bounce, locks handed around), which makes throughput fall again. Intervals are 95 %, by bootstrap.
  Where the interval of kappa holds 0 there is no peak in range, and none is printed.

Examples:
  seawall lab scale http://127.0.0.1:8080/
  seawall lab scale http://127.0.0.1:8080/ --max 512 -d 5s -t 2 -o json=scale.json

Exit codes:
  0 fitted   1 nothing was answered   2 wrong arguments   4 INVALID: too few points count, most often because the generator
  was the limit   130 interrupted";

/// Arguments of `seawall lab scale`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ScaleArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The highest number of connections; each step is about 1.5 times the one before
    #[arg(long, value_name = "N", default_value_t = 128, conflicts_with = "at")]
    max: usize,
    /// Instead: these numbers of connections
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    at: Vec<usize>,
    /// Length of each point
    #[arg(short = 'd', long, value_name = "TIME", default_value = "3s", value_parser = values::duration)]
    duration: Duration,
    /// Where the random numbers of the intervals begin
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    out: OutArgs,
}

pub(super) fn run(args: &ScaleArgs) -> Result<ExitCode> {
    args.out.check()?;
    let config = ScaleConfig {
        load: args.target.load()?,
        connections: if args.at.is_empty() { connections(args.max) } else { args.at.clone() },
        length: args.duration,
        seed: args.seed,
    };
    let steps = config.connections.len();
    let mut step = 0;
    let found = scale(&config, &mut |connections, tick| {
        if tick.is_none() {
            step += 1;
            eprintln!("{step}/{steps}  {connections} connections");
        }
    });
    let found = match found {
        Err(ScaleError::Config(error)) => return Ok(usage(&error, "scale")),
        found => found?,
    };
    println!("{}", render(&found));
    let interrupted = is_interrupted(&config.load);
    let code = exit_code(&found, interrupted);
    args.out.write(&format!("{} {}", config.load.method, config.load.url), Found::Scale(found))?;
    Ok(ExitCode::from(code))
}

fn render(scale: &Scale) -> String {
    let best = scale.points.iter().map(|point| point.rps).fold(1e-9, f64::max);
    let mut lines = vec![format!("{:>11}  {:>12}  {:>9}  {:>9}", "connections", "requests/s", "p50", "p99")];
    for point in &scale.points {
        let mark = if point.invalid.is_empty() { "" } else { "  does not count" };
        lines.push(format!(
            "{:>11}  {:>12}  {:>9}  {:>9}  {}{mark}",
            point.n,
            count(point.rps),
            ms(point.p50_ms),
            ms(point.p99_ms),
            bar(point.rps / best)
        ));
    }
    if let Some(fit) = &scale.fit {
        lines.push(String::new());
        lines.extend(law(fit));
    }
    lines.extend(scale.notes.iter().map(|note| wrap(note, "  ")));
    lines.join("\n")
}

fn law(fit: &UslFit) -> Vec<String> {
    let of = |name: &str, estimate: Estimate, digits: usize| {
        let Estimate { low, value, high } = estimate;
        format!("  {name:<7} {value:>12.digits$}   ({low:.digits$} to {high:.digits$})")
    };
    let mut lines = vec![wrap(&fit.meaning, "")];
    lines.push(of("lambda", fit.lambda, 1));
    lines.push(of("sigma", fit.sigma, 5));
    lines.push(of("kappa", fit.kappa, 7));
    if let (Some(n), Some(rps)) = (fit.peak_n, fit.peak_rps) {
        lines.push(of("peak at", n, 0) + " connections");
        lines.push(of("", rps, 0) + " requests/s");
    }
    lines.push(format!(
        "  R2 {:.4}, the farthest point is {:.1} % off",
        fit.r_squared,
        fit.worst_residual * 100.0
    ));
    lines
}

fn exit_code(scale: &Scale, interrupted: bool) -> u8 {
    match (interrupted, &scale.fit) {
        (true, _) => INTERRUPTED,
        (false, None) => INVALID,
        (false, Some(_)) => 0,
    }
}
