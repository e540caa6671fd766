//! `cargo xtask bench router`: how long a look-up takes, Seawall's router beside others, in turns.
//!
//! Each visit is a process of its own with one router and one set; within a round all routers visit a set one after
//! the other, in an order that is reversed from round to round. Requests are shuffled, the same for all. What is
//! compared is the ratio within a round. The programs are `bench/src/bin/router` and `bench/echo/router`.

mod report;
mod sets;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use sets::Set;

/// The routers that are programs of the bench workspace.
const RUST: [(&str, &str); 4] = [
    ("seawall", "Seawall"),
    ("wayfind", "wayfind 1.1"),
    ("matchit", "matchit 0.9"),
    ("path-tree", "path-tree 0.8"),
];
/// The label of ours.
const OURS: &str = RUST[0].1;

/// How a comparison is run.
#[derive(Debug, clap::Args)]
pub(crate) struct RouterArgs {
    /// Rounds; each visits every router once per set.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(2..=100))]
    rounds: u32,
    /// Also writes every measurement here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One router's visit to one set.
#[derive(Debug, Clone, Serialize)]
struct Visit {
    set: &'static str,
    router: String,
    round: u32,
    #[serde(flatten)]
    took: Took,
}

/// What the programs print.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Took {
    /// Per look-up, the median over passes, and the quickest pass.
    ns: f64,
    best_ns: f64,
    build_ms: f64,
    memory_bytes: u64,
}

/// A router as a command that takes a file of routes and one of requests.
#[derive(Debug)]
struct Router {
    label: String,
    command: Vec<PathBuf>,
}

/// Look-ups of Seawall and its peers on GitHub's API and on 100 to 100,000 routes.
pub(crate) fn router(root: &Path, args: &RouterArgs) -> Result<()> {
    let target = super::build::target(root);
    let routers = build(root, &target)?;
    let sets = sets::all(root)?;
    let folder = target.join("bench-router");
    for set in &sets {
        set.write(&folder)?;
    }
    let mut visits = Vec::new();
    for round in 0..args.rounds {
        for set in &sets {
            for at in 0..routers.len() {
                let router = &routers[if round % 2 == 0 { at } else { routers.len() - 1 - at }];
                visits.push(router.visit(&folder, set, round)?);
            }
        }
        println!("round {} of {}", round + 1, args.rounds);
    }
    println!("\n{}", report::render(&visits));
    if let Some(path) = &args.json {
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        serde_json::to_writer_pretty(file, &visits)?;
    }
    Ok(())
}

fn build(root: &Path, target: &Path) -> Result<Vec<Router>> {
    println!("building the routers");
    let program = super::build::peer(root, target, "router", "router")?;
    let rust = RUST.map(|(name, label)| Router {
        label: label.to_owned(),
        command: vec![program.clone(), PathBuf::from(name)],
    });
    let mut routers = Vec::from(rust);
    match super::echo::build(root, target, "router") {
        Ok((label, program)) => routers.push(Router { label, command: vec![program] }),
        Err(problem) => println!("without Echo: {problem:#}"),
    }
    Ok(routers)
}

impl Router {
    fn visit(&self, folder: &Path, set: &Set, round: u32) -> Result<Visit> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).args(&self.command).args(set.files(folder));
        let output = command.output().context("taskset cannot be started; it is in Debian's util-linux")?;
        if !output.status.success() {
            bail!("{} on {}: {}", self.label, set.name, String::from_utf8_lossy(&output.stderr));
        }
        let took = serde_json::from_slice(&output.stdout).context("not the line that was expected")?;
        Ok(Visit { set: set.name, router: self.label.clone(), round, took })
    }
}
