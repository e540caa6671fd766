//! What this process uses: CPU, memory, context switches, threads, files.
//!
//! Linux only, from `/proc/self` and one system call; reading it takes some 30 us plus a microsecond per open file.
//! What cannot be read shows as zero: an operator's page must not fail for one number.

use std::fs;

use serde::Serialize;

use crate::sys;

/// What this process uses. CPU and switches count from its start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProcessUsage {
    /// CPU time in its own code, seconds.
    pub cpu_user_s: f64,
    /// CPU time in the kernel on its behalf, seconds.
    pub cpu_sys_s: f64,
    /// Memory in RAM, bytes.
    pub rss_bytes: u64,
    /// Times a thread gave up its core to wait.
    pub ctx_switches_voluntary: u64,
    /// Times a thread was pushed off its core.
    pub ctx_switches_involuntary: u64,
    /// Threads now.
    pub threads: u64,
    /// Open files and sockets now.
    pub open_fds: u64,
}

impl ProcessUsage {
    /// Reads the numbers of this process.
    pub fn read() -> Self {
        let used = sys::usage();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            cpu_user_s: used.cpu_user_s,
            cpu_sys_s: used.cpu_sys_s,
            rss_bytes: status_field(&status, "VmRSS:").unwrap_or(0) * 1_024,
            ctx_switches_voluntary: used.ctx_switches_voluntary,
            ctx_switches_involuntary: used.ctx_switches_involuntary,
            threads: status_field(&status, "Threads:").unwrap_or(0),
            open_fds: open_fds(),
        }
    }
}

/// The number after a field's name in `/proc/self/status` (`VmRSS:  5120 kB`).
fn status_field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Without the one that lists the folder.
fn open_fds() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_field_as_linux_writes_it() {
        let status = "Name:\tseawall\nVmHWM:\t    9000 kB\nVmRSS:\t    5120 kB\nThreads:\t7\n";
        assert_eq!(status_field(status, "VmRSS:"), Some(5_120));
        assert_eq!(status_field(status, "Threads:"), Some(7));
        assert_eq!(status_field(status, "VmSwap:"), None);
        assert_eq!(status_field("VmRSS:\tmany\n", "VmRSS:"), None);
    }

    #[test]
    fn a_living_process_uses_something() {
        let usage = ProcessUsage::read();
        assert!(usage.rss_bytes > 100_000, "{usage:?}");
        assert!(usage.threads >= 1 && usage.open_fds >= 3, "{usage:?}");
    }

    #[test]
    fn an_open_file_counts() {
        // Other tests of this process open files too, so: at least the hundred held here.
        let held: Vec<_> = (0..100).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        assert!(ProcessUsage::read().open_fds >= held.len() as u64);
    }
}
