//! Rules about the CPU: a quota, all of it used, one thread of many, and what it is used for.

use super::card::{Details, Words, card, ms, percent};
use crate::diagnose::facts::Facts;
use crate::diagnose::model::{Cause, Finding, Severity};
use crate::profile::frames::{self, Purpose};
use crate::signals::window::ThreadWindow;

/// Share of a quota's periods that may be throttled.
const MIN_THROTTLED: f64 = 0.1;
/// A thread that wants a CPU for this share of the time has no reserve.
const HOT: f64 = 0.85;
/// Share of the CPU in allocation that is worth naming, and the one that is a defect.
const ALLOCATION: f64 = 0.15;
const ALLOCATION_DEFECT: f64 = 0.28;
/// Bytes of log per request, and writes per request, that are worth a look.
const LOG_BYTES: f64 = 1024.0;
const LOG_WRITES: f64 = 4.0;

/// The quota of the cgroup stops the service.
pub(super) fn throttled(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let throttled = window.throttled?;
    if throttled < MIN_THROTTLED {
        return None;
    }
    let quota =
        facts.quota.map_or_else(|| "its quota".to_owned(), |quota| format!("its quota of {quota:.2} CPUs"));
    let words = Words {
        title: "Stopped by a CPU quota",
        sentence: format!(
            "At {}, {quota} stopped the service in {} of the periods, for {:.2} s per second over all threads; it got {:.2} CPUs.",
            top.name,
            percent(throttled),
            window.throttled_time.unwrap_or(0.0),
            window.cpu()
        ),
        change: "Raise the quota (cpu.max; `limits.cpu` in Kubernetes) or run with fewer threads than the quota has CPUs; \
                 latency comes in multiples of the period until then."
            .to_owned(),
        experiment: "Double the quota: throughput should double, and p99 fall by a multiple of 100 ms.".to_owned(),
    };
    Some(
        card(Cause::CpuThrottled, Severity::Defect, throttled, 0.97, words)
            .over("periods in which the quota stopped it", throttled, "share", MIN_THROTTLED)
            .number("quota", facts.quota.unwrap_or(0.0), "CPUs")
            .number("CPU used", window.cpu(), "CPUs")
            .evidence("cpu.stat of the cgroup: nr_periods, nr_throttled, throttled time"),
    )
}

/// All the CPU there is goes into serving.
pub(super) fn cpu_bound(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    if !facts.is_cpu_pressed() || window.cpu() < 0.2 {
        return None;
    }
    let system = window.cpu_system / window.cpu().max(1e-9);
    let words = Words {
        title: "Uses all the CPU it can get",
        sentence: format!(
            "At {}, the service used {:.2} of {:.1} CPUs ({} in the kernel) and its threads waited {:.2} s per second for \
             more; each request costs {}. This is a limit, not a defect.",
            top.name,
            window.cpu(),
            facts.usable_cores(),
            percent(system),
            window.run_delay,
            ms(top.demand_ms().unwrap_or(0.0))
        ),
        change: "More CPUs, or less work per request: the profile says where it goes.".to_owned(),
        experiment: "Run the service on half of its CPUs (taskset): throughput should halve.".to_owned(),
    };
    let hot = facts.cpu_profile.as_ref().map(|profile| frames::hottest(profile, 5)).unwrap_or_default();
    let share = window.wants_cpu() / facts.busy_threads().max(1e-9);
    Some(
        card(Cause::CpuBound, Severity::Limit, share, 0.9, words)
            .number("CPU used", window.cpu(), "CPUs")
            .number("threads waiting for a CPU", window.run_delay, "threads")
            .number("idle share of the machine", window.machine_idle.unwrap_or(0.0), "share")
            .number("CPU per request", top.demand_ms().unwrap_or(0.0), "ms")
            .evidence("/proc/PID/stat, /proc/PID/task/TID/schedstat, /proc/stat")
            .frames(hot),
    )
}

/// One thread has no reserve. With others that wait for it, that is a defect; alone, it is the limit of the program.
pub(super) fn one_thread(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let workers = facts.workers();
    let hottest = workers.iter().copied().max_by(|a, b| a.wants_cpu().total_cmp(&b.wants_cpu()))?;
    let others: Vec<&ThreadWindow> = workers.iter().copied().filter(|t| t.tid != hottest.tid).collect();
    let second = others.iter().map(|t| t.wants_cpu()).fold(0.0, f64::max);
    if hottest.wants_cpu() < HOT || second > 0.7 {
        return None;
    }
    // Others that take part in each request, or that would if they were let.
    let helpers = others.iter().filter(|t| t.voluntary >= 20.0 && t.wants_cpu() > 0.01).count();
    let (cause, severity) = if helpers > 0 {
        (Cause::HotThread, Severity::Defect)
    } else {
        (Cause::SingleThreaded, Severity::Limit)
    };
    let tail = if helpers > 0 {
        format!("while {helpers} other threads wait for it (the busiest wants {}).", percent(second))
    } else {
        "and no other thread serves: one CPU is what this program can use.".to_owned()
    };
    let words = Words {
        title: if helpers > 0 { "One hot thread" } else { "One thread serves" },
        sentence: format!(
            "At {}, thread {} ({}) wants a CPU {} of the time {tail}",
            top.name,
            hottest.name,
            hottest.tid,
            percent(hottest.wants_cpu())
        ),
        change: "Divide its work among several threads (shards, a pool, one listener per worker), or do less of it there; a \
                 program with one thread runs once per CPU."
            .to_owned(),
        experiment: "Give the work to two threads: throughput should grow until the next limit.".to_owned(),
    };
    let hot = facts.cpu_profile.as_ref().map(|profile| frames::hottest_of_thread(profile, &hottest.name, 5));
    Some(
        card(cause, severity, hottest.wants_cpu(), 0.88, words)
            .over("of the time the hottest thread wants a CPU", hottest.wants_cpu(), "share", HOT)
            .number("the second-hottest", second, "share")
            .number("CPU of the service", window.cpu(), "CPUs")
            .evidence(format!("/proc/{}/task/{}/schedstat", hottest.pid, hottest.tid))
            .frames(hot.unwrap_or_default()),
    )
}

/// How much of what limits the service is CPU, 0 to 1: hot frames matter as much as the CPU does.
fn cpu_part(facts: &Facts) -> f64 {
    let wants = facts.in_state(ThreadWindow::wants_cpu);
    wants / facts.busy_threads().max(1e-9)
}

/// Much of the CPU goes into allocation.
pub(super) fn allocation(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let faults = window.minor_faults / top.load.rps.max(1.0);
    let system = window.cpu_system / window.cpu().max(1e-9);
    let by_profile = facts.cpu_profile.as_ref().map(|profile| frames::share(profile, Purpose::Allocation));
    let (share, confidence) = match by_profile {
        Some(share) => (share, 0.9),
        // Without a profile: the kernel's half of it, pages that come and go with each request.
        None if faults >= 100.0 && system >= 0.4 => (system, 0.6),
        None => return None,
    };
    if share < ALLOCATION || window.wants_cpu() < 0.3 {
        return None;
    }
    let words = Words {
        title: "Allocates too much",
        sentence: format!(
            "At {}, {} of the CPU goes into allocating and freeing memory; a request takes {faults:.1} new pages.",
            top.name,
            percent(share)
        ),
        change: "Reuse buffers, borrow instead of copying, reserve once; or try another allocator (jemalloc, mimalloc)."
            .to_owned(),
        experiment: "LD_PRELOAD another allocator: if the CPU per request falls, it is the allocation.".to_owned(),
    };
    let severity = if share >= ALLOCATION_DEFECT { Severity::Defect } else { Severity::Notice };
    // A share of the CPU from the threshold on is worth more than it looks: it is pure overhead.
    let weight = (share / 0.5).min(1.0) * cpu_part(facts);
    let hot = facts.cpu_profile.as_ref().map(|p| frames::hottest_for(p, Purpose::Allocation, 5));
    Some(
        card(Cause::Allocation, severity, weight, confidence, words)
            .over("of the CPU in allocation", share, "share", ALLOCATION)
            .number("new pages per request", faults, "")
            .evidence(if by_profile.is_some() { "CPU profile" } else { "/proc/PID/stat: minor faults" })
            .frames(hot.unwrap_or_default()),
    )
}

/// Much goes into a log.
pub(super) fn logging(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let per_request = |rate: f64| rate / top.load.rps.max(1.0);
    let (path, grown) = window.files.first()?;
    let (bytes, writes) = (per_request(*grown), per_request(window.writes.unwrap_or(0.0)));
    if bytes < LOG_BYTES || writes < LOG_WRITES {
        return None;
    }
    let by_profile = facts.cpu_profile.as_ref().map(|profile| frames::share(profile, Purpose::Logging));
    let held = facts.in_state(|t| t.disk + t.lock) / facts.busy_threads().max(1e-9);
    let share = by_profile.map_or(0.5, |cpu| cpu * cpu_part(facts)) + held;
    let words = Words {
        title: "Writes too much log",
        sentence: format!(
            "At {}, each request makes {writes:.0} writes and {bytes:.0} bytes of {path}, which grows by {:.1} MB/s; {} of the \
             CPU goes there.",
            top.name,
            grown / 1e6,
            by_profile.map_or_else(|| "an unknown part".to_owned(), percent)
        ),
        change: "Raise the level, sample what repeats, and write through a buffer and a thread of its own."
            .to_owned(),
        experiment: "Set the level to warnings only: the CPU per request should fall by that share."
            .to_owned(),
    };
    let hot = facts.cpu_profile.as_ref().map(|p| frames::hottest_for(p, Purpose::Logging, 5));
    Some(
        card(Cause::Logging, Severity::Defect, share, 0.93, words)
            .over("bytes of log per request", bytes, "bytes", LOG_BYTES)
            .over("writes per request", writes, "", LOG_WRITES)
            .number("growth of the file", grown / 1e6, "MB/s")
            .evidence(format!("/proc/PID/fdinfo: the position in {path}; /proc/PID/io"))
            .frames(hot.unwrap_or_default()),
    )
}
