//! A point in time past which nobody wants the answer any more. It knows no clock: `now` is an argument.

use std::time::{Duration, Instant};

/// The moment past which a piece of work is of no use to whoever asked for it.
///
/// A deadline is a point, a timeout is a length: a deadline can be handed down a chain of calls without growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline at `at`.
    pub fn at(at: Instant) -> Self {
        Self(at)
    }

    /// The deadline `timeout` after `now`; a timeout beyond the clock's range counts as thirty years.
    pub fn after(now: Instant, timeout: Duration) -> Self {
        const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
        Self(now.checked_add(timeout).unwrap_or(now + THIRTY_YEARS))
    }

    /// The point itself, for timers.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// What is left at `now`; zero once it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed at `now`. A deadline that falls on `now` has.
    pub fn expired(self, now: Instant) -> bool {
        now >= self.0
    }

    /// The earlier one: a deadline is only ever tightened on its way down.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Ord::min(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the origin of a test")]
    fn origin() -> Instant {
        Instant::now()
    }

    #[test]
    fn counts_down_and_stops_at_zero() {
        let now = origin();
        let deadline = Deadline::after(now, Duration::from_secs(2));
        assert_eq!(deadline.remaining(now + Duration::from_millis(500)), Duration::from_millis(1500));
        assert_eq!(deadline.remaining(now + Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn has_expired_at_its_own_instant() {
        let now = origin();
        assert!(Deadline::at(now).expired(now));
        assert!(!Deadline::after(now, Duration::from_nanos(1)).expired(now));
    }

    #[test]
    fn a_timeout_beyond_the_clock_does_not_panic() {
        let now = origin();
        assert!(!Deadline::after(now, Duration::MAX).expired(now + Duration::from_secs(1_000_000)));
    }

    #[test]
    fn the_tighter_one_wins() {
        let now = origin();
        let (near, far) = (Deadline::at(now), Deadline::after(now, Duration::from_secs(1)));
        assert_eq!(near.min(far), near);
        assert_eq!(far.min(near), near);
    }
}
