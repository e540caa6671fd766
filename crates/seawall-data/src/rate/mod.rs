//! Rate limits that several processes share, through Redis. Feature `redis`.
//!
//! [`SharedRateLimit`] is a [`RateStore`](seawall_guard::RateStore): it decides at once, from what this process holds,
//! and never waits for the network. What it holds it leases in blocks: one Lua script in Redis keeps the exact limit
//! (GCRA, whole nanoseconds, Redis's own clock) and debits a block before anybody uses it. A thread of its own asks for
//! the next block when less than half of the last one is left.
//!
//! | what is known of a key | who decides |
//! |---|---|
//! | units are held | they are used up |
//! | none are held, and Redis has not said no | up to a `lease` is given **on trust**, and debited with the next question |
//! | Redis has said no | refused, until the moment that it named |
//! | Redis is gone, or has not answered for 5 ms | the local share: the limit divided by `nodes`, in this process |
//!
//! So a limit holds as follows, for every key and in any span of time `d`, with all processes together:
//!
//! - while Redis answers: at most `burst + d / interval`, plus the slack of `2 x nodes x lease`: one lease for what a
//!   process held at the beginning of the span, one for what it gave on trust. What was given on trust is owed, so in a
//!   long run it is the limit and no more. `lease` bounds the slack; a larger cost counts as the lease.
//! - while Redis is gone: the shares add up to the limit (a share's burst is at least 1), on top of what was held.
//! - a change between the two may give a key one share of its burst more.
//!
//! Trouble of Redis is never the trouble of a request: nothing here returns an error for it. It is seen in
//! `seawall_shared_rate_up` and in one log line per change. When Redis is back, leases begin again by themselves.
//! Units that are lost (an answer that came too late, a process that ended) are never more than a lease per process
//! and key; they make the limit stricter, never looser.
//!
//! Read in this order: `leases.rs` decides, pure and with time as an argument; `gcra.lua` is what Redis does; `store.rs`
//! puts the two together; `link.rs` is the thread that talks to Redis. Left out: Redis Cluster and TLS.

mod config;
mod keys;
mod leases;
mod link;
mod script;
mod store;
#[cfg(test)]
mod tests;

pub use config::{SharedRateLimitConfig, SharedRatesConfig};
pub use keys::SharedKeys;
pub use store::{SharedRateLimit, SharedRates};
