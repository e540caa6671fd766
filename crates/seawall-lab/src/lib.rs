//! The lab: find the knee of a service, sample it there, and show what was seen in one HTML file.
//!
//! - [`drive`]: the search driven by real probes, within a budget of time.
//! - [`find_max`]: the knee of any service, by rate or by connections; [`scale`]: how it grows with concurrency.
//! - [`sweep`]: what these two have in common.
//! - [`search`]: which rate to try next, and the knee as an interval. Pure.
//! - [`signals`]: what a process costs, read from `/proc` and from Seawall's own signals endpoint.
//! - [`laws`]: Little, utilisation, and the Universal Scalability Law. Pure.
//! - [`profile`]: where the CPU and the memory went.
//! - [`diagnose`]: signals in, ranked causes out.
//! - [`stats`], [`compare`]: two builds against each other, with intervals and a noise floor. Pure.
//! - [`store`]: runs that are kept, and their history.
//! - [`cycle`]: baseline, changes, gate, as one file.
//! - [`artifact`]: all of that as one JSON document.
//! - [`report`]: one self-contained HTML file out of a plain data struct. Pure.
//!
//! Left out on purpose: running the service and sending the load. The `seawall` command does the first and
//! `seawall-load` the second; the lab only decides, reads and draws.

pub mod artifact;
mod clock;
pub mod compare;
pub mod cycle;
pub mod diagnose;
pub mod drive;
pub mod find_max;
pub mod laws;
pub mod load_probe;
pub mod profile;
pub mod report;
pub mod scale;
pub mod search;
pub mod signals;
pub mod stats;
pub mod store;
pub mod sweep;
