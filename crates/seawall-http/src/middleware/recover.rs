//! Panics as errors, here and not only at the edge.
//!
//! Every request recovers from panics already: the outermost answer is a 500, and the connection goes on. This
//! middleware is for those in between, who should see the failure as they see any other.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::{Middleware, Next};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;
use crate::service::panicked;

/// Turns a panic further in into a 500, so that the middleware further out sees an error and can do its work: set its
/// headers, count, retry. Without it they are dropped as if the client had gone, and the answer is a 500 all the same.
///
/// The message of the panic is for the log. Where it happened, and the stack if `RUST_BACKTRACE` asks for one, are
/// written by the process's panic hook, on standard error, before anybody can catch it.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::Recover;
///
/// let app = App::new().with(Recover).get("/", async || "fine");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Recover;

impl Middleware for Recover {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        // Whatever the panic left half done belonged to this request, and nobody looks at it any more.
        let answer = AssertUnwindSafe(next.run(c)).catch_unwind().await;
        answer.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }
}
