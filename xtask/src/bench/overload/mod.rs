//! `cargo xtask bench overload`: what is left of a server that is asked for many times what it can do.
//!
//! The server has one core, the generator the other. Requests come in an open loop, at a multiple of the capacity that
//! the same process has shown in a closed loop just before and just after. An answer is good if it is a success and is
//! there within 100 ms of the time when the request was due; what counts is their rate as a share of the capacity.
//! Points at which the capacity moved, or the generator was the limit, are repeated a few times, and marked if that does
//! not help.

mod cases;
mod extras;
mod goals;
mod load;
mod picture;
mod points;
mod report;
mod servers;
mod spike_picture;
mod sums;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::{build, process, write_json};
use cases::{Handler, Peer};
use extras::{Minute, Spike, Steady};
use load::Generator;
use points::{Point, Row, Visit};
use servers::Servers;

pub(super) use picture::draw;
pub(super) use report::render;

/// The kind of [`Results`].
pub(super) const KIND: &str = "overload";
/// Where the picture of the document lies.
pub(super) const PICTURE: &str = "docs/images/overload.svg";
const LOADS: [f64; 8] = [0.5, 0.95, 1.0, 2.0, 5.0, 10.0, 30.0, 50.0];
/// More is no test of a server.
const MOST_TIMES: f64 = 500.0;

/// How servers are overloaded.
#[derive(Debug, clap::Args)]
pub(crate) struct OverloadArgs {
    /// Only the `cpu` handler at 2x and 10x, Seawall and axum: under two minutes once built.
    #[arg(long, conflicts_with_all = ["servers", "handlers", "loads"])]
    quick: bool,
    /// Only these servers, with commas [default: all].
    #[arg(long, value_name = "SERVER,..", value_delimiter = ',')]
    servers: Vec<Peer>,
    /// Only these handlers, with commas [default: all].
    #[arg(long, value_name = "HANDLER,..", value_delimiter = ',')]
    handlers: Vec<Handler>,
    /// Only these multiples of the capacity, with commas [default: 0.5,0.95,1,2,5,10,30,50].
    #[arg(long, value_name = "TIMES,..", value_delimiter = ',', value_parser = times)]
    loads: Vec<f64>,
    /// Seconds of load at each multiple, after half a second that does not count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Requests come with random gaps (a Poisson process) instead of even ones.
    #[arg(long)]
    poisson: bool,
    /// How often a point is measured again if the capacity moved by more than 5 %, or the generator was the limit.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=20))]
    repeats: u32,
    /// What is measured besides, with commas; `none` for nothing [default: all, but nothing with --quick or --loads].
    #[arg(long, value_name = "WHAT,..", value_delimiter = ',')]
    also: Vec<Also>,
    /// Niceness of server and generator: with -20 a machine that has other work measures better, and that work waits.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-20..=19))]
    nice: Option<i32>,
    /// Writes everything here; `cargo xtask bench render FILE` makes the tables of docs/PERFORMANCE.md and the picture
    /// docs/images/overload.svg of it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the picture here.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
}

/// What is measured besides the points, of the first of the chosen handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Also {
    /// 3 s at 0.8x, 5 s at 10x, then 0.8x: how soon all is as it was.
    Spike,
    /// 10 s at 0.8x with random gaps: who is refused although there is room.
    Steady,
    /// A minute at 10x: whether Seawall's memory stays.
    Minute,
    /// Nothing.
    None,
}

fn times(text: &str) -> Result<f64, String> {
    let times: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if times > 0.0 && times <= MOST_TIMES {
        return Ok(times);
    }
    Err(format!("more than 0, at most {MOST_TIMES}"))
}

/// What was asked for, with the defaults filled in.
#[derive(Debug)]
struct Plan {
    peers: Vec<Peer>,
    handlers: Vec<Handler>,
    loads: Vec<f64>,
    seconds: u32,
    poisson: bool,
    repeats: u32,
    also: Vec<Also>,
}

/// What is written as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Results {
    kind: String,
    command: String,
    machine: Machine,
    labels: BTreeMap<Peer, String>,
    /// Spins that took 1 ms.
    spins: u64,
    rows: Vec<Row>,
    spikes: Vec<Spike>,
    steady: Vec<Steady>,
    minutes: Vec<Minute>,
}

/// A run under way.
struct Run {
    plan: Plan,
    servers: Servers,
    generator: Generator,
    machine: Machine,
    points: Vec<Point>,
    spikes: Vec<Spike>,
    steady: Vec<Steady>,
    minutes: Vec<Minute>,
    /// Servers and handlers that were given up.
    failed: Vec<String>,
}

/// What stands before a program that shall have this niceness. Its session gets it too: a kernel that groups processes by
/// session compares groups first. Each program becomes the next one by `exec`, so the process id stays.
fn with_niceness(nice: Option<i32>) -> Vec<String> {
    let Some(nice) = nice else { return Vec::new() };
    let script = format!(
        "renice -n {nice} -p $$ >/dev/null || exit 1; echo {nice} 2>/dev/null >/proc/self/autogroup; exec \"$@\""
    );
    ["setsid", "sh", "-c", &script, "sh"].map(str::to_owned).into()
}

/// How many spins of these servers take 1 ms on this machine.
pub(super) fn spins(root: &Path, target: &Path) -> Result<u64> {
    servers::calibrated(root, target, &[])
}

/// Servers under more than they can do.
pub(crate) fn overload(root: &Path, args: &OverloadArgs) -> Result<()> {
    let target = build::target(root);
    let plan = Plan::new(args);
    let generator = Generator::new(build::generator(root, &target)?.0, args.nice);
    process::raise_open_files()?;
    process::pin_client()?;
    let servers = Servers::build(root, &target, &plan.peers, !args.servers.is_empty(), args.nice)?;
    let machine = Machine::here();
    let (points, spikes, steady, minutes, failed) = Default::default();
    let mut run = Run { plan, servers, generator, machine, points, spikes, steady, minutes, failed };
    for handler in run.plan.handlers.clone() {
        for peer in run.plan.peers.clone() {
            if run.servers.has(peer) {
                run.visit(peer, handler);
            }
        }
        // After each: a long run's work must not hang on its last minute.
        run.write(args)?;
    }
    run.machine.look_again();
    println!("\n{}", render(&run.results()));
    run.write(args)?;
    if !run.failed.is_empty() {
        bail!("not all could be measured: {} (above)", run.failed.join(", "));
    }
    Ok(())
}

impl Plan {
    fn new(args: &OverloadArgs) -> Self {
        let or =
            |given: &[Peer]| if given.is_empty() { Peer::value_variants().to_vec() } else { given.to_vec() };
        let short = args.quick || !args.loads.is_empty();
        let also = match (args.also.is_empty(), short) {
            (false, _) => args.also.iter().copied().filter(|also| *also != Also::None).collect(),
            (true, true) => Vec::new(),
            (true, false) => vec![Also::Spike, Also::Steady, Also::Minute],
        };
        let mut plan = Self {
            peers: or(&args.servers),
            handlers: args.handlers.clone(),
            loads: if args.loads.is_empty() { LOADS.to_vec() } else { args.loads.clone() },
            seconds: args.seconds,
            poisson: args.poisson,
            repeats: args.repeats,
            also,
        };
        if plan.handlers.is_empty() {
            plan.handlers = Handler::value_variants().to_vec();
        }
        if args.quick {
            plan.peers = vec![Peer::Seawall, Peer::Axum];
            plan.handlers = vec![Handler::Cpu];
            plan.loads = vec![2.0, 10.0];
        }
        // What comes after a load must not be disturbed by it; a larger one disturbs longer.
        plan.loads.sort_by(f64::total_cmp);
        plan.loads.dedup();
        plan
    }
}

impl Run {
    /// All that is measured of one server with one handler, in one process. A failure is said, and noted for the end: a
    /// run of many minutes does not end with one server.
    fn visit(&mut self, peer: Peer, handler: Handler) {
        let done = self.servers.start(peer).and_then(|server| {
            let mut visit = Visit::new(self.generator.clone(), server, peer, handler);
            self.points(&mut visit)?;
            self.extras(&mut visit)
        });
        if let Err(problem) = done {
            println!("nothing more of {} with {}: {problem:#}", peer.name(), handler.name());
            self.failed.push(format!("{} with {}", peer.name(), handler.name()));
        }
    }

    fn points(&mut self, visit: &mut Visit) -> Result<()> {
        visit.warm_up()?;
        for &times in &self.plan.loads {
            let point = visit.point(times, self.plan.seconds, self.plan.poisson, self.plan.repeats)?;
            println!("{}", point.line());
            self.points.push(point);
        }
        Ok(())
    }

    fn extras(&mut self, visit: &mut Visit) -> Result<()> {
        if self.plan.handlers.first() != Some(&visit.handler) {
            return Ok(());
        }
        for also in self.plan.also.clone() {
            match also {
                Also::Spike => self.spikes.push(extras::spike(visit)?),
                Also::Steady => self.steady.push(extras::steady(visit)?),
                Also::Minute if visit.peer == Peer::Seawall => self.minutes.push(extras::minute(visit)?),
                Also::Minute | Also::None => {}
            }
        }
        Ok(())
    }

    fn results(&self) -> Results {
        Results {
            kind: KIND.to_owned(),
            command: super::command_line(),
            machine: self.machine.clone(),
            labels: self.servers.labels(),
            spins: self.servers.spins,
            rows: points::rows(&self.points),
            spikes: self.spikes.clone(),
            steady: self.steady.clone(),
            minutes: self.minutes.clone(),
        }
    }

    fn write(&self, args: &OverloadArgs) -> Result<()> {
        let results = self.results();
        if results.rows.is_empty() {
            bail!("nothing was measured");
        }
        if let Some(path) = &args.picture {
            std::fs::write(path, draw(&results))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        args.json.as_deref().map_or(Ok(()), |path| write_json(path, &results))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn niceness_is_handed_on() {
        let prefix = with_niceness(Some(19));
        let output = std::process::Command::new(&prefix[0]).args(&prefix[1..]).arg("nice").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "19", "{output:?}");
        assert!(with_niceness(None).is_empty());
    }

    #[test]
    fn multiples_are_checked() {
        assert_eq!(times("0.95"), Ok(0.95));
        for wrong in ["0", "-1", "501", "x", "NaN"] {
            assert!(times(wrong).is_err(), "{wrong}");
        }
    }
}
