//! The machine that numbers come from, as far as a reader of them needs it, and whether it was quiet.

use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Cores that may be busy while we do nothing: a system's own chores.
const QUIET: f64 = 0.1;
/// How long that is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where and when a bench ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) date: String,
    pub(super) rustc: String,
    /// Cores that had other work, before the first round or after the last, whichever was more.
    pub(super) busy: f64,
}

impl Machine {
    /// Looks for other work, and warns of it. Nothing of ours must be running.
    pub(super) fn here() -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let models = cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let models: Vec<_> = models.map(|(_, model)| model.trim().to_owned()).collect();
        let mut machine = Self {
            cores: models.len(),
            cpu: models.into_iter().next().unwrap_or_default(),
            kernel: said("uname", &["-r"]),
            date: said("date", &["-u", "+%Y-%m-%d"]),
            rustc: said("rustc", &["--version"]).split(' ').nth(1).unwrap_or_default().to_owned(),
            busy: 0.0,
        };
        machine.look_again();
        machine
    }

    /// Looks for other work once more.
    pub(super) fn look_again(&mut self) {
        let before = used();
        std::thread::park_timeout(LOOK);
        self.busy = self.busy.max((used() - before).max(0.0) / LOOK.as_secs_f64());
        if !self.is_quiet() {
            let busy = self.busy;
            println!("warning: {busy:.1} cores have other work; ratios will be noisy, all else worthless");
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.busy <= QUIET
    }
}

/// Seconds of CPU that all cores have used for anything since the machine started.
fn used() -> f64 {
    seconds(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// The sum of the first line but for idling, waiting for disks, and guests, who are in the others; in ticks of 10 ms.
fn seconds(stat: &str) -> f64 {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    let used = ticks.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4));
    used.map(|(_, ticks)| ticks).sum::<f64>() / 100.0
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn idle_time_is_not_use() {
        let stat = "cpu  100 20 30 9000 500 1 2 47 8 9\ncpu0 1 2 3\n";
        assert_eq!(super::seconds(stat), 2.0);
        assert_eq!(super::seconds(""), 0.0);
    }
}
