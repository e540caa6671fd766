//! `cargo xtask`: every chore of this repository as a typed command. `cargo xtask --help` lists them.
//!
//! `test` is the whole check and exactly what CI runs. Nothing here is needed to build or use Seawall.

mod bench;
mod clock;
mod fuzz;
mod run;
mod setup;
mod soak;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Chores of the Seawall repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole check, exactly as CI runs it: set-up, tidy, format, clippy, tests, models, doctests, docs.
    ///
    /// Stops at the first step that fails and prints the command to repeat that step alone.
    Test,
    /// Only the house rules: dependency edges, lengths, headers, absences, documented metrics and unsafe code.
    ///
    /// Takes less than a second. The same rules run as tests (`cargo test -p xtask`).
    Tidy,
    /// Installs what `test` needs and this machine lacks: with apt as root, else says what to install.
    Setup,
    /// Formats all Rust code.
    Fmt,
    /// libFuzzer on the parsers that meet a client's bytes; wants a C++ compiler.
    Fuzz(fuzz::FuzzArgs),
    /// A server at 80 % load for minutes, with connections that come and go: fails if memory or descriptors creep.
    ///
    /// Wants two cores that nobody else uses.
    Soak(soak::SoakArgs),
    /// Seawall beside its peers, in one run, in turns. Wants a quiet machine with two cores or more.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// CPU, memory and latency of requests on one core: Seawall with all its defaults, and nine other servers.
    ///
    /// Hello world, parameters, 1,000 routes, five middlewares, pipelining, idle connections, WebSockets. Everything
    /// takes the better part of an hour, after some ten minutes of building; --quick takes a minute.
    Http(bench::HttpArgs),
    /// What each of our protections and middlewares costs, switched one at a time.
    Defaults(bench::DefaultsArgs),
    /// What is left of a server that is asked for many times what it can do: Seawall beside axum, tower and Echo.
    ///
    /// Three handlers (computing, waiting, mixed) at 0.5x to 50x of the capacity, a spike, memory: 20 minutes once built;
    /// --quick takes one. Wants two cores that nobody else uses.
    Overload(bench::OverloadArgs),
    /// Puts the tables of `http`, `defaults` and `overload` into docs/PERFORMANCE.md, from the files that --json wrote.
    Render(bench::RenderArgs),
    /// Look-ups on one core: Seawall's router, wayfind, matchit, path-tree, and Echo from Debian's packages.
    ///
    /// On GitHub's API and on 100 to 100,000 routes, parameters extracted. Some 40 seconds a round.
    Router(bench::RouterArgs),
    /// What a request costs a load generator: ours, wrk, oha, h2load, bombardier and hey, on the same nginx.
    ///
    /// Closed loops, and open ones at 90 % of the peak. Builds oha if it is not there; all together some ten minutes.
    Load(bench::LoadArgs),
    /// One use of a rate limit, a breaker, a concurrency limit: Seawall's, governor, tower, failsafe, recloser, tower-resilience.
    ///
    /// On one core and on two. Some 20 seconds a round, after some minutes of building.
    Guard(bench::GuardArgs),
    /// What a CPU profile costs the service that it is taken of: the same load with and without one, in turns.
    Profile(bench::ProfileArgs),
    /// What a second worker is worth: Seawall with one and with two, a handler that computes for 1 ms.
    ///
    /// In turns, on 64 connections in a closed loop. A minute or two once built.
    Scaling(bench::ScalingArgs),
}

fn main() -> ExitCode {
    let root = repository();
    let done = match Cli::parse().command {
        Command::Test => run::test(&root),
        Command::Tidy => run::tidy(&root),
        Command::Setup => setup::run(&root),
        Command::Fmt => run::fmt(&root),
        Command::Fuzz(args) => fuzz::run(&root, &args),
        Command::Soak(args) => soak::run(&root, &args),
        Command::Bench(Bench::Http(args)) => bench::http(&root, &args),
        Command::Bench(Bench::Defaults(args)) => bench::defaults(&root, &args),
        Command::Bench(Bench::Overload(args)) => bench::overload(&root, &args),
        Command::Bench(Bench::Render(args)) => bench::render(&root, &args),
        Command::Bench(Bench::Router(args)) => bench::router(&root, &args),
        Command::Bench(Bench::Load(args)) => bench::load(&root, &args),
        Command::Bench(Bench::Guard(args)) => bench::guard(&root, &args),
        Command::Bench(Bench::Profile(args)) => bench::profile(&root, &args),
        Command::Bench(Bench::Scaling(args)) => bench::scaling(&root, &args),
    };
    report(done)
}

fn report(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder above this crate's.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the repository's root").to_path_buf()
}
