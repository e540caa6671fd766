//! Work beside the handler: tasks that end with the request, and tasks that outlive it.

use seawall_tasks::{Full, Task};

use super::Context;
use crate::error::{Error, Result};

impl Context {
    /// Starts a task that ends with the request: when nobody waits for the answer any more (see
    /// [`Context::cancelled`]), its future is dropped and the result is `None`. `name` is for people;
    /// [`App::tasks`](crate::App::tasks) shows what lives under it.
    ///
    /// ```
    /// use seawall_http::{Context, Response, Result};
    ///
    /// async fn price(c: Context) -> Result<Response> {
    ///     let rate = c.spawn("exchange rate", async { 1.08 })?; // runs beside what follows
    ///     let net = 100.0;
    ///     let rate = rate.await?.unwrap_or(1.0);
    ///     c.text(200, format!("{}", net * rate))
    /// }
    /// ```
    ///
    /// # Errors
    /// 503 if there are as many tasks as there may be; the future is dropped then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Result<Task<Option<F::Output>>>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let cancelled = self.cancelled();
        let bound = async move {
            tokio::select! {
                // A future that is done counts, even if the request ended at the same moment.
                biased;
                result = future => Some(result),
                () = cancelled => None,
            }
        };
        self.shared().tasks().spawn(name, bound).map_err(refused)
    }

    /// Starts a task that goes on when the request has ended. The server waits for it when it drains, within
    /// [`ServerConfig::shutdown_timeout`](crate::ServerConfig::shutdown_timeout); what is left then is aborted.
    ///
    /// It is no queue: what must not be lost belongs into the database's outbox.
    ///
    /// # Errors
    /// 503 if there are as many tasks as there may be; the future is dropped then.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn spawn_detached<F>(&self, name: &'static str, future: F) -> Result<Task<F::Output>>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.shared().tasks().spawn(name, future).map_err(refused)
    }
}

fn refused(full: Full) -> Error {
    Error::unavailable("too many tasks").source(full)
}
