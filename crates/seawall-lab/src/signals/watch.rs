//! Watches a service on a thread of its own: looks at its threads many times a second, counts a few times a second.
//!
//! What one look costs decides how often there is one: looking takes at most a tenth of one CPU. The series is bounded by
//! [`MAX_MOMENTS`]; a run that is longer keeps its beginning. Dropping the watcher stops it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::http;
use super::service::{Counters, Service};
use super::sock_diag::{AcceptQueue, SockDiag};
use super::thread_state::{Look, ThreadState, classify, letter, system_call};
use crate::clock;

/// Moments that are kept at most: an hour at the default interval.
pub const MAX_MOMENTS: usize = 9_000;
/// Threads that are looked at in one round.
const MAX_LOOKED_AT: usize = 512;
/// Gauges of the signals endpoint that are kept per moment.
const MAX_GAUGES: usize = 256;
const ADMIN_TIMEOUT: Duration = Duration::from_millis(300);
/// Looking rests at least so many times as long as it took.
const REST: u32 = 9;

/// How often, and what besides the kernel. The defaults fit a run of seconds.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// Time between two counts. Default 400 ms.
    pub interval: Duration,
    /// Time between two looks at the threads. Default 20 ms.
    pub look: Duration,
    /// The service's admin listener, whose signals endpoint is read with each count. Default none.
    pub admin: Option<SocketAddr>,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self { interval: Duration::from_millis(400), look: Duration::from_millis(20), admin: None }
    }
}

/// What the looks at one thread showed since the moment before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looks {
    /// How many there were.
    pub total: u32,
    /// By what it was doing.
    pub states: BTreeMap<ThreadState, u32>,
}

/// Counters, and what was seen since the moment before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// Seconds since the origin.
    pub t_s: f64,
    /// What the kernel counted.
    pub counters: Counters,
    /// Looks by (process, thread).
    pub looks: BTreeMap<(u32, u32), Looks>,
    /// Rounds of looks.
    pub rounds: u32,
    /// Threads that waited for the same lock at once, at most.
    pub same_lock: u32,
    /// The fullest that the accept queue was seen, and its limit; none if it could not be asked for.
    pub accept_queue: Option<AcceptQueue>,
    /// Numbers of the signals endpoint.
    pub gauges: Vec<(String, f64)>,
}

/// A running watch.
#[derive(Debug)]
pub struct Watcher {
    stop: Option<mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<Vec<Moment>>>,
}

impl Watcher {
    /// Begins to watch; times count from `origin`.
    ///
    /// # Panics
    /// When the system cannot start a thread.
    pub fn start(service: Service, config: WatchConfig, origin: Instant) -> Self {
        let (stop, stopped) = mpsc::sync_channel(0);
        let work = move || {
            Watch {
                diag: SockDiag::open().filter(|_| service.shares_network()),
                service,
                config,
                origin,
                now: Moment::default(),
                clients: Counters::default(),
            }
            .run(&stopped)
        };
        let thread = std::thread::Builder::new().name("lab-watch".into()).spawn(work);
        let thread = thread.expect("a process that cannot start one thread cannot watch another");
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Counts once more, stops, and returns all moments in rising order of time.
    pub fn stop(mut self) -> Vec<Moment> {
        self.stop = None; // the closed channel is the signal
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watch {
    service: Service,
    diag: Option<SockDiag>,
    config: WatchConfig,
    origin: Instant,
    /// What is being gathered for the next moment.
    now: Moment,
    /// The counters before, for the descriptors of clients and the list of processes.
    clients: Counters,
}

impl Watch {
    fn run(mut self, stopped: &mpsc::Receiver<()>) -> Vec<Moment> {
        // Of this thread only. Where it is not allowed, a busy machine makes the moments less even.
        let _ = rustix::process::nice(-10);
        let mut moments = Vec::new();
        let mut due = clock::now();
        loop {
            if clock::now() >= due {
                due = (due + self.config.interval).max(clock::now() + self.config.interval / 2);
                moments.extend(self.moment());
                if moments.len() >= MAX_MOMENTS {
                    return moments;
                }
            }
            let began = clock::now();
            self.look();
            let rest = self.config.look.max((clock::now() - began) * REST);
            match stopped.recv_timeout(rest) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        moments.extend(self.moment());
        moments
    }

    fn moment(&mut self) -> Option<Moment> {
        let counters = self.service.count(self.diag.as_ref())?;
        self.clients = counters.clone();
        let t_s = clock::now().saturating_duration_since(self.origin).as_secs_f64();
        let signals = self.config.admin.and_then(|admin| http::signals(admin, ADMIN_TIMEOUT).ok());
        let gauges = signals.into_iter().flatten().take(MAX_GAUGES).collect();
        Some(Moment { t_s, counters, gauges, ..std::mem::take(&mut self.now) })
    }

    fn look(&mut self) {
        let threads = Service::threads(&self.clients.pids);
        let mut locks: BTreeMap<(u32, u64), u32> = BTreeMap::new();
        self.now.rounds += 1;
        for (pid, tid) in threads.into_iter().take(MAX_LOOKED_AT) {
            let Some(look) = look_at(pid, tid) else { continue };
            let state = match (look.state, look.descriptor) {
                // A blocking read from a client is the wait for its next request.
                (ThreadState::Io, Some(fd))
                    if self.clients.sockets.client_descriptors.contains(&(pid, fd)) =>
                {
                    ThreadState::Client
                }
                (state, _) => state,
            };
            if let Some(lock) = look.lock {
                *locks.entry((pid, lock)).or_default() += 1;
            }
            let looks = self.now.looks.entry((pid, tid)).or_default();
            looks.total += 1;
            *looks.states.entry(state).or_default() += 1;
        }
        let queues =
            self.diag.iter().flat_map(|diag| self.service.ports().filter_map(|port| diag.of_port(port)));
        let fullest = queues.chain(self.now.accept_queue).max_by_key(|queue| queue.waiting);
        self.now.accept_queue = fullest;
        self.now.same_lock = self.now.same_lock.max(locks.into_values().max().unwrap_or(0));
    }
}

/// One look; none if the thread is gone.
fn look_at(pid: u32, tid: u32) -> Option<Look> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}"));
    let letter = letter(&read("stat").ok()?)?;
    if matches!(letter, 'R' | 'D') {
        return Some(classify(letter, "", None));
    }
    let wchan = read("wchan").unwrap_or_default();
    let call = read("syscall").ok().and_then(|text| system_call(&text));
    Some(classify(letter, &wchan, call.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Watches this process until `enough` says so of what was seen, with a limit.
    fn watch_until(enough: impl Fn(&[Moment]) -> bool) -> Vec<Moment> {
        let service = Service::new(std::process::id(), &[], None);
        let config = WatchConfig { interval: Duration::from_millis(50), ..WatchConfig::default() };
        let mut seen = Vec::new();
        for _ in 0..100 {
            let watcher = Watcher::start(service.clone(), config.clone(), clock::now());
            let (_keep, wait) = mpsc::sync_channel::<()>(0);
            let _ = wait.recv_timeout(Duration::from_millis(200)); // the watcher watches meanwhile
            seen.extend(watcher.stop());
            if enough(&seen) {
                break;
            }
        }
        seen
    }

    #[test]
    fn threads_that_wait_for_one_lock_are_seen() {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || drop(lock.lock()))
            })
            .collect();
        let seen = watch_until(|moments| moments.iter().any(|moment| moment.same_lock >= 3));
        assert!(seen.iter().any(|moment| moment.same_lock >= 3), "{:?}", seen.last());
        let locked = |looks: &Looks| looks.states.get(&ThreadState::Lock).is_some_and(|n| *n == looks.total);
        let last = seen.iter().rfind(|moment| moment.same_lock >= 3).unwrap();
        assert!(last.looks.values().filter(|looks| locked(looks)).count() >= 3, "{last:?}");
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    }

    #[test]
    fn counts_and_looks_come_together() {
        let seen = watch_until(|moments| moments.len() >= 2);
        assert!(seen.iter().any(|moment| moment.rounds > 0 && !moment.looks.is_empty()));
        assert!(seen.iter().all(|moment| !moment.counters.threads.is_empty()));
    }
}
