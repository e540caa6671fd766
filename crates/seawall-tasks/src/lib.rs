//! Tasks for services: counted, named, drained at the end; bounded channels; worker pools.
//!
//! What goroutines, channels and `select` are to a Go service. The difference is that everything here has a bound and
//! a name: a task that never ends shows up in [`Tasks::snapshot`], a channel says what happens when it is full, a pool
//! runs so many jobs at once and no more. It runs on tokio; nothing here knows HTTP.

mod channel;
mod clock;
mod each;
mod registry;
mod tasks;
mod workers;

pub use channel::{Overflow, Receiver, SendError, Sender, Sent, TryRecvError, channel};
pub use each::{for_each, map};
pub use registry::{Ended, Site, Snapshot, StuckTask};
pub use tasks::{Full, Task, TaskError, Tasks, TasksConfig};
/// Waits for the first of several futures, as Go's `select` does for channels; the others are dropped.
pub use tokio::select;
pub use workers::{Finished, StartError, Workers, WorkersConfig};
