//! A server under measurement: a process on one core with whatever processes it starts, the CPU they have used and the
//! memory they hold.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The cores of the server and of whoever asks it.
pub(super) const SERVER_CORE: &str = "0";
pub(super) const CLIENT_CORE: &str = "1";
/// Attempts to reach a server that starts, and the pause between two.
const ATTEMPTS: u32 = 200;
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// What the open-file limit is raised to, where that is allowed: more than any case needs.
const OPEN_FILES: u64 = 65_536;

/// A running server. Dropping it kills the process.
pub(super) struct Server {
    name: String,
    port: u16,
    child: Child,
}

/// CPU that a server has used since it started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    pub(super) total_nanos: f64,
    /// How long threads could have run and something else had the core: another thread of the server, or other work.
    pub(super) waited_nanos: f64,
    user_ticks: f64,
    system_ticks: f64,
}

impl Cpu {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            total_nanos: self.total_nanos - before.total_nanos,
            waited_nanos: self.waited_nanos - before.waited_nanos,
            user_ticks: self.user_ticks - before.user_ticks,
            system_ticks: self.system_ticks - before.system_ticks,
        }
    }

    /// Of all threads, ended ones too, which `total_nanos` forgets; in steps of 10 ms.
    pub(super) fn process_nanos(self) -> f64 {
        (self.user_ticks + self.system_ticks) * 1e7
    }

    /// The kernel keeps the exact total, but the split only in ticks of 10 ms.
    pub(super) fn user_share(self) -> f64 {
        self.user_ticks / (self.user_ticks + self.system_ticks).max(1.0)
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// Starts `command` (a program and its arguments), which will listen on `port`; what it prints goes to `output`.
    pub(super) fn start(name: &str, port: u16, command: &[String], output: Stdio) -> Result<Self> {
        Self::start_on(SERVER_CORE, name, port, command, output)
    }

    /// As [`start`](Self::start), on these cores (`0,1`).
    pub(super) fn start_on(
        cores: &str,
        name: &str,
        port: u16,
        command: &[String],
        output: Stdio,
    ) -> Result<Self> {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", cores]).args(command);
        let child = pinned.stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn();
        let child = child.context("taskset cannot be started; it is in Debian's util-linux")?;
        let mut server = Self { name: name.to_owned(), port, child };
        server.wait(command)?;
        Ok(server)
    }

    fn wait(&mut self, command: &[String]) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}; to see why:\n  {}", self.name, command.join(" "));
            }
            std::thread::park_timeout(PAUSE);
        }
        bail!("{} does not listen after {:?}:\n  {}", self.name, PAUSE * ATTEMPTS, command.join(" "))
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// taskset has become the server by `exec`, so its process id is the server's.
    fn processes(&self) -> Result<Vec<PathBuf>> {
        let own = PathBuf::from(format!("/proc/{}", self.child.id()));
        let children = std::fs::read_to_string(own.join(format!("task/{}/children", self.child.id())))?;
        let children = children.split_whitespace().map(|id| PathBuf::from(format!("/proc/{id}")));
        Ok(std::iter::once(own.clone()).chain(children).collect())
    }

    pub(super) fn cpu(&self) -> Result<Cpu> {
        let mut sum = Cpu { total_nanos: 0.0, waited_nanos: 0.0, user_ticks: 0.0, system_ticks: 0.0 };
        for process in self.processes()? {
            for task in std::fs::read_dir(process.join("task"))? {
                // A thread may end while it is looked at; it has done nothing for the server then.
                let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
                let mut fields = text.split_whitespace();
                sum.total_nanos += fields.next().unwrap_or("0").parse::<f64>()?;
                sum.waited_nanos += fields.next().unwrap_or("0").parse::<f64>()?;
            }
            let stat = std::fs::read_to_string(process.join("stat"))?;
            let (user, system) = ticks(&stat).context("/proc/<pid>/stat is not what was expected")?;
            sum.user_ticks += user;
            sum.system_ticks += system;
        }
        Ok(sum)
    }

    /// Resident memory in KiB now.
    pub(super) fn rss_kib(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// The most that it ever was.
    pub(super) fn peak_rss_kib(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> Result<f64> {
        let of = |process: &PathBuf| {
            let status = std::fs::read_to_string(process.join("status"))?;
            kib(&status, field).with_context(|| format!("/proc/<pid>/status has no {field}"))
        };
        self.processes()?.iter().map(of).sum()
    }
}

/// Fields 14 and 15 of `stat`, counted after the name, which may contain anything.
fn ticks(stat: &str) -> Option<(f64, f64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn kib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        // Politely first: a server that has started processes of its own ends them then. It may have ended by itself;
        // either way nothing of it stays.
        let stop = format!("kill {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &stop]).stderr(Stdio::null()).status();
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(PAUSE / 5);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts this process, and what it starts from now on, on the client's core.
pub(super) fn pin_client() -> Result<()> {
    let mut command = Command::new("taskset");
    command.args(["-c", "-p", CLIENT_CORE]).arg(std::process::id().to_string());
    let status = command.stdout(Stdio::null()).status();
    let status = status.context("taskset cannot be started; it is in Debian's util-linux")?;
    if !status.success() {
        bail!("this bench needs two cores: one for the server, one for the generator");
    }
    Ok(())
}

/// Raises the limit on open files of this process, and so of what it starts, as far as it may; the limit then.
pub(super) fn raise_open_files() -> Result<u64> {
    let raise = |limit: u64| {
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(std::process::id().to_string()).arg(format!("--nofile={limit}:{limit}"));
        command.stderr(Stdio::null()).status().context("prlimit cannot be started; it is in util-linux")
    };
    if open_files(1)? < OPEN_FILES && !raise(OPEN_FILES)?.success() {
        raise(open_files(1)?)?;
    }
    open_files(0)
}

/// The soft limit (0) or the hard one (1).
fn open_files(column: usize) -> Result<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let number = line.and_then(|line| line.split_whitespace().nth(column));
    let number = number.context("/proc/self/limits is not what was expected")?;
    number.parse().with_context(|| format!("an open-file limit of {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ticks_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 10 0 0 0 321 654 0 0 20 0 1 0 99 0 0";
        assert_eq!(ticks(stat), Some((321.0, 654.0)));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn reads_memory() {
        assert_eq!(kib("Name:\tx\nVmHWM:\t    5120 kB\nVmRSS:\t    4096 kB\n", "VmRSS:"), Some(4096.0));
        assert_eq!(kib("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_a_limit() {
        assert!(open_files(0).unwrap() <= open_files(1).unwrap());
    }
}
