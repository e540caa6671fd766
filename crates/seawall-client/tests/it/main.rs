//! The client against real servers, on loopback.

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
