//! How long an answer took, for the browser's developer tools
//! ([Server-Timing](https://www.w3.org/TR/server-timing/)).

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::answer::headers_mut;
use super::{Middleware, Next, Step, after};
use crate::clock;
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// What the header says, and who may read it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTimingConfig {
    /// The name of the time from the request's head to the answer's, a token of 1 to 64 characters. Default `total`.
    pub metric: String,
    /// Origins whose scripts may read it (`https://shop.example`, or `*` for all), besides the answer's own; sent as
    /// `Timing-Allow-Origin`. At most 32. Default none.
    pub allow_origins: Vec<String>,
}

impl Default for ServerTimingConfig {
    fn default() -> Self {
        Self { metric: "total".to_owned(), allow_origins: Vec::new() }
    }
}

/// Tells the client with each answer, failures included, how long it took: `Server-Timing: total;dur=1.234`, in
/// milliseconds from the request's head to that of the answer. Browsers show it beside their own times.
///
/// A handler adds times of its own as headers of the same name: `db;dur=0.8`. Everybody can read them, and a time may
/// tell whether something exists; put it where its readers are trusted. For your own eyes there are the
/// [metrics](https://github.com/seawall-rs/seawall/blob/main/docs/METRICS.md).
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{ServerTiming, ServerTimingConfig};
///
/// let app = App::new().with(ServerTiming::new(&ServerTimingConfig::default())?).get("/", async || "hello");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServerTiming {
    metric: String,
    allow_origins: Option<HeaderValue>,
}

impl ServerTiming {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If the metric is no token, or an origin is none.
    pub fn new(config: &ServerTimingConfig) -> Result<Self, ConfigError> {
        let ServerTimingConfig { metric, allow_origins } = config;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !(1..=64).contains(&metric.len()) || !metric.bytes().all(token) {
            let allowed = "a token of 1 to 64 characters";
            return Err(ConfigError::new("server_timing.metric", format!("{metric:?}"), allowed));
        }
        if allow_origins.len() > 32 {
            return Err(ConfigError::new(
                "server_timing.allow_origins",
                allow_origins.len(),
                "at most 32 origins",
            ));
        }
        if let Some(wrong) = allow_origins.iter().find(|origin| !is_origin(origin)) {
            let allowed = "`https://shop.example`, without a path, or `*`";
            return Err(ConfigError::new("server_timing.allow_origins", format!("{wrong:?}"), allowed));
        }
        let origins = HeaderValue::try_from(allow_origins.join(", ")).expect("origins are visible ASCII");
        let allow_origins = Some(origins).filter(|_| !allow_origins.is_empty());
        Ok(Self { metric: metric.clone(), allow_origins })
    }

    fn look(&self, c: &Context, answer: &mut Result<Response>) {
        let taken = clock::now().saturating_duration_since(c.received_at());
        let mut value = String::with_capacity(self.metric.len() + 20);
        write!(value, "{};dur={:.3}", self.metric, taken.as_secs_f64() * 1e3)
            .expect("writing to a string never fails");
        let headers = headers_mut(answer);
        headers.append(SERVER_TIMING, HeaderValue::try_from(value).expect("a token and a number"));
        if let Some(origins) = &self.allow_origins {
            headers.insert(TIMING_ALLOW_ORIGIN, origins.clone());
        }
    }
}

/// `*`, or a scheme and a host with or without a port.
fn is_origin(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return text == "*";
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(fits)
}

impl Middleware for ServerTiming {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = next.run(c.clone()).await;
        self.look(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        after(move |c, answer| self.look(c, answer)).into_step()
    }
}
