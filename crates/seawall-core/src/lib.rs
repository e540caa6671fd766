//! The words that every part of Seawall shares: what became of a piece of work, until when it is wanted, how a
//! configuration is wrong, and what is counted.
//!
//! No runtime, no HTTP, no clock: whoever needs the time passes it in. What is common to two crates but has no
//! meaning of its own does not belong here.

mod config;
mod deadline;
mod histogram;
pub mod metrics;
mod outcome;
pub mod stacks;

pub use config::ConfigError;
pub use deadline::Deadline;
pub use histogram::Histogram;
pub use outcome::{Class, Outcome};
