//! The self-test: a moment of load on a server that does next to nothing, before a run. It says what this client can do
//! on this machine, and below which latency it cannot measure.
//!
//! The ceiling is computed from the CPU time that a request costs the client, not from the rate that was reached: the
//! sink may be slower than the client, or share its core.
//!
//! Left out: TLS, HTTP/2, WebSocket. Their requests cost more than those of the test.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::config::{LoadConfig, WarmUp};
use crate::error::LoadError;
use crate::load::Load;
use crate::report::{Mode, Report, round};
use crate::sink::{MAX_SINK_CONNECTIONS, Sink, SinkConfig};

/// What a self-test costs: half a second in all.
const WARMUP: Duration = Duration::from_millis(100);
const CEILING: Duration = Duration::from_millis(300);
const FLOOR: Duration = Duration::from_millis(100);
/// An open loop above this share of the ceiling has no reserve for a slow moment.
const RESERVE: f64 = 0.8;
/// A median below so many floors says as much about client and kernel as about the server.
const FLOORS: f64 = 3.0;

/// With what the run will be sent.
#[derive(Debug, Clone)]
pub struct SelfTestConfig {
    /// Connections of the run; no more than 1,000 are tested with.
    pub connections: usize,
    /// Generator threads of the run.
    pub threads: usize,
    /// Their CPUs, as in [`LoadConfig::cpus`].
    pub cpus: Option<Vec<usize>>,
    /// Ends the test early.
    pub interrupt: Arc<AtomicBool>,
}

/// What this client can do here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SelfTest {
    /// Requests per second that the threads could send, if they did nothing else and had a CPU each.
    pub ceiling_rps: f64,
    /// CPU time of a request in the client, in microseconds: HTTP/1.1 over loopback, small answers.
    pub cpu_us_per_request: f64,
    /// Median latency of one connection to a server that answers at once, in microseconds: what client and kernel need.
    pub floor_us: f64,
}

/// Takes half a second. Blocks.
///
/// # Errors
/// No sink could be started, or the generator could not work; a client that got no answer says so as well.
pub fn self_test(config: &SelfTestConfig) -> Result<SelfTest, LoadError> {
    let sink = Sink::start(&SinkConfig::default()).map_err(|source| LoadError::SelfTest { source })?;
    let run = |connections: usize, threads: usize, warmup: Duration, duration: Duration| {
        let load = LoadConfig {
            url: format!("http://{}/", sink.address()),
            connections,
            threads,
            duration,
            warmup: WarmUp::Fixed(warmup),
            cpus: config.cpus.clone(),
            interrupt: Arc::clone(&config.interrupt),
            ..LoadConfig::default()
        };
        Load::new(&load)?.run(&mut |_| {})
    };
    let connections = config.connections.clamp(1, MAX_TESTED.min(MAX_SINK_CONNECTIONS));
    let full = run(connections, config.threads, WARMUP, CEILING)?;
    let alone = run(1, 1, Duration::ZERO, FLOOR)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(SelfTest::of(&full, &alone, cpus))
}

/// Most connections of a test: making them must not take longer than the test.
const MAX_TESTED: usize = 1_000;

impl SelfTest {
    /// Of a closed loop as hard as it goes, and of one connection alone.
    fn of(full: &Report, alone: &Report, cpus: usize) -> Self {
        let threads = full.threads.min(cpus) as f64;
        let cost = full.cpu_us_per_request;
        let ceiling_rps = if cost > 0.0 { round(threads * 1e6 / cost, 1.0) } else { 0.0 };
        Self { ceiling_rps, cpu_us_per_request: cost, floor_us: alone.latency_us.p50 }
    }
}

impl Report {
    /// Puts a self-test into the report, and says what it means for this run.
    pub fn add_self_test(&mut self, test: SelfTest) {
        if self.mode == Mode::Open && test.ceiling_rps > 0.0 && self.offered_rps > test.ceiling_rps * RESERVE
        {
            self.notes.push(format!(
                "{:.0} requests/s were due, and the self-test says that this client can send {:.0} at most: add threads \
                 (-t) or machines",
                self.offered_rps, test.ceiling_rps
            ));
        }
        if self.requests > 0 && test.floor_us > 0.0 && self.service_us.p50 < test.floor_us * FLOORS {
            self.notes.push(format!(
                "a server that does nothing has a median of {:.0} us here: much of this run's {:.0} us is the client's \
                 and the kernel's own",
                test.floor_us, self.service_us.p50
            ));
        }
        self.self_test = Some(test);
    }
}
