//! When a window ends, and what the thread used of the machine in it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::sys;
use crate::window::{WINDOW_NS, Window};

/// Cuts the counts of one thread into windows.
#[derive(Debug)]
pub(super) struct Ticker {
    start: u64,
    next: u64,
    cpu_ns: u64,
    run_delay_ns: u64,
    /// `/proc/thread-self/schedstat`, if the kernel has it.
    schedstat: Option<File>,
}

impl Ticker {
    /// Must be made on the thread that it watches, or begun there.
    pub(super) fn new() -> Self {
        Self { start: 0, next: u64::MAX, cpu_ns: 0, run_delay_ns: 0, schedstat: None }
    }

    /// The calling thread's run starts at `start`; its first window is `first_ns` long.
    pub(super) fn begin(&mut self, start: u64, first_ns: u64) {
        self.schedstat = File::open("/proc/thread-self/schedstat").ok();
        self.start = start;
        self.next = start + first_ns;
        self.cpu_ns = sys::thread_cpu_ns();
        self.run_delay_ns = self.read_run_delay();
    }

    /// When the current window ends.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Hands out every window that is over at `now`; several, the later ones empty, if the thread did not run.
    pub(super) fn cut(&mut self, now: u64, window: &mut Window, mut emit: impl FnMut(Window)) {
        while now >= self.next {
            let edge = self.next;
            emit(self.close(edge, window));
            self.next = edge + WINDOW_NS;
        }
    }

    /// Ends the current window at `end`.
    pub(super) fn close(&mut self, end: u64, window: &mut Window) -> Window {
        let cpu_ns = sys::thread_cpu_ns();
        window.counts.cpu_ns = cpu_ns - self.cpu_ns;
        self.cpu_ns = cpu_ns;
        let run_delay_ns = self.read_run_delay();
        window.counts.run_delay_ns = run_delay_ns.saturating_sub(self.run_delay_ns);
        self.run_delay_ns = run_delay_ns;
        let end_ns = end.saturating_sub(self.start).max(window.start_ns);
        window.end_ns = end_ns;
        std::mem::replace(window, Window::starting_at(end_ns))
    }

    /// Nanoseconds in which the thread could have run and got no CPU; 0 where the kernel does not tell.
    fn read_run_delay(&self) -> u64 {
        let mut text = [0; 96];
        let Some(length) = self.schedstat.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()) else {
            return 0;
        };
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        text.split_whitespace().nth(1).and_then(|delay| delay.parse().ok()).unwrap_or(0)
    }
}
