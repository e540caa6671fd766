//! What a report shows, as plain data. The JSON beside the HTML file, and inside it, is exactly this.
//!
//! Times are seconds since the run began unless a field says otherwise. A missing measurement is `None`, never zero.

use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::diagnose::Diagnosis;
use crate::search::{Ending, Judgement, Slo, Stage};

/// One run: the knee, the sale, the checks, and where it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was tested, for the page's title.
    pub title: String,
    /// When the run began, ready to print, in UTC.
    pub generated_at: String,
    /// Program and version that made the report.
    pub generator: String,
    /// The command line that repeats the run.
    pub command: String,
    /// Wall time of the whole run, seconds.
    pub duration_s: f64,
    /// The objective that defines the knee.
    pub slo: Slo,
    /// The search for the knee, if it was made.
    pub knee: Option<KneePhase>,
    /// What the service's process used over the run, if it was sampled.
    pub resources: Option<Resources>,
    /// The sale, if it was run.
    pub sale: Option<Sale>,
    /// A planted fault, found and repaired, if that was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// What the checker found. Empty when nothing was checked.
    pub checks: Vec<Check>,
    /// Machine, versions and settings, in the order to show.
    pub environment: Vec<Fact>,
}

/// One turn of the cycle: what was planted, what the lab found, and what the repair gains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    /// What was planted, in words.
    pub planted: String,
    /// What was changed then, in words.
    pub change: String,
    /// What the lab said of the service with the fault; without its signals and profiles.
    pub diagnosis: Diagnosis,
    /// The service with the fault against the one without.
    pub comparison: Comparison,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value, ready to print.
    pub value: String,
}

/// Whether a phase's numbers count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// True when they do.
    pub valid: bool,
    /// Why they do not; empty when they do.
    pub reasons: Vec<String>,
}

/// The search for the knee.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KneePhase {
    /// The request that was sent.
    pub target: String,
    /// Highest rate that passed.
    pub lo_rps: Option<f64>,
    /// Lowest rate that failed; `None` means that `lo_rps` is only a lower bound.
    pub hi_rps: Option<f64>,
    /// How the search ended.
    pub ending: Ending,
    /// How often the whole phase was run until it was valid (or given up).
    pub attempts: u32,
    /// Whether the phase counts.
    pub validity: Validity,
    /// All probes, in the order made.
    pub probes: Vec<Probe>,
    /// The load over time, one point per tick of the generator.
    pub timeline: Vec<LoadPoint>,
    /// What was measured at the knee itself.
    pub at_knee: Option<AtKnee>,
}

/// One probe of the search: a window of time at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Begin, seconds.
    pub start_s: f64,
    /// Until here the probe was warming up and nothing counted, seconds.
    pub measured_from_s: f64,
    /// End, seconds.
    pub end_s: f64,
    /// Why this rate was tried.
    pub stage: Stage,
    /// Requests per second offered.
    pub offered_rps: f64,
    /// Requests per second answered.
    pub achieved_rps: f64,
    /// Median latency from the intended send time, milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile, milliseconds.
    pub p99_ms: Option<f64>,
    /// Failed share, 0 to 1.
    pub error_rate: f64,
    /// The verdict.
    pub judgement: Judgement,
    /// What broke, in words.
    pub reasons: Vec<String>,
}

/// The generator's numbers over one tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// Begin of the tick, seconds.
    pub t_s: f64,
    /// Length of the tick, seconds.
    pub length_s: f64,
    /// Requests per second offered.
    pub offered_rps: f64,
    /// Requests per second answered.
    pub achieved_rps: f64,
    /// Failures per second.
    pub errors_per_s: f64,
    /// Median latency from the intended send time, milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile, milliseconds.
    pub p99_ms: Option<f64>,
    /// True while the tick belongs to a warm-up and does not count.
    pub warmup: bool,
}

/// A latency at a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// 0 to less than 1: 0.99 is the 99th percentile.
    pub q: f64,
    /// Milliseconds.
    pub ms: f64,
}

/// What the service showed and cost at the knee.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtKnee {
    /// Requests per second answered while this was measured.
    pub rps: f64,
    /// Latency from the intended send time.
    pub intended: Vec<Quantile>,
    /// Latency from the real send time.
    pub service: Vec<Quantile>,
    /// What a request cost.
    pub cost: Option<Cost>,
    /// What waited inside the service meanwhile.
    pub waiting: Vec<Waiting>,
}

/// A queue's depth or a pool's waiters over a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which queue or pool.
    pub name: String,
    /// Mean over the samples.
    pub mean: f64,
    /// Largest sample.
    pub max: f64,
}

impl AtKnee {
    /// The intended latency at the recorded quantile nearest to `q`.
    pub fn intended_ms(&self, q: f64) -> Option<f64> {
        nearest(&self.intended, q)
    }
}

/// The value at the recorded quantile nearest to `q`.
pub(crate) fn nearest(curve: &[Quantile], q: f64) -> Option<f64> {
    curve.iter().min_by(|a, b| (a.q - q).abs().total_cmp(&(b.q - q).abs())).map(|point| point.ms)
}

/// What one request cost the service's process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// User CPU, microseconds per request.
    pub cpu_user_us: f64,
    /// Kernel CPU, microseconds per request.
    pub cpu_sys_us: f64,
    /// Voluntary context switches per request.
    pub voluntary_switches: f64,
    /// Involuntary context switches per request.
    pub involuntary_switches: f64,
    /// Largest resident memory seen, bytes.
    pub rss_bytes: u64,
    /// The generator's own CPU, microseconds per request, if known.
    pub generator_cpu_us: Option<f64>,
}

/// What the service's process used over the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processors the service may run on.
    pub cores: f64,
    /// The phases of the run, to orient the eye.
    pub phases: Vec<Phase>,
    /// Samples in rising order of time.
    pub samples: Vec<ResourcePoint>,
    /// Queue depths, one series each.
    pub queues: Vec<Gauge>,
    /// Tasks waiting for a pooled resource, one series each.
    pub pool_waiters: Vec<Gauge>,
}

/// A named part of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// A word or two.
    pub name: String,
    /// Begin, seconds.
    pub start_s: f64,
    /// End, seconds.
    pub end_s: f64,
}

/// What a process used between the sample before and this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourcePoint {
    /// Seconds.
    pub t_s: f64,
    /// User CPU, in cores.
    pub cpu_user: f64,
    /// Kernel CPU, in cores.
    pub cpu_sys: f64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Voluntary context switches per second.
    pub voluntary_per_s: f64,
    /// Involuntary context switches per second.
    pub involuntary_per_s: f64,
    /// Threads.
    pub threads: u32,
    /// Open file descriptors, if readable.
    pub open_fds: Option<u32>,
}

/// A value over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gauge {
    /// Its name.
    pub name: String,
    /// Time in seconds, value.
    pub points: Vec<(f64, f64)>,
}

/// The sale. Its times count from the moment it opens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    /// Buyers who came.
    pub buyers: u64,
    /// Units for sale.
    pub units_initial: u64,
    /// Units sold, by the final database.
    pub units_sold: u64,
    /// Orders acknowledged to a client.
    pub orders_acked: u64,
    /// Acknowledged orders that ended confirmed.
    pub orders_confirmed: u64,
    /// Acknowledged orders that ended rejected.
    pub orders_rejected: u64,
    /// Units sold beyond the stock.
    pub oversold: u64,
    /// Acknowledged orders that are gone.
    pub lost: u64,
    /// Orders deducted more than once.
    pub duplicated: u64,
    /// Requests sent, retries included.
    pub attempts: u64,
    /// (5xx + transport errors - deliberate 503) / attempts, 0 to 1.
    pub error_rate: f64,
    /// Deliberate refusals (429, 503) / attempts, 0 to 1.
    pub refused_rate: f64,
    /// Whether the phase counts.
    pub validity: Validity,
    /// Seconds from the opening until the last unit was taken.
    pub sold_out_after_s: Option<f64>,
    /// Seconds from the opening until every order was final.
    pub settled_after_s: Option<f64>,
    /// Length of one entry of `timeline`, seconds.
    pub bucket_s: f64,
    /// What happened over time.
    pub timeline: Vec<SalePoint>,
    /// Latency of the order request, acknowledged orders only, from the intended send time.
    pub ack_latency: Vec<Quantile>,
    /// Time from the buyer's first try to the final answer.
    pub final_latency: Vec<Quantile>,
}

/// One bucket of the sale. Counts, not rates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SalePoint {
    /// Begin of the bucket, seconds since the opening.
    pub t_s: f64,
    /// Buyers who arrived.
    pub arrivals: u64,
    /// Orders acknowledged (202).
    pub acked: u64,
    /// Answers "sold out".
    pub sold_out: u64,
    /// Deliberate refusals, to be retried (429, 503).
    pub refused: u64,
    /// Anything else that failed.
    pub errors: u64,
    /// Units left at the bucket's end, if known.
    pub stock_left: Option<u64>,
}

/// One promise, and whether it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its stable name, as in the JSON.
    pub name: String,
    /// Whether it held.
    pub pass: bool,
    /// What it means, one sentence.
    pub meaning: String,
    /// What was found: counts, or the first violations.
    pub detail: String,
}
