//! How a client behaves. Plain values with defaults, checked when the client is made.

use std::collections::BTreeMap;
#[cfg(feature = "tls")]
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_guard::{
    BreakerConfig, HedgeConfig, RateLimitConfig, RetryBudgetConfig, RetryConfig, ThrottleConfig,
};

use crate::address::Address;
use crate::balance::{BalanceConfig, EjectionConfig};
use crate::connect::resolve::{Resolver, SystemResolver};

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/2 where TLS agrees upon it, HTTP/1.1 else.
    #[default]
    Auto,
    /// HTTP/1.1 always.
    Http1,
    /// HTTP/2 always, without TLS too: the other side must know ("prior knowledge").
    Http2,
}

/// How a client behaves. Retries, budget, throttle, breakers, ejection and all caps are per host (scheme, name and
/// port of the URL); breakers and connections per address of it.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// A call from begin to end, retries and the whole answer included, unless the request says otherwise. 1 ms to 1
    /// day. Default 10 s.
    pub timeout: Duration,
    /// One attempt, up to the head of its answer. 1 ms to 1 day. Default 5 s.
    pub attempt_timeout: Duration,
    /// TCP, TLS and HTTP handshake; also one question to the resolver. 1 ms to 1 minute. Default 1 s.
    pub connect_timeout: Duration,
    /// Taken off what is left for an attempt, so that its failure can still be told in time. At most 1 minute. Default
    /// 2 ms.
    pub margin: Duration,
    /// The time left is sent along in `Seawall-Timeout-Ms`. Default yes.
    pub send_deadline: bool,
    /// The most that is read of an answer that is taken as a whole, up to 1 GiB. Default 8 MiB. Streams are not bound.
    pub max_body: usize,
    /// The most that is read of an answer's head, 8 KiB to 1 MiB. Default 64 KiB.
    pub max_head: usize,
    /// `User-Agent`, unless the request sets one. Default `seawall/` and the version.
    pub user_agent: String,
    /// Which version of HTTP is spoken. Default [`Protocol::Auto`].
    pub protocol: Protocol,
    /// Hosts that are known beforehand, by the name in the URL. Only they have names in metrics. At most `max_hosts`.
    pub hosts: BTreeMap<String, HostConfig>,
    /// How many hosts are remembered, 1 to 65,536; beyond it the one used longest ago is forgotten. Default 256.
    pub max_hosts: usize,
    /// Finds addresses of names. Default the system's.
    pub resolver: Arc<dyn Resolver>,
    /// How long addresses are good. 10 ms to 1 day. Default 30 s.
    pub dns_ttl: Duration,
    /// The most addresses that are used of a host, 1 to 256. Default 32.
    pub max_addresses: usize,
    /// Connections.
    pub pool: PoolConfig,
    /// Calls at once to a host, answers included that are still being read: a bulkhead. 1 to 1,000,000. Default 1,024.
    pub max_in_flight: u32,
    /// Calls per second to a host. Default none.
    pub rate: Option<RateLimitConfig>,
    /// How its addresses share the load.
    pub balance: BalanceConfig,
    /// When an address is left alone because the others do better; `None` is never.
    pub ejection: Option<EjectionConfig>,
    /// When an address is left alone because it fails; `None` is never. Default guard's, but that one answer with
    /// `Retry-After` does not open it: the call that got it waits, the others go on.
    pub breaker: Option<BreakerConfig>,
    /// When calls are held back because most are refused; `None` is never.
    pub throttle: Option<ThrottleConfig>,
    /// How often and when a failed call is made again. `max: 0` switches it off.
    pub retry: RetryConfig,
    /// How many calls may be made again.
    pub retry_budget: RetryBudgetConfig,
    /// When a second call is made because the first takes long; default never.
    pub hedge: Option<HedgeConfig>,
    /// Certificates.
    #[cfg(feature = "tls")]
    pub tls: TlsConfig,
}

/// What is known of a host beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Where it is. Empty: what the resolver says.
    pub addresses: Vec<Address>,
}

/// Connections to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Open at once, being opened included. 1 to 65,536. Default 128.
    pub max_connections: u32,
    /// Calls that wait for one at once, 0 to 1,000,000. Default 256.
    pub max_pending: u32,
    /// How long they wait, at most 1 minute. Default 1 s.
    pub max_wait: Duration,
    /// An idle connection is closed after this, 1 ms to 1 day. Shorter than the servers' own, so that we close first.
    /// Default 30 s.
    pub idle_timeout: Duration,
    /// No request is sent on a connection that is older, give or take a tenth, so that new instances get their share.
    /// 10 ms to 30 days. Default 10 minutes.
    pub max_age: Duration,
    /// Nor on one that has had so many, from 1. Default any.
    pub max_requests: u32,
    /// Requests at once on a connection of HTTP/2, 1 to 10,000, if the other side allows as many. Default 100.
    pub max_streams: u32,
}

/// TLS to other services.
#[cfg(feature = "tls")]
#[derive(Clone, Default)]
pub struct TlsConfig {
    /// Certificates of the authorities that are trusted, in PEM, instead of the system's. Default: the system's.
    pub ca: Option<Vec<u8>>,
    /// Who we are, where a service asks for a certificate. Default none.
    pub identity: Option<ClientIdentity>,
}

/// A client's certificate and its key, in PEM.
#[cfg(feature = "tls")]
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate, then its chain.
    pub certificates: Vec<u8>,
    /// The key, not encrypted.
    pub key: Vec<u8>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            margin: Duration::from_millis(2),
            send_deadline: true,
            max_body: 8 << 20,
            max_head: 64 << 10,
            user_agent: concat!("seawall/", env!("CARGO_PKG_VERSION")).to_owned(),
            protocol: Protocol::Auto,
            hosts: BTreeMap::new(),
            max_hosts: 256,
            resolver: Arc::new(SystemResolver),
            dns_ttl: Duration::from_secs(30),
            max_addresses: 32,
            pool: PoolConfig::default(),
            max_in_flight: 1_024,
            rate: None,
            balance: BalanceConfig::default(),
            ejection: Some(EjectionConfig::default()),
            breaker: Some(BreakerConfig { honour_retry_after: false, ..BreakerConfig::default() }),
            throttle: Some(ThrottleConfig::default()),
            retry: RetryConfig::default(),
            retry_budget: RetryBudgetConfig::default(),
            hedge: None,
            #[cfg(feature = "tls")]
            tls: TlsConfig::default(),
        }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: 128,
            max_pending: 256,
            max_wait: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(600),
            max_requests: u32::MAX,
            max_streams: 100,
        }
    }
}

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The longest that any call may take.
pub(crate) const LONGEST_CALL: Duration = DAY;

impl ClientConfig {
    /// All of it that nobody else checks.
    ///
    /// # Errors
    /// The first field that is outside its range.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        length("client.timeout", self.timeout, MS, LONGEST_CALL)?;
        length("client.attempt_timeout", self.attempt_timeout, MS, LONGEST_CALL)?;
        length("client.connect_timeout", self.connect_timeout, MS, MINUTE)?;
        length("client.margin", self.margin, Duration::ZERO, MINUTE)?;
        length("client.dns_ttl", self.dns_ttl, 10 * MS, DAY)?;
        amount("client.max_body", self.max_body, 0, 1 << 30)?;
        amount("client.max_head", self.max_head, 8 << 10, 1 << 20)?;
        amount("client.max_hosts", self.max_hosts, 1, 65_536)?;
        amount("client.hosts", self.hosts.len(), 0, self.max_hosts)?;
        amount("client.max_addresses", self.max_addresses, 1, 256)?;
        amount("client.max_in_flight", self.max_in_flight as usize, 1, 1_000_000)?;
        for host in self.hosts.values() {
            amount("client.hosts.addresses", host.addresses.len(), 0, self.max_addresses)?;
        }
        if http::HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(ConfigError::new("client.user_agent", "not visible ASCII", "visible ASCII"));
        }
        self.pool.check()?;
        self.balance.check()?;
        self.ejection.iter().try_for_each(EjectionConfig::check)
    }
}

impl PoolConfig {
    fn check(&self) -> Result<(), ConfigError> {
        amount("client.pool.max_connections", self.max_connections as usize, 1, 65_536)?;
        amount("client.pool.max_pending", self.max_pending as usize, 0, 1_000_000)?;
        length("client.pool.max_wait", self.max_wait, Duration::ZERO, MINUTE)?;
        length("client.pool.idle_timeout", self.idle_timeout, MS, DAY)?;
        length("client.pool.max_age", self.max_age, 10 * MS, 30 * DAY)?;
        amount("client.pool.max_requests", self.max_requests as usize, 1, u32::MAX as usize)?;
        amount("client.pool.max_streams", self.max_streams as usize, 1, 10_000)
    }
}

fn length(field: &'static str, value: Duration, least: Duration, most: Duration) -> Result<(), ConfigError> {
    let fits = (least..=most).contains(&value);
    let allowed = || format!("{least:?} to {most:?}");
    if fits { Ok(()) } else { Err(ConfigError::new(field, format!("{value:?}"), allowed())) }
}

fn amount(field: &'static str, value: usize, least: usize, most: usize) -> Result<(), ConfigError> {
    let fits = (least..=most).contains(&value);
    if fits { Ok(()) } else { Err(ConfigError::new(field, value, format!("{least} to {most}"))) }
}

#[cfg(feature = "tls")]
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ca = self.ca.as_ref().map(Vec::len);
        f.debug_struct("TlsConfig").field("ca_bytes", &ca).field("identity", &self.identity).finish()
    }
}

#[cfg(feature = "tls")]
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}
