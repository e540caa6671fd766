//! What an operator sees of a running service: metrics, signals, health and the log.
//!
//! | part | what it is |
//! |---|---|
//! | [`exposition`] | a registry's numbers as Prometheus text |
//! | [`Signals`] | the few numbers that tell a bottleneck: CPU, memory, context switches, queues, pools |
//! | [`Health`] | is it alive, is it ready |
//! | `Pprof` | profiles of a running service that `go tool pprof` opens, and its thread dump |
//! | `sync` | locks whose waits, holders and deadlocks can be seen |
//! | `Admin` | all of these over HTTP, on a thread of its own: it answers while every worker is busy |
//! | [`init_logging`] | the log as text on standard error |
//!
//! It measures and shows; it decides nothing. The service's own metrics are registered where they are counted.

#[cfg(feature = "admin")]
mod admin;
#[cfg(any(test, feature = "admin", feature = "pprof"))]
mod clock;
pub mod exposition;
mod health;
#[cfg(feature = "admin")]
mod live;
mod log;
#[cfg(feature = "pprof")]
mod pprof;
#[cfg(feature = "admin")]
mod probes;
mod process;
#[cfg(all(feature = "pprof", feature = "admin"))]
mod sections;
mod signals;
#[cfg(feature = "pprof")]
pub mod sync;
mod sys;

#[cfg(feature = "admin")]
pub use admin::{Admin, AdminConfig, AdminError};
pub use health::{Health, NotReady};
pub use log::{LogConfig, LogError, init_logging};
#[cfg(all(feature = "pprof", feature = "admin"))]
pub use pprof::tokio_runtime;
#[cfg(feature = "pprof")]
pub use pprof::{CpuMethod, Pprof, PprofConfig, Section, Token, provide_stacks};
#[cfg(feature = "admin")]
pub use probes::probes;
pub use process::ProcessUsage;
pub use signals::{ServerSignals, Signals, ThreadSignals};
/// The allocator whose heap can be profiled. The program has to choose it:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: seawall_observe::Jemalloc = seawall_observe::Jemalloc;
/// ```
#[cfg(feature = "jemalloc")]
pub use tikv_jemallocator::Jemalloc;
