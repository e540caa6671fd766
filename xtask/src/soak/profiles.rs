//! `cargo xtask soak --profiles`: profiles of every kind, one after the other and at the same time, of a service under full
//! load and with its heap sampled, for minutes. It must not crash, refuse, or lose a request.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Running, Server, cargo, finish, load};

/// Seconds of each profile of the CPU.
const SECONDS: u32 = 3;
/// How long an answer may take beyond that: names are looked up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Loads the service for so many minutes, and profiles it all the while.
pub(super) fn run(root: &Path, minutes: u32) -> Result<()> {
    let features = ["--package", "seawall-observe", "--features", "jemalloc", "--example", "soaked"];
    let target = cargo(root, &[&["--package", "seawall-cli", "--bins"], &features])?;
    let admin = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let mut server = Server::start(&target.join("release/examples/soaked"), &[&admin])?;
    let generator = target.join("release/seawall");
    let duration = format!("{minutes}m");
    let arguments = ["-d", &duration, "--warmup", "0s"];
    let mut running = load(&generator, &server, &arguments)?;
    let (mut profiles, mut bytes) = (0, 0);
    while is_running(&mut running)? {
        for method in ["timers", "auto"] {
            let timed = format!("/debug/pprof/profile?seconds={SECONDS}&method={method}");
            let (first, address) = (timed.clone(), admin.clone());
            let cpu = std::thread::spawn(move || fetch(&address, &first));
            while !cpu.is_finished() {
                for page in ["/debug/pprof/heap", "/debug/pprof/allocs", "/debug/seawall/threads"] {
                    bytes += fetch(&admin, page)?;
                    profiles += 1;
                }
            }
            bytes += cpu.join().map_err(|_| anyhow::anyhow!("the fetch of {timed} panicked"))??;
            profiles += 1;
        }
        for page in ["/debug/pprof/wall?seconds=1", "/debug/pprof/offcpu?seconds=1", "/debug/pprof/mutex"] {
            bytes += fetch(&admin, page)?;
            profiles += 1;
        }
    }
    let done = finish(running)?;
    if let Some(status) = server.child.try_wait()? {
        bail!("the service ended with {status}");
    }
    if !done.errors.is_empty() {
        bail!("requests went wrong: {:?}", done.errors);
    }
    println!(
        "{} requests, {profiles} profiles and thread dumps, {} MiB of them: nothing crashed, nothing was lost",
        done.sent_total,
        bytes >> 20
    );
    Ok(())
}

fn is_running(running: &mut Running) -> Result<bool> {
    Ok(running.child.try_wait()?.is_none())
}

/// The length of an answer, which must be a 200.
fn fetch(admin: &str, path: &str) -> Result<usize> {
    let mut stream = TcpStream::connect(admin).with_context(|| format!("{path}: nobody listens any more"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: soak\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("{path}: no answer"))?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        bail!("{path}: {}", String::from_utf8_lossy(&answer[..answer.len().min(500)]));
    }
    Ok(answer.len())
}
