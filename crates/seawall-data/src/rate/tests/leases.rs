//! The decisions of several processes in virtual time: how much they let through together, and how close to the limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::model::Model;
use super::most_above;
use crate::rate::leases::{Leases, Taken, Terms, Verdict};
use crate::rate::script::{Answer, Question};

const MS: u64 = 1_000_000;

/// Processes that share one Redis, which takes its time.
struct World {
    terms: Terms,
    nodes: Vec<Leases>,
    redis: Model,
    now: u64,
    /// By time: which process, and what happens to its question.
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    sequence: u64,
    passed: Vec<(u128, u128, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Reaches { key: u64, trusted: u32, wanted: u32, answer_lost: bool, back: u64 },
    Answered { key: u64, wanted: u32, leased: u32, wait: u64, debt: u64 },
    Failed { key: u64 },
}

/// How long a question takes to Redis and its answer back, and what is lost.
#[derive(Debug, Clone, Copy)]
struct Network {
    there: u64,
    back: u64,
    question_lost: bool,
    answer_lost: bool,
}

const FAST: Network = Network { there: 150_000, back: 150_000, question_lost: false, answer_lost: false };

fn terms(interval: u64, burst: u32, lease: u32) -> Terms {
    let step = u32::try_from(10 * MS / interval).unwrap_or(u32::MAX).clamp(1, lease);
    Terms { interval, burst, lease, step, timeout: 5 * MS }
}

impl World {
    fn new(terms: Terms, nodes: usize, keys: u32) -> Self {
        let nodes = (0..nodes).map(|_| Leases::new(terms, keys)).collect();
        let (events, passed) = (BinaryHeap::new(), Vec::new());
        Self { terms, nodes, redis: Model::default(), now: MS, events, sequence: 0, passed }
    }

    fn schedule(&mut self, after: u64, node: usize, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + after, self.sequence, node, event)));
    }

    fn pass(&mut self, nanos: u64) {
        let until = self.now + nanos;
        while let Some(&Reverse((at, _, node, event))) = self.events.peek()
            && at <= until
        {
            self.events.pop();
            self.now = at;
            self.happen(node, event);
        }
        self.now = until;
    }

    fn happen(&mut self, node: usize, event: Event) {
        match event {
            Event::Reaches { key, trusted, wanted, answer_lost, back } => {
                let question = Question { key, trusted, wanted };
                let Answer { leased, wait, debt } = self.redis.ask(&self.terms, &question, self.now / 1_000);
                if !answer_lost {
                    self.schedule(back, node, Event::Answered { key, wanted, leased, wait, debt });
                }
            }
            Event::Answered { key, wanted, leased, wait, debt } => {
                let question = Question { key, trusted: 0, wanted };
                self.nodes[node].answered(&question, &Answer { leased, wait, debt }, self.now);
            }
            Event::Failed { key } => {
                self.nodes[node].failed(&Question { key, trusted: 0, wanted: 0 });
            }
        }
    }

    fn take(&mut self, node: usize, key: u64, cost: u32, network: Network) -> Verdict {
        let Taken { verdict, question } = self.nodes[node].take(key, cost, self.now, true);
        if let Some(Question { key, trusted, wanted }) = question {
            let Network { there, back, question_lost, answer_lost } = network;
            if question_lost || answer_lost {
                self.schedule(self.terms.timeout, node, Event::Failed { key });
            }
            if !question_lost {
                self.schedule(there, node, Event::Reaches { key, trusted, wanted, answer_lost, back });
            }
        }
        if matches!(verdict, Verdict::Leased(_) | Verdict::Trusted(_)) {
            self.passed.push((self.now.into(), self.now.into(), cost));
        }
        verdict
    }
}

fn networks() -> impl Strategy<Value = Network> {
    (0u64..3 * MS, 0u64..3 * MS, 0u8..12).prop_map(|(there, back, luck)| Network {
        there,
        back,
        question_lost: luck == 0,
        answer_lost: luck == 1,
    })
}

proptest! {
    /// Whatever is asked when, by whom, and whatever the network does to it: no stretch of time sees more than the
    /// limit and the slack that is promised.
    #[test]
    fn processes_together_stay_within_the_limit_and_the_slack(
        nodes in 1usize..5,
        interval in prop_oneof![20_000u64..200_000, MS..20 * MS],
        burst in 1u32..40,
        lease in 1u32..12,
        steps in prop::collection::vec((0usize..4, 1u32..4, 0u64..4 * MS, networks()), 0..250),
    ) {
        let lease = lease.min(burst);
        let mut world = World::new(terms(interval, burst, lease), nodes, 8);
        for (node, cost, pause, network) in steps {
            world.pass(pause * u64::from(pause > MS));
            world.take(node % nodes, 7, cost.min(lease), network);
        }
        let slack = 2 * nodes as i128 * i128::from(lease);
        let above = most_above(&world.passed, interval.into(), burst);
        prop_assert!(above <= slack, "{above} above the limit, {slack} are the slack");
    }

    /// The table is far too small for the keys, and each key still has its limit.
    #[test]
    fn keys_that_crowd_each_other_get_no_more(
        steps in prop::collection::vec((0u64..24, 0u64..3 * MS, networks()), 0..300),
    ) {
        let terms = terms(5 * MS, 6, 2);
        let mut worlds: Vec<_> = (0..24).map(|_| Vec::new()).collect();
        let mut world = World::new(terms, 2, 8);
        for (at, (key, pause, network)) in steps.into_iter().enumerate() {
            world.pass(pause);
            world.take(at % 2, key, 1, network);
            worlds[key as usize].append(&mut world.passed);
        }
        for passed in worlds {
            // A key that was pushed out takes its lease with it and may be trusted again.
            prop_assert!(most_above(&passed, 5 * u128::from(MS), 6) <= 8);
        }
    }
}

/// Two processes, each asked for ten times the whole limit, for ten seconds: a thousand a second come through, no more.
#[test]
fn at_its_limit_it_is_accurate() {
    let terms = terms(MS, 100, 25);
    let mut world = World::new(terms, 2, 8);
    for at in 0..100_000 {
        world.pass(100_000);
        world.take(at % 2, 7, 1, FAST);
        world.take((at + 1) % 2, 7, 1, FAST);
    }
    let passed = world.passed.len();
    println!("{passed} of 10100");
    assert!((9_900..=10_200).contains(&passed), "{passed}");
    assert!(most_above(&world.passed, MS.into(), 100) <= 100);
}

/// The lower half of what is allowed is never refused, though it comes to three processes by turns.
#[test]
fn below_its_limit_nobody_is_refused() {
    let mut world = World::new(terms(MS, 50, 8), 3, 8);
    for at in 0..10_000usize {
        world.pass(2 * MS);
        let verdict = world.take(at * at % 3, 7, 1, FAST);
        assert!(matches!(verdict, Verdict::Leased(_) | Verdict::Trusted(_)), "{verdict:?} at {at}");
    }
}

#[test]
fn a_question_that_is_not_answered_within_five_milliseconds_leaves_the_key_to_the_local_share() {
    let mut world = World::new(terms(MS, 100, 10), 1, 8);
    let silent = Network { there: 3_600_000 * MS, ..FAST };
    let mut verdicts = String::new();
    for _ in 0..14 {
        verdicts.push(letter(world.take(0, 7, 1, silent)));
    }
    world.pass(5 * MS);
    verdicts.push(letter(world.take(0, 7, 1, silent)));
    world.pass(1);
    verdicts.push(letter(world.take(0, 7, 1, silent)));
    assert_eq!(
        verdicts, "ttttttttttuuuuu?",
        "trust for one lease, then unsure, then for the share to decide"
    );
}

fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Leased(_) => 'l',
        Verdict::Trusted(_) => 't',
        Verdict::Refused(_) => 'r',
        Verdict::Unsure => 'u',
        Verdict::Unknown => '?',
    }
}

#[test]
fn without_redis_what_is_held_is_used_up_and_nothing_is_asked() {
    let mut world = World::new(terms(MS, 100, 4), 1, 8);
    world.take(0, 7, 1, FAST);
    world.pass(MS);
    let verdicts: Vec<_> = (0..5).map(|_| world.nodes[0].take(7, 1, world.now, false)).collect();
    assert!(verdicts.iter().all(|taken| taken.question.is_none()));
    let letters: String = verdicts.iter().map(|taken| letter(taken.verdict)).collect();
    assert_eq!(letters, "llll?");
    assert_eq!(letter(world.nodes[0].take(8, 1, world.now, false).verdict), '?');
}

#[test]
fn a_refusal_names_the_moment_and_who_comes_then_is_let_in() {
    let mut world = World::new(terms(100 * MS, 2, 1), 1, 8);
    for _ in 0..4 {
        world.take(0, 7, 1, FAST);
        world.pass(MS);
    }
    let Verdict::Refused(wait) = world.take(0, 7, 1, FAST) else { panic!("all is used up") };
    world.pass(wait - 1);
    assert!(matches!(world.take(0, 7, 1, FAST), Verdict::Refused(1)));
    world.pass(1);
    assert_eq!(letter(world.take(0, 7, 1, FAST)), 't');
}

#[test]
fn a_cost_above_the_lease_is_possible() {
    let mut world = World::new(terms(MS, 100, 5), 1, 8);
    for cost in [60, 30] {
        assert_eq!(letter(world.take(0, 7, cost, FAST)), 't');
        world.pass(MS);
    }
    assert_eq!(letter(world.take(0, 7, 60, FAST)), 'u', "ninety of a hundred are owed: nothing to trust in");
    world.pass(MS);
    let Verdict::Refused(wait) = world.take(0, 7, 60, FAST) else { panic!("Redis has said no") };
    assert!((40 * MS..60 * MS).contains(&wait), "{wait}");
    world.pass(wait);
    assert_eq!(letter(world.take(0, 7, 60, FAST)), 't');
}

#[test]
fn trust_that_could_not_be_told_is_told_again() {
    let mut world = World::new(terms(MS, 100, 10), 1, 8);
    let lost = Network { question_lost: true, ..FAST };
    for _ in 0..3 {
        world.take(0, 7, 1, lost);
    }
    world.pass(6 * MS);
    let taken = world.nodes[0].take(7, 1, world.now, true);
    assert_eq!(taken.question, Some(Question { key: 7, trusted: 4, wanted: 10 }));
}

#[test]
fn what_is_left_is_told() {
    let mut world = World::new(terms(MS, 100, 10), 1, 8);
    let Verdict::Trusted(left) = world.take(0, 7, 3, FAST) else { panic!() };
    assert_eq!((left.burst, left.remaining), (100, 97));
    world.pass(300_000);
    let Verdict::Leased(left) = world.take(0, 7, 2, FAST) else { panic!() };
    assert_eq!((left.burst, left.remaining, left.full_in.as_millis()), (100, 95, 5));
}
