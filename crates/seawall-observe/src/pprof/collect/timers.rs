//! The CPU profile without privileges: each thread has a timer on its own CPU clock, and walks its own stack.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Order, TURN, Taken, Watch, period};
use crate::pprof::NO_FRAME_POINTERS;
use crate::pprof::sys::timer::Timer;
use crate::pprof::sys::{signal, walk};

/// Timers at once: each holds one of the user's pending signals.
const MOST_TIMERS: usize = 4_096;

/// CPU time by function. Time in the kernel counts for the function that called it. `instead_of` is why the better
/// way was not taken.
pub(super) fn cpu(order: Order<'_>, instead_of: &str) -> Result<Taken, String> {
    if !walk::works() {
        return Err(NO_FRAME_POINTERS.to_owned());
    }
    let ring = signal::ticks()?;
    ring.clear(); // ticks that were under way when the last profile ended
    let period = period(order.hz);
    let every = Duration::from_nanos(period.unsigned_abs());
    let mut watch = Watch::new(order);
    let mut timers = HashMap::new();
    let mut stack = Vec::new();
    loop {
        update(&mut timers, &mut watch, every)?;
        let more = watch.goes_on(TURN);
        if !more {
            timers.clear();
        }
        while let Some(thread) = ring.pop(&mut stack) {
            watch.stacks.add(thread, &stack, [1, period]);
        }
        if !more {
            break;
        }
    }
    watch.lost += ring.take_dropped();
    let how = format!(
        "CPU time by timers per thread; time in the kernel counts for the function that called it \
         (performance events: {instead_of})"
    );
    Ok(watch.taken(period, how))
}

fn update(timers: &mut HashMap<u32, Timer>, watch: &mut Watch<'_>, every: Duration) -> Result<(), String> {
    let Some(threads) = watch.rescan() else { return Ok(()) };
    let alive: HashSet<_> = threads.iter().map(|thread| thread.id).collect();
    timers.retain(|id, _| alive.contains(id));
    let mut refused = None;
    let mut unwatched = 0;
    for id in threads.iter().map(|thread| thread.id) {
        if timers.contains_key(&id) {
            continue;
        }
        match Timer::start(id, every) {
            _ if timers.len() >= MOST_TIMERS => unwatched += 1,
            Ok(timer) => drop(timers.insert(id, timer)),
            // EINVAL says that the thread has ended since it was listed.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => {
                unwatched += 1;
                refused = Some(error);
            }
        }
    }
    watch.unwatched = watch.unwatched.max(unwatched);
    match refused {
        Some(error) if timers.is_empty() => Err(format!("no thread can have a timer: {error}")),
        _ => Ok(()),
    }
}
