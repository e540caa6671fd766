//! From moments to rates and shares: what a service did between two times. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::kernel_text::NetCounters;
use super::service::{Counters, ThreadClock};
use super::station::{Station, is_counted, stations};
use super::thread_state::ThreadState;
use super::watch::Moment;

/// What the service and its machine did over a while. Rates are per second; a signal that could not be read is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Length, seconds.
    pub seconds: f64,
    /// User CPU of the service, cores.
    pub cpu_user: f64,
    /// Kernel CPU of the service, cores.
    pub cpu_system: f64,
    /// Its threads that were ready without a CPU, on average.
    pub run_delay: f64,
    /// Share of the machine's CPU that was idle.
    pub machine_idle: Option<f64>,
    /// CPU that the whole machine used, cores.
    pub machine_busy: Option<f64>,
    /// Share of the machine's CPU that the hypervisor took.
    pub steal: Option<f64>,
    /// Share of the time in which some task of the machine waited for a CPU.
    pub cpu_pressure: Option<f64>,
    /// Share of the time in which all waited for memory.
    pub memory_pressure: Option<f64>,
    /// Share of the time in which all waited for a disk.
    pub io_pressure: Option<f64>,
    /// Share of the quota's periods in which it stopped the service; none without a quota.
    pub throttled: Option<f64>,
    /// Seconds per second for which it was stopped, over all its threads.
    pub throttled_time: Option<f64>,
    /// Times a thread left its CPU to wait.
    pub voluntary: f64,
    /// Times a thread was pushed off its CPU.
    pub involuntary: f64,
    /// Page faults without a disk.
    pub minor_faults: f64,
    /// Page faults with one.
    pub major_faults: f64,
    /// Resident memory at the beginning, bytes.
    pub rss_first: u64,
    /// At the end.
    pub rss_last: u64,
    /// Open descriptors at most.
    pub descriptors: Option<u32>,
    /// Their limit.
    pub descriptor_limit: Option<u64>,
    /// Calls of `write` and its like.
    pub writes: Option<f64>,
    /// Bytes that they wrote.
    pub written_bytes: Option<f64>,
    /// Bytes by which files that are open for writing grew, fastest first.
    pub files: Vec<(String, f64)>,
    /// Connections dropped because an accept queue of the namespace was full.
    pub listen_overflows: Option<f64>,
    /// Share of the namespace's segments that were sent again.
    pub retransmitted: Option<f64>,
    /// Connections accepted in the namespace.
    pub accepted: Option<f64>,
    /// Connections that waited to be accepted, at most.
    pub accept_queue: u32,
    /// How many may wait; none if the kernel did not say.
    pub accept_limit: Option<u32>,
    /// Open connections to others, on average, most first.
    pub outbound: Vec<(SocketAddr, f64)>,
    /// Threads that waited for the same lock at once, at most.
    pub same_lock: u32,
    /// The threads, busiest first.
    pub threads: Vec<ThreadWindow>,
    /// Gauges of the signals endpoint, averaged.
    pub gauges: BTreeMap<String, f64>,
    /// Queues of the service with the threads behind them, by its signals endpoint.
    #[serde(default)]
    pub stations: Vec<Station>,
}

/// What a thread did. Shares of the time, 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ThreadWindow {
    /// Its process.
    pub pid: u32,
    /// Its number.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// On a CPU, by the scheduler's clock.
    pub running: f64,
    /// Ready without one, by the scheduler's clock.
    pub run_delay: f64,
    /// Waiting for a lock.
    pub lock: f64,
    /// Sleeping for a time.
    pub sleep: f64,
    /// In a blocking call that is no wait for a client.
    pub io: f64,
    /// In an uninterruptible wait.
    pub disk: f64,
    /// Stopped by a signal or a debugger: no doing of the service.
    pub stopped: f64,
    /// Waiting for events of many sockets.
    pub events: f64,
    /// Waiting for one client.
    pub client: f64,
    /// Waiting for work with a time limit.
    pub pool_idle: f64,
    /// Waiting for work, or for another thread.
    pub parked: f64,
    /// Times per second it left its CPU to wait.
    pub voluntary: f64,
}

impl ThreadWindow {
    /// Share in which it wanted a CPU.
    pub fn wants_cpu(&self) -> f64 {
        self.running + self.run_delay
    }

    /// Share in which it was held without a CPU and without being idle.
    pub fn blocked(&self) -> f64 {
        self.lock + self.sleep + self.io + self.disk
    }

    /// Share in which it waited for work.
    pub fn idle(&self) -> f64 {
        self.events + self.client + self.pool_idle + self.parked
    }
}

impl Window {
    /// CPU of the service, cores.
    pub fn cpu(&self) -> f64 {
        self.cpu_user + self.cpu_system
    }

    /// Threads that wanted a CPU, on average.
    pub fn wants_cpu(&self) -> f64 {
        self.threads.iter().map(ThreadWindow::wants_cpu).sum()
    }

    /// Threads that were in one state, on average.
    pub fn in_state(&self, share: impl Fn(&ThreadWindow) -> f64) -> f64 {
        self.threads.iter().map(share).sum()
    }

    /// What was seen between `from_s` and `to_s`: between the first and the last moment in it, or if there are fewer
    /// than two, those around it. None with fewer than two moments at all.
    pub fn between(moments: &[Moment], from_s: f64, to_s: f64) -> Option<Self> {
        let mut first = moments.partition_point(|moment| moment.t_s < from_s);
        let mut last = moments.partition_point(|moment| moment.t_s <= to_s).checked_sub(1)?;
        if last <= first {
            last = first.min(moments.len().checked_sub(1)?);
            first = last.checked_sub(1)?;
        }
        Some(Self::of(&moments[first..=last]))
    }

    fn of(moments: &[Moment]) -> Self {
        let (first, last) = (&moments[0], &moments[moments.len() - 1]);
        let (a, b) = (&first.counters, &last.counters);
        let seconds = (last.t_s - first.t_s).max(1e-3);
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        let pressure = |from: Option<f64>, to: Option<f64>| Some((to? - from?).max(0.0) / seconds);
        let optional = |from: Option<u64>, to: Option<u64>| Some(rate(from?, to?));
        let (totals, before) = (&b.totals, &a.totals);
        let threads = threads(moments, seconds);
        let mut window = Self {
            seconds,
            cpu_user: (totals.user_s - before.user_s).max(0.0) / seconds,
            cpu_system: (totals.system_s - before.system_s).max(0.0) / seconds,
            run_delay: threads.iter().map(|thread| thread.run_delay).sum(),
            cpu_pressure: pressure(a.cpu_pressure_s, b.cpu_pressure_s),
            memory_pressure: pressure(a.memory_pressure_s, b.memory_pressure_s),
            io_pressure: pressure(a.io_pressure_s, b.io_pressure_s),
            voluntary: threads.iter().map(|thread| thread.voluntary).sum(),
            involuntary: clocks(a, b).map(|(a, b)| rate(a.involuntary, b.involuntary)).sum(),
            minor_faults: rate(before.minor_faults, totals.minor_faults),
            major_faults: rate(before.major_faults, totals.major_faults),
            rss_first: before.rss_bytes,
            rss_last: totals.rss_bytes,
            descriptors: moments.iter().filter_map(|m| m.counters.totals.descriptors).max(),
            descriptor_limit: totals.descriptor_limit,
            writes: optional(before.writes, totals.writes),
            written_bytes: optional(before.written_bytes, totals.written_bytes),
            files: growth(a, b, seconds),
            accept_queue: moments[1..].iter().map(accept_queue).max().unwrap_or(0),
            accept_limit: moments.iter().filter_map(|moment| Some(moment.accept_queue?.limit)).min(),
            outbound: outbound(&moments[1..]),
            same_lock: moments[1..].iter().map(|moment| moment.same_lock).max().unwrap_or(0),
            threads,
            gauges: gauges(&moments[1..]),
            stations: stations(moments),
            ..Self::default()
        };
        window.refine_cpu();
        window.add_machine(a, b, seconds);
        window
    }

    /// The process's clock ticks a hundred times a second, and some kernels update it late; the threads' clocks are exact,
    /// but those of threads that ended are lost.
    fn refine_cpu(&mut self) {
        let exact: f64 = self.threads.iter().map(|thread| thread.running).sum();
        if exact > self.cpu() {
            let user = if self.cpu() > 0.0 { self.cpu_user / self.cpu() } else { 1.0 };
            (self.cpu_user, self.cpu_system) = (exact * user, exact * (1.0 - user));
        }
    }

    fn add_machine(&mut self, a: &Counters, b: &Counters, seconds: f64) {
        if let (Some(a), Some(b)) = (a.machine, b.machine) {
            let (busy, idle, steal) = (b.busy_s - a.busy_s, b.idle_s - a.idle_s, b.steal_s - a.steal_s);
            let all = (busy + idle + steal).max(1e-9);
            self.machine_idle = Some((idle / all).clamp(0.0, 1.0));
            self.machine_busy = Some((busy / seconds).max(0.0));
            self.steal = Some((steal / all).clamp(0.0, 1.0));
        }
        if let (Some(a), Some(b)) = (a.throttling, b.throttling) {
            let periods = b.periods.saturating_sub(a.periods);
            let throttled = b.throttled.saturating_sub(a.throttled);
            self.throttled = (periods > 0).then(|| throttled as f64 / periods as f64);
            self.throttled_time = Some((b.throttled_s - a.throttled_s).max(0.0) / seconds);
        }
        if let (Some(a), Some(b)) = (a.net, b.net) {
            let delta = |of: fn(&NetCounters) -> u64| of(&b).saturating_sub(of(&a)) as f64;
            self.listen_overflows = Some(delta(|net| net.listen_overflows.max(net.listen_drops)) / seconds);
            self.retransmitted = Some(delta(|net| net.retransmitted) / delta(|net| net.sent).max(1.0));
            self.accepted = Some(delta(|net| net.passive_opens) / seconds);
        }
    }
}

/// Clocks of the threads that were there at both moments; a new thread began at zero.
fn clocks<'a>(
    a: &'a Counters,
    b: &'a Counters,
) -> impl Iterator<Item = (ThreadClock, &'a ThreadClock)> + use<'a> {
    let known: BTreeMap<(u32, u32), &ThreadClock> =
        a.threads.iter().map(|thread| ((thread.pid, thread.tid), thread)).collect();
    b.threads.iter().map(move |thread| {
        (known.get(&(thread.pid, thread.tid)).copied().cloned().unwrap_or_default(), thread)
    })
}

fn threads(moments: &[Moment], seconds: f64) -> Vec<ThreadWindow> {
    let (first, last) = (&moments[0].counters, &moments[moments.len() - 1].counters);
    let mut looks: BTreeMap<(u32, u32), BTreeMap<ThreadState, u32>> = BTreeMap::new();
    for (thread, seen) in moments[1..].iter().flat_map(|moment| &moment.looks) {
        let all = looks.entry(*thread).or_default();
        seen.states.iter().for_each(|(state, n)| *all.entry(*state).or_default() += n);
    }
    let rounds = f64::from(moments[1..].iter().map(|moment| moment.rounds).sum::<u32>().max(1));
    let share = |a: u64, b: u64| b.saturating_sub(a) as f64 / 1e9 / seconds;
    let mut threads: Vec<ThreadWindow> = clocks(first, last)
        .map(|(a, b)| {
            let seen = looks.get(&(b.pid, b.tid));
            // Shares of all rounds: a thread that began or ended in between did nothing for the rest.
            let of = |state| seen.and_then(|seen| seen.get(&state)).map_or(0.0, |n| f64::from(*n) / rounds);
            let (running, run_delay) = (share(a.run_ns, b.run_ns), share(a.wait_ns, b.wait_ns));
            // The clocks of a thread are read a little before or after the moment's time.
            let fit = (running + run_delay).max(1.0);
            ThreadWindow {
                pid: b.pid,
                tid: b.tid,
                name: b.name.clone(),
                running: running / fit,
                run_delay: run_delay / fit,
                lock: of(ThreadState::Lock),
                sleep: of(ThreadState::Sleep),
                io: of(ThreadState::Io),
                disk: of(ThreadState::Disk),
                stopped: of(ThreadState::Stopped),
                events: of(ThreadState::Events),
                client: of(ThreadState::Client),
                pool_idle: of(ThreadState::PoolIdle),
                parked: of(ThreadState::Parked),
                voluntary: b.voluntary.saturating_sub(a.voluntary) as f64 / seconds,
            }
        })
        .collect();
    threads.sort_by(|a, b| (b.wants_cpu() + b.blocked()).total_cmp(&(a.wants_cpu() + a.blocked())));
    threads
}

fn accept_queue(moment: &Moment) -> u32 {
    let seen = moment.accept_queue.map_or(0, |queue| queue.waiting);
    seen.max(moment.counters.sockets.accept_queue)
}

fn growth(a: &Counters, b: &Counters, seconds: f64) -> Vec<(String, f64)> {
    let grown = |(path, position): (&String, &u64)| {
        let before = a.files.get(path).copied().unwrap_or(0);
        (*position > before).then(|| (path.clone(), (position - before) as f64 / seconds))
    };
    let mut files: Vec<(String, f64)> = b.files.iter().filter_map(grown).collect();
    files.sort_by(|a, b| b.1.total_cmp(&a.1));
    files
}

fn outbound(moments: &[Moment]) -> Vec<(SocketAddr, f64)> {
    let mut sums: BTreeMap<SocketAddr, f64> = BTreeMap::new();
    for (remote, open) in moments.iter().flat_map(|moment| &moment.counters.sockets.outbound) {
        *sums.entry(*remote).or_default() += f64::from(*open);
    }
    let n = moments.len().max(1) as f64;
    let mut means: Vec<(SocketAddr, f64)> = sums.into_iter().map(|(remote, sum)| (remote, sum / n)).collect();
    means.sort_by(|a, b| b.1.total_cmp(&a.1));
    means
}

fn gauges(moments: &[Moment]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let all = moments.iter().flat_map(|moment| &moment.gauges);
    for (name, value) in all.filter(|(name, _)| !is_counted(name)) {
        let sum = sums.entry(name.clone()).or_default();
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    sums.into_iter().map(|(name, (sum, n))| (name, sum / n)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kernel_text::{MachineCpu, Throttling};
    use super::super::service::Totals;
    use super::super::watch::Looks;
    use super::*;

    fn moment(t_s: f64, cpu_s: f64, lock: u32) -> Moment {
        let thread = ThreadClock {
            pid: 1,
            tid: 2,
            name: "w".into(),
            run_ns: (cpu_s * 1e9) as u64,
            ..ThreadClock::default()
        };
        let counters = Counters {
            totals: Totals { user_s: cpu_s, ..Totals::default() },
            threads: vec![thread],
            machine: Some(MachineCpu { busy_s: cpu_s * 2.0, idle_s: 2.0 * t_s - cpu_s * 2.0, steal_s: 0.0 }),
            throttling: Some(Throttling {
                periods: (t_s * 10.0) as u64,
                throttled: (t_s * 5.0) as u64,
                throttled_s: t_s / 4.0,
            }),
            ..Counters::default()
        };
        let looks = Looks {
            total: 10,
            states: [(ThreadState::Lock, lock), (ThreadState::Running, 10 - lock)].into(),
        };
        Moment {
            t_s,
            counters,
            looks: [((1, 2), looks)].into(),
            rounds: 10,
            same_lock: lock,
            ..Moment::default()
        }
    }

    #[test]
    fn a_window_is_the_difference_of_its_ends_and_the_looks_between() {
        let moments: Vec<Moment> = (0..5).map(|i| moment(f64::from(i), f64::from(i) * 0.5, 4)).collect();
        let window = Window::between(&moments, 0.5, 3.5).unwrap();
        assert_eq!((window.seconds, window.cpu()), (2.0, 0.5));
        assert_eq!((window.threads[0].running, window.threads[0].lock), (0.5, 0.4));
        assert_eq!((window.machine_idle, window.machine_busy), (Some(0.5), Some(1.0)));
        assert_eq!((window.throttled, window.throttled_time), (Some(0.5), Some(0.25)));
        assert_eq!(window.same_lock, 4);
    }
    #[test]
    fn a_short_window_takes_the_moments_around_it() {
        let moments = [moment(0.0, 0.0, 0), moment(1.0, 1.0, 0), moment(2.0, 1.0, 0)];
        assert_eq!(Window::between(&moments, 0.4, 0.6).unwrap().cpu(), 1.0);
    }
    #[test]
    fn without_two_moments_there_is_no_window() {
        assert_eq!(Window::between(&[], 0.0, 1.0), None);
        assert_eq!(Window::between(&[moment(0.0, 0.0, 0)], 0.0, 1.0), None);
    }
}
