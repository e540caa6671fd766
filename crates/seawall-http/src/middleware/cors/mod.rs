//! Cross-origin resource sharing: which pages of other origins may call this service, and read its answers
//! ([Fetch](https://fetch.spec.whatwg.org/#http-cors-protocol)).
//!
//! It is the browser that enforces it. A request that CORS does not allow still runs here if the browser sends it
//! without a preflight; against that there is [`Csrf`](super::Csrf).

mod origins;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use seawall_core::ConfigError;
use serde::Deserialize;

pub(super) use self::origins::Origins;
use super::answer::Marks;
use super::{Middleware, Next, Step, before, seconds};
use crate::context::Context;
use crate::error::{Result, allow_value};
use crate::respond::Response;

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Where the router knows no methods of a path (404, or before routing): Echo's list.
const COMMON: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, PATCH, POST, DELETE");

/// Who may call from where, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins that may read answers: `https://app.example.com`, `https://*.example.com` for all below a domain, or
    /// `*` for everybody, which excludes credentials. `null` is what sandboxed pages send. Default: none, which is
    /// refused unless [`Cors::allow_origin_if`] is used.
    pub allow_origins: Vec<String>,
    /// Methods that a preflight may ask for. Default, empty: those that the path has.
    pub allow_methods: Vec<String>,
    /// Request headers that a preflight may ask for. Default, empty: whatever it asks for.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read beside the few harmless ones. Default: none.
    pub expose_headers: Vec<String>,
    /// Whether cookies and the `Authorization` of the browser come along. Default false.
    pub allow_credentials: bool,
    /// How long a browser may remember a preflight, in seconds; browsers cut it to a day or less. Zero sends
    /// nothing, and they take 5 s. At most a day. Default 0.
    #[serde(with = "seconds")]
    pub max_age: Duration,
    /// Whether pages of public addresses may call this service at a private one (Private Network Access). Default
    /// false.
    pub allow_private_network: bool,
}

type AllowIf = dyn Fn(&Context, &str) -> bool + Send + Sync;

/// Answers preflights, and tells browsers who may read the other answers.
///
/// It belongs outside of whatever refuses requests (a preflight carries no credentials), on the app or on a group:
/// there it answers preflights for every path below, those that are a 404 or 405 included, so that a script can read
/// the failure of its real request; a request whose method the preflight does not name is not even made. On a single
/// route it sees no preflight. A route that has an OPTIONS handler of its own keeps it, and its answer gets the
/// headers; other OPTIONS requests are not touched at all.
///
/// A hook: answers to requests without an `Origin` cost a `Vary`, nothing else.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Cors, CorsConfig};
///
/// let config = CorsConfig { allow_origins: vec!["https://app.example.com".into()], ..CorsConfig::default() };
/// let app = App::new().with(Cors::new(&config)?).get("/", async || "hello");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Clone)]
pub struct Cors(Arc<Rules>);

#[derive(Clone)]
struct Rules {
    origins: Origins,
    allow_if: Option<Arc<AllowIf>>,
    credentials: bool,
    private_network: bool,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Cors {
    /// Rules as the configuration says.
    ///
    /// # Errors
    /// For `*` or `null` together with credentials, which would let every page act for its visitor; for no origin at
    /// all, and for what is no origin, method, header name or age.
    pub fn new(config: &CorsConfig) -> Result<Self, ConfigError> {
        let rules = Rules::new(config)?;
        if rules.origins.is_empty() {
            let allowed = "at least one origin; with a function, use Cors::allow_origin_if";
            return Err(ConfigError::new("cors.allow_origins", "empty", allowed));
        }
        Ok(Self(Arc::new(rules)))
    }

    /// As [`Cors::new`], where `allow` decides on origins that the list does not name. It should be quick, and must
    /// not say yes to whatever it gets, least of all with credentials.
    ///
    /// # Errors
    /// As [`Cors::new`], but the list may be empty.
    pub fn allow_origin_if(
        config: &CorsConfig,
        allow: impl Fn(&Context, &str) -> bool + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let rules = Rules { allow_if: Some(Arc::new(allow)), ..Rules::new(config)? };
        Ok(Self(Arc::new(rules)))
    }

    /// Answers a preflight, unless the route has an OPTIONS handler of its own.
    fn preflight(&self, c: &Context) -> Option<Response> {
        if !is_preflight(c) || has_own_options(c) {
            return None;
        }
        Some(Response::new(StatusCode::NO_CONTENT, ""))
    }

    /// Puts the headers onto whatever answer there is; a handler's own stay.
    fn mark(&self, c: &Context, answer: &mut Result<Response>) {
        let rules = &*self.0;
        let is_preflight = is_preflight(c);
        let mut answered = Marks::of(answer);
        if !rules.origins.any {
            answered.vary("Origin");
        }
        if is_preflight {
            answered.vary("Access-Control-Request-Method");
            answered.vary("Access-Control-Request-Headers");
        }
        let Some(Ok(origin)) = c.field("origin").map(HeaderValue::from_bytes) else { return };
        if answered.has(&header::ACCESS_CONTROL_ALLOW_ORIGIN) || !rules.allow(c, &origin) {
            return;
        }
        let origin = if rules.origins.any { HeaderValue::from_static("*") } else { origin };
        answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if rules.credentials {
            answered.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if is_preflight {
            rules.grant(c, &mut answered);
        } else if let Some(expose) = &rules.expose {
            answered.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

impl Rules {
    fn new(config: &CorsConfig) -> Result<Self, ConfigError> {
        let CorsConfig {
            allow_origins,
            allow_methods,
            allow_headers,
            expose_headers,
            allow_credentials,
            max_age,
            allow_private_network,
        } = config;
        const DAY: Duration = Duration::from_secs(86_400);
        let origins = Origins::new("cors.allow_origins", allow_origins)?;
        if *allow_credentials && (origins.any || origins.has_null()) {
            let allowed = "false where allow_origins has `*` or `null`: name the origins";
            return Err(ConfigError::new("cors.allow_credentials", true, allowed));
        }
        if *max_age > DAY {
            return Err(ConfigError::new("cors.max_age", format!("{max_age:?}"), "0 to 86400 seconds"));
        }
        let is_method = |text: &str| Method::from_bytes(text.as_bytes()).is_ok();
        let is_header = |text: &str| HeaderName::try_from(text).is_ok();
        Ok(Self {
            origins,
            allow_if: None,
            credentials: *allow_credentials,
            private_network: *allow_private_network,
            methods: list("cors.allow_methods", allow_methods, is_method, "method names")?,
            headers: list("cors.allow_headers", allow_headers, is_header, "header names")?,
            expose: list("cors.expose_headers", expose_headers, is_header, "header names")?,
            max_age: (!max_age.is_zero()).then(|| max_age.as_secs().into()),
        })
    }

    fn allow(&self, c: &Context, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let by_function = || self.allow_if.as_ref().is_some_and(|allow| allow(c, origin));
        self.origins.any || self.origins.name(origin) || by_function()
    }

    /// What an allowed preflight is told.
    fn grant(&self, c: &Context, answered: &mut Marks<'_>) {
        let of_path = || c.other_methods().map_or(COMMON, allow_value);
        let methods = self.methods.clone().unwrap_or_else(of_path);
        answered.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        // Mirroring grants nothing: a client without a browser may send any header anyway.
        let asked = || c.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        if let Some(headers) = self.headers.clone().or_else(asked) {
            answered.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
        }
        if let Some(age) = &self.max_age {
            answered.insert(header::ACCESS_CONTROL_MAX_AGE, age.clone());
        }
        if self.private_network && c.header(REQUEST_PRIVATE_NETWORK) == Some("true") {
            answered.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
    }
}

/// As Fetch tells a preflight from any other OPTIONS.
fn is_preflight(c: &Context) -> bool {
    let has = |name: HeaderName| c.headers().contains_key(name);
    c.method() == Method::OPTIONS && has(header::ORIGIN) && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn has_own_options(c: &Context) -> bool {
    c.matched().is_some_and(|matched| matched.chain.method() == Some(&Method::OPTIONS))
}

/// Names with commas between them; `None` for no names.
fn list(
    field: &'static str,
    names: &[String],
    is_one: impl Fn(&str) -> bool,
    allowed: &str,
) -> Result<Option<HeaderValue>, ConfigError> {
    if let Some(wrong) = names.iter().find(|name| !is_one(name)) {
        return Err(ConfigError::new(field, format!("{wrong:?}"), allowed));
    }
    let text = names.join(", ");
    let value = HeaderValue::try_from(text).expect("names are tokens, and tokens are header values");
    Ok((!names.is_empty()).then_some(value))
}

impl Middleware for Cors {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = match self.preflight(&c) {
            Some(granted) => Ok(granted),
            None => next.run(c.clone()).await,
        };
        self.mark(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        let marks = self.clone();
        before(move |c| Ok(self.preflight(c))).and_after(move |c, answer| marks.mark(c, answer)).into_step()
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors").field("origins", &self.0.origins).finish_non_exhaustive()
    }
}
