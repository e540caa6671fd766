//! A durable queue in the same file as the data: outbox, leases, acknowledgement, dead letters, inbox.
//!
//! [`Queue::emit`] puts a message into the caller's own transaction: data and message are committed together, so the
//! queue's table *is* the outbox and no relay is needed. [`Queue::claim`] hands messages out under a lease,
//! [`Queue::ack`] removes them in the transaction of the work. All of it rides the writer's group commit.
//!
//! Delivery is at least once; with an [`Inbox`] the effect is exactly once. Order is first in, first out, but for
//! retries. Times are monotonic and belong to one opening of the database: when it is opened again (after a crash,
//! say), every lease of the dead process is void and its messages are ready at once. A lease is fenced by the number
//! of the attempt, which also counts crashes, so a message that kills its worker ends among the dead letters.
//!
//! Left out: priorities, delays, several databases, ordering per key.

mod config;
mod error;
mod inbox;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_core::metrics::{Counter, Gauge, Registry, Timer};
use tokio::sync::Notify;

use crate::sql::{Conn, Row, SqlError, Sqlite, Tx};

pub use self::config::QueueConfig;
pub use self::error::QueueError;
pub use self::inbox::Inbox;
pub use self::worker::Worker;

/// `due` is the next moment of delivery (the end of the lease while there is one), `boot` says whose clock it is on.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS seawall_queue (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        msg_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        due INTEGER NOT NULL,
        queued INTEGER NOT NULL,
        boot INTEGER NOT NULL,
        payload BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS seawall_queue_due ON seawall_queue (queue, due, seq);
    CREATE TABLE IF NOT EXISTS seawall_queue_dead (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        msg_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        reason TEXT NOT NULL,
        payload BLOB NOT NULL
    );";

/// A message handed out under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The sender's name for it; what an [`Inbox`] remembers.
    pub msg_id: String,
    /// What was sent.
    pub payload: Vec<u8>,
    /// 1 for the first delivery.
    pub attempt: u32,
    seq: u64,
    queued_ms: i64,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The sender's name for it.
    pub msg_id: String,
    /// What was sent.
    pub payload: Vec<u8>,
    /// How often it was delivered.
    pub attempts: u32,
    /// What the last attempt said.
    pub reason: String,
}

/// How a queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that are not acknowledged, leased ones included.
    pub depth: u64,
    /// Messages that wait for a worker.
    pub ready: u64,
    /// Messages given up.
    pub dead: u64,
    /// Age of the oldest message; after a restart counted from the restart. Zero if there is none.
    pub lag: Duration,
}

/// A named queue in a database. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Sqlite,
    config: QueueConfig,
    /// Rows of this queue, those of open transactions included.
    depth: AtomicU64,
    arrived: Notify,
    metrics: Metrics,
}

#[derive(Debug)]
struct Metrics {
    depth: Gauge,
    done: Timer,
    deliveries: Counter,
    failed: Counter,
    dead: Counter,
}

impl Metrics {
    fn new(queue: &str, registry: &Registry) -> Self {
        let labels = [("queue", queue)];
        let counter = |name, help| registry.counter(name, help, &labels);
        Self {
            depth: registry.gauge("seawall_queue_depth", "Messages not yet acknowledged.", &labels),
            done: registry.timer(
                "seawall_queue_done_seconds",
                "From emitting a message to its acknowledgement, commits included.",
                &labels,
            ),
            deliveries: counter("seawall_queue_deliveries_total", "Messages handed to a worker."),
            failed: counter("seawall_queue_failures_total", "Deliveries whose work failed."),
            dead: counter("seawall_queue_dead_total", "Messages given up after the last attempt."),
        }
    }
}

/// Why a queue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum QueueOpenError {
    /// A value of the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database refused.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl Queue {
    /// Opens the queue, making its tables if need be, and takes back what a dead process had leased. Blocks: call it
    /// from a plain thread, at start.
    ///
    /// # Errors
    /// A bad configuration, or what the database says.
    ///
    /// # Panics
    /// If called in an asynchronous context.
    pub fn open(db: &Sqlite, config: &QueueConfig, registry: &Registry) -> Result<Self, QueueOpenError> {
        config.check()?;
        let (name, boot) = (config.name.clone(), db.boot());
        let depth = db.write_blocking(move |tx| {
            tx.execute_all(SCHEMA)?;
            tx.execute_all(inbox::SCHEMA)?;
            tx.execute(
                "UPDATE seawall_queue SET due = 0, queued = 0, boot = ?2 WHERE queue = ?1 AND boot <> ?2",
                &[(&name).into(), boot.into()],
            )?;
            let depth = "SELECT count(*) FROM seawall_queue WHERE queue = ?";
            tx.query_value::<u64>(depth, &[(&name).into()])
        })?;
        let depth = depth.unwrap_or(0);
        let metrics = Metrics::new(&config.name, registry);
        metrics.depth.set(depth.cast_signed());
        Ok(Self(Arc::new(Inner {
            db: db.clone(),
            config: config.clone(),
            depth: AtomicU64::new(depth),
            arrived: Notify::new(),
            metrics,
        })))
    }

    /// Puts a message into the caller's transaction: it exists if and only if the rest of the transaction does.
    ///
    /// # Errors
    /// [`QueueError::Full`] at the bound, and what the database says.
    pub fn emit(&self, tx: &Tx<'_>, msg_id: &str, payload: &[u8]) -> Result<(), QueueError> {
        let inner = &self.0;
        if inner.depth.load(Ordering::Relaxed) >= inner.config.max_depth {
            let queue = inner.config.name.clone();
            return Err(QueueError::Full { queue, max_depth: inner.config.max_depth });
        }
        let now = inner.db.elapsed_ms();
        tx.execute(
            "INSERT INTO seawall_queue (queue, msg_id, attempt, due, queued, boot, payload) \
             VALUES (?1, ?2, 0, ?3, ?3, ?4, ?5)",
            &[(&inner.config.name).into(), msg_id.into(), now.into(), inner.db.boot().into(), payload.into()],
        )?;
        inner.depth.fetch_add(1, Ordering::Relaxed);
        let inner = Arc::clone(inner);
        tx.on_end(move |committed| {
            if committed {
                inner.metrics.depth.add(1);
                inner.arrived.notify_one();
            } else {
                inner.depth.fetch_sub(1, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    /// [`Queue::emit`] in a transaction of its own.
    ///
    /// # Errors
    /// As [`Queue::emit`].
    pub async fn publish(&self, msg_id: String, payload: Vec<u8>) -> Result<(), QueueError> {
        let queue = self.clone();
        self.0.db.write(move |tx| queue.emit(tx, &msg_id, &payload)).await
    }

    /// Takes up to `max` ready messages (at most [`QueueConfig::batch`]) under a lease; empty if there are none.
    /// Messages that have used up their attempts are given up on the way. A dropped future may leave messages leased
    /// until the lease ends.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claim(&self, max: usize) -> Result<Vec<Delivery>, QueueError> {
        if self.0.depth.load(Ordering::Relaxed) == 0 {
            return Ok(Vec::new()); // spares an idle database the transaction
        }
        let queue = self.clone();
        let max = max.min(self.0.config.batch);
        let claimed = self.0.db.write(move |tx| queue.claim_in(tx, max)).await?;
        self.0.metrics.deliveries.add(claimed.len() as u64);
        Ok(claimed)
    }

    fn claim_in(&self, tx: &Tx<'_>, max: usize) -> Result<Vec<Delivery>, QueueError> {
        let Inner { db, config, .. } = &*self.0;
        let now = db.elapsed_ms();
        let ready = tx.query(
            "SELECT seq, msg_id, payload, attempt, queued FROM seawall_queue \
             WHERE queue = ? AND due <= ? ORDER BY due, seq LIMIT ?",
            &[(&config.name).into(), now.into(), (max as u64).into()],
            delivery,
        )?;
        let lease_until = now.saturating_add(millis(config.lease));
        let mut claimed = Vec::with_capacity(ready.len());
        for mut delivery in ready {
            if delivery.attempt >= config.max_attempts {
                self.bury(tx, &delivery, "its worker did not come back")?;
                continue;
            }
            delivery.attempt += 1;
            tx.execute(
                "UPDATE seawall_queue SET attempt = ?, due = ? WHERE seq = ?",
                &[delivery.attempt.into(), lease_until.into(), delivery.seq.into()],
            )?;
            claimed.push(delivery);
        }
        Ok(claimed)
    }

    /// Removes a message in the transaction of its work.
    ///
    /// # Errors
    /// [`QueueError::LeaseLost`] if somebody else has it by now: return it, so that the work is rolled back. Else
    /// what the database says.
    pub fn ack(&self, tx: &Tx<'_>, delivery: &Delivery) -> Result<(), QueueError> {
        self.remove(tx, delivery)?;
        let inner = Arc::clone(&self.0);
        let queued_ms = delivery.queued_ms;
        tx.on_end(move |committed| {
            if committed {
                let waited = inner.db.elapsed_ms().saturating_sub(queued_ms);
                inner.metrics.done.observe(Duration::from_millis(waited.unsigned_abs()));
            }
        });
        Ok(())
    }

    /// Gives a message back after its work failed: it comes again after a pause that doubles with every attempt, or
    /// is given up if this was the last one.
    ///
    /// # Errors
    /// [`QueueError::LeaseLost`], and what the database says.
    pub async fn fail(&self, delivery: Delivery, reason: String) -> Result<(), QueueError> {
        self.0.metrics.failed.inc();
        let queue = self.clone();
        self.0.db.write(move |tx| queue.fail_in(tx, &delivery, &reason)).await
    }

    fn fail_in(&self, tx: &Tx<'_>, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let config = &self.0.config;
        if delivery.attempt >= config.max_attempts {
            return self.bury(tx, delivery, reason);
        }
        let doublings = (delivery.attempt - 1).min(16);
        let pause = config.retry_pause.saturating_mul(1 << doublings).min(config.max_retry_pause);
        let due = self.0.db.elapsed_ms().saturating_add(millis(pause));
        let changed = tx.execute(
            "UPDATE seawall_queue SET due = ? WHERE seq = ? AND attempt = ?",
            &[due.into(), delivery.seq.into(), delivery.attempt.into()],
        )?;
        if changed == 0 { Err(self.lost(delivery)) } else { Ok(()) }
    }

    /// Gives messages back untouched, as if they had never been claimed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn release(&self, deliveries: Vec<Delivery>) -> Result<(), QueueError> {
        let inner = Arc::clone(&self.0);
        let release = move |tx: &Tx<'_>| {
            for delivery in &deliveries {
                tx.execute(
                    "UPDATE seawall_queue SET due = queued, attempt = attempt - 1 WHERE seq = ? AND attempt = ?",
                    &[delivery.seq.into(), delivery.attempt.into()],
                )?;
            }
            tx.on_end(move |_| inner.arrived.notify_one());
            Ok::<(), SqlError>(())
        };
        Ok(self.0.db.write(release).await?)
    }

    /// Waits until a message has arrived since the last call. Retries and ended leases are not announced: look again
    /// every [`QueueConfig::poll`]. Cancel-safe.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Messages that are not acknowledged, from memory.
    pub fn depth(&self) -> u64 {
        self.0.depth.load(Ordering::Relaxed)
    }

    /// How the queue stands, from the database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stats(&self) -> Result<QueueStats, SqlError> {
        let (name, now) = (self.0.config.name.clone(), self.0.db.elapsed_ms());
        let read = move |conn: &Conn<'_>| {
            let live = conn.query_one(
                "SELECT count(*), count(*) FILTER (WHERE due <= ?2), coalesce(min(queued), ?2) \
                 FROM seawall_queue WHERE queue = ?1",
                &[(&name).into(), now.into()],
                |row| Ok::<_, SqlError>((row.get(0)?, row.get(1)?, row.get::<i64>(2)?)),
            )?;
            let dead = "SELECT count(*) FROM seawall_queue_dead WHERE queue = ?";
            let dead = conn.query_value(dead, &[(&name).into()])?.unwrap_or(0);
            let (depth, ready, oldest) = live.unwrap_or((0, 0, now));
            let lag = Duration::from_millis(now.saturating_sub(oldest).unsigned_abs());
            Ok(QueueStats { depth, ready, dead, lag })
        };
        self.0.db.read(read).await
    }

    /// The dead letters, newest first, at most `max`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn dead_letters(&self, max: u32) -> Result<Vec<DeadLetter>, SqlError> {
        let name = self.0.config.name.clone();
        let read = move |conn: &Conn<'_>| {
            conn.query(
                "SELECT msg_id, payload, attempt, reason FROM seawall_queue_dead WHERE queue = ? \
                 ORDER BY seq DESC LIMIT ?",
                &[(&name).into(), max.into()],
                |row| {
                    let (msg_id, payload) = (row.get(0)?, row.get(1)?);
                    Ok(DeadLetter { msg_id, payload, attempts: row.get(2)?, reason: row.get(3)? })
                },
            )
        };
        self.0.db.read(read).await
    }

    fn bury(&self, tx: &Tx<'_>, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        self.remove(tx, delivery)?;
        let config = &self.0.config;
        tx.execute(
            "INSERT INTO seawall_queue_dead (seq, queue, msg_id, attempt, reason, payload) \
             VALUES (?, ?, ?, ?, ?, ?)",
            &[
                delivery.seq.into(),
                (&config.name).into(),
                (&delivery.msg_id).into(),
                delivery.attempt.into(),
                reason.into(),
                delivery.payload.as_slice().into(),
            ],
        )?;
        tx.execute(
            "DELETE FROM seawall_queue_dead WHERE queue = ?1 AND seq <= \
             (SELECT seq FROM seawall_queue_dead WHERE queue = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            &[(&config.name).into(), config.max_dead.into()],
        )?;
        let inner = Arc::clone(&self.0);
        let (msg_id, reason) = (delivery.msg_id.clone(), reason.to_owned());
        tx.on_end(move |committed| {
            if committed {
                inner.metrics.dead.inc();
                tracing::error!(queue = inner.config.name, msg_id, reason, "a message was given up");
            }
        });
        Ok(())
    }

    fn remove(&self, tx: &Tx<'_>, delivery: &Delivery) -> Result<(), QueueError> {
        let changed = tx.execute(
            "DELETE FROM seawall_queue WHERE seq = ? AND attempt = ?",
            &[delivery.seq.into(), delivery.attempt.into()],
        )?;
        if changed == 0 {
            return Err(self.lost(delivery));
        }
        let inner = Arc::clone(&self.0);
        tx.on_end(move |committed| {
            if committed {
                inner.depth.fetch_sub(1, Ordering::Relaxed);
                inner.metrics.depth.sub(1);
            }
        });
        Ok(())
    }

    fn lost(&self, delivery: &Delivery) -> QueueError {
        QueueError::LeaseLost { queue: self.0.config.name.clone(), msg_id: delivery.msg_id.clone() }
    }
}

fn delivery(row: &Row<'_>) -> Result<Delivery, SqlError> {
    Ok(Delivery {
        seq: row.get(0)?,
        msg_id: row.get(1)?,
        payload: row.get(2)?,
        attempt: row.get(3)?,
        queued_ms: row.get(4)?,
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
