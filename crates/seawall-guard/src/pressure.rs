//! System pressure as a hard gate: close to the end of memory, processor or file handles nothing new is begun.
//!
//! The readings are arguments. It is the last line, never the first: processor time lags behind an overload by
//! seconds, and a process that is busy is not overloaded. Each gate opens again a twentieth below where it closed, so
//! that it does not flutter.

use seawall_core::ConfigError;

use crate::Rejected;

/// Where the gates close, in per cent of what there is; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressureConfig {
    /// Of the memory that the cgroup or the machine allows. Default 95.
    pub memory_percent: u32,
    /// Of the processor time that the cgroup allows, over some seconds. Default 0: busy is not overloaded.
    pub cpu_percent: u32,
    /// Of the file handles that the process may have. Default 95.
    pub fds_percent: u32,
}

impl Default for PressureConfig {
    fn default() -> Self {
        Self { memory_percent: 95, cpu_percent: 0, fds_percent: 95 }
    }
}

/// What was read, each as a share from 0 to 1; nothing, if it could not be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readings {
    /// Memory.
    pub memory: Option<f64>,
    /// Processor time.
    pub cpu: Option<f64>,
    /// File handles.
    pub fds: Option<f64>,
}

/// The gates.
#[derive(Debug)]
pub struct Pressure {
    gates: [Gate; 3],
}

#[derive(Debug, Clone, Copy)]
struct Gate {
    resource: &'static str,
    closes_at: f64,
    closed: bool,
}

impl Pressure {
    /// All gates open.
    ///
    /// # Errors
    /// If a field is above 100.
    pub fn new(config: &PressureConfig) -> Result<Self, ConfigError> {
        let PressureConfig { memory_percent, cpu_percent, fds_percent } = *config;
        let gate = |resource, field: &'static str, percent: u32| {
            if percent > 100 {
                return Err(ConfigError::new(field, percent, "0 to 100"));
            }
            let closes_at = if percent == 0 { f64::INFINITY } else { f64::from(percent) / 100.0 };
            Ok(Gate { resource, closes_at, closed: false })
        };
        let gates = [
            gate("memory", "pressure.memory_percent", memory_percent)?,
            gate("processor time", "pressure.cpu_percent", cpu_percent)?,
            gate("file handles", "pressure.fds_percent", fds_percent)?,
        ];
        Ok(Self { gates })
    }

    /// Takes over other values while it works. A gate that is closed stays closed until the next reading.
    ///
    /// # Errors
    /// If a field is above 100; everything stays as it was.
    pub fn reconfigure(&mut self, config: &PressureConfig) -> Result<(), ConfigError> {
        let Self { gates } = Self::new(config)?;
        for (gate, new) in self.gates.iter_mut().zip(gates) {
            gate.closes_at = new.closes_at;
        }
        Ok(())
    }

    /// Takes in new readings. What could not be read leaves its gate as it was.
    pub fn read(&mut self, readings: &Readings) {
        for (gate, reading) in self.gates.iter_mut().zip([readings.memory, readings.cpu, readings.fds]) {
            let Some(reading) = reading else { continue };
            let at = if gate.closed { gate.closes_at * 0.95 } else { gate.closes_at };
            gate.closed = reading >= at;
        }
    }

    /// Whether something new may be begun.
    ///
    /// # Errors
    /// [`Rejected::UnderPressure`], naming the first that is short.
    pub fn check(&self) -> Result<(), Rejected> {
        match self.gates.iter().find(|gate| gate.closed) {
            Some(Gate { resource, .. }) => Err(Rejected::UnderPressure { resource }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_near_the_end_and_opens_a_little_below() {
        let mut pressure = Pressure::new(&PressureConfig::default()).unwrap();
        let refused = Err(Rejected::UnderPressure { resource: "memory" });
        for (memory, expected) in [(0.94, Ok(())), (0.95, refused), (0.92, refused), (0.90, Ok(()))] {
            pressure.read(&Readings { memory: Some(memory), ..Readings::default() });
            assert_eq!(pressure.check(), expected, "at {memory}");
        }
    }

    #[test]
    fn a_busy_processor_is_no_reason_by_default() {
        let mut pressure = Pressure::new(&PressureConfig::default()).unwrap();
        pressure.read(&Readings { cpu: Some(1.0), ..Readings::default() });
        assert_eq!(pressure.check(), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let mut pressure = Pressure::new(&PressureConfig::default()).unwrap();
        pressure.read(&Readings { fds: Some(0.99), ..Readings::default() });
        pressure.read(&Readings::default());
        assert_eq!(pressure.check(), Err(Rejected::UnderPressure { resource: "file handles" }));
    }

    #[test]
    fn other_values_count_from_the_next_reading_on() {
        let mut pressure = Pressure::new(&PressureConfig::default()).unwrap();
        let refused = Err(Rejected::UnderPressure { resource: "memory" });
        let read = |pressure: &mut Pressure| {
            pressure.read(&Readings { memory: Some(0.8), ..Readings::default() });
            pressure.check()
        };
        assert_eq!(read(&mut pressure), Ok(()));
        let lower = PressureConfig { memory_percent: 75, ..PressureConfig::default() };
        pressure.reconfigure(&lower).unwrap();
        assert_eq!(read(&mut pressure), refused);
        assert!(pressure.reconfigure(&PressureConfig { memory_percent: 101, ..lower }).is_err());
        assert_eq!(read(&mut pressure), refused);
        pressure.reconfigure(&PressureConfig { memory_percent: 0, ..lower }).unwrap();
        assert_eq!(pressure.check(), refused);
        assert_eq!(read(&mut pressure), Ok(()));
    }

    #[test]
    fn more_than_all_is_refused() {
        let config = PressureConfig { cpu_percent: 101, ..PressureConfig::default() };
        let message = Pressure::new(&config).unwrap_err().to_string();
        assert_eq!(message, "`pressure.cpu_percent` is 101, but must be 0 to 100");
    }
}
