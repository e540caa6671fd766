//! Admission: who may start now, who waits, who is turned away.
//!
//! ```text
//! offer ──> hard cap ──> deadline ──> cursor ──> bounded queue ──> next: limit, order, staleness ──> WorkPermit
//! ```
//!
//! A limit on what is in flight does nothing for a handler that never yields: the waiting happens in socket buffers.
//! So the driver works in two phases. First it reads all that has arrived and [`offer`](Admission::offer)s each
//! request with the stamp of its arrival; what cannot be served in time is refused there and then. After that it
//! takes what may start with [`next`](Admission::next), for as long as its time slice lasts, and begins to read again.
//! A driver without phases may use [`admit`](Admission::admit), which starts at once if nobody is ahead.
//!
//! | | while all is well | in an overload |
//! |---|---|---|
//! | begins | the queue ran empty | the oldest waited above `max_queue_wait` for `grace`, or no room |
//! | order | oldest first | newest first |
//! | length of the queue | what is served within the grace | what is served within half of `max_queue_wait` |
//! | too old | when its deadline is too near | after `max_queue_wait` |
//! | who comes in | everybody | down to the cursor |
//!
//! `max_queue_wait` is ten mean service times, at least 5 ms, at most a quarter of the deadline. In both states the
//! more important class goes first, tenants of one class take turns, and a newcomer that finds the queue full takes
//! the place of a less important one, or of one from a tenant that has more standing in it.
//!
//! One [`Admission`] belongs to one worker; its lock is contended only by permits that end elsewhere. Workers share
//! a [`Gate`](crate::Gate), the hard cap on all that is queued or in flight; their own limits add up.

mod config;
mod cursor;
mod list;
mod machine;
mod meta;
mod overload;
mod permit;
mod queue;
mod state;
#[cfg(test)]
mod tests;

pub use config::AdmissionConfig;
pub use machine::{Admission, Decision, Next, Ticket};
pub use meta::{Meta, Priority};
pub use permit::WorkPermit;
pub use state::AdmissionFacts;
