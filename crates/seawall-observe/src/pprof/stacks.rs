//! Stacks as addresses, counted: what collects while a profile runs.
//!
//! There is room for so many distinct stacks and no more. A new one that finds no room is dropped and counted, and the
//! profile says so: the cost of a profile does not depend on what the program does.

use std::collections::HashMap;

/// Distinct stacks of one profile.
pub(crate) const MOST_STACKS: usize = 65_536;
/// Addresses of one stack; what is further out is cut.
pub(crate) const DEEPEST: usize = 127;

/// What tells samples apart: the thread's number (0 where it does not matter) and the addresses, innermost first.
///
/// All addresses lie inside of the calling instruction: a return address has been moved back by one already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) thread: u32,
    pub(crate) addresses: Box<[u64]>,
}

/// Counted stacks, each with `N` numbers.
#[derive(Debug)]
pub(crate) struct Stacks<const N: usize> {
    map: HashMap<Key, [i64; N]>,
    room: usize,
    /// Samples that were dropped because there was no room for another stack.
    pub(crate) dropped: u64,
}

impl<const N: usize> Stacks<N> {
    pub(crate) fn new(room: usize) -> Self {
        Self { map: HashMap::new(), room, dropped: 0 }
    }

    /// Adds `values` to those of the stack.
    pub(crate) fn add(&mut self, thread: u32, addresses: &[u64], values: [i64; N]) {
        let addresses = &addresses[..addresses.len().min(DEEPEST)];
        let key = Key { thread, addresses: addresses.into() };
        let full = self.map.len() >= self.room;
        match self.map.get_mut(&key) {
            Some(sums) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            None if full => self.dropped += 1,
            None => drop(self.map.insert(key, values)),
        }
    }

    /// In an order that is the same for the same stacks.
    pub(crate) fn sorted(&self) -> Vec<(&Key, &[i64; N])> {
        let mut all: Vec<_> = self.map.iter().collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stacks: &Stacks<1>, expected: &[(&[u64], i64)], dropped: u64) {
        let found: Vec<_> = stacks.sorted().iter().map(|(key, [value])| (&*key.addresses, *value)).collect();
        assert_eq!((found.as_slice(), stacks.dropped), (expected, dropped));
    }

    fn of(room: usize, samples: &[(&[u64], i64)]) -> Stacks<1> {
        let mut stacks = Stacks::new(room);
        samples.iter().for_each(|(addresses, value)| stacks.add(0, addresses, [*value]));
        stacks
    }

    #[test]
    fn the_same_stack_is_added_up() {
        check(&of(9, &[(&[1, 2], 1), (&[3], 5), (&[1, 2], 1)]), &[(&[1, 2], 2), (&[3], 5)], 0);
    }
    #[test]
    fn without_room_a_new_stack_is_dropped_and_a_known_one_still_counts() {
        check(&of(1, &[(&[1], 1), (&[2], 1), (&[1], 1), (&[3], 1)]), &[(&[1], 2)], 2);
    }
    #[test]
    fn a_stack_is_cut_at_its_outer_end() {
        let deep: Vec<u64> = (1..=500).collect();
        let stacks = of(9, &[(&deep, 1)]);
        assert_eq!(*stacks.sorted()[0].0.addresses, deep[..DEEPEST]);
    }
}
