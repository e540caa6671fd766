//! Profiles of the service under load.
//!
//! - [`model`]: a profile as plain data.

pub mod model;

pub use model::{Frame, MAX_STACKS, Profile, ProfileKind, Stack};
