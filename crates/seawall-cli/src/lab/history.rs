//! `seawall lab history`: stored runs, oldest first, and where the service changed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use seawall_lab::artifact::Found;
use seawall_lab::compare::{Metric, from_load_json};
use seawall_lab::store::{History, SCHEMA, Store, StoredRun, history};

use super::output::{self, Out};
use super::{REGRESSION, facts, usage};
use crate::demo::clock;
use crate::demo::environment::utc;
use crate::demo::progress::say;

/// Arguments of `seawall lab history`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  Keep a result of `seawall load --json`, named after the commit, then look at all of them:
      seawall lab history --add result.json --series 'GET /, 2k/s'
      seawall lab history --metric p99

Exit code 5 with --gate if the newest change is for the worse and the machine did not change with it.")]
pub(super) struct HistoryArgs {
    /// The directory of runs
    #[arg(long, value_name = "DIR", default_value = ".seawall/runs")]
    store: PathBuf,
    /// First keep this result of `seawall load --json`
    #[arg(long, value_name = "FILE", requires = "series")]
    add: Option<PathBuf>,
    /// What to call the added run [default: the git commit]
    #[arg(long, value_name = "NAME", requires = "add")]
    label: Option<String>,
    /// Only this series of runs; with --add, the series of the added run
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// Which metric: throughput, p50, p99, p999, cpu_per_request, error_rate
    #[arg(long, value_name = "NAME", default_value = "p99")]
    metric: String,
    /// The chance of a change that is none
    #[arg(long, value_name = "PART", default_value_t = 0.01)]
    alpha: f64,
    /// Exit with 5 if the newest change is for the worse
    #[arg(long)]
    gate: bool,
    /// Also write json=FILE or html=FILE; repeat for more. With several series, the last one's
    #[arg(short = 'o', long = "out", value_name = "KIND=FILE", value_parser = output::parse)]
    outputs: Vec<Out>,
}

pub(super) fn run(args: &HistoryArgs) -> Result<ExitCode> {
    let Some(metric) = Metric::parse(&args.metric) else {
        return Ok(usage(&format!("`{}` is no metric", args.metric), "history"));
    };
    if !(0.005..=0.2).contains(&args.alpha) {
        return Ok(usage(&format!("`--alpha` is {}, but must be 0.005 to 0.2", args.alpha), "history"));
    }
    let store = Store::new(&args.store);
    if let Some(file) = &args.add {
        add(args, &store, file)?;
    }
    let (runs, unread) = store.runs()?;
    unread.iter().for_each(|error| eprintln!("warning: {error}"));
    let mut series: Vec<&str> = runs.iter().map(|run| run.series.as_str()).collect();
    series.sort_unstable();
    series.dedup();
    series.retain(|one| args.series.as_deref().is_none_or(|wanted| *one == wanted));
    if series.is_empty() {
        say(&format!(
            "no runs in {}: `seawall lab compare --store` and `--add` keep some",
            args.store.display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut worse = false;
    for one in series {
        let found = history(&runs, one, metric, args.alpha, 1);
        lines(&found).iter().for_each(|line| say(line));
        worse |= found.changes.last().is_some_and(|change| change.worse && change.environment.is_empty());
        let environment = facts::environment(&std::env::current_dir()?);
        output::write(&args.outputs, &output::artifact(one, environment, Found::History(found.clone())))?;
    }
    Ok(if args.gate && worse { ExitCode::from(REGRESSION) } else { ExitCode::SUCCESS })
}

fn add(args: &HistoryArgs, store: &Store, file: &PathBuf) -> Result<()> {
    use anyhow::Context;
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let blocks = from_load_json(&text).with_context(|| file.display().to_string())?;
    let environment = facts::environment(&std::env::current_dir()?);
    let run = StoredRun {
        schema: SCHEMA,
        at_s: clock::since_epoch().as_secs(),
        label: args.label.clone().unwrap_or_else(|| facts::label(&environment)),
        series: args.series.clone().unwrap_or_default(),
        command: String::new(),
        environment,
        blocks,
        signals: None,
    };
    store.keep(&run)?;
    Ok(())
}

/// One line per run, with the changes between them.
fn lines(history: &History) -> Vec<String> {
    let metric = history.metric;
    let mut lines = vec![format!("{} · {}", history.series, metric.title())];
    let most = history.points.iter().filter_map(|point| point.value).fold(0.0, f64::max);
    for (i, point) in history.points.iter().enumerate() {
        for change in history.changes.iter().filter(|change| change.at == i) {
            let word = if change.worse { "WORSE" } else { "better" };
            let part = (change.after / change.before - 1.0) * 100.0;
            lines.push(format!(
                "  ── {word} from here: {} → {} ({part:+.1} %, p {:.3})",
                metric.show(change.before),
                metric.show(change.after),
                change.p_value
            ));
            for (name, before, after) in &change.environment {
                lines.push(format!("     with it changed: {name}, {before} → {after}"));
            }
        }
        let when = utc(std::time::Duration::from_secs(point.at_s));
        let (value, bar) = match point.value {
            Some(value) => {
                let length = if most > 0.0 { (value / most * 24.0).round() as usize } else { 0 };
                (metric.show(value), "▇".repeat(length))
            }
            None => ("does not count".to_owned(), String::new()),
        };
        lines.push(format!("  {}  {value:>14}  {bar:<24}  {}", &when[..16], point.label));
    }
    lines
}
