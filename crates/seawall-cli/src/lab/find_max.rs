//! `seawall lab find-max`: the highest load that holds the objectives, as an interval.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use seawall_lab::artifact::{Found, Seen};
use seawall_lab::find_max::{FindMaxConfig, FindMaxEvent, find_max};
use seawall_lab::report::lab::{LabReport, ProfilePair};
use seawall_lab::search::{Axis, Ending, Judgement, KneeInterval, Objectives, ProbePoint};
use seawall_lab::sweep::SweepError;
use seawall_load::LoadConfig;

use super::common::{InsideArgs, OutArgs, TargetArgs, is_interrupted, whole_seconds};
use super::course::Course;
use super::inside;
use super::text::{advice, ms, wrap};
use super::{INTERRUPTED, INVALID, SLO_BROKEN, usage};
use crate::load::{count, values};

const HELP: &str = "How it searches:
  A ramp until the objectives break, bisection until both ends are close, then both ends again. A load passes only if
  the upper end of the quantile's 95 % interval is within the objective, and fails only if the lower end is beyond; what is
  neither is measured again or left open. A generator that was late makes latencies longer, never shorter: a load that holds
  in spite of it holds; one that breaks is measured again, since nobody knows whose doing it was. A probe that cannot pass any
  more is ended: too much has failed, or what waits has grown for three seconds. Between two probes the service comes to rest.

By what?
  --by rate (the default) sends at fixed times, however slow the answers are: this is what users do. The answer is requests
  per second. --by conns has N clients that each wait for their answer: the answer is N.

Examples:
  seawall lab find-max http://127.0.0.1:8080/ --slo 'p99<20ms'
  seawall lab find-max http://127.0.0.1:8080/orders -b @order.json --slo 'p99<50ms,p99.9<200ms,err<0.1%' -o json=knee.json
  seawall lab find-max http://127.0.0.1:8080/ --by conns --slo 'p99<20ms'

Exit codes:
  0 found (an interval, or the highest load allowed still passes)   1 nothing was answered   2 wrong arguments
  3 no load holds the objectives   4 INVALID: the generator was the limit; what is printed is a lower bound   130 interrupted";

/// Arguments of `seawall lab find-max`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct FindMaxArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// What must hold: quantiles of latency and the share of errors
    #[arg(long, value_name = "LIST", default_value = "p99<50ms,err<0.1%")]
    slo: String,
    /// What is raised
    #[arg(long, value_enum, default_value_t = By::Rate)]
    by: By,
    /// Connections of a search by rate
    #[arg(short = 'c', long, value_name = "N", default_value_t = 64)]
    connections: usize,
    /// The first load [default: 200 requests per second, or 2 connections]
    #[arg(long, value_name = "N", value_parser = values::rate)]
    start: Option<f64>,
    /// Stop when the interval is this narrow: 5 is 5 %
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    precision: f64,
    /// Shortest length of a probe; it grows until ten requests lie beyond the highest quantile
    #[arg(short = 'd', long, value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    duration: Duration,
    /// Begin no probe after this
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = values::duration)]
    budget: Duration,
    #[command(flatten)]
    inside: InsideArgs,
    /// Take no CPU profiles below and above the knee, and do not look at the service's process
    #[arg(long, help_heading = "Looking inside")]
    no_inside: bool,
    /// Length of each of the two CPU profiles; whole seconds
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration, help_heading = "Looking inside")]
    profile_for: Duration,
    #[command(flatten)]
    out: OutArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Rate,
    Conns,
}

pub(super) fn run(args: &FindMaxArgs) -> Result<ExitCode> {
    args.out.check()?;
    let objectives = match Objectives::parse(&args.slo) {
        Ok(objectives) => objectives,
        Err(error) => return Ok(usage(&error, "find-max")),
    };
    let mut load = args.target.load()?;
    load.connections = args.connections;
    let config = FindMaxConfig {
        load,
        axis: if args.by == By::Rate { Axis::Rate } else { Axis::Connections },
        objectives,
        start: args.start,
        precision: 1.0 + args.precision / 100.0,
        probe: (args.duration, args.duration.max(Duration::from_secs(10))),
        budget: args.budget,
    };
    let unit = if args.by == By::Rate { "requests/s" } else { "connections" };
    let inside = if args.no_inside { None } else { Some(&args.inside) };
    let mut course = Course::begin(&config.load, inside)?;
    let found = find_max(&config, &mut |event| match event {
        FindMaxEvent::Judged(probe) => eprintln!("{}", row(probe, unit)),
        FindMaxEvent::Answered(load, began, report) => course.add(&level(load, unit), began, report),
        FindMaxEvent::Begin(..) | FindMaxEvent::Tick(_) => {}
    });
    let knee = match found {
        Err(SweepError::Config(error)) => return Ok(usage(&error, "find-max")),
        found => found?,
    };
    println!("{}", render(&knee, unit));
    let interrupted = is_interrupted(&config.load);
    let code = exit_code(&knee, interrupted);
    let target = format!("{} {}", config.load.method, config.load.url);
    let shown = [knee.lo, knee.hi].into_iter().flatten().map(|load| level(load, unit)).collect::<Vec<_>>();
    let mut report = LabReport::empty("find-max", &target);
    let profiles = match (interrupted, args.out.is_wanted()) {
        (true, _) => Err("the run was interrupted".to_owned()),
        // Nobody would wait for what nobody sees.
        (false, false) => Err("nothing is written".to_owned()),
        (false, true) => profiles(args, &config.load, &knee, &course),
    };
    course.finish(&mut report, &shown, profiles);
    let seen = Some(Box::new(report));
    args.out.write(&target, Found::Knee(Seen { result: knee, seen }))?;
    Ok(ExitCode::from(code))
}

/// A load as the report names it.
fn level(load: f64, unit: &str) -> String {
    format!("{} {unit}", count(load))
}

/// CPU profiles at half of the load that holds, and a tenth above the one that breaks.
fn profiles(
    args: &FindMaxArgs,
    load: &LoadConfig,
    knee: &KneeInterval,
    course: &Course,
) -> Result<ProfilePair, String> {
    if args.no_inside {
        return Err("it was switched off (--no-inside)".to_owned());
    }
    let (Some(lo), Some(hi)) = (knee.lo, knee.hi) else {
        return Err("without a knee there is no below and above".to_owned());
    };
    eprintln!("CPU profiles below and above the knee");
    let seconds = whole_seconds(args.profile_for);
    let profile = |at: f64| {
        let load = match knee.axis {
            Axis::Rate => LoadConfig { rate: Some(at), ..load.clone() },
            Axis::Connections => {
                LoadConfig { rate: None, connections: at.round().max(1.0) as usize, ..load.clone() }
            }
        };
        inside::cpu_profile(&load, course.pid(), course.endpoint(), seconds)
    };
    let (below, above) = (profile(lo / 2.0)?, profile(hi * 1.1)?);
    Ok(inside::cpu_pair(("below the knee", below), ("above the knee", above)))
}

fn row(probe: &ProbePoint, unit: &str) -> String {
    let verdict = match probe.judgement {
        Judgement::Pass => "holds",
        Judgement::Fail => "breaks",
        Judgement::Marginal => "too close to say",
        Judgement::Invalid => "invalid",
    };
    let reasons =
        if probe.reasons.is_empty() { String::new() } else { format!(": {}", probe.reasons.join("; ")) };
    let verdict = match probe.judgement {
        Judgement::Pass if !probe.reasons.is_empty() => "holds in spite of it",
        _ => verdict,
    };
    let p99 = ms(Some(probe.measured.p99_ms.value).filter(|ms| ms.is_finite()));
    format!("{:>10} {unit}  p99 {p99:>8}  {verdict}{reasons}", count(probe.rate))
}

fn render(knee: &KneeInterval, unit: &str) -> String {
    let of = |load: f64| format!("{} {unit}", count(load));
    let sentence = match (knee.lo, knee.hi, knee.ending) {
        (Some(lo), _, _) if !knee.valid => {
            format!(
                "INVALID: at least {}; beyond it the generator was the limit ({}). {}",
                of(lo),
                knee.reasons.join("; "),
                advice()
            )
        }
        (None, _, _) if !knee.valid => format!("INVALID: {}. {}", knee.reasons.join("; "), advice()),
        (Some(lo), Some(hi), Ending::Confirmed) => {
            format!("The knee is between {} and {}: measured twice at both ends.", of(lo), of(hi))
        }
        (Some(lo), Some(hi), _) => format!(
            "The knee is between {} and {}; the time was over before both ends were confirmed.",
            of(lo),
            of(hi)
        ),
        (Some(lo), None, Ending::NeverFailed) => {
            format!("It holds up to {}, the highest load that is tried.", of(lo))
        }
        (Some(lo), None, _) => format!("It holds at {}; the time was over before it broke.", of(lo)),
        (None, _, _) => "No load holds the objectives.".to_owned(),
    };
    let at = knee.rps_at_lo.filter(|_| knee.axis == Axis::Connections);
    let rate = at
        .map_or(String::new(), |rps| format!("\n  {} requests/s are answered at the lower end.", count(rps)));
    format!("{}\n  objectives: {}; {} probes{rate}", wrap(&sentence, ""), knee.slo, knee.probes.len())
}

fn exit_code(knee: &KneeInterval, interrupted: bool) -> u8 {
    match (interrupted, knee.valid, knee.lo) {
        (true, _, _) => INTERRUPTED,
        (_, false, _) => INVALID,
        (_, _, None) => SLO_BROKEN,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knee(lo: Option<f64>, hi: Option<f64>, ending: Ending, valid: bool) -> KneeInterval {
        let reasons = if valid { vec![] } else { vec!["the generator was late".to_owned()] };
        let slo = "p99<20ms".to_owned();
        KneeInterval { axis: Axis::Rate, lo, hi, rps_at_lo: lo, ending, slo, valid, reasons, probes: vec![] }
    }
    fn check(knee: &KneeInterval, words: &str, code: u8) {
        let text = render(knee, "requests/s");
        assert!(text.starts_with(words), "{text}");
        assert_eq!(exit_code(knee, false), code);
        assert_eq!(exit_code(knee, true), INTERRUPTED);
    }

    #[test]
    fn a_confirmed_interval_is_found() {
        check(&knee(Some(950.0), Some(1000.0), Ending::Confirmed, true), "The knee is between 950", 0);
    }
    #[test]
    fn a_generator_at_its_limit_gives_a_lower_bound_and_exit_code_4() {
        check(&knee(Some(950.0), None, Ending::LowerBound, false), "INVALID: at least 950", INVALID);
    }
    #[test]
    fn no_load_at_all_is_exit_code_3() {
        check(&knee(None, Some(1.0), Ending::NeverPassed, true), "No load holds", SLO_BROKEN);
    }
}
