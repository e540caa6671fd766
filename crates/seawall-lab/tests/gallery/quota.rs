//! Puts a server under a CPU quota: in a cgroup of its own where one can be made (root, version 1 or 2), else by the same
//! means that a quota uses, seen from outside: stopped for the rest of each period, with the counters of a cgroup beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::exhibit::Exhibit;

/// The server may use a fifth of a CPU: 20 ms of each 100.
const RUN_MS: u64 = 20;
const PERIOD_MS: u64 = 100;
/// The group's name.
const GROUP: &str = "seawall-test";

/// Limits `exhibit`.
pub(crate) fn limited(mut exhibit: Exhibit) -> Exhibit {
    exhibit.name = "quota".to_owned();
    if !in_a_group(exhibit.pid()) {
        eprintln!(
            "no cgroup can be made here: the quota is imitated by stopping the server for 80 of each 100 ms"
        );
        return imitated(exhibit);
    }
    exhibit
}

/// Limits `exhibit` by the other means.
pub(crate) fn imitated(mut exhibit: Exhibit) -> Exhibit {
    exhibit.name = "imitated quota".to_owned();
    let folder = tempfile::tempdir().unwrap();
    exhibit.cpu_stat = Some(imitate(exhibit.pid(), folder.path()));
    exhibit.folder = Some(folder);
    exhibit
}

/// Takes the group and the mount away, when the server is gone: make it before the server, so that it is dropped after.
#[derive(Debug)]
pub(crate) struct CleanUp;

impl Drop for CleanUp {
    fn drop(&mut self) {
        let mount = mount_point();
        for root in [Path::new("/sys/fs/cgroup"), &mount] {
            let _ = fs::remove_dir(root.join(GROUP));
        }
        if mount.is_dir() {
            let _ = Command::new("umount").arg(&mount).output();
            let _ = fs::remove_dir(&mount);
        }
    }
}

/// Where version 1 is mounted if it is not yet.
fn mount_point() -> PathBuf {
    std::env::temp_dir().join(format!("seawall-test-cgroup-{}", std::process::id()))
}

/// Makes a group with a quota and moves the process there.
fn in_a_group(pid: u32) -> bool {
    let two = Path::new("/sys/fs/cgroup");
    if two.join("cgroup.controllers").exists() {
        let _ = fs::write(two.join("cgroup.subtree_control"), "+cpu");
        return group(two, pid, &[("cpu.max", format!("{} {}", RUN_MS * 1000, PERIOD_MS * 1000))]);
    }
    let mount = mount_point();
    let is_mounted = || mount.join("cgroup.procs").exists();
    if !is_mounted() {
        let _ = fs::create_dir_all(&mount);
        let _ = Command::new("mount").args(["-t", "cgroup", "-o", "cpu", "none"]).arg(&mount).output();
    }
    is_mounted()
        && group(
            &mount,
            pid,
            &[
                ("cpu.cfs_period_us", (PERIOD_MS * 1000).to_string()),
                ("cpu.cfs_quota_us", (RUN_MS * 1000).to_string()),
            ],
        )
}

fn group(root: &Path, pid: u32, settings: &[(&str, String)]) -> bool {
    let folder = root.join(GROUP);
    let _ = fs::create_dir(&folder);
    settings.iter().all(|(file, value)| fs::write(folder.join(file), value).is_ok())
        && fs::write(folder.join("cgroup.procs"), pid.to_string()).is_ok()
}

/// Stops and continues the process in each period, and counts as a cgroup does. Ends when the process does.
fn imitate(pid: u32, folder: &Path) -> PathBuf {
    let file = folder.join("cpu.stat");
    let write = |file: &Path, periods: u64| {
        let micros = periods * (PERIOD_MS - RUN_MS) * 1000;
        // At once, as the kernel shows it: never half of it.
        let (text, next) = (
            format!("nr_periods {periods}\nnr_throttled {periods}\nthrottled_usec {micros}\n"),
            file.with_extension("next"),
        );
        fs::write(&next, text).and_then(|()| fs::rename(&next, file))
    };
    write(&file, 0).unwrap();
    fs::write(folder.join("cpu.max"), format!("{} {}", RUN_MS * 1000, PERIOD_MS * 1000)).unwrap();
    let path = file.clone();
    std::thread::spawn(move || {
        let signal = |name: &str| {
            Command::new("kill").args([name, &pid.to_string()]).status().is_ok_and(|s| s.success())
        };
        for periods in 1.. {
            std::thread::park_timeout(Duration::from_millis(RUN_MS));
            if !signal("-STOP") {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(PERIOD_MS - RUN_MS));
            signal("-CONT");
            if write(&path, periods).is_err() {
                break; // the folder goes with the server
            }
        }
    });
    file
}
