//! `cargo xtask bench load`: what a request costs the load generator, ours beside others.
//!
//! One nginx with one worker has a core to itself, the generators take turns on the other, each as its own program. What
//! is compared is the CPU that the kernel charged the generator's process from its start to its end (user and system),
//! over the requests that nginx counted meanwhile: neither number comes from a generator. Every round visits each
//! generator once, in a new order, and ratios are taken within a round.
//!
//! Closed loops go as fast as the server answers. The open loop goes at 90 % of the rate that our closed loop reached in
//! the same round, first of all; wrk, which has none, is compared with its closed loop.

mod peers;
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::stats::{Random, Spread, median};
use super::{build, process, write_json};
use peers::{Loop, Peer, Programs, Visit};
use server::Nginx;

/// The kind of [`Results`].
pub(super) const KIND: &str = "load";
/// The share of the peak at which open loops are compared.
const OPEN_SHARE: f64 = 0.9;

/// How generators are compared.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Rounds; each visits every generator once per case.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    rounds: u32,
    /// Seconds of load per visit.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Connections; repeat for more [default: 64 and 400].
    #[arg(long, short, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Vec<u32>,
    /// Only these generators besides ours; repeat for more [default: all that are there].
    #[arg(long, value_enum)]
    peer: Vec<Peer>,
    /// Three rounds of a second, with ours and wrk alone: to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Writes rows here; `cargo xtask bench render FILE` makes the table of docs/PERFORMANCE.md of it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A generator in a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    connections: u32,
    pace: Loop,
    peer: Peer,
    /// CPU of the generator per request, and the part of it outside of the kernel.
    cpu_us: f64,
    user_us: f64,
    rps: f64,
    /// Ours over this one, of the same round; absent for ours.
    ours: Option<Spread>,
    rounds: usize,
}

/// What is written as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    kind: String,
    command: String,
    machine: Machine,
    /// Versions of the generators as they say them.
    versions: BTreeMap<Peer, String>,
    rows: Vec<Row>,
}

/// A place in the table of a round.
type Key = (u32, Loop, Peer);
/// What the visits of a round measured.
type Round = BTreeMap<Key, Visit>;

/// Compares and prints a table.
pub(crate) fn load(root: &Path, args: &LoadArgs) -> Result<()> {
    let target = build::target(root);
    let ours = build::generator(root, &target)?;
    let wanted = if args.quick { vec![Peer::Wrk] } else { args.peer.clone() };
    let programs = Programs::find(ours.0, &target, &wanted)?;
    let (rounds, seconds) = if args.quick { (3, 1) } else { (args.rounds, args.seconds) };
    let connections = if args.connections.is_empty() { vec![64, 400] } else { args.connections.clone() };
    process::raise_open_files()?;
    let nginx = Nginx::start()?;
    process::pin_client()?;
    let mut machine = Machine::here();
    let mut keys: Vec<Key> = Vec::new();
    for &connections in &connections {
        let others = programs.closed().filter(|peer| *peer != Peer::Seawall);
        keys.extend(others.map(|peer| (connections, Loop::Closed, peer)));
        keys.extend(programs.open().map(|peer| (connections, Loop::Open, peer)));
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut all: Vec<Round> = Vec::new();
    for number in 1..=rounds {
        random.shuffle(&mut keys);
        let mut round = Round::new();
        let mut peaks = BTreeMap::new();
        for &connections in &connections {
            let visit = programs.visit(&nginx, Peer::Seawall, connections, seconds, None)?;
            peaks.insert(connections, (visit.rps * OPEN_SHARE).round());
            round.insert((connections, Loop::Closed, Peer::Seawall), visit);
        }
        for &(connections, pace, peer) in &keys {
            let rate = (pace == Loop::Open).then(|| peaks[&connections]);
            round
                .insert((connections, pace, peer), programs.visit(&nginx, peer, connections, seconds, rate)?);
        }
        println!("round {number:>2}  {}", line(&round));
        all.push(round);
    }
    drop(nginx);
    machine.look_again();
    let rows = rows(&all).context("no round was measured")?;
    let results = Results {
        kind: KIND.to_owned(),
        command: super::command_line(),
        machine,
        versions: programs.versions(),
        rows,
    };
    println!("\n{}", render(&results));
    args.json.as_deref().map_or(Ok(()), |path| write_json(path, &results))
}

fn line(round: &Round) -> String {
    let cell = |(key, visit): (&Key, &Visit)| {
        let (connections, pace, peer) = key;
        format!("{peer}/{pace}/{connections} {:.2}", visit.cpu_us)
    };
    round.iter().map(cell).collect::<Vec<_>>().join("  ")
}

/// With what ours is compared in a pace: the same pace of the peer, or the only one that it has.
fn counterpart((connections, pace, peer): Key, round: &Round) -> Option<&Visit> {
    round.get(&(connections, pace, peer)).or_else(|| round.get(&(connections, Loop::Closed, peer)))
}

fn rows(all: &[Round]) -> Option<Vec<Row>> {
    let mut keys: Vec<Key> = all.first()?.keys().copied().collect();
    // wrk has no open loop, and is beside ours all the same.
    let open: Vec<u32> = keys.iter().filter(|key| key.1 == Loop::Open).map(|key| key.0).collect();
    let extra = open.into_iter().map(|connections| (connections, Loop::Open, Peer::Wrk));
    keys.extend(extra.filter(|key| counterpart(*key, &all[0]).is_some()));
    keys.sort_unstable();
    keys.dedup();
    let row = |key: Key| {
        let (connections, pace, peer) = key;
        let own: Vec<&Visit> = all.iter().filter_map(|round| counterpart(key, round)).collect();
        let ratio = |round: &Round| {
            let ours = round.get(&(connections, pace, Peer::Seawall))?;
            Some(ours.cpu_us / counterpart(key, round)?.cpu_us)
        };
        let ratios: Vec<f64> = all.iter().filter_map(ratio).collect();
        let of = |value: fn(&Visit) -> f64| median(own.iter().map(|visit| value(visit)).collect());
        Row {
            connections,
            pace,
            peer,
            cpu_us: of(|visit| visit.cpu_us),
            user_us: of(|visit| visit.user_us),
            rps: of(|visit| visit.rps),
            ours: if peer == Peer::Seawall { None } else { Spread::of(&ratios) },
            rounds: own.len(),
        }
    };
    Some(keys.into_iter().map(row).collect())
}

/// One table per number of connections and pace.
pub(super) fn render(results: &Results) -> String {
    let mut text = super::render::origin(&results.command, &results.machine);
    let versions = results.versions.iter().map(|(peer, version)| format!("{peer} {version}"));
    let _ = writeln!(text, "\n{}.\n", versions.collect::<Vec<_>>().join(", "));
    let mut heads: Vec<(u32, Loop)> = results.rows.iter().map(|row| (row.connections, row.pace)).collect();
    heads.dedup();
    for (connections, pace) in heads {
        let what = match pace {
            Loop::Closed => "closed loop",
            Loop::Open => "open loop at 90 % of the peak, latency from the due time (wrk: its closed loop)",
        };
        let _ = writeln!(
            text,
            "{connections} connections, {what}:\n\n| generator | CPU us/request | outside of the kernel | requests/s | ours / this one, median (95 % interval) | rounds |\n|---|---|---|---|---|---|"
        );
        let rows = results.rows.iter().filter(|row| (row.connections, row.pace) == (connections, pace));
        for Row { peer, cpu_us, user_us, rps, ours, rounds, .. } in rows {
            let ratio = ours.map_or_else(
                || "-".to_owned(),
                |Spread { median, low, high, .. }| format!("**{median:.2}** ({low:.2}-{high:.2})"),
            );
            let _ = writeln!(text, "| {peer} | {cpu_us:.2} | {user_us:.2} | {rps:.0} | {ratio} | {rounds} |");
        }
        text.push('\n');
    }
    text
}

/// Requests that nginx counted, of which a generator's own are too few to have measured anything.
fn enough(requests: u64) -> Result<()> {
    ensure!(requests >= 1_000, "only {requests} requests came: nothing was measured");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(cpu_us: f64) -> Visit {
        Visit { cpu_us, user_us: cpu_us / 4.0, rps: 1_000.0 }
    }

    fn round(ours: f64, wrk: f64) -> Round {
        let key = |pace, peer| (64, pace, peer);
        BTreeMap::from([
            (key(Loop::Closed, Peer::Seawall), visit(ours)),
            (key(Loop::Closed, Peer::Wrk), visit(wrk)),
            (key(Loop::Open, Peer::Seawall), visit(ours * 2.0)),
        ])
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let rows = rows(&[round(3.0, 6.0), round(8.0, 16.0)]).unwrap();
        let of = |pace, peer| rows.iter().find(|row| row.pace == pace && row.peer == peer).unwrap();
        let closed = of(Loop::Closed, Peer::Wrk).ours.unwrap();
        assert_eq!((closed.median, closed.min, closed.max), (0.5, 0.5, 0.5));
        assert_eq!(of(Loop::Open, Peer::Wrk).ours.unwrap().median, 1.0);
        assert_eq!(of(Loop::Closed, Peer::Seawall).ours, None);
        assert!(super::rows(&[]).is_none());
    }

    #[test]
    fn every_pace_has_its_table() {
        let results = Results {
            kind: KIND.to_owned(),
            command: "x".to_owned(),
            machine: Machine::default(),
            versions: BTreeMap::from([(Peer::Wrk, "4.1".to_owned())]),
            rows: rows(&[round(3.0, 6.0)]).unwrap(),
        };
        let text = render(&results);
        assert_eq!(text.matches("| generator |").count(), 2, "{text}");
        assert!(text.contains("| wrk | 6.00 | 1.50 | 1000 | **0.50** (0.50-0.50) | 1 |"), "{text}");
    }
}
