//! Starts the generator threads, reads their windows, ends the run: what [`Load`](crate::Load) and
//! [`run_users`](crate::users::run_users) have in common.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::collect::{Collector, Heard, Totals};
use crate::config::WarmUp;
use crate::engine::work::Work;
use crate::engine::{Engine, EngineConfig, Message, Shared};
use crate::error::LoadError;
use crate::report::Second;
use crate::schedule::Pace;
use crate::sys;
use crate::window::WINDOW_NS;

/// Windows that may wait for the reader. A thread that finds no room waits, so an observer must not block for
/// minutes; it blocks nothing else.
const MESSAGES: usize = 4_096;
/// How often the reader looks at the interrupt flag.
const LOOK: Duration = Duration::from_millis(20);
/// Descriptors besides the connections.
const SPARE_FILES: u64 = 128;

/// One second of a run that is under way: for progress bars.
#[derive(Debug)]
pub struct Tick {
    /// Seconds since the run's start, warm-up included.
    pub elapsed_s: f64,
    /// Seconds that the run will take, without the wait for the last answers; `None` while the warm-up's end is open.
    pub planned_s: Option<f64>,
    /// This second belongs to the warm-up.
    pub warmup: bool,
    /// Requests that were due per second; in a closed loop, sent.
    pub offered_rps: f64,
    /// Answers per second.
    pub rps: f64,
    /// Median latency of this second in microseconds.
    pub p50_us: f64,
    /// 99th percentile in microseconds.
    pub p99_us: f64,
    /// Errors in this second.
    pub errors: u64,
    /// Requests sent since the start.
    pub sent_total: u64,
    row: Second,
    stop: AtomicBool,
}

impl Tick {
    /// The same second as the report's series has it.
    pub fn second(&self) -> &Second {
        &self.row
    }

    /// Ends the run now. The report is still made, and says that it was interrupted.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }
}

/// What is to be driven.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) url: String,
    pub(crate) warmup: WarmUp,
    pub(crate) duration: Duration,
    pub(crate) cpus: Vec<usize>,
    pub(crate) interrupt: Arc<AtomicBool>,
    /// Of all threads together.
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// Length of a row of the series.
    pub(crate) series_every: Duration,
}

/// Runs one engine per work, each on its own thread, and gives back the sums and the works.
pub(crate) fn drive<W: Work>(
    plan: &Plan,
    works: Vec<(EngineConfig, W)>,
    observer: &mut dyn FnMut(&Tick),
) -> Result<(Totals, Vec<W>), LoadError> {
    sys::allow_open_files(plan.connections as u64 + SPARE_FILES);
    let threads = works.len();
    let (sender, receiver) = sync_channel(MESSAGES);
    let gate = Gate {
        clock: Clock::start(),
        shared: Shared { end: AtomicU64::new(u64::MAX), stopped: AtomicBool::new(false) },
        barrier: Barrier::new(threads + 1),
        connected: AtomicUsize::new(0),
        start: AtomicU64::new(0),
        fixed_ns: plan.fixed_ns(),
    };
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for (number, (config, work)) in works.into_iter().enumerate() {
            let (sender, gate) = (sender.clone(), &gate);
            let cpu = (!plan.cpus.is_empty()).then(|| plan.cpus[number % plan.cpus.len()]);
            handles.push(scope.spawn(move || gate.run_thread(number, cpu, config, work, &sender)));
        }
        drop(sender); // so that the receiver notices when the last thread is gone
        gate.barrier.wait();
        let totals = Reader { plan, gate: &gate, stopped: false }.read(threads, &receiver, observer);
        let mut works = Vec::new();
        for handle in handles {
            let result = handle.join().map_err(|_| LoadError::Panicked)?;
            works.push(result.map_err(|source| LoadError::Thread { url: plan.url.clone(), source })?);
        }
        Ok((totals, works))
    })
}

impl Plan {
    /// Warm-up and measurement together, if that is known.
    fn fixed_ns(&self) -> Option<u64> {
        match self.warmup {
            WarmUp::Auto => None,
            WarmUp::Fixed(warmup) => Some((warmup + self.duration).as_nanos() as u64),
        }
    }

    /// Length of the first window: later edges then hit the end of a fixed warm-up.
    pub(crate) fn first_window_ns(&self) -> u64 {
        let rest = match self.warmup {
            WarmUp::Auto => 0,
            WarmUp::Fixed(warmup) => warmup.as_nanos() as u64 % WINDOW_NS,
        };
        if rest == 0 { WINDOW_NS } else { rest }
    }

    /// Longest automatic warm-up.
    fn auto_limit_ns(&self) -> u64 {
        (self.duration / 2).clamp(Duration::from_secs(1), Duration::from_secs(10)).as_nanos() as u64
    }
}

/// Where all threads of a run meet: they connect first, then start together.
struct Gate {
    clock: Clock,
    shared: Shared,
    barrier: Barrier,
    connected: AtomicUsize,
    start: AtomicU64,
    fixed_ns: Option<u64>,
}

impl Gate {
    /// The life of a generator thread. Whatever fails, it passes the barrier, or all others would wait for ever.
    fn run_thread<W: Work>(
        &self,
        number: usize,
        cpu: Option<usize>,
        config: EngineConfig,
        work: W,
        sender: &SyncSender<Message>,
    ) -> std::io::Result<W> {
        let prepared = cpu.map_or(Ok(()), sys::pin_to_cpu).and_then(|()| {
            sys::exact_timers();
            let mut engine = Engine::new(number, self.clock, config, &self.shared, work)?;
            let connected = engine.connect()?;
            self.connected.fetch_add(connected, SeqCst);
            Ok(engine)
        });
        self.start.fetch_max(self.clock.now(), SeqCst);
        self.barrier.wait();
        let engine = prepared.inspect_err(|_| self.shared.end.store(0, SeqCst))?;
        if self.connected.load(SeqCst) == 0 {
            return Ok(engine.give_up(sender));
        }
        let start = self.start.load(SeqCst);
        if let Some(fixed) = self.fixed_ns {
            self.shared.end.fetch_min(start + fixed, SeqCst); // the same value from each thread
        }
        engine.run(start, sender)
    }
}

/// The reading side of a run.
struct Reader<'a> {
    plan: &'a Plan,
    gate: &'a Gate,
    stopped: bool,
}

impl Reader<'_> {
    fn read(
        mut self,
        threads: usize,
        receiver: &Receiver<Message>,
        observer: &mut dyn FnMut(&Tick),
    ) -> Totals {
        let warm_end = match self.plan.warmup {
            WarmUp::Auto => None,
            WarmUp::Fixed(warmup) => Some(warmup.as_nanos() as u64),
        };
        let mut collector = Collector::new(threads, warm_end, self.plan.pace.clone(), self.plan.series_every);
        while !collector.is_done() {
            match receiver.recv_timeout(LOOK) {
                Ok(message) => {
                    let mut heard_all = Vec::new();
                    collector.add(message, |heard| heard_all.push(heard));
                    heard_all.into_iter().for_each(|heard| self.react(heard, &mut collector, observer));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.elapsed() >= self.plan.auto_limit_ns() {
                self.end_warmup(&mut collector, true);
            }
            if self.plan.interrupt.load(Relaxed) {
                self.stop();
            }
        }
        collector.finish(self.stopped)
    }

    fn react(&mut self, heard: Heard, collector: &mut Collector, observer: &mut dyn FnMut(&Tick)) {
        match heard {
            Heard::Nothing => {}
            Heard::Steady => self.end_warmup(collector, false),
            Heard::Second => {
                if let Some(tick) = self.tick(collector) {
                    observer(&tick);
                    if tick.stop.into_inner() {
                        self.stop();
                    }
                }
            }
        }
    }

    fn elapsed(&self) -> u64 {
        self.gate.clock.now().saturating_sub(self.gate.start.load(SeqCst))
    }

    /// The warm-up ends at the next window's edge but one: no thread can have passed that yet.
    fn end_warmup(&self, collector: &mut Collector, unsteady: bool) {
        if collector.is_warm() || self.stopped {
            return;
        }
        let warm_end = (self.elapsed() / WINDOW_NS + 2) * WINDOW_NS;
        collector.end_warmup(warm_end, unsteady);
        let end = self.gate.start.load(SeqCst) + warm_end + self.plan.duration.as_nanos() as u64;
        // Unless the run has ended for another reason.
        let _ = self.gate.shared.end.compare_exchange(u64::MAX, end, SeqCst, SeqCst);
    }

    fn stop(&mut self) {
        if !self.stopped {
            self.stopped = true;
            self.gate.shared.stopped.store(true, SeqCst);
            self.gate.shared.end.fetch_min(self.gate.clock.now(), SeqCst);
        }
    }

    fn tick(&self, collector: &Collector) -> Option<Tick> {
        let row = collector.last_row()?;
        let end = self.gate.shared.end.load(SeqCst);
        let start = self.gate.start.load(SeqCst);
        Some(Tick {
            elapsed_s: row.t + row.seconds,
            planned_s: (end != u64::MAX).then(|| end.saturating_sub(start) as f64 / 1e9),
            warmup: row.warmup,
            offered_rps: row.offered_rps,
            rps: row.rps,
            p50_us: row.p50,
            p99_us: row.p99,
            errors: row.errors,
            sent_total: collector.so_far().sent,
            row: *row,
            stop: AtomicBool::new(false),
        })
    }
}
