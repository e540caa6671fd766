//! So many requests per time for each caller: the exact limit of `seawall-guard` behind a key, and headers that tell
//! clients how much they have left.

use std::borrow::Cow;
use std::fmt;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use seawall_core::ConfigError;
use seawall_guard::{KeyedRateLimit, KeyedRateLimitConfig, RateLeft, RateLimitConfig, Rejected};
use serde::Deserialize;

use super::answer::headers_mut;
use super::{Middleware, Next, Step, before, seconds};
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Result};
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
    /// Callers told apart at once, 8 to 16,777,216, 17 bytes each. A table that is too small gives newcomers less,
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
    burst: u32,
    policy: HeaderValue,
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
        if *requests == 0 {
            return Err(ConfigError::new("rate_limiter.requests", requests, "at least 1"));
        }
        // Rounded up, so that the limit is never above what was asked for.
        let nanos = per.as_nanos().div_ceil(u128::from(*requests));
        let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let burst = if *burst == 0 { *requests } else { *burst };
        let each = RateLimitConfig { interval, burst };
        let limit = KeyedRateLimit::new(
            &KeyedRateLimitConfig { each, max_keys: *max_keys },
            RandomState::new(),
            clock::now(),
        )?;
        // The window in which a full burst comes back.
        let window = whole_seconds(Duration::from_secs_f64(interval.as_secs_f64() * f64::from(burst)));
        let policy = HeaderValue::try_from(format!("\"{name}\";q={burst};w={window}"));
        let policy = policy.expect("the name is plain, and the rest digits");
        Ok(Self(Arc::new(Limiter { limit, key, headers: *headers, name: name.clone(), burst, policy })))
    }
}

impl Limiter {
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
            headers.append(POLICY, self.policy.clone());
            headers
                .append(LIMIT, HeaderValue::try_from(state).expect("the name is plain, and the rest digits"));
        }
        if matches!(self.headers, RateLimitHeaders::Legacy | RateLimitHeaders::Both) {
            // No lists: of several limits the innermost has spoken already.
            headers.entry(X_LIMIT).or_insert_with(|| self.burst.into());
            headers.entry(X_REMAINING).or_insert_with(|| remaining.into());
            headers.entry(X_RESET).or_insert_with(|| reset.into());
        }
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
            Err(refused) => Err(Error::from(refused)),
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
        f.debug_struct("RateLimiter").field("policy", &self.0.policy).finish_non_exhaustive()
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
