//! `seawall lab doctor`: what the lab can see on this machine, and the command that would let it see more.

use std::fs;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use seawall_lab::profile::perf;
use seawall_lab::signals::service::{self, Service};
use seawall_lab::signals::sock_diag::SockDiag;
use seawall_lab::signals::{cgroup, kernel_text};

use super::FAILED;
use super::text::wrap;

const HELP: &str = "Exit codes:
  0 the lab can look inside a process on this machine   1 it cannot: diagnoses would rest on the generator's view alone";

/// Arguments of `seawall lab doctor`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct DoctorArgs {
    /// Also see whether this process can be looked at
    #[arg(long, value_name = "N")]
    pid: Option<u32>,
}

/// One thing that was looked at.
struct Check {
    what: &'static str,
    /// What was found; `Err` when it is missing, with the command that helps.
    found: Result<String, String>,
    /// What it is needed for.
    gives: &'static str,
    /// Without it there is no looking inside.
    essential: bool,
}

pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let pid = args.pid.unwrap_or_else(std::process::id);
    let checks = checks(pid);
    for check in &checks {
        let (mark, text) = match &check.found {
            Ok(text) => ("ok ", text),
            Err(text) => ("-- ", text),
        };
        println!("{mark} {:<26} {}", check.what, check.gives);
        println!("{}", wrap(text, "      "));
    }
    let level = level(&checks);
    println!("\nEvidence level {level}: {}", meaning(level));
    Ok(if level == "L0" { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn checks(pid: u32) -> Vec<Check> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let check = |what, gives, essential, found| Check { what, found, gives, essential };
    vec![
        check("processes in /proc", "CPU, memory, files of a service", true, process(pid)),
        check("scheduler statistics", "CPU and waiting for it, per thread", true, scheduler(pid)),
        check("what threads wait for", "locks, sleeps, full pools", false, waits(pid)),
        check("sockets", "accept queue, connections to other services", false, sockets()),
        check(
            "pressure (PSI)",
            "waiting for CPU, memory and disk",
            false,
            pressure(read("/proc/pressure/cpu")),
        ),
        check("quota of the cgroup", "whether a quota stops the service", false, quota(pid)),
        check("perf", "CPU profiles of any process", false, profiler()),
        check("kernel functions", "the kernel's part of CPU profiles", false, kernel_functions()),
        check("CPU frequency", "numbers that repeat", false, governor()),
        check("a quiet machine", "numbers that repeat", false, quiet(read("/proc/loadavg"))),
        check("open files", "load with many connections", false, open_files(read("/proc/self/limits"))),
    ]
}

/// L1 needs the essential ones, L2 a profiler besides.
fn level(checks: &[Check]) -> &'static str {
    let has = |what: &str| checks.iter().any(|check| check.what == what && check.found.is_ok());
    if checks.iter().any(|check| check.essential && check.found.is_err()) {
        "L0"
    } else if has("perf") {
        "L2"
    } else {
        "L1"
    }
}

fn meaning(level: &str) -> &'static str {
    match level {
        "L0" => "only what the generator sees from outside",
        "L1" => "threads, kernel and sockets; CPU profiles of Seawall services alone (--admin)",
        _ => "threads, kernel, sockets and CPU profiles of any process",
    }
}

fn process(pid: u32) -> Result<String, String> {
    match Service::new(pid, &[], None).count(None) {
        Some(counters) if counters.totals.descriptors.is_some() => {
            Ok(format!("{} (process {pid}) can be looked at", service::name(pid)))
        }
        Some(_) => Err(format!("process {pid} belongs to somebody else: run as that user, or with sudo")),
        None => Err(format!("process {pid} is not there")),
    }
}

fn scheduler(pid: u32) -> Result<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    kernel_text::schedstat(&text)
        .map(|_| format!("/proc/{pid}/schedstat"))
        .ok_or_else(|| "this kernel has none (CONFIG_SCHED_INFO)".to_owned())
}

fn waits(pid: u32) -> Result<String, String> {
    let readable = fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok();
    let wchan = fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok();
    if readable && wchan {
        return Ok("/proc/PID/task/TID/wchan and syscall can be read".to_owned());
    }
    Err("the kernel hides it: run with sudo, or `sudo setcap cap_sys_ptrace+ep $(command -v seawall)`; for processes of your \
         own, `sudo sysctl kernel.yama.ptrace_scope=0`"
        .to_owned())
}

fn sockets() -> Result<String, String> {
    let diag = SockDiag::open().ok_or("no sock_diag: `sudo modprobe tcp_diag`")?;
    Ok(format!("sock_diag lists {} open connections", diag.established().len()))
}

fn pressure(text: Option<String>) -> Result<String, String> {
    text.and_then(|text| kernel_text::pressure(&text))
        .map(|_| "/proc/pressure".to_owned())
        .ok_or_else(|| "switched off: boot with psi=1".to_owned())
}

fn quota(pid: u32) -> Result<String, String> {
    match cgroup::cpu_stat_files(pid).first() {
        Some(file) => Ok(file.display().to_string()),
        None => Err("no cgroup with the cpu controller is mounted here; give the container's cpu.stat with --cpu-stat FILE, \
                     or `sudo mount -t cgroup2 none /sys/fs/cgroup`"
            .to_owned()),
    }
}

fn profiler() -> Result<String, String> {
    perf::check().map(|()| "installed".to_owned()).map_err(|error| error.to_string())
}

fn kernel_functions() -> Result<String, String> {
    if perf::sees_kernel() {
        return Ok("allowed".to_owned());
    }
    Err("hidden from you, and an HTTP server spends most of its CPU there: `sudo sysctl kernel.perf_event_paranoid=1 \
         kernel.kptr_restrict=0`"
        .to_owned())
}

fn governor() -> Result<String, String> {
    match fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        Err(_) => Ok("no governor (a virtual machine, most often)".to_owned()),
        Ok(governor) if governor.trim() == "performance" => Ok("performance".to_owned()),
        Ok(governor) => Err(format!(
            "`{}`: `sudo cpupower frequency-set -g performance` for measurements",
            governor.trim()
        )),
    }
}

fn quiet(loadavg: Option<String>) -> Result<String, String> {
    let load =
        loadavg.and_then(|text| text.split_ascii_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0);
    let cpus = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    if load < cpus * 0.5 {
        return Ok(format!("load average {load}"));
    }
    Err(format!(
        "load average {load} on {cpus} CPUs: other programs work; end them before you measure (`top`)"
    ))
}

fn open_files(limits: Option<String>) -> Result<String, String> {
    let limit = limits.and_then(|text| kernel_text::value(&text, "Max open files")).unwrap_or(0);
    if limit >= 8_192 {
        return Ok(format!("{limit}"));
    }
    Err(format!("{limit}: `ulimit -n 65536` for load with thousands of connections"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: &'static str, found: bool, essential: bool) -> Check {
        Check {
            what,
            found: if found { Ok(String::new()) } else { Err(String::new()) },
            gives: "",
            essential,
        }
    }
    #[test]
    fn the_level_is_that_of_the_weakest_essential_check() {
        assert_eq!(level(&[check("processes in /proc", false, true), check("perf", true, false)]), "L0");
        assert_eq!(level(&[check("processes in /proc", true, true), check("perf", false, false)]), "L1");
        assert_eq!(level(&[check("processes in /proc", true, true), check("perf", true, false)]), "L2");
    }
    #[test]
    fn what_is_missing_comes_with_a_command() {
        assert!(pressure(None).unwrap_err().contains("psi=1"));
        assert!(quiet(Some("99.5 1 1".into())).unwrap_err().contains("load average 99.5"));
        assert!(
            open_files(Some("Max open files            1024    4096    files\n".into()))
                .unwrap_err()
                .contains("ulimit")
        );
        assert!(process(u32::MAX).is_err());
    }
}
