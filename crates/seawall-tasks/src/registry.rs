//! Who runs: one small record per task, so that a task that never ends, or never lets go, can be named.
//!
//! Records lie in shards, so that cores do not meet on one lock when they start and end tasks. Looking at them locks
//! one shard after the other; it is meant for people, not for a loop.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::AbortHandle;

/// A power of two, more than the cores that start tasks at the same time.
const SHARDS: usize = 16;

/// All records.
pub(crate) struct Registry {
    started: Instant,
    shards: [Mutex<Shard>; SHARDS],
    next_shard: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    records: Vec<Option<Arc<Record>>>,
    free: Vec<u32>,
    /// What has ended, by where it was started.
    ended: HashMap<Key, Ended>,
}

type Key = (&'static str, &'static Location<'static>);

/// How tasks ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// They came to their end.
    pub finished: u64,
    /// They panicked.
    pub panicked: u64,
    /// They were aborted, or their runtime went away.
    pub cancelled: u64,
}

/// How one task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    Panicked,
    Cancelled,
}

/// One task. Times are nanoseconds since the registry began.
pub(crate) struct Record {
    name: &'static str,
    place: &'static Location<'static>,
    spawned: u64,
    /// When the poll under way began; 0 between polls.
    polled: AtomicU64,
    pub(crate) abort: Mutex<Option<AbortHandle>>,
}

impl Record {
    pub(crate) fn poll_begins(&self, at: u64) {
        self.polled.store(at.max(1), Relaxed);
    }
    pub(crate) fn poll_ends(&self) {
        self.polled.store(0, Relaxed);
    }
}

/// Where a record lies.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    shard: u32,
    at: u32,
}

impl Registry {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, shards: Default::default(), next_shard: AtomicUsize::new(0) }
    }

    /// `now` as a record counts it.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_nanos() as u64
    }

    pub(crate) fn enter(
        &self,
        name: &'static str,
        place: &'static Location<'static>,
        now: Instant,
    ) -> (Arc<Record>, Slot) {
        let (polled, abort) = (AtomicU64::new(0), Mutex::new(None));
        let record = Arc::new(Record { name, place, spawned: self.nanos(now), polled, abort });
        let number = self.next_shard.fetch_add(1, Relaxed) % SHARDS;
        let mut shard = self.shards[number].lock();
        let at = match shard.free.pop() {
            Some(at) => {
                shard.records[at as usize] = Some(Arc::clone(&record));
                at
            }
            None => {
                shard.records.push(Some(Arc::clone(&record)));
                (shard.records.len() - 1) as u32 // at most the bound on tasks, which fits
            }
        };
        (record, Slot { shard: number as u32, at })
    }

    pub(crate) fn leave(&self, slot: Slot, end: End) {
        let mut shard = self.shards[slot.shard as usize].lock();
        let gone = shard.records[slot.at as usize].take();
        shard.free.push(slot.at);
        let record = gone.as_ref().expect("a slot is left once, by whom it was given to");
        let ended = shard.ended.entry((record.name, record.place)).or_default();
        match end {
            End::Finished => ended.finished += 1,
            End::Panicked => ended.panicked += 1,
            End::Cancelled => ended.cancelled += 1,
        }
        drop(shard); // before the record, whose abort handle may be the last hold on its task
    }

    /// Runs `look` on every live record.
    fn each(&self, mut look: impl FnMut(&Record)) {
        for shard in &self.shards {
            shard.lock().records.iter().flatten().for_each(|record| look(record));
        }
    }

    /// Aborts every live task.
    pub(crate) fn abort_all(&self) {
        let mut handles = Vec::new();
        self.each(|record| handles.extend(record.abort.lock().clone()));
        handles.iter().for_each(AbortHandle::abort); // not under the lock: an aborted task may leave right here
    }

    pub(crate) fn snapshot(&self, now: Instant, stuck_after: Duration) -> Snapshot {
        let now = self.nanos(now);
        let mut sites = HashMap::<Key, Site>::new();
        for shard in &self.shards {
            for (key, ended) in &shard.lock().ended {
                sites.entry(*key).or_insert_with(|| Site::new(*key)).ended.add(*ended);
            }
        }
        let mut stuck = Vec::new();
        self.each(|record| {
            let key = (record.name, record.place);
            let site = sites.entry(key).or_insert_with(|| Site::new(key));
            let age = now.saturating_sub(record.spawned);
            site.live += 1;
            site.oldest_seconds = site.oldest_seconds.max(seconds(age));
            let polled = record.polled.load(Relaxed);
            let polling = if polled == 0 { 0 } else { now.saturating_sub(polled) };
            if Duration::from_nanos(polling) >= stuck_after && stuck.len() < MAX_STUCK {
                stuck.push(StuckTask {
                    name: record.name,
                    place: record.place.to_string(),
                    running_seconds: seconds(polling),
                });
            }
        });
        let mut sites: Vec<_> = sites.into_values().collect();
        sites.sort_by(|a, b| b.live.cmp(&a.live).then_with(|| (a.name, &a.place).cmp(&(b.name, &b.place))));
        Snapshot { live: sites.iter().map(|site| site.live).sum(), sites, stuck }
    }
}

/// The most tasks that are listed one by one.
const MAX_STUCK: usize = 100;

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// All tasks at one moment.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Tasks that have not ended.
    pub live: u64,
    /// By where they were started, those with the most live tasks first. A line whose `live` only grows is a leak.
    pub sites: Vec<Site>,
    /// Tasks that have run for long without letting go, and hold up every other task of their worker; at most 100.
    pub stuck: Vec<StuckTask>,
}

/// A line of code that starts tasks.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Site {
    /// What the tasks are called.
    pub name: &'static str,
    /// File, line and column.
    pub place: String,
    /// Those that have not ended.
    pub live: u64,
    /// The age of the oldest live one.
    pub oldest_seconds: f64,
    /// Those that have.
    #[serde(flatten)]
    pub ended: Ended,
}

/// A task that has run for long without letting go.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StuckTask {
    /// What it is called.
    pub name: &'static str,
    /// Where it was started.
    pub place: String,
    /// For how long.
    pub running_seconds: f64,
}

impl Site {
    fn new((name, place): Key) -> Self {
        Self { name, place: place.to_string(), live: 0, oldest_seconds: 0.0, ended: Ended::default() }
    }
}

impl Ended {
    fn add(&mut self, other: Self) {
        self.finished += other.finished;
        self.panicked += other.panicked;
        self.cancelled += other.cancelled;
    }
}
