//! The writer: one thread, one connection, group commit.
//!
//! An fdatasync costs milliseconds whatever it covers, so writes share it. The thread opens a transaction, runs each
//! closure in a savepoint of its own, commits when no more closures come (or a batch has grown old or large), and
//! only then tells the callers. While it waits for the disk the next batch gathers in the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use seawall_core::metrics::{Counter, Gauge, Registry, Timer};
use tokio::sync::oneshot;

use super::channel::Channel;
use super::error::{Side, SqlError, from_driver};
use super::tx::{Hook, Tx};
use super::{wait, work};
use crate::clock::Clock;

/// A closure on its way through the writer, and the caller who waits for it.
pub(super) trait WriteJob: Send {
    /// The caller has gone away: nobody wants this any more.
    fn is_cancelled(&self) -> bool;
    /// When it was put into the queue.
    fn queued_at(&self) -> Instant;
    /// Runs the closure; `true` keeps its changes.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Tells the caller. `failure` overrides whatever the closure said.
    fn finish(self: Box<Self>, failure: Option<SqlError>);
}

pub(super) type BoxedJob = Box<dyn WriteJob>;

/// The one implementation: a closure, then its outcome, and the way back.
pub(super) struct Closure<F, T, E> {
    closure: Option<F>,
    outcome: Option<Result<T, E>>,
    queued_at: Instant,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Closure<F, T, E> {
    pub(super) fn new(closure: F, queued_at: Instant) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { closure: Some(closure), outcome: None, queued_at, reply }, answer)
    }
}

impl<F, T, E> WriteJob for Closure<F, T, E>
where
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<SqlError> + Send,
{
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    fn queued_at(&self) -> Instant {
        self.queued_at
    }

    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let Some(closure) = self.closure.take() else { return false };
        // The closure's captured values are dropped with it, and the savepoint is rolled back: nothing half-done is
        // seen again.
        let outcome = catch_unwind(AssertUnwindSafe(|| closure(tx)));
        let outcome = outcome.unwrap_or_else(|_| Err(SqlError::Panicked.into()));
        self.outcome.insert(outcome).is_ok()
    }

    fn finish(self: Box<Self>, failure: Option<SqlError>) {
        let outcome = match failure {
            Some(failure) => Err(failure.into()),
            None => self.outcome.unwrap_or_else(|| Err(SqlError::Closed.into())),
        };
        // The caller may have gone away; the write stands.
        let _ = self.reply.send(outcome);
    }
}

/// How large and how old a batch may grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    pub(super) jobs: usize,
    pub(super) age: Duration,
    pub(super) linger: Duration,
    pub(super) max_rows: usize,
}

#[derive(Debug)]
pub(super) struct WriterMetrics {
    commits: Counter,
    writes: Counter,
    batch: Gauge,
    commit: Timer,
    wait: Timer,
    work: Timer,
}

impl WriterMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            commits: registry.counter("seawall_sql_commits_total", "Transactions committed.", &[]),
            writes: registry.counter(
                "seawall_sql_writes_total",
                "Write closures run; divided by the commits this is the mean batch.",
                &[],
            ),
            batch: registry.gauge("seawall_sql_batch_size", "Write closures in the last commit.", &[]),
            commit: registry.timer("seawall_sql_commit_seconds", "COMMIT, disk included.", &[]),
            wait: wait(Side::Write, registry),
            work: work(Side::Write, registry),
        }
    }
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) jobs: Arc<Channel<BoxedJob>>,
    pub(super) limits: BatchLimits,
    pub(super) metrics: WriterMetrics,
    pub(super) clock: Arc<dyn Clock>,
    /// Size of the last batch: as many callers are about to come back.
    pub(super) last_batch: usize,
}

/// The jobs of one transaction with the hooks they left.
#[derive(Default)]
struct Batch {
    jobs: Vec<BoxedJob>,
    hooks: Vec<Hook>,
}

impl Writer {
    /// Serves until the queue is closed and drained, then checkpoints.
    pub(super) fn run(mut self) {
        while let Some(first) = self.jobs.pop() {
            let began = self.clock.now();
            self.batch(first);
            self.metrics.work.observe(self.clock.now().saturating_duration_since(began));
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "no checkpoint at close; the next start replays the log");
        }
    }

    fn batch(&mut self, first: BoxedJob) {
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            tracing::error!(%error, "cannot begin a transaction");
            first.finish(Some(error));
            return;
        }
        let mut batch = Batch::default();
        let outcome = self.fill(&mut batch, first).and_then(|()| self.commit());
        if let Err(error) = &outcome {
            tracing::error!(%error, writes = batch.jobs.len(), "a batch was rolled back");
            if !self.connection.is_autocommit() {
                // Fails only if SQLite has rolled back already, which is what we want.
                let _ = self.statement("ROLLBACK");
            }
        } else {
            self.metrics.commits.inc();
            self.metrics.writes.add(batch.jobs.len() as u64);
            self.metrics.batch.set(batch.jobs.len() as i64);
            self.last_batch = batch.jobs.len();
        }
        let failure = outcome.err();
        batch.hooks.into_iter().for_each(|hook| hook(failure.is_none()));
        batch.jobs.into_iter().for_each(|job| job.finish(failure.clone()));
    }

    /// Runs jobs until the batch is full, old, or nothing more comes. An error fails the whole batch.
    fn fill(&self, batch: &mut Batch, first: BoxedJob) -> Result<(), SqlError> {
        let began = self.clock.now();
        let mut next = Some(first);
        while let Some(job) = next {
            self.run_one(batch, job)?;
            let age = self.clock.now().saturating_duration_since(began);
            if batch.jobs.len() >= self.limits.jobs || age >= self.limits.age {
                break;
            }
            // Callers whose last write was acknowledged together come back together: wait a moment for the rest of
            // them, or every other commit carries one write.
            let crowd = batch.jobs.len() * 2 < self.last_batch;
            let patience = if crowd { self.limits.linger } else { Duration::ZERO };
            next = self.jobs.pop_within(patience);
        }
        Ok(())
    }

    fn run_one(&self, batch: &mut Batch, mut job: BoxedJob) -> Result<(), SqlError> {
        if job.is_cancelled() {
            return Ok(());
        }
        self.metrics.wait.observe(self.clock.now().saturating_duration_since(job.queued_at()));
        let tx = Tx::new(&self.connection, self.limits.max_rows);
        if let Err(error) = self.statement("SAVEPOINT seawall_write") {
            batch.jobs.push(job);
            return Err(error);
        }
        let keep = job.run(&tx);
        let hooks = tx.into_hooks();
        batch.jobs.push(job);
        if self.connection.is_autocommit() {
            hooks.into_iter().for_each(|hook| hook(false));
            let reason = "a write closure, or an error in it, ended the transaction".to_owned();
            return Err(SqlError::Commit { reason });
        }
        if keep {
            batch.hooks.extend(hooks);
        } else {
            self.statement("ROLLBACK TO seawall_write")?;
            hooks.into_iter().for_each(|hook| hook(false));
        }
        self.statement("RELEASE seawall_write")
    }

    fn commit(&self) -> Result<(), SqlError> {
        let began: Instant = self.clock.now();
        let mut commit = self.connection.prepare_cached("COMMIT").map_err(|e| from_driver(&e))?;
        commit.execute([]).map_err(|e| SqlError::commit(&e))?;
        self.metrics.commit.observe(self.clock.now().saturating_duration_since(began));
        Ok(())
    }

    fn statement(&self, sql: &str) -> Result<(), SqlError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| from_driver(&e))?;
        statement.execute([]).map(drop).map_err(|e| from_driver(&e))
    }
}
