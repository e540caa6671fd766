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

/// The ceiling that `cpu_s` seconds of CPU per second for `rps` answers predict, beside what was measured at most. None
/// without answers or without CPU.
pub fn ceiling(cpu_s: f64, rps: f64, cores: f64, measured_rps: f64) -> Option<CpuCeiling> {
    let demand_s = cpu_s / rps;
    let usable = demand_s.is_finite() && demand_s > 0.0 && cores > 0.0;
    usable.then(|| {
        let max_rps = cores / demand_s;
        CpuCeiling { demand_s, cores, max_rps, measured_rps, reached: measured_rps / max_rps }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_load_predicts_the_ceiling() {
        let found = ceiling(0.1, 100.0, 2.0, 1_600.0).unwrap();
        assert!((found.max_rps - 2_000.0).abs() < 1e-6 && (found.reached - 0.8).abs() < 1e-9, "{found:?}");
    }
    #[test]
    fn without_cpu_or_answers_there_is_none() {
        assert_eq!(ceiling(0.0, 100.0, 2.0, 100.0), None);
        assert_eq!(ceiling(0.1, 0.0, 2.0, 0.0), None);
    }
}
