//! (being written)

/// Placeholder.
#[derive(Debug, Default, Clone)]
pub struct Histogram;
