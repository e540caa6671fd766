//! Where a run was made: machine, kernel, versions, and how the processors were shared. Read from `/proc`.

use std::fs;
use std::time::Duration;

use seawall_lab::report::Fact;

/// The facts for the report's last section, in the order to show.
pub(crate) fn facts(service_cpus: &[usize], generator_cpus: &[usize], more: Vec<Fact>) -> Vec<Fact> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let build = if cfg!(debug_assertions) { "debug build: slow" } else { "release build" };
    let mut facts = vec![
        fact("Processor", processor(&cpuinfo)),
        fact("Memory", memory(&meminfo)),
        fact("Kernel", format!("{} {}", std::env::consts::OS, kernel.trim())),
        fact("Service on processors", list(service_cpus)),
        fact("Generator on processors", list(generator_cpus)),
        fact("Seawall", format!("{}, {build}", env!("CARGO_PKG_VERSION"))),
    ];
    facts.extend(more);
    facts
}

/// A fact from its name and value.
pub(crate) fn fact(name: &str, value: impl Into<String>) -> Fact {
    Fact { name: name.to_owned(), value: value.into() }
}

pub(crate) fn processor(cpuinfo: &str) -> String {
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(value);
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} × {}", model.unwrap_or_else(|| "unknown".into()))
}

pub(crate) fn memory(meminfo: &str) -> String {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<f64> = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    kib.map_or_else(|| "unknown".into(), |kib| format!("{:.1} GiB", kib / f64::from(1u32 << 20)))
}

fn list(cpus: &[usize]) -> String {
    cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A moment, given as time since 1970-01-01 UTC, as `2026-11-23 10:40:12 UTC`.
pub(crate) fn utc(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970, day);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC", month + 1, left + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, text: &str) {
        assert_eq!(utc(Duration::from_secs(seconds)), text);
    }
    #[test]
    fn the_epoch() {
        check(0, "1970-01-01 00:00:00 UTC");
    }
    #[test]
    fn a_leap_day() {
        check(951_782_400, "2000-02-29 00:00:00 UTC");
    }
    #[test]
    fn the_last_second_of_a_year() {
        check(1_798_761_599, "2026-12-31 23:59:59 UTC");
    }

    #[test]
    fn the_processor_is_named_and_counted() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";
        assert_eq!(processor(text), "2 × AMD EPYC");
        assert_eq!(processor(""), "0 × unknown");
    }
    #[test]
    fn memory_reads_in_gibibytes() {
        assert_eq!(memory("MemTotal:       24682912 kB\nMemFree: 1 kB\n"), "23.5 GiB");
        assert_eq!(memory("nonsense"), "unknown");
    }
}
