//! The checker: compares what the clients saw with what the database holds.
//!
//! It shares no code with the service but the names of the states: a mistake in the service must not hide itself.

pub mod history;
