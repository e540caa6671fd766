//! The reader of the windows: adds up what the threads counted, decides when the warm-up is over, and keeps one row
//! per second.
//!
//! Memory: two sums, one row per second of the run, and the windows that not every thread has delivered yet.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::Message;
use crate::error::ErrorClass;
use crate::report::{Mode, Second, Slice, micros};
use crate::schedule::Pace;
use crate::validity::{ACCEPTED_LAG_OF_USERS_US, ACCEPTED_LAG_US, SelfCheck};
use crate::warmup::{Glimpse, is_steady};
use crate::window::{Counts, WINDOW_NS, Window};

/// What became of a run, added up.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Between the end of the warm-up and the end of the run.
    pub(crate) measured: Window,
    /// After the end of the run.
    pub(crate) drained: Window,
    /// Warm-up, measurement and end.
    pub(crate) whole: Counts,
    pub(crate) threads: Vec<ThreadTotals>,
    pub(crate) series: Vec<Second>,
    /// One per row of `series`.
    pub(crate) slices: Vec<Slice>,
    pub(crate) backlog: u64,
    /// Requests that were due in the measurement; `None` if nothing is due by the clock.
    pub(crate) due: Option<f64>,
    /// Where the warm-up ended; `None` if it never did.
    pub(crate) warm_end_ns: Option<u64>,
    pub(crate) warmup_unsteady: bool,
    pub(crate) interrupted: bool,
    /// The end of the last window.
    pub(crate) end_ns: u64,
}

/// What a generator thread used while it measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct ThreadTotals {
    wall_ns: u64,
    pub(crate) cpu_ns: u64,
    run_delay_ns: u64,
}

impl Totals {
    pub(crate) fn duration_s(&self) -> f64 {
        self.warm_end_ns.map_or(0.0, |warm| self.end_ns.saturating_sub(warm) as f64 / 1e9)
    }

    pub(crate) fn warmup_s(&self) -> f64 {
        self.warm_end_ns.unwrap_or(self.end_ns) as f64 / 1e9
    }

    /// The smallest measured latency that is only a lower bound.
    pub(crate) fn censored_from_us(&self) -> Option<f64> {
        let of = |window: &Window| (window.counts.censored > 0).then_some(window.censored_from_ns);
        of(&self.measured).into_iter().chain(of(&self.drained)).min().map(micros)
    }

    /// Measured errors and those of the end.
    pub(crate) fn errors(&self, class: ErrorClass) -> u64 {
        self.measured.counts.errors[class as usize] + self.drained.counts.errors[class as usize]
    }

    pub(crate) fn self_check(&self, mode: Mode, offered_rps: f64, sent_rps: f64) -> SelfCheck {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let counts = &self.measured.counts;
        let attempts = |class: ErrorClass| self.whole.errors[class as usize];
        SelfCheck {
            open_loop: mode != Mode::Closed,
            accepted_lag_us: if mode == Mode::Users { ACCEPTED_LAG_OF_USERS_US } else { ACCEPTED_LAG_US },
            answered: counts.answered,
            offered_rps,
            sent_rps,
            backlog: self.backlog,
            shed: counts.shed,
            unconnected: attempts(ErrorClass::NoFds) + attempts(ErrorClass::NoPorts),
            waited_share: share(counts.waited, counts.sent),
            cpu_shares: self.threads.iter().map(|t| share(t.cpu_ns, t.wall_ns)).collect(),
            run_delay_shares: self.threads.iter().map(|t| share(t.run_delay_ns, t.wall_ns)).collect(),
            lag_p99_us: micros(self.measured.lag.quantile(0.99)),
            latency_p99_us: micros(self.measured.latency.quantile(0.99)),
        }
    }
}

/// What the reader wants after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// A second is over; it is the last row of the series.
    Second,
    /// The target has been steady for long enough: the warm-up may end.
    Steady,
}

/// Adds up the messages of all threads of a run.
#[derive(Debug)]
pub(crate) struct Collector {
    totals: Totals,
    /// Windows not delivered by all threads; the front has number `first`.
    pending: VecDeque<Window>,
    first: usize,
    /// How many windows each thread delivered; `None` once it is done.
    delivered: Vec<Option<usize>>,
    row: Option<Window>,
    pace: Pace,
    /// A row of the series is over after so many seconds.
    row_s: f64,
    glimpses: Vec<Glimpse>,
}

/// Windows that the warm-up rule sees.
const GLIMPSES: usize = 16;

impl Collector {
    /// For so many threads. `warm_end_ns` is when the warm-up ends, if that is known.
    pub(crate) fn new(threads: usize, warm_end_ns: Option<u64>, pace: Pace, series_every: Duration) -> Self {
        let totals =
            Totals { warm_end_ns, threads: vec![ThreadTotals::default(); threads], ..Totals::default() };
        Self {
            totals,
            pending: VecDeque::new(),
            first: 0,
            delivered: vec![Some(0); threads],
            row: None,
            pace,
            row_s: series_every.as_secs_f64() - 0.001,
            glimpses: Vec::new(),
        }
    }

    /// All threads are done.
    pub(crate) fn is_done(&self) -> bool {
        self.delivered.iter().all(Option::is_none)
    }

    /// The warm-up ends at this time, at the edge of a window that nobody has begun.
    pub(crate) fn end_warmup(&mut self, at_ns: u64, unsteady: bool) {
        self.totals.warm_end_ns = Some(at_ns);
        self.totals.warmup_unsteady = unsteady;
    }

    /// The end of the warm-up is known.
    pub(crate) fn is_warm(&self) -> bool {
        self.totals.warm_end_ns.is_some()
    }

    /// The last finished row.
    pub(crate) fn last_row(&self) -> Option<&Second> {
        self.totals.series.last()
    }

    /// Counts of everything so far.
    pub(crate) fn so_far(&self) -> &Counts {
        &self.totals.whole
    }

    /// Adds a message; calls `tell` for each thing that is worth telling.
    pub(crate) fn add(&mut self, message: Message, mut tell: impl FnMut(Heard)) {
        match message {
            Message::Window { thread, window } => self.add_window(thread, &window),
            Message::Drained { thread, window, backlog } => {
                self.delivered[thread] = None;
                self.totals.whole.merge(&window.counts);
                self.totals.drained.merge(&window);
                self.totals.backlog += backlog;
            }
        }
        while self.front_is_complete() {
            let Some(window) = self.pending.pop_front() else { break };
            self.first += 1;
            let heard = self.finish_window(&window);
            tell(heard);
            if self.glimpse(&window) {
                tell(Heard::Steady);
            }
        }
    }

    /// The sums, when all threads are done.
    pub(crate) fn finish(mut self, interrupted: bool) -> Totals {
        while let Some(window) = self.pending.pop_front() {
            self.finish_window(&window);
        }
        self.finish_row();
        self.totals.interrupted = interrupted;
        let warm_end = self.totals.warm_end_ns.unwrap_or(self.totals.end_ns);
        self.totals.due = self.pace.due_between(warm_end, self.totals.end_ns, self.totals.threads.len());
        self.totals
    }

    fn add_window(&mut self, thread: usize, window: &Window) {
        let number = self.delivered[thread].unwrap_or(self.first);
        self.delivered[thread] = Some(number + 1);
        if self.is_measured(window) {
            let totals = &mut self.totals.threads[thread];
            totals.wall_ns += window.end_ns - window.start_ns;
            totals.cpu_ns += window.counts.cpu_ns.saturating_sub(window.counts.spin_ns);
            totals.run_delay_ns += window.counts.run_delay_ns;
        }
        let index = number.saturating_sub(self.first);
        match self.pending.get_mut(index) {
            Some(sum) => sum.merge(window),
            None => self.pending.push_back(window.clone()),
        }
    }

    fn is_measured(&self, window: &Window) -> bool {
        self.totals.warm_end_ns.is_some_and(|warm| window.start_ns >= warm)
    }

    fn front_is_complete(&self) -> bool {
        !self.pending.is_empty() && self.delivered.iter().flatten().all(|&count| count > self.first)
    }

    fn finish_window(&mut self, window: &Window) -> Heard {
        let measured = self.is_measured(window);
        self.totals.whole.merge(&window.counts);
        self.totals.end_ns = self.totals.end_ns.max(window.end_ns);
        if measured {
            if self.totals.measured.end_ns == 0 {
                self.totals.measured.start_ns = window.start_ns;
            }
            self.totals.measured.merge(window);
        }
        let turned = self.row.as_ref().is_some_and(|row| measured && !self.is_measured(row));
        let mut heard = if turned && self.finish_row() { Heard::Second } else { Heard::Nothing };
        match &mut self.row {
            Some(row) => row.merge(window),
            None => self.row = Some(window.clone()),
        }
        if self.row.as_ref().is_some_and(|row| row.seconds() > self.row_s) && self.finish_row() {
            heard = Heard::Second;
        }
        heard
    }

    /// Turns the current row into a line of the series; false if it was empty.
    fn finish_row(&mut self) -> bool {
        let Some(row) = self.row.take() else { return false };
        let seconds = row.seconds();
        if seconds <= 0.0 {
            return false;
        }
        self.totals.slices.push(Slice::of(&row, !self.is_measured(&row)));
        self.totals.series.push(Second {
            t: row.start_ns as f64 / 1e9,
            seconds,
            warmup: !self.is_measured(&row),
            rps: row.counts.answered as f64 / seconds,
            offered_rps: self
                .pace
                .expected_between(row.start_ns, row.end_ns)
                .unwrap_or(row.counts.sent as f64)
                / seconds,
            sent_rps: row.counts.sent as f64 / seconds,
            p50: micros(row.latency.quantile(0.5)),
            p99: micros(row.latency.quantile(0.99)),
            errors: row.counts.errors_total(),
            good_rps: row.counts.good.total() as f64 / seconds,
            success_p99: micros(row.success.quantile(0.99)),
        });
        true
    }

    /// Shows a window to the warm-up rule, as long as that matters.
    fn glimpse(&mut self, window: &Window) -> bool {
        if self.totals.warm_end_ns.is_some() || window.end_ns - window.start_ns < WINDOW_NS {
            return false;
        }
        if self.glimpses.len() == GLIMPSES {
            self.glimpses.remove(0);
        }
        let rps = window.counts.answered as f64 / window.seconds();
        self.glimpses.push(Glimpse { rps, p50_us: micros(window.latency.quantile(0.5)) });
        is_steady(&self.glimpses)
    }
}
