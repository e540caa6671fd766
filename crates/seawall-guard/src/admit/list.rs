//! Doubly linked lists over indices: an entry can leave from the middle in constant time, and nothing is allocated
//! per entry. The links live apart from what is linked, so that one entry can be in two lists.

pub(super) const NONE: u32 = u32::MAX;

/// Neighbours of each index. An index is in at most one list over the same links.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

impl Links {
    /// Makes room for one more index, the next.
    pub(super) fn grow(&mut self) {
        self.0.push(Link { before: NONE, after: NONE });
    }

    fn at(&mut self, id: u32) -> &mut Link {
        &mut self.0[id as usize]
    }

    /// The index after `id`, or [`NONE`].
    pub(super) fn after(&self, id: u32) -> u32 {
        self.0[id as usize].after
    }
}

/// One list: where it begins, where it ends, how long it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl List {
    pub(super) fn len(self) -> u32 {
        self.len
    }

    pub(super) fn first(self) -> Option<u32> {
        (self.len > 0).then_some(self.first)
    }

    pub(super) fn last(self) -> Option<u32> {
        (self.len > 0).then_some(self.last)
    }

    /// Adds an index that is in no list over these links.
    pub(super) fn push(&mut self, links: &mut Links, id: u32) {
        *links.at(id) = Link { before: self.last, after: NONE };
        match self.last {
            NONE => self.first = id,
            last => links.at(last).after = id,
        }
        self.last = id;
        self.len += 1;
    }

    /// Takes out an index that is in this list.
    pub(super) fn remove(&mut self, links: &mut Links, id: u32) {
        let Link { before, after } = *links.at(id);
        match before {
            NONE => self.first = after,
            before => links.at(before).after = after,
        }
        match after {
            NONE => self.last = before,
            after => links.at(after).before = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a `VecDeque` that is searched.
        #[test]
        fn behaves_as_a_deque_does(steps in prop::collection::vec((0u32..8, any::<bool>()), 0..60)) {
            let (mut links, mut list, mut naive) = (Links::default(), List::default(), Vec::new());
            (0..8).for_each(|_| links.grow());
            for (id, add) in steps {
                match naive.iter().position(|&other| other == id) {
                    None if add => { list.push(&mut links, id); naive.push(id); }
                    Some(at) if !add => { list.remove(&mut links, id); naive.remove(at); }
                    _ => {}
                }
                prop_assert_eq!(list.first(), naive.first().copied());
                prop_assert_eq!(list.last(), naive.last().copied());
                let mut walked = Vec::new();
                let mut at = list.first().unwrap_or(NONE);
                while at != NONE { walked.push(at); at = links.after(at); }
                prop_assert_eq!(&walked, &naive);
                prop_assert_eq!(list.len() as usize, naive.len());
            }
        }
    }
}
