//! What an operator sees of a running service: metrics, signals, health and the log.
//!
//! | part | what it is |
//! |---|---|
//! | [`exposition`] | a registry's numbers as Prometheus text |
//! | [`Signals`] | the few numbers that tell a bottleneck: CPU, memory, context switches, queues, pools |
//! | [`Health`] | is it alive, is it ready |
//! | `Admin` | all of these over HTTP, on a thread of its own: it answers while every worker is busy |
//! | [`init_logging`] | the log as text on standard error |
//!
//! It measures and shows; it decides nothing. The service's own metrics are registered where they are counted.

#[cfg(feature = "admin")]
mod admin;
#[cfg(any(test, feature = "admin"))]
mod clock;
pub mod exposition;
mod health;
mod log;
#[cfg(feature = "admin")]
mod probes;
mod process;
mod signals;
mod sys;

#[cfg(feature = "admin")]
pub use admin::{Admin, AdminConfig, AdminError};
pub use health::{Health, NotReady};
pub use log::{LogConfig, LogError, init_logging};
#[cfg(feature = "admin")]
pub use probes::probes;
pub use process::ProcessUsage;
pub use signals::{ServerSignals, Signals};
