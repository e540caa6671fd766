//! `seawall lab diagnose`: load, signals and profiles in, ranked causes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use seawall_lab::artifact::Found;
use seawall_lab::diagnose::{
    DiagnoseConfig, DiagnoseError, Diagnosis, Finding, Severity, Step, Verdict, diagnose, diagnose_and_try,
};
use seawall_load::LoadConfig;

use super::blocks::BlockPlan;
use super::capacities::{self, StartArgs, Template};
use super::common::{InsideArgs, OutArgs, TargetArgs, is_interrupted};
use super::compare::Logs;
use super::server::{Launch, Server};
use super::text::{ms, wrap};
use super::{INTERRUPTED, INVALID, usage};
use crate::demo::clock;
use crate::demo::progress::Progress;
use crate::load::{count, values};

/// Causes that are shown in full.
const SHOWN: usize = 3;

const HELP: &str = "What it does:
  It loads the service with rising numbers of connections, then with a new connection per request, and looks meanwhile: at
  the latencies, at each thread many times a second (running, waiting for a CPU, for a lock, asleep, in a blocking call,
  idle), at the accept queue, the quota of its cgroup, its files, memory and connections, at the machine's pressure; at the
  highest level it takes a CPU profile. Rules turn that into causes, each with its numbers, a change and an experiment that
  would prove it. Where it can run the experiment itself, it does.

  It works for any HTTP service in any language on this machine; without a process to look at it knows only what the
  generator saw. `seawall lab doctor` says what would let it see more.

  A limit is no defect: every service ends at its CPU. `healthy` means that nothing else ends it before.

Evidence level:
  L0 the generator's view only   L1 also threads, kernel and sockets of the process   L2 also a CPU profile

Examples:
  seawall lab diagnose http://127.0.0.1:8080/
  seawall lab diagnose http://127.0.0.1:8080/orders -b @order.json --pid 4711 --levels 1,16,128 -d 5s -o json=why.json
  seawall lab diagnose http://127.0.0.1:8080/ --admin 127.0.0.1:6060        a Seawall service, with its own signals
  seawall lab diagnose http://127.0.0.1:8080/ --start './server --readers {pool}' --pool 1:2
                                                the lab starts it, and if the pool is blamed, tries it with two

Exit codes:
  0 healthy, or defects were found and are printed   1 nothing was answered   2 wrong arguments
  4 INVALID: the generator was the limit at every level   130 interrupted (what was seen is printed)
  With --fail-on-defect: 3 when a defect was found";

/// Arguments of `seawall lab diagnose`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct DiagnoseArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Connections of each level, rising
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1, 8, 64])]
    levels: Vec<usize>,
    /// Length of each level
    #[arg(short = 'd', long, value_name = "TIME", default_value = "3s", value_parser = values::duration)]
    duration: Duration,
    /// Leave out the level with a new connection per request
    #[arg(long)]
    no_churn: bool,
    /// Leave out the CPU profile
    #[arg(long)]
    no_profile: bool,
    #[command(flatten)]
    inside: InsideArgs,
    /// The cpu.stat file of the service's cgroup, where it is not the one of its process (a container's)
    #[arg(long, value_name = "FILE", help_heading = "Looking inside")]
    cpu_stat: Option<PathBuf>,
    /// Exit with 3 when a defect was found: for CI
    #[arg(long)]
    fail_on_defect: bool,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    out: OutArgs,
}

pub(super) fn run(args: &DiagnoseArgs) -> Result<ExitCode> {
    args.out.check()?;
    let template = match &args.start.start {
        Some(command) => match Template::new(command, args.start.values()) {
            Ok(template) => Some(template),
            Err(error) => return Ok(usage(&error, "diagnose")),
        },
        None => None,
    };
    let config = DiagnoseConfig {
        load: args.target.load()?,
        pid: args.inside.pid,
        endpoint: args.inside.endpoint()?,
        cpu_stat: args.cpu_stat.clone(),
        levels: args.levels.clone(),
        length: args.duration,
        churn: !args.no_churn,
        profile: !args.no_profile,
    };
    let diagnosis = match found(&config, template.as_ref()) {
        Err(error) => match error.downcast_ref::<DiagnoseError>() {
            Some(DiagnoseError::Config(error)) => return Ok(usage(error, "diagnose")),
            _ => return Err(error),
        },
        Ok(diagnosis) => diagnosis,
    };
    println!("{}", render(&diagnosis));
    let code = match diagnosis.verdict {
        _ if is_interrupted(&config.load) => INTERRUPTED,
        Verdict::Invalid => INVALID,
        Verdict::Defect | Verdict::Unexplained if args.fail_on_defect => super::SLO_BROKEN,
        Verdict::Defect | Verdict::Unexplained | Verdict::Healthy => 0,
    };
    args.out.write(&diagnosis.target.clone(), Found::Diagnosis(Box::new(diagnosis)))?;
    Ok(ExitCode::from(code))
}

/// Diagnoses, and with a command to start the service by, tries what the findings name.
fn found(config: &DiagnoseConfig, template: Option<&Template>) -> Result<Diagnosis> {
    let mut watch = |step: Step<'_>| match step {
        Step::Found(pid, name) => eprintln!("looking at {name} (process {pid})"),
        Step::Part(name, done) => eprintln!("{:>3.0} %  {name}", done * 100.0),
        Step::Tick(_) => {}
    };
    let Some(template) = template else { return Ok(diagnose(config, &mut watch)?) };
    let logs = Logs::new()?;
    let launch = Launch {
        name: "the service".to_owned(),
        command: template.command(None),
        env: BTreeMap::new(),
        dir: std::env::current_dir()?,
        cpus: Vec::new(),
    };
    let mut server = Some(Server::start(&launch, &config.load.url, &logs.0.join("build.log"))?);
    let origin = clock::now();
    let mut attempt = |findings: &[Finding]| {
        if let Some(before) = server.take() {
            before.stop();
        }
        let (duration, warmup) = capacities::block(config.length);
        let connections = config.levels.last().copied().unwrap_or(1);
        let load = LoadConfig { connections, duration, warmup, ..config.load.clone() };
        let interrupt = Arc::clone(&load.interrupt);
        let plan = BlockPlan { load, dir: logs.0.clone(), interrupt, origin };
        template.attempt(&launch, &plan, findings, &Progress::new())
    };
    Ok(diagnose_and_try(config, &mut watch, &mut attempt)?)
}

fn render(diagnosis: &Diagnosis) -> String {
    let mut lines = vec![format!("{}   evidence {:?}", diagnosis.target, diagnosis.evidence)];
    lines.extend(sources(diagnosis).map(|sources| format!("from {sources}")));
    lines.push(String::new());
    lines.push(format!(
        "{:>16}  {:>12}  {:>9}  {:>9}  {:>5}  {:>7}",
        "", "requests/s", "p50", "p99", "CPUs", "failed"
    ));
    for level in &diagnosis.levels {
        let cpu = level.cpu_cores.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
        lines.push(format!(
            "{:>16}  {:>12}  {:>9}  {:>9}  {cpu:>5}  {:>6.1}%",
            level.name,
            count(level.rps),
            ms(level.p50_ms),
            ms(level.p99_ms),
            level.error_rate * 100.0
        ));
    }
    if let Some(ceiling) = &diagnosis.ceiling {
        lines.push(format!(
            "{:>16}  a request costs {:.3} ms of CPU: {} requests/s at most on {} CPUs; {:.0} % of that were reached",
            "",
            ceiling.demand_s * 1e3,
            count(ceiling.max_rps),
            ceiling.cores,
            ceiling.reached * 100.0
        ));
    }
    let broken = diagnosis.little.iter().filter(|check| !check.holds);
    lines.extend(broken.map(|check| {
        format!(
            "  Little's law is {:.0} % off at {}: a queue nobody counts, or a short run",
            check.gap * 100.0,
            check.level
        )
    }));
    lines.extend([String::new(), wrap(&format!("{:?}: {}", diagnosis.verdict, diagnosis.summary), "")]);
    for (i, finding) in diagnosis.findings.iter().take(SHOWN).enumerate() {
        lines.push(String::new());
        lines.extend(card(i + 1, finding));
    }
    let notes = diagnosis.caveats.iter().chain(&diagnosis.missing);
    let notes: Vec<String> = notes.map(|note| wrap(note, "  ")).collect();
    if !notes.is_empty() {
        lines.extend([String::new(), "Bear in mind:".to_owned()]);
        lines.extend(notes);
    }
    lines.join("\n")
}

/// Where the evidence comes from, besides the generator; none without any.
fn sources(diagnosis: &Diagnosis) -> Option<String> {
    let signals = diagnosis.signals.as_ref()?;
    let mut sources = vec!["/proc of the process".to_owned()];
    if !signals.gauges.is_empty() {
        sources.push(format!("{} numbers of /debug/seawall/signals", signals.gauges.len()));
    }
    sources.extend(diagnosis.profiles.iter().map(|profile| format!("a CPU profile by {}", profile.source)));
    Some(sources.join(", "))
}

fn card(number: usize, finding: &Finding) -> Vec<String> {
    let kind = match finding.severity {
        Severity::Defect => "defect",
        Severity::Notice => "notice",
        Severity::Limit => "limit",
    };
    let mut lines = vec![
        format!(
            "{number}. {}   [{kind}, score {:.2}: explains {:.0} %, {:.0} % sure]",
            finding.title,
            finding.score,
            finding.share * 100.0,
            finding.confidence * 100.0
        ),
        wrap(&finding.sentence, "   "),
    ];
    for number in &finding.numbers {
        let over = number.threshold.map_or(String::new(), |from| format!("   (noticed from {from})"));
        lines.push(format!("     {:<52} {:>12.3} {}{over}", number.name, number.value, number.unit));
    }
    if !finding.frames.is_empty() {
        let frames: Vec<String> =
            finding.frames.iter().map(|f| format!("{:.1} % {}", f.own * 100.0, f.function)).collect();
        lines.push(wrap(&format!("hot: {}", frames.join(", ")), "     "));
    }
    lines.extend(finding.evidence.iter().map(|evidence| wrap(&format!("seen in: {evidence}"), "     ")));
    lines.push(wrap(&format!("Change: {}", finding.change), "   "));
    lines.push(wrap(&format!("Proof: {}", finding.experiment.what), "   "));
    lines.extend(finding.experiment.command.iter().map(|command| format!("     $ {command}")));
    for result in finding.experiment.result.iter().chain(&finding.experiment.others) {
        let verdict = if result.confirmed { "confirmed" } else { "not confirmed" };
        let elasticity = result.elasticity.map_or(String::new(), |e| format!(", elasticity {e:.2}"));
        lines.push(wrap(
            &format!(
                "tried: {}: {:.2} -> {:.2} {}{elasticity}: {verdict}",
                result.measured, result.before, result.after, result.unit
            ),
            "     ",
        ));
    }
    lines
}
