//! The heap of a build without jemalloc: nothing is known of it.

use super::Heap;

const REASON: &str = "the heap profile needs the feature `jemalloc` of seawall-observe, and jemalloc as the program's allocator";

pub(crate) fn start() -> Result<(), String> {
    Err(REASON.to_owned())
}

pub(crate) fn take(_purge: bool) -> Result<Heap, String> {
    Err(REASON.to_owned())
}
