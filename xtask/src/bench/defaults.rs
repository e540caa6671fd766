//! `cargo xtask bench defaults`: what each protection and each middleware costs, switched one at a time.
//!
//! `bench/src/bin/defaults.rs` is our server with one thing changed; this asks it for the list, and puts the same load on
//! all of them in turns, as `http` does. Requests are pipelined, sixteen deep: the kernel's share of a request is small
//! then, and what is left of the CPU, which the scheduler counts to the nanosecond, is nearly all ours. User time could
//! not tell: the kernel splits it from the rest in ticks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::generator::Requests;
use super::machine::Machine;
use super::process::{self, Server};
use super::stats::{Spread, median};
use super::{build, write_json};

/// The kind of [`Results`].
pub(super) const KIND: &str = "defaults";
/// What all others are compared with.
const BASE: &str = "default";
const CONNECTIONS: u32 = 64;
const DEPTH: u32 = 16;
/// Servers that are up at once, the default one among them: all of a group are compared with the same visit to it.
const GROUP: usize = 6;
const HEADERS: [&str; 2] = ["Origin: https://app.example.com", "Accept-Encoding: gzip"];

/// How the comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct DefaultsArgs {
    /// Rounds; each visits every variant once.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    rounds: u32,
    /// Seconds of load per variant and round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Requests that are sent at once on a connection; 1 is how most clients send them.
    #[arg(long, default_value_t = DEPTH, value_parser = clap::value_parser!(u32).range(1..=64))]
    depth: u32,
    /// Only this variant; repeat for more [default: all].
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// Writes rows here; `cargo xtask bench render FILE` makes the table of docs/PERFORMANCE.md of it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A variant as the program lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Variant {
    name: String,
    what: String,
}

/// What it costs beside the default.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    variant: Variant,
    /// CPU of a request.
    cpu_ns: f64,
    /// CPU more than the default's, of the same round; absent for the default.
    added_ns: Option<Spread>,
    ratio: Option<Spread>,
    rounds: usize,
}

/// What is written as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    kind: String,
    command: String,
    machine: Machine,
    rows: Vec<Row>,
}

/// Every variant of our server beside the default.
pub(crate) fn defaults(root: &Path, args: &DefaultsArgs) -> Result<()> {
    let target = build::target(root);
    let generator = build::generator(root, &target)?;
    let program = build::peer(root, &target, "defaults", "seawall")?;
    let variants = chosen(list(&program)?, &args.variant)?;
    process::raise_open_files()?;
    process::pin_client()?;
    let mut machine = Machine::here();
    let (base, others) = variants.split_first().context("the program lists nothing")?;
    let mut rows = Vec::new();
    for group in others.chunks(GROUP - 1) {
        let group: Vec<_> = std::iter::once(base).chain(group).collect();
        let rounds = measure(&generator, &program, &group, args)?;
        rows.extend(compared(&group, &rounds).into_iter().skip(usize::from(!rows.is_empty())));
    }
    machine.look_again();
    let results = Results { kind: KIND.to_owned(), command: super::command_line(), machine, rows };
    println!("\n{}", render(&results));
    args.json.as_deref().map_or(Ok(()), |path| write_json(path, &results))
}

/// The first one is the default.
fn list(program: &Path) -> Result<Vec<Variant>> {
    let output =
        Command::new(program).arg("--list").output().context("cannot start the program `defaults`")?;
    let text = String::from_utf8(output.stdout).context("its list is no text")?;
    let variant = |line: &str| line.split_once('\t').map(|(name, what)| (name.to_owned(), what.to_owned()));
    let found = text.lines().map(|line| variant(line).context("a line of its list has no tab"));
    let found: Result<Vec<_>> = found.map(|line| line.map(|(name, what)| Variant { name, what })).collect();
    let found = found?;
    ensure!(found.first().is_some_and(|first| first.name == BASE), "the list does not begin with `{BASE}`");
    Ok(found)
}

/// The default and those that are named, or all.
fn chosen(all: Vec<Variant>, names: &[String]) -> Result<Vec<Variant>> {
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|variant| variant.name != **name)) {
        let known: Vec<_> = all.iter().map(|variant| variant.name.as_str()).collect();
        bail!("no variant `{unknown}`; there are {}", known.join(", "));
    }
    let wanted =
        |variant: &Variant| names.is_empty() || variant.name == BASE || names.contains(&variant.name);
    Ok(all.into_iter().filter(wanted).collect())
}

/// CPU of a request in nanoseconds: for each round that of each variant, in their order.
fn measure(
    generator: &super::generator::Generator,
    program: &Path,
    group: &[&Variant],
    args: &DefaultsArgs,
) -> Result<Vec<Vec<f64>>> {
    let requests =
        Requests { path: "/", headers: &HEADERS, connections: CONNECTIONS, depth: args.depth, seconds: 1 };
    let mut servers = Vec::new();
    for variant in group {
        let server = start(program, variant)?;
        generator.measure(&server, &requests).with_context(|| variant.name.clone())?;
        servers.push(server);
    }
    let requests = Requests { seconds: args.seconds, ..requests };
    let mut rounds = Vec::new();
    for round in 0..args.rounds {
        let mut took = vec![f64::NAN; group.len()];
        for at in 0..group.len() {
            let at = if round % 2 == 0 { at } else { group.len() - 1 - at };
            let measured =
                generator.measure(&servers[at], &requests).with_context(|| group[at].name.clone())?;
            took[at] = measured.cpu_us * 1e3;
            println!("round {:>2}  {:<24} {:>7.0} ns", round + 1, group[at].name, took[at]);
        }
        rounds.push(took);
    }
    Ok(rounds)
}

fn start(program: &Path, variant: &Variant) -> Result<Server> {
    let port = process::free_port()?;
    let command = [program.display().to_string(), format!("127.0.0.1:{port}"), variant.name.clone()];
    Server::start(&variant.name, port, &command, Stdio::null())
}

fn compared(group: &[&Variant], rounds: &[Vec<f64>]) -> Vec<Row> {
    let row = |(at, variant): (usize, &&Variant)| {
        let spread = |value: fn(f64, f64) -> f64| {
            let values: Vec<_> = rounds.iter().map(|round| value(round[at], round[0])).collect();
            Spread::of(&values).filter(|_| at > 0)
        };
        Row {
            variant: (*variant).clone(),
            cpu_ns: median(rounds.iter().map(|round| round[at]).collect()),
            added_ns: spread(|own, base| own - base),
            ratio: spread(|own, base| own / base),
            rounds: rounds.len(),
        }
    };
    group.iter().enumerate().map(row).collect()
}

pub(super) fn render(results: &Results) -> String {
    let mut text = super::render::origin(&results.command, &results.machine);
    text +=
        "\n| changed | CPU ns of a request | more than by default (95 %) | x (95 %) |\n|---|---|---|---|\n";
    for Row { variant, cpu_ns, added_ns, ratio, .. } in &results.rows {
        let added = added_ns
            .map_or_else(String::new, |s| format!("**{:+.0}** ({:+.0} to {:+.0})", s.median, s.low, s.high));
        let ratio =
            ratio.map_or_else(String::new, |s| format!("{:.2} ({:.2}-{:.2})", s.median, s.low, s.high));
        let _ = writeln!(text, "| {} | {cpu_ns:.0} | {added} | {ratio} |", variant.what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str) -> Variant {
        Variant { name: name.to_owned(), what: format!("with {name}") }
    }

    #[test]
    fn each_is_compared_with_the_default_of_its_round() {
        let (base, other) = (variant(BASE), variant("cors"));
        let rows = compared(&[&base, &other], &[vec![500.0, 540.0], vec![800.0, 850.0], vec![600.0, 630.0]]);
        assert!(rows[0].added_ns.is_none() && rows[0].cpu_ns == 600.0);
        let added = rows[1].added_ns.unwrap();
        assert_eq!((added.median, added.min, added.max), (40.0, 30.0, 50.0));
        let results =
            Results { kind: KIND.to_owned(), command: String::new(), machine: Machine::default(), rows };
        assert!(
            render(&results).contains("| with cors | 630 | **+40** (+30 to +50) |"),
            "{}",
            render(&results)
        );
    }

    #[test]
    fn the_default_is_always_there() {
        let all = vec![variant(BASE), variant("cors"), variant("log")];
        assert_eq!(chosen(all.clone(), &["log".to_owned()]).unwrap(), [variant(BASE), variant("log")]);
        let error = chosen(all, &["x".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "no variant `x`; there are default, cors, log");
    }
}
