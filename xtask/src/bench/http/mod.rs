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

use super::generator::{Generator, Measured, Requests};
use super::machine::Machine;
use super::process::{self, Server};
use super::{build, write_json};
use cases::{App, Case, Peer};
use hold::Held;
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

/// A comparison under way.
struct Run {
    plan: Plan,
    servers: Servers,
    generator: Generator,
    machine: Machine,
    visits: Vec<Visit>,
}

/// Seawall beside its peers.
pub(crate) fn http(root: &Path, args: &HttpArgs) -> Result<()> {
    let target = build::target(root);
    let plan = Plan::new(args)?;
    let generator = build::generator(root, &target)?;
    let asked = !args.server.is_empty();
    let servers = Servers::build(root, &target, &plan.peers, asked, args.before.as_deref())?;
    process::pin_client()?;
    let mut run = Run { plan, servers, generator, machine: Machine::here(), visits: Vec::new() };
    for case in run.plan.cases.clone() {
        run.case(case)?;
        // After each case: an hour's work must not hang on its last minute.
        if let Some(path) = &args.json {
            write_json(path, &run.results())?;
        }
    }
    run.machine.look_again();
    let results = run.results();
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
        let peers = plan.peers.clone();
        plan.cases.retain(|case| peers.iter().any(|peer| peer.covers(*case)));
        if plan.cases.is_empty() {
            bail!("none of the chosen servers takes part in the chosen cases; add `--server seawall`");
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

impl Run {
    fn case(&mut self, case: Case) -> Result<()> {
        if case.holds() {
            return self.held(case);
        }
        self.plan.connections.clone().into_iter().try_for_each(|connections| self.loaded(case, connections))
    }

    /// All rounds of a case under load.
    fn loaded(&mut self, case: Case, connections: u32) -> Result<()> {
        println!("\n{} on {connections} connections", case.name());
        let mut running = start(&self.servers, case)?;
        let exchange = case.exchange();
        let (path, headers) = (exchange.path, exchange.headers);
        // The first second of a process is not like the others.
        let warm_up = Requests { path, headers, connections, depth: case.depth(), seconds: 1 };
        let requests = Requests { seconds: self.plan.seconds, ..warm_up };
        for round in 0..=self.plan.rounds {
            let (requests, counts) = if round == 0 { (&warm_up, false) } else { (&requests, true) };
            let mut lost = Vec::new();
            for at in 0..running.len() {
                let at = if round % 2 == 1 { at } else { running.len() - 1 - at };
                let Running { peer, plain, server } = &running[at];
                match self.generator.measure(server, requests).with_context(|| peer.name().to_owned()) {
                    Ok(took) if counts => {
                        let rss_kib = server.peak_rss_kib()?;
                        let visit = under_load(*peer, case, connections, round - 1, *plain, &took, rss_kib);
                        say(&visit);
                        self.visits.push(visit);
                    }
                    Ok(_) => {}
                    Err(problem) if *peer == Peer::Seawall => return Err(problem),
                    Err(problem) => {
                        println!("no further rounds in {}: {problem:#}", case.name());
                        lost.push(*peer);
                    }
                }
            }
            running.retain(|one| !lost.contains(&one.peer));
        }
        Ok(())
    }

    /// All rounds of a case that holds connections.
    fn held(&mut self, case: Case) -> Result<()> {
        let open_files = self.plan.open_files;
        let connections = hold::connections(case, open_files);
        println!(
            "\n{} with {connections} connections (the limit on open files is {open_files})",
            case.name()
        );
        for round in 0..self.plan.rounds.min(HOLDING_ROUNDS) {
            let programs = self.servers.programs().iter().filter(|program| program.peer.covers(case));
            let mut programs: Vec<_> = programs.collect();
            if round % 2 == 1 {
                programs.reverse();
            }
            let mut seen = Vec::new();
            for program in programs {
                match hold::hold(&self.servers, program, case, connections) {
                    Ok(held) => {
                        let visit = visit_of_held(program.peer, case, round, &held);
                        say(&visit);
                        seen.push(visit);
                    }
                    Err(problem) if program.peer == Peer::Seawall => return Err(problem),
                    Err(problem) => {
                        println!("refused in {}: {}: {problem:#}", case.name(), program.peer.name())
                    }
                }
            }
            self.visits.extend(seen);
        }
        Ok(())
    }

    fn results(&self) -> Results {
        let label = |peer| {
            let program = self.servers.programs().iter().find(|program| program.peer == peer);
            program.map(|program| program.label.clone()).unwrap_or_default()
        };
        Results {
            kind: KIND.to_owned(),
            command: super::command_line(),
            machine: self.machine.clone(),
            rows: rows(&self.visits, label),
            visits: self.visits.clone(),
        }
    }
}

fn under_load(
    server: Peer,
    case: Case,
    connections: u32,
    round: u32,
    plain: bool,
    took: &Measured,
    rss_kib: f64,
) -> Visit {
    let &Measured { rps, p99_us, cpu_us, user_us, valid, sent: _ } = took;
    Visit {
        server,
        case,
        connections,
        round,
        plain,
        cpu_us,
        user_us,
        p99_us,
        rps,
        rss_kib,
        rss_each_kib: None,
        valid,
    }
}

fn visit_of_held(server: Peer, case: Case, round: u32, held: &Held) -> Visit {
    let &Held { connections, rss_kib, kib_each, cpu_us, user_us, p99_us, rps } = held;
    Visit {
        server,
        case,
        connections,
        round,
        plain: false,
        cpu_us,
        user_us,
        p99_us,
        rps,
        rss_kib,
        rss_each_kib: Some(kib_each),
        valid: true,
    }
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
