//! The generators: where they are, how each is told the same thing, and what a visit of one costs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::server::Nginx;
use crate::{clock, setup};

/// A load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// Ours.
    Seawall,
    /// Debian's wrk.
    Wrk,
    /// oha, built from crates.io if it is not there.
    Oha,
    /// Debian's h2load, speaking HTTP/1.1.
    H2load,
    /// bombardier, if it is on the path.
    Bombardier,
    /// Debian's hey.
    Hey,
}

/// Whose pace it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Loop {
    Closed,
    Open,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Seawall => "seawall load",
            other => other.program(),
        })
    }
}

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
        })
    }
}

/// What a generator cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Visit {
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) rps: f64,
}

/// The version of oha that is built.
const OHA: &str = "1.16.0";

impl Peer {
    const ALL: [Self; 6] = [Self::Seawall, Self::Wrk, Self::Oha, Self::H2load, Self::Bombardier, Self::Hey];

    fn program(self) -> &'static str {
        match self {
            Self::Seawall => "seawall",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::H2load => "h2load",
            Self::Bombardier => "bombardier",
            Self::Hey => "hey",
        }
    }

    /// It sends at a rate whatever the answers do, and counts latency from when a request was due.
    fn has_open_loop(self) -> bool {
        matches!(self, Self::Seawall | Self::Oha)
    }

    /// The same load in this generator's words: one thread, `connections`, so many seconds, a small GET.
    fn arguments(self, url: &str, connections: u32, seconds: u32, rate: Option<f64>) -> Vec<String> {
        let time = format!("{seconds}s");
        let text = match (self, rate) {
            (Self::Seawall, None) => {
                format!("load {url} -t 1 -c {connections} -d {time} --warmup 0s --no-self-test")
            }
            (Self::Seawall, Some(rate)) => {
                format!("load {url} -t 1 -c {connections} -d {time} --warmup 0s --no-self-test -R {rate}")
            }
            (Self::Oha, None) => format!("-z {time} -c {connections} --no-tui {url}"),
            (Self::Oha, Some(rate)) => {
                format!("-z {time} -c {connections} --no-tui -q {rate} --latency-correction {url}")
            }
            (Self::Wrk, _) => format!("-t1 -c{connections} -d{time} {url}"),
            (Self::H2load, _) => format!("--h1 -t1 -c{connections} -D{seconds} {url}"),
            (Self::Bombardier, _) => format!("-c {connections} -d {time} -p r {url}"),
            (Self::Hey, _) => format!("-z {time} -c {connections} -cpus 1 {url}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }
}

/// The generators that are there.
#[derive(Debug)]
pub(super) struct Programs(BTreeMap<Peer, PathBuf>);

impl Programs {
    /// Looks for the generators that are wanted, or for all; builds oha if need be. One that is wanted by name and is not
    /// there is an error.
    pub(super) fn find(ours: PathBuf, target: &Path, wanted: &[Peer]) -> Result<Self> {
        let mut found = BTreeMap::from([(Peer::Seawall, ours)]);
        for peer in Peer::ALL.into_iter().skip(1) {
            if !wanted.is_empty() && !wanted.contains(&peer) {
                continue;
            }
            match on_path(peer.program()) {
                Some(path) => drop(found.insert(peer, path)),
                None if peer == Peer::Oha => drop(found.insert(peer, build_oha(target)?)),
                None if wanted.contains(&peer) => bail!("`{}` is not on the path", peer.program()),
                None => println!("{peer} is not on the path, and left out"),
            }
        }
        Ok(Self(found))
    }

    pub(super) fn closed(&self) -> impl Iterator<Item = Peer> {
        self.0.keys().copied()
    }

    pub(super) fn open(&self) -> impl Iterator<Item = Peer> {
        self.0.keys().copied().filter(|peer| peer.has_open_loop())
    }

    /// Puts a load on the server, on the core of this process. With a rate it is an open loop.
    pub(super) fn visit(
        &self,
        nginx: &Nginx,
        peer: Peer,
        connections: u32,
        seconds: u32,
        rate: Option<f64>,
    ) -> Result<Visit> {
        let mut command = Command::new(&self.0[&peer]);
        command.args(peer.arguments(&nginx.url(), connections, seconds, rate));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (requests, cpu) = (nginx.requests()?, ended()?);
        let status = command.status().with_context(|| format!("{peer} cannot be started"))?;
        let spent = ended()?.since(cpu);
        let requests = nginx.requests()? - requests - 1; // the first question
        // Ours says with 4 that an open loop was not kept up; what it cost is known all the same.
        let fine = status.success() || (peer == Peer::Seawall && status.code() == Some(4));
        ensure!(fine, "{peer} ended with {status}: {command:?}");
        super::enough(requests)?;
        let per_request = |ticks: f64| ticks * 1e4 / requests as f64;
        Ok(Visit {
            cpu_us: per_request(spent.user + spent.system),
            user_us: per_request(spent.user),
            rps: requests as f64 / f64::from(seconds),
        })
    }

    /// The first number of what each says of itself.
    pub(super) fn versions(&self) -> BTreeMap<Peer, String> {
        let version = |(&peer, path): (&Peer, &PathBuf)| {
            let question = if peer == Peer::Wrk { "-v" } else { "--version" };
            let output = Command::new(path).arg(question).output();
            let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
            (peer, first_version(&String::from_utf8_lossy(&said)))
        };
        self.0.iter().map(version).collect()
    }
}

fn first_version(said: &str) -> String {
    let number = |word: &&str| {
        let digits = word.trim_start_matches(['v', '/']);
        let number = digits.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        digits.starts_with(|letter: char| letter.is_ascii_digit()) && number.contains('.')
    };
    let word = said.split(|letter: char| letter.is_whitespace() || letter == '/').find(number);
    word.unwrap_or("of unknown version").trim_start_matches('v').to_owned()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn build_oha(target: &Path) -> Result<PathBuf> {
    let root = target.join("tools/oha");
    let program = root.join("bin/oha");
    if program.is_file() {
        return Ok(program);
    }
    println!("building oha {OHA}, once");
    let start = clock::now();
    let mut command = Command::new(setup::cargo());
    command.args(["install", "oha", "--version", OHA, "--locked", "--quiet", "--root"]).arg(&root);
    let status = command.stdin(Stdio::null()).status().context("cannot start cargo")?;
    ensure!(status.success(), "oha does not build; --peer wrk leaves it out");
    println!("building oha: {} s", (clock::now() - start).as_secs());
    Ok(program)
}

/// CPU of processes that we have started and that have ended, in ticks of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ended {
    user: f64,
    system: f64,
}

impl Ended {
    fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

fn ended() -> Result<Ended> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    of_children(&stat).context("/proc/self/stat is not what was expected")
}

/// Fields 16 and 17 of `stat`, counted after the name, which may contain anything.
fn of_children(stat: &str) -> Option<Ended> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    Some(Ended { user: fields.next()?.parse().ok()?, system: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_of_children_is_read_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 10 0 0 0 321 654 11 22 20 0 1 0 99 0 0";
        assert_eq!(of_children(stat), Some(Ended { user: 11.0, system: 22.0 }));
        assert_eq!(of_children("nonsense"), None);
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C)", "4.1.0-3+b2"),
            ("h2load nghttp2/1.52.0\n", "1.52.0"),
            ("oha 1.16.0", "1.16.0"),
            ("bombardier version v1.2.6 linux/amd64", "1.2.6"),
            ("flag provided but not defined: -version\nUsage: 200. of 1", "of unknown version"),
        ] {
            assert_eq!(first_version(said), version);
        }
    }

    #[test]
    fn everybody_is_told_the_same() {
        for peer in Peer::ALL {
            let rates = if peer.has_open_loop() { vec![None, Some(900.0)] } else { vec![None] };
            for rate in rates {
                let arguments = peer.arguments("http://h/", 64, 3, rate).join(" ");
                assert!(arguments.contains("64") && arguments.contains("http://h/"), "{arguments}");
                assert_eq!(arguments.contains("900"), rate.is_some(), "{arguments}");
            }
        }
    }
}
