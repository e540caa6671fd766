//! A build under test: a shell command that serves until it is ended.
//!
//! It runs in a process group of its own, so that whatever it starts ends with it. Its output goes to a file, whose end is in
//! the error when it does not come up. Dropping a [`Server`] ends the group; and when this process ends without having dropped
//! it, killed for example, a watch in the group does: it reads a pipe that nobody writes to, and that the kernel closes then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::demo::{clock, sys};

/// How long a build may take until it accepts connections.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often a condition is looked at again.
const LOOK: Duration = Duration::from_millis(10);
/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// Ticks per second of the CPU times in `/proc`: the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Starts the watch, then becomes the command, `$1`. The watch is a member of the group that it ends, so it ends with it;
/// it is no child of the command, whose threads and CPU are looked at with those of its children.
const GUARDED: &str =
    "exec 3<&0 </dev/null; ( { cat <&3; kill -KILL 0; } >/dev/null 2>&1 & ); exec 3<&-; exec sh -c \"$1\"";

/// What is started, and where.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// For people.
    pub(crate) name: String,
    /// Run by `sh -c`.
    pub(crate) command: String,
    /// Added to its environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Where it runs.
    pub(crate) dir: PathBuf,
    /// Processors it may use; empty means all of this process.
    pub(crate) cpus: Vec<usize>,
}

/// A running build.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Server {
    /// Starts a build and waits until something accepts connections at `url`'s address. Nothing may do so before: it would be
    /// measured instead.
    ///
    /// # Errors
    /// When the address is taken, the command ends, or nobody listens in time.
    pub(crate) fn start(launch: &Launch, url: &str, log: &Path) -> Result<Self> {
        let addresses = addresses(url)?;
        wait_until_free(&addresses, url)?;
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let before = if launch.cpus.is_empty() { None } else { Some(sys::allowed_cpus()?) };
        if before.is_some() {
            sys::pin(&launch.cpus).context("cannot choose the build's processors")?; // a child inherits them
        }
        let started = Command::new("sh")
            .args(["-c", GUARDED, "sh", &launch.command])
            .envs(&launch.env)
            .current_dir(&launch.dir)
            .process_group(0)
            .stdin(Stdio::piped()) // its end here is closed when this process ends, however it does
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn();
        if let Some(before) = before {
            sys::pin(&before).context("cannot choose the generator's processors")?;
        }
        let child = started.with_context(|| format!("cannot start `{}`", launch.command))?;
        let mut server = Self { child, log: log.to_owned(), ended: false };
        server.wait_until_ready(&addresses, launch)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, addresses: &[SocketAddr], launch: &Launch) -> Result<()> {
        let deadline = clock::now() + READY_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.ended = true;
                bail!("`{}` ended at once ({status}):\n{}", launch.name, self.log_tail());
            }
            if answers(addresses) {
                return Ok(());
            }
            if !pause_before(deadline) {
                bail!(
                    "`{}` accepted no connection within {READY_LIMIT:?}:\n{}",
                    launch.name,
                    self.log_tail()
                );
            }
        }
    }

    /// CPU that the whole group has used so far, seconds; ended members that nobody waited for are missing.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        group_cpu_seconds(self.child.id())
    }

    /// Its first process: the shell, or what the shell became.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it wrote.
    pub(crate) fn log_tail(&self) -> String {
        let text =
            fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Asks it to end and waits; ends it by force if it does not.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        let Some(group) = Pid::from_raw(self.child.id().cast_signed()) else { return };
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = clock::now() + STOP_LIMIT;
        // The leader is not waited for before the group is gone, so its number cannot be anyone else's.
        while group_is_alive(self.child.id()) && pause_before(deadline) {}
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The addresses behind a URL's host and port.
pub(super) fn addresses(url: &str) -> Result<Vec<SocketAddr>> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| anyhow!("`{url}` is no URL"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let port = if matches!(scheme, "https" | "wss") { 443 } else { 80 };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    let found: Vec<SocketAddr> =
        with_port.to_socket_addrs().with_context(|| format!("`{host}` has no address"))?.collect();
    if found.is_empty() { Err(anyhow!("`{host}` has no address")) } else { Ok(found) }
}

fn answers(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| TcpStream::connect_timeout(address, CONNECT_LIMIT).is_ok())
}

/// Only a refusal says that nobody listens; a listener whose queue is full does not answer either.
fn is_taken(address: &SocketAddr) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    !TcpStream::connect_timeout(address, CONNECT_LIMIT).is_err_and(|error| refused(&error))
}

/// The build before may need a moment to let go of its port.
fn wait_until_free(addresses: &[SocketAddr], url: &str) -> Result<()> {
    let deadline = clock::now() + Duration::from_secs(5);
    while addresses.iter().any(is_taken) {
        if !pause_before(deadline) {
            bail!(
                "something answers at {url} already: each build is started by the lab, and must find its port free"
            );
        }
    }
    Ok(())
}

/// Waits a moment, but not past `deadline`; false when that has come.
fn pause_before(deadline: std::time::Instant) -> bool {
    let left = deadline.saturating_duration_since(clock::now());
    if left.is_zero() {
        return false;
    }
    std::thread::park_timeout(left.min(LOOK));
    true
}

/// Status lines of all processes of a group: state, user and system ticks (own and of children waited for).
fn members(group: u32) -> Vec<(char, u64)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    pids.filter_map(|entry| member(&fs::read_to_string(entry.path().join("stat")).ok()?, group)).collect()
}

/// A `stat` line's state and ticks, if its process belongs to the group.
fn member(stat: &str, group: u32) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?; // the name before may hold anything
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let of_group: u32 = fields.get(2)?.parse().ok()?;
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    (of_group == group).then_some((fields[0].chars().next()?, ticks))
}

fn group_cpu_seconds(group: u32) -> f64 {
    members(group).iter().map(|(_, ticks)| *ticks as f64).sum::<f64>() / TICKS_PER_SECOND
}

fn group_is_alive(group: u32) -> bool {
    members(group).iter().any(|(state, _)| !matches!(state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(command: &str) -> Launch {
        Launch {
            name: "build".into(),
            command: command.into(),
            env: BTreeMap::new(),
            dir: std::env::temp_dir(),
            cpus: Vec::new(),
        }
    }

    /// An address that nobody listens at.
    fn free() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    }

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "71 (a) b (c) S 1 70 70 0 -1 4194560 9 0 0 0 12 3 4 1 20 0 1 0";
        assert_eq!(member(line, 70), Some(('S', 20)));
        assert_eq!(member(line, 71), None);
        assert_eq!(member("nonsense", 1), None);
    }

    #[test]
    fn a_url_without_a_port_has_its_schemes() {
        assert_eq!(addresses("https://127.0.0.1/x").unwrap()[0].port(), 443);
        assert_eq!(addresses("http://user@127.0.0.1:8080/x?y").unwrap()[0].port(), 8080);
        assert!(addresses("127.0.0.1").is_err());
    }

    #[test]
    fn a_command_that_ends_says_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let error = Server::start(&launch("echo no such option; exit 3"), &free(), &dir.path().join("log"))
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("ended at once") && text.contains("no such option"), "{text}");
    }

    #[test]
    fn an_address_that_is_taken_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let error = Server::start(&launch("sleep 60"), &url, &dir.path().join("log")).unwrap_err();
        assert!(error.to_string().contains("answers at") && error.to_string().contains("already"), "{error}");
    }

    #[test]
    fn what_a_build_started_ends_with_it() {
        let child =
            Command::new("sh").args(["-c", "sleep 600 & sleep 600"]).process_group(0).spawn().unwrap();
        let group = child.id();
        let deadline = clock::now() + Duration::from_secs(20);
        while members(group).len() < 3 && pause_before(deadline) {}
        assert_eq!(members(group).len(), 3, "the shell and two sleeps");
        Server { child, log: PathBuf::new(), ended: false }.stop();
        assert!(!group_is_alive(group));
    }
}
