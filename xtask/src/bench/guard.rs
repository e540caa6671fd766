//! `cargo xtask bench guard`: how long one use of a primitive of overload protection takes, beside other libraries.
//!
//! Each visit is a process of its own with one case, on core 0; within a round all cases are visited one after the
//! other, in an order that is reversed from round to round. With two threads a visit has both cores. A visit with
//! one thread counts with the quickest tenth of its passes, each of a thousand uses; one with two threads with the median,
//! which means something only where nobody else uses the cores. The program is `bench/src/bin/guard`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::stats::{least, median, most};

/// What is measured: a group of cases that do the same, the ones of ours first.
const GROUPS: [(&str, &[(&str, &str)]); 7] = [
    ("reading the clock, which is in all cases without \"time given\"", &[("clock", "`Instant::now`")]),
    (
        "a rate limit for all",
        &[
            ("direct-seawall", "Seawall"),
            ("direct-seawall-given", "Seawall, time given"),
            ("direct-governor", "governor 0.10"),
            ("direct-tower-resilience", "tower-resilience 0.14, sliding counter"),
        ],
    ),
    (
        "a rate limit per key, one hot key",
        &[
            ("hot-seawall", "Seawall"),
            ("hot-seawall-given", "Seawall, time given"),
            ("hot-governor", "governor 0.10"),
        ],
    ),
    (
        "a rate limit per key, a million keys",
        &[
            ("million-seawall", "Seawall"),
            ("million-seawall-given", "Seawall, time given"),
            ("million-governor", "governor 0.10"),
        ],
    ),
    (
        "a breaker: asked and told",
        &[
            ("breaker-seawall", "Seawall"),
            ("breaker-seawall-given", "Seawall, time given"),
            ("breaker-failsafe", "failsafe 1.3"),
            ("breaker-recloser", "recloser 1.4"),
            ("breaker-tower-resilience", "tower-resilience 0.14"),
        ],
    ),
    (
        "a concurrency limit: taken and given back",
        &[
            ("limit-seawall-gate", "Seawall, `Gate`"),
            ("limit-seawall", "Seawall, `Admission` (adaptive) under a `Gate`"),
            ("limit-seawall-given", "the same, time given"),
            ("limit-tower", "tower 0.5, `ConcurrencyLimit`"),
            ("limit-tower-shed", "tower 0.5, `LoadShed` over it"),
            ("limit-tower-resilience", "tower-resilience 0.14, bulkhead"),
        ],
    ),
    (
        "the inbound chain: deadline, class, hard cap, keyed rate, adaptive limit",
        &[("chain-seawall", "Seawall")],
    ),
];

/// How a comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// Rounds; each visits every case with one thread and with two.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100))]
    rounds: u32,
    /// Also writes every measurement here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One visit to one case.
#[derive(Debug, Clone, Serialize)]
struct Visit {
    case: &'static str,
    threads: u32,
    round: u32,
    #[serde(flatten)]
    took: Took,
}

/// What the program prints, per use and thread: the median over passes, and the quickest tenth of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Took {
    ns: f64,
    tenth_ns: f64,
}

/// One use of each primitive of seawall-guard and of its peers.
pub(crate) fn guard(root: &Path, args: &GuardArgs) -> Result<()> {
    let program = super::build::peer(root, &super::build::target(root), "guard", "guard")?;
    let cases: Vec<_> = GROUPS.iter().flat_map(|(_, cases)| cases.iter().map(|(case, _)| *case)).collect();
    let mut visits = Vec::new();
    for round in 0..args.rounds {
        for at in 0..cases.len() {
            let case = cases[if round % 2 == 0 { at } else { cases.len() - 1 - at }];
            for threads in [1, 2] {
                visits.push(visit(&program, case, threads, round)?);
            }
        }
        println!("round {} of {}", round + 1, args.rounds);
    }
    println!("\n{}", render(&visits));
    args.json.as_ref().map_or(Ok(()), |path| super::write_json(path, &visits))
}

fn visit(program: &Path, case: &'static str, threads: u32, round: u32) -> Result<Visit> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", if threads == 1 { "0" } else { "0,1" }])
        .arg(program)
        .args([case, &threads.to_string()]);
    let output = command.output().context("taskset cannot be started; it is in Debian's util-linux")?;
    if !output.status.success() {
        bail!("{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let took = serde_json::from_slice(&output.stdout).context("not the line that was expected")?;
    Ok(Visit { case, threads, round, took })
}

fn render(visits: &[Visit]) -> String {
    let mut text =
        String::from("ns per use, median (range) over rounds; one thread: the quickest tenth of passes\n");
    for (group, cases) in GROUPS {
        let _ = writeln!(
            text,
            "\n| {group} | one thread | two threads, each | two threads do |\n|---|---|---|---|"
        );
        for (case, label) in cases {
            let (one, two) = (times(visits, case, 1), times(visits, case, 2));
            let cell = |times: &[f64]| {
                format!("{:.1} ({:.1}-{:.1})", median(times.to_vec()), least(times), most(times))
            };
            let gain = 2.0 * median(one.clone()) / median(two.clone());
            let _ = writeln!(text, "| {label} | {} | {} | {gain:.2} x |", cell(&one), cell(&two));
        }
    }
    text
}

fn times(visits: &[Visit], case: &str, threads: u32) -> Vec<f64> {
    let own = visits.iter().filter(|visit| visit.case == case && visit.threads == threads);
    // With two threads the quickest are those that were alone.
    own.map(|visit| if threads == 1 { visit.took.tenth_ns } else { visit.took.ns }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_medians_and_what_two_threads_do() {
        let visit =
            |case, threads, round, ns| Visit { case, threads, round, took: Took { ns, tenth_ns: ns } };
        let mut visits = Vec::new();
        for (_, cases) in GROUPS {
            for (case, _) in cases {
                for (round, ns) in [(0, 10.0), (1, 30.0), (2, 20.0)] {
                    visits.extend([visit(case, 1, round, ns), visit(case, 2, round, ns * 2.0)]);
                }
            }
        }
        let text = render(&visits);
        assert!(text.contains("| governor 0.10 | 20.0 (10.0-30.0) | 40.0 (20.0-60.0) | 1.00 x |"), "{text}");
    }
}
