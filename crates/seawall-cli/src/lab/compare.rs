//! `seawall lab compare`: two commands in turn, or two stored runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use seawall_lab::artifact::Found;
use seawall_lab::compare::{
    Block, CompareConfig, Comparison, Metric, Outcome, SignalPair, from_load_json, judge_pairs, judge_runs,
    signal_differences,
};
use seawall_lab::report::lab::{Collected, LabReport, Objective, ProfilePair, Recorder, mood_of};
use seawall_lab::report::{Fact, Validity};
use seawall_lab::signals::series::{EvidenceLevel, SignalSeries};
use seawall_lab::store::{SCHEMA, Store, StoredRun};
use seawall_load::{LoadConfig, Report, Slo, WarmUp};

use super::blocks::{self, BlockPlan, Blocks, Look};
use super::common::{AdminArgs, whole_seconds};
use super::comparison::inside_lines;
pub(super) use super::comparison::lines;
use super::output::{self, Out};
use super::server::Launch;
use super::{EXIT_CODES, INTERRUPTED, INVALID, REGRESSION, SLO_BROKEN, facts, usage};
use crate::demo::environment::fact;
use crate::demo::progress::{Progress, say};
use crate::demo::{clock, sys};
use crate::load::args::RequestArgs;
use crate::load::{stop_on_signals, values};

/// Characters of a command that is its own name.
const LONGEST_NAME: usize = 28;

const EXAMPLES: &str = "Examples:
  Is the branch slower than main? Each command is started, loaded and ended, in a random order:
      seawall lab compare --a ./main/server --b ./branch/server http://127.0.0.1:8080/ -o html=report.html

  What users feel at 2,000 requests per second, and only p99 counts:
      seawall lab compare --a './server --pool 1' --b './server --pool 8' http://127.0.0.1:8080/ -R 2000 --gate p99

  Where does the CPU go in each? A Seawall service says so itself; of any other, `perf` does:
      seawall lab compare --a ./main/server --b ./branch/server http://127.0.0.1:8080/ --admin 127.0.0.1:6060

  Two results of `seawall load --json`, made at different times:
      seawall lab compare before.json after.json
";

/// Arguments of `seawall lab compare`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
pub(super) struct CompareArgs {
    /// The URL that both commands serve, or two stored runs
    #[arg(value_name = "URL | RUN RUN", required = true, num_args = 1..=2)]
    targets: Vec<String>,
    /// The command that is there: run by `sh -c`, serves until it is ended
    #[arg(long, value_name = "CMD", requires = "b")]
    a: Option<String>,
    /// The command that is new
    #[arg(long, value_name = "CMD", requires = "a")]
    b: Option<String>,
    /// What to call A [default: its command, or A]
    #[arg(long, value_name = "NAME")]
    a_name: Option<String>,
    /// What to call B [default: its command, or B]
    #[arg(long, value_name = "NAME")]
    b_name: Option<String>,
    /// Pairs of blocks
    #[arg(long, value_name = "N", default_value_t = 10)]
    pairs: usize,
    /// Pairs of A with itself, which tell how much is noise
    #[arg(long, value_name = "N", default_value_t = 6)]
    noise_pairs: usize,
    /// Length of a block, without its warm-up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    block: Duration,
    /// Warm-up of each block
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    warmup: Duration,
    /// Open loop: requests per second. Without it: as fast as the answers come
    #[arg(short = 'R', long, value_name = "N", value_parser = values::rate)]
    rate: Option<f64>,
    /// Keep-alive connections
    #[arg(short = 'c', long, value_name = "N", default_value_t = 64)]
    connections: usize,
    /// Metrics whose regression counts: throughput, p50, p99, p999, cpu_per_request, error_rate [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = metric)]
    gate: Vec<Metric>,
    /// An effect below this part of A is never claimed
    #[arg(long, value_name = "PART", default_value_t = 0.01)]
    min_effect: f64,
    /// Objectives of B, such as 'p99<50ms,err<0.1%'
    #[arg(long, value_name = "LIST")]
    slo: Option<String>,
    /// Where the random order begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Let builds and generator share all processors [default: one half each]
    #[arg(long)]
    no_pin: bool,
    /// Do not look at the builds' processes: no resources and threads in the report
    #[arg(long, help_heading = "Looking inside")]
    no_signals: bool,
    /// Take no CPU profiles: no flame graphs in the report
    #[arg(long, help_heading = "Looking inside")]
    no_profile: bool,
    /// Length of the CPU profile of each build, taken after the pairs under the same load; whole seconds
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration, help_heading = "Looking inside")]
    profile_for: Duration,
    #[command(flatten)]
    admin: AdminArgs,
    /// Also write json=FILE or html=FILE; repeat for more
    #[arg(short = 'o', long = "out", value_name = "KIND=FILE", value_parser = output::parse)]
    outputs: Vec<Out>,
    /// Also keep both runs in this directory, for `seawall lab history`
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    request: RequestArgs,
}

fn metric(name: &str) -> Result<Metric, String> {
    Metric::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        format!("`{name}` is no metric; there are {}", names.join(", "))
    })
}

pub(super) fn run(args: &CompareArgs) -> Result<ExitCode> {
    let config = CompareConfig {
        pairs: args.pairs,
        noise_pairs: args.noise_pairs,
        min_effect: args.min_effect,
        gate: args.gate.clone(),
        seed: args.seed,
        ..CompareConfig::default()
    };
    if let Err(error) = config.check() {
        return Ok(usage(&error, "compare"));
    }
    match (&args.a, &args.b, args.targets.as_slice()) {
        (Some(a), Some(b), [url]) => commands(args, &config, (a, b), url),
        (None, None, [a, b]) => stored(args, &config, (Path::new(a), Path::new(b))),
        _ => Ok(usage(&"give --a, --b and one URL, or two stored runs", "compare")),
    }
}

/// What both ways to compare need to make a report.
pub(super) struct Parts<'a> {
    pub(super) comparison: Comparison,
    pub(super) objectives: Vec<Objective>,
    pub(super) target: &'a str,
    pub(super) duration_s: f64,
    pub(super) settings: Vec<Fact>,
}

fn commands(args: &CompareArgs, config: &CompareConfig, (a, b): (&str, &str), url: &str) -> Result<ExitCode> {
    let slos = match args.slo.as_deref().map_or(Ok(Vec::new()), Slo::parse_all) {
        Ok(slos) => slos,
        Err(error) => return Ok(usage(&error, "compare")),
    };
    let origin = clock::now();
    let interrupt = Arc::new(AtomicBool::new(false));
    let processors = processors(args.no_pin)?;
    let mut load = LoadConfig {
        url: url.to_owned(),
        connections: args.connections,
        rate: args.rate,
        duration: args.block,
        warmup: WarmUp::Fixed(args.warmup),
        cpus: (!processors.1.is_empty()).then(|| processors.1.clone()),
        interrupt: Arc::clone(&interrupt),
        ..LoadConfig::default()
    };
    args.request.put_into(&mut load)?;
    if let Err(error) = seawall_load::Load::new(&load) {
        return Ok(usage(&error, "compare"));
    }
    stop_on_signals(&interrupt)?;
    let logs = Logs::new()?;
    let plan = BlockPlan { load, dir: logs.0.clone(), interrupt: Arc::clone(&interrupt), origin };
    let dir = std::env::current_dir()?;
    let launch = |name: &Option<String>, side: &str, command: &str| Launch {
        name: name.clone().unwrap_or_else(|| short_name(side, command)),
        command: command.to_owned(),
        env: BTreeMap::new(),
        dir: dir.clone(),
        cpus: processors.0.clone(),
    };
    let (a, b) = (launch(&args.a_name, "A", a), launch(&args.b_name, "B", b));
    let look = Look {
        signals: !args.no_signals,
        profile: (!args.no_profile).then(|| whole_seconds(args.profile_for)),
        endpoint: args.admin.endpoint()?,
    };
    let mut recorder = Recorder::new();
    let blocks = match blocks::run_seen(&plan, (&a, &b), config, &mut recorder, &Progress::new(), &look) {
        Err(_) if interrupt.load(Relaxed) => return Ok(ExitCode::from(INTERRUPTED)),
        blocks => blocks?,
    };
    let comparison = judge_pairs((&a.name, &b.name), &blocks.pairs, &blocks.noise, config);
    let environment = facts::environment(&dir);
    keep(args, &blocks, (&a, &b), &environment, &target(&plan.load))?;
    let objectives = objectives(&slos, blocks.b);
    let target = target(&plan.load);
    let parts = Parts {
        comparison,
        objectives,
        target: &target,
        duration_s: clock::now().saturating_duration_since(origin).as_secs_f64(),
        settings: settings(args, &plan, &a, &b),
    };
    let mut report = report(parts);
    recorder.finish(&mut report, &[&a.name, &b.name]);
    put_inside(args, &mut report, (blocks.signals, blocks.profiles, blocks.missing));
    finish(args, report, environment)
}

/// Puts what was seen inside the builds into the report, or why it was not.
fn put_inside(
    args: &CompareArgs,
    report: &mut LabReport,
    (signals, profiles, missing): (Option<SignalPair>, Option<ProfilePair>, Vec<String>),
) {
    let why = |off: bool, option: &str| {
        if off { format!("it was switched off ({option})") } else { missing.join("; ") }
    };
    report.signals = Collected::Missing(why(args.no_signals, "--no-signals"));
    report.evidence = Some(match (&signals, &profiles) {
        (_, Some(_)) => EvidenceLevel::L2,
        (Some(_), None) => EvidenceLevel::L1,
        (None, None) => EvidenceLevel::L0,
    });
    report.sides = signals.into_iter().collect();
    report.put_profile_pair(profiles, &why(args.no_profile, "--no-profile"));
    report.missing = missing;
}

/// The processors of the builds and of the generator; empty means not pinned.
pub(super) fn processors(no_pin: bool) -> Result<(Vec<usize>, Vec<usize>)> {
    let all = sys::allowed_cpus().context("cannot read which processors there are")?;
    if no_pin || all.len() < 2 {
        return Ok((Vec::new(), Vec::new()));
    }
    let (build, generator) = all.split_at(all.len() / 2);
    Ok((build.to_vec(), generator.to_vec()))
}

/// A directory for the builds' logs, removed when dropped.
pub(super) struct Logs(pub(super) PathBuf);

impl Logs {
    pub(super) fn new() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("seawall-lab-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A command as a name, if it is short enough for a legend; else the side's letter. The settings show the whole command.
fn short_name(side: &str, command: &str) -> String {
    if command.chars().count() <= LONGEST_NAME { command.to_owned() } else { side.to_owned() }
}

/// The request in words.
pub(super) fn target(load: &LoadConfig) -> String {
    format!("{} {}", load.method, load.url)
}

/// Judges the objectives by all of a build's blocks together.
pub(super) fn objectives(slos: &[Slo], report: Option<Report>) -> Vec<Objective> {
    let Some(mut report) = report else { return Vec::new() };
    report.judge_slos(slos);
    let objective = |result: &seawall_load::SloResult| {
        let name = result.slo.trim_start();
        let measured = if name.starts_with("err") {
            format!("{:.3} %", result.measured * 100.0)
        } else if name.starts_with("rps") {
            format!("{:.0}/s", result.measured)
        } else {
            format!("{:.2} ms", result.measured / 1e3)
        };
        let bound = if result.lower_bound { "at least " } else { "" };
        Objective { text: result.slo.clone(), measured: format!("{bound}{measured}"), met: result.met }
    };
    report.slo.iter().map(objective).collect()
}

fn settings(args: &CompareArgs, plan: &BlockPlan, a: &Launch, b: &Launch) -> Vec<Fact> {
    let load = match args.rate {
        Some(rate) => format!("open loop, {rate} requests/s on {} connections", args.connections),
        None => format!("closed loop, {} connections", args.connections),
    };
    let pinned = if a.cpus.is_empty() {
        "all shared".to_owned()
    } else {
        format!("builds {:?}, generator {:?}", a.cpus, plan.load.cpus.as_deref().unwrap_or_default())
    };
    vec![
        fact("A", a.command.as_str()),
        fact("B", b.command.as_str()),
        fact("Load", load),
        fact("Block", format!("{:?}, after {:?} of warm-up", args.block, args.warmup)),
        fact("Pairs", format!("{}, and {} of A with itself", args.pairs, args.noise_pairs)),
        fact("Processors", pinned),
        fact("Seed", args.seed.to_string()),
    ]
}

/// Keeps both sides' blocks, if that is wanted.
fn keep(
    args: &CompareArgs,
    blocks: &Blocks,
    (a, b): (&Launch, &Launch),
    environment: &[Fact],
    target: &str,
) -> Result<()> {
    let Some(dir) = &args.store else { return Ok(()) };
    let load = args.rate.map_or_else(|| "closed".to_owned(), |rate| format!("{rate}/s"));
    let series = format!("{target}, {load}, {} connections", args.connections);
    let run = |launch: &Launch, blocks: Vec<Block>, signals: Option<&SignalSeries>| StoredRun {
        schema: SCHEMA,
        at_s: clock::since_epoch().as_secs(),
        label: format!("{} ({})", launch.name, facts::label(environment)),
        series: series.clone(),
        command: launch.command.clone(),
        environment: environment.to_vec(),
        blocks,
        signals: signals.cloned(),
    };
    let store = Store::new(dir);
    let seen = blocks.signals.as_ref();
    let of_a = blocks.pairs.iter().map(|pair| pair.a.clone()).collect();
    let of_b = blocks.pairs.iter().map(|pair| pair.b.clone()).collect();
    store.keep(&run(a, of_a, seen.map(|pair| &pair.a)))?;
    store.keep(&run(b, of_b, seen.map(|pair| &pair.b)))?;
    Ok(())
}

fn stored(args: &CompareArgs, config: &CompareConfig, (a, b): (&Path, &Path)) -> Result<ExitCode> {
    let began = clock::now();
    let ((of_a, seen_a), (of_b, seen_b)) = (stored_blocks(a)?, stored_blocks(b)?);
    let name = |given: &Option<String>, path: &Path| {
        given.clone().unwrap_or_else(|| {
            path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        })
    };
    let (a_name, b_name) = (name(&args.a_name, a), name(&args.b_name, b));
    let comparison = judge_runs((&a_name, &b_name), &of_a, &of_b, config);
    let differences = signal_differences(of_a.iter(), of_b.iter(), config.alpha);
    let sides = seen_a.zip(seen_b).map(|(a, b)| {
        let (a_name, b_name) = (a_name.clone(), b_name.clone());
        SignalPair { a_name, b_name, a, b, differences }
    });
    let target = format!("{} and {}", a.display(), b.display());
    let parts = Parts {
        comparison,
        objectives: Vec::new(),
        target: &target,
        duration_s: clock::now().saturating_duration_since(began).as_secs_f64(),
        settings: vec![fact("A", a.display().to_string()), fact("B", b.display().to_string())],
    };
    let mut report = report(parts);
    let why = "stored runs hold what each block measured, and not its course";
    (report.load, report.heat) = (Collected::Missing(why.into()), Collected::Missing(why.into()));
    report.spectrum = Collected::Missing(why.into());
    report.signals = Collected::Missing(
        "one of the runs was stored without signals (`compare --store` keeps them)".into(),
    );
    report.sides = sides.into_iter().collect();
    let why = "stored runs hold no profiles";
    report.put_profile_pair(None, why);
    finish(args, report, facts::environment(&std::env::current_dir()?))
}

/// The blocks of a stored run, or of a result of `seawall load --json`, and what was seen inside the build.
fn stored_blocks(path: &Path) -> Result<(Vec<Block>, Option<SignalSeries>)> {
    match seawall_lab::store::read(path) {
        Ok(run) => Ok((run.blocks, run.signals)),
        Err(_) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((from_load_json(&text).with_context(|| path.display().to_string())?, None))
        }
    }
}

/// The report of one comparison, without what the load left behind.
pub(super) fn report(parts: Parts<'_>) -> LabReport {
    let Parts { comparison, objectives, target, duration_s, settings } = parts;
    let mut report = LabReport::empty("compare", target);
    report.title = format!("{} against {}", comparison.b_name, comparison.a_name);
    report.headline.clone_from(&comparison.summary);
    report.mood = mood_of(comparison.outcome);
    let invalid = comparison.outcome == Outcome::Invalid;
    report.validity =
        Validity { valid: !invalid, reasons: if invalid { comparison.notes.clone() } else { vec![] } };
    report.duration_s = duration_s;
    report.objectives = objectives;
    report.settings = settings;
    report.comparisons = Collected::Data(vec![comparison]);
    report
}

/// Prints, writes, and says how to exit.
fn finish(args: &CompareArgs, report: LabReport, environment: Vec<Fact>) -> Result<ExitCode> {
    let comparison = report.comparisons.data().and_then(|all| all.first()).cloned();
    let code =
        comparison.as_ref().map_or(INVALID, |comparison| exit_code(comparison.outcome, &report.objectives));
    if let Some(comparison) = &comparison {
        lines(comparison, &report.objectives).iter().for_each(|line| say(line));
    }
    inside_lines(&report).iter().for_each(|line| say(line));
    let target = report.target.clone();
    let artifact = output::artifact(&target, environment, Found::Comparison(Box::new(report)));
    output::write(&args.outputs, &artifact)?;
    Ok(ExitCode::from(code))
}

fn exit_code(outcome: Outcome, objectives: &[Objective]) -> u8 {
    match outcome {
        Outcome::Regression => REGRESSION,
        Outcome::Invalid => INVALID,
        Outcome::Improvement | Outcome::NoDifference if objectives.iter().any(|objective| !objective.met) => {
            SLO_BROKEN
        }
        Outcome::Improvement | Outcome::NoDifference => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: Outcome, met: bool, code: u8) {
        let objective = Objective { text: "p99<1s".into(), measured: "2 s".into(), met };
        assert_eq!(exit_code(outcome, &[objective]), code);
    }
    #[test]
    fn a_regression_outranks_a_broken_objective() {
        check(Outcome::Regression, false, 5);
    }
    #[test]
    fn what_does_not_count_breaks_no_objective() {
        check(Outcome::Invalid, false, 4);
    }
    #[test]
    fn a_broken_objective_is_3_however_much_better_b_is() {
        check(Outcome::Improvement, false, 3);
        check(Outcome::NoDifference, true, 0);
    }
    #[test]
    fn a_long_command_is_called_by_its_letter() {
        assert_eq!(short_name("A", "./server --pool 1"), "./server --pool 1");
        assert_eq!(short_name("B", "/a/very/long/path/to/a/server --with options"), "B");
    }
    #[test]
    fn a_metric_that_is_none_is_refused_with_those_there_are() {
        assert!(metric("latency").unwrap_err().contains("throughput, p50"));
    }
}
