//! How shared limits are configured, and the checks.

use std::fmt;
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_guard::RateLimitConfig;

/// Where the limits are shared, and between how many.
#[derive(Clone)]
pub struct SharedRatesConfig {
    /// Redis: `redis://[user:password@]host[:port][/db]`, or `unix:///path`. Never shown or logged. Default
    /// `redis://127.0.0.1:6379`.
    pub url: String,
    /// How many processes share the limits, 1 to 10,000: while Redis is gone each of them gives its share. Default 1.
    pub nodes: u32,
    /// What all keys in Redis begin with, 1 to 64 of letters, digits, `-`, `_` and `:`. Default `seawall:rate`.
    pub prefix: String,
    /// How long an answer of Redis is waited for, 1 ms to 1 s. What is not answered by then is decided by the local
    /// share. Default 5 ms.
    pub timeout: Duration,
}

impl Default for SharedRatesConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            nodes: 1,
            prefix: "seawall:rate".to_owned(),
            timeout: Duration::from_millis(5),
        }
    }
}

impl fmt::Debug for SharedRatesConfig {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, nodes, prefix, timeout } = self;
        f.debug_struct("SharedRatesConfig")
            .field("nodes", nodes)
            .field("prefix", prefix)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

impl SharedRatesConfig {
    pub(super) fn check(&self) -> Result<redis::Client, ConfigError> {
        let Self { url, nodes, prefix, timeout } = self;
        if !(1..=10_000).contains(nodes) {
            return Err(ConfigError::new("shared_rates.nodes", nodes, "1 to 10000"));
        }
        check_name("shared_rates.prefix", prefix)?;
        if !(Duration::from_millis(1)..=Duration::from_secs(1)).contains(timeout) {
            return Err(ConfigError::new("shared_rates.timeout", format_args!("{timeout:?}"), "1 ms to 1 s"));
        }
        // Neither the URL nor the error of the parser is repeated: both may hold the password.
        redis::Client::open(url.as_str()).map_err(|_| {
            let allowed = "redis://[user:password@]host[:port][/db] or unix:///path";
            ConfigError::new("shared_rates.url", "not a URL of Redis", allowed)
        })
    }
}

/// One limit that is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRateLimitConfig {
    /// Its name, in Redis and in metrics: the same in all processes, different for each limit. 1 to 64 of letters,
    /// digits, `-`, `_` and `:`. Default `default`.
    pub name: String,
    /// What one key may have, over all processes. The interval is at least 1 us. A burst below what comes free in
    /// 20 ms wastes a part of the rate, since Redis is not asked more often than every 10 ms for a key that is at its
    /// limit.
    pub each: RateLimitConfig,
    /// Units that are leased at once, and the most that is given on trust before Redis has answered, 0 to `each.burst`.
    /// A burst of more than this within one round trip to Redis is cut. Default, 0: `burst / (2 x nodes)`, at
    /// least 1, at most 1,000, which makes the slack one burst.
    pub lease: u32,
    /// Keys that this process knows at once, 8 to 16,777,216, rounded up to a power of two; about 80 bytes each, taken
    /// at the start. Beyond that the local share decides. Default 65,536.
    pub max_keys: u32,
}

impl Default for SharedRateLimitConfig {
    fn default() -> Self {
        Self { name: "default".to_owned(), each: RateLimitConfig::default(), lease: 0, max_keys: 65_536 }
    }
}

impl SharedRateLimitConfig {
    /// The lease, and the limit's part that one of `nodes` gives by itself.
    pub(super) fn check(&self, nodes: u32) -> Result<(u32, RateLimitConfig), ConfigError> {
        let Self { name, each, lease, max_keys: _ } = self;
        check_name("shared_rate_limit.name", name)?;
        if each.interval < Duration::from_micros(1) {
            let found = format_args!("{:?}", each.interval);
            return Err(ConfigError::new("shared_rate_limit.each.interval", found, "1 us to 1 day"));
        }
        if *lease > each.burst {
            let allowed = format_args!("0 to {} (each.burst)", each.burst).to_string();
            return Err(ConfigError::new("shared_rate_limit.lease", lease, allowed));
        }
        let default = (each.burst / nodes.saturating_mul(2)).clamp(1, 1_000);
        let lease = if *lease == 0 { default } else { *lease };
        // A day is the longest interval that the limiter of one process takes. A share that is slower than one unit a
        // day is rounded up to that.
        let interval = each.interval.saturating_mul(nodes).min(Duration::from_secs(86_400));
        let share = RateLimitConfig { interval, burst: (each.burst / nodes).max(1) };
        Ok((lease, share))
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    let allowed = "1 to 64 of letters, digits, `-`, `_` and `:`";
    Err(ConfigError::new(field, format_args!("{name:?}"), allowed))
}
