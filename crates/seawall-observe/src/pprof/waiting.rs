//! Off-CPU time from context switches: where a thread left its core, and how long it was away.
//!
//! The kernel hands in two things in any order per thread: the stack at the moment it is taken off, and that it was put
//! on again. This puts them together. Pure: times are the kernel's.

use std::collections::HashMap;

use super::read::records::Record;

/// A thread that was away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Away {
    pub(crate) thread: u32,
    pub(crate) addresses: Vec<u64>,
    pub(crate) nanos: u64,
}

/// Threads that come and go while a profile is taken.
const MOST_THREADS: usize = 16_384;

/// Threads that are away now.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    threads: HashMap<u32, Left>,
}

#[derive(Debug, Default)]
struct Left {
    /// When it left its core; `None` while it is on one.
    at: Option<u64>,
    addresses: Vec<u64>,
}

impl Waiting {
    /// Takes the next record of a thread. Beyond so many threads, ended ones included, new ones are not looked at.
    pub(crate) fn record(&mut self, record: Record) -> Option<Away> {
        let thread = match &record {
            Record::Sample { thread, .. } | Record::Switch { thread, .. } => thread,
            Record::Lost(_) | Record::Other => return None,
        };
        if self.threads.len() >= MOST_THREADS && !self.threads.contains_key(thread) {
            return None;
        }
        match record {
            // The stack comes with the switch that follows it at once.
            Record::Sample { thread, time, addresses, .. } => {
                let left = self.threads.entry(thread).or_default();
                left.addresses = addresses;
                left.at.get_or_insert(time);
                None
            }
            Record::Switch { thread, time, out: true } => {
                self.threads.entry(thread).or_default().at.get_or_insert(time);
                None
            }
            Record::Switch { thread, time, out: false } => {
                let left = self.threads.get_mut(&thread)?;
                let at = left.at.take()?;
                let addresses = std::mem::take(&mut left.addresses);
                Some(Away { thread, addresses, nanos: time.saturating_sub(at) })
            }
            Record::Lost(_) | Record::Other => None,
        }
    }

    /// Whether anything was seen of the thread.
    pub(crate) fn has_seen(&self, thread: u32) -> bool {
        self.threads.contains_key(&thread)
    }

    /// Those that have not come back by `end`.
    pub(crate) fn finish(self, end: u64) -> impl Iterator<Item = Away> {
        self.threads.into_iter().filter_map(move |(thread, left)| {
            let nanos = end.saturating_sub(left.at?);
            Some(Away { thread, addresses: left.addresses, nanos })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(time: u64) -> [Record; 2] {
        let sample = Record::Sample { thread: 1, time, addresses: vec![time], user: 1, stack: None };
        [sample, Record::Switch { thread: 1, time: time + 1, out: true }]
    }
    fn back(time: u64) -> Record {
        Record::Switch { thread: 1, time, out: false }
    }

    #[test]
    fn the_time_between_leaving_and_coming_back_counts_where_it_left() {
        let mut waiting = Waiting::default();
        let [sample, left] = out(100);
        assert_eq!([waiting.record(sample), waiting.record(left)], [None, None]);
        assert_eq!(waiting.record(back(150)), Some(Away { thread: 1, addresses: vec![100], nanos: 50 }));
        assert_eq!(waiting.record(back(160)), None, "it was on its core");
    }
    #[test]
    fn who_came_from_before_the_profile_is_not_counted() {
        assert_eq!(Waiting::default().record(back(150)), None);
    }
    #[test]
    fn who_has_not_come_back_waited_until_the_end() {
        let mut waiting = Waiting::default();
        out(100).into_iter().for_each(|record| drop(waiting.record(record)));
        assert!(waiting.has_seen(1) && !waiting.has_seen(2));
        let rest: Vec<_> = waiting.finish(400).collect();
        assert_eq!(rest, [Away { thread: 1, addresses: vec![100], nanos: 300 }]);
    }
    #[test]
    fn a_lost_stack_leaves_the_time() {
        let mut waiting = Waiting::default();
        waiting.record(Record::Switch { thread: 1, time: 10, out: true });
        assert_eq!(waiting.record(back(30)), Some(Away { thread: 1, addresses: vec![], nanos: 20 }));
    }
}
