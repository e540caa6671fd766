//! Counters, gauges and timers: named once at start, touched as atomics ever after.
//!
//! [`Registry`] hands out handles; a handle is a clone of one `Arc`, so updating a metric takes no lock and looks
//! nothing up. How a snapshot becomes text is the business of seawall-observe.

mod registry;
mod series;

pub use registry::{Family, Kind, MAX_SERIES_PER_FAMILY, Registry, Sample, Value};
pub use series::{Counter, Gauge, TIMER_BOUNDS_SECONDS, Timer, TimerSnapshot};
