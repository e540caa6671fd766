//! A hard cap on what is in flight: at most `max_in_flight` [`Permit`]s exist at any moment.
//!
//! The cap may change. A lower one takes no permit back: nobody gets in until enough have ended.
//! Pure counting: nobody waits and nothing is queued. A full gate refuses at once, and refusing only reads, so a
//! flood of refusals does not slow the permits that are out.
//! Invariants, model-checked with loom: never more permits than the cap, or than the higher of two caps while one takes
//! the other's place; a gate with room never refuses; a permit that ends happens before the one that takes its place.

use std::fmt;
use std::num::NonZeroU32;

use crate::Rejected;
use crate::sync::{Arc, AtomicU32, Ordering};

/// The cap. Cloning gives another handle to the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Room>);

struct Room {
    in_flight: AtomicU32,
    /// Never zero.
    max_in_flight: AtomicU32,
}

/// Room for one; dropping it gives the room back. Keep it as long as the work lasts.
#[must_use = "the room is given back the moment the permit is dropped"]
pub struct Permit(Option<Arc<Room>>);

/// Room for one, as [`Permit`], for as long as the gate is borrowed: it costs no reference count.
#[must_use = "the room is given back the moment this is dropped"]
pub(crate) struct Taken<'a>(Option<&'a Arc<Room>>);

impl Gate {
    /// A gate with room for `max_in_flight`, all of it free.
    pub fn new(max_in_flight: NonZeroU32) -> Self {
        let max_in_flight = AtomicU32::new(max_in_flight.get());
        Self(Arc::new(Room { in_flight: AtomicU32::new(0), max_in_flight }))
    }

    /// Takes room for one. Never waits.
    ///
    /// # Errors
    /// [`Rejected::Saturated`] if all room is taken.
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        self.take().map(Taken::into_permit)
    }

    /// As [`try_acquire`](Self::try_acquire), borrowed.
    pub(crate) fn take(&self) -> Result<Taken<'_>, Rejected> {
        let Room { in_flight, max_in_flight } = &*self.0;
        // Relaxed: the cap guards nothing but itself.
        let take = |taken: u32| (taken < max_in_flight.load(Ordering::Relaxed)).then(|| taken + 1);
        match in_flight.fetch_update(Ordering::Acquire, Ordering::Relaxed, take) {
            Ok(_) => Ok(Taken(Some(&self.0))),
            Err(_) => Err(Rejected::Saturated),
        }
    }

    /// Gives back room that somebody has [kept](Taken::keep).
    pub(crate) fn give_back(&self) {
        self.0.give_back();
    }

    /// Permits that are out at this moment.
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// The cap at this moment.
    pub fn max_in_flight(&self) -> NonZeroU32 {
        NonZeroU32::new(self.0.max_in_flight.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// Changes the cap of all handles. Permits that are out stay out: with a lower cap nobody gets in until so many
    /// have ended. Who asks at this very moment may still be judged by the cap before.
    pub fn set_max_in_flight(&self, max_in_flight: NonZeroU32) {
        self.0.max_in_flight.store(max_in_flight.get(), Ordering::Relaxed);
    }
}

impl Room {
    fn give_back(&self) {
        // Release pairs with the acquire above: who gets this room sees all that was done under this permit.
        self.in_flight.fetch_sub(1, Ordering::Release);
    }
}

impl Taken<'_> {
    /// The room stays taken until somebody [gives it back](Gate::give_back).
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }

    pub(crate) fn into_permit(mut self) -> Permit {
        Permit(self.0.take().cloned())
    }
}

impl Permit {
    /// As [`Taken::keep`].
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.0 {
            room.give_back();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(room) = &self.0 {
            room.give_back();
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("in_flight", &self.in_flight())
            .field("max_in_flight", &self.max_in_flight())
            .finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn gate(max_in_flight: u32) -> Gate {
        Gate::new(NonZeroU32::new(max_in_flight).unwrap())
    }

    /// Plays a script (`+` take, `-` give the oldest back) and checks what each take got: `y` in, `n` refused.
    #[track_caller]
    fn check(max_in_flight: u32, script: &str, expected: &str) {
        let gate = gate(max_in_flight);
        let mut held = VecDeque::new();
        let mut answers = String::new();
        for step in script.chars() {
            match step {
                '+' => match gate.try_acquire() {
                    Ok(permit) => {
                        held.push_back(permit);
                        answers.push('y');
                    }
                    Err(refusal) => {
                        assert_eq!(refusal, Rejected::Saturated);
                        answers.push('n');
                    }
                },
                _ => drop(held.pop_front()),
            }
            assert_eq!(gate.in_flight() as usize, held.len());
        }
        assert_eq!(answers, expected);
    }

    #[test]
    fn lets_in_as_many_as_there_is_room_for() {
        check(3, "++++", "yyyn");
    }
    #[test]
    fn a_dropped_permit_makes_room_for_one() {
        check(2, "+++-++", "yynyn");
    }
    #[test]
    fn a_refusal_takes_no_room() {
        check(1, "+++++-+", "ynnnny");
    }

    proptest! {
        #[test]
        fn counts_as_a_naive_counter_does(max in 1u32..5, script in "[+-]{0,40}") {
            let mut held = 0;
            let mut expected = String::new();
            for step in script.chars() {
                match step {
                    '+' if held < max => { held += 1; expected.push('y'); }
                    '+' => expected.push('n'),
                    _ => held = held.saturating_sub(1),
                }
            }
            check(max, &script, &expected);
        }
    }

    #[test]
    fn a_lower_cap_lets_nobody_in_until_enough_have_ended() {
        let gate = gate(3);
        let mut held: Vec<_> = (0..3).map(|_| gate.try_acquire().unwrap()).collect();
        gate.clone().set_max_in_flight(NonZeroU32::MIN);
        assert_eq!(gate.max_in_flight(), NonZeroU32::MIN);
        for left in (0..3).rev() {
            assert_eq!(gate.try_acquire().unwrap_err(), Rejected::Saturated);
            held.pop();
            assert_eq!(gate.in_flight(), left);
        }
        assert!(gate.try_acquire().is_ok());
    }

    #[test]
    fn a_higher_cap_has_room_at_once() {
        let gate = gate(1);
        let _first = gate.try_acquire().unwrap();
        assert!(gate.try_acquire().is_err());
        gate.set_max_in_flight(NonZeroU32::new(2).unwrap());
        let _second = gate.try_acquire().unwrap();
        assert!(gate.try_acquire().is_err());
    }

    #[test]
    fn a_permit_may_outlive_the_gate_and_travel() {
        fn anywhere<T: Send + Sync + 'static>(_: &T) {}
        let gate = gate(1);
        let permit = gate.try_acquire().unwrap();
        anywhere(&permit);
        anywhere(&gate);
        drop(gate);
        std::thread::spawn(move || drop(permit)).join().unwrap();
    }

    #[test]
    fn a_panic_gives_the_room_back() {
        let gate = gate(1);
        let inner = gate.clone();
        let result = std::thread::spawn(move || {
            let _permit = inner.try_acquire().unwrap();
            panic!("the work failed");
        })
        .join();
        assert!(result.is_err());
        assert_eq!(gate.in_flight(), 0);
    }
}

/// Every interleaving of two threads: `RUSTFLAGS="--cfg loom" cargo test -p seawall-guard --lib model`.
#[cfg(test)]
#[cfg(loom)]
mod model {
    use loom::thread;

    use super::*;

    fn gate(max_in_flight: u32) -> Gate {
        Gate::new(NonZeroU32::new(max_in_flight).unwrap())
    }

    #[test]
    fn never_more_permits_than_the_cap_and_none_is_lost() {
        loom::model(|| {
            let gate = gate(1);
            let out = Arc::new(AtomicU32::new(0));
            let visit = |gate: &Gate, out: &AtomicU32| {
                if let Ok(_permit) = gate.try_acquire() {
                    assert_eq!(out.fetch_add(1, Ordering::Relaxed), 0);
                    out.fetch_sub(1, Ordering::Relaxed);
                }
            };
            let thread = {
                let (gate, out) = (gate.clone(), Arc::clone(&out));
                thread::spawn(move || visit(&gate, &out))
            };
            visit(&gate, &out);
            thread.join().unwrap();
            assert_eq!(gate.in_flight(), 0);
        });
    }

    #[test]
    fn a_gate_with_room_for_all_refuses_nobody() {
        loom::model(|| {
            let gate = gate(2);
            let other = gate.clone();
            let thread = thread::spawn(move || {
                // Twice, so that a take races with a take and with a release.
                drop(other.try_acquire().unwrap());
                drop(other.try_acquire().unwrap());
            });
            drop(gate.try_acquire().unwrap());
            thread.join().unwrap();
            assert_eq!(gate.in_flight(), 0);
        });
    }

    #[test]
    fn a_cap_that_is_lowered_holds_for_all_who_come_after() {
        loom::model(|| {
            let gate = gate(2);
            let other = gate.clone();
            let thread = thread::spawn(move || {
                other.set_max_in_flight(NonZeroU32::MIN);
                let permit = other.try_acquire();
                assert!(other.in_flight() <= 2);
                permit.is_ok()
            });
            let first = gate.try_acquire();
            let second = gate.try_acquire();
            assert!(gate.in_flight() <= 2, "never above the higher of the two");
            let third = thread.join().unwrap();
            let in_now = first.is_ok() || second.is_ok() || third;
            assert!(in_now, "a gate with room refuses nobody");
            // The change is known here now. Permits of the other thread have ended with it.
            let held = [&first, &second].iter().filter(|permit| permit.is_ok()).count();
            assert_eq!(gate.try_acquire().is_ok(), held == 0);
            drop((first, second));
            let _only = gate.try_acquire().unwrap();
            assert!(gate.try_acquire().is_err());
        });
    }

    #[test]
    fn what_was_done_under_a_permit_is_seen_under_the_next() {
        loom::model(|| {
            let gate = gate(1);
            let visits = Arc::new(AtomicU32::new(0));
            // Relaxed and in two steps on purpose: only the gate's own ordering keeps a visit from being lost.
            let visit = |gate: &Gate, visits: &AtomicU32| match gate.try_acquire() {
                Ok(_permit) => {
                    visits.store(visits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    1
                }
                Err(_) => 0,
            };
            let thread = {
                let (gate, visits) = (gate.clone(), Arc::clone(&visits));
                thread::spawn(move || visit(&gate, &visits))
            };
            let admitted = visit(&gate, &visits) + thread.join().unwrap();
            assert_eq!(visits.load(Ordering::Relaxed), admitted);
        });
    }
}
