//! One log event per request, through `tracing`, under the target `seawall::access`.

use super::{Middleware, Next, Step, after};
use crate::clock;
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

/// Logs each request when its answer is ready: method, path, route, status, time in microseconds, peer, request id.
/// The query is left out, because it may carry secrets. A streamed body is still under way then.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessLog;

impl AccessLog {
    fn write(c: &Context, answer: &Result<Response>) {
        let status = match answer {
            Ok(response) => response.status(),
            Err(error) => error.status(),
        };
        let taken = clock::now().saturating_duration_since(c.received_at());
        tracing::info!(
            target: "seawall::access",
            method = %c.method(),
            path = c.path(),
            route = c.route(),
            status = status.as_u16(),
            micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX),
            peer = c.peer().map(tracing::field::display),
            request_id = c.request_id(),
        );
    }
}

impl Middleware for AccessLog {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let answer = next.run(c.clone()).await;
        Self::write(&c, &answer);
        answer
    }
    fn into_step(self) -> Step {
        after(|c, answer| Self::write(c, answer)).into_step()
    }
}
