//! Profiles by the kernel's performance events, each with a ring.
//!
//! Time on a core is best asked of each core: a thread's own event costs the kernel a timer that is set and cleared each
//! time the thread leaves its core and comes back. Samples of other processes are dropped unread. Where only a process's
//! own threads may be watched, and for switches, there is an event per thread.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::time::Duration;

use super::{Order, TURN, Taken, Watch, period};
use crate::clock;
use crate::pprof::read::cores;
use crate::pprof::read::records::{Record, is_foreign, parse};
use crate::pprof::stacks::{DEEPEST, Stacks};
use crate::pprof::sys::perf::{Event, What, Whose};
use crate::pprof::sys::walk::{self, Registers};
use crate::pprof::threads::{self, Thread};
use crate::pprof::waiting::{Away, Waiting};

/// Events at once: each is a descriptor and a piece of locked memory.
const MOST_CPU_EVENTS: usize = 1_024;
const MOST_SWITCH_EVENTS: usize = 256;

/// CPU time by function, the kernel's included.
pub(super) fn cpu(order: Order<'_>) -> Result<Taken, String> {
    let what = What::Cpu { hz: order.hz };
    sampled(order, Events::on_cores(what).unwrap_or_else(|| Events::new(what, MOST_CPU_EVENTS)))
}

fn sampled(order: Order<'_>, mut events: Events) -> Result<Taken, String> {
    let period = period(order.hz);
    let mut watch = Watch::new(order);
    events.update(&mut watch)?;
    // Four samples, half of what a ring holds.
    let turn = TURN.min(Duration::from_nanos(4 * period.unsigned_abs()));
    loop {
        let more = watch.goes_on(turn);
        events.update(&mut watch)?;
        let (stacks, lost) = (&mut watch.stacks, &mut watch.lost);
        events.drain(|record| match record {
            Record::Sample { thread, mut addresses, stack, .. } => {
                repair(&mut addresses, stack);
                stacks.add(thread, &addresses, [1, period]);
            }
            Record::Lost(number) => *lost += number,
            Record::Switch { .. } | Record::Other => {}
        });
        if !more {
            break;
        }
    }
    let by = if events.cores.is_empty() { "thread" } else { "core" };
    drop(events);
    let how =
        format!("CPU time by the kernel's performance events, one per {by}, its own functions included");
    Ok(watch.taken(period, how))
}

/// The kernel found no caller: it is in a library without frame pointers, and the copied stack may lead out.
fn repair(addresses: &mut Vec<u64>, stack: Option<(u64, Vec<u64>)>) {
    let Some((pointer, words)) = stack else { return };
    let at = Registers { instruction: 0, frame: 0, stack: pointer };
    walk::walk_copy(at, &words, &mut |address| {
        addresses.push(address);
        addresses.len() < DEEPEST
    });
}

/// Time away from a core, by where the thread left it.
pub(crate) fn off_cpu(order: Order<'_>) -> Result<Taken, String> {
    let begun = clock::kernel_nanos();
    let mut watch = Watch::new(order);
    let mut events = Events::new(What::Switches, MOST_SWITCH_EVENTS);
    events.update(&mut watch)?;
    let mut waiting = Waiting::default();
    loop {
        let more = watch.goes_on(TURN);
        events.update(&mut watch)?;
        let (stacks, lost) = (&mut watch.stacks, &mut watch.lost);
        events.drain(|record| match record {
            Record::Lost(number) => *lost += number,
            record => add(stacks, waiting.record(record)),
        });
        if !more {
            break;
        }
    }
    let watched: Vec<_> = events.open.keys().copied().collect();
    drop(events); // before threads are asked, which would be a switch of its own
    let end = clock::kernel_nanos();
    let asleep: Vec<_> = watched.into_iter().filter(|thread| !waiting.has_seen(*thread)).collect();
    let asleep: Vec<_> = asleep.into_iter().filter(|thread| !threads::wants_a_core(*thread)).collect();
    // They slept all the time. Where, they can say themselves; without frame pointers nobody can.
    for (thread, addresses) in threads::ask(&asleep).unwrap_or_default() {
        add(&mut watch.stacks, Some(Away { thread, addresses, nanos: end.saturating_sub(begun) }));
    }
    waiting.finish(end).for_each(|away| add(&mut watch.stacks, Some(away)));
    let how = "time off a core, waiting for a core included, by the kernel's records of context switches";
    Ok(watch.taken(0, how.to_owned()))
}

fn add(stacks: &mut Stacks<2>, away: Option<Away>) {
    if let Some(Away { thread, addresses, nanos }) = away {
        stacks.add(thread, &addresses, [1, i64::try_from(nanos).unwrap_or(i64::MAX)]);
    }
}

/// The open events.
struct Events {
    what: What,
    most: usize,
    open: HashMap<u32, Event>,
    /// One per core instead.
    cores: Vec<Event>,
    own: u32,
    /// Of threads that have ended: looked at once more, then closed.
    ended: Vec<Event>,
}

impl Events {
    fn new(what: What, most: usize) -> Self {
        let own = std::process::id();
        Self { what, most, open: HashMap::new(), cores: Vec::new(), own, ended: Vec::new() }
    }

    /// One event per core that is there, or `None` if not every one can be watched: a core left out would be time left out.
    fn on_cores(what: What) -> Option<Self> {
        let online = fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
        let online = cores::parse(&online, MOST_CPU_EVENTS + 1);
        if online.is_empty() || online.len() > MOST_CPU_EVENTS {
            return None;
        }
        let open = |core| Event::open(Whose::Core(core), what).ok();
        let cores = online.into_iter().map(open).collect::<Option<_>>()?;
        Some(Self { cores, ..Self::new(what, 0) })
    }

    /// Opens events for new threads and closes those of ended ones, unless cores are watched.
    ///
    /// # Errors
    /// If not one can be opened.
    fn update(&mut self, watch: &mut Watch<'_>) -> Result<(), String> {
        let Some(threads) = watch.rescan() else { return Ok(()) };
        if !self.cores.is_empty() {
            return Ok(()); // it was for the threads' names
        }
        let alive: HashSet<_> = threads.iter().map(|thread| thread.id).collect();
        self.ended.extend(self.open.extract_if(|id, _| !alive.contains(id)).map(|(_, event)| event));
        let mut refused = None;
        let mut unwatched = 0;
        for Thread { id, .. } in &threads {
            if self.open.contains_key(id) {
                continue;
            }
            if self.open.len() >= self.most {
                unwatched += 1;
                continue;
            }
            match Event::open(Whose::Thread(*id), self.what) {
                Ok(event) => drop(self.open.insert(*id, event)),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {} // ended since it was listed
                Err(error) => {
                    unwatched += 1;
                    refused = Some(error);
                }
            }
        }
        watch.unwatched = watch.unwatched.max(unwatched);
        match refused {
            Some(error) if self.open.is_empty() => Err(reason(&error)),
            _ => Ok(()),
        }
    }

    fn drain(&mut self, mut each: impl FnMut(Record)) {
        let own = self.own;
        for event in self.open.values_mut().chain(&mut self.ended).chain(&mut self.cores) {
            event.drain(|record| {
                if !is_foreign(record, own) {
                    each(parse(record));
                }
            });
        }
        self.ended.clear();
    }
}

fn reason(error: &io::Error) -> String {
    let allowed = "needs root, CAP_PERFMON or kernel.perf_event_paranoid <= 1";
    format!("the kernel refuses performance events ({error}; it {allowed})")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hint::black_box;

    use super::*;

    /// How often a thread was seen that works between the looks into the rings; `None` if the kernel refuses.
    fn seen(events: impl FnOnce(What) -> Option<Events>) -> Option<i64> {
        let hz = 999;
        let looks = Cell::new(0);
        let work = || {
            (0..20_000_000_u64).for_each(|n| {
                black_box(n);
            });
            looks.set(looks.get() + 1);
            looks.get() > 10
        };
        let order = Order { length: Duration::from_secs(60), hz, stopped: &work };
        let taken = sampled(order, events(What::Cpu { hz })?).ok()?;
        let own = crate::sys::thread_id();
        let samples = taken.stacks.sorted().into_iter().filter(|(key, _)| key.thread == own);
        Some(samples.map(|(_, [samples, _])| samples).sum())
    }

    #[test]
    fn a_thread_is_seen_by_its_own_event_and_by_its_cores() {
        let by_thread = seen(|what| Some(Events::new(what, MOST_CPU_EVENTS)));
        let by_core = seen(Events::on_cores);
        assert!(by_thread.is_none_or(|samples| samples > 0), "{by_thread:?}");
        assert!(by_core.is_none_or(|samples| samples > 0), "{by_core:?}");
        assert!(by_thread.is_some() || by_core.is_none(), "whoever may watch cores may watch threads");
    }
}
