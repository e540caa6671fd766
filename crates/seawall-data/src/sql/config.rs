//! The configuration of a database, plain, and its check.

use std::path::PathBuf;
use std::time::Duration;

use seawall_core::ConfigError;

/// How to open a database.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database file; made if missing, its directory is not. A lock file (`<path>.lock`) and SQLite's `-wal` and
    /// `-shm` lie beside it. Must be on a local disk: write-ahead logs do not work over network file systems.
    /// Default `seawall.db`.
    pub path: PathBuf,
    /// Reader threads, each with a connection; 1 to 64. Default 2.
    pub readers: usize,
    /// Writes that may wait for the writer, 1 to 65,536. Default 2,048.
    pub write_queue: usize,
    /// Reads that may wait for a reader, 1 to 65,536. Default 1,024.
    pub read_queue: usize,
    /// How long a caller waits for room in a full queue before [`SqlError::Full`](super::SqlError::Full); zero
    /// refuses at once. At most 60 s. Default 50 ms.
    pub max_wait: Duration,
    /// Writes in one commit, 1 to 65,536. Default 256.
    pub max_batch: usize,
    /// A batch is committed when it has been open this long, even if more writes wait; at most 1 s. Default 2 ms.
    pub max_batch_age: Duration,
    /// How long the writer waits for callers of the last batch to come back with their next write; at most 100 ms,
    /// zero never waits. Default 200 us.
    pub linger: Duration,
    /// Rows that one query may collect, at least 1. Default 20,000.
    pub max_rows: usize,
    /// Page cache per connection in KiB, 64 to 1,048,576. Default 16,384.
    pub cache_kib: u32,
    /// The log is copied back into the database when it has this many pages of 4 KiB, 100 to 1,000,000. The commit
    /// that crosses the mark pays for it. Default 4,000.
    pub checkpoint_pages: u32,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("seawall.db"),
            readers: 2,
            write_queue: 2_048,
            read_queue: 1_024,
            max_wait: Duration::from_millis(50),
            max_batch: 256,
            max_batch_age: Duration::from_millis(2),
            linger: Duration::from_micros(200),
            max_rows: 20_000,
            cache_kib: 16_384,
            checkpoint_pages: 4_000,
        }
    }
}

impl SqliteConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("sqlite.readers", self.readers, 1, 64)?;
        within("sqlite.write_queue", self.write_queue, 1, 65_536)?;
        within("sqlite.read_queue", self.read_queue, 1, 65_536)?;
        within("sqlite.max_batch", self.max_batch, 1, 65_536)?;
        within("sqlite.max_rows", self.max_rows, 1, usize::MAX)?;
        within("sqlite.cache_kib", self.cache_kib as usize, 64, 1_048_576)?;
        within("sqlite.checkpoint_pages", self.checkpoint_pages as usize, 100, 1_000_000)?;
        at_most("sqlite.max_wait", self.max_wait, Duration::from_secs(60))?;
        at_most("sqlite.max_batch_age", self.max_batch_age, Duration::from_secs(1))?;
        at_most("sqlite.linger", self.linger, Duration::from_millis(100))
    }
}

fn within(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(field, value, format_args!("{min} to {max}")))
}

fn at_most(field: &'static str, value: Duration, max: Duration) -> Result<(), ConfigError> {
    if value <= max {
        return Ok(());
    }
    Err(ConfigError::new(field, format_args!("{value:?}"), format_args!("at most {max:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut SqliteConfig), message: &str) {
        let mut config = SqliteConfig::default();
        change(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn the_default_is_valid() {
        SqliteConfig::default().check().unwrap();
    }

    #[test]
    fn no_readers_are_refused() {
        check(|c| c.readers = 0, "`sqlite.readers` is 0, but must be 1 to 64");
    }

    #[test]
    fn an_endless_wait_is_refused() {
        check(
            |c| c.max_wait = Duration::MAX,
            "`sqlite.max_wait` is 18446744073709551615.999999999s, but must be at most 60s",
        );
    }
}
