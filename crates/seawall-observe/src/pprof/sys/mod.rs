//! The edge to the kernel, and all unsafe code of the profiler: one file per system interface.

pub(crate) mod perf;
pub(crate) mod signal;
pub(crate) mod timer;
pub(crate) mod walk;
