//! Time limits on an answer: until its head, between the pieces of its body, and in all.
//!
//! Nothing runs on after a limit: the future of everything further in is dropped, and with it whatever it held, so that
//! no late answer can meet an early one.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context as Waker, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use seawall_core::ConfigError;
use serde::Deserialize;
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

use super::{Middleware, Next};
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::{Around, BodyFailed, Response, WireBody};

/// How long an answer may take. Each limit is in milliseconds, 1 to 86,400,000 (a day); none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutConfig {
    /// Until the handler has answered. Then: 504. Default 30,000.
    pub answer_ms: Option<u64>,
    /// How long the producer of a streamed body may be silent. The time in which the client does not read does not
    /// count. Default 30,000.
    pub gap_ms: Option<u64>,
    /// From this middleware until the last byte of a streamed body was handed to the connection. Default none: a
    /// download may take its time.
    pub total_ms: Option<u64>,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self { answer_ms: Some(30_000), gap_ms: Some(30_000), total_ms: None }
    }
}

const MOST: u64 = 86_400_000;

/// Limits how long an answer may take. Before its head that is a 504 and the handler is dropped; once the head is sent
/// there is no status left to change, so the body is broken off: the connection is cut, or the HTTP/2 stream reset, and
/// the client sees that it is not whole.
///
/// Inside, [`Context::deadline`] is the end of `answer_ms`, if no earlier one is set. A limit on a body is looked at
/// while the connection asks for more; a client that does not read is the business of the server's own limits. Server
/// sent events count as a streamed body, with their comments as pieces. For one route and its head alone there is the
/// shorter [`timeout`](crate::RouteOptions::timeout).
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Timeout, TimeoutConfig};
///
/// let config = TimeoutConfig { answer_ms: Some(2_000), ..TimeoutConfig::default() };
/// let app = App::new().with(Timeout::new(&config)?).get("/", async || "in time");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    answer: Option<Duration>,
    gap: Option<Duration>,
    total: Option<Duration>,
}

impl Timeout {
    /// Checks the configuration.
    ///
    /// # Errors
    /// For a limit of zero, or above a day.
    pub fn new(config: &TimeoutConfig) -> Result<Self, ConfigError> {
        let TimeoutConfig { answer_ms, gap_ms, total_ms } = *config;
        let checked = |field, limit: Option<u64>| match limit {
            Some(ms) if !(1..=MOST).contains(&ms) => Err(ConfigError::new(field, ms, format!("1 to {MOST}"))),
            limit => Ok(limit.map(Duration::from_millis)),
        };
        Ok(Self {
            answer: checked("timeout.answer_ms", answer_ms)?,
            gap: checked("timeout.gap_ms", gap_ms)?,
            total: checked("timeout.total_ms", total_ms)?,
        })
    }

    async fn answer(&self, c: Context, next: Next) -> Result<Response> {
        // A body that is never streamed is sent with its head, so that the total holds for it too.
        let Some(limit) = self.answer.into_iter().chain(self.total).min() else { return next.run(c).await };
        let tightened = c.tighten(limit);
        let end = tightened.deadline().instant();
        let mut answer = pin!(next.run(c));
        // Made when there is something to wait for: most answers are there before that.
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end.into())));
            // However much of the task's turn the handler has used up.
            pin!(unconstrained(timer)).poll(cx).map(|()| Err(Error::deadline_exceeded()))
        })
        .await
    }
}

impl Middleware for Timeout {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let end = self.total.map(|total| clock::now() + total);
        let mut response = self.answer(c, next).await?;
        if response.bytes().is_none() && (end.is_some() || self.gap.is_some()) {
            response.map_body(Limited { gap: self.gap, end, waiting_since: None, timer: None });
        }
        Ok(response)
    }
}

/// A body whose producer has only so much time.
struct Limited {
    gap: Option<Duration>,
    end: Option<Instant>,
    /// Since when the connection waits for a piece.
    waiting_since: Option<Instant>,
    /// Made when there is something to wait for. In a `Mutex` only to be `Sync`.
    timer: Option<Mutex<Pin<Box<Sleep>>>>,
}

impl Limited {
    /// When what is waited for now must have come.
    fn due(&self, since: Instant) -> Option<Instant> {
        self.gap.map(|gap| since + gap).into_iter().chain(self.end).min()
    }

    fn poll_timer(&mut self, due: Instant, cx: &mut Waker<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Mutex::new(Box::pin(sleep_until(due.into()))));
        let timer = timer.get_mut();
        if timer.deadline() != due.into() {
            timer.as_mut().reset(due.into());
        }
        timer.as_mut().poll(cx)
    }
}

impl Around for Limited {
    fn poll_next(
        &mut self,
        inner: &mut WireBody,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let now = clock::now();
        if self.end.is_some_and(|end| now >= end) {
            return Poll::Ready(Some(Err(too_slow("the answer's body took too long").into())));
        }
        if let Poll::Ready(piece) = Pin::new(inner).poll_frame(cx) {
            self.waiting_since = None;
            return Poll::Ready(piece);
        }
        let since = *self.waiting_since.get_or_insert(now);
        let Some(due) = self.due(since) else { return Poll::Pending };
        self.poll_timer(due, cx)
            .map(|()| Some(Err(too_slow("the producer of the answer's body was silent too long").into())))
    }
    fn length(&self, inner: Option<u64>) -> Option<u64> {
        inner
    }
}

/// For the log: the client sees the body break off.
fn too_slow(problem: &'static str) -> Error {
    Error::deadline_exceeded().source(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_checked() {
        let refused = |config: TimeoutConfig| Timeout::new(&config).unwrap_err().to_string();
        let text = refused(TimeoutConfig { answer_ms: Some(0), ..Default::default() });
        assert_eq!(text, "`timeout.answer_ms` is 0, but must be 1 to 86400000");
        let text = refused(TimeoutConfig { total_ms: Some(MOST + 1), ..Default::default() });
        assert_eq!(text, "`timeout.total_ms` is 86400001, but must be 1 to 86400000");
    }
}
