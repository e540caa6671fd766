//! Finds workers that do not let go: a handler that computes for long, or waits in a way that the runtime cannot see.
//!
//! Each worker has a task that answers when it is asked. The server's main thread asks, and only who has requests in
//! flight: requests pay nothing for it. A task that answers late was not polled, and no socket was read meanwhile. The
//! time counts in which the watchdog itself ran: a machine that stood still makes nobody stuck.
//!
//! Only a server with runtimes of its own has one; inside a given runtime there is no thread to watch from.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seawall_core::metrics::{Counter, Gauge, Registry};
use seawall_core::stacks;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;

/// Between two looks, unless stuck is shorter than that.
const EVERY: Duration = Duration::from_millis(50);

/// What a worker and the watchdog share.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The number of the last question, and of the last one that was answered.
    asked: AtomicU64,
    answered: AtomicU64,
    /// When that was, in nanoseconds after `base`.
    answered_at: AtomicU64,
    base: Instant,
    /// The kernel's number of the worker's thread; 0 before it runs.
    thread: AtomicU32,
    ended: AtomicBool,
    question: Notify,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            answered_at: AtomicU64::new(0),
            base: clock::now(),
            thread: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            question: Notify::new(),
        }
    }

    /// Answers for as long as it is polled: a task of the worker. Whoever drops it is not asked any more.
    pub(super) async fn answer(self: Arc<Self>) -> Infallible {
        let _ended = Ended(&self);
        let thread = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        self.thread.store(thread, Ordering::Relaxed);
        loop {
            self.question.notified().await;
            let asked = self.asked.load(Ordering::Acquire);
            let passed = clock::now().saturating_duration_since(self.base);
            self.answered_at.store(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.answered.store(asked, Ordering::Release);
        }
    }

    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Release);
        self.question.notify_one();
    }

    /// When the last question was answered, if it was.
    fn answer_to_last(&self) -> Option<Instant> {
        let answered = self.answered.load(Ordering::Acquire) == self.asked.load(Ordering::Relaxed);
        answered.then(|| self.base + Duration::from_nanos(self.answered_at.load(Ordering::Relaxed)))
    }
}

struct Ended<'p>(&'p Pulse);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// What is known of one worker's answers. Pure.
#[derive(Debug, Default)]
struct Patience(Option<Asked>);

#[derive(Debug)]
struct Asked {
    at: Instant,
    last_look: Instant,
    /// The time that the watchdog has seen pass.
    waited: Duration,
    told: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It has not answered for so long.
    Stuck(Duration),
    /// It answers again, after so long.
    Free(Duration),
}

impl Patience {
    /// Whether there is no question that is open.
    fn may_ask(&self) -> bool {
        self.0.is_none()
    }

    fn asked(&mut self, now: Instant) {
        self.0 = Some(Asked { at: now, last_look: now, waited: Duration::ZERO, told: false });
    }

    /// A look, `every` so often; `answered` says when the open question was.
    fn look(&mut self, now: Instant, answered: Option<Instant>, limits: &Limits) -> Option<Found> {
        let asked = self.0.as_mut()?;
        if let Some(at) = answered {
            let (told, total) = (asked.told, at.saturating_duration_since(asked.at));
            self.0 = None;
            return told.then_some(Found::Free(total));
        }
        // If more has passed than usual, the watchdog did not run either.
        let since = now.saturating_duration_since(asked.last_look).min(limits.every);
        asked.waited += since;
        asked.last_look = now;
        let stuck = !asked.told && asked.waited >= limits.stuck_after;
        asked.told |= stuck;
        stuck.then(|| Found::Stuck(now.saturating_duration_since(asked.at)))
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    every: Duration,
    stuck_after: Duration,
}

/// One worker, as the watchdog sees it.
pub(super) struct Watched {
    worker: usize,
    pulse: Arc<Pulse>,
    in_flight: Gauge,
    patience: Patience,
    stuck: Counter,
}

impl Watched {
    pub(super) fn new(worker: usize, pulse: &Arc<Pulse>, in_flight: &Gauge, registry: &Registry) -> Self {
        let name = worker.to_string();
        let stuck = registry.counter(
            "seawall_worker_stuck_total",
            "Times that a worker did not let go for longer than `stuck_after`.",
            &[("worker", &name)],
        );
        let (pulse, in_flight) = (Arc::clone(pulse), in_flight.clone());
        Self { worker, pulse, in_flight, patience: Patience::default(), stuck }
    }

    async fn look(&mut self, limits: &Limits) {
        if self.pulse.ended.load(Ordering::Relaxed) {
            return;
        }
        match self.patience.look(clock::now(), self.pulse.answer_to_last(), limits) {
            Some(Found::Stuck(time)) => {
                self.stuck.inc();
                let stack = stack_of(self.pulse.thread.load(Ordering::Relaxed)).await;
                let (worker, stuck_ms) = (self.worker, millis(time));
                tracing::error!(
                    worker,
                    stuck_ms,
                    stack,
                    "a worker is stuck: a handler does not let go of it"
                );
            }
            Some(Found::Free(time)) => {
                let (worker, stuck_ms) = (self.worker, millis(time));
                tracing::warn!(worker, stuck_ms, "a worker that was stuck answers again");
            }
            None => {}
        }
        if self.patience.may_ask() && self.in_flight.value() > 0 {
            self.patience.asked(clock::now());
            self.pulse.ask();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Where a thread is, in a line.
async fn stack_of(thread: u32) -> String {
    let Some(take) = stacks::provider() else {
        return "not known: seawall-observe takes stacks, once its Admin runs or `provide_stacks` was called"
            .to_owned();
    };
    // It reads files, and waits for the thread: not on the thread that watches the others.
    let stack = spawn_blocking(move || take(thread)).await.ok().flatten();
    stack.unwrap_or_else(|| "not known: the thread did not answer".to_owned())
}

/// Watches for as long as it is polled.
pub(super) async fn watch(mut workers: Vec<Watched>, stuck_after: Duration) -> Infallible {
    let limits = Limits { every: EVERY.min(stuck_after / 2), stuck_after };
    let mut looks = interval(limits.every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        for worker in &mut workers {
            worker.look(&limits).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Looks at these times; `!` says that the question of time 0 was answered at that time. What was found.
    #[track_caller]
    fn check(looks: &[u32], answered: Option<u32>, expected: &[(u32, Found)]) {
        let limits = Limits { every: 50 * MS, stuck_after: 100 * MS };
        let (start, mut patience) = (clock::now(), Patience::default());
        patience.asked(start);
        let mut found = Vec::new();
        for &at in looks {
            let answer = answered.filter(|answered| *answered <= at).map(|answered| start + MS * answered);
            found.extend(patience.look(start + MS * at, answer, &limits).map(|news| (at, news)));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn who_answers_in_time_is_not_stuck() {
        check(&[50, 100], Some(60), &[]);
    }
    #[test]
    fn who_does_not_is_told_once_and_again_when_it_is_over() {
        let expected = [(100, Found::Stuck(100 * MS)), (250, Found::Free(230 * MS))];
        check(&[50, 100, 150, 200, 250, 300], Some(230), &expected);
    }
    #[test]
    fn a_machine_that_stood_still_makes_nobody_stuck() {
        check(&[40, 5_000, 5_050], Some(5_010), &[]);
        check(&[40, 5_000, 5_050], None, &[(5_050, Found::Stuck(5_050 * MS))]);
    }
    #[test]
    fn nobody_is_asked_twice_at_once() {
        let mut patience = Patience::default();
        assert!(patience.may_ask());
        patience.asked(clock::now());
        assert!(!patience.may_ask());
    }

    #[test]
    fn a_task_answers_what_it_is_asked_and_says_when_it_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pulse = Arc::new(Pulse::new());
            let task = tokio::spawn(Arc::clone(&pulse).answer());
            pulse.ask();
            assert!(pulse.answer_to_last().is_none());
            while pulse.answer_to_last().is_none() {
                tokio::task::yield_now().await;
            }
            assert_ne!(pulse.thread.load(Ordering::Relaxed), 0);
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(pulse.ended.load(Ordering::Relaxed));
        });
    }
}
