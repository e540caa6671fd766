//! When a thread with something due wakes up: in time, and without burning a CPU for it. Pure.
//!
//! A sleep ends late: by a few microseconds on bare metal, by some fifteen in a virtual machine, where setting the timer
//! costs as much again. So a thread learns how late its sleeps end, wakes up that much earlier, and waits for the rest
//! awake. Where requests follow each other faster than that pays, it does neither: answers wake it all the time, and
//! what is due then is sent with them. A timer is there for the case that none comes, a small part of a usual answer's
//! time later.
//!
//! Whatever is late because of this is in the latencies, and counted as lag.

/// Longest wait awake for one request.
const MAX_EARLY_NS: u64 = 25_000;
/// What is assumed until a sleep has ended.
const FIRST_EARLY_NS: u64 = 15_000;
/// Longest time that a request waits for an answer to wake the thread: a sixteenth of the usual time of an answer, but no
/// more than this.
const MAX_SLACK_NS: u64 = 100_000;
/// No timer is set for less: it would end as late.
const MIN_SLACK_NS: u64 = 15_000;
const SLACK_PART: u64 = 16;
/// How fast the estimate follows. As far up as down, so it ends at the median.
const STEP_NS: u64 = 500;

/// What a thread knows about its own sleeps.
#[derive(Debug)]
pub(super) struct Waking {
    /// Half of the sleeps end later than this after their time.
    early: u64,
    /// Half of the answers take longer than this.
    usual: u64,
}

/// Until when to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wake {
    pub(super) at: u64,
    /// It is so close that the thread stays awake.
    pub(super) spin: bool,
}

impl Waking {
    pub(super) fn new() -> Self {
        Self { early: FIRST_EARLY_NS, usual: 0 }
    }

    /// Something is due at `due`, and `rate` times a second; 0 if that is not known, and exactness is not needed.
    pub(super) fn plan(&self, now: u64, due: u64, rate: f64) -> Wake {
        if rate <= 0.0 {
            return Wake { at: due, spin: false };
        }
        let gap = (1e9 / rate) as u64;
        if gap < 2 * self.early {
            let slack = (self.usual / SLACK_PART).clamp(gap.min(MIN_SLACK_NS), MAX_SLACK_NS);
            return Wake { at: due + slack, spin: false };
        }
        let at = due.saturating_sub(self.early);
        Wake { at, spin: at <= now }
    }

    /// An answer took so long.
    #[inline]
    pub(super) fn answered(&mut self, took: u64) {
        self.usual =
            if took > self.usual { self.usual + 2 * STEP_NS } else { self.usual.saturating_sub(2 * STEP_NS) };
    }

    /// A sleep that nothing else ended was to end at `at` and ended `now`.
    pub(super) fn slept(&mut self, at: u64, now: u64) {
        let late = now.saturating_sub(at);
        self.early = if late > self.early {
            (self.early + STEP_NS).min(MAX_EARLY_NS)
        } else {
            self.early.saturating_sub(STEP_NS)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate after many sleeps that end so late, in turn.
    fn learned(late: &[u64]) -> u64 {
        let mut waking = Waking::new();
        for at in 0..4_000 {
            waking.slept(1_000_000, 1_000_000 + late[at % late.len()]);
        }
        waking.early
    }

    #[test]
    fn the_estimate_is_the_median() {
        let same = learned(&[8_000]);
        assert!((7_000..=9_000).contains(&same), "{same}");
        let spread = learned(&[5_000, 6_000, 7_000, 2_000_000, 6_000]);
        assert!((5_000..=8_000).contains(&spread), "{spread}");
    }

    #[test]
    fn nobody_stays_awake_for_long() {
        assert_eq!(learned(&[5_000_000]), MAX_EARLY_NS);
        assert!(learned(&[0]) <= STEP_NS);
    }

    #[test]
    fn the_last_moment_is_waited_for_awake() {
        let waking = Waking::new();
        assert_eq!(waking.plan(0, 1_000_000, 1_000.0), Wake { at: 985_000, spin: false });
        assert_eq!(waking.plan(990_000, 1_000_000, 1_000.0), Wake { at: 985_000, spin: true });
    }

    #[test]
    fn where_answers_take_long_a_request_may_wait_a_little_longer_for_one() {
        let mut waking = Waking::new();
        for took in [400_000, 300_000, 9_000_000].into_iter().cycle().take(9_000) {
            waking.answered(took);
        }
        let Wake { at, spin } = waking.plan(0, 1_000_000, 100_000.0);
        assert!(!spin && (1_023_000..=1_027_000).contains(&at), "{at}: a sixteenth of 400 us");
        (0..9_000).for_each(|_| waking.answered(60_000_000));
        assert_eq!(waking.plan(0, 1_000_000, 100_000.0).at, 1_000_000 + MAX_SLACK_NS);
    }

    #[test]
    fn without_a_rate_nobody_is_early() {
        assert_eq!(Waking::new().plan(990_000, 1_000_000, 0.0), Wake { at: 1_000_000, spin: false });
    }

    #[test]
    fn where_requests_are_close_answers_wake_it() {
        let waking = Waking::new();
        assert_eq!(waking.plan(999_000, 1_000_000, 100_000.0), Wake { at: 1_010_000, spin: false });
        assert_eq!(waking.plan(999_000, 1_000_000, 40_000.0), Wake { at: 1_015_000, spin: false });
        let exact = Waking { early: 2_000, usual: 0 }; // bare metal
        assert_eq!(exact.plan(999_000, 1_000_000, 100_000.0), Wake { at: 998_000, spin: true });
    }
}
