//! Rules about memory and open files.

use super::card::{Details, Words, card, percent};
use crate::diagnose::facts::Facts;
use crate::diagnose::model::{Cause, Finding, Severity};

/// Memory is short.
pub(super) fn pressure(facts: &Facts) -> Option<Finding> {
    const MIN_PRESSURE: f64 = 0.02;
    const MIN_FAULTS: f64 = 100.0;
    let (top, window) = facts.top_window()?;
    let pressure = window.memory_pressure.unwrap_or(0.0);
    if pressure < MIN_PRESSURE && window.major_faults < MIN_FAULTS {
        return None;
    }
    let words = Words {
        title: "Memory is short",
        sentence: format!(
            "At {}, all tasks waited for memory {} of the time, and the service had {:.0} page faults per second that needed \
             the disk.",
            top.name,
            percent(pressure),
            window.major_faults
        ),
        change: "More memory, or a smaller working set: caches first.".to_owned(),
        experiment: "Halve the largest cache: if latency falls, memory was the limit.".to_owned(),
    };
    let share = (pressure * 5.0).max(window.major_faults / 1000.0).min(1.0);
    Some(
        card(Cause::MemoryPressure, Severity::Defect, share, 0.8, words)
            .over("time in which all waited for memory", pressure, "share", MIN_PRESSURE)
            .over("major page faults", window.major_faults, "per second", MIN_FAULTS)
            .evidence("/proc/pressure/memory, /proc/PID/stat"),
    )
}

/// Memory grows with every request, at each level.
pub(super) fn growth(facts: &Facts) -> Option<Finding> {
    const MIN_BYTES_PER_REQUEST: f64 = 512.0;
    const MIN_BYTES: f64 = 32e6;
    let grown: Vec<(f64, f64)> = facts
        .levels
        .iter()
        .filter_map(|level| {
            let window = level.window.as_ref()?;
            Some((window.rss_last as f64 - window.rss_first as f64, level.load.rps * window.seconds))
        })
        .collect();
    let (bytes, requests) = grown.iter().fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    let per_request = bytes / f64::max(requests, 1.0);
    let everywhere = grown.len() >= 2 && grown.iter().all(|(bytes, _)| *bytes > 0.0);
    if !everywhere || bytes < MIN_BYTES || per_request < MIN_BYTES_PER_REQUEST {
        return None;
    }
    let words = Words {
        title: "Memory grows with every request",
        sentence: format!(
            "Memory grew at every level, by {:.0} MB in all: {per_request:.0} bytes per request. A minute is too short to tell \
             a leak from a cache that fills.",
            bytes / 1e6
        ),
        change: "Run for longer and compare two heap profiles: what is only ever added?".to_owned(),
        experiment: "Ten times the requests: a leak grows tenfold, a cache stops.".to_owned(),
    };
    Some(
        card(Cause::MemoryGrowth, Severity::Notice, 0.3, 0.5, words)
            .over("growth per request", per_request, "bytes", MIN_BYTES_PER_REQUEST)
            .number("growth in all", bytes / 1e6, "MB")
            .evidence("/proc/PID/status: VmRSS"),
    )
}

/// The open-file limit is near.
pub(super) fn open_files(facts: &Facts) -> Option<Finding> {
    const NEAR: f64 = 0.9;
    let (open, limit) = facts
        .windows()
        .filter_map(|window| Some((f64::from(window.descriptors?), window.descriptor_limit? as f64)))
        .max_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)))?;
    if open / limit < NEAR {
        return None;
    }
    let words = Words {
        title: "The open-file limit is reached",
        sentence: format!(
            "{open:.0} of {limit:.0} descriptors are open: no more connections can be accepted or made."
        ),
        change: "Raise the limit (ulimit -n, LimitNOFILE=), and look for descriptors that are not closed."
            .to_owned(),
        experiment: "With twice the limit, the same load should be served without errors.".to_owned(),
    };
    Some(
        card(Cause::OpenFiles, Severity::Defect, 0.9, 0.9, words)
            .over("open descriptors of the limit", open / limit, "share", NEAR)
            .evidence("/proc/PID/fd, /proc/PID/limits")
            .command("ls /proc/PID/fd | wc -l"),
    )
}
