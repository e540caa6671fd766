//! Where the quota of a process's cgroup is: `cpu.stat` of its group and of the groups above.

use std::fs;
use std::path::{Path, PathBuf};

/// Groups above a process that are looked at.
const MAX_DEPTH: usize = 16;

/// Existing `cpu.stat` files that concern `pid`, its own group first. Empty where cgroups are not mounted.
pub fn cpu_stat_files(pid: u32) -> Vec<PathBuf> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let groups = read(&format!("/proc/{pid}/cgroup"));
    let folders = folders(&groups, &read("/proc/self/mountinfo"));
    let files = folders.into_iter().map(|folder| folder.join("cpu.stat"));
    files.filter(|file| file.is_file()).collect()
}

/// CPUs that the quota of a group allows; none without one. Version 2 has `cpu.max`, version 1 two files.
pub fn quota(folder: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let (quota, period) = match read("cpu.max") {
        Some(text) => {
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
        }
        None => (
            read("cpu.cfs_quota_us")?.trim().parse::<f64>().ok()?,
            read("cpu.cfs_period_us")?.trim().parse::<f64>().ok()?,
        ),
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// The folders of a process's groups, out of `/proc/PID/cgroup` and `/proc/self/mountinfo`. Pure.
fn folders(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (root, mount, is_two) in mounts.lines().filter_map(mount) {
        let group = groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let fits =
                if is_two { controllers.is_empty() } else { controllers.split(',').any(|c| c == "cpu") };
            fits.then_some(path)
        });
        let Some(group) = group else { continue };
        let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
        let ancestors = below.ancestors().take(MAX_DEPTH);
        found.extend(ancestors.map(|path| Path::new(mount).join(path)));
    }
    found
}

/// Root and mount point of a mount of version 2, or of version 1's `cpu`.
fn mount(line: &str) -> Option<(&str, &str, bool)> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split_ascii_whitespace().skip(3);
    let (root, point) = (front.next()?, front.next()?);
    let mut back = back.split_ascii_whitespace();
    match back.next()? {
        "cgroup2" => Some((root, point, true)),
        "cgroup" if back.nth(1)?.split(',').any(|option| option == "cpu") => Some((root, point, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_with_the_groups_above() {
        let groups = "4:cpu,cpuacct:/shop/api\n0::/system/shop.service\n";
        let mounts = "30 1 0:26 / /sys/fs/cgroup/cpu rw - cgroup none rw,cpu,cpuacct\n\
            31 1 0:27 / /sys/fs/cgroup rw - cgroup2 none rw\n32 1 0:28 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n";
        let expected = [
            "/sys/fs/cgroup/cpu/shop/api",
            "/sys/fs/cgroup/cpu/shop",
            "/sys/fs/cgroup/cpu",
            "/sys/fs/cgroup/system/shop.service",
            "/sys/fs/cgroup/system",
            "/sys/fs/cgroup",
        ];
        let found = folders(groups, mounts);
        assert_eq!(
            found.iter().map(|path| path.to_str().unwrap().trim_end_matches('/')).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_quota_is_in_cpus() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(quota(folder.path()), None);
        fs::write(folder.path().join("cpu.cfs_quota_us"), "-1\n").unwrap();
        fs::write(folder.path().join("cpu.cfs_period_us"), "100000\n").unwrap();
        assert_eq!(quota(folder.path()), None, "no limit");
        fs::write(folder.path().join("cpu.cfs_quota_us"), "20000\n").unwrap();
        assert_eq!(quota(folder.path()), Some(0.2));
        fs::write(folder.path().join("cpu.max"), "max 100000\n").unwrap();
        assert_eq!(quota(folder.path()), None);
        fs::write(folder.path().join("cpu.max"), "150000 100000\n").unwrap();
        assert_eq!(quota(folder.path()), Some(1.5));
    }
}
