//! The servers as programs: how each is built, what its row is called, how it is started, whether it answers right.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::super::process::{self, SERVER_CORE, Server};
use super::super::{build, echo};
use super::cases::Peer;
use crate::clock;

/// How long one answer may take when a server is looked at.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that answers as quickly as this has nothing else to do.
const IDLE: Duration = Duration::from_millis(25);
/// Quick answers in a row that are wanted, and the most that are tried, a pause apart.
const QUICK: u32 = 3;
const LOOKS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(20);

/// Programs, and how much they spin.
#[derive(Debug)]
pub(super) struct Servers {
    programs: BTreeMap<Peer, Program>,
    /// What stands before each of them.
    prefix: Vec<String>,
    /// Spins that take 1 ms, of Rust's programs.
    pub(super) spins: u64,
}

#[derive(Debug)]
struct Program {
    /// With its version.
    label: String,
    path: PathBuf,
    spins: u64,
}

impl Servers {
    /// Builds all `peers`, and finds out how many spins take 1 ms on the server's core. What comes from Debian's
    /// packages and cannot be had is left out with a message, unless it was `asked` for by name.
    pub(super) fn build(
        root: &Path,
        target: &Path,
        peers: &[Peer],
        asked: bool,
        nice: Option<i32>,
    ) -> Result<Self> {
        let prefix = super::with_niceness(nice);
        let spins = calibrated(root, target, &prefix)?;
        let mut programs = BTreeMap::new();
        for &peer in peers {
            let found = if peer == Peer::Echo4 {
                echo(root, target, &prefix)
            } else {
                ours(root, target, peer, spins)
            };
            match found {
                Ok(program) => drop(programs.insert(peer, program)),
                Err(problem) if asked || peer != Peer::Echo4 => {
                    return Err(problem.context(format!("no {}", peer.name())));
                }
                Err(problem) => println!("without {}: {problem:#}", peer.name()),
            }
        }
        Ok(Self { programs, prefix, spins })
    }

    pub(super) fn has(&self, peer: Peer) -> bool {
        self.programs.contains_key(&peer)
    }

    pub(super) fn labels(&self) -> BTreeMap<Peer, String> {
        self.programs.iter().map(|(&peer, program)| (peer, program.label.clone())).collect()
    }

    /// Starts a server on its core.
    pub(super) fn start(&self, peer: Peer) -> Result<Server> {
        let program = self.programs.get(&peer).context("it was not built")?;
        let port = process::free_port()?;
        let own = [
            program.path.display().to_string(),
            format!("127.0.0.1:{port}"),
            program.spins.to_string(),
            peer.variant().to_owned(),
        ];
        let command: Vec<String> = self.prefix.iter().cloned().chain(own).collect();
        let server = Server::start(peer.name(), port, &command, Stdio::null())?;
        for (path, status) in [("/cpu", 200), ("/slots", 200), ("/mixed/1", 200), ("/mixed/10", 201)] {
            let (got, _) = ask(port, path)?;
            ensure!(got == status, "{} answers {path} with {got}, not {status}", peer.name());
        }
        Ok(server)
    }
}

/// How many spins take 1 ms on the server's core.
pub(super) fn calibrated(root: &Path, target: &Path, prefix: &[String]) -> Result<u64> {
    let calibrate = build::peer(root, target, "overload-calibrate", "")?;
    let spins = printed(prefix, &[calibrate.display().to_string()])?;
    println!("1 ms is {spins} spins");
    Ok(spins)
}

fn ours(root: &Path, target: &Path, peer: Peer, spins: u64) -> Result<Program> {
    let (name, label) = match peer {
        Peer::Axum => ("overload-axum", "axum VERSION"),
        Peer::AxumLimit => ("overload-axum", "axum VERSION, load_shed, concurrency_limit(8)"),
        Peer::SeawallServe => ("overload-seawall", "Seawall in another's runtime"),
        Peer::SeawallOff => ("overload-seawall", "Seawall, protection off"),
        Peer::Seawall | Peer::Echo4 => ("overload-seawall", "Seawall"),
    };
    let lock = build::lock(root)?;
    let version = build::version(&lock, "axum").unwrap_or_default();
    let path = build::peer(root, target, name, name)?;
    Ok(Program { label: label.replace("VERSION", version), path, spins })
}

fn echo(root: &Path, target: &Path, prefix: &[String]) -> Result<Program> {
    let (label, path) = echo::build(root, target, "overload")?;
    let spins = printed(prefix, &[path.display().to_string(), "calibrate".to_owned()])?;
    Ok(Program { label, path, spins })
}

/// The number that a program prints on the server's core.
fn printed(prefix: &[String], command: &[String]) -> Result<u64> {
    let output = Command::new("taskset").args(["-c", SERVER_CORE]).args(prefix).args(command).output();
    let output = output.context("taskset cannot be started; it is in Debian's util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("{} prints no number", command.join(" ")))
}

/// Waits until a server answers as quickly as one that has nothing else to do.
pub(super) fn settle(server: &Server, path: &str) -> Result<()> {
    let mut quick = 0;
    for _ in 0..LOOKS {
        // A server that is still busy may refuse or hang up: that is no idle one.
        quick = match ask(server.port(), path) {
            Ok((200, took)) if took < IDLE => quick + 1,
            _ => 0,
        };
        if quick == QUICK {
            return Ok(());
        }
        std::thread::park_timeout(PAUSE);
    }
    bail!(
        "it does not become idle after the load: {LOOKS} requests, one at a time, and no {QUICK} quick answers"
    )
}

/// Sends one request on a connection of its own; the status, and how long it took.
fn ask(port: u16, path: &str) -> Result<(u16, Duration)> {
    let start = clock::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).with_context(|| format!("no answer to {path}"))?;
    let status =
        std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.1 ")?.parse().ok());
    Ok((status.context("not the first line of an answer")?, clock::now() - start))
}
