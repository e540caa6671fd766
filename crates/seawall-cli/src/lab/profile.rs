//! `seawall lab profile`: CPU, heap, lock and off-CPU profiles under load.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use seawall_lab::artifact::Found;
use seawall_lab::diagnose::find_service;
use seawall_lab::profile::take::{TakeConfig, take};
use seawall_lab::profile::{Profile, ProfileKind, frames};
use seawall_load::LoadError;

use super::common::{InsideArgs, MoreArgs, OutArgs, is_interrupted};
use super::{FAILED, INTERRUPTED, usage};
use crate::load::{count, values};

const HELP: &str = "Where profiles come from:
  With --admin, from the service's own /debug/pprof (Seawall): all four kinds, with stacks. Without it, of the process: CPU by
  `perf`, if it is there (`seawall lab doctor` says), and off-CPU by what its threads are seen to wait for, without stacks.
  Heap and locks are known to the service alone.

Examples:
  seawall lab profile http://127.0.0.1:8080/                            as fast as 64 connections go, CPU and off-CPU
  seawall lab profile http://127.0.0.1:8080/ -R 2000 --admin 127.0.0.1:6060 --kinds cpu,heap,block,off-cpu -o json=p.json
  seawall lab profile --pid 4711 -d 30s --folded out/                   no load of ours; files for flame-graph tools

Exit codes:
  0 all profiles that were asked for   1 one could not be had, or nothing was answered   2 wrong arguments   130 interrupted";

/// Arguments of `seawall lab profile`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct ProfileArgs {
    /// The target, such as http://127.0.0.1:8080/path; without it, no load is sent
    url: Option<String>,
    #[command(flatten)]
    more: MoreArgs,
    /// Connections of the load
    #[arg(short = 'c', long, value_name = "N", default_value_t = 64)]
    connections: usize,
    /// Requests per second that are due [default: as fast as the answers come]
    #[arg(short = 'R', long, value_name = "N", value_parser = values::rate)]
    rate: Option<f64>,
    /// How long; whole seconds
    #[arg(short = 'd', long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    duration: Duration,
    /// Which profiles
    #[arg(long, value_name = "KIND,..", value_delimiter = ',', default_values_t = [Kind::Cpu, Kind::OffCpu], value_enum)]
    kinds: Vec<Kind>,
    #[command(flatten)]
    inside: InsideArgs,
    /// Also write each profile as folded stacks into this folder
    #[arg(long, value_name = "DIR")]
    folded: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Cpu,
    Heap,
    Block,
    OffCpu,
}

pub(super) fn run(args: &ProfileArgs) -> Result<ExitCode> {
    args.out.check()?;
    let load = match &args.url {
        None => None,
        Some(url) => {
            let load = args.more.load(url)?;
            Some(seawall_load::LoadConfig { connections: args.connections, rate: args.rate, ..load })
        }
    };
    let pid = args.inside.pid.or_else(|| load.as_ref().and_then(find_service));
    let endpoint = args.inside.endpoint()?;
    if load.is_none() && pid.is_none() && endpoint.is_none() {
        return Ok(usage(
            &"nothing to profile: give a URL, a process (--pid) or a Seawall admin listener (--admin)",
            "profile",
        ));
    }
    let config = TakeConfig {
        load,
        pid,
        endpoint,
        kinds: args.kinds.iter().map(|kind| kind.of()).collect(),
        seconds: u32::try_from(args.duration.as_secs()).unwrap_or(u32::MAX).max(1),
    };
    eprintln!("profiling for {} s", config.seconds);
    let taken = match take(&config, &mut |_| {}) {
        Err(LoadError::Config(error)) => return Ok(usage(&error, "profile")),
        taken => taken?,
    };
    if let Some(load) = &taken.load {
        println!("{} requests/s meanwhile, p99 {:.2} ms", count(load.rps), load.latency_us.p99 / 1e3);
    }
    taken.profiles.iter().for_each(|profile| println!("\n{}", render(profile)));
    taken.missing.iter().for_each(|why| println!("\nnot taken: {why}"));
    if let Some(folder) = &args.folded {
        write_folded(folder, &taken.profiles)?;
    }
    let target = args.url.clone().unwrap_or_else(|| format!("process {}", config.pid.unwrap_or(0)));
    let answered = taken.load.as_ref().is_none_or(|load| load.requests > 0);
    let complete = taken.missing.is_empty() && answered;
    let interrupted = config.load.as_ref().is_some_and(is_interrupted);
    args.out.write(&target, Found::Profiles(taken.profiles))?;
    Ok(match (interrupted, complete) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(FAILED),
    })
}

impl Kind {
    fn of(self) -> ProfileKind {
        match self {
            Self::Cpu => ProfileKind::Cpu,
            Self::Heap => ProfileKind::Heap,
            Self::Block => ProfileKind::Block,
            Self::OffCpu => ProfileKind::OffCpu,
        }
    }
}

fn name(kind: ProfileKind) -> &'static str {
    match kind {
        ProfileKind::Cpu => "cpu",
        ProfileKind::Heap => "heap",
        ProfileKind::Block => "block",
        ProfileKind::OffCpu => "offcpu",
    }
}

fn render(profile: &Profile) -> String {
    let mut lines = vec![format!(
        "{} from {}: {:.2} {} in {:.0} s, {} stacks",
        name(profile.kind),
        profile.source,
        profile.total,
        profile.unit,
        profile.seconds,
        profile.stacks.len()
    )];
    lines.push(format!("  {:>6}  {:>6}  function", "own", "total"));
    for frame in frames::hottest(profile, 12) {
        lines.push(format!(
            "  {:>5.1}%  {:>5.1}%  {}",
            frame.own * 100.0,
            frame.total * 100.0,
            frame.function
        ));
    }
    lines.extend(profile.comments.iter().map(|comment| format!("  ({comment})")));
    lines.join("\n")
}

/// One file per profile: stacks joined by `;`, a blank, the weight in microseconds or bytes.
fn write_folded(folder: &std::path::Path, profiles: &[Profile]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for profile in profiles {
        let scale = if profile.kind == ProfileKind::Heap { 1.0 } else { 1e6 };
        let lines = profile.stacks.iter().map(|stack| {
            let names: Vec<String> = stack.frames.iter().map(|frame| frame.replace(';', ":")).collect();
            format!("{} {:.0}\n", names.join(";"), stack.weight * scale)
        });
        let path = folder.join(format!("{}.folded", name(profile.kind)));
        std::fs::write(&path, lines.collect::<String>())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
