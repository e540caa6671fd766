//! A private Redis on a socket in a folder of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Waits until something is so. The limit only keeps a test that has failed from hanging.
pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited for a minute in vain: {what}");
}

pub(super) struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(&folder.path().join("redis.sock"));
        let server = Self { folder, child };
        server.is_there().await;
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A connection for the test itself.
    pub(super) fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    async fn is_there(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        let ping = |mut connection| redis::cmd("PING").query::<String>(&mut connection);
        eventually("Redis answers", || client.get_connection().and_then(ping).is_ok()).await;
    }

    /// SIGKILL: no farewell, and nothing is remembered.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) async fn start_again(&mut self) {
        self.child = spawn(&self.socket());
        self.is_there().await;
    }

    /// SIGSTOP and SIGCONT: connections stay open, and nobody answers.
    pub(super) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

fn spawn(socket: &std::path::Path) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(socket);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server cannot be started; `cargo xtask setup` installs it")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be dead already
        let _ = self.child.wait();
    }
}
