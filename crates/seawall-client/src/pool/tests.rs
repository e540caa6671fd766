//! The pool's bookkeeping against a naive copy that keeps a flat list and works everything out anew.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::slots::{Answer, Bounds, ConnId, Fate, Grant, Slots, Ticket};

const MS: Duration = Duration::from_millis(1);

#[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
fn zero() -> Instant {
    Instant::now()
}

fn bounds(max_connections: u32, max_pending: u32) -> Bounds {
    Bounds { max_connections, max_pending, idle_timeout: MS * 1_000, max_requests: u32::MAX }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    /// The oldest that is being opened gets open, or cannot be.
    Open {
        capacity: u32,
        lives: u64,
    },
    Fail,
    /// Ends the n-th request that is under way.
    Release(usize),
    /// The n-th connection dies.
    Die(usize),
    /// The n-th who waits goes away.
    Leave(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Ask),
        4 => (1u32..4, 500u64..5_000).prop_map(|(capacity, lives)| Step::Open { capacity, lives }),
        1 => Just(Step::Fail),
        4 => (0usize..20).prop_map(Step::Release),
        1 => (0usize..20).prop_map(Step::Die),
        1 => (0usize..20).prop_map(Step::Leave),
        2 => (0u64..700).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..150)
}

/// A connection of the naive copy.
#[derive(Debug)]
struct Conn {
    id: ConnId,
    capacity: u32,
    used: u32,
    lives_until: Instant,
    idle_since: Instant,
    /// When a slot of it last came free after none was, or it was opened with more: the largest is used next.
    freed: u64,
}

/// Knows what is out, and checks what the real one says.
struct Naive {
    bounds: Bounds,
    conns: Vec<Conn>,
    opening: Vec<ConnId>,
    waiting: Vec<Ticket>,
    under_way: Vec<ConnId>,
    now: Instant,
    freed: u64,
}

impl Naive {
    fn is_usable(&self, conn: &Conn) -> bool {
        let idle_too_long = conn.used == 0 && self.now - conn.idle_since >= self.bounds.idle_timeout;
        conn.used < conn.capacity && self.now < conn.lives_until && !idle_too_long
    }

    /// The one that is used next.
    fn best(&self) -> Option<ConnId> {
        let usable = self.conns.iter().filter(|conn| self.is_usable(conn));
        usable.max_by_key(|conn| conn.freed).map(|conn| conn.id)
    }

    fn taken(&mut self, grant: Grant) -> Result<(), TestCaseError> {
        match grant {
            Grant::Reuse(id) => {
                prop_assert_eq!(Some(id), self.best(), "the one used last");
                let conn = self.conns.iter_mut().find(|conn| conn.id == id).unwrap();
                conn.used += 1;
                self.under_way.push(id);
            }
            Grant::Connect(id) => {
                prop_assert_eq!(self.best(), None, "no new one while one is free");
                self.opening.push(id);
            }
        }
        Ok(())
    }

    fn settle(&mut self, slots: &mut Slots) -> Result<(), TestCaseError> {
        while let Some((ticket, grant)) = slots.serve(self.now) {
            prop_assert!(!self.waiting.is_empty());
            prop_assert_eq!(ticket, self.waiting.remove(0), "in their order");
            self.taken(grant)?;
        }
        self.bury(slots)
    }

    /// What the real one gave up must be idle, and too old or idle for too long.
    fn bury(&mut self, slots: &mut Slots) -> Result<(), TestCaseError> {
        for id in slots.take_doomed() {
            let at = self.conns.iter().position(|conn| conn.id == id);
            prop_assert!(at.is_some());
            let conn = self.conns.remove(at.unwrap());
            prop_assert_eq!(conn.used, 0);
            prop_assert!(!self.is_usable(&conn));
        }
        Ok(())
    }

    fn check(&self, slots: &Slots) -> Result<(), TestCaseError> {
        let all = self.conns.len() + self.opening.len();
        prop_assert_eq!(slots.len() as usize, all);
        prop_assert!(all <= self.bounds.max_connections as usize);
        prop_assert_eq!(slots.pending() as usize, self.waiting.len());
        prop_assert!(self.waiting.len() <= self.bounds.max_pending as usize);
        if !self.waiting.is_empty() {
            prop_assert_eq!(self.best(), None, "nobody waits while something is free");
            let room = all < self.bounds.max_connections as usize;
            prop_assert!(
                !room || !self.opening.is_empty(),
                "nor while there is room, unless something is coming"
            );
        }
        Ok(())
    }

    fn step(&mut self, slots: &mut Slots, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(millis) => self.now += MS * millis as u32,
            Step::Ask => match slots.ask(self.now) {
                Answer::Granted(grant) => self.taken(grant)?,
                Answer::Wait(ticket) => self.waiting.push(ticket),
                Answer::Full => prop_assert_eq!(self.waiting.len(), self.bounds.max_pending as usize),
            },
            Step::Open { capacity, lives } if !self.opening.is_empty() => {
                let id = self.opening.remove(0);
                let lives_until = self.now + MS * lives as u32;
                slots.opened(id, capacity, lives_until, self.now);
                self.freed += 1;
                let (idle_since, freed) = (self.now, self.freed);
                self.conns.push(Conn { id, capacity, used: 1, lives_until, idle_since, freed });
                self.under_way.push(id);
            }
            Step::Fail if !self.opening.is_empty() => {
                self.opening.remove(0);
                slots.failed();
            }
            Step::Release(nth) if !self.under_way.is_empty() => {
                let id = self.under_way.remove(nth % self.under_way.len());
                self.freed += 1;
                let (now, freed) = (self.now, self.freed);
                if let Some(conn) = self.conns.iter_mut().find(|conn| conn.id == id) {
                    if conn.used == conn.capacity {
                        conn.freed = freed;
                    }
                    conn.used -= 1;
                    if conn.used == 0 {
                        conn.idle_since = now;
                    }
                }
                slots.release(id, now);
            }
            Step::Die(nth) if !self.conns.is_empty() => {
                let conn = self.conns.remove(nth % self.conns.len());
                self.under_way.retain(|id| *id != conn.id);
                slots.closed(conn.id);
            }
            Step::Leave(nth) if !self.waiting.is_empty() => {
                let ticket = self.waiting.remove(nth % self.waiting.len());
                slots.leave(ticket);
            }
            _ => {}
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn keeps_the_same_books_as_a_flat_list(
        steps in steps(),
        max_connections in 1u32..5,
        max_pending in 0u32..5,
        expected in 1u32..4,
    ) {
        let bounds = bounds(max_connections, max_pending);
        let mut slots = Slots::new(bounds, expected);
        let mut naive = Naive {
            bounds,
            conns: Vec::new(),
            opening: Vec::new(),
            waiting: Vec::new(),
            under_way: Vec::new(),
            now: zero(),
            freed: 0,
        };
        for step in steps {
            naive.step(&mut slots, step)?;
            naive.bury(&mut slots)?;
            naive.settle(&mut slots)?;
            naive.check(&slots)?;
        }
    }
}

fn opened(slots: &mut Slots, now: Instant) -> ConnId {
    let Answer::Granted(Grant::Connect(id)) = slots.ask(now) else { panic!("there is room") };
    slots.opened(id, 1, now + MS * 60_000, now);
    id
}

#[test]
fn an_idle_connection_is_closed_when_its_time_comes_and_not_before() {
    let now = zero();
    let mut slots = Slots::new(bounds(4, 0), 1);
    let id = opened(&mut slots, now);
    assert_eq!(slots.look(id, now + MS * 5_000), Fate::Keep(now + MS * 6_000), "it is at work");
    slots.release(id, now);
    assert_eq!(slots.look(id, now + MS * 999), Fate::Keep(now + MS * 1_000));
    assert_eq!(slots.look(id, now + MS * 1_000), Fate::Close);
    assert_eq!(slots.len(), 0);
}

#[test]
fn distrust_dooms_what_is_idle_and_nothing_else() {
    let now = zero();
    let mut slots = Slots::new(bounds(4, 0), 1);
    let (one, two) = (opened(&mut slots, now), opened(&mut slots, now));
    slots.release(one, now);
    slots.doom_idle();
    assert_eq!(slots.take_doomed(), [one]);
    assert!(slots.knows(two) && !slots.knows(one));
}

#[test]
fn callers_wait_for_a_connection_that_will_have_room_for_them() {
    let now = zero();
    let mut slots = Slots::new(bounds(10, 10), 3);
    let Answer::Granted(Grant::Connect(first)) = slots.ask(now) else { panic!("there is room") };
    assert!(matches!(slots.ask(now), Answer::Wait(_)));
    assert!(matches!(slots.ask(now), Answer::Wait(_)));
    assert!(matches!(slots.ask(now), Answer::Granted(Grant::Connect(_))), "for the fourth there is none");
    // It turns out to take one alone: those who waited open their own.
    slots.opened(first, 1, now + MS * 60_000, now);
    assert!(matches!(slots.serve(now), Some((_, Grant::Connect(_)))));
    assert!(matches!(slots.serve(now), Some((_, Grant::Connect(_)))));
    assert_eq!(slots.serve(now), None);
}
