//! The router: one tree over path segments for all methods, and regular expressions behind it.
//!
//! # Precedence
//! A path is split at `/` before anything is decoded, so `%2F` is never a separator. Then segment by segment, from
//! the left, the first of these that leads to a route for the method:
//!
//! 1. static text: `/users/new`;
//! 2. a parameter with a constraint: `/users/:id<int>`; of several, the longer text around it, then the narrower range;
//! 3. a parameter with text around it: `/v:version`, `/:name.json`; the longer prefix first, then the longer suffix;
//! 4. a parameter: `/users/:name`;
//! 5. the rest: `/users/*`, `/users/*path`.
//!
//! Where a way leads nowhere the search goes back. The order is total, and the order of registration plays no part in
//! it. Only then regular expressions (`~/v[0-9]+`) are tried, for the whole path, in the order of registration. A
//! parameter never crosses a `/` and is never empty; a rest may be empty, but its slash must be there. A route that
//! matches the path but not the method does not end the search; if nothing else is found, the answer is 405 with the
//! union of the methods. Static text and constraints see a segment decoded, once.
//!
//! The order is that of [`pattern::precedence`]; why no path makes the search long is in [`search`].
//!
//! Read `pattern.rs`, `trie.rs` (what was inserted), `packed.rs` (what is read), `search.rs`; `table.rs` is the door for
//! tools.

mod constraint;
mod explain;
mod expression;
mod methods;
mod packed;
mod pattern;
mod raw;
mod search;
mod table;
#[cfg(feature = "openapi")]
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod trie;
mod url;

pub(crate) use pattern::{Pattern, joined};
pub(crate) use tree::{Found, InsertError, Tree};

pub use table::{AddError, Match, Resolution, RouteTable};

/// The most parameters a pattern may have, so that a look-up needs no allocation for them.
pub(crate) const MAX_PARAMS: usize = 8;

/// Whether a parameter is called `name`. That of a rest is `*`, and what may be behind the star.
pub(crate) fn is_called(parameter: &str, name: &str) -> bool {
    parameter == name
        || parameter.strip_prefix('*').is_some_and(|own| name == "*" || (!own.is_empty() && own == name))
}

/// What people call a parameter: a rest that has a name of its own, by that.
pub(crate) fn own_name(parameter: &str) -> &str {
    parameter.strip_prefix('*').filter(|own| !own.is_empty()).unwrap_or(parameter)
}

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

    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        // Fits: patterns with more parameters are refused, and so is a path that is longer than 4 GiB.
        self.spans[usize::from(self.len)] = (start as u32, end as u32);
        self.len += 1;
    }

    #[inline]
    fn truncate(&mut self, len: u8) {
        self.len = len;
    }
}
