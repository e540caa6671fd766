//! The utilisation law: `U = X D`. The CPU that one request demands says what the CPUs allow at most.

use serde::{Deserialize, Serialize};

/// What the CPU would allow, predicted from the demand per request at light load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuCeiling {
    /// CPU seconds that one request costs the service, user and kernel.
    pub demand_s: f64,
    /// Processors that the service may use.
    pub cores: f64,
    /// `cores / demand_s`: requests per second when all of them are busy.
    pub max_rps: f64,
    /// The highest rate that was measured.
    pub measured_rps: f64,
    /// `measured_rps / max_rps`; below 0.85 something else than the CPU ends the growth.
    pub reached: f64,
}
