//! What a process costs, seen from outside: the kernel's `/proc`, and Seawall's own signals endpoint.
//!
//! - [`proc_fs`] reads one process: CPU, memory, context switches, threads, open files. Its parsers are pure.
//! - [`sampler`] does so at an interval on a thread of its own and keeps a bounded series.
//! - [`http`] fetches a small JSON document from the service's admin listener.
//! - [`service`] finds a service and counts everything about it and its machine at one moment; [`watch`] does so many times
//!   and looks at its threads in between; [`window`] says what happened between two moments. [`kernel_text`] and
//!   [`thread_state`] are the parsers, [`cgroup`] finds the quota, [`series`] is what a report shows.
//! - [`station`] tells of a Seawall service's queues how long they are and how much of their threads is used. Pure.
//! - [`usage`] turns two samples into rates and into the cost of one request. Pure.
//!
//! Left out: other machines, and what needs eBPF.

pub mod cgroup;
pub mod http;
pub mod kernel_text;
pub mod proc_fs;
pub mod sampler;
pub mod series;
pub mod service;
pub mod sock_diag;
pub mod station;
pub mod table;
pub mod thread_state;
pub mod usage;
pub mod watch;
pub mod window;

pub use proc_fs::ProcessSample;
pub use sampler::{Sample, Sampler, SamplerConfig, Series};
pub use usage::{cost, points, resources, waiting};
