//! The lab: find the knee of a service, sample it there, and show what was seen in one HTML file.
//!
//! - [`drive`]: the search driven by real probes, within a budget of time.
//! - [`search`]: which rate to try next, and the knee as an interval. Pure.
//! - [`signals`]: what a process costs, read from `/proc` and from Seawall's own signals endpoint.
//! - [`report`]: one self-contained HTML file out of a plain data struct. Pure.
//!
//! Left out on purpose: running the service and sending the load. The `seawall` command does the first and
//! `seawall-load` the second; the lab only decides, reads and draws.

mod clock;
pub mod drive;
pub mod load_probe;
pub mod report;
pub mod search;
pub mod signals;
pub mod stats;
