//! One process in `/proc`: the files' texts parsed by pure functions, and one function that reads them.
//!
//! Context switches are summed over the threads alive at the moment, so the counters may step back when a thread ends;
//! whoever takes differences must not let them go below zero.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Clock ticks per second in `/proc/PID/stat`. The kernel fixes it at 100 towards user space on all our targets.
const TICKS_PER_SECOND: f64 = 100.0;
/// More threads than this are not visited in one sample.
const MAX_TASKS: usize = 4096;
/// More open files than this are not counted.
const MAX_FDS: usize = 1 << 20;

/// The process's counters and gauges at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessSample {
    /// CPU seconds in user mode since the process began.
    pub cpu_user_s: f64,
    /// CPU seconds in the kernel since the process began.
    pub cpu_sys_s: f64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Voluntary context switches of the threads alive.
    pub voluntary_switches: u64,
    /// Involuntary context switches of the threads alive.
    pub involuntary_switches: u64,
    /// Threads.
    pub threads: u32,
    /// Open file descriptors; none if we may not look.
    pub open_fds: Option<u32>,
}

/// Why a process could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The process is gone, or we may not look.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Which file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The kernel wrote something we do not understand.
    #[error("cannot understand {file}: {what}")]
    Format {
        /// Which file.
        file: String,
        /// What is missing.
        what: &'static str,
    },
}

/// Reads process `pid` now.
///
/// # Errors
/// When the process is gone or its files cannot be read or understood. Threads that end meanwhile are no error.
pub fn read(pid: u32) -> Result<ProcessSample, ReadError> {
    read_at(Path::new(&format!("/proc/{pid}")))
}

fn read_at(dir: &Path) -> Result<ProcessSample, ReadError> {
    let text = |name: &str| {
        let file = dir.join(name);
        fs::read_to_string(&file).map_err(|source| ReadError::Io { file: file.display().to_string(), source })
    };
    let format = |name: &str, what| ReadError::Format { file: dir.join(name).display().to_string(), what };
    let (cpu_user_s, cpu_sys_s) =
        cpu_seconds(&text("stat")?).ok_or_else(|| format("stat", "utime and stime"))?;
    let status = text("status")?;
    let rss_kib = field(&status, "VmRSS:").ok_or_else(|| format("status", "VmRSS"))?;
    let threads = field(&status, "Threads:").ok_or_else(|| format("status", "Threads"))?;
    let (voluntary_switches, involuntary_switches) = all_switches(dir);
    Ok(ProcessSample {
        cpu_user_s,
        cpu_sys_s,
        rss_bytes: rss_kib.saturating_mul(1024),
        voluntary_switches,
        involuntary_switches,
        threads: u32::try_from(threads).unwrap_or(u32::MAX),
        open_fds: count(&dir.join("fd")),
    })
}

/// Sums the switches of all threads. A thread that is gone by now counts nothing.
fn all_switches(dir: &Path) -> (u64, u64) {
    let Ok(tasks) = fs::read_dir(dir.join("task")) else { return (0, 0) };
    let texts = tasks
        .flatten()
        .take(MAX_TASKS)
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    texts.filter_map(|text| switches(&text)).fold((0, 0), |(v, i), (a, b)| (v + a, i + b))
}

fn count(dir: &Path) -> Option<u32> {
    let entries = fs::read_dir(dir).ok()?;
    u32::try_from(entries.take(MAX_FDS).count()).ok()
}

/// User and kernel CPU seconds out of `/proc/PID/stat`.
///
/// The process's name stands in parentheses and may itself hold blanks and parentheses: fields count from the last one.
fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut seconds = || fields.next()?.parse::<u64>().ok().map(|ticks| ticks as f64 / TICKS_PER_SECOND);
    Some((seconds()?, seconds()?))
}

/// Voluntary and involuntary switches out of `/proc/PID/task/TID/status`.
fn switches(status: &str) -> Option<(u64, u64)> {
    Some((field(status, "voluntary_ctxt_switches:")?, field(status, "nonvoluntary_ctxt_switches:")?))
}

/// The number behind `name` at the beginning of a line.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str =
        "4242 (flash (sale) 1) S 1 4242 4242 0 -1 4194560 5 0 0 0 1234 567 0 0 20 0 9 0 100 1000 200\n";
    const STATUS: &str = "Name:\tflashsale\nVmPeak:\t  90000 kB\nVmRSS:\t   48128 kB\nThreads:\t9\n\
        voluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t7\n";

    #[test]
    fn the_name_may_hold_blanks_and_parentheses() {
        assert_eq!(cpu_seconds(STAT), Some((12.34, 5.67)));
    }
    #[test]
    fn voluntary_is_not_taken_for_nonvoluntary() {
        assert_eq!(switches(STATUS), Some((150, 7)));
    }
    #[test]
    fn a_line_that_only_ends_in_the_name_is_not_it() {
        assert_eq!(field("xVmRSS: 1 kB\n", "VmRSS:"), None);
    }

    fn malformed(stat: &str) {
        assert_eq!(cpu_seconds(stat), None);
    }
    #[test]
    fn an_empty_stat_is_refused() {
        malformed("");
    }
    #[test]
    fn a_stat_without_a_name_is_refused() {
        malformed("4242 S 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
    }
    #[test]
    fn a_stat_cut_off_is_refused() {
        malformed("4242 (a) S 1 2 3 4 5 6 7 8 9 10 11");
    }
    #[test]
    fn a_stat_with_words_for_numbers_is_refused() {
        malformed("4242 (a) S 1 2 3 4 5 6 7 8 9 10 many few 1");
    }
    #[test]
    fn a_negative_count_is_refused() {
        assert_eq!(field("Threads:\t-3\n", "Threads:"), None);
    }

    #[test]
    fn reads_a_directory_as_the_kernel_lays_it_out() {
        let dir = tempfile::tempdir().unwrap();
        for task in ["task/1", "task/2", "task/gone", "fd"] {
            fs::create_dir_all(dir.path().join(task)).unwrap();
        }
        fs::write(dir.path().join("stat"), STAT).unwrap();
        fs::write(dir.path().join("status"), STATUS).unwrap();
        fs::write(dir.path().join("task/1/status"), STATUS).unwrap();
        fs::write(dir.path().join("task/2/status"), STATUS).unwrap();
        fs::write(dir.path().join("fd/0"), "").unwrap();
        let sample = read_at(dir.path()).unwrap();
        let expected = ProcessSample {
            cpu_user_s: 12.34,
            cpu_sys_s: 5.67,
            rss_bytes: 48128 * 1024,
            voluntary_switches: 300,
            involuntary_switches: 14,
            threads: 9,
            open_fds: Some(1),
        };
        assert_eq!(sample, expected);
    }

    #[test]
    fn reads_this_very_process() {
        let sample = read(std::process::id()).unwrap();
        assert!(
            sample.rss_bytes > 100_000 && sample.threads >= 1 && sample.open_fds.unwrap() >= 3,
            "{sample:?}"
        );
    }

    #[test]
    fn a_process_that_is_gone_names_its_file() {
        let error = read(u32::MAX).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /proc/4294967295/stat"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text: String) {
            let _ = (cpu_seconds(&text), switches(&text), field(&text, "VmRSS:"));
        }
    }
}
