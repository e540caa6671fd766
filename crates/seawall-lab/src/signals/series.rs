//! What the lab saw over time, as plain data that a report can show. A missing signal is absent, never zero.

use serde::{Deserialize, Serialize};

/// How deep the lab could look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceLevel {
    /// Only what the generator saw from outside.
    L0,
    /// Also the process and the kernel: `/proc`, scheduler statistics, pressure, sockets.
    L1,
    /// Also where the CPU went: a profile by `perf`, or from the service's own `/debug/pprof`.
    L2,
}

/// All signals of one run. Times are seconds since the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalSeries {
    /// How deep the lab could look.
    pub evidence: EvidenceLevel,
    /// Processors that the service may use.
    pub cores: f64,
    /// Parts of the run by name ("idle", "8 connections"), to orient the eye.
    pub phases: Vec<PhaseSpan>,
    /// The USE table (utilisation, saturation, errors), one entry per resource that could be read.
    pub resources: Vec<ResourceSeries>,
    /// What each thread of the service did; the busiest, at most [`MAX_THREADS`].
    pub threads: Vec<ThreadSeries>,
    /// Gauges of the service's own signals endpoint, by path; empty without one.
    pub gauges: Vec<GaugeSeries>,
}

/// Threads kept in a [`SignalSeries`] at most.
pub const MAX_THREADS: usize = 32;

/// A named part of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSpan {
    /// A word or two.
    pub name: String,
    /// Begin, seconds.
    pub start_s: f64,
    /// End, seconds.
    pub end_s: f64,
}

/// One resource of the USE table over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceSeries {
    /// Which: "cpu", "hottest thread", "memory", "accept queue", "network", "open files", "cgroup", "generator".
    pub resource: String,
    /// How busy, 0 to 1 of what there is; empty if unknown.
    pub utilisation: Vec<(f64, f64)>,
    /// How much waited, 0 when nothing did; its unit is in `saturation_unit`. Empty if unknown.
    pub saturation: Vec<(f64, f64)>,
    /// Such as "share of time waiting for a CPU".
    pub saturation_unit: String,
    /// Errors per second; empty if unknown.
    pub errors: Vec<(f64, f64)>,
    /// Such as "listen overflows per second".
    pub errors_unit: String,
}

/// What a thread did between two samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThreadSeries {
    /// The kernel's number of the process.
    pub pid: u32,
    /// The kernel's number of the thread.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// In rising order of time.
    pub points: Vec<ThreadPoint>,
}

/// Shares of the time since the point before, 0 to 1. `running` and `run_delay` come from the scheduler's own clocks,
/// the rest from looking at the thread many times a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ThreadPoint {
    /// Seconds.
    pub t_s: f64,
    /// On a CPU.
    pub running: f64,
    /// Ready to run, without a CPU.
    pub run_delay: f64,
    /// Waiting for a lock.
    pub lock: f64,
    /// In a sleep of its own making.
    pub sleep: f64,
    /// In a blocking read, write or connect, or in an uninterruptible wait for a disk.
    pub io: f64,
    /// Waiting for work: epoll, a condition variable, accept.
    pub idle: f64,
}

/// A gauge of the service's signals endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaugeSeries {
    /// Its path, such as `queues.orders.depth`.
    pub name: String,
    /// Seconds, value.
    pub points: Vec<(f64, f64)>,
}
