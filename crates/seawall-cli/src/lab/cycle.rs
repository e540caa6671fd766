//! `seawall lab cycle`: baseline, diagnosis, each change against what was kept, the report, and an exit code for CI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use seawall_lab::artifact::Found;
use seawall_lab::compare::{Comparison, Outcome, judge_pairs};
use seawall_lab::cycle::{Build, CycleConfig, CycleVerdict, GateResult, judge};
use seawall_lab::diagnose::{DiagnoseConfig, Diagnosis, Finding, Step, diagnose_and_try};
use seawall_lab::profile::fetch::Endpoint;
use seawall_lab::report::lab::{Collected, LabReport, Mood, Objective, Recorder};
use seawall_lab::report::{Fact, Validity};
use seawall_load::{LoadConfig, Report, Slo, WarmUp, parse_duration};

use super::blocks::{self, BlockPlan};
use super::capacities::{self, Template};
use super::compare::{Logs, lines, objectives, processors, target};
use super::output::{self, Out};
use super::server::{Launch, Server};
use super::{EXIT_CODES, INTERRUPTED, facts, usage};
use crate::demo::clock;
use crate::demo::environment::fact;
use crate::demo::progress::{Progress, say};
use crate::load::stop_on_signals;

/// Arguments of `seawall lab cycle`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CycleArgs {
    /// The file with the baseline, the changes and the gate
    #[arg(value_name = "FILE", default_value = "lab.toml")]
    file: PathBuf,
    /// Also write json=FILE or html=FILE; repeat for more
    #[arg(short = 'o', long = "out", value_name = "KIND=FILE", value_parser = output::parse)]
    outputs: Vec<Out>,
    /// Let builds and generator share all processors [default: one half each]
    #[arg(long)]
    no_pin: bool,
}

/// What a cycle found.
struct Outcomes {
    comparisons: Vec<Comparison>,
    /// The build that was kept, and all its blocks together.
    kept: String,
    report: Option<Report>,
}

pub(super) fn run(args: &CycleArgs) -> Result<ExitCode> {
    let text =
        fs::read_to_string(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let mut config = match CycleConfig::parse(&text) {
        Ok(config) => config,
        Err(error) => return Ok(usage(&format!("{}: {error}", args.file.display()), "cycle")),
    };
    let slos = match config.gate.slo.as_str() {
        "" => Ok(Vec::new()),
        list => Slo::parse_all(list),
    };
    let interrupt = Arc::new(AtomicBool::new(false));
    let (build_cpus, generator_cpus) = processors(args.no_pin)?;
    let prepared = slos.map_err(|error| error.to_string()).and_then(|slos| {
        let load = load(&config, &interrupt, &generator_cpus)?;
        seawall_load::Load::new(&load).map_err(|error| error.to_string())?;
        Ok((slos, load))
    });
    let (slos, load) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(usage(&format!("{}: {error}", args.file.display()), "cycle")),
    };
    let template = match Template::new(&config.baseline.command, config.diagnose.capacities.clone()) {
        Ok(template) => template,
        Err(error) => return Ok(usage(&format!("{}: {error}", args.file.display()), "cycle")),
    };
    stop_on_signals(&interrupt)?;
    config.baseline.command = template.command(None);
    let dir = args.file.canonicalize()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let logs = Logs::new()?;
    let launch = |build: &Build| Launch {
        name: build.name.clone(),
        command: build.command.clone(),
        env: build.env.clone(),
        dir: dir.clone(),
        cpus: build_cpus.clone(),
    };
    let (diagnosis, origin) = match diagnosis(&config, &load, (&launch(&config.baseline), &template), &logs.0)
    {
        Err(_) if interrupt.load(Relaxed) => return Ok(ExitCode::from(INTERRUPTED)),
        found => found?,
    };
    let plan = BlockPlan { load, dir: logs.0.clone(), interrupt: Arc::clone(&interrupt), origin };
    let mut recorder = Recorder::new();
    let outcomes = match changes(&config, &plan, &launch, &mut recorder) {
        Err(_) if interrupt.load(Relaxed) => return Ok(ExitCode::from(INTERRUPTED)),
        outcomes => outcomes?,
    };
    let objectives = objectives(&slos, outcomes.report);
    let met = objectives.iter().all(|objective| objective.met);
    let verdict = judge(&outcomes.comparisons, met, config.gate.require);
    tell(&outcomes.comparisons, &objectives, &verdict);
    let target = target(&plan.load);
    let names: Vec<String> = config.builds().map(|build| build.name.clone()).collect();
    let mut report = report(&config, &verdict, outcomes.comparisons, objectives, &target);
    report.settings.push(fact("Kept", outcomes.kept));
    report.duration_s = clock::now().saturating_duration_since(origin).as_secs_f64();
    recorder.finish(&mut report, &names.iter().map(String::as_str).collect::<Vec<_>>());
    match diagnosis {
        Some(diagnosis) => report.put_diagnosis(diagnosis),
        None => report.diagnosis = Collected::Missing("`diagnose.enabled` is false in the file".into()),
    }
    let artifact = output::artifact(&target, facts::environment(&dir), Found::Cycle(Box::new(report)));
    output::write(&args.outputs, &artifact)?;
    Ok(ExitCode::from(verdict.gate.exit_code()))
}

/// Says what came of it.
fn tell(comparisons: &[Comparison], objectives: &[Objective], verdict: &CycleVerdict) {
    for comparison in comparisons {
        lines(comparison, &[]).iter().for_each(|line| say(line));
        say("");
    }
    for objective in objectives {
        let word = if objective.met { "met" } else { "BROKEN" };
        say(&format!("{word}: {} (measured {})", objective.text, objective.measured));
    }
    say(&format!("{}: {}", gate_words(verdict.gate), verdict.summary));
}

/// Starts the baseline, diagnoses it, and ends it. The moment is the one from which all times of the report count.
fn diagnosis(
    config: &CycleConfig,
    load: &LoadConfig,
    (launch, template): (&Launch, &Template),
    dir: &Path,
) -> Result<(Option<Diagnosis>, Instant)> {
    if !config.diagnose.enabled {
        return Ok((None, clock::now()));
    }
    let endpoint = match config.diagnose.admin.as_deref().map(str::parse) {
        Some(Ok(admin)) => Some(Endpoint { admin, token: None }),
        Some(Err(_)) => bail!("`diagnose.admin` must be an address and a port, such as 127.0.0.1:9090"),
        None => None,
    };
    let mut server = Some(Server::start(launch, &load.url, &dir.join("build.log"))?);
    let phase = Progress::new().phase(&format!("Diagnosing {}", launch.name));
    let levels = diagnose_levels(load.connections);
    // Each level takes its length and a moment to settle; one more is for new connections.
    let length = Duration::from_secs(config.diagnose.seconds) / (levels.len() as u32 + 1);
    let settings = DiagnoseConfig {
        load: load.clone(),
        endpoint,
        levels,
        length: length.saturating_sub(Duration::from_millis(500)).max(Duration::from_millis(500)),
        ..DiagnoseConfig::default()
    };
    let origin = clock::now();
    let mut attempt = |findings: &[Finding]| {
        if let Some(before) = server.take() {
            before.stop();
        }
        let (duration, warmup) = capacities::block(settings.length);
        let load = LoadConfig { duration, warmup, ..load.clone() };
        let interrupt = Arc::clone(&load.interrupt);
        let plan = BlockPlan { load, dir: dir.to_owned(), interrupt, origin };
        template.attempt(launch, &plan, findings, &Progress::new())
    };
    let mut watch = |step: Step<'_>| {
        if let Step::Part(name, share) = step {
            phase.at(share, name);
        }
    };
    let found = diagnose_and_try(&settings, &mut watch, &mut attempt)?;
    phase.done(&found.summary);
    Ok((Some(found), origin))
}

/// One connection, the load's own number, and one between them.
fn diagnose_levels(connections: usize) -> Vec<usize> {
    let between = ((connections as f64).sqrt().round() as usize).max(1);
    let mut levels = vec![1, between, connections];
    levels.dedup();
    levels
}

fn load(config: &CycleConfig, interrupt: &Arc<AtomicBool>, cpus: &[usize]) -> Result<LoadConfig, String> {
    let load = &config.load;
    let time =
        |name: &str, text: &str| parse_duration(text).map_err(|error| format!("`load.{name}`: {error}"));
    Ok(LoadConfig {
        url: config.url.clone(),
        connections: load.connections,
        rate: load.rate,
        duration: time("block", &load.block)?,
        warmup: WarmUp::Fixed(time("warmup", &load.warmup)?),
        method: load.method.clone(),
        headers: load.headers.clone().into_iter().collect(),
        body: load.body.clone().into_bytes(),
        cpus: (!cpus.is_empty()).then(|| cpus.to_vec()),
        interrupt: Arc::clone(interrupt),
        ..LoadConfig::default()
    })
}

/// Compares each change with what was kept so far; what is proven better is kept.
fn changes(
    config: &CycleConfig,
    plan: &BlockPlan,
    launch: &dyn Fn(&Build) -> Launch,
    recorder: &mut Recorder,
) -> Result<Outcomes> {
    let progress = Progress::new();
    let mut kept = &config.baseline;
    let mut comparisons = Vec::new();
    let mut report = None;
    if config.changes.is_empty() {
        let measured = plan.run(&launch(kept))?;
        recorder.add(&kept.name, measured.start_s, &measured.report);
        report = Some(measured.report);
    }
    for change in &config.changes {
        let (a, b) = (launch(kept), launch(change));
        let blocks = blocks::run(plan, (&a, &b), &config.compare, recorder, &progress)?;
        let comparison = judge_pairs((&a.name, &b.name), &blocks.pairs, &blocks.noise, &config.compare);
        if comparison.outcome == Outcome::Improvement || report.is_none() {
            // The objectives are judged by what is kept; of the baseline there is only what A's blocks say.
            report = if comparison.outcome == Outcome::Improvement { blocks.b } else { blocks.a };
        }
        if comparison.outcome == Outcome::Improvement {
            kept = change;
        }
        comparisons.push(comparison);
    }
    Ok(Outcomes { comparisons, kept: kept.name.clone(), report })
}

fn gate_words(gate: GateResult) -> &'static str {
    match gate {
        GateResult::Passed => "PASSED",
        GateResult::NotProven => "NOT PROVEN",
        GateResult::SloBroken => "OBJECTIVE BROKEN",
        GateResult::Invalid => "INVALID",
        GateResult::Regression => "REGRESSION",
    }
}

fn report(
    config: &CycleConfig,
    verdict: &CycleVerdict,
    comparisons: Vec<Comparison>,
    objectives: Vec<Objective>,
    target: &str,
) -> LabReport {
    let mut report = LabReport::empty("cycle", target);
    report.title = config.title.clone().unwrap_or_else(|| config.url.clone());
    report.headline.clone_from(&verdict.summary);
    report.mood = match verdict.gate {
        GateResult::Passed => Mood::Good,
        GateResult::NotProven | GateResult::Invalid => Mood::Unsure,
        GateResult::SloBroken | GateResult::Regression => Mood::Bad,
    };
    let invalid = verdict.gate == GateResult::Invalid;
    let reasons = comparisons.iter().filter(|c| c.outcome == Outcome::Invalid).flat_map(|c| c.notes.clone());
    report.validity = Validity { valid: !invalid, reasons: reasons.collect() };
    report.objectives = objectives;
    report.settings = builds(config);
    report.comparisons =
        Collected::or(Some(comparisons).filter(|all| !all.is_empty()), "the file has no change to compare");
    report
}

fn builds(config: &CycleConfig) -> Vec<Fact> {
    let mut facts: Vec<Fact> =
        config.builds().map(|build| fact(&format!("Build {}", build.name), build.command.as_str())).collect();
    facts.push(fact("Block", format!("{}, after {} of warm-up", config.load.block, config.load.warmup)));
    facts.push(fact(
        "Pairs",
        format!("{}, and {} for the noise", config.compare.pairs, config.compare.noise_pairs),
    ));
    facts
}
