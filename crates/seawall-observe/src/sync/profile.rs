//! The block profile and the mutex profile: waits by stack, sampled.
//!
//! A wait as long as [`EVERY`] or longer is always recorded. Shorter ones are added up, and each time the sum has grown by
//! that much, the one at hand is recorded in the name of all: a hundred thousand short waits a second cost little, and
//! the sums stay right. A record walks the stack, some microseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::pprof::stacks::Stacks;
use crate::pprof::sys::walk;

/// Go's default for sampling blocks by time is the user's to choose; this is small beside a request.
const EVERY: u64 = 10_000;
/// Different stacks; further ones are dropped and counted.
const MOST_STACKS: usize = 4_096;

/// Waits, by the stack that waited or released.
#[derive(Debug)]
pub(crate) struct Contention {
    /// Nanoseconds of short waits so far, recorded or not.
    short: AtomicU64,
    /// Contentions and nanoseconds of each stack.
    stacks: Mutex<Option<Stacks<2>>>,
}

static BLOCK: Contention = Contention::new();
static MUTEX: Contention = Contention::new();

/// By who waited.
pub(crate) fn block() -> &'static Contention {
    &BLOCK
}

/// By who released what others waited for.
pub(crate) fn mutex() -> &'static Contention {
    &MUTEX
}

#[inline(never)]
pub(super) fn block_ended(time: Duration) {
    BLOCK.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

#[inline(never)]
pub(super) fn mutex_released(nanos: u64) {
    MUTEX.add(nanos);
}

impl Contention {
    const fn new() -> Self {
        Self { short: AtomicU64::new(0), stacks: Mutex::new(None) }
    }

    fn add(&self, nanos: u64) {
        let Some([number, nanos]) = self.weigh(nanos) else { return };
        let mut addresses = Vec::with_capacity(32);
        walk::walk(walk::here(), &mut |address| {
            addresses.push(address);
            addresses.len() < crate::pprof::stacks::DEEPEST
        });
        let mut stacks = self.stacks.lock();
        let stacks = stacks.get_or_insert_with(|| Stacks::new(MOST_STACKS));
        stacks.add(0, &addresses, [number, nanos]);
    }

    /// What to record in place of a wait: itself, several like it, or nothing.
    fn weigh(&self, nanos: u64) -> Option<[i64; 2]> {
        if nanos >= EVERY {
            return Some([1, i64::try_from(nanos).unwrap_or(i64::MAX)]);
        }
        let before = self.short.fetch_add(nanos, Ordering::Relaxed);
        let crosses = before / EVERY != (before.wrapping_add(nanos)) / EVERY;
        crosses.then(|| [(EVERY / nanos.max(1)).max(1) as i64, EVERY as i64])
    }

    /// All so far, and how many were dropped. Reads under the lock of whoever records.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&Stacks<2>) -> R) -> R {
        let mut stacks = self.stacks.lock();
        read(stacks.get_or_insert_with(|| Stacks::new(MOST_STACKS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(waits: impl Iterator<Item = u64>) -> [i64; 2] {
        let contention = Contention::new();
        waits
            .filter_map(|nanos| contention.weigh(nanos))
            .fold([0, 0], |sum, each| [sum[0] + each[0], sum[1] + each[1]])
    }

    #[test]
    fn a_long_wait_stands_for_itself() {
        assert_eq!(sums([EVERY, 5 * EVERY].into_iter()), [2, 6 * EVERY as i64]);
    }
    #[test]
    fn short_waits_are_right_in_sum() {
        assert_eq!(sums(std::iter::repeat_n(100, 10_000)), [10_000, 1_000_000]);
        assert_eq!(sums(std::iter::repeat_n(0, 10)), [0, 0]);
    }
    #[test]
    fn the_stack_that_waited_is_in_it() {
        let count = |all: &Stacks<2>| all.sorted().iter().map(|(_, values)| values[1]).sum::<i64>();
        let before = BLOCK.with(count);
        crate::sync::waited(Duration::from_secs(1));
        assert!(BLOCK.with(count) >= before + 1_000_000_000);
    }
}
