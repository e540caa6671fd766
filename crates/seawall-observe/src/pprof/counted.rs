//! Profiles that are counted anyway: memory, tasks, threads, waits for locks.

use std::collections::BTreeMap;

use super::heap::{self, Heap};
#[cfg(feature = "tasks")]
use super::profile::Label;
use super::profile::{Profile, Sample, ValueType};
use super::route::Counted;
use super::stacks::Stacks;
use super::{Pprof, symbols, threads};
use crate::sync::{self, Contention};

/// In Go's order.
const HEAP: [ValueType; 4] = [
    ValueType::new("alloc_objects", "count"),
    ValueType::new("alloc_space", "bytes"),
    ValueType::new("inuse_objects", "count"),
    ValueType::new("inuse_space", "bytes"),
];
const WAITS: [ValueType; 2] =
    [ValueType::new("contentions", "count"), ValueType::new("delay", "nanoseconds")];

/// As it is now.
///
/// # Errors
/// Why there is none.
pub(super) fn take(pprof: &Pprof, what: Counted, gc: bool) -> Result<Profile, String> {
    match what {
        Counted::Heap => memory(heap::take(gc)?, "inuse_space"),
        Counted::Allocations => memory(heap::take(gc)?, "alloc_space"),
        Counted::Goroutine => tasks(pprof),
        Counted::ThreadCreate => Ok(thread_names()),
        Counted::Block => {
            Ok(waits(sync::block(), "waits for instrumented locks and what was handed to `waited`"))
        }
        Counted::Mutex => {
            Ok(waits(sync::mutex(), "waits for instrumented locks, charged to who released them"))
        }
    }
}

fn memory(heap: Heap, default_type: &'static str) -> Result<Profile, String> {
    let Heap { stacks, has_allocated, period, comments } = heap;
    if !has_allocated && default_type == "alloc_space" {
        return Err("allocations are unknown: jemalloc runs with prof_accum:false".to_owned());
    }
    let mut profile = symbols::profile(&HEAP, default_type, &stacks, |_| Vec::new(), heap::is_allocator);
    if !has_allocated {
        // Left out, never zero: a zero would say that nothing was allocated.
        profile.sample_types.drain(..2);
        profile.samples.iter_mut().for_each(|sample| drop(sample.values.drain(..2)));
    }
    profile.period_type = Some(ValueType::new("space", "bytes"));
    profile.period = period;
    profile.comments = comments;
    Ok(profile)
}

fn waits(contention: &Contention, what: &str) -> Profile {
    let hide = |name: &str| {
        name.contains("seawall_observe::sync::") || name.contains("seawall_observe::pprof::sys::walk::")
    };
    let make = |stacks: &Stacks<2>| {
        let profile = symbols::profile(&WAITS, "delay", stacks, |_| Vec::new(), hide);
        (profile, stacks.dropped)
    };
    let (mut profile, dropped) = contention.with(make);
    profile.period_type = Some(WAITS[0]);
    profile.period = 1;
    profile.comments = vec![format!("{what}; other locks are not seen")];
    if dropped > 0 {
        profile.comments.push(format!("{dropped} waits were dropped: there were too many different stacks"));
    }
    profile
}

fn thread_names() -> Profile {
    let mut profile = Profile::new(&[ValueType::new("threadcreate", "count")], "threadcreate");
    let mut names = BTreeMap::<String, i64>::new();
    threads::list().into_iter().for_each(|thread| *names.entry(thread.name).or_default() += 1);
    for (name, number) in names {
        let places = vec![profile.named_place(&name, "", 0)];
        profile.samples.push(Sample { places, values: vec![number], labels: Vec::new() });
    }
    profile.comments = vec!["living threads by name; where they were created is not known".to_owned()];
    profile
}

#[cfg(not(feature = "tasks"))]
fn tasks(_: &Pprof) -> Result<Profile, String> {
    Err("tasks need the feature `tasks` of seawall-observe, and Pprof::show_tasks".to_owned())
}

#[cfg(feature = "tasks")]
fn tasks(pprof: &Pprof) -> Result<Profile, String> {
    let tasks = pprof.tasks().ok_or("this service shows no tasks: Pprof::show_tasks")?;
    let snapshot = tasks.snapshot();
    let mut profile = Profile::new(&[ValueType::new("goroutine", "count")], "goroutine");
    for site in snapshot.sites.iter().filter(|site| site.live > 0) {
        // `file:line:column`
        let mut parts = site.place.rsplitn(3, ':');
        let line = parts.nth(1).and_then(|line| line.parse().ok()).unwrap_or(0);
        let file = parts.next().unwrap_or_default();
        let places = vec![profile.named_place(site.name, file, line)];
        let labels = vec![("oldest_seconds", Label::Number(site.oldest_seconds as i64))];
        profile.samples.push(Sample {
            places,
            values: vec![i64::try_from(site.live).unwrap_or(i64::MAX)],
            labels,
        });
    }
    profile.comments =
        vec!["live tasks of seawall-tasks by where they were spawned: spawn sites, not stacks".to_owned()];
    for stuck in &snapshot.stuck {
        let (name, place, seconds) = (stuck.name, &stuck.place, stuck.running_seconds);
        profile.comments.push(format!("task \"{name}\" from {place} has not let go for {seconds:.1} s"));
    }
    Ok(profile)
}
