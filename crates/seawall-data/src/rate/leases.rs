//! What this process holds of one limit, key by key: units that are leased, units that were given on trust, and what
//! Redis has last said.
//!
//! Pure: time is an argument, and nothing here knows Redis. A decision may come with a [`Question`]; whoever asks it
//! reports back, once: [`Leases::answered`] or [`Leases::failed`]. A key has one question under way at a time.
//!
//! The table is set-associative and of fixed size, as those of `seawall-guard`. A slot may be taken over by another
//! key when nothing depends on it: no question under way, no refusal in force, no trust untold (or one so old that it
//! would be earned back by now). Units that it held are lost then. A key that finds no slot is left to the local share.

use parking_lot::Mutex;
use seawall_guard::RateLeft;

use super::script::{Answer, Question};

const WAYS: usize = 8;

/// The limit, in the numbers that are counted with. Times are nanoseconds since the limit's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) interval: u64,
    pub(super) burst: u32,
    /// Units of one lease, and the most that is out on trust.
    pub(super) lease: u32,
    /// Units that are worth asking for again after a refusal.
    pub(super) step: u32,
    /// A question that is older than this counts as unanswered.
    pub(super) timeout: u64,
}

/// What became of a request, and what should be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) verdict: Verdict,
    pub(super) question: Option<Question>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// From what is held.
    Leased(RateLeft),
    /// Before Redis has answered.
    Trusted(RateLeft),
    /// There is nothing left; ask again after so many nanoseconds.
    Refused(u64),
    /// All trust is out and the answer is under way.
    Unsure,
    /// Redis cannot be asked, or there is no slot: the local share decides.
    Unknown,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    used: bool,
    key: u64,
    held: u32,
    /// Given on trust, not yet told.
    trusted: u32,
    /// Given on trust, told, and the answer is under way.
    told: u32,
    /// When the question that is under way was asked.
    asked: Option<u64>,
    refused_until: u64,
    /// What was free in Redis at the last answer, and when that was.
    room: u32,
    answered_at: u64,
    touched: u64,
}

/// The table.
#[derive(Debug)]
pub(super) struct Leases {
    terms: Terms,
    sets: Box<[Mutex<[Slot; WAYS]>]>,
}

impl Leases {
    /// `max_keys` is rounded up to a power of two, at least 8.
    pub(super) fn new(terms: Terms, max_keys: u32) -> Self {
        let sets = (max_keys.next_power_of_two() as usize / WAYS).max(1);
        let sets = (0..sets).map(|_| Mutex::new([Slot::default(); WAYS])).collect();
        Self { terms, sets }
    }

    fn set(&self, key: u64) -> &Mutex<[Slot; WAYS]> {
        // The low bits choose the set; the key itself tells the slots apart.
        &self.sets[key as usize & (self.sets.len() - 1)]
    }

    /// Decides on `cost` units, at most the burst, of `key`. While Redis is not `reachable` only what is held is given.
    pub(super) fn take(&self, key: u64, cost: u32, now: u64, reachable: bool) -> Taken {
        let terms = &self.terms;
        let mut slots = self.set(key).lock();
        let Some(slot) = find(&mut slots, key, reachable.then_some((terms, now))) else {
            return Taken { verdict: Verdict::Unknown, question: None };
        };
        slot.touched = now;
        if slot.held >= cost {
            slot.held -= cost;
            let question = if reachable { slot.restock(terms, 0, now) } else { None };
            return Taken { verdict: Verdict::Leased(slot.left(terms, now)), question };
        }
        let late = slot.asked.is_some_and(|asked| now.saturating_sub(asked) > terms.timeout);
        if !reachable || late {
            return Taken { verdict: Verdict::Unknown, question: None };
        }
        if now < slot.refused_until {
            let missing = cost - slot.held;
            let beyond = u64::from(missing.saturating_sub(terms.step)) * terms.interval;
            let verdict = Verdict::Refused(slot.refused_until - now + beyond);
            return Taken { verdict, question: None };
        }
        if slot.trust(terms, cost, now) {
            let verdict = Verdict::Trusted(slot.left(terms, now));
            return Taken { verdict, question: slot.restock(terms, 0, now) };
        }
        Taken { verdict: Verdict::Unsure, question: slot.restock(terms, cost, now) }
    }

    /// Takes in an answer.
    pub(super) fn answered(&self, question: &Question, answer: &Answer, now: u64) {
        let mut slots = self.set(question.key).lock();
        let Some(slot) = slots.iter_mut().find(|slot| slot.used && slot.key == question.key) else { return };
        let most = u64::from(self.terms.burst) * self.terms.interval;
        slot.asked = None;
        slot.told = 0;
        slot.held = slot.held.saturating_add(answer.leased);
        slot.room = u32::try_from(most.saturating_sub(answer.debt) / self.terms.interval).unwrap_or(u32::MAX);
        slot.answered_at = now;
        slot.refused_until = if answer.leased < question.wanted { now + answer.wait } else { 0 };
    }

    /// Takes in that there will be no answer: what was told may not have been heard, so it will be told again.
    pub(super) fn failed(&self, question: &Question) {
        let mut slots = self.set(question.key).lock();
        let Some(slot) = slots.iter_mut().find(|slot| slot.used && slot.key == question.key) else { return };
        slot.asked = None;
        slot.trusted = slot.trusted.saturating_add(slot.told);
        slot.told = 0;
    }
}

/// The key's own slot; for a new one, if that is wanted, a slot that nothing depends on, the one longest not used.
fn find<'s>(slots: &'s mut [Slot; WAYS], key: u64, claim: Option<(&Terms, u64)>) -> Option<&'s mut Slot> {
    if let Some(at) = slots.iter().position(|slot| slot.used && slot.key == key) {
        return Some(&mut slots[at]);
    }
    let (terms, now) = claim?;
    let free = slots.iter_mut().filter(|slot| slot.is_idle(terms, now));
    let slot = free.min_by_key(|slot| (slot.used, slot.touched))?;
    *slot = Slot { used: true, key, ..Slot::default() };
    Some(slot)
}

impl Slot {
    /// Whether nothing depends on it.
    fn is_idle(&self, terms: &Terms, now: u64) -> bool {
        let paid = self.touched.saturating_add(u64::from(self.trusted) * terms.interval) <= now;
        !self.used || self.asked.is_none() && self.refused_until <= now && (self.trusted == 0 || paid)
    }

    /// Gives what is missing on trust, if there is any left: at most a lease, and after a refusal no more than has
    /// come free since. What is more than a lease by itself is given if nothing else is out, and as far as is known
    /// there is so much.
    fn trust(&mut self, terms: &Terms, cost: u32, now: u64) -> bool {
        let missing = cost - self.held;
        let out = self.trusted + self.told;
        let earned = match self.refused_until {
            0 => u32::MAX,
            until => {
                let since = u32::try_from((now - until) / terms.interval).unwrap_or(u32::MAX);
                terms.step.saturating_add(since)
            }
        };
        let alone = out == 0 && self.left(terms, now).remaining >= cost;
        let fits = alone || out.saturating_add(missing) <= terms.lease;
        if !fits || out.saturating_add(missing) > earned {
            return false;
        }
        self.held = 0;
        self.trusted += missing;
        true
    }

    /// What to ask for: a whole lease in all, when less than half of it is left; or what a request of `cost` needs.
    fn restock(&mut self, terms: &Terms, cost: u32, now: u64) -> Option<Question> {
        let low = u64::from(self.held) * 2 < u64::from(terms.lease);
        if self.asked.is_some() || now < self.refused_until || !low && cost <= self.held {
            return None;
        }
        let wanted = terms.lease.max(cost) - self.held;
        self.asked = Some(now);
        self.told = self.trusted;
        self.trusted = 0;
        Some(Question { key: self.key, trusted: self.told, wanted })
    }

    /// As of the last answer, and what has come free since.
    fn left(&self, terms: &Terms, now: u64) -> RateLeft {
        let free = if self.answered_at == 0 {
            terms.burst
        } else {
            let since = (now.saturating_sub(self.answered_at)) / terms.interval;
            self.room.saturating_add(u32::try_from(since).unwrap_or(u32::MAX))
        };
        let known = free.saturating_add(self.held).min(terms.burst);
        let remaining = known.saturating_sub(self.trusted + self.told);
        let full_in = u64::from(terms.burst - remaining) * terms.interval;
        RateLeft { burst: terms.burst, remaining, full_in: std::time::Duration::from_nanos(full_in) }
    }
}
