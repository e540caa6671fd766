//! The client against real servers, on loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "these tests are about real time")]

mod balancing;
mod basics;
mod breakers;
mod deadlines;
mod events;
mod hedging;
mod names;
mod nginx;
mod pooling;
mod retries;
mod support;
mod versions;
