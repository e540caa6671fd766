//! The heap profile: what lives, and what was ever allocated, by where it was allocated.
//!
//! jemalloc samples: each allocation with a probability that grows with its size. Its dump is scaled up here.

pub(crate) mod dump;
#[cfg(feature = "jemalloc")]
mod jemalloc;
#[cfg(not(feature = "jemalloc"))]
mod none;

#[cfg(feature = "jemalloc")]
pub(crate) use jemalloc::{start, take};
#[cfg(not(feature = "jemalloc"))]
pub(crate) use none::{start, take};

use super::stacks::Stacks;

/// A heap, sampled and scaled up.
#[derive(Debug)]
pub(crate) struct Heap {
    /// In Go's order: objects and bytes ever allocated, objects and bytes in use.
    pub(crate) stacks: Stacks<4>,
    /// Whether the first two are known.
    pub(crate) has_allocated: bool,
    /// Bytes between samples, on average.
    pub(crate) period: i64,
    pub(crate) comments: Vec<String>,
}

/// What belongs to the allocator and not to who allocates.
pub(crate) fn is_allocator(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "_rjem_",
        "_rjem_je_",
        "prof_",
        "imalloc",
        "irealloc",
        "ialloc",
        "do_rallocx",
        "rallocx",
        "malloc_default",
        "__rust_alloc",
        "__rust_realloc",
        "__rust_no_alloc",
        "__rdl_",
        "__rg_",
    ];
    const PATHS: [&str; 6] = [
        "<tikv_jemallocator::",
        "__rustc::__rust_",
        "__rustc[",
        "alloc::alloc::",
        "<alloc::alloc::Global",
        "seawall_observe::pprof::heap::",
    ];
    NAMES.iter().chain(&PATHS).any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_is_told_from_who_allocates() {
        assert!(is_allocator("_rjem_je_prof_backtrace"));
        assert!(is_allocator("__rustc::__rust_alloc"));
        assert!(is_allocator("<tikv_jemallocator::Jemalloc as core::alloc::global::GlobalAlloc>::alloc"));
        assert!(!is_allocator("alloc::vec::Vec<T,A>::push"));
        assert!(!is_allocator("service::handler"));
        assert!(!is_allocator("__rust_try"));
    }
}
