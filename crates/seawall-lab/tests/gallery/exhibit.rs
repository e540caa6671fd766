//! Starting one server of the gallery, and ending it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server under way; it ends with this.
#[derive(Debug)]
pub(crate) struct Exhibit {
    pub(crate) name: String,
    pub(crate) url: String,
    /// Where its quota's counters are, if not in its cgroup.
    pub(crate) cpu_stat: Option<PathBuf>,
    process: Child,
    /// Its files, which go with it.
    pub(crate) folder: Option<TempDir>,
}

impl Drop for Exhibit {
    fn drop(&mut self) {
        // Asked, not killed: nginx ends its workers then. A closed input ends the servers of the gallery as well.
        drop(self.process.stdin.take());
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..500 {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The gallery's program, which is built with the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("examples/gallery");
    assert!(
        program.is_file(),
        "{} is missing: `cargo build -p seawall-lab --example gallery`",
        program.display()
    );
    program
}

const ASYNCIO: &str = r#"
import asyncio
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print("http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()
asyncio.run(main())
"#;

impl Exhibit {
    /// A server of `server/main.rs`.
    pub(crate) fn gallery(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.arg(name).args(arguments);
        Self::start(name, command)
    }

    /// A healthy server in Python: one event loop, one thread.
    pub(crate) fn asyncio() -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", ASYNCIO]);
        Self::start("asyncio", command)
    }

    /// nginx with a small file.
    pub(crate) fn nginx() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = folder.path().to_str().unwrap().to_owned();
        fs::write(folder.path().join("index.html"), "hello").unwrap();
        let config = format!(
            "worker_processes 2; daemon off; error_log stderr; pid {path}/pid;\nevents {{ worker_connections 512; }}\n\
             http {{ access_log off; keepalive_requests 1000000;\n client_body_temp_path {path}/b; proxy_temp_path {path}/p; \
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {path}; }} }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let process = Command::new("/usr/sbin/nginx")
            .args(["-c", &format!("{path}/nginx.conf")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("nginx does not start ({error}); `cargo xtask setup` installs it")
            });
        let exhibit = Self {
            name: "nginx".to_owned(),
            url: format!("http://127.0.0.1:{port}/index.html"),
            cpu_stat: None,
            process,
            folder: Some(folder),
        };
        exhibit.wait_for(port);
        exhibit
    }

    fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!("{name} does not start ({error}); `cargo xtask setup` installs what it needs")
        });
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://"), "{name} printed `{url}` instead of its address");
        Self { name: name.to_owned(), url: url.trim().to_owned(), cpu_stat: None, process, folder: None }
    }

    fn wait_for(&self, port: u16) {
        let is_up = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..1_000 {
            if is_up() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{} does not listen on {port}", self.name);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}
