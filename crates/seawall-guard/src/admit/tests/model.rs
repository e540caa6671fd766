//! Every interleaving of a driver with permits and tickets that end on other threads.

use std::time::Instant;

use loom::thread;
use seawall_core::Outcome;

use crate::{Admission, AdmissionConfig, Algorithm, Decision, LimitConfig, Meta, Next};

fn admission(start: Instant) -> Admission<u8> {
    let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: 1, ..LimitConfig::default() };
    Admission::new(&AdmissionConfig { limit, ..AdmissionConfig::default() }, None, start).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
fn time_zero() -> Instant {
    Instant::now()
}

#[test]
fn a_permit_that_ends_elsewhere_frees_its_room_once() {
    let start = time_zero();
    loom::model(move || {
        let admission = admission(start);
        let Decision::Start(permit, _) = admission.admit(&Meta::new(start), 1, start) else { panic!() };
        let Decision::Queued(_ticket) = admission.admit(&Meta::new(start), 2, start) else { panic!() };
        let thread = thread::spawn(move || permit.finish(Outcome::Success, start));
        let early = admission.next(start);
        thread.join().unwrap();
        let late = admission.next(start);
        assert!(early.is_some() != late.is_some(), "started once, before or after");
        assert_eq!(admission.facts().in_flight, 1);
    });
}

#[test]
fn a_ticket_given_up_while_it_is_served_has_one_fate() {
    let start = time_zero();
    loom::model(move || {
        let admission = admission(start);
        let ticket = admission.offer(&Meta::new(start), 1, start).unwrap();
        let thread = thread::spawn(move || drop(ticket));
        let started = matches!(admission.next(start), Some(Next::Start(..)));
        thread.join().unwrap();
        // A permit that was handed out and dropped has given its room back, and the place is free either way.
        let facts = admission.facts();
        assert_eq!((facts.queued, facts.in_flight), (0, 0), "started: {started}");
    });
}
