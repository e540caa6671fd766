//! At most so many requests at once, streamed answers included.

use std::num::NonZeroU32;
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_guard::Gate;
use serde::Deserialize;

use super::{Middleware, Next, seconds};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

/// How many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConcurrencyLimitConfig {
    /// Requests at once, from here to the end of their answers. At least 1. Default 256.
    pub max_in_flight: u32,
    /// When refused clients shall come back, in seconds, rounded up. Default 1.
    #[serde(with = "seconds")]
    pub retry_after: Duration,
}

impl Default for ConcurrencyLimitConfig {
    fn default() -> Self {
        Self { max_in_flight: 256, retry_after: Duration::from_secs(1) }
    }
}

/// Refuses with 503 and `Retry-After` when so many requests are in flight already; nobody waits.
///
/// A permit is held until the last byte of the answer is written, the client is gone or the handler has failed. The
/// limit is shared by all workers, and by clones: give two groups clones of one limit, and they share the room.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{ConcurrencyLimit, ConcurrencyLimitConfig};
///
/// let limit = ConcurrencyLimit::new(&ConcurrencyLimitConfig { max_in_flight: 64, ..Default::default() })?;
/// let app = App::new().group("/reports", |reports| reports.with(limit).get("/", async || "slow"));
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    gate: Gate,
    retry_after: Duration,
}

impl ConcurrencyLimit {
    /// A limit with all its room free.
    ///
    /// # Errors
    /// If `max_in_flight` is zero.
    pub fn new(config: &ConcurrencyLimitConfig) -> Result<Self, ConfigError> {
        let ConcurrencyLimitConfig { max_in_flight, retry_after } = *config;
        let most = NonZeroU32::new(max_in_flight)
            .ok_or_else(|| ConfigError::new("concurrency_limit.max_in_flight", 0, "at least 1"))?;
        Ok(Self { gate: Gate::new(most), retry_after })
    }
    /// Requests that hold a permit at this moment.
    pub fn in_flight(&self) -> u32 {
        self.gate.in_flight()
    }
}

impl Middleware for ConcurrencyLimit {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let permit =
            self.gate.try_acquire().map_err(|full| Error::from(full).retry_after(self.retry_after))?;
        Ok(next.run(c).await?.hold(permit)) // dropped with the future, if that is dropped
    }
}
