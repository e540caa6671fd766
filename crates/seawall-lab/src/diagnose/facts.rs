//! What the rules look at: levels of load with what generator, service and kernel showed at each. Plain numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::elasticity::Trial;
use super::model::ExperimentResult;
use crate::profile::Profile;
use crate::signals::window::{ThreadWindow, Window};

/// Everything that was seen in one diagnosis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Processors that the service may run on.
    pub cores: f64,
    /// Processors that its quota allows; none without a quota.
    pub quota: Option<f64>,
    /// Before any load.
    pub idle: Option<Window>,
    /// Rising concurrency on connections that stay open; at least one.
    pub levels: Vec<Level>,
    /// A connection of its own for each request.
    pub churn: Option<Level>,
    /// After the load.
    pub after: Option<Window>,
    /// Where the CPU went at the highest level.
    pub cpu_profile: Option<Profile>,
    /// Median latency without and with immediate acknowledgements, if it was tried.
    pub quick_ack: Option<ExperimentResult>,
    /// Capacities that were changed to see what moves.
    #[serde(default)]
    pub trials: Vec<Trial>,
}

/// One level of load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Such as "8 connections".
    pub name: String,
    /// Requests at once.
    pub connections: f64,
    /// What the generator saw.
    pub load: LoadFacts,
    /// What service and kernel showed; none without a process to look at.
    pub window: Option<Window>,
}

/// What the generator saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadFacts {
    /// Answers per second.
    pub rps: f64,
    /// Requests sent per second.
    pub sent_rps: f64,
    /// Mean latency, milliseconds.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Share of latencies from 36 to 55 ms: what a delayed acknowledgement costs.
    pub near_40_ms: f64,
    /// Mean time to make a connection, milliseconds; 0 where none was made.
    pub connect_mean_ms: f64,
    /// 99th percentile of it.
    pub connect_p99_ms: f64,
    /// Requests without an answer, of all sent.
    pub unanswered: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of one answer, head included.
    pub answer_bytes: f64,
    /// CPU of the generator, cores.
    pub generator_cores: f64,
    /// Why its numbers do not count; empty when they do.
    pub invalid: Vec<String>,
}

impl Level {
    /// Answers whose status fits, as a share of all answers.
    pub fn share_of_status(&self, fits: impl Fn(u16) -> bool) -> f64 {
        let all: u64 = self.load.statuses.values().sum();
        let fitting: u64 =
            self.load.statuses.iter().filter(|(status, _)| fits(**status)).map(|(_, n)| n).sum();
        if all == 0 { 0.0 } else { fitting as f64 / all as f64 }
    }

    /// CPU of the service per answer, milliseconds.
    pub fn demand_ms(&self) -> Option<f64> {
        let window = self.window.as_ref()?;
        (self.load.rps > 0.0).then(|| window.cpu() * 1e3 / self.load.rps)
    }

    /// Share of a request's time in which the service's threads neither ran nor wanted to.
    pub fn waiting_share(&self) -> Option<f64> {
        let window = self.window.as_ref()?;
        let (rps, mean_ms) = (self.load.rps, self.load.mean_ms);
        let wants_ms = window.wants_cpu() * 1e3 / rps;
        (mean_ms > 0.0 && rps > 0.0).then(|| (1.0 - wants_ms / mean_ms).clamp(0.0, 1.0))
    }
}

impl Facts {
    /// The lightest level.
    pub fn low(&self) -> Option<&Level> {
        self.levels.first()
    }

    /// The heaviest level.
    pub fn top(&self) -> Option<&Level> {
        self.levels.last()
    }

    /// The heaviest level and its window.
    pub fn top_window(&self) -> Option<(&Level, &Window)> {
        let top = self.top()?;
        Some((top, top.window.as_ref()?))
    }

    /// The level before the heaviest.
    pub fn previous(&self) -> Option<&Level> {
        self.levels.len().checked_sub(2).and_then(|i| self.levels.get(i))
    }

    /// All windows of the run.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        let levels = self.levels.iter().chain(&self.churn).filter_map(|level| level.window.as_ref());
        self.idle.iter().chain(levels).chain(&self.after)
    }

    /// Throughput stopped growing: the last step of concurrency gave less than a third of what it could.
    pub fn is_saturated(&self) -> bool {
        let (Some(previous), Some(top)) = (self.previous(), self.top()) else { return false };
        let ideal = top.connections / previous.connections.max(1.0);
        top.load.rps < previous.load.rps * (1.0 + (ideal - 1.0) / 3.0)
    }

    /// CPUs that the service can really use: its affinity, or less if its quota says so.
    pub fn usable_cores(&self) -> f64 {
        self.quota.map_or(self.cores, |quota| quota.min(self.cores)).max(0.01)
    }

    /// The service cannot get more CPU: it uses what it may, or the machine has none left while it wants some.
    pub fn is_cpu_pressed(&self) -> bool {
        let Some((_, window)) = self.top_window() else { return false };
        let uses_all = window.cpu() >= 0.85 * self.usable_cores();
        let none_left = window.machine_idle.is_some_and(|idle| idle < 0.12) && window.wants_cpu() >= 0.5;
        uses_all || none_left
    }

    /// Threads of the heaviest level that took part in the work.
    pub fn workers(&self) -> Vec<&ThreadWindow> {
        let takes_part = |thread: &&ThreadWindow| thread.voluntary > 0.5 || thread.wants_cpu() > 0.002;
        self.top_window().map_or(Vec::new(), |(_, window)| window.threads.iter().filter(takes_part).collect())
    }

    /// A thread that was seen to wait for events of many sockets: an event loop.
    pub fn is_loop(&self, tid: u32) -> bool {
        self.windows()
            .flat_map(|window| &window.threads)
            .any(|thread| thread.tid == tid && thread.events > 0.0)
    }

    /// A thread that was seen to wait for work with a time limit: one of a pool.
    pub fn was_pool_idle(&self, tid: u32) -> bool {
        self.windows()
            .flat_map(|window| &window.threads)
            .any(|thread| thread.tid == tid && thread.pool_idle > 0.0)
    }

    /// How many workers were in one state at the heaviest level, on average.
    pub fn in_state(&self, share: impl Fn(&ThreadWindow) -> f64) -> f64 {
        self.workers().into_iter().map(share).sum()
    }

    /// How many workers were not idle, on average.
    pub fn busy_threads(&self) -> f64 {
        self.in_state(|thread| thread.wants_cpu() + thread.blocked())
    }
}
