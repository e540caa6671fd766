//! What a process costs, seen from outside: the kernel's `/proc`, and Seawall's own signals endpoint.
//!
//! - [`proc_fs`] reads one process: CPU, memory, context switches, threads, open files. Its parsers are pure.
//! - [`sampler`] does so at an interval on a thread of its own and keeps a bounded series.
//! - [`http`] fetches a small JSON document from the service's admin listener.
//! - [`usage`] turns two samples into rates and into the cost of one request. Pure.
//!
//! Left out: the kernel's network and scheduler counters, and other machines. They belong to the diagnosis.

pub mod http;
pub mod proc_fs;
pub mod sampler;
pub mod series;
pub mod usage;

pub use proc_fs::ProcessSample;
pub use sampler::{Sample, Sampler, SamplerConfig, Series};
pub use usage::{cost, points, resources, waiting};
