//! Reads of a database that is as far away as the configuration says.

use seawall::data::sql::{Conn, SqlError};

use super::Parts;
use crate::clock;

impl Parts {
    /// Runs `read` on a reader, which is held for the way there and back as well.
    pub(super) async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        F: FnOnce(&Conn<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqlError> + Send + 'static,
    {
        let away = self.database_away;
        let far = move |conn: &Conn<'_>| {
            clock::on_the_way(away);
            read(conn)
        };
        self.db.read(far).await
    }
}
