//! SQLite, made fit for a service: one writer thread with group commit, reader threads, bounded queues.
//!
//! [`Sqlite::write`] runs a closure on the writer and answers after the COMMIT has reached the disk
//! (`synchronous=FULL`, write-ahead log): what was acknowledged survives a crash of the process and of the machine.
//! Many writes share one commit; each has a savepoint of its own, so that an error or a panic in one leaves the
//! others alone. [`Sqlite::read`] runs on a reader thread and sees everything acknowledged before it was called.
//!
//! The file belongs to one process at a time, kept by a lock file. Left out: encryption, backup, several files.

mod channel;
mod config;
mod error;
mod reader;
mod tx;
mod value;
mod writer;

use std::fmt;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use seawall_core::metrics::{Counter, Registry, Timer};
use tokio::sync::oneshot;

pub use self::config::SqliteConfig;
pub use self::error::{OpenError, Side, SqlError};
pub use self::tx::{Conn, Tx};
pub use self::value::{FromValue, Row, Value};

use self::channel::Channel;
use self::error::from_driver;
use self::reader::Reader;
use self::writer::{BatchLimits, Writer, WriterMetrics};
use crate::clock::{Clock, SystemClock};

/// A database. Cloning gives another handle; when the last one is dropped the threads finish what is queued and end.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    writes: Arc<Channel<writer::BoxedJob>>,
    reads: Arc<Channel<reader::BoxedJob>>,
    refused: [Counter; 2],
    clock: Arc<dyn Clock>,
    opened_at: Instant,
    boot: i64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("boot", &self.0.boot).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

impl Sqlite {
    /// Opens the file, making it if need be, and starts the threads.
    ///
    /// # Errors
    /// A bad configuration, another process with the file open, or a refusal of the system or the database.
    pub fn open(config: &SqliteConfig, registry: &Registry) -> Result<Self, OpenError> {
        Self::open_with_clock(config, registry, Arc::new(SystemClock))
    }

    /// [`Sqlite::open`] with a clock of the caller's, for tests of what depends on time.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn open_with_clock(
        config: &SqliteConfig,
        registry: &Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        config.check()?;
        let lock = lock(&config.path)?;
        let writes = channel(Side::Write, config.write_queue, config.max_wait, registry);
        let reads = channel(Side::Read, config.read_queue, config.max_wait, registry);
        let writer = Writer {
            connection: connect(config, Side::Write)?,
            jobs: Arc::clone(&writes),
            limits: BatchLimits {
                jobs: config.max_batch,
                age: config.max_batch_age,
                linger: config.linger,
                max_rows: config.max_rows,
            },
            metrics: WriterMetrics::new(registry),
            clock: Arc::clone(&clock),
            last_batch: 0,
        };
        let inner = Inner {
            writes,
            reads: Arc::clone(&reads),
            refused: [Side::Write, Side::Read].map(|side| refused(side, registry)),
            opened_at: clock.now(),
            clock: Arc::clone(&clock),
            boot: RandomState::new().build_hasher().finish().cast_signed(),
            threads: Mutex::default(),
        };
        // The lock lives as long as the writer: until everything queued is on disk.
        let run = move || {
            writer.run();
            drop(lock);
        };
        // If a later step fails, dropping `inner` closes the queues and ends the threads that run already.
        inner.threads.lock().push(spawn("sql-writer", run)?);
        for _ in 0..config.readers {
            let reader = Reader {
                connection: connect(config, Side::Read)?,
                jobs: Arc::clone(&reads),
                max_rows: config.max_rows,
                wait: wait(Side::Read, registry),
                work: work(Side::Read, registry),
                clock: Arc::clone(&clock),
            };
            inner.threads.lock().push(spawn("sql-reader", move || reader.run())?);
        }
        count_threads(config, registry);
        Ok(Self(Arc::new(inner)))
    }

    /// Runs `closure` on the writer thread, and answers when its changes are on disk. An error that the closure
    /// returns rolls its changes back and is passed on, also after the commit of the batch.
    ///
    /// Dropping the future gives up waiting, no more: the write may still commit, or be skipped if it had not begun.
    ///
    /// # Errors
    /// What the closure says, [`SqlError::Full`] after the configured wait, and the other [`SqlError`]s.
    pub async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
    {
        let (job, answer) = writer::Closure::new(closure, self.0.clock.now());
        self.counted(Side::Write, self.0.writes.push(Box::new(job)).await)?;
        answered(answer.await)
    }

    /// [`Sqlite::write`] for plain threads: at start, in tools, in tests. Refuses at once if the queue is full.
    ///
    /// # Errors
    /// As [`Sqlite::write`].
    ///
    /// # Panics
    /// If called in an asynchronous context.
    pub fn write_blocking<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
    {
        let (job, answer) = writer::Closure::new(closure, self.0.clock.now());
        self.counted(Side::Write, self.0.writes.push_now(Box::new(job)))?;
        answered(answer.blocking_recv())
    }

    /// Runs `closure` on a reader thread. All its reads see one state, which includes every write acknowledged
    /// before this call. Dropping the future is safe.
    ///
    /// # Errors
    /// What the closure says, [`SqlError::Full`] after the configured wait, and the other [`SqlError`]s.
    pub async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&Conn<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
    {
        let (job, answer) = reader::Closure::new(closure, self.0.clock.now());
        self.counted(Side::Read, self.0.reads.push(Box::new(job)).await)?;
        answered(answer.await)
    }

    /// [`Sqlite::read`] for plain threads. Refuses at once if the queue is full.
    ///
    /// # Errors
    /// As [`Sqlite::read`].
    ///
    /// # Panics
    /// If called in an asynchronous context.
    pub fn read_blocking<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&Conn<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
    {
        let (job, answer) = reader::Closure::new(closure, self.0.clock.now());
        self.counted(Side::Read, self.0.reads.push_now(Box::new(job)))?;
        answered(answer.blocking_recv())
    }

    /// Refuses new work, finishes what is queued, copies the log back into the file and waits for the threads. Later
    /// calls return at once. Blocks: call it from a plain thread, after the server has stopped.
    pub fn close(&self) {
        self.0.writes.close();
        self.0.reads.close();
        let threads = std::mem::take(&mut *self.0.threads.lock());
        // Readers end first, so that the last checkpoint finds no snapshot in its way; the writer is thread 0.
        for thread in threads.into_iter().rev() {
            if thread.join().is_err() {
                tracing::error!("a database thread panicked");
            }
        }
    }

    /// A number of this opening of the file, to tell leases of this process from those of a dead one.
    pub(crate) fn boot(&self) -> i64 {
        self.0.boot
    }

    /// Milliseconds since this opening: a time that no change of the wall clock moves. Means nothing to another boot.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        let elapsed = self.0.clock.now().saturating_duration_since(self.0.opened_at);
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    fn counted(&self, side: Side, outcome: Result<(), SqlError>) -> Result<(), SqlError> {
        if matches!(outcome, Err(SqlError::Full { .. })) {
            self.0.refused[side as usize].inc();
        }
        outcome
    }
}

/// A thread that died without an answer counts as closed.
fn answered<T, E: From<SqlError>>(answer: Result<Result<T, E>, oneshot::error::RecvError>) -> Result<T, E> {
    answer.unwrap_or_else(|_| Err(SqlError::Closed.into()))
}

fn channel<J>(side: Side, capacity: usize, max_wait: Duration, registry: &Registry) -> Arc<Channel<J>> {
    let labels = [("side", side.name())];
    let depth = registry.gauge("seawall_sql_queue_depth", "Closures that wait for a thread.", &labels);
    let waiters = registry.gauge("seawall_sql_waiters", "Callers that wait for room in the queue.", &labels);
    Arc::new(Channel::new(side, capacity, max_wait, depth, waiters))
}

/// The threads behind each queue. With the time that they are at work it tells how much of them is used.
fn count_threads(config: &SqliteConfig, registry: &Registry) {
    for (side, threads) in [(Side::Write, 1), (Side::Read, config.readers)] {
        let labels = [("side", side.name())];
        let gauge =
            registry.gauge("seawall_sql_threads", "Threads that take closures from the queue.", &labels);
        gauge.set(i64::try_from(threads).unwrap_or(i64::MAX));
    }
}

fn wait(side: Side, registry: &Registry) -> Timer {
    let labels = [("side", side.name())];
    registry.timer("seawall_sql_wait_seconds", "Time a closure waited for a thread.", &labels)
}

fn work(side: Side, registry: &Registry) -> Timer {
    let labels = [("side", side.name())];
    registry.timer(
        "seawall_sql_work_seconds",
        "Time a thread was at work for a read or a batch of writes.",
        &labels,
    )
}

fn refused(side: Side, registry: &Registry) -> Counter {
    let labels = [("side", side.name())];
    registry.counter("seawall_sql_refused_total", "Closures refused because the queue was full.", &labels)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|source| OpenError::Io { what: format!("cannot start the thread {name}"), source })
}

/// Takes the lock file; the system releases it when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let io = |source| OpenError::Io { what: format!("cannot lock {}", name.display()), source };
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.display().to_string() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn connect(config: &SqliteConfig, side: Side) -> Result<Connection, OpenError> {
    let open = || {
        let mode = match side {
            Side::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Side::Read => OpenFlags::SQLITE_OPEN_READ_WRITE, // a reader must be able to make the -shm file
        };
        // Each connection stays on its thread, so SQLite's own mutexes would only cost time.
        let connection = Connection::open_with_flags(&config.path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.set_prepared_statement_cache_capacity(128);
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -i64::from(config.cache_kib))?;
        connection.pragma_update(None, "wal_autocheckpoint", config.checkpoint_pages)?;
        connection.pragma_update(None, "query_only", side == Side::Read)?;
        Ok(connection)
    };
    open().map_err(|error| OpenError::Sql {
        path: config.path.display().to_string(),
        source: from_driver(&error),
    })
}

#[cfg(test)]
mod tests;
