//! When a thread with something due wakes up: in time, and without burning a CPU for it. Pure.
//!
//! A sleep ends late: by a few microseconds on bare metal, by some fifteen in a virtual machine, where setting the timer
//! costs as much again. So a thread learns how late its sleeps end, wakes up that much earlier, and waits for the rest
//! awake. Where requests follow each other faster than that pays, it does neither: answers wake it all the time, and
//! what is due then is sent with them. A timer is there for the case that none comes, a small part of a usual answer's
//! time later.
//!
//! Even that timer is dear. One that ends before the kernel's next tick makes it program the processor's clock at the
//! beginning and at the end of the sleep, which cost 3.5 us in a virtual machine; one beyond costs next to nothing. So
//! where an answer is sure to come before long, the timer is far. Should none come all the same, near timers are set for
//! two hundred times as long as was slept too long: no more than one request in two hundred is late because of this.
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
/// Beyond the next tick of a kernel with 250 ticks a second.
pub(super) const FAR_NS: u64 = 5_000_000;
/// For so many times as long as a far timer was waited for in vain, none is set.
const WARY_TIMES: u64 = 200;
/// How fast the estimate follows. As far up as down, so it ends at the median.
const STEP_NS: u64 = 500;

/// What a thread knows about its own sleeps.
#[derive(Debug)]
pub(super) struct Waking {
    /// Half of the sleeps end later than this after their time.
    early: u64,
    /// Half of the answers take longer than this.
    usual: u64,
    /// Answers are trusted to come from then on.
    trusts_from: u64,
}

/// Until when to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wake {
    pub(super) at: u64,
    /// It is so close that the thread stays awake.
    pub(super) spin: bool,
    /// Whatever is due should be sent by then. A far timer ends later, because an answer is sure to come before.
    pub(super) wanted: u64,
}

impl Wake {
    pub(super) fn is_far(self) -> bool {
        self.wanted < self.at
    }
}

impl Waking {
    pub(super) fn new() -> Self {
        Self { early: FIRST_EARLY_NS, usual: 0, trusts_from: 0 }
    }

    /// Something is due at `due`, and `rate` times a second; 0 if that is not known, and exactness is not needed. So many
    /// answers are on their way.
    pub(super) fn plan(&self, now: u64, due: u64, rate: f64, awaited: usize) -> Wake {
        if rate <= 0.0 {
            return Wake { at: due, spin: false, wanted: due };
        }
        let gap = (1e9 / rate) as u64;
        if gap < 2 * self.early {
            let slack = (self.usual / SLACK_PART).clamp(gap.min(MIN_SLACK_NS), MAX_SLACK_NS);
            // On average the next answer is there after an equal part of the time that one takes.
            let soon = self.usual <= slack.max(2 * gap).saturating_mul(awaited as u64);
            let wanted = due + slack;
            let far = awaited > 0 && soon && now >= self.trusts_from;
            let at = if far { wanted.max(now + FAR_NS) } else { wanted };
            return Wake { at, spin: false, wanted };
        }
        let at = due.saturating_sub(self.early);
        Wake { at, spin: at <= now, wanted: at }
    }

    /// An answer took so long.
    #[inline]
    pub(super) fn answered(&mut self, took: u64) {
        self.usual =
            if took > self.usual { self.usual + 2 * STEP_NS } else { self.usual.saturating_sub(2 * STEP_NS) };
    }

    /// A sleep that was planned so ended `now`; by its timer if nothing else came.
    pub(super) fn slept(&mut self, wake: Wake, now: u64, alone: bool) {
        if wake.is_far() {
            self.trusts_from = now + WARY_TIMES * now.saturating_sub(wake.wanted);
            return;
        }
        let Some(late) = now.checked_sub(wake.at).filter(|_| alone) else { return }; // an answer, or a signal
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

    fn near(at: u64) -> Wake {
        Wake { at, spin: false, wanted: at }
    }

    /// The estimate after many sleeps that end so late, in turn.
    fn learned(late: &[u64]) -> u64 {
        let mut waking = Waking::new();
        for at in 0..4_000 {
            waking.slept(near(1_000_000), 1_000_000 + late[at % late.len()], true);
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
        assert_eq!(waking.plan(0, 1_000_000, 1_000.0, 9), near(985_000));
        assert_eq!(waking.plan(990_000, 1_000_000, 1_000.0, 9), Wake { spin: true, ..near(985_000) });
    }

    #[test]
    fn where_answers_take_long_a_request_may_wait_a_little_longer_for_one() {
        let mut waking = Waking::new();
        for took in [400_000, 300_000, 9_000_000].into_iter().cycle().take(9_000) {
            waking.answered(took);
        }
        let Wake { at, spin, .. } = waking.plan(0, 1_000_000, 100_000.0, 0);
        assert!(!spin && (1_023_000..=1_027_000).contains(&at), "{at}: a sixteenth of 400 us");
        (0..9_000).for_each(|_| waking.answered(60_000_000));
        assert_eq!(waking.plan(0, 1_000_000, 100_000.0, 0).at, 1_000_000 + MAX_SLACK_NS);
    }

    #[test]
    fn without_a_rate_nobody_is_early() {
        assert_eq!(Waking::new().plan(990_000, 1_000_000, 0.0, 9), near(1_000_000));
    }

    #[test]
    fn where_requests_are_close_answers_wake_it() {
        let waking = Waking::new();
        assert_eq!(waking.plan(999_000, 1_000_000, 100_000.0, 0), near(1_010_000));
        assert_eq!(waking.plan(999_000, 1_000_000, 40_000.0, 0), near(1_015_000));
        let exact = Waking { early: 2_000, ..Waking::new() }; // bare metal
        assert_eq!(exact.plan(999_000, 1_000_000, 100_000.0, 9), Wake { spin: true, ..near(998_000) });
    }

    /// Answers take 400 us, and 25 of them are awaited: one is expected every 16 us, a request is due every 20.
    #[test]
    fn a_timer_is_far_while_answers_are_sure_to_come() {
        let waking = Waking { usual: 400_000, ..Waking::new() };
        let far = Wake { at: FAR_NS + 9_000, spin: false, wanted: 35_000 };
        assert_eq!(waking.plan(9_000, 10_000, 50_000.0, 25), far);
        assert_eq!(waking.plan(9_000, 10_000, 50_000.0, 9), near(35_000), "the next answer is too far away");
        assert_eq!(waking.plan(9_000, 10_000, 50_000.0, 0), near(35_000), "nobody would wake it");
    }

    #[test]
    fn a_far_timer_that_was_waited_for_is_not_set_again_for_long() {
        let mut waking = Waking { usual: 400_000, ..Waking::new() };
        let is_far = |waking: &Waking, now| waking.plan(now, now, 50_000.0, 25).at > now + 25_000;
        let far = Wake { at: FAR_NS, spin: false, wanted: 25_000 };
        waking.slept(far, 20_000, false);
        assert!(is_far(&waking, 20_000), "an answer came in time");
        waking.slept(far, 125_000, false);
        assert!(!is_far(&waking, 125_000 + 199 * 100_000), "an answer came 100 us too late");
        assert!(is_far(&waking, 125_000 + 200 * 100_000));
    }
}
