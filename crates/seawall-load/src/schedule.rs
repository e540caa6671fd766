//! When requests are due: the pace of a run as a pure function of the request's number.
//!
//! An open loop's schedule is absolute: request `i` is due at `i / rate`, whatever happened to the ones before. Late
//! requests therefore never move later ones, and a latency counted from the due time hides nothing.
//!
//! Left out: waiting. The engine sleeps; this module says until when.

use std::time::Duration;

/// How requests are paced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: a connection sends its next request when the answer to the last one is complete.
    Closed,
    /// Open loop: so many requests per second are due, evenly spaced, however slow the answers are.
    Constant {
        /// Requests per second, above zero.
        rate: f64,
    },
}

impl Pace {
    /// When request `index` (from 0) is due after the start; `None` if that does not depend on the clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use seawall_load::Pace;
    ///
    /// assert_eq!(Pace::Constant { rate: 4.0 }.due(6), Some(Duration::from_millis(1_500)));
    /// assert_eq!(Pace::Closed.due(6), None);
    /// ```
    pub fn due(self, index: u64) -> Option<Duration> {
        self.due_ns(index).map(Duration::from_nanos)
    }

    /// How many requests are due before `elapsed`; 0 for a closed loop.
    pub fn due_before(self, elapsed: Duration) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Constant { rate } => (elapsed.as_secs_f64() * rate).ceil() as u64,
        }
    }

    /// [`due`](Self::due) in nanoseconds. Exact to a nanosecond for runs of up to 100 days.
    #[inline]
    pub(crate) fn due_ns(self, index: u64) -> Option<u64> {
        match self {
            Self::Closed => None,
            Self::Constant { rate } => Some((index as f64 / rate * 1e9) as u64),
        }
    }
}

/// The part of a schedule that one of `threads` generator threads sends: every `threads`-th request.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pace: Pace,
    next: u64,
    step: u64,
}

impl Share {
    /// The share of thread number `thread`. The shares of all threads are the schedule, each request once.
    pub(crate) fn new(pace: Pace, thread: usize, threads: usize) -> Self {
        Self { pace, next: thread as u64, step: threads as u64 }
    }

    /// When the next request of this share is due; `None` for a closed loop.
    #[inline]
    pub(crate) fn due_ns(&self) -> Option<u64> {
        self.pace.due_ns(self.next)
    }

    /// Goes on to the request after.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.next += self.step;
    }

    /// How many requests of this share were due before `elapsed_ns` and have not been taken: the backlog.
    pub(crate) fn backlog(&self, elapsed_ns: u64) -> u64 {
        let due = self.pace.due_before(Duration::from_nanos(elapsed_ns));
        due.saturating_sub(self.next).div_ceil(self.step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slow_rate_is_exact() {
        let pace = Pace::Constant { rate: 0.5 };
        assert_eq!(pace.due(3), Some(Duration::from_secs(6)));
        assert_eq!(pace.due_before(Duration::from_secs(6)), 3);
        assert_eq!(pace.due_before(Duration::from_millis(6_001)), 4);
    }

    proptest! {
        #[test]
        fn the_threads_share_the_schedule_without_loss_or_repetition(
            rate in 1.0f64..200_000.0, threads in 1usize..9, per_thread in 1u64..50,
        ) {
            let pace = Pace::Constant { rate };
            let mut shared: Vec<u64> = (0..threads)
                .flat_map(|thread| {
                    let mut share = Share::new(pace, thread, threads);
                    (0..per_thread)
                        .map(|_| {
                            let due = share.due_ns().unwrap();
                            share.advance();
                            due
                        })
                        .collect::<Vec<_>>()
                })
                .collect();
            shared.sort_unstable();
            let whole: Vec<u64> =
                (0..threads as u64 * per_thread).map(|index| pace.due_ns(index).unwrap()).collect();
            prop_assert_eq!(shared, whole);
        }

        #[test]
        fn the_backlogs_of_the_threads_add_up(rate in 1.0f64..100_000.0, threads in 1usize..9, ms in 0u64..5_000) {
            let pace = Pace::Constant { rate };
            let sum: u64 =
                (0..threads).map(|thread| Share::new(pace, thread, threads).backlog(ms * 1_000_000)).sum();
            prop_assert_eq!(sum, pace.due_before(Duration::from_millis(ms)));
        }
    }
}
