//! How much handlers may compute before what has arrived meanwhile is read.
//!
//! Time that handlers spend inside their polls is summed. Once it has used up the slice, newcomers wait in the queue
//! until the worker has read all that has arrived: only then is it known who is the newest, and who came too late. The
//! slice counts resumed handlers too, so that they go before new starts.
//!
//! One thread writes, its worker's, so plain loads and stores do. Inside a runtime with several threads there is no
//! order to keep; there the slice never ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The slice: short beside what a client notices, long beside the microsecond that a round of reading costs.
const SLICE: Duration = Duration::from_millis(1);

/// A handler that computes for less is answered sooner than it is queued, and about as soon as it is refused: where all
/// are like that, order is worth less than it costs. Many connections with such requests, or with many of them at once,
/// would use up a slice in one reading, and from then on each would be queued and woken.
const CHEAP: Duration = Duration::from_micros(5);

/// How many slices cheap handlers may use, which is what a newcomer waits at most.
const CHEAP_SLICES: u64 = 5;

/// A slice has worn thin when one part of so many is used.
const WORN: u64 = 4;

/// The weight of a new mean cost against the old: it settles within some ten rounds.
const WEIGHT: f64 = 0.1;

/// The time slice of one worker.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nanoseconds of the slice; `u64::MAX` where there is no order to keep.
    slice: u64,
    /// Nanoseconds spent since the last reading.
    spent: AtomicU64,
    /// Handlers that ended their first polls since then.
    polled: AtomicU64,
    /// Starts that were granted and have not been polled yet.
    granted: AtomicU64,
    /// What a start costs on average, in nanoseconds; bits of an `f64`.
    mean: AtomicU64,
}

impl Pace {
    /// With a slice if `in_order`, else without.
    pub(super) fn new(in_order: bool) -> Self {
        let slice = if in_order { SLICE.as_nanos() as u64 } else { u64::MAX };
        let [spent, polled, granted, mean] = [(); 4].map(|()| AtomicU64::new(0));
        Self { slice, spent, polled, granted, mean }
    }

    /// Whether what has arrived should be read before anything else is started. What was granted and has not run yet
    /// counts with the mean cost: the first of unknown cost runs alone.
    pub(super) fn is_used_up(&self) -> bool {
        if self.slice == u64::MAX {
            return false;
        }
        let spent = self.spent.load(Relaxed);
        let granted = self.granted.load(Relaxed);
        let mean = f64::from_bits(self.mean.load(Relaxed)) as u64;
        let expected = match (granted, mean) {
            (0, _) => 0,
            (_, 0) => self.slice,
            _ => granted.saturating_mul(mean),
        };
        let used = spent.saturating_add(expected);
        used >= self.slice && (used >= self.slice * CHEAP_SLICES || !self.are_cheap(used, granted))
    }

    /// Whether those who have run in this slice and those who were granted are cheap, on average.
    fn are_cheap(&self, used: u64, granted: u64) -> bool {
        let starts = self.polled.load(Relaxed).saturating_add(granted);
        used <= starts.saturating_mul(CHEAP.as_nanos() as u64)
    }

    /// A start was granted, which will be polled later.
    pub(super) fn grant(&self) {
        self.granted.store(self.granted.load(Relaxed) + 1, Relaxed);
    }

    /// What was granted is about to be polled, or never will be.
    pub(super) fn redeem(&self) {
        self.granted.store(self.granted.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// A handler was polled for the first time, and this long. Whether the slice has worn thin by that: it should be
    /// renewed after the next reading, or many cheap requests that arrive together would use it up and queue.
    pub(super) fn spend_first(&self, cost: Duration) -> bool {
        self.polled.store(self.polled.load(Relaxed) + 1, Relaxed);
        self.spend(cost)
    }

    /// A handler was polled again.
    pub(super) fn spend(&self, cost: Duration) -> bool {
        let cost = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        let before = self.spent.load(Relaxed);
        let spent = before.saturating_add(cost);
        self.spent.store(spent, Relaxed);
        before < self.slice / WORN && spent >= self.slice / WORN
    }

    /// Whether a part of the slice is used that is worth a renewal.
    pub(super) fn is_worn(&self) -> bool {
        self.spent.load(Relaxed) >= self.slice / WORN
    }

    /// All that has arrived is read: a new slice begins.
    pub(super) fn renew(&self) {
        let (spent, polled) = (self.spent.load(Relaxed), self.polled.load(Relaxed));
        if polled > 0 {
            let cost = spent as f64 / polled as f64;
            let mean = f64::from_bits(self.mean.load(Relaxed));
            let mean = if mean == 0.0 { cost } else { mean + (cost - mean) * WEIGHT };
            self.mean.store(mean.to_bits(), Relaxed);
        }
        self.spent.store(0, Relaxed);
        self.polled.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn a_slice_ends_with_the_time_that_handlers_took() {
        let pace = Pace::new(true);
        pace.spend_first(600 * US);
        assert!(!pace.is_used_up());
        pace.spend(400 * US);
        assert!(pace.is_used_up());
        pace.renew();
        assert!(!pace.is_used_up());
    }

    #[test]
    fn cheap_handlers_do_not_queue_for_one_another() {
        let pace = Pace::new(true);
        (0..1_024).for_each(|_| _ = pace.spend_first(2 * US));
        assert!(!pace.is_used_up(), "two milliseconds, but of small change");
        pace.spend_first(4_000 * US);
        assert!(pace.is_used_up(), "a dear one among them ends it");
        pace.renew();
        (0..2_600).for_each(|_| _ = pace.spend_first(2 * US));
        assert!(pace.is_used_up(), "five milliseconds are enough for all");
    }

    #[test]
    fn it_says_once_that_it_has_worn_thin() {
        let pace = Pace::new(true);
        let said: Vec<_> = (0..5).map(|_| pace.spend_first(100 * US)).collect();
        assert_eq!(said, [false, false, true, false, false]);
        assert!(pace.is_worn() && !pace.is_used_up());
        pace.renew();
        assert!(!pace.is_worn());
    }

    #[test]
    fn the_first_of_unknown_cost_runs_alone() {
        let pace = Pace::new(true);
        pace.grant();
        assert!(pace.is_used_up());
        pace.redeem();
        assert!(!pace.is_used_up());
    }

    #[test]
    fn as_many_are_granted_as_fit() {
        let pace = Pace::new(true);
        pace.spend_first(200 * US);
        pace.renew();
        let granted = (0..100).take_while(|_| !pace.is_used_up()).inspect(|_| pace.grant()).count();
        assert_eq!(granted, 5);
        (0..3).for_each(|_| pace.redeem());
        assert!(!pace.is_used_up());
    }

    #[test]
    fn the_mean_follows_the_cost() {
        let pace = Pace::new(true);
        for cost in std::iter::repeat_n(10, 5).chain(std::iter::repeat_n(500, 60)) {
            pace.spend_first(cost * US);
            pace.renew();
        }
        let mean = f64::from_bits(pace.mean.load(Relaxed));
        assert!((490_000.0..500_000.0).contains(&mean), "{mean}");
    }

    #[test]
    fn without_an_order_to_keep_it_never_ends() {
        let pace = Pace::new(false);
        pace.spend_first(Duration::from_secs(100));
        pace.grant();
        assert!(!pace.is_used_up());
    }
}
