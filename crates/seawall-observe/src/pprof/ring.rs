//! A ring between signal handlers and whoever collects: made once, never locked, never freed.
//!
//! Many threads write, each in a handler that may have interrupted anything; one reads. A writer claims a slot by
//! moving the head, fills it, and then marks it full; the reader takes full slots in order. A writer that finds no free
//! slot drops its sample and counts that. Everything is an atomic, so there is nothing here that could be undefined, and
//! nothing waits: a handler that interrupts another writer, or the reader, gets a slot of its own or none.
//!
//! (The sequence number per slot is Dmitry Vyukov's bounded queue.)

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::stacks::DEEPEST;

/// One stack: who, and where.
struct Slot {
    /// Which turn of the ring this slot is in: free for position `p` at `p`, full at `p + 1`.
    turn: AtomicU64,
    thread: AtomicU32,
    depth: AtomicU32,
    addresses: [AtomicU64; DEEPEST],
}

/// A bounded queue of stacks.
pub(crate) struct Ring {
    slots: Box<[Slot]>,
    head: AtomicU64,
    tail: AtomicU64,
    dropped: AtomicU64,
}

impl Ring {
    /// `size` slots of a kilobyte each.
    pub(crate) fn new(size: usize) -> Self {
        let slot = |turn| Slot {
            turn: AtomicU64::new(turn),
            thread: AtomicU32::new(0),
            depth: AtomicU32::new(0),
            addresses: [const { AtomicU64::new(0) }; DEEPEST],
        };
        let slots = (0..size as u64).map(slot).collect();
        Self { slots, head: AtomicU64::new(0), tail: AtomicU64::new(0), dropped: AtomicU64::new(0) }
    }

    fn slot(&self, position: u64) -> &Slot {
        &self.slots[(position % self.slots.len() as u64) as usize]
    }

    /// Puts a stack in, which `walk` writes address by address; each answer says whether there is room for more.
    /// Allocates nothing, takes no lock: for signal handlers.
    pub(crate) fn push(&self, thread: u32, walk: impl FnOnce(&mut dyn FnMut(u64) -> bool)) {
        let Some(position) = self.claim() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let slot = self.slot(position);
        let mut depth = 0;
        walk(&mut |address| {
            if let Some(room) = slot.addresses.get(depth) {
                room.store(address, Ordering::Relaxed);
                depth += 1;
            }
            depth < DEEPEST
        });
        slot.thread.store(thread, Ordering::Relaxed);
        slot.depth.store(depth as u32, Ordering::Relaxed);
        slot.turn.store(position + 1, Ordering::Release);
    }

    fn claim(&self) -> Option<u64> {
        let mut position = self.head.load(Ordering::Relaxed);
        loop {
            let turn = self.slot(position).turn.load(Ordering::Acquire);
            if turn < position {
                return None; // the reader has not come by since the last turn
            }
            if turn > position {
                position = self.head.load(Ordering::Relaxed); // another writer was here first
                continue;
            }
            let next = position + 1;
            match self.head.compare_exchange_weak(position, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(position),
                Err(now) => position = now,
            }
        }
    }

    /// Takes the oldest stack. One reader at a time: callers hold a lock for it.
    pub(crate) fn pop(&self, addresses: &mut Vec<u64>) -> Option<u32> {
        let position = self.tail.load(Ordering::Relaxed);
        let slot = self.slot(position);
        if slot.turn.load(Ordering::Acquire) != position + 1 {
            return None;
        }
        let thread = slot.thread.load(Ordering::Relaxed);
        let depth = slot.depth.load(Ordering::Relaxed) as usize;
        addresses.clear();
        addresses.extend(slot.addresses[..depth].iter().map(|address| address.load(Ordering::Relaxed)));
        slot.turn.store(position + self.slots.len() as u64, Ordering::Release);
        self.tail.store(position + 1, Ordering::Relaxed);
        Some(thread)
    }

    /// Samples dropped since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Throws away what is there.
    pub(crate) fn clear(&self) {
        let mut addresses = Vec::new();
        while self.pop(&mut addresses).is_some() {}
        self.take_dropped();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn push(ring: &Ring, thread: u32, stack: &[u64]) {
        ring.push(thread, |put| {
            let _ = stack.iter().all(|address| put(*address));
        });
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let ring = Ring::new(4);
        let mut stack = Vec::new();
        for round in 0..10 {
            push(&ring, round, &[1, 2, 3]);
            push(&ring, round + 100, &[]);
            assert_eq!((ring.pop(&mut stack), stack.as_slice()), (Some(round), &[1, 2, 3][..]));
            assert_eq!((ring.pop(&mut stack), stack.as_slice()), (Some(round + 100), &[][..]));
            assert_eq!(ring.pop(&mut stack), None);
        }
    }
    #[test]
    fn without_room_the_newest_is_dropped_and_counted() {
        let ring = Ring::new(2);
        (0..5).for_each(|thread| push(&ring, thread, &[7]));
        assert_eq!((ring.take_dropped(), ring.take_dropped()), (3, 0));
        let mut stack = Vec::new();
        assert_eq!(
            [ring.pop(&mut stack), ring.pop(&mut stack), ring.pop(&mut stack)],
            [Some(0), Some(1), None]
        );
    }
    #[test]
    fn a_stack_that_is_too_deep_is_cut() {
        let ring = Ring::new(2);
        push(&ring, 1, &[9; 500]);
        let mut stack = Vec::new();
        ring.pop(&mut stack);
        assert_eq!(stack.len(), DEEPEST);
    }
    #[test]
    fn no_stack_is_torn_or_lost_uncounted_between_threads() {
        let ring = Ring::new(64);
        let (writers, each) = (4_u64, 5_000_u64);
        let mut seen = 0;
        thread::scope(|scope| {
            let handles: Vec<_> = (0..writers)
                .map(|writer| {
                    let ring = &ring;
                    scope.spawn(move || {
                        (0..each).for_each(|n| push(ring, writer as u32, &[writer * each + n; 9]))
                    })
                })
                .collect();
            let mut stack = Vec::new();
            loop {
                let done = handles.iter().all(|handle| handle.is_finished());
                while let Some(thread) = ring.pop(&mut stack) {
                    assert!(
                        stack.len() == 9 && stack.iter().all(|address| *address == stack[0]),
                        "{stack:?}"
                    );
                    assert_eq!(stack[0] / each, u64::from(thread));
                    seen += 1;
                }
                if done {
                    break;
                }
            }
        });
        assert_eq!(seen + ring.take_dropped(), writers * each);
    }
}
