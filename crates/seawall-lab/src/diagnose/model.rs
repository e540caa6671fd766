//! What a diagnosis says, as plain data that a report can show.

use serde::{Deserialize, Serialize};

use crate::laws::little::LittleCheck;
use crate::laws::utilisation::CpuCeiling;
use crate::profile::{Frame, Profile};
use crate::signals::series::{EvidenceLevel, SignalSeries};

/// What the lab found out about a service under load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The request that was sent.
    pub target: String,
    /// How deep the lab could look.
    pub evidence: EvidenceLevel,
    /// What it could not look at, and the command that would change that.
    pub missing: Vec<String>,
    /// All in one word.
    pub verdict: Verdict,
    /// All in one sentence.
    pub summary: String,
    /// Causes, the most likely first. Limits (a busy CPU) are in here too; see [`Finding::severity`].
    pub findings: Vec<Finding>,
    /// What stands between the numbers and the truth: a generator on the same CPUs, a neighbour, a short run.
    pub caveats: Vec<String>,
    /// The levels of load, in the order made.
    pub levels: Vec<LevelSummary>,
    /// Little's law, per level.
    pub little: Vec<LittleCheck>,
    /// What the CPU would allow; none without a process to look at.
    pub ceiling: Option<CpuCeiling>,
    /// The signals over time; none without a process to look at.
    pub signals: Option<SignalSeries>,
    /// Profiles taken under load.
    pub profiles: Vec<Profile>,
}

/// A diagnosis in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No defect was found: it served what was sent, or its limit is the CPU it was given.
    Healthy,
    /// At least one defect explains what it does not do.
    Defect,
    /// It is slow or it stops growing, and nothing the lab can see explains it.
    Unexplained,
    /// The generator was the limit, so that nothing can be said.
    Invalid,
}

/// A cause, by its stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A quota of the cgroup stops the service for parts of each period.
    CpuThrottled,
    /// The service uses all the CPU it can get.
    CpuBound,
    /// A program with one thread uses its one CPU.
    SingleThreaded,
    /// One of several threads is busy all the time, the others wait for it.
    HotThread,
    /// Much of the CPU goes into allocating and freeing memory.
    Allocation,
    /// Much of the CPU, or the time, goes into writing a log.
    Logging,
    /// Threads wait for one another's lock.
    LockContention,
    /// Threads wait for locks that are never given back.
    Deadlock,
    /// Threads that should serve many requests are held by one that sleeps or blocks.
    BlockingInAsync,
    /// All threads of a pool are taken, and work waits for one.
    BlockingPool,
    /// All connections of a pool are taken, and requests wait for one.
    PoolStarvation,
    /// The service waits for another service.
    Downstream,
    /// The service refuses on purpose: a limit, a breaker.
    OwnProtection,
    /// Connections are not taken off the kernel's queue fast enough, or the queue is too short.
    AcceptOverflow,
    /// Small pieces wait for an acknowledgement that the other side delays (Nagle and delayed ACK).
    NagleDelayedAck,
    /// Segments are lost and sent again.
    Retransmits,
    /// Memory is short: pressure, major faults, swap.
    MemoryPressure,
    /// Memory grows with every request.
    MemoryGrowth,
    /// The open-file limit is near or reached.
    OpenFiles,
    /// Connections are made anew all the time.
    ConnectionChurn,
    /// The service answers with errors.
    Errors,
    /// Threads wait for a disk.
    Disk,
    /// Requests take long while every thread of the service waits: a timer, or something that cannot be seen.
    HiddenWait,
}

/// What kind of finding it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// No defect: the resource that ends the growth, which every service has.
    Limit,
    /// Worth knowing; it does not explain what is slow.
    Notice,
    /// It explains lost throughput or added latency, and it can be changed.
    Defect,
}

/// One ranked cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub cause: Cause,
    /// What kind.
    pub severity: Severity,
    /// A few words, for a heading.
    pub title: String,
    /// What happens, in one or two sentences with the numbers in it.
    pub sentence: String,
    /// `share` x `confidence`; the order of findings of one severity.
    pub score: f64,
    /// Part of the added latency or lost throughput that it explains, 0 to 1.
    pub share: f64,
    /// How sure the rule is, 0 to 1.
    pub confidence: f64,
    /// The numbers that the rule looked at.
    pub numbers: Vec<Number>,
    /// Where each comes from, to look for oneself: files, counters, thread names, addresses.
    pub evidence: Vec<String>,
    /// Functions of the profile that belong to it, hottest first.
    pub frames: Vec<Frame>,
    /// What to change.
    pub change: String,
    /// What would prove it.
    pub experiment: Experiment,
}

/// A number with its name, its unit, and the value from which on the rule takes notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// Such as "threads waiting for a lock".
    pub name: String,
    /// The value.
    pub value: f64,
    /// "ms", "share", "per second", "threads"; empty for a plain number.
    pub unit: String,
    /// The rule takes notice from here; none where the number only explains.
    pub threshold: Option<f64>,
}

/// A change of one thing that shows whether the cause is the right one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// What to do and what should follow, one sentence.
    pub what: String,
    /// The command, where there is one.
    pub command: Option<String>,
    /// What came of it, if the lab could run it by itself.
    pub result: Option<ExperimentResult>,
    /// What came of further ones: other changes that the cause would have help.
    #[serde(default)]
    pub others: Vec<ExperimentResult>,
}

/// The outcome of an experiment that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentResult {
    /// What was measured, such as "median latency".
    pub measured: String,
    /// Its unit.
    pub unit: String,
    /// Without the change.
    pub before: f64,
    /// With it.
    pub after: f64,
    /// Relative change of what was measured divided by the relative change of what was changed
    /// (`ln(after / before) / ln(changed by)`); none where the change is not a number.
    pub elasticity: Option<f64>,
    /// It moved as the cause predicts.
    pub confirmed: bool,
}

/// One level of load and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelSummary {
    /// Such as "8 connections" or "new connections".
    pub name: String,
    /// Connections, as many requests at once.
    pub connections: u32,
    /// Begin, seconds since the run began.
    pub start_s: f64,
    /// Begin of the measurement.
    pub measured_from_s: f64,
    /// End.
    pub end_s: f64,
    /// Answers per second.
    pub rps: f64,
    /// Median latency, milliseconds; none without an answer.
    pub p50_ms: Option<f64>,
    /// 99th percentile, milliseconds.
    pub p99_ms: Option<f64>,
    /// Mean, milliseconds.
    pub mean_ms: Option<f64>,
    /// Failed share, 0 to 1.
    pub error_rate: f64,
    /// The service's CPU in cores; none without a process to look at.
    pub cpu_cores: Option<f64>,
    /// Why the level's numbers do not count; empty when they do.
    pub invalid: Vec<String>,
}
