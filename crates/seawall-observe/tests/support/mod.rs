//! What the profiler's tests share: work with known names, requests without a network, and Go's own tool.

#![allow(dead_code, reason = "no test uses all of it")]

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use seawall_observe::{Pprof, PprofConfig};

/// Far more than anything here takes, so that a busy machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "a limit for waiting; nothing is measured")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = now() + PATIENCE;
    while !condition() {
        assert!(now() < limit, "{what}: not within {PATIENCE:?}");
        thread::yield_now();
    }
}

/// One profile at a time is all that a process gives, and tests of one file may share a process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that work until this is dropped.
pub(crate) struct Work {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    pub(crate) fn start(name: &str, work: fn(&AtomicBool)) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (stopped, (begin, begun)) = (Arc::clone(&stop), mpsc::sync_channel(1));
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _ = begin.send(()); // by now it has its name
            work(&stopped);
        });
        begun.recv().unwrap();
        Self { stop, threads: vec![thread.unwrap()] }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

#[inline(never)]
pub(crate) fn busy_outside(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        black_box(busy_inside(black_box(1_000)));
    }
}

#[inline(never)]
fn busy_inside(rounds: u64) -> u64 {
    (0..rounds).fold(1, |sum: u64, n| black_box(sum.wrapping_mul(31).wrapping_add(n)))
}

#[inline(never)]
pub(crate) fn busy_in_the_kernel(stop: &AtomicBool) {
    use std::io::Read as _;
    let mut zeros = std::fs::File::open("/dev/zero").unwrap();
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        zeros.read_exact(black_box(&mut buffer)).unwrap();
    }
}

/// glibc's `send` and `recv` keep no frame pointer.
#[inline(never)]
pub(crate) fn talks_to_itself(stop: &AtomicBool) {
    use std::io::{Read as _, Write as _};
    let (mut one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut buffer = vec![0; 1 << 14];
    while !stop.load(Ordering::Relaxed) {
        one.write_all(black_box(&buffer)).unwrap();
        other.read_exact(black_box(&mut buffer)).unwrap();
    }
}

#[inline(never)]
pub(crate) fn asleep(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Status, headers (as one text, names in lower case), body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn get(pprof: &Pprof, target: &str) -> Answer {
    send(pprof, http::Request::get(target).body(Vec::new()).unwrap())
}

pub(crate) fn send(pprof: &Pprof, request: http::Request<Vec<u8>>) -> Answer {
    let (head, body) = pprof.handle(&request).into_parts();
    let lines = head.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    Answer { status: head.status.as_u16(), head: lines.collect(), body: body.to_vec() }
}

pub(crate) fn pprof() -> Pprof {
    Pprof::new(&PprofConfig::default()).unwrap()
}

/// `go tool pprof` with these arguments: what it prints. It fails the test if it fails, or is not there.
#[track_caller]
pub(crate) fn go_tool_pprof(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("go");
    command.args(["tool", "pprof"]).args(arguments).stdin(Stdio::null());
    command.env("PPROF_TMPDIR", folder.path()).env("HOME", folder.path()).env("GOFLAGS", "");
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "`go` cannot be started ({error}): apt-get install golang-go, or cargo xtask setup, which does it"
        )
    });
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "go tool pprof {arguments:?}:\n{out}\n{err}");
    for complaint in ["symbolization", "parsing", "no mapping", "unrecognized", "warning"] {
        assert!(!err.to_lowercase().contains(complaint), "go tool pprof {arguments:?} complains: {err}");
    }
    out.into_owned()
}

/// Writes a profile to a file and lets Go's tool read it.
#[track_caller]
pub(crate) fn go_reads(profile: &[u8], arguments: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), profile).unwrap();
    let mut all = arguments.to_vec();
    all.push(file.path().to_str().unwrap());
    go_tool_pprof(&all)
}
