//! The inbox: remembers which messages a consumer has handled, so that a redelivery does nothing.

use seawall_core::ConfigError;

use crate::sql::{SqlError, Tx};

/// How often old entries are looked for: one clean-up per so many new ones, and of at most about as many.
const CLEAN_EVERY: u64 = 256;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS seawall_inbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        consumer TEXT NOT NULL,
        msg_id TEXT NOT NULL,
        UNIQUE (consumer, msg_id)
    );";

/// What one consumer has handled.
#[derive(Debug, Clone)]
pub struct Inbox {
    consumer: String,
    keep: u64,
}

impl Inbox {
    /// An inbox for `consumer`. The table, which all consumers share, keeps about the last `keep` entries (at least
    /// 1,024): a redelivery that comes later than that is not recognised.
    ///
    /// # Errors
    /// A `keep` below 1,024.
    pub fn new(consumer: &str, keep: u64) -> Result<Self, ConfigError> {
        if keep < 1_024 {
            return Err(ConfigError::new("inbox.keep", keep, "at least 1024"));
        }
        Ok(Self { consumer: consumer.to_owned(), keep })
    }

    /// `true` the first time, `false` ever after, in the transaction of the work itself: work and memory of it are
    /// committed together or not at all.
    ///
    /// # Errors
    /// What the database says.
    pub fn once(&self, tx: &Tx<'_>, msg_id: &str) -> Result<bool, SqlError> {
        let new = tx.execute(
            "INSERT OR IGNORE INTO seawall_inbox (consumer, msg_id) VALUES (?, ?)",
            &[(&self.consumer).into(), msg_id.into()],
        )?;
        if new == 0 {
            return Ok(false);
        }
        let id = tx.last_insert_id();
        if id.is_multiple_of(CLEAN_EVERY) && id > self.keep {
            tx.execute("DELETE FROM seawall_inbox WHERE id <= ?", &[(id - self.keep).into()])?;
        }
        Ok(true)
    }
}
