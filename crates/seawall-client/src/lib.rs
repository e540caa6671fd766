//! Calls to other services that hold when those do not: pooled connections, balancing, retries with a budget, hedging,
//! circuit breakers, throttling, deadlines that shrink on their way down.
//!
//! ```no_run
//! # #[derive(serde::Deserialize)] struct Price { cents: u64 }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use seawall_client::{Client, ClientConfig};
//!
//! let client = Client::new(ClientConfig::default())?;
//! let price: Price = client.get("http://prices.internal/7").json().await?;
//! # let _ = price.cents; Ok(()) }
//! ```
//!
//! # The order of things, from the outside in
//!
//! 1. The call's deadline: the client's `timeout`, the request's, or what the caller of this service has left.
//! 2. Hedging: a second call when the first takes unusually long. Around the retries, since it is about waiting, not
//!    about failure.
//! 3. Retries, within their budget. Outside the breaker, so that each attempt is counted and may go to another address.
//! 4. Per attempt: an address is chosen (power of two choices over peak-EWMA; ejected ones and those tried before are
//!    passed over), its breaker is asked, then the throttle, the bulkhead and the rate of the host. They stand inside the
//!    retries so that no room is held during a back-off.
//! 5. The attempt's time limit: its own, or what is left of the deadline, the shorter.
//! 6. The pool. What is waited for a connection counts against the deadline, not as the address's latency.
//!
//! What this side refuses (breaker open, throttled, no room) is never a failure of the other side, and is not retried.
//! A fallback and a cache belong outside of all this, and to the caller: [`Error::outcome`] is what
//! [`seawall_guard::Fallback`] takes.
//!
//! Left out: redirects, cookies, compressed answers, proxies, HTTP/3.

#![forbid(unsafe_code)]

mod address;
mod balance;
mod body;
mod call;
mod chain;
mod client;
mod clock;
mod config;
mod connect;
mod error;
mod host;
mod latency;
mod measure;
mod policy;
mod pool;
mod random;
mod request;
mod response;

pub use address::Address;
pub use balance::{BalanceConfig, EjectionConfig};
pub use body::BoxError;
#[doc(hidden)]
pub use chain::Chain;
pub use client::{Client, HostFacts};
pub use config::{ClientConfig, HostConfig, PoolConfig, Protocol};
#[cfg(feature = "tls")]
pub use config::{ClientIdentity, TlsConfig};
pub use connect::resolve::{Resolver, Resolving, SystemResolver};
pub use error::{Error, ErrorKind, Phase, Result};
pub use request::RequestBuilder;
pub use response::{Response, ResponseBody};
