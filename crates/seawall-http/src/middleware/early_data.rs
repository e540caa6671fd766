//! Requests that came before the TLS handshake was over, and may therefore be a replay
//! ([RFC 8470](https://www.rfc-editor.org/rfc/rfc8470)).

use http::{HeaderName, Method};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::answer::refuse;
use super::{Middleware, Next, Step, before};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

const EARLY_DATA: HeaderName = HeaderName::from_static("early-data");

/// Which requests may come early.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyDataConfig {
    /// Methods that may be replayed by anybody without harm, 1 to 32. Default: GET, HEAD, OPTIONS, TRACE.
    pub methods: Vec<String>,
}

impl Default for EarlyDataConfig {
    fn default() -> Self {
        Self { methods: ["GET", "HEAD", "OPTIONS", "TRACE"].map(str::to_owned).to_vec() }
    }
}

/// Refuses with 425 what came in TLS early data and may change something; a client sends it again after the handshake.
///
/// It asks the header `Early-Data`, by which a proxy that ends TLS says that a request came early. Nobody gains by
/// sending the header himself: all that he gets is the refusal. A proxy that accepts early data and does not send it
/// leaves the service open to replays; see [`Idempotency`](super::Idempotency) for requests that must not be done twice
/// in any case.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{EarlyData, EarlyDataConfig};
///
/// let app = App::new().with(EarlyData::new(&EarlyDataConfig::default())?).post("/orders", async || "ordered");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct EarlyData {
    methods: Vec<Method>,
}

impl EarlyData {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If there is no method, too many, or one that is none.
    pub fn new(config: &EarlyDataConfig) -> Result<Self, ConfigError> {
        let EarlyDataConfig { methods } = config;
        let read: Option<Vec<_>> =
            methods.iter().map(|name| Method::from_bytes(name.as_bytes()).ok()).collect();
        let methods = read.filter(|read| (1..=32).contains(&read.len())).ok_or_else(|| {
            ConfigError::new("early_data.methods", format!("{methods:?}"), "1 to 32 methods, by name")
        })?;
        Ok(Self { methods })
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        // Whatever its value is: the RFC knows `1` alone, and a proxy says it or says nothing.
        if !c.headers().contains_key(EARLY_DATA) || self.methods.contains(c.method()) {
            return Ok(None);
        }
        refuse(c, || Error::too_early("send this again after the TLS handshake").code("early_data")).map(Some)
    }
}

impl Middleware for EarlyData {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match self.look(&c)? {
            Some(early) => Ok(early),
            None => next.run(c).await,
        }
    }
    fn into_step(self) -> Step {
        before(move |c| self.look(c)).into_step()
    }
}
