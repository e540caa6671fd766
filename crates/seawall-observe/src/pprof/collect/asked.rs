//! Wall-clock profiles: every so often all threads are asked where they are.
//!
//! A thread that is asked has to come out of its wait for a moment, which costs it some microseconds and is a context
//! switch; so the rate is low, and lower with many threads.

use std::time::Duration;

use super::{Order, Taken, Watch};
use crate::clock;
use crate::pprof::threads::{self, Thread};

/// Threads that are asked each time.
const MOST_ASKED: usize = 512;
/// Questions a second, over all threads: more threads are asked less often.
const MOST_QUESTIONS: u64 = 5_000;

/// Where threads are, running or not.
pub(crate) fn wall(order: Order<'_>) -> Result<Taken, String> {
    collect(order, |_| true, "wall-clock time: every thread was asked where it is, running or not")
}

/// Where threads are that want no core. `instead_of` is why the better way was not taken.
pub(crate) fn off_cpu(order: Order<'_>, instead_of: &str) -> Result<Taken, String> {
    let how = format!(
        "time off a core, sampled: every thread that neither ran nor wanted to was asked where it is ({instead_of})"
    );
    collect(order, |thread| !threads::wants_a_core(thread), &how)
}

fn collect(order: Order<'_>, wanted: impl Fn(u32) -> bool, how: &str) -> Result<Taken, String> {
    let me = crate::sys::thread_id();
    let mut watch = Watch::new(order);
    let mut threads = Vec::<Thread>::new();
    let mut last = clock::now();
    loop {
        if let Some(now) = watch.rescan() {
            watch.unwatched = watch.unwatched.max(now.len().saturating_sub(MOST_ASKED));
            threads = now;
            threads.truncate(MOST_ASKED);
        }
        let more = watch.goes_on(turn(order.hz, threads.len()));
        let ids = threads.iter().map(|thread| thread.id).filter(|id| *id != me && wanted(*id));
        let stacks = threads::ask(&ids.collect::<Vec<_>>())?;
        // A late question stands for the time since the one before.
        let now = clock::now();
        let nanos = i64::try_from(now.saturating_duration_since(last).as_nanos()).unwrap_or(i64::MAX);
        last = now;
        stacks.iter().for_each(|(thread, stack)| watch.stacks.add(*thread, stack, [1, nanos]));
        if !more {
            break;
        }
    }
    Ok(watch.taken(0, how.to_owned()))
}

/// Between two rounds.
fn turn(hz: u32, threads: usize) -> Duration {
    let rounds = u64::from(hz).min(MOST_QUESTIONS / threads.max(1) as u64).max(1);
    Duration::from_nanos(1_000_000_000 / rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_are_asked_less_often() {
        assert_eq!(turn(20, 10), Duration::from_millis(50));
        assert_eq!(turn(20, 500), Duration::from_millis(100));
        assert_eq!(turn(20, 100_000), Duration::from_secs(1));
    }
}
