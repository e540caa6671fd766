//! What a lock's waiters have waited, summed up for whoever releases it. Pure: the time is an argument.
//!
//! Go charges a release with the waiting that it ends. Here that is the time all waiters together have spent since the
//! last release: waiters x time, added up whenever their number changes.

/// The sum so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    waiters: u64,
    /// Until when `waited` is right.
    at: u64,
    waited: u64,
}

impl Ledger {
    /// Somebody begins to wait.
    pub(super) fn begin(&mut self, now: u64) {
        self.settle(now);
        self.waiters += 1;
    }

    /// Somebody has the lock now.
    pub(super) fn end(&mut self, now: u64) {
        self.settle(now);
        self.waiters = self.waiters.saturating_sub(1);
    }

    /// The lock is released: what was waited since the last time.
    pub(super) fn release(&mut self, now: u64) -> u64 {
        self.settle(now);
        std::mem::take(&mut self.waited)
    }

    fn settle(&mut self, now: u64) {
        // Threads may look at the clock in one order and come here in another.
        self.waited += self.waiters * now.saturating_sub(self.at);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `b` begins, `e` ends, `r` releases, `.` is one unit of time; the answers of all releases.
    #[track_caller]
    fn check(script: &str, expected: &[u64]) {
        let (mut ledger, mut now, mut found) = (Ledger::default(), 100, Vec::new());
        for step in script.chars() {
            match step {
                'b' => ledger.begin(now),
                'e' => ledger.end(now),
                'r' => found.push(ledger.release(now)),
                _ => now += 1,
            }
        }
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn one_waiter_costs_its_time() {
        check("b...r", &[3]);
    }
    #[test]
    fn two_waiters_cost_twice() {
        check("b..b..r", &[6]);
    }
    #[test]
    fn each_release_pays_for_its_own_time_only() {
        check("b..b.re..r", &[4, 2]);
    }
    #[test]
    fn without_waiters_time_is_free() {
        check("..r..r", &[0, 0]);
        check("b.re....b..r", &[1, 2]);
    }
    #[test]
    fn a_clock_that_went_back_is_no_wait() {
        let mut ledger = Ledger::default();
        ledger.begin(100);
        assert_eq!((ledger.release(90), ledger.release(101)), (0, 1));
    }
}
