//! The laws that every queueing system obeys, as checks and as numbers. All pure.
//!
//! - [`little`]: requests in flight = rate x time in the system.
//! - [`utilisation`]: what the CPU's demand per request allows at most.
//! - [`usl`]: how throughput grows with concurrency (Universal Scalability Law), with bootstrap intervals.

pub mod little;
pub mod usl;
pub mod utilisation;
