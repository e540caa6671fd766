//! The waiting requests: bounded, by class, in turns by tenant, oldest or newest first.
//!
//! Every entry is in two lists: one of all entries by age, and the lane of its tenant within its class. Taking the
//! next means: the most important class that has any, the lane whose turn it is, the oldest or the newest of it.
//! All of that takes constant time; only making room for a newcomer looks at every lane of one class.
//!
//! Lanes exist while something stands in them. There are at most `max_lanes`; tenants beyond that share one lane per
//! class with those of no tenant, so that they get one turn together.

use seawall_core::Deadline;

use super::list::{Links, List, NONE};
use super::meta::{Meta, Priority};
use crate::gate::Permit;

const CLASSES: usize = Priority::ALL.len();

/// One waiting request and what its owner needs to start it.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) work: T,
    pub(super) meta: Meta,
    pub(super) deadline: Deadline,
    pub(super) room: Option<Permit>,
}

#[derive(Debug)]
struct Slot<T> {
    waiting: Option<Waiting<T>>,
    /// Counts the uses of this slot, so that a ticket from an earlier use finds nothing.
    generation: u32,
    lane: u32,
}

#[derive(Debug)]
struct Lane {
    tenant: u64,
    class: usize,
    entries: List,
    /// How many more it may start before the next lane's turn.
    turns: u8,
    weight: u8,
    next_in_bucket: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Class {
    /// Lanes with something in them, the one whose turn it is first.
    ring: List,
    len: u32,
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    by_age: Links,
    in_lane: Links,
    all: List,
    lanes: Vec<Lane>,
    free_lanes: Vec<u32>,
    rings: Links,
    classes: [Class; CLASSES],
    /// Lanes by tenant: chains through `next_in_bucket`.
    buckets: Box<[u32]>,
    max_lanes: u32,
}

impl<T> Queue<T> {
    pub(super) fn new(max_lanes: u32) -> Self {
        let mut queue = Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_age: Links::default(),
            in_lane: Links::default(),
            all: List::default(),
            lanes: Vec::new(),
            free_lanes: Vec::new(),
            rings: Links::default(),
            classes: [Class::default(); CLASSES],
            buckets: vec![NONE; (max_lanes.max(1) as usize).next_power_of_two() * 2].into(),
            max_lanes,
        };
        for class in 0..CLASSES {
            queue.add_lane(0, class); // the lanes 0 to 3 are those of nobody in particular
        }
        queue
    }

    pub(super) fn len(&self) -> u32 {
        self.all.len()
    }

    /// Lanes with something in them.
    pub(super) fn open_lanes(&self) -> u32 {
        self.classes.iter().map(|class| class.ring.len()).sum()
    }

    /// Lanes that are open beyond a lowered bound stay until they are empty.
    pub(super) fn set_max_lanes(&mut self, max_lanes: u32) {
        self.max_lanes = max_lanes;
    }

    /// Adds an entry; the caller has made sure that there is room. Returns what its ticket needs.
    pub(super) fn push(&mut self, waiting: Waiting<T>) -> (u32, u32) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { waiting: None, generation: 0, lane: NONE });
            self.by_age.grow();
            self.in_lane.grow();
            self.slots.len() as u32 - 1
        });
        let lane = self.lane_for(&waiting.meta);
        let class = &mut self.classes[self.lanes[lane as usize].class];
        let Lane { entries, turns, weight, .. } = &mut self.lanes[lane as usize];
        if entries.len() == 0 {
            class.ring.push(&mut self.rings, lane);
            *weight = waiting.meta.weight.max(1);
            *turns = *weight;
        }
        entries.push(&mut self.in_lane, at);
        class.len += 1;
        self.all.push(&mut self.by_age, at);
        let slot = &mut self.slots[at as usize];
        slot.waiting = Some(waiting);
        slot.lane = lane;
        (at, slot.generation)
    }

    /// The entry that came first of all.
    pub(super) fn oldest(&self) -> Option<(u32, &Waiting<T>)> {
        let at = self.all.first()?;
        Some((at, self.slots[at as usize].waiting.as_ref().expect("what is listed is taken")))
    }

    /// The next to start: the most important class, the lane whose turn it is, its oldest or newest.
    pub(super) fn pop(&mut self, newest_first: bool) -> Option<Waiting<T>> {
        let class = self.classes.iter().position(|class| class.len > 0)?;
        let lane = self.classes[class].ring.first()?;
        let Lane { entries, turns, weight, .. } = &mut self.lanes[lane as usize];
        *turns = turns.saturating_sub(1);
        let turn_is_over = *turns == 0 && entries.len() > 1;
        let at = if newest_first { entries.last()? } else { entries.first()? };
        if turn_is_over {
            *turns = *weight;
            let ring = &mut self.classes[class].ring;
            ring.remove(&mut self.rings, lane);
            ring.push(&mut self.rings, lane);
        }
        self.remove(at)
    }

    /// Takes out an entry, wherever it stands. Nothing, if the slot is free.
    pub(super) fn remove(&mut self, at: u32) -> Option<Waiting<T>> {
        let slot = &mut self.slots[at as usize];
        let waiting = slot.waiting.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        let id = slot.lane;
        self.all.remove(&mut self.by_age, at);
        let lane = &mut self.lanes[id as usize];
        lane.entries.remove(&mut self.in_lane, at);
        let class = &mut self.classes[lane.class];
        class.len -= 1;
        if lane.entries.len() == 0 {
            class.ring.remove(&mut self.rings, id);
            self.close_lane(id);
        }
        self.free.push(at);
        Some(waiting)
    }

    /// Takes out the entry that this ticket was for, if it still waits.
    pub(super) fn cancel(&mut self, at: u32, generation: u32) -> Option<Waiting<T>> {
        let same = self.slots.get(at as usize).is_some_and(|slot| slot.generation == generation);
        if same { self.remove(at) } else { None }
    }

    /// Whom to turn away so that a newcomer fits: somebody of a lower class, else of the longest lane of its class,
    /// if that is longer than its own. Nobody, if the newcomer itself is the one to go.
    pub(super) fn victim(&self, newcomer: &Meta, newest_first: bool) -> Option<u32> {
        let mine = newcomer.priority as usize;
        let lowest = self.classes.iter().rposition(|class| class.len > 0)?;
        let longest = match lowest {
            lower if lower > mine => self.longest_lane(lower)?,
            same if same == mine => {
                let own = self.find_lane(newcomer).map_or(0, |lane| self.share(lane));
                let Class { ring, len } = self.classes[mine];
                // Usual case, and cheap: a lane of average length has no claim on another's place.
                if ring.len() < 2 && own > 0 || (own / SCALE) * ring.len() >= len {
                    return None;
                }
                let longest = self.longest_lane(mine)?;
                let after = own + SCALE / u32::from(newcomer.weight.max(1));
                (self.share(longest) > after).then_some(longest)?
            }
            _ => return None,
        };
        let entries = self.lanes[longest as usize].entries;
        if newest_first { entries.first() } else { entries.last() }
    }

    /// A lane's length for its weight.
    fn share(&self, lane: u32) -> u32 {
        let Lane { entries, weight, .. } = &self.lanes[lane as usize];
        entries.len().saturating_mul(SCALE) / u32::from(*weight)
    }

    fn longest_lane(&self, class: usize) -> Option<u32> {
        let mut at = self.classes[class].ring.first()?;
        let mut longest = at;
        while at != NONE {
            if self.share(at) > self.share(longest) {
                longest = at;
            }
            at = self.rings.after(at);
        }
        Some(longest)
    }

    fn find_lane(&self, meta: &Meta) -> Option<u32> {
        let class = meta.priority as usize;
        if meta.tenant == 0 {
            return Some(class as u32);
        }
        let mut at = self.buckets[self.bucket(meta.tenant)];
        while at != NONE {
            let lane = &self.lanes[at as usize];
            if lane.tenant == meta.tenant && lane.class == class {
                return Some(at);
            }
            at = lane.next_in_bucket;
        }
        None
    }

    /// The lane for a newcomer: its tenant's, a new one, or the one of its class for everybody else.
    fn lane_for(&mut self, meta: &Meta) -> u32 {
        if let Some(lane) = self.find_lane(meta) {
            return lane;
        }
        let class = meta.priority as usize;
        let full = self.free_lanes.is_empty() && self.lanes.len() - CLASSES >= self.max_lanes as usize;
        if full { class as u32 } else { self.add_lane(meta.tenant, class) }
    }

    fn add_lane(&mut self, tenant: u64, class: usize) -> u32 {
        let bucket = self.bucket(tenant);
        let mut lane =
            Lane { tenant, class, entries: List::default(), turns: 1, weight: 1, next_in_bucket: NONE };
        if tenant != 0 {
            lane.next_in_bucket = self.buckets[bucket];
        }
        let id = match self.free_lanes.pop() {
            Some(id) => {
                self.lanes[id as usize] = lane;
                id
            }
            None => {
                self.lanes.push(lane);
                self.rings.grow();
                self.lanes.len() as u32 - 1
            }
        };
        if tenant != 0 {
            self.buckets[bucket] = id;
        }
        id
    }

    fn close_lane(&mut self, id: u32) {
        let Lane { tenant, next_in_bucket, .. } = self.lanes[id as usize];
        if tenant == 0 {
            return;
        }
        let bucket = self.bucket(tenant);
        let mut at = self.buckets[bucket];
        if at == id {
            self.buckets[bucket] = next_in_bucket;
        } else {
            while self.lanes[at as usize].next_in_bucket != id {
                at = self.lanes[at as usize].next_in_bucket;
            }
            self.lanes[at as usize].next_in_bucket = next_in_bucket;
        }
        self.free_lanes.push(id);
    }

    fn bucket(&self, tenant: u64) -> usize {
        // The tenant is a hash already, and the number of buckets a power of two.
        tenant as usize & (self.buckets.len() - 1)
    }
}

/// Shares are compared in 256ths, so that weights up to 255 count.
const SCALE: u32 = 256;
