//! The access log: one event per request through `tracing` ([`AccessLog`]), or one line per request in a file, written
//! by a thread of its own ([`AccessLines`]: `lines.rs`, `line.rs`, `ring.rs`).

mod line;
mod lines;
mod ring;

use std::time::Duration;

use seawall_core::Class;

use super::{Middleware, Next, Step, before};
use crate::context::{AtTheEnd, Context};
use crate::error::Result;
use crate::measure::Ending;
use crate::respond::Response;

pub use line::{LogField, LogFormat};
pub use lines::{AccessLines, AccessLogConfig, LogTarget};
pub(crate) use lines::{Ended, Lines};

/// Logs each request when it is over, under the target `seawall::access`: method, path, route, status, time in microseconds, peer, client, request id.
///
/// Where they say something: `class` of the error that the answer was made of, `error_type` as in the metrics
/// (`aborted` if the client left before the end, with no status if it left before the answer), and `trace_id` if the
/// caller sent one or somebody asked for it. The query is left out, because it may carry secrets.
///
/// The line is written at the end of a streamed body, and exactly once whatever ends the request: also when a
/// timeout, a panic or a client that goes away drops the handler. What was refused before it came to this middleware
/// has no line.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::AccessLog;
///
/// let app = App::new().with(AccessLog).get("/", async || "hello");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessLog;

impl Middleware for AccessLog {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        c.leave_to_the_end(AtTheEnd::Log);
        next.run(c).await
    }
    fn into_step(self) -> Step {
        before(|c| {
            c.leave_to_the_end(AtTheEnd::Log);
            Ok(None)
        })
        .into_step()
    }
}

pub(crate) fn access_log(c: &Context, ending: Ending, class: Option<Class>, taken: Duration) {
    tracing::info!(
        target: "seawall::access",
        method = %c.method(),
        path = c.path(),
        route = c.route(),
        status = ending.status.map(|status| status.as_u16()),
        error_type = Some(ending.error_type()).filter(|error| !error.is_empty()),
        class = class.map(Class::as_str),
        micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX),
        peer = c.peer().map(tracing::field::display),
        client = c.client_ip().map(tracing::field::display),
        request_id = c.request_id(),
        trace_id = c.known_trace_id(),
    );
}
