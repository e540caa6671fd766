//! Collects stacks over a length of time: the CPU profile, the wall-clock profile, the off-CPU profile.
//!
//! | profile | how | else |
//! |---|---|---|
//! | CPU | the kernel samples each thread's time on a core, its own functions included (`perf_event_open`) | a timer on each thread's CPU clock, and the thread walks its own stack |
//! | off-CPU | the kernel notes each time a thread leaves its core, and each return | the wall-clock profile, without threads that want a core |
//! | wall | every thread is asked where it is, so many times a second | |
//!
//! New threads are looked for four times a second. Threads, samples and stacks have bounds; what does not fit is counted
//! in the profile's comments.

mod asked;
mod perf;
mod timers;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::stacks::{MOST_STACKS, Stacks};
use super::threads::{self, Thread};
use crate::clock;

pub(crate) use asked::{off_cpu as off_cpu_asked, wall};
pub(crate) use perf::off_cpu as off_cpu_events;

/// How the CPU profile is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CpuMethod {
    /// Performance events if the kernel allows them, timers else.
    #[default]
    Auto,
    /// Performance events: kernel frames too, and no signals. Needs root, CAP_PERFMON, or
    /// `kernel.perf_event_paranoid` of 1 or less.
    Perf,
    /// A timer and a signal per thread. Needs frame pointers; time in the kernel counts for the function that called.
    Timers,
}

/// How long, how often, and whether to stop early.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) length: Duration,
    pub(crate) hz: u32,
    pub(crate) stopped: &'a dyn Fn() -> bool,
}

/// What was collected.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Samples and nanoseconds of each stack.
    pub(crate) stacks: Stacks<2>,
    pub(crate) names: HashMap<u32, String>,
    pub(crate) length: Duration,
    /// Nanoseconds between samples, where there is such a number.
    pub(crate) period: i64,
    pub(crate) comments: Vec<String>,
}

/// The CPU profile.
///
/// # Errors
/// Why there can be none.
pub(crate) fn cpu(order: Order<'_>, method: CpuMethod) -> Result<Taken, String> {
    let events = match method {
        CpuMethod::Timers => Err("not asked for".to_owned()),
        CpuMethod::Auto | CpuMethod::Perf => perf::cpu(order),
    };
    match (events, method) {
        (Ok(taken), _) => Ok(taken),
        (Err(reason), CpuMethod::Perf) => Err(reason),
        (Err(events), CpuMethod::Auto | CpuMethod::Timers) => {
            timers::cpu(order, &events).map_err(|timers| format!("{events}; {timers}"))
        }
    }
}

/// Between two looks into the rings.
const TURN: Duration = Duration::from_millis(50);
/// Between two looks for new threads.
const RESCAN: Duration = Duration::from_millis(250);

/// What every way of collecting does over time.
struct Watch<'a> {
    order: Order<'a>,
    begun: Instant,
    scanned: Option<Instant>,
    stacks: Stacks<2>,
    names: HashMap<u32, String>,
    /// Samples that did not fit into a ring.
    lost: u64,
    /// Threads that could not be watched, at most so many at once.
    unwatched: usize,
}

impl<'a> Watch<'a> {
    fn new(order: Order<'a>) -> Self {
        Self {
            order,
            begun: clock::now(),
            scanned: None,
            stacks: Stacks::new(MOST_STACKS),
            names: HashMap::new(),
            lost: 0,
            unwatched: 0,
        }
    }

    /// Waits for the next look, `turn` away; false once the time is over.
    fn goes_on(&self, turn: Duration) -> bool {
        let left = self.order.length.saturating_sub(self.elapsed());
        if left.is_zero() || (self.order.stopped)() {
            return false;
        }
        clock::wait(turn.min(left));
        true
    }

    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.begun)
    }

    /// The threads there are, if it is time to look again.
    fn rescan(&mut self) -> Option<Vec<Thread>> {
        let now = clock::now();
        if self.scanned.is_some_and(|at| now.saturating_duration_since(at) < RESCAN) {
            return None;
        }
        self.scanned = Some(now);
        let threads = threads::list();
        for thread in &threads {
            // As many names as threads in the list; those that ended keep theirs, up to the same bound again.
            if self.names.len() < 2 * threads::MOST_THREADS {
                self.names.insert(thread.id, thread.name.clone());
            }
        }
        Some(threads)
    }

    fn taken(self, period: i64, how: String) -> Taken {
        let length = self.elapsed();
        let mut comments = vec![how];
        let mut count = |number: u64, what: &str| {
            if number > 0 {
                comments.push(format!("{number} {what}"));
            }
        };
        count(self.lost, "samples were lost: a ring was full");
        count(self.stacks.dropped, "samples were dropped: there were too many different stacks");
        count(self.unwatched as u64, "threads could not be watched");
        Taken { stacks: self.stacks, names: self.names, length, period, comments }
    }
}

/// Nanoseconds between samples.
fn period(hz: u32) -> i64 {
    1_000_000_000 / i64::from(hz.max(1))
}
