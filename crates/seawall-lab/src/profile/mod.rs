//! Profiles of the service under load.
//!
//! - [`model`]: a profile as plain data; [`frames`]: what is hot in it, and for what. Pure.
//! - [`text`]: profiles out of folded stacks and of what `perf` prints. Pure.
//! - [`take`]: all kinds at once, while the service is under load; [`states`]: off-CPU without privileges.
//! - [`perf`]: of any process, by number; [`fetch`]: from a Seawall service.

pub mod fetch;
pub mod frames;
pub mod model;
pub mod perf;
pub mod states;
pub mod take;
pub mod text;

pub use model::{Frame, MAX_STACKS, Profile, ProfileKind, Stack};
