//! What a report of the lab shows, as plain data. The JSON beside the HTML file is exactly this.
//!
//! Times are seconds since the run began. What was not collected says why ([`Collected::Missing`]), and the page says it too.

use serde::{Deserialize, Serialize};

use crate::artifact::Scale;
use crate::compare::{Comparison, SignalPair};
use crate::diagnose::Diagnosis;
use crate::profile::Profile;
use crate::report::{Fact, LoadPoint, Phase, Quantile, Validity};
use crate::search::KneeInterval;
use crate::signals::series::{EvidenceLevel, SignalSeries};

/// A part of the report, or why it is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collected<T> {
    /// It was collected.
    Data(T),
    /// It was not, for this reason: a sentence without its full stop.
    Missing(String),
}

impl<T> Collected<T> {
    /// `None` becomes the reason.
    pub fn or(data: Option<T>, why: impl Into<String>) -> Self {
        data.map_or_else(|| Self::Missing(why.into()), Self::Data)
    }

    /// The data, if it was collected.
    pub fn data(&self) -> Option<&T> {
        match self {
            Self::Data(data) => Some(data),
            Self::Missing(_) => None,
        }
    }
}

/// One run of the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabReport {
    /// What was tested, for the page's title.
    pub title: String,
    /// Which command made it: "compare", "cycle", "diagnose", "find-max".
    pub kind: String,
    /// The request that was sent.
    pub target: String,
    /// When the run began, ready to print, in UTC.
    pub generated_at: String,
    /// Program and version that made the report.
    pub generator: String,
    /// The command line that repeats the run.
    pub command: String,
    /// Wall time of the whole run, seconds.
    pub duration_s: f64,
    /// The result in one sentence.
    pub headline: String,
    /// How the result is to be felt.
    pub mood: Mood,
    /// Whether the generator was fit to measure.
    pub validity: Validity,
    /// The objectives and what became of them.
    pub objectives: Vec<Objective>,
    /// How deep the lab could look, if it looked into the service.
    pub evidence: Option<EvidenceLevel>,
    /// What it could not look at, and what would change that.
    pub missing: Vec<String>,
    /// The run's parts, to orient the eye.
    pub phases: Vec<Phase>,
    /// Offered and answered load over time.
    pub load: Collected<Vec<LoadPoint>>,
    /// All latencies over time.
    pub heat: Collected<Vec<HeatColumn>>,
    /// Percentile curves, one per build or level.
    pub spectrum: Collected<Vec<Spectrum>>,
    /// The knee.
    pub knee: Collected<KneeInterval>,
    /// Throughput against concurrency.
    pub scale: Collected<Scale>,
    /// Where the time of a request goes.
    pub waterfall: Collected<Vec<Waterfall>>,
    /// Resources, threads and gauges over time.
    pub signals: Collected<SignalSeries>,
    /// Resources, threads and gauges of two builds that took turns, one entry per comparison.
    #[serde(default)]
    pub sides: Vec<SignalPair>,
    /// Profiles, each with what it shows.
    pub profiles: Collected<Vec<NamedProfile>>,
    /// Two profiles against each other.
    pub differences: Collected<Vec<ProfilePair>>,
    /// Distributions seen by the kernel.
    pub kernel: Collected<Vec<KernelHistogram>>,
    /// Ranked causes.
    pub diagnosis: Collected<Diagnosis>,
    /// Builds against each other.
    pub comparisons: Collected<Vec<Comparison>>,
    /// What was asked, by name.
    pub endpoints: Vec<Endpoint>,
    /// Errors by class.
    pub errors: Vec<ErrorCount>,
    /// How the run was set up.
    pub settings: Vec<Fact>,
    /// Machine and versions.
    pub environment: Vec<Fact>,
}

/// How a result is to be felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// As it should be.
    Good,
    /// Nothing is proven, or not all of it counts.
    Unsure,
    /// Something is wrong with the service.
    Bad,
}

/// An objective and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// As it was given: `p99<50ms`.
    pub text: String,
    /// What was measured, ready to print.
    pub measured: String,
    /// It was met.
    pub met: bool,
}

/// Latencies of one short time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeatColumn {
    /// Begin.
    pub t_s: f64,
    /// Length.
    pub length_s: f64,
    /// It belongs to a warm-up and does not count.
    pub warmup: bool,
    /// Median, milliseconds; none without an answer.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// Cell and count: cell `i` holds latencies from `2^(i / 8)` nanoseconds up to the next cell's.
    pub cells: Vec<(u32, u64)>,
}

/// The percentile curves of one build or level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// Which.
    pub name: String,
    /// From the intended send time.
    pub intended: Vec<Quantile>,
    /// From the real send time; empty where it is the same.
    pub service: Vec<Quantile>,
}

/// Where the mean time of a request goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waterfall {
    /// Which level or build.
    pub name: String,
    /// The mean time, milliseconds.
    pub total_ms: f64,
    /// Its stages in order; they sum to the total.
    pub stages: Vec<StageTime>,
}

/// One stage of a waterfall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// Which.
    pub stage: WaterStage,
    /// Milliseconds.
    pub ms: f64,
}

/// The stages of a request's time, in the order it passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaterStage {
    /// The generator was late itself.
    ClientLag,
    /// It was due and every connection was busy.
    ClientQueue,
    /// Making a connection.
    Connect,
    /// A thread of the service could run and had no CPU.
    RunDelay,
    /// A thread of the service ran.
    Cpu,
    /// A thread waited for a lock.
    Lock,
    /// A thread was in a blocking call.
    Io,
    /// A thread slept.
    Sleep,
    /// No thread of the service worked on it: the kernel's queues, the network, a pool, another service.
    Elsewhere,
}

/// A profile and what it shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedProfile {
    /// Such as "CPU, 64 connections".
    pub name: String,
    /// The profile.
    pub profile: Profile,
}

/// Two profiles of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfilePair {
    /// Such as "CPU, below and above the knee".
    pub name: String,
    /// What `before` is.
    pub before_name: String,
    /// What `after` is.
    pub after_name: String,
    /// The one that is the measure.
    pub before: Profile,
    /// The one that is drawn.
    pub after: Profile,
}

/// A distribution seen by the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelHistogram {
    /// Such as "Time waiting for a CPU".
    pub title: String,
    /// Where it comes from.
    pub about: String,
    /// Name and count of each bucket, in order.
    pub buckets: Vec<(String, u64)>,
}

/// What was asked under one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Method and path, or a label.
    pub name: String,
    /// Answers.
    pub requests: u64,
    /// Answers per second.
    pub rps: f64,
    /// Failed share, 0 to 1.
    pub error_rate: f64,
    /// Median, milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// The largest.
    pub max_ms: Option<f64>,
}

/// Errors of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// Its stable name, such as `connect_refused` or `status_5xx`.
    pub class: String,
    /// During which part of the run.
    pub during: String,
    /// How many.
    pub count: u64,
}
