//! Whether the queue is a burst that passes or an overload that stays: CoDel's test, on the age of the oldest.
//!
//! An overload begins when the oldest entry has waited for longer than the target, and than half the grace period,
//! during a whole grace period; or when a newcomer finds the queue full. (Close to its capacity a service of short
//! requests has waits above the target by chance, for longer than any grace.) It ends when the queue runs empty: only
//! then has supply caught up with demand. A short queue also runs empty by chance, so shortly after its end an overload
//! begins again as soon as the oldest is past the target.
//! Nichols and Jacobson, "Controlling queue delay" (2012); the newest-first order that follows from it, and that a
//! queue which never ran empty is the sign, from Maurer, "Fail at scale" (2015).

use std::time::{Duration, Instant};

use crate::parts::{Part, is_there};

#[derive(Debug)]
pub(super) struct Overload {
    grace: Duration,
    above_since: Option<Instant>,
    overloaded: bool,
    /// When the last overload ended.
    left: Option<Instant>,
}

/// How long after its end an overload needs no grace to begin again: so many targets, and at least one grace.
const RECENT_TARGETS: u32 = 16;

impl Overload {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, above_since: None, overloaded: false, left: None }
    }

    pub(super) fn overloaded(&self) -> bool {
        self.overloaded
    }

    /// Takes in how long the oldest entry has waited; nothing for an empty queue.
    pub(super) fn observe(&mut self, oldest: Option<Duration>, target: Duration, now: Instant) {
        match oldest {
            None => {
                if self.overloaded {
                    self.left = Some(now);
                }
                (self.above_since, self.overloaded) = (None, false);
            }
            Some(waited) if waited <= target.max(self.grace / 2) => {
                self.above_since = None;
                self.overloaded |= waited > target && self.just_left(target, now) && is_there(Part::CoDel);
            }
            Some(_) => {
                let since = *self.above_since.get_or_insert(now);
                let passed = now.saturating_duration_since(since) >= self.grace;
                self.overloaded |= (passed || self.just_left(target, now)) && is_there(Part::CoDel);
            }
        }
    }

    fn just_left(&self, target: Duration, now: Instant) -> bool {
        let recent = self.grace.max(target * RECENT_TARGETS);
        self.left.is_some_and(|left| now.saturating_duration_since(left) < recent)
    }

    /// When an entry that is past the target at `stale` may have to go: not before there is an overload.
    pub(super) fn matters_at(&self, stale: Instant) -> Instant {
        match self.above_since {
            Some(since) if !self.overloaded => stale.max(since + self.grace),
            _ => stale,
        }
    }

    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// A newcomer found no room.
    pub(super) fn full(&mut self) {
        self.overloaded = is_there(Part::CoDel);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One observation every 10 ms (`.` empty, `-` below the target, `=` above it, `+` above half the grace, too, `f`
    /// full); `O` where overloaded.
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
                '=' => overload.observe(Some(6 * MS), 5 * MS, now),
                '+' => overload.observe(Some(16 * MS), 5 * MS, now),
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
        check("++++--+.-", "...OOOO..");
    }
    #[test]
    fn shortly_after_its_end_it_begins_again_at_once() {
        check("++++.-=", "...O..O");
        check("++++.---------=++++", "...O..............O");
    }
    #[test]
    fn waits_just_above_the_target_are_chance() {
        check("=======", ".......");
    }
    #[test]
    fn a_full_queue_is_an_overload_at_once() {
        check("-f--.-", ".OOO..");
    }
}
