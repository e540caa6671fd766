//! The router: one tree over path segments for all methods.
//!
//! Order at each segment: static text, typed parameter (`:id<int>`), parameter (`:id`), rest (`*`), with
//! backtracking. A parameter never crosses a `/` and is never empty. A route that matches the path but not the
//! method does not end the search; if nothing else is found, the answer is 405 with the union of the methods. The
//! path is split at `/` before anything is decoded, so `%2F` is never a separator. The cost grows with the depth of
//! the path, not with the number of routes: a node is visited at most once per look-up.

mod pattern;
#[cfg(test)]
mod tests;
mod tree;
mod url;

pub(crate) use pattern::Pattern;
pub(crate) use tree::{Found, Tree};

/// The most parameters a pattern may have, so that a look-up needs no allocation for them.
pub(crate) const MAX_PARAMS: usize = 8;

/// Where the values of a route's parameters stand in the raw path, in the order of the pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Params {
    spans: [(u32, u32); MAX_PARAMS],
    len: u8,
}

impl Params {
    /// Start and end of each value, in bytes.
    pub(crate) fn spans(&self) -> &[(u32, u32)] {
        &self.spans[..usize::from(self.len)]
    }

    fn push(&mut self, start: usize, end: usize) {
        // Fits: patterns with more parameters are refused, and a head is far smaller than 4 GiB.
        self.spans[usize::from(self.len)] = (start as u32, end as u32);
        self.len += 1;
    }

    fn truncate(&mut self, len: u8) {
        self.len = len;
    }
}
