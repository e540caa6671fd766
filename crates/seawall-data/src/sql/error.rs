//! What can go wrong with the database, in words that neither name the driver nor HTTP.

use std::time::Duration;

use seawall_core::{Class, ConfigError};

/// Which of the two bounded queues in front of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The queue of the writer thread.
    Write,
    /// The queue of the reader threads.
    Read,
}

impl Side {
    /// `write` or `read`: the value of the metrics' label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// Why a read or a write did not happen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SqlError {
    /// The queue had no room within the configured wait. Nothing was done; worth a retry later.
    #[error("the database's {} queue is full, and had no room for {waited:?}", side.name())]
    Full {
        /// Which queue.
        side: Side,
        /// How long the caller waited for room.
        waited: Duration,
    },
    /// [`Sqlite::close`](super::Sqlite::close) was called. Nothing was done.
    #[error("the database is closed")]
    Closed,
    /// The closure panicked; its changes were rolled back, those of its neighbours in the batch were not.
    #[error("the database closure panicked, its changes were rolled back")]
    Panicked,
    /// The batch could not be committed; every change in it was rolled back.
    #[error("the commit failed, all changes of the batch were rolled back: {reason}")]
    Commit {
        /// What the database said.
        reason: String,
    },
    /// A UNIQUE, CHECK, NOT NULL or FOREIGN KEY constraint was violated.
    #[error("constraint violated: {message}")]
    Constraint {
        /// Whether it was a UNIQUE or PRIMARY KEY constraint.
        unique: bool,
        /// What the database said; it names table and column.
        message: String,
    },
    /// A column does not hold what was asked for, or there is no such column.
    #[error("column {column} is not {expected}")]
    Column {
        /// Its index, from 0.
        column: usize,
        /// What was asked for.
        expected: &'static str,
    },
    /// A query gave more rows than [`SqliteConfig::max_rows`](super::SqliteConfig::max_rows).
    #[error("the query gives more than {max_rows} rows")]
    TooManyRows {
        /// The bound.
        max_rows: usize,
    },
    /// A value that does not fit into an SQLite integer (-2^63 to 2^63 - 1).
    #[error("{value} does not fit into a signed 64-bit integer")]
    OutOfRange {
        /// The value.
        value: u64,
    },
    /// Anything else that the database reports.
    #[error("{message} (SQLite code {code})")]
    Database {
        /// SQLite's extended result code; 0 if the driver itself refused.
        code: i32,
        /// What the database said.
        message: String,
    },
}

impl SqlError {
    /// How a caller should react: a full queue and a failed commit may pass, a closed or broken database is a fault
    /// of the system, the rest are mistakes that a retry repeats.
    pub fn class(&self) -> Class {
        match self {
            Self::Full { .. } => Class::Transient,
            Self::Closed | Self::Panicked | Self::Commit { .. } | Self::Database { .. } => Class::System,
            Self::Constraint { .. }
            | Self::Column { .. }
            | Self::TooManyRows { .. }
            | Self::OutOfRange { .. } => Class::Permanent,
        }
    }

    pub(super) fn commit(error: &rusqlite::Error) -> Self {
        Self::Commit { reason: error.to_string() }
    }
}

/// The driver's errors stop here.
pub(super) fn from_driver(error: &rusqlite::Error) -> SqlError {
    use rusqlite::ffi;
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let message = message.clone().unwrap_or_else(|| failure.to_string());
            if failure.code == rusqlite::ErrorCode::ConstraintViolation {
                let unique = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY];
                return SqlError::Constraint { unique: unique.contains(&failure.extended_code), message };
            }
            SqlError::Database { code: failure.extended_code, message }
        }
        other => SqlError::Database { code: 0, message: other.to_string() },
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A value of the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process has it open: two writers would not see each other's queue and caches.
    #[error("{path} is in use by another process")]
    InUse {
        /// The database file.
        path: String,
    },
    /// The lock file or a thread could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("{path}: {source}")]
    Sql {
        /// The database file.
        path: String,
        /// What the database said.
        source: SqlError,
    },
}
