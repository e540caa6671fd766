//! What a closure sees of the database: [`Conn`] to read, [`Tx`] to write.
//!
//! Statements are prepared once per connection and kept. A transaction's boundaries belong to the writer: a closure
//! that says `BEGIN`, `COMMIT` or `ROLLBACK` itself fails the batch it is in.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

use rusqlite::{Connection, params_from_iter};

use super::error::{SqlError, from_driver};
use super::value::{Bound, FromValue, Row, Value, check};

/// A connection, for reading. All reads of one closure see the same state.
#[derive(Debug)]
pub struct Conn<'a> {
    pub(super) inner: &'a Connection,
    pub(super) max_rows: usize,
}

impl Conn<'_> {
    /// The first row, mapped; `None` if there is none.
    ///
    /// # Errors
    /// What the database says, and what `map` says.
    pub fn query_one<T, E: From<SqlError>>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        map: impl FnOnce(&Row<'_>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        check(params)?;
        let mut statement = self.inner.prepare_cached(sql).map_err(|e| from_driver(&e))?;
        let mut rows =
            statement.query(params_from_iter(params.iter().map(Bound))).map_err(|e| from_driver(&e))?;
        let Some(row) = rows.next().map_err(|e| from_driver(&e))? else { return Ok(None) };
        map(&Row(row)).map(Some)
    }

    /// The first column of the first row; for `SELECT count(*)` and its like.
    ///
    /// # Errors
    /// As [`Conn::query_one`].
    pub fn query_value<T: FromValue>(&self, sql: &str, params: &[Value<'_>]) -> Result<Option<T>, SqlError> {
        self.query_one(sql, params, |row| row.get(0))
    }

    /// All rows, mapped.
    ///
    /// # Errors
    /// What the database says, what `map` says, and [`SqlError::TooManyRows`] past
    /// [`SqliteConfig::max_rows`](super::SqliteConfig::max_rows).
    pub fn query<T, E: From<SqlError>>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let mut all = Vec::new();
        self.for_each(sql, params, |row| {
            if all.len() == self.max_rows {
                return Err(SqlError::TooManyRows { max_rows: self.max_rows }.into());
            }
            all.push(map(row)?);
            Ok::<(), E>(())
        })?;
        Ok(all)
    }

    /// Visits all rows, one at a time, without a bound: nothing is kept.
    ///
    /// # Errors
    /// What the database says, and the first thing that `visit` says.
    pub fn for_each<E: From<SqlError>>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut visit: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        check(params)?;
        let mut statement = self.inner.prepare_cached(sql).map_err(|e| from_driver(&e))?;
        let mut rows =
            statement.query(params_from_iter(params.iter().map(Bound))).map_err(|e| from_driver(&e))?;
        while let Some(row) = rows.next().map_err(|e| from_driver(&e))? {
            visit(&Row(row))?;
        }
        Ok(())
    }
}

/// Told whether the transaction was committed.
pub(super) type Hook = Box<dyn FnOnce(bool) + Send>;

/// A write in progress. What the closure returns as an error rolls back everything it did here, and nothing else.
pub struct Tx<'a> {
    conn: Conn<'a>,
    hooks: RefCell<Vec<Hook>>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(inner: &'a Connection, max_rows: usize) -> Self {
        Self { conn: Conn { inner, max_rows }, hooks: RefCell::default() }
    }

    pub(super) fn into_hooks(self) -> Vec<Hook> {
        self.hooks.into_inner()
    }

    /// Runs one statement; gives the number of rows it changed.
    ///
    /// # Errors
    /// What the database says.
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, SqlError> {
        check(params)?;
        let mut statement = self.conn.inner.prepare_cached(sql).map_err(|e| from_driver(&e))?;
        statement.execute(params_from_iter(params.iter().map(Bound))).map_err(|e| from_driver(&e))
    }

    /// Runs several statements without parameters, separated by `;`. For schemas.
    ///
    /// # Errors
    /// What the database says of the first statement that fails.
    pub fn execute_all(&self, sql: &str) -> Result<(), SqlError> {
        self.conn.inner.execute_batch(sql).map_err(|e| from_driver(&e))
    }

    /// The rowid of the last row inserted through this connection.
    pub fn last_insert_id(&self) -> u64 {
        self.conn.inner.last_insert_rowid().cast_unsigned()
    }

    /// Calls `hook` once on the writer thread when the fate of this write is known: with `true` after the COMMIT,
    /// before anybody is told of it; with `false` after a rollback. Hooks run in the order of the commits, so
    /// memory that follows the database may be updated here. Must be quick, and must not panic.
    pub fn on_end(&self, hook: impl FnOnce(bool) + Send + 'static) {
        self.hooks.borrow_mut().push(Box::new(hook));
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = Conn<'a>;
    fn deref(&self) -> &Conn<'a> {
        &self.conn
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("hooks", &self.hooks.borrow().len()).finish_non_exhaustive()
    }
}
