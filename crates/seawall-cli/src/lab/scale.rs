//! `seawall lab scale`: throughput over connections, and the law behind it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use seawall_lab::artifact::{Found, Scale, Seen};
use seawall_lab::laws::usl::UslFit;
use seawall_lab::report::lab::LabReport;
use seawall_lab::scale::{ScaleConfig, ScaleEvent, connections, scale};
use seawall_lab::search::{Bend, Estimate};
use seawall_lab::sweep::SweepError;

use super::common::{InsideArgs, OutArgs, TargetArgs, is_interrupted};
use super::course::Course;
use super::text::{advice, bar, ms, wrap};
use super::{INTERRUPTED, INVALID, usage};
use crate::load::{count, values};

const HELP: &str = "What it tells:
  The Universal Scalability Law, X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): lambda is what one connection alone
  gets, sigma the part of the work that is done one at a time (locks, one thread, one disk), kappa the price of agreement
  among all (caches that bounce, locks handed around), which makes throughput fall again. Intervals are 95 %, by bootstrap.
  Where the interval of kappa holds 0 there is no peak in range, and none is printed.

  The bend is where latency begins to grow faster than throughput (Kneedle): a knee for those who have no objective yet. It
  depends on how far the sweep goes. With an objective, `find-max` is the better question.

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
    inside: InsideArgs,
    /// Do not look at the service's process
    #[arg(long, help_heading = "Looking inside")]
    no_inside: bool,
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
    let name =
        |connections: usize| format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
    let inside = if args.no_inside { None } else { Some(&args.inside) };
    let mut course = Course::begin(&config.load, inside)?;
    let found = scale(&config, &mut |event| match event {
        ScaleEvent::Begin(connections) => {
            step += 1;
            eprintln!("{step}/{steps}  {}", name(connections));
        }
        ScaleEvent::Answered(connections, began, report) => course.add(&name(connections), began, report),
        ScaleEvent::Tick(_) => {}
    });
    let found = match found {
        Err(SweepError::Config(error)) => return Ok(usage(&error, "scale")),
        found => found?,
    };
    println!("{}", render(&found));
    let interrupted = is_interrupted(&config.load);
    let code = exit_code(&found, interrupted);
    let target = format!("{} {}", config.load.method, config.load.url);
    let mut report = LabReport::empty("scale", &target);
    let shown: Vec<String> = shown(&found).into_iter().map(name).collect();
    let profiles = Err("`seawall lab scale` takes none; `seawall lab profile` does".to_owned());
    course.finish(&mut report, &shown, profiles);
    let seen = Some(Box::new(report));
    args.out.write(&target, Found::Scale(Seen { result: found, seen }))?;
    Ok(ExitCode::from(code))
}

/// The points whose percentile curves are drawn: the first, the bend, the last.
fn shown(scale: &Scale) -> Vec<usize> {
    let ends = [scale.points.first(), scale.points.last()].map(|point| point.map(|point| point.n as usize));
    let mut shown: Vec<usize> =
        [ends[0], scale.bend.map(|bend| bend.load as usize), ends[1]].into_iter().flatten().collect();
    shown.dedup();
    shown
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
    lines.extend(scale.bend.iter().map(|bend| wrap(&bend_words(bend), "")));
    lines.extend(scale.notes.iter().map(|note| wrap(note, "  ")));
    if scale.fit.is_none() && scale.points.iter().any(|point| !point.invalid.is_empty()) {
        lines.push(wrap(&advice(), "  "));
    }
    lines.join("\n")
}

fn bend_words(bend: &Bend) -> String {
    let (from, to) = bend.between;
    format!(
        "Without an objective: beyond {} connections ({} to {}) latency grows faster than throughput; there it is {} \
         requests/s with a p99 of {}.",
        bend.load,
        from,
        to,
        count(bend.rps),
        ms(Some(bend.p99_ms))
    )
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
