//! [`Tasks`]: starts tasks under a name, counts them, and waits for the last one.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use seawall_core::ConfigError;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock;
use crate::registry::{End, Record, Registry, Slot, Snapshot};

/// Bounds on tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TasksConfig {
    /// Tasks that may live at once; more are refused with [`Full`]. 1 to 16,777,216. Default 1,048,576.
    pub max_live: usize,
    /// How long a task may run without an `.await` that waits before a snapshot calls it stuck. More than zero.
    /// Default 100 ms.
    pub stuck_after: Duration,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self { max_live: 1 << 20, stuck_after: Duration::from_millis(100) }
    }
}

/// There are as many tasks as there may be; the future was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{max_live} tasks live already, and more are not allowed")]
pub struct Full {
    /// The bound.
    pub max_live: usize,
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked, with this message.
    #[error("the task panicked: {0}")]
    Panicked(String),
    /// It was aborted, or its runtime went away.
    #[error("the task was cancelled")]
    Cancelled,
}

/// Starts tasks, counts them, and waits for the last one. Cloning gives another handle to the same ones.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use seawall_tasks::{Tasks, TasksConfig};
///
/// let tasks = Tasks::new(&TasksConfig::default())?;
/// let sum = tasks.spawn("sum", async { (1..=10).sum::<u32>() })?;
/// assert_eq!(sum.await?, 55);
/// assert_eq!(tasks.live(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Tasks(Arc<Shared>);

struct Shared {
    config: TasksConfig,
    registry: Registry,
    live: AtomicUsize,
    refused: AtomicU64,
    idle: Notify,
}

impl Tasks {
    /// No tasks yet.
    ///
    /// # Errors
    /// If a field of `config` is out of its range.
    pub fn new(config: &TasksConfig) -> Result<Self, ConfigError> {
        let TasksConfig { max_live, stuck_after } = *config;
        if !(1..=1 << 24).contains(&max_live) {
            return Err(ConfigError::new("tasks.max_live", max_live, "1 to 16777216"));
        }
        if stuck_after.is_zero() {
            return Err(ConfigError::new("tasks.stuck_after", "0", "more than zero"));
        }
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            registry: Registry::new(clock::now()),
            live: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            idle: Notify::new(),
        })))
    }

    /// Starts `future` on the runtime that this is called on. `name` is for people; a snapshot shows it with the line
    /// that called. The task goes on when its [`Task`] is dropped.
    ///
    /// # Errors
    /// [`Full`]; the future is dropped then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Result<Task<F::Output>, Full>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let place = Location::caller();
        let counted = Counted::start(&self.0)?;
        let (record, slot) = self.0.registry.enter(name, place, clock::now());
        let run = Run { record: Arc::clone(&record), slot, counted, end: End::Cancelled };
        let handle = tokio::spawn(Tracked { future, run });
        *record.abort.lock() = Some(handle.abort_handle());
        Ok(Task(handle))
    }

    /// Tasks that have not ended.
    pub fn live(&self) -> usize {
        self.0.live.load(Ordering::Acquire)
    }
    /// Tasks that were refused because there were too many.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
    /// All tasks as they are now: by where they were started, and those that do not let go.
    pub fn snapshot(&self) -> Snapshot {
        self.0.registry.snapshot(clock::now(), self.0.config.stuck_after)
    }

    /// Returns when no task lives. New ones may be started meanwhile; it waits for those too.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn drained(&self) {
        loop {
            let mut idle = std::pin::pin!(self.0.idle.notified());
            // Enrolled before the count is read, so that an end in between is not missed.
            idle.as_mut().enable();
            if self.live() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Aborts all tasks that live now. Each ends at its next `.await`.
    pub fn abort_all(&self) {
        self.0.registry.abort_all();
    }
}

/// A task that was started; await it for its result. Dropping it lets the task go on.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Ends the task at its next `.await`; its future is dropped there.
    pub fn abort(&self) {
        self.0.abort();
    }
    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|error| match error.try_into_panic() {
            Ok(panic) => {
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                TaskError::Panicked(text.unwrap_or("no message").to_owned())
            }
            Err(_) => TaskError::Cancelled,
        })
    }
}

/// One more task, until it is dropped.
struct Counted(Arc<Shared>);

impl Counted {
    fn start(shared: &Arc<Shared>) -> Result<Self, Full> {
        let max_live = shared.config.max_live;
        let take = |live| (live < max_live).then_some(live + 1);
        match shared.live.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(_) => Ok(Self(Arc::clone(shared))),
            Err(_) => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                Err(Full { max_live })
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// What a task carries beside its future. It is dropped after the future and says how the task ended.
struct Run {
    record: Arc<Record>,
    slot: Slot,
    counted: Counted,
    end: End,
}

impl Run {
    fn poll_begins(&mut self) {
        self.record.poll_begins(self.counted.0.registry.nanos(clock::now()));
        self.end = End::Panicked; // until we are back
    }
    fn poll_ends(&mut self, ready: bool) {
        self.record.poll_ends();
        self.end = if ready { End::Finished } else { End::Cancelled };
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.counted.0.registry.leave(self.slot, self.end);
    }
}

pin_project! {
    /// A task's future, which says when it is polled.
    struct Tracked<F> {
        #[pin]
        future: F,
        run: Run,
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.run.poll_begins();
        let polled = this.future.poll(cx);
        this.run.poll_ends(polled.is_ready());
        polled
    }
}

/// With the default bounds.
impl Default for Tasks {
    fn default() -> Self {
        Self::new(&TasksConfig::default()).expect("the default bounds are within their ranges")
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("live", &self.live()).field("config", &self.0.config).finish()
    }
}
