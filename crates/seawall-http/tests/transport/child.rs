//! A server in a process of its own: for signals, limits of the system, and sockets that a process is started with.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use seawall_http::{App, Context, Event, Listen, ServerConfig, Sse};

use crate::samples;

/// What the server says begins with this, to be told from what the test runner says.
const MARK: &str = "@ ";
const SCENARIO: &str = "SEAWALL_TEST_SCENARIO";

/// A server under way. It is killed when it is dropped.
pub(crate) struct Child {
    process: std::process::Child,
    lines: BufReader<ChildStdout>,
    pub(crate) addr: SocketAddr,
}

impl Child {
    pub(crate) fn start(scenario: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(ARGUMENTS).stdin(Stdio::null());
        Self::spawn(command, scenario)
    }

    /// With a socket as descriptor 3, as systemd passes it.
    pub(crate) fn through_systemd(scenario: &str, socket: Stdio) -> Self {
        let mut command = Command::new("sh");
        // The shell becomes the server, so its number is the server's.
        command.args(["-c", "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]);
        command.arg(std::env::current_exe().unwrap()).args(ARGUMENTS).stdin(socket);
        Self::spawn(command, scenario)
    }

    fn spawn(mut command: Command, scenario: &str) -> Self {
        let mut process = command.env(SCENARIO, scenario).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let mut child = Self { process, lines, addr: SocketAddr::from(([0, 0, 0, 0], 0)) };
        child.addr = child.says("listening ").parse().unwrap();
        // Once it answers, it hears signals.
        assert_eq!(crate::ask(&mut TcpStream::connect(child.addr).unwrap()), "hello");
        child
    }

    /// Waits until it says a line that begins so; the rest of the line.
    #[track_caller]
    pub(crate) fn says(&mut self, beginning: &str) -> String {
        let mut all = String::new();
        loop {
            let start = all.len();
            assert_ne!(self.lines.read_line(&mut all).unwrap(), 0, "it never said {beginning:?}:\n{all}");
            // The test runner's own line, which names the test, does not end before ours begins.
            let said = all[start..].split(MARK).nth(1).and_then(|said| said.strip_prefix(beginning));
            if let Some(rest) = said {
                return rest.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself; how many connections it cut.
    #[track_caller]
    pub(crate) fn wait_for_end(mut self) -> u64 {
        let cut = self.says("stopped, cut ").parse().unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}");
        cut
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const ARGUMENTS: [&str; 4] = ["--exact", "child::the_server_of_another_test", "--ignored", "--nocapture"];

#[test]
#[ignore = "other tests start it, in a process of its own"]
fn the_server_of_another_test() {
    let scenario = std::env::var(SCENARIO).unwrap();
    let mut config = ServerConfig { workers: Some(2), ..ServerConfig::default() };
    let mut listen = Listen::tcp("127.0.0.1:0");
    match scenario.as_str() {
        "plain" => {}
        "delayed" => config.drain_delay = Duration::from_secs(3600),
        "briefly delayed" => config.drain_delay = Duration::from_millis(300),
        "impatient" => config.shutdown_timeout = Duration::from_secs(1),
        "few files" => {
            config = ServerConfig { workers: Some(2), max_connections: 1000, ..ServerConfig::default() };
            let limit = Rlimit { current: Some(48), maximum: Some(48) };
            setrlimit(Resource::Nofile, limit).unwrap();
        }
        "systemd" => listen = Listen::systemd(0),
        other => panic!("no scenario {other}"),
    }
    let app = app();
    let registry = app.metrics();
    let server = app.config(config).bind(listen).unwrap().on_drain(|| println!("\n{MARK}not ready"));
    println!("\n{MARK}listening {}", server.local_addr());
    server.run().unwrap();
    let cut = samples(&registry, "seawall_connections_cut_total")[0].1;
    println!("\n{MARK}stopped, cut {cut}");
}

fn app() -> App {
    let app = App::new();
    let registry = app.metrics();
    let app = app
        .get("/", async || "hello")
        .get("/failures", move || {
            let failures = samples(&registry, "seawall_accept_failures_total")[0].1;
            async move { failures.to_string() }
        })
        .get("/stuck", async || std::future::pending::<&str>().await)
        .get("/slow", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                out.write("one ").await?;
                tokio::time::sleep(Duration::from_millis(700)).await;
                out.write("two").await
            })
        })
        .get("/events", async || {
            Sse::new(async |events| {
                events.send(Event::data("first")).await?;
                std::future::pending().await
            })
        });
    #[cfg(feature = "websocket")]
    let app = app.get("/ws", async |upgrade: seawall_http::websocket::WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(_)) = socket.recv().await {}
            Ok(())
        })
    });
    app
}
