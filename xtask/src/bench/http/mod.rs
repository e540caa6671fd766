//! `cargo xtask bench http`: what a request costs, Seawall beside its peers, in turns.
//!
//! For each case and number of connections all servers are up at once on one core, the generator (`seawall load`) has
//! another. Each round visits every server once, in an order that is reversed from round to round, so that a machine
//! that drifts drifts for all. What is compared is the ratio within a round. CPU is the scheduler's own account of the
//! server's threads; it is there whatever the generator could do. A server that answers wrong is refused.

mod answers;
mod cases;
mod hold;
mod report;
mod rows;
mod servers;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use super::generator::{Generator, Requests};
use super::machine::Machine;
use super::process::{self, Server};
use super::{build, write_json};
use cases::{App, Case, Peer};
use rows::{Row, Visit, rows};
use servers::{Program, Servers};

pub(super) use report::render;

/// Rounds in which connections are held: they differ by next to nothing.
const HOLDING_ROUNDS: u32 = 3;

/// How a comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// Only `GET /` on 64 connections, Seawall and axum: under a minute once built.
    #[arg(long, conflicts_with_all = ["case", "server", "connections"])]
    quick: bool,
    /// Rounds; each visits every server once. Connections are held in the first three only.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of load per server and round [default: 3, quick: 2].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: Option<u32>,
    /// Connections under load; repeat for more [default: 64 and 400].
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Vec<u32>,
    /// Only this case; repeat for more [default: all].
    #[arg(long, value_name = "CASE")]
    case: Vec<Case>,
    /// Only this server; repeat for more; axum, which ratios are to, is always there [default: all].
    #[arg(long, value_name = "SERVER")]
    server: Vec<Peer>,
    /// An earlier build of our own server (`http-seawall` in the peers' folder of the target folder) as one more server.
    #[arg(long, value_name = "PROGRAM")]
    before: Option<PathBuf>,
    /// Writes rows and every visit here; `cargo xtask bench render FILE` makes the tables of docs/PERFORMANCE.md of it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What was asked for, with the defaults filled in.
#[derive(Debug)]
struct Plan {
    cases: Vec<Case>,
    peers: Vec<Peer>,
    connections: Vec<u32>,
    rounds: u32,
    seconds: u32,
    open_files: u64,
}

/// What is written as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    kind: String,
    command: String,
    machine: Machine,
    pub(super) rows: Vec<Row>,
    #[serde(default)]
    visits: Vec<Visit>,
}

/// The kind of [`Results`].
pub(super) const KIND: &str = "http";

/// Seawall beside its peers.
pub(crate) fn http(root: &Path, args: &HttpArgs) -> Result<()> {
    let target = build::target(root);
    let plan = Plan::new(args)?;
    let generator = build::generator(root, &target)?;
    let servers =
        Servers::build(root, &target, &plan.peers, !args.server.is_empty(), args.before.as_deref())?;
    process::pin_client()?;
    let mut machine = Machine::here();
    let mut visits = Vec::new();
    for &case in &plan.cases {
        if case.holds() {
            held(&servers, case, &plan, &mut visits)?;
            continue;
        }
        for &connections in &plan.connections {
            loaded(&servers, &generator, case, connections, &plan, &mut visits)?;
        }
    }
    machine.look_again();
    let label = |peer| {
        let program = servers.programs().iter().find(|program| program.peer == peer);
        program.map(|program| program.label.clone()).unwrap_or_default()
    };
    let rows = rows(&visits, label);
    let results = Results { kind: KIND.to_owned(), command: super::command_line(), machine, rows, visits };
    println!("\n{}", render(&results));
    args.json.as_deref().map_or(Ok(()), |path| write_json(path, &results))
}

impl Plan {
    fn new(args: &HttpArgs) -> Result<Self> {
        let or =
            |given: &[u32], default: &[u32]| if given.is_empty() { default.to_vec() } else { given.to_vec() };
        let mut plan = Self {
            cases: if args.case.is_empty() { Case::value_variants().to_vec() } else { args.case.clone() },
            peers: if args.server.is_empty() { Peer::value_variants().to_vec() } else { args.server.clone() },
            connections: or(&args.connections, &[64, 400]),
            rounds: args.rounds,
            seconds: args.seconds.unwrap_or(3),
            open_files: process::raise_open_files()?,
        };
        if args.quick {
            plan.cases = vec![Case::Hello];
            plan.peers = vec![Peer::Seawall, Peer::Axum];
            plan.connections = vec![64];
            plan.seconds = args.seconds.unwrap_or(2);
        }
        if !plan.peers.contains(&Peer::Axum) {
            plan.peers.push(Peer::Axum);
        }
        // Those that nobody of the chosen ones takes part in are asked for by mistake.
        let idle = |case: &&Case| !plan.peers.iter().any(|peer| peer.covers(**case));
        if let Some(case) = plan.cases.iter().find(idle) {
            bail!("none of the chosen servers takes part in `{}`; add `--server seawall`", case.name());
        }
        Ok(plan)
    }
}

/// One server in one case, running.
struct Running {
    peer: Peer,
    plain: bool,
    server: Server,
}

/// Starts all that take part, and ours once more without what the case adds; refuses those that answer wrong.
fn start(servers: &Servers, case: Case) -> Result<Vec<Running>> {
    let mut running = Vec::new();
    for program in servers.programs().iter().filter(|program| program.peer.covers(case)) {
        match start_one(servers, program, case) {
            Ok(server) => running.push(Running { peer: program.peer, plain: false, server }),
            Err(problem) if program.peer == Peer::Seawall => return Err(problem),
            Err(problem) => println!("refused in {}: {problem:#}", case.name()),
        }
        if program.peer == Peer::Seawall && case.has_plain() {
            let server = servers.start(program, App::Hello, Stdio::null())?;
            running.push(Running { peer: program.peer, plain: true, server });
        }
    }
    Ok(running)
}

fn start_one(servers: &Servers, program: &Program, case: Case) -> Result<Server> {
    let checked = || -> Result<Server> {
        if case.app() == App::Middleware {
            answers::check_middleware(servers, program)?;
        }
        let server = servers.start(program, case.app(), Stdio::null())?;
        answers::check(&server, case)?;
        Ok(server)
    };
    checked().with_context(|| program.peer.name().to_owned())
}

/// All rounds of a case under load.
fn loaded(
    servers: &Servers,
    generator: &Generator,
    case: Case,
    connections: u32,
    plan: &Plan,
    visits: &mut Vec<Visit>,
) -> Result<()> {
    println!("\n{} on {connections} connections", case.name());
    let running = start(servers, case)?;
    let exchange = case.exchange();
    let (path, headers) = (exchange.path, exchange.headers);
    // The first second of a process is not like the others.
    let warm_up = Requests { path, headers, connections, depth: case.depth(), seconds: 1 };
    for Running { server, peer, .. } in &running {
        generator.measure(server, &warm_up).with_context(|| peer.name().to_owned())?;
    }
    let requests = Requests { seconds: plan.seconds, ..warm_up };
    for round in 0..plan.rounds {
        for at in 0..running.len() {
            let at = if round % 2 == 0 { at } else { running.len() - 1 - at };
            let Running { peer, plain, server } = &running[at];
            let took = generator.measure(server, &requests).with_context(|| peer.name().to_owned())?;
            let visit = Visit {
                server: *peer,
                case,
                connections,
                round,
                plain: *plain,
                cpu_us: took.cpu_us,
                user_us: took.user_us,
                p99_us: took.p99_us,
                rps: took.rps,
                rss_kib: server.peak_rss_kib()?,
                rss_each_kib: None,
                valid: took.valid,
            };
            say(&visit);
            visits.push(visit);
        }
    }
    Ok(())
}

/// All rounds of a case that holds connections.
fn held(servers: &Servers, case: Case, plan: &Plan, visits: &mut Vec<Visit>) -> Result<()> {
    let connections = hold::connections(case, plan.open_files);
    println!(
        "\n{} with {connections} connections (the limit on open files is {})",
        case.name(),
        plan.open_files
    );
    let programs: Vec<_> = servers.programs().iter().filter(|program| program.peer.covers(case)).collect();
    for round in 0..plan.rounds.min(HOLDING_ROUNDS) {
        for at in 0..programs.len() {
            let program = programs[if round % 2 == 0 { at } else { programs.len() - 1 - at }];
            let took = match hold::hold(servers, program, case, connections) {
                Ok(took) => took,
                Err(problem) if program.peer == Peer::Seawall => return Err(problem),
                Err(problem) => {
                    println!("refused in {}: {}: {problem:#}", case.name(), program.peer.name());
                    continue;
                }
            };
            let visit = Visit {
                server: program.peer,
                case,
                connections: took.connections,
                round,
                plain: false,
                cpu_us: took.cpu_us,
                user_us: took.user_us,
                p99_us: took.p99_us,
                rps: took.rps,
                rss_kib: took.rss_kib,
                rss_each_kib: Some(took.kib_each),
                valid: true,
            };
            say(&visit);
            visits.push(visit);
        }
    }
    Ok(())
}

fn say(visit: &Visit) {
    let plain = if visit.plain { " (plain)" } else { "" };
    let name = format!("{}{plain}", visit.server.name());
    let memory = visit.rss_each_kib.map(|kib| format!("  {kib:>6.2} KiB each")).unwrap_or_default();
    println!(
        "round {:>2}  {name:<16} {:>9.0} req/s  {:>7.2} us  user {:>6.2} us{memory}",
        visit.round + 1,
        visit.rps,
        visit.cpu_us,
        visit.user_us
    );
}
