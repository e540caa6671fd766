//! Whether the queue is a burst that passes or an overload that stays: CoDel's test, on the age of the oldest.
//!
//! An overload begins when the oldest entry has waited for longer than the target during a whole grace period, or when
//! a newcomer finds the queue full. It ends when the queue runs empty: only then has supply caught up with demand.
//! Nichols and Jacobson, "Controlling queue delay" (2012); the newest-first order that follows from it, and that a
//! queue which never ran empty is the sign, from Maurer, "Fail at scale" (2015).

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Overload {
    grace: Duration,
    above_since: Option<Instant>,
    overloaded: bool,
}

impl Overload {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, above_since: None, overloaded: false }
    }

    pub(super) fn overloaded(&self) -> bool {
        self.overloaded
    }

    /// Takes in how long the oldest entry has waited; nothing for an empty queue.
    pub(super) fn observe(&mut self, oldest: Option<Duration>, target: Duration, now: Instant) {
        match oldest {
            None => *self = Self::new(self.grace),
            Some(waited) if waited <= target => self.above_since = None,
            Some(_) => {
                let since = *self.above_since.get_or_insert(now);
                self.overloaded |= now.saturating_duration_since(since) >= self.grace;
            }
        }
    }

    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// A newcomer found no room.
    pub(super) fn full(&mut self) {
        self.overloaded = true;
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One observation every 10 ms (`.` empty, `-` below the target, `+` above it, `f` full); `O` where overloaded.
    #[track_caller]
    fn check(script: &str, expected: &str) {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
        let start = Instant::now();
        let mut overload = Overload::new(30 * MS);
        let mut answers = String::new();
        for (step, at) in script.chars().zip(0..) {
            let now = start + 10 * MS * at;
            match step {
                '.' => overload.observe(None, 5 * MS, now),
                '-' => overload.observe(Some(4 * MS), 5 * MS, now),
                '+' => overload.observe(Some(6 * MS), 5 * MS, now),
                _ => overload.full(),
            }
            answers.push(if overload.overloaded() { 'O' } else { '.' });
        }
        assert_eq!(answers, expected);
    }

    #[test]
    fn a_burst_shorter_than_the_grace_passes() {
        check("+++-+++.", "........");
    }
    #[test]
    fn a_queue_above_the_target_for_the_whole_grace_is_an_overload() {
        check("+++++", "...OO");
    }
    #[test]
    fn only_an_empty_queue_ends_it() {
        check("++++--+.+", "...OOOO..");
    }
    #[test]
    fn a_full_queue_is_an_overload_at_once() {
        check("-f--.-", ".OOO..");
    }
}
