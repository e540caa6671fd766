//! A pool of workers: a bounded queue of jobs, and so many tasks that take from it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use seawall_core::ConfigError;

use crate::channel::{Overflow, SendError, Sender, Sent, channel};
use crate::tasks::{Full, Task, TaskError, Tasks};

/// How a pool of workers works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersConfig {
    /// What its tasks are called. Default `worker`.
    pub name: &'static str,
    /// Jobs done at once. 1 to 65,536. Default 8.
    pub parallelism: usize,
    /// Jobs that may wait. 1 to 16,777,216. Default 1024.
    pub queue: usize,
    /// What happens to a job when the queue is full. Default [`Overflow::Wait`].
    pub overflow: Overflow,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self { name: "worker", parallelism: 8, queue: 1024, overflow: Overflow::Wait }
    }
}

/// Why a pool could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A field of the configuration is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are as many tasks as there may be.
    #[error(transparent)]
    Full(#[from] Full),
}

/// So many workers that do one kind of job. Dropping it lets them do what waits, and then end.
///
/// A job that panics ends alone: its worker goes on with the next one, and the panic is counted by
/// [`Workers::finish`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
/// use seawall_tasks::{Tasks, TasksConfig, Workers, WorkersConfig};
///
/// let tasks = Tasks::new(&TasksConfig::default())?;
/// let sum = Arc::new(AtomicU32::new(0));
/// let add = { let sum = Arc::clone(&sum); move |n: u32| { let sum = Arc::clone(&sum); async move { sum.fetch_add(n, Ordering::Relaxed); } } };
/// let pool = Workers::start(&tasks, &WorkersConfig { parallelism: 2, ..WorkersConfig::default() }, add)?;
/// for n in 1..=10 {
///     pool.submit(n).await?;
/// }
/// assert_eq!(pool.finish().await.panicked, 0);
/// assert_eq!(sum.load(Ordering::Relaxed), 55);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Workers<J> {
    jobs: Sender<J>,
    workers: Vec<Task<u64>>,
}

/// How a pool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Jobs that panicked.
    pub panicked: u64,
    /// Workers that were cut before they had done what waits.
    pub cancelled: usize,
}

impl<J: Send + 'static> Workers<J> {
    /// Starts the workers on the runtime that this is called on.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn start<F, Fut>(tasks: &Tasks, config: &WorkersConfig, work: F) -> Result<Self, StartError>
    where
        F: Fn(J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let WorkersConfig { name, parallelism, queue, overflow } = *config;
        if !(1..=1 << 16).contains(&parallelism) {
            return Err(ConfigError::new("workers.parallelism", parallelism, "1 to 65536").into());
        }
        let (jobs, inbox) = channel(queue, overflow)?;
        let work = Arc::new(work);
        let mut workers = Vec::with_capacity(parallelism);
        for _ in 0..parallelism {
            let (inbox, work) = (inbox.clone(), Arc::clone(&work));
            let run = async move {
                let mut panicked = 0;
                while let Some(job) = inbox.recv().await {
                    // In a place of its own, so that a panic ends the job and not the worker.
                    let done = AssertUnwindSafe(async { work(job).await }).catch_unwind().await;
                    panicked += u64::from(done.is_err());
                }
                panicked
            };
            workers.push(tasks.spawn(name, run)?);
        }
        Ok(Self { jobs, workers })
    }

    /// Gives the workers a job; when the queue is full, what [`WorkersConfig::overflow`] says.
    ///
    /// # Errors
    /// The job comes back; see [`Sender::send`].
    ///
    /// # Cancel safety
    /// A job whose call was dropped before it returned is not done.
    pub async fn submit(&self, job: J) -> Result<Sent, SendError<J>> {
        self.jobs.send(job).await
    }
    /// Gives the workers a job without waiting.
    ///
    /// # Errors
    /// The job comes back; see [`Sender::try_send`].
    pub fn try_submit(&self, job: J) -> Result<Sent, SendError<J>> {
        self.jobs.try_send(job)
    }
    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }
    /// Jobs that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.jobs.dropped()
    }

    /// Takes no more jobs and returns when all that wait are done.
    ///
    /// # Cancel safety
    /// The workers do what waits even if this is dropped; what it would have said is lost.
    pub async fn finish(self) -> Finished {
        let Self { jobs, workers } = self;
        drop(jobs);
        let mut finished = Finished { panicked: 0, cancelled: 0 };
        for worker in workers {
            match worker.await {
                Ok(panicked) => finished.panicked += panicked,
                Err(TaskError::Cancelled | TaskError::Panicked(_)) => finished.cancelled += 1,
            }
        }
        finished
    }
}

impl<J> fmt::Debug for Workers<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("workers", &self.workers.len()).field("jobs", &self.jobs).finish()
    }
}
