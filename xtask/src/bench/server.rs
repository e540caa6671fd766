//! A server under measurement: a child process on one core, and the CPU it has used.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Attempts to reach a server that starts, and the pause between two.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// A running server. Dropping it kills the process.
pub(super) struct Server {
    name: &'static str,
    port: u16,
    child: Child,
}

/// CPU that a process has used since it started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    pub(super) total_nanos: f64,
    user_ticks: f64,
    system_ticks: f64,
}

impl Cpu {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            total_nanos: self.total_nanos - before.total_nanos,
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

impl Server {
    pub(super) fn start(program: &Path, name: &'static str) -> Result<Self> {
        Self::start_with(program, name, &[])
    }

    /// With further arguments behind the address.
    pub(super) fn start_with(program: &Path, name: &'static str, arguments: &[String]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program).arg(format!("127.0.0.1:{port}")).args(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.context("taskset cannot be started; it is in Debian's util-linux")?;
        let server = Self { name, port, child };
        server.wait()?;
        Ok(server)
    }

    fn wait(&self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::park_timeout(PAUSE);
        }
        bail!("the server `{}` does not listen after {:?}", self.name, PAUSE * ATTEMPTS)
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// taskset has become the server by `exec`, so its process id is the server's.
    pub(super) fn cpu(&self) -> Result<Cpu> {
        let process = format!("/proc/{}", self.child.id());
        let mut total_nanos = 0.0;
        for task in std::fs::read_dir(format!("{process}/task"))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let run: f64 = text.split_whitespace().next().unwrap_or("0").parse()?;
            total_nanos += run;
        }
        let stat = std::fs::read_to_string(format!("{process}/stat"))?;
        let (user_ticks, system_ticks) = ticks(&stat).context("/proc/<pid>/stat is not what was expected")?;
        Ok(Cpu { total_nanos, user_ticks, system_ticks })
    }
}

/// Fields 14 and 15 of `stat`, counted after the name, which may contain anything.
fn ticks(stat: &str) -> Option<(f64, f64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it stays.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_ticks_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 10 0 0 0 321 654 0 0 20 0 1 0 99 0 0";
        assert_eq!(super::ticks(stat), Some((321.0, 654.0)));
        assert_eq!(super::ticks("nonsense"), None);
    }
}
