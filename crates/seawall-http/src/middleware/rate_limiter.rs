//! So many requests per time for each caller: the exact limit of `seawall-guard` behind a key, and headers that tell
//! clients how much they have left.

use std::borrow::Cow;
use std::fmt;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use seawall_core::ConfigError;
use seawall_core::metrics::Counter;
use seawall_guard::{KeyedRateLimit, KeyedRateLimitConfig, RateLeft, RateLimitConfig, Rejected};
use serde::{Deserialize, Serialize};

use super::answer::headers_mut;
use super::{Middleware, Next, Step, before, seconds};
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::live_config::LiveConfig;
use crate::respond::Response;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How much each caller may send, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimiterConfig {
    /// Requests that come free within `per`, evenly. At least 1. Default 100.
    pub requests: u32,
    /// The time for them, in seconds; more than zero. Default 60.
    #[serde(with = "seconds")]
    pub per: Duration,
    /// Requests that may come at once after a pause, 1 to 1,000,000. Default, zero: as many as `requests`.
    pub burst: u32,
    /// Callers told apart at once, 7 to 16,777,216, 18 to 37 bytes each. A table that is too small gives newcomers less,
    /// nobody more. Default 65,536.
    pub max_keys: u32,
    /// Leading bits of an IPv6 address that are one caller, 32 to 128. Default 64: a household has all addresses below
    /// such a prefix, and so has an attacker.
    pub ipv6_prefix: u8,
    /// Which headers tell what is left. Default `draft`.
    pub headers: RateLimitHeaders,
    /// The name of the limit in the headers, of letters, digits, `-` and `_`. Default `default`.
    pub name: String,
}

/// What the limit can count.
const LONGEST_INTERVAL: Duration = Duration::from_secs(86_400);

/// What may be changed of a [`RateLimiterConfig`] while the limit works; see [`RateLimiter::live`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateQuota {
    /// As [`RateLimiterConfig::requests`].
    pub requests: u32,
    /// As [`RateLimiterConfig::per`].
    #[serde(with = "seconds")]
    pub per: Duration,
    /// As [`RateLimiterConfig::burst`].
    pub burst: u32,
}

impl RateQuota {
    /// Under the names of this configuration.
    ///
    /// # Errors
    /// If a field is outside its range.
    fn limit(&self) -> Result<RateLimitConfig, ConfigError> {
        let Self { requests, per, burst } = *self;
        if requests == 0 {
            return Err(ConfigError::new("rate_limiter.requests", requests, "at least 1"));
        }
        // Rounded up, so that the limit is never above what was asked for.
        let nanos = per.as_nanos().div_ceil(u128::from(requests));
        let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if per.is_zero() || interval > LONGEST_INTERVAL {
            let allowed = "more than zero, and at most a day for each request";
            return Err(ConfigError::new("rate_limiter.per", format!("{per:?}"), allowed));
        }
        Ok(RateLimitConfig { interval, burst: if burst == 0 { requests } else { burst } })
    }
}

/// What is in force, and how it is told.
struct InForce {
    quota: RateQuota,
    burst: u32,
    policy: HeaderValue,
}

impl InForce {
    fn new(quota: RateQuota, limit: RateLimitConfig, name: &str) -> Self {
        let RateLimitConfig { interval, burst } = limit;
        // The window in which a full burst comes back.
        let window = whole_seconds(Duration::from_secs_f64(interval.as_secs_f64() * f64::from(burst)));
        let policy = HeaderValue::try_from(format!("\"{name}\";q={burst};w={window}"));
        Self { quota, burst, policy: policy.expect("the name is plain, and the rest digits") }
    }
}

/// Which headers tell clients what they have left. All but `None` cost the middleware a future.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitHeaders {
    /// `Retry-After` on a refusal, and nothing else.
    None,
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
    #[default]
    Draft,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last in seconds from now.
    Legacy,
    /// Both.
    Both,
}

impl Default for RateLimiterConfig {
    fn default() -> Self {
        Self {
            requests: 100,
            per: Duration::from_secs(60),
            burst: 0,
            max_keys: 65_536,
            ipv6_prefix: 64,
            headers: RateLimitHeaders::default(),
            name: "default".to_owned(),
        }
    }
}

type KeyOf = dyn for<'c> Fn(&'c Context) -> Option<Cow<'c, str>> + Send + Sync;

/// Refuses with 429 and `Retry-After` what a caller sends above its rate. Refused requests cost the caller nothing.
///
/// The limit is kept by this process and shared by all its workers; clones share it, too. Every request counts, those
/// for paths that do not exist included. Behind a proxy the caller is the proxy, until
/// [`App::trust_proxies`](crate::App::trust_proxies) says whom to believe.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{RateLimiter, RateLimiterConfig};
/// use std::time::Duration;
///
/// let config = RateLimiterConfig { requests: 10, per: Duration::from_secs(1), ..RateLimiterConfig::default() };
/// let app = App::new().with(RateLimiter::new(&config)?).get("/", async || "hello");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Clone)]
pub struct RateLimiter(Arc<Limiter>);

struct Limiter {
    limit: KeyedRateLimit<RandomState>,
    key: Key,
    headers: RateLimitHeaders,
    name: String,
    now: ArcSwap<InForce>,
    /// Of the app that it is in; looked up at the first refusal.
    denied: OnceLock<Counter>,
}

enum Key {
    ClientIp { ipv6_prefix: u8 },
    Header(HeaderName),
    Function(Box<KeyOf>),
}

/// What is counted under; hashed by the limit.
#[derive(Hash)]
enum Caller<'c> {
    Address(IpAddr),
    Text(&'c str),
    /// All who cannot be told apart share one limit.
    Nobody,
}

impl RateLimiter {
    /// A limit per client address, as [`Context::client_ip`] knows it.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        let prefix = config.ipv6_prefix;
        if !(32..=128).contains(&prefix) {
            return Err(ConfigError::new("rate_limiter.ipv6_prefix", prefix, "32 to 128"));
        }
        Self::with_key(config, Key::ClientIp { ipv6_prefix: prefix })
    }

    /// A limit per value of a header, for example of an API key that was checked further out. A client can choose its
    /// header: without such a check this limits nobody. Requests without it share one limit.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn by_header(config: &RateLimiterConfig, header: HeaderName) -> Result<Self, ConfigError> {
        Self::with_key(config, Key::Header(header))
    }

    /// A limit per what `key` gives: a user, a tenant, a route. `None` shares one limit with all others.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn by(
        config: &RateLimiterConfig,
        key: impl for<'c> Fn(&'c Context) -> Option<Cow<'c, str>> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        Self::with_key(config, Key::Function(Box::new(key)))
    }

    fn with_key(config: &RateLimiterConfig, key: Key) -> Result<Self, ConfigError> {
        let RateLimiterConfig { requests, per, burst, max_keys, ipv6_prefix: _, headers, name } = config;
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(in_name) {
            let allowed = "letters, digits, `-` and `_`";
            return Err(ConfigError::new("rate_limiter.name", format!("{name:?}"), allowed));
        }
        let quota = RateQuota { requests: *requests, per: *per, burst: *burst };
        let each = quota.limit()?;
        let limit = KeyedRateLimit::new(
            &KeyedRateLimitConfig { each, max_keys: *max_keys },
            RandomState::new(),
            clock::now(),
        )
        .map_err(named)?;
        let now = ArcSwap::from_pointee(InForce::new(quota, each, name));
        Ok(Self(Arc::new(Limiter {
            limit,
            key,
            headers: *headers,
            name: name.clone(),
            now,
            denied: OnceLock::new(),
        })))
    }

    /// A handle that changes how much each caller may send while the limit works, for all clones of it. Its name is
    /// `rate_limiter.` and the limit's own. Nobody's debts are forgotten: who had to wait a second still has to, at most
    /// until a whole new burst is owed.
    ///
    /// ```
    /// use seawall_http::middleware::{RateLimiter, RateLimiterConfig};
    ///
    /// let limiter = RateLimiter::new(&RateLimiterConfig::default())?;
    /// let live = limiter.live()?;
    /// live.set_json(r#"{"requests": 20, "per": 1}"#, "an example")?;
    /// # Ok::<(), seawall_http::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the limit's name is too long for the name of a configuration.
    pub fn live(&self) -> Result<LiveConfig<RateQuota>, ConfigError> {
        let limiter = Arc::clone(&self.0);
        let apply = move |quota: &RateQuota| limiter.change(*quota);
        LiveConfig::new(format!("rate_limiter.{}", self.0.name), self.0.now.load().quota, apply)
    }
}

impl Limiter {
    fn change(&self, quota: RateQuota) -> Result<(), ConfigError> {
        let each = quota.limit()?;
        self.limit.reconfigure(&each).map_err(named)?;
        self.now.store(Arc::new(InForce::new(quota, each, &self.name)));
        Ok(())
    }

    fn take(&self, c: &Context) -> Result<RateLeft, Rejected> {
        let take = |caller: &Caller<'_>| self.limit.take_and_tell(caller, 1, clock::now());
        match &self.key {
            Key::ClientIp { ipv6_prefix } => match c.client_ip() {
                Some(address) => take(&Caller::Address(network(address, *ipv6_prefix))),
                None => take(&Caller::Nobody),
            },
            Key::Header(name) => take(&c.header(name).map_or(Caller::Nobody, Caller::Text)),
            Key::Function(key) => take(&key(c).as_deref().map_or(Caller::Nobody, Caller::Text)),
        }
    }

    fn note_denied(&self, c: &Context) {
        let counter = || {
            let help = "Requests that a rate limit refused, by the limit's name.";
            c.shared().registry().counter("seawall_rate_limit_denied_total", help, &[("limit", &self.name)])
        };
        self.denied.get_or_init(counter).inc();
    }

    /// What is left after an admission, or how long until there is something again.
    fn tell(&self, taken: Result<RateLeft, Rejected>, answer: &mut Result<Response>) {
        let (remaining, reset) = match taken {
            Ok(left) => (left.remaining, left.full_in),
            Err(refused) => (0, refused.retry_after().unwrap_or_default()),
        };
        let reset = whole_seconds(reset);
        let headers = headers_mut(answer);
        if matches!(self.headers, RateLimitHeaders::Draft | RateLimitHeaders::Both) {
            let state = format!("\"{}\";r={remaining};t={reset}", self.name);
            // Lists: a limit further out adds its own.
            headers.append(POLICY, self.now.load().policy.clone());
            headers
                .append(LIMIT, HeaderValue::try_from(state).expect("the name is plain, and the rest digits"));
        }
        if matches!(self.headers, RateLimitHeaders::Legacy | RateLimitHeaders::Both) {
            // No lists: of several limits the innermost has spoken already.
            headers.entry(X_LIMIT).or_insert_with(|| self.now.load().burst.into());
            headers.entry(X_REMAINING).or_insert_with(|| remaining.into());
            headers.entry(X_RESET).or_insert_with(|| reset.into());
        }
    }
}

/// A problem of the limit itself, under the name that the field has here.
fn named(error: ConfigError) -> ConfigError {
    match error.field() {
        "rate_limit.burst" => error.renamed("rate_limiter.burst"),
        "rate_limit.max_keys" => error.renamed("rate_limiter.max_keys"),
        _ => error,
    }
}

/// Rounded up: who comes back by that time finds what was promised.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The caller that an address belongs to.
fn network(address: IpAddr, ipv6_prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - u32::from(ipv6_prefix));
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

impl Middleware for RateLimiter {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let taken = self.0.take(&c);
        let mut answer = match taken {
            Ok(_) => next.run(c).await,
            Err(refused) => {
                self.0.note_denied(&c);
                Err(Error::from(refused))
            }
        };
        self.0.tell(taken, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        if self.0.headers != RateLimitHeaders::None {
            return Step::around(self);
        }
        before(move |c| {
            self.0.take(c)?;
            Ok(None)
        })
        .into_step()
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("policy", &self.0.now.load().policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, prefix: u8, expected: &str) {
        let network = network(address.parse().unwrap(), prefix);
        assert_eq!(network, expected.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_ipv4_address_is_a_caller() {
        check("203.0.113.7", 32, "203.0.113.7");
    }
    #[test]
    fn an_ipv6_network_is_a_caller() {
        check("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::");
        check("2001:db8:1:2:3:4:5:6", 56, "2001:db8:1::");
        check("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6");
        check("2001:db8:1:2:3:4:5:6", 32, "2001:db8::");
    }
}
