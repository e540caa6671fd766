//! A CPU profile of any process, by `perf` if it is there and the kernel allows it.
//!
//! The software clock is sampled (virtual machines often have no other), the kernel's functions included where allowed, and
//! stacks are walked by frame pointers. Left out: symbols of code that is compiled while it runs.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::model::{Profile, ProfileKind};
use super::text::{About, perf_script};

/// Samples per second and CPU. Odd, so that it does not beat with timers.
const HERTZ: u32 = 199;
/// Processes that are profiled at once.
const MAX_PIDS: usize = 64;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum PerfError {
    /// The program is not there.
    #[error("perf is not installed: apt install linux-perf (Debian) or linux-tools-generic (Ubuntu)")]
    Missing,
    /// It could not work.
    #[error("perf failed: {0}")]
    Failed(String),
}

/// A recording under way. Dropping it ends and removes it.
#[derive(Debug)]
pub struct Perf {
    child: Option<Child>,
    file: PathBuf,
    user_only: bool,
    seconds: f64,
}

/// Why `perf` cannot be used here, or nothing. Asks the program for its version only.
///
/// # Errors
/// When it is not installed or does not start.
pub fn check() -> Result<(), PerfError> {
    let status = Command::new("perf").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(PerfError::Failed(format!("perf --version ended with {status}"))),
        Err(_) => Err(PerfError::Missing),
    }
}

/// The kernel lets us see its own functions in profiles: root, or `kernel.perf_event_paranoid` at most 1.
pub fn sees_kernel() -> bool {
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    let paranoid = paranoid.ok().and_then(|text| text.trim().parse::<i32>().ok()).unwrap_or(4);
    paranoid <= 1 || rustix::process::geteuid().is_root()
}

impl Perf {
    /// Begins to record `pids` for `seconds`.
    ///
    /// # Errors
    /// When perf is not installed.
    pub fn start(pids: &[u32], seconds: f64) -> Result<Self, PerfError> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("seawall-perf-{}-{number}.data", std::process::id()));
        let pids: Vec<String> = pids.iter().take(MAX_PIDS).map(u32::to_string).collect();
        let user_only = !sees_kernel();
        let child = Command::new("perf")
            .args(["record", "--quiet", "--call-graph", "fp", "--freq", &HERTZ.to_string()])
            .args(["--event", if user_only { "cpu-clock:u" } else { "cpu-clock" }])
            .args(["--pid", &pids.join(","), "--output"])
            .arg(&file)
            .args(["--", "sleep", &format!("{seconds:.2}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|_| PerfError::Missing)?;
        Ok(Self { child: Some(child), file, user_only, seconds })
    }

    /// Waits for the recording's end and reads it. Blocks for what is left of its time, and a second or so.
    ///
    /// # Errors
    /// When the kernel did not allow it, or nothing could be read.
    pub fn finish(mut self) -> Result<Profile, PerfError> {
        let failed = |error: std::io::Error| PerfError::Failed(error.to_string());
        let child = self.child.take().expect("it is taken here and in drop only");
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() && !self.file.exists() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(PerfError::Failed(said.lines().take(3).collect::<Vec<_>>().join(" ")));
        }
        let script = Command::new("perf")
            .args(["script", "--no-inline", "-F", "comm,tid,ip,sym", "--input"])
            .arg(&self.file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(failed)?;
        let mut comments = vec![format!("cpu-clock at {HERTZ} Hz, stacks by frame pointers")];
        if self.user_only {
            comments.push("without the kernel's part: kernel.perf_event_paranoid is above 1".to_owned());
        }
        let about = About {
            kind: ProfileKind::Cpu,
            source: "perf".to_owned(),
            seconds: self.seconds,
            scale: 1.0 / f64::from(HERTZ),
            comments,
        };
        Ok(perf_script(&String::from_utf8_lossy(&script.stdout), about))
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_this_process() {
        check().expect("perf is needed: `cargo xtask setup` installs it");
        let perf = Perf::start(&[std::process::id()], 0.5).unwrap();
        let file = perf.file.clone();
        let mut sum = 0u64;
        let mut child = perf;
        while child.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none()) {
            sum = (0..100_000).fold(sum, |sum, i| std::hint::black_box(sum ^ i));
        }
        let profile = child.finish().unwrap();
        assert!(profile.total > 0.0 && !profile.stacks.is_empty(), "{profile:?} {sum}");
        assert!(!file.exists(), "it is removed");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error_with_perfs_words() {
        check().expect("perf is needed: `cargo xtask setup` installs it");
        let error = Perf::start(&[999_999_999], 0.1).unwrap().finish().unwrap_err();
        assert!(matches!(error, PerfError::Failed(_)), "{error}");
    }
}
