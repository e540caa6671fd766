//! The data plane: an embedded SQL database with group commit ([`sql`]), an in-process cache ([`cache`]), a durable
//! queue in the same file ([`queue`]), and rate limits that processes share through Redis (`rate`, feature `redis`).
//!
//! Nothing here knows HTTP. Waiting is asynchronous and needs no particular runtime (a timer only where a full queue
//! is waited for); the work itself runs on threads of its own, behind bounded queues. Left out for now: other
//! engines (PostgreSQL, brokers), connection pools, shards.

pub mod cache;
pub mod clock;
pub mod queue;
#[cfg(feature = "redis")]
pub mod rate;
pub mod sql;
