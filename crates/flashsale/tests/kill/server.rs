//! The real server as a child process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    /// Starts it on a free port, and waits until it says that it listens.
    pub(crate) fn start(data_dir: &Path, units: u32) -> Self {
        let mut child = spawn(data_dir, units);
        let stdout = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let addr = line.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next());
        let addr = addr.unwrap_or_else(|| panic!("the server said {line:?}")).parse().unwrap();
        Self { child, addr }
    }

    /// Starts it and kills it soon after, ready or not.
    pub(crate) fn start_and_kill(data_dir: &Path, units: u32, after: Duration) {
        let mut child = spawn(data_dir, units);
        crate::pause(after);
        end(&mut child);
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// SIGTERM: the process answers what it has accepted, closes its database, and ends.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// SIGKILL: the process gets no chance to write another byte.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

/// Also when the test fails: a server left behind would keep the test's output open, and with it whoever reads it.
impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn spawn(data_dir: &Path, units: u32) -> Child {
    Command::new(env!("CARGO_BIN_EXE_flashsale"))
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--pay-timeout", "700ms"])
        .args(["--units", &units.to_string(), "--workers", "2", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
