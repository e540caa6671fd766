//! The cycle phase: the shop with a planted fault, what the lab says of it, and the proof that the repair helps.
//!
//! Planted is the usual beginning: one connection to a database that is some tenths of a millisecond away, and no cache. The
//! repair is configuration; the database stays where it is. Without a cause, nothing is changed in vain: where the diagnosis
//! names the pool, the lab tries a larger one, and the cache, before it says so.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seawall_lab::compare::{CompareConfig, Metric, judge_pairs};
use seawall_lab::diagnose::elasticity::Capacity;
use seawall_lab::diagnose::{DiagnoseConfig, Diagnosis, Finding, Step, diagnose_and_try};
use seawall_lab::profile::fetch::Endpoint;
use seawall_lab::report::Cycle;
use seawall_lab::report::lab::Recorder;
use seawall_load::{LoadConfig, WarmUp};

use super::progress::Progress;
use super::service::{FreshDir, SUBCOMMAND};
use super::{Processors, clock};
use crate::lab::blocks::{self, BlockPlan};
use crate::lab::capacities::Template;
use crate::lab::server::{Launch, Server};

/// Connections of the load: enough to see what waits, few enough that a page is not mostly waiting for its turn.
const CONNECTIONS: usize = 32;
/// How far away the database is, microseconds: the file itself answers in about fifteen, which no database over a network does.
const AWAY_US: u32 = 300;
/// Length of a level of the diagnosis.
const LEVEL: Duration = Duration::from_millis(1200);
/// Length of a block, and of its warm-up.
const BLOCK: Duration = Duration::from_millis(350);
const WARMUP: Duration = Duration::from_millis(150);

/// Plants, diagnoses, repairs, compares. About half a minute.
///
/// # Errors
/// When the service does not come up or the generator cannot work.
pub(super) fn run(
    processors: &Processors,
    product: u64,
    progress: &Progress,
    interrupt: &Arc<AtomicBool>,
) -> Result<Cycle> {
    let dir = FreshDir::named("cycle")?;
    let (address, admin) = (free_address()?, free_address()?);
    let load = LoadConfig {
        url: format!("http://{address}/api/v1/products/{product}"),
        connections: CONNECTIONS,
        threads: processors.generator.len().max(1),
        duration: BLOCK,
        warmup: WarmUp::Fixed(WARMUP),
        cpus: Some(processors.generator.clone()),
        interrupt: Arc::clone(interrupt),
        ..LoadConfig::default()
    };
    let launch = |name: &str, options: &str| launch(name, options, (address, admin), &dir.0, processors);
    let mut planted = launch("one reader, no cache", "--readers {pool} --cache {cache}")?;
    let template = Template::new(&planted.command, [(Capacity::Pool, [1, 2])].into())?;
    planted.command = template.command(None);
    let repaired = launch("four readers, cache", "--readers 4")?;
    let plan = BlockPlan { load, dir: dir.0.clone(), interrupt: Arc::clone(interrupt), origin: clock::now() };
    let diagnosis = find((&planted, &template), &plan, admin, progress)?;
    ensure!(!interrupt.load(Relaxed), "interrupted");

    // What the repair is for. CPU is counted in hundredths of a second, too coarse for blocks as short as these.
    let gate = vec![Metric::Throughput, Metric::P50, Metric::P99, Metric::ErrorRate];
    let config = CompareConfig { pairs: 8, gate, ..CompareConfig::default() };
    let blocks = blocks::run(&plan, (&planted, &repaired), &config, &mut Recorder::new(), progress)?;
    let comparison = judge_pairs((&planted.name, &repaired.name), &blocks.pairs, &blocks.noise, &config);
    Ok(Cycle {
        planted: format!(
            "one connection to a database that is {AWAY_US} µs away (simulated: each read takes so much longer), and every page asks it"
        ),
        change: "--readers 4 --cache on; the database is as far away as before".into(),
        diagnosis,
        comparison,
    })
}

/// What the lab says of the service with the fault. Signals and profiles stay out of the demo's report.
fn find(
    (launch, template): (&Launch, &Template),
    plan: &BlockPlan,
    admin: SocketAddr,
    progress: &Progress,
) -> Result<Diagnosis> {
    let mut server = Some(Server::start(launch, &plan.load.url, &plan.dir.join("planted.log"))?);
    let phase = progress.phase("Diagnosing a planted fault");
    let config = DiagnoseConfig {
        load: plan.load.clone(),
        endpoint: Some(Endpoint { admin, token: None }),
        levels: vec![1, 8, CONNECTIONS],
        length: LEVEL,
        churn: false,
        ..DiagnoseConfig::default()
    };
    let mut watch = |step: Step<'_>| {
        if let Step::Part(name, share) = step {
            phase.at(share, name);
        }
    };
    let mut attempt = |findings: &[Finding]| {
        if let Some(before) = server.take() {
            before.stop();
        }
        template.attempt(launch, plan, findings, progress)
    };
    let mut diagnosis = diagnose_and_try(&config, &mut watch, &mut attempt)?;
    phase.done(&diagnosis.summary);
    (diagnosis.signals, diagnosis.profiles) = (None, Vec::new());
    Ok(diagnosis)
}

fn launch(
    name: &str,
    options: &str,
    (address, admin): (SocketAddr, SocketAddr),
    dir: &Path,
    processors: &Processors,
) -> Result<Launch> {
    let own = std::env::current_exe().context("cannot find this executable")?;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let cpus: Vec<String> = processors.service.iter().map(ToString::to_string).collect();
    Ok(Launch {
        name: name.to_owned(),
        // The shell becomes the service, so that it can be tied to this process.
        command: format!(
            "exec {} {SUBCOMMAND} --units 1000 --pay-timeout-ms 1000 --cpus {} --parent {} --listen {address} \
             --admin-listen {admin} --data-dir {} --database-away-us {AWAY_US} {options}",
            quoted(&own),
            cpus.join(","),
            std::process::id(),
            quoted(&dir.join("data")),
        ),
        env: BTreeMap::new(),
        dir: dir.to_owned(),
        cpus: processors.service.clone(),
    })
}

/// An address that nobody listens at. Another process may take it before the service does; the service says so then.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?)
}
