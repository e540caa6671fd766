//! `cargo xtask bench scaling`: what a second worker is worth.
//!
//! Two workers reach twice of one only if connections are spread evenly: each is served by one worker for its whole life.
//! The handler computes for 1 ms, so that generator and kernel take little of the cores: a request that does nothing
//! needs a core of the generator for each core of the server. Protection is off, since 64 connections that ask without a
//! pause are an overload for one worker. Both servers may use both cores, the generator's included, which takes some 3 %
//! of one of them away from two workers and nothing from one.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};

use super::generator::{Generator, Requests};
use super::process::{self, CLIENT_CORE, SERVER_CORE, Server};
use super::stats::{Spread, median};
use super::{build, overload};

/// How the comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct ScalingArgs {
    /// Rounds; each has one worker and two, each with a server started anew: its connections are spread anew.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    rounds: u32,
    /// Seconds of load each time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Connections.
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    connections: u32,
}

/// Variants of the server with one worker and with two.
const VARIANTS: [&str; 2] = ["off", "off-two"];

/// Requests a second with one worker and with two, in turns.
pub(crate) fn scaling(root: &Path, args: &ScalingArgs) -> Result<()> {
    let target = build::target(root);
    let generator = build::generator(root, &target)?;
    let program = build::peer(root, &target, "overload-seawall", "overload-seawall")?;
    let spins = overload::spins(root, &target)?;
    let mut rounds: Vec<[f64; 2]> = Vec::new();
    for round in 0..args.rounds {
        let mut rps = [0.0; 2];
        for at in 0..VARIANTS.len() {
            let at = if round % 2 == 0 { at } else { VARIANTS.len() - 1 - at };
            rps[at] = visit(&generator, &program, spins, VARIANTS[at], args)?;
        }
        println!(
            "round {:>2}  {:>7.1} {:>7.1} requests/s  {:.3} x",
            round + 1,
            rps[0],
            rps[1],
            rps[1] / rps[0]
        );
        rounds.push(rps);
    }
    let ratios: Vec<f64> = rounds.iter().map(|[one, two]| two / one).collect();
    let Spread { median: ratio, low, high, min, max } =
        Spread::of(&ratios).context("there were no rounds")?;
    let of = |at: usize| median(rounds.iter().map(|rps| rps[at]).collect());
    println!(
        "\n| workers | requests/s, median | x one, median (95 %; range) |\n|---|---|---|\n| 1 | {:.0} | |\n\
         | 2 | {:.0} | **{ratio:.2}** ({low:.2}-{high:.2}; {min:.2}-{max:.2}) |",
        of(0),
        of(1),
    );
    Ok(())
}

fn visit(
    generator: &Generator,
    program: &Path,
    spins: u64,
    variant: &str,
    args: &ScalingArgs,
) -> Result<f64> {
    let port = process::free_port()?;
    let command =
        [program.display().to_string(), format!("127.0.0.1:{port}"), spins.to_string(), variant.to_owned()];
    let cores = format!("{SERVER_CORE},{CLIENT_CORE}");
    let server = Server::start_on(&cores, variant, port, &command, Stdio::null())?;
    let ScalingArgs { connections, seconds, .. } = *args;
    let requests = Requests { path: "/cpu", headers: &[], connections, depth: 1, seconds };
    Ok(generator.measure(&server, &requests)?.rps)
}
