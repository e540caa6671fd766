//! The service as a child process: started on free ports with a fresh directory, pinned, waited for,
//! and never orphaned.
//!
//! The child is this same executable with a hidden subcommand. It asks the kernel to be killed with its parent, so
//! neither a crash nor `kill -9` of the demo leaves it behind; its directory is removed when [`Service`] is dropped.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{clock, sys};

/// The name of the hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "serve-flashsale";
/// How long the service may take until it answers.
const READY_LIMIT: Duration = Duration::from_secs(15);
/// How long it may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often a condition is looked at again.
const LOOK: Duration = Duration::from_millis(20);

/// What the child is started with: the arguments of the hidden subcommand.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The database's directory.
    #[arg(long)]
    data_dir: PathBuf,
    /// Units of the hot product.
    #[arg(long)]
    units: u64,
    /// Time to pay a confirmed order, in milliseconds.
    #[arg(long)]
    pay_timeout_ms: u64,
    /// Where to serve; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The admin listener, likewise.
    #[arg(long, default_value = "127.0.0.1:0")]
    admin_listen: SocketAddr,
    /// Threads that read the database.
    #[arg(long, default_value_t = 2)]
    readers: usize,
    /// Each read takes so many microseconds longer.
    #[arg(long, default_value_t = 0)]
    database_away_us: u64,
    /// Keep products and stock in memory, `on` or `off`.
    #[arg(long, default_value = "on", value_parser = ["on", "off"])]
    cache: String,
    /// Deduct the stock before the buyer is answered.
    #[arg(long)]
    deduct_in_request: bool,
    /// Processors to run on.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// The process to die with.
    #[arg(long)]
    parent: u32,
}

/// The child's side: pins itself, ties its life to its parent's, and serves until it is asked to end.
pub(crate) fn serve(args: ServeArgs) -> Result<()> {
    sys::die_with_parent(args.parent).context("cannot tie the service to the demo")?;
    sys::pin(&args.cpus).with_context(|| format!("cannot pin the service to processors {:?}", args.cpus))?;
    flashsale::serve(&flashsale::FlashsaleConfig {
        listen: args.listen,
        admin_listen: args.admin_listen,
        readers: args.readers,
        database_away: Duration::from_micros(args.database_away_us),
        cache: args.cache == "on",
        deduct_in_request: args.deduct_in_request,
        data_dir: args.data_dir,
        units: args.units,
        pay_timeout: Duration::from_millis(args.pay_timeout_ms),
        workers: args.cpus.len(),
        ..flashsale::FlashsaleConfig::default()
    })
    .map_err(anyhow::Error::from_boxed)
}

/// A directory that is removed when dropped.
#[derive(Debug)]
pub(super) struct FreshDir(pub(super) PathBuf);

impl FreshDir {
    fn new() -> Result<Self> {
        Self::named("demo")
    }

    pub(super) fn named(name: &str) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("seawall-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir); // left by an earlier process of the same number
        fs::create_dir(&dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for FreshDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The running service.
#[derive(Debug)]
pub(super) struct Service {
    // Dropped in this order: first the process, then its directory.
    child: Process,
    dir: FreshDir,
    /// Where it serves.
    pub(super) address: SocketAddr,
    /// Its admin listener.
    pub(super) admin: SocketAddr,
}

/// A child that is killed and waited for when dropped.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    /// Starts the service with `units` for sale and a time to pay, on the processors `cpus`, and waits until it answers.
    pub(super) fn start(units: u64, pay_timeout: Duration, cpus: &[usize]) -> Result<Self> {
        let dir = FreshDir::new()?;
        let log = File::create(dir.0.join("service.log")).context("cannot write the service's log")?;
        let cpus: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        let child = Command::new(std::env::current_exe().context("cannot find this executable")?)
            .arg(SUBCOMMAND)
            .args(["--units", &units.to_string(), "--cpus", &cpus.join(",")])
            .args(["--pay-timeout-ms", &pay_timeout.as_millis().to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .arg("--data-dir")
            .arg(dir.0.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the service")?;
        // Port 0 until the service has said which ports the system gave it.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut service = Self { child: Process(child), dir, address: unknown, admin: unknown };
        service.wait_until_ready()?;
        Ok(service)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = clock::now() + READY_LIMIT;
        loop {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            if let Some((address, admin)) = log.lines().find_map(addresses) {
                (self.address, self.admin) = (address, admin);
                return Ok(());
            }
            if let Some(status) = self.child.0.try_wait()? {
                bail!("the service ended at once ({status}):\n{}", self.log_tail());
            }
            if !pause_before(deadline) {
                bail!("the service did not answer within {READY_LIMIT:?}:\n{}", self.log_tail());
            }
        }
    }

    /// The process's number.
    pub(super) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// The database's directory.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.0.join("data")
    }

    /// Fails with the end of its log if the service has died.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        match self.child.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the service died ({status}):\n{}", self.log_tail()),
        }
    }

    /// Asks the service to end and waits; kills it if it does not. The directory stays until this is dropped.
    pub(super) fn stop(&mut self) -> Result<ExitStatus> {
        sys::terminate(self.pid()).context("cannot ask the service to end")?;
        let deadline = clock::now() + STOP_LIMIT;
        loop {
            if let Some(status) = self.child.0.try_wait()? {
                return Ok(status);
            }
            if !pause_before(deadline) {
                self.child.0.kill()?;
                return Ok(self.child.0.wait()?);
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.0.join("service.log")
    }

    fn log_tail(&self) -> String {
        tail(&self.log())
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Waits a moment, but not past `deadline`; false when that has come.
pub(super) fn pause_before(deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(clock::now());
    if left.is_zero() {
        return false;
    }
    std::thread::park_timeout(left.min(LOOK));
    true
}

/// The two addresses in the line with which the service says that it is ready.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (address, admin) = line.strip_prefix("listening on http://")?.split_once(" admin http://")?;
    Some((address.parse().ok()?, admin.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_both_addresses() {
        let found = addresses("listening on http://127.0.0.1:4000 admin http://127.0.0.1:4001\n").unwrap();
        assert_eq!((found.0.port(), found.1.port()), (4000, 4001));
        assert_eq!(addresses("listening on http://127.0.0.1:4000"), None);
        assert_eq!(addresses("INFO listening on http://here admin http://there"), None);
    }

    #[test]
    fn a_pause_ends_at_the_deadline() {
        assert!(!pause_before(clock::now()));
        assert!(pause_before(clock::now() + Duration::from_secs(60)));
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let dir = FreshDir::new().unwrap();
        let log = dir.0.join("x.log");
        fs::write(&log, (0..100).map(|i| format!("{i}\n")).collect::<String>()).unwrap();
        let tail = tail(&log);
        assert!(tail.starts_with("80\n") && tail.ends_with("\n99"), "{tail}");
    }
}
