//! `seawall demo`: start the flash sale, find its knee, run the sale, check every promise, show it all in one report.
//!
//! The order of the phases is here; each phase is a module of its own. The service runs as a child process on one half
//! of the processors, the generator on the other, so that neither measures the other's scheduling.
//!
//! Exit codes: 0 all well, 1 the checker found a broken promise (or the run failed), 4 the sale phase was invalid, 130
//! interrupted.

pub(crate) mod clock;
mod cycle;
pub(crate) mod environment;
mod knee;
pub(crate) mod progress;
mod sale;
mod service;
mod summary;
pub(crate) mod sys;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flashsale::checker::{Database, Rules};
use seawall_lab::drive::Found;
use seawall_lab::report::{Cycle, Phase as Span, Report, Sale, html};
use seawall_lab::search::Slo;
use seawall_lab::signals::{self, Sampler, SamplerConfig, Series};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use environment::fact;
use knee::KneeConfig;
use progress::Progress;
use service::Service;
pub(crate) use service::{SUBCOMMAND, ServeArgs, serve};
use summary::Summary;

use crate::load::count;

/// The product that is for sale.
const HOT_PRODUCT: u64 = 1;
/// Units of it that one buyer may hold: flashsale's default.
const PER_USER_LIMIT: u64 = 1;
/// Time to pay, short so that units nobody pays for find another buyer while the demo is watched.
const PAY_TIMEOUT: Duration = sale::SHORT_PAY_TIMEOUT;
/// How long a sale usually takes, for the bar.
const SALE_USUALLY: Duration = Duration::from_secs(13);
/// How often the service's process is looked at: the kernel counts its CPU in hundredths of a second.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// The exit code after Ctrl-C, as of a process that SIGINT ended.
const INTERRUPTED: u8 = 130;
/// Where the report goes.
const REPORT: &str = "seawall-report.html";

/// Arguments of `seawall demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Seconds for finding the knee
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Buyers who come to the sale
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    users: u64,
    /// Units of the hot product
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    units: u64,
    /// Also write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out the shop as it begins, its diagnosis and its repair
    #[arg(long)]
    skip_cycle: bool,
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
}

/// Who runs where.
#[derive(Debug, Clone)]
struct Processors {
    service: Vec<usize>,
    generator: Vec<usize>,
}

/// What the phases measured.
struct Measured {
    found: Found,
    sale: sale::Outcome,
    series: Series,
    spans: Vec<Span>,
}

/// Runs the demo and says how the process should exit.
///
/// # Errors
/// When a phase could not be run at all. A broken promise and an invalid phase are results, not errors.
pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode> {
    let began = clock::now();
    let began_at = environment::utc(clock::since_epoch());
    let progress = Progress::new();
    let processors = share(&sys::allowed_cpus().context("cannot read which processors there are")?);
    sys::pin(&processors.generator).context("cannot pin the generator")?;

    let phase = progress.phase("Starting the service");
    let mut service = Service::start(args.units, PAY_TIMEOUT, &processors.service)?;
    phase.done(&format!("flashsale at {}, process {}", service.address, service.pid()));

    let interrupt = listen_for_interrupts().context("cannot listen for Ctrl-C")?;
    let measured = measure(args, &processors, &mut service, began, &progress, &interrupt);
    if interrupt.load(Relaxed) {
        progress::say("interrupted; nothing was written, and nothing is left behind");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let measured = measured?;

    let phase = progress.phase("Checking every promise");
    service.stop().context("cannot stop the service")?;
    let database = Database::read(&service.data_dir()).map_err(anyhow::Error::from_boxed)?;
    let rules = Rules { per_user_limit: PER_USER_LIMIT };
    let verified = verify::verify(&measured.sale.history, &database, &rules, HOT_PRODUCT);
    let kept = verified.checks.iter().filter(|check| check.pass).count();
    phase.done(&format!("{kept} of {} kept", verified.checks.len()));

    let cycle = if args.skip_cycle {
        None
    } else {
        match cycle::run(&processors, HOT_PRODUCT, &progress, &interrupt) {
            Err(_) if interrupt.load(Relaxed) => return Ok(ExitCode::from(INTERRUPTED)),
            cycle => Some(cycle?),
        }
    };
    let report = report(args, &processors, (measured, verified, cycle), began_at, began);
    let path = write(&report, Path::new(REPORT))?;
    let summary = Summary::of(&report, &path);
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&summary)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    progress::say("");
    summary.lines().iter().for_each(|line| progress::say(&format!("  {line}")));
    if args.open {
        open(&path);
    }
    Ok(ExitCode::from(summary.exit_code()))
}

/// The first Ctrl-C ends the phase under way, so that the service and its directory are cleared away; the second one
/// ends the process.
fn listen_for_interrupts() -> std::io::Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&interrupt))?;
        register(signal, Arc::clone(&interrupt))?;
    }
    Ok(interrupt)
}

/// One half of the processors for the service, the other for the generator; a single one is shared.
fn share(cpus: &[usize]) -> Processors {
    if cpus.len() < 2 {
        return Processors { service: cpus.to_vec(), generator: cpus.to_vec() };
    }
    // The first processors take most interrupts, and a late generator spoils a run more than a busy service does.
    let (service, generator) = cpus.split_at(cpus.len() / 2);
    Processors { service: service.to_vec(), generator: generator.to_vec() }
}

/// The knee, then the sale, with the service sampled throughout.
fn measure(
    args: &DemoArgs,
    processors: &Processors,
    service: &mut Service,
    began: Instant,
    progress: &Progress,
    interrupt: &Arc<AtomicBool>,
) -> Result<Measured> {
    let seconds = || clock::now().saturating_duration_since(began).as_secs_f64();
    let sampler = SamplerConfig {
        pid: service.pid(),
        admin: Some(service.admin),
        interval: SAMPLE_EVERY,
        ..SamplerConfig::default()
    };
    let sampler = Sampler::start(&sampler, began)?;
    let path = format!("/api/v1/products/{HOT_PRODUCT}");
    let config = KneeConfig {
        url: format!("http://{}{path}", service.address),
        target: format!("GET {path}"),
        seconds: args.seconds as f64,
        cpus: processors.generator.clone(),
        slo: Slo::default(),
        interrupt: Arc::clone(interrupt),
    };
    let mut spans = Vec::new();
    let start_s = seconds();
    let warm_rps = knee::warm(&config, progress)?;
    spans.push(Span { name: "warm-up".into(), start_s, end_s: seconds() });
    let found = knee::find(&config, warm_rps, began, progress)?;
    spans.extend(knee::span(&found.phase));
    service.check_alive()?;
    ensure!(!interrupt.load(Relaxed), "interrupted");

    let start_s = seconds();
    let sale = sell(args, processors, service, progress, interrupt)?;
    spans.push(Span { name: "sale".into(), start_s, end_s: seconds() });
    service.check_alive()?;
    Ok(Measured { found, sale, series: sampler.stop(), spans })
}

fn sell(
    args: &DemoArgs,
    processors: &Processors,
    service: &Service,
    progress: &Progress,
    interrupt: &Arc<AtomicBool>,
) -> Result<sale::Outcome> {
    let phase = progress.phase("Running the sale");
    let config = sale::SaleConfig {
        address: service.address,
        product: HOT_PRODUCT,
        buyers: args.users,
        pay_timeout: PAY_TIMEOUT,
        cpus: processors.generator.clone(),
        interrupt: Arc::clone(interrupt),
        ..sale::SaleConfig::default()
    };
    let expected_s = SALE_USUALLY.as_secs_f64();
    let outcome = sale::run_sale(&config, &mut |tick| {
        phase.at(
            tick.elapsed_s / expected_s,
            format!("{} requests, {}/s", count(tick.sent_total as f64), count(tick.rps)),
        );
    })?;
    let validity = if outcome.sale.validity.valid { "" } else { ", but the phase does not count" };
    let [buyers, requests] = [outcome.sale.buyers, outcome.sale.attempts].map(|number| count(number as f64));
    phase.done(&format!("{buyers} buyers, {requests} requests{validity}"));
    Ok(outcome)
}

fn report(
    args: &DemoArgs,
    processors: &Processors,
    (measured, verified, cycle): (Measured, verify::Verified, Option<Cycle>),
    generated_at: String,
    began: Instant,
) -> Report {
    let Measured { found: Found { mut phase, window }, sale, series, spans } = measured;
    if let (Some(at), Some((from, to, requests))) = (&mut phase.at_knee, window) {
        at.cost = signals::cost(&series.samples, from, to, requests);
        at.waiting = signals::waiting(&series, from, to);
    }
    let more = vec![
        fact("Durability", "SQLite, write-ahead log, one fsync per group of commits"),
        fact("Warm-up and knee", format!("{} s, {} probes", args.seconds, phase.probes.len())),
    ];
    Report {
        title: "Flash sale".into(),
        generated_at,
        generator: format!("seawall {}", env!("CARGO_PKG_VERSION")),
        command: command(args),
        duration_s: clock::now().saturating_duration_since(began).as_secs_f64(),
        slo: Slo::default(),
        knee: Some(phase),
        resources: Some(signals::resources(&series, processors.service.len() as f64, spans)),
        cycle,
        sale: Some(Sale {
            units_initial: verified.units_initial,
            units_sold: verified.units_sold,
            orders_acked: verified.acked,
            orders_confirmed: verified.confirmed,
            orders_rejected: verified.rejected,
            oversold: verified.oversold,
            lost: verified.lost,
            duplicated: verified.duplicated,
            ..sale.sale
        }),
        checks: verified.checks,
        environment: environment::facts(&processors.service, &processors.generator, more),
    }
}

/// The command line that repeats this run.
fn command(args: &DemoArgs) -> String {
    let DemoArgs { seconds, users, units, .. } = args;
    format!("cargo run --release -- demo --seconds {seconds} --users {users} --units {units}")
}

/// Writes the report and, beside it, its data as JSON; returns the report's whole path.
fn write(report: &Report, path: &Path) -> Result<PathBuf> {
    fs::write(path, html(report)).with_context(|| format!("cannot write {}", path.display()))?;
    let data = path.with_extension("json");
    fs::write(&data, serde_json::to_string(report)?)
        .with_context(|| format!("cannot write {}", data.display()))?;
    fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
}

/// Opens the report. That it could not be opened is worth a line, not a failure.
fn open(path: &Path) {
    let started = Command::new("xdg-open").arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !started.is_ok_and(|status| status.success()) {
        progress::say(&format!("  (no browser could be opened: open {} yourself)", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cpus: &[usize], service: &[usize], generator: &[usize]) {
        let shared = share(cpus);
        assert_eq!((shared.service.as_slice(), shared.generator.as_slice()), (service, generator));
    }
    #[test]
    fn two_processors_are_one_each() {
        check(&[0, 1], &[0], &[1]);
    }
    #[test]
    fn an_odd_processor_goes_to_the_generator() {
        check(&[0, 2, 5], &[0], &[2, 5]);
    }
    #[test]
    fn a_single_processor_is_shared() {
        check(&[3], &[3], &[3]);
    }
}
