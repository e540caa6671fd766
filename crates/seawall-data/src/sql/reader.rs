//! The readers: threads with a read-only connection each, behind one bounded queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use seawall_core::metrics::Timer;
use tokio::sync::oneshot;

use super::channel::Channel;
use super::error::{SqlError, from_driver};
use super::tx::Conn;
use crate::clock::Clock;

pub(super) trait ReadJob: Send {
    fn is_cancelled(&self) -> bool;
    /// When it was put into the queue.
    fn queued_at(&self) -> Instant;
    /// Runs the closure in a transaction of its own and tells the caller.
    fn run(self: Box<Self>, conn: &Conn<'_>);
}

pub(super) type BoxedJob = Box<dyn ReadJob>;

pub(super) struct Closure<F, T, E> {
    closure: F,
    queued_at: Instant,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Closure<F, T, E> {
    pub(super) fn new(closure: F, queued_at: Instant) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { closure, queued_at, reply }, answer)
    }
}

impl<F, T, E> ReadJob for Closure<F, T, E>
where
    F: FnOnce(&Conn<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<SqlError> + Send,
{
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    fn queued_at(&self) -> Instant {
        self.queued_at
    }

    fn run(self: Box<Self>, conn: &Conn<'_>) {
        let Self { closure, reply, .. } = *self;
        let outcome = match statement(conn.inner, "BEGIN") {
            Ok(()) => catch_unwind(AssertUnwindSafe(|| closure(conn)))
                .unwrap_or_else(|_| Err(SqlError::Panicked.into())),
            Err(error) => Err(error.into()),
        };
        if !conn.inner.is_autocommit() {
            // Nothing was written; this only lets go of the snapshot, which cannot fail in a way that matters.
            let _ = statement(conn.inner, "COMMIT");
        }
        let _ = reply.send(outcome);
    }
}

fn statement(connection: &Connection, sql: &str) -> Result<(), SqlError> {
    let mut statement = connection.prepare_cached(sql).map_err(|e| from_driver(&e))?;
    statement.execute([]).map(drop).map_err(|e| from_driver(&e))
}

pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) jobs: Arc<Channel<BoxedJob>>,
    pub(super) max_rows: usize,
    pub(super) wait: Timer,
    pub(super) work: Timer,
    pub(super) clock: Arc<dyn Clock>,
}

impl Reader {
    /// Serves until the queue is closed and drained.
    pub(super) fn run(self) {
        while let Some(job) = self.jobs.pop() {
            if job.is_cancelled() {
                continue;
            }
            let began = self.clock.now();
            self.wait.observe(began.saturating_duration_since(job.queued_at()));
            job.run(&Conn { inner: &self.connection, max_rows: self.max_rows });
            self.work.observe(self.clock.now().saturating_duration_since(began));
        }
    }
}
