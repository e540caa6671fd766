//! The machine in small: each rule of the table in the module's header, and its bookkeeping against a naive count.

#[cfg(loom)]
mod model;

#[cfg(not(loom))]
mod rules {
    use std::num::NonZeroU32;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use seawall_core::{Deadline, Outcome};

    use crate::{
        Admission, AdmissionConfig, Algorithm, Decision, Gate, LimitConfig, Meta, Next, Priority, Rejected,
        Ticket, WorkPermit,
    };

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as time zero; no test looks again")]
    fn time_zero() -> Instant {
        Instant::now()
    }

    fn fixed(slots: u32, max_queued: u32) -> AdmissionConfig {
        let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: slots, ..LimitConfig::default() };
        AdmissionConfig { limit, max_queued, ..AdmissionConfig::default() }
    }

    /// A machine, its tickets and its permits, driven by scripts.
    struct Bench {
        admission: Admission<char>,
        start: Instant,
        now: Instant,
        tickets: Vec<(char, Ticket<char>)>,
        permits: Vec<WorkPermit>,
        log: String,
    }

    impl Bench {
        fn new(config: &AdmissionConfig, gate: Option<Gate>) -> Self {
            let start = time_zero();
            let admission = Admission::new(config, gate, start).unwrap();
            Self {
                admission,
                start,
                now: start,
                tickets: Vec::new(),
                permits: Vec::new(),
                log: String::new(),
            }
        }

        fn offer(&mut self, name: char, change: impl FnOnce(&mut Meta)) -> Result<(), Rejected> {
            let mut meta = Meta::new(self.now);
            change(&mut meta);
            match self.admission.offer(&meta, name, self.now) {
                Ok(ticket) => {
                    self.tickets.push((name, ticket));
                    Ok(())
                }
                Err((rejected, _)) => Err(rejected),
            }
        }

        /// Takes everything that `next` has to say: `a` started, `-a` refused.
        fn drive(&mut self) -> String {
            let before = self.log.len();
            while let Some(next) = self.admission.next(self.now) {
                match next {
                    Next::Start(permit, name) => {
                        self.log.push(name);
                        self.permits.push(permit);
                    }
                    Next::Refuse(_, name) => {
                        self.log.push('-');
                        self.log.push(name);
                    }
                }
            }
            self.log[before..].to_owned()
        }

        fn end_all(&mut self) {
            self.permits.clear();
        }
    }

    #[test]
    fn starts_as_many_as_the_limit_allows_oldest_first() {
        let mut bench = Bench::new(&fixed(2, 10), None);
        "abcde".chars().for_each(|name| bench.offer(name, |_| ()).unwrap());
        assert_eq!(bench.drive(), "ab");
        bench.end_all();
        assert_eq!(bench.drive(), "cd");
    }

    #[test]
    fn the_more_important_class_goes_first() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        bench.offer('s', |meta| meta.priority = Priority::Sheddable).unwrap();
        bench.offer('c', |_| ()).unwrap();
        bench.offer('p', |meta| meta.priority = Priority::CriticalPlus).unwrap();
        for expected in ["p", "c", "s"] {
            assert_eq!(bench.drive(), expected);
            bench.end_all();
        }
    }

    #[test]
    fn tenants_take_turns_by_their_weight() {
        let mut bench = Bench::new(&fixed(100, 100), None);
        for name in "aaaaaa".chars() {
            bench.offer(name, |meta| meta.tenant = 1).unwrap();
        }
        for name in "bbbbbb".chars() {
            bench.offer(name, |meta| (meta.tenant, meta.weight) = (2, 2)).unwrap();
        }
        assert_eq!(bench.drive(), "abbabbabbaaa");
    }

    #[test]
    fn tenants_beyond_the_bound_share_one_turn() {
        let config = AdmissionConfig { max_tenants: 1, ..fixed(100, 100) };
        let mut bench = Bench::new(&config, None);
        for (name, tenant) in [('a', 1), ('a', 1), ('a', 1), ('b', 2), ('c', 3), ('b', 2)] {
            bench.offer(name, |meta| meta.tenant = tenant).unwrap();
        }
        assert_eq!(bench.drive(), "abacab");
    }

    #[test]
    fn in_an_overload_the_newest_goes_first() {
        let mut bench = Bench::new(&fixed(1, 3), None);
        "abc".chars().for_each(|name| bench.offer(name, |_| ()).unwrap());
        assert_eq!(bench.offer('d', |_| ()), Err(Rejected::QueueFull));
        assert_eq!(bench.drive(), "c");
        bench.end_all();
        assert_eq!(bench.drive(), "b");
    }

    #[test]
    fn a_full_queue_makes_room_for_the_more_important() {
        let mut bench = Bench::new(&fixed(1, 2), None);
        "ab".chars().for_each(|name| bench.offer(name, |m| m.priority = Priority::Sheddable).unwrap());
        bench.offer('c', |_| ()).unwrap();
        assert_eq!(bench.offer('d', |m| m.priority = Priority::Sheddable), Err(Rejected::QueueFull));
        assert_eq!(bench.drive(), "-ac");
    }

    #[test]
    fn a_full_queue_makes_room_for_the_tenant_that_has_less() {
        let mut bench = Bench::new(&fixed(9, 3), None);
        "aaa".chars().for_each(|name| bench.offer(name, |meta| meta.tenant = 1).unwrap());
        bench.offer('b', |meta| meta.tenant = 2).unwrap();
        assert_eq!(bench.offer('a', |meta| meta.tenant = 1), Err(Rejected::QueueFull));
        assert_eq!(bench.drive(), "-aaba");
    }

    #[test]
    fn a_dropped_ticket_gives_its_place_up() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        "abc".chars().for_each(|name| bench.offer(name, |_| ()).unwrap());
        drop(bench.tickets.remove(1));
        assert_eq!(bench.admission.facts().queued, 2);
        assert_eq!(bench.drive(), "a");
        bench.tickets.clear();
        bench.end_all();
        assert_eq!(bench.drive(), "");
    }

    #[test]
    fn a_ticket_that_was_served_takes_nobody_elses_place() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        bench.offer('a', |_| ()).unwrap();
        assert_eq!(bench.drive(), "a");
        bench.offer('b', |_| ()).unwrap(); // in the slot that was a's
        drop(bench.tickets.remove(0));
        bench.end_all();
        assert_eq!(bench.drive(), "b");
    }

    #[test]
    fn whom_nobody_waits_for_is_refused() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        let soon = Deadline::at(bench.start + 20 * MS);
        bench.offer('a', |_| ()).unwrap();
        bench.offer('b', |meta| meta.deadline = Some(soon)).unwrap();
        assert_eq!(bench.drive(), "a");
        bench.now += 20 * MS;
        assert_eq!(bench.offer('c', |meta| meta.deadline = Some(soon)), Err(Rejected::DeadlineExceeded));
        assert_eq!(bench.drive(), "-b");
    }

    #[test]
    fn it_says_when_to_look_at_a_waiting_request_again() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        assert_eq!(bench.admission.look_again(), None);
        let soon = Deadline::at(bench.start + 20 * MS);
        bench.offer('a', |meta| meta.deadline = Some(soon)).unwrap();
        assert_eq!(bench.admission.look_again(), Some(soon.instant()));
    }

    #[test]
    fn what_waits_longer_than_a_whole_grace_is_an_overload_and_goes() {
        let mut bench = Bench::new(&fixed(1, 100), None);
        "ab".chars().for_each(|name| bench.offer(name, |_| ()).unwrap());
        assert_eq!(bench.drive(), "a");
        for step in 1..=22 {
            bench.now = bench.start + 10 * MS * step;
            let expected = if step == 21 { "-b" } else { "" };
            assert_eq!(bench.drive(), expected, "after {step} steps"); // 100 ms of waiting and 100 ms of grace
        }
    }

    #[test]
    fn the_hard_cap_counts_what_waits_and_what_works() {
        let gate = Gate::new(NonZeroU32::new(2).unwrap());
        let mut bench = Bench::new(&fixed(1, 10), Some(gate.clone()));
        "ab".chars().for_each(|name| bench.offer(name, |_| ()).unwrap());
        assert_eq!(bench.offer('c', |_| ()), Err(Rejected::Saturated));
        assert_eq!(bench.drive(), "a");
        assert_eq!(gate.in_flight(), 2);
        bench.tickets.clear();
        assert_eq!(gate.in_flight(), 1);
        bench.end_all();
        assert_eq!(gate.in_flight(), 0);
    }

    #[test]
    fn without_phases_the_first_starts_at_once_and_nobody_overtakes() {
        let start = time_zero();
        let admission = Admission::new(&fixed(1, 10), None, start).unwrap();
        let Decision::Start(permit, _) = admission.admit(&Meta::new(start), 'a', start) else { panic!() };
        let Decision::Queued(_ticket) = admission.admit(&Meta::new(start), 'b', start) else { panic!() };
        permit.finish(Outcome::Success, start + MS);
        let Decision::Queued(_second) = admission.admit(&Meta::new(start), 'c', start) else { panic!() };
        assert!(matches!(admission.next(start + MS), Some(Next::Start(_, 'b'))));
    }

    #[test]
    fn the_short_way_starts_only_whom_nobody_is_ahead_of() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        let first = bench.admission.try_start(&Meta::new(bench.start), bench.start).unwrap();
        assert!(bench.admission.try_start(&Meta::new(bench.start), bench.start).is_none(), "no room");
        bench.offer('a', |_| ()).unwrap();
        drop(first);
        assert!(bench.admission.try_start(&Meta::new(bench.start), bench.start).is_none(), "a is ahead");
        assert_eq!(bench.drive(), "a");
    }
    #[test]
    fn what_a_granted_start_waits_is_no_part_of_the_work() {
        let start = time_zero();
        let admission = Admission::<char>::new(&fixed(1, 10), None, start).unwrap();
        let mut permit = admission.try_start(&Meta::new(start), start).unwrap();
        let deadline = permit.deadline();
        permit.begin(start + 30 * MS);
        assert_eq!((permit.started(), permit.deadline()), (start + 30 * MS, deadline));
    }
    #[test]
    fn the_driver_hears_of_room_that_somebody_waits_for() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU32, Ordering};
        let (start, told) = (time_zero(), Arc::new(AtomicU32::new(0)));
        let tell = {
            let told = Arc::clone(&told);
            move || {
                told.fetch_add(1, Ordering::Relaxed);
            }
        };
        let admission = Admission::driven(&fixed(2, 10), None, start, tell).unwrap();
        let [one, two] = [(), ()].map(|()| admission.try_start(&Meta::new(start), start).unwrap());
        drop(one);
        assert_eq!(told.load(Ordering::Relaxed), 0, "nobody waits");
        let _ticket = admission.offer(&Meta::new(start), 'a', start).unwrap();
        two.finish(Outcome::Success, start + MS);
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    /// One window of work that ends with `outcome` after 30 ms.
    fn window_of(outcome: Outcome) -> Option<Duration> {
        let start = time_zero();
        let admission = Admission::new(&fixed(50, 100), None, start).unwrap();
        for _ in 0..50 {
            let Decision::Start(permit, _) = admission.admit(&Meta::new(start), 'a', start) else { panic!() };
            if outcome == Outcome::Cancelled {
                drop(permit);
            } else {
                permit.finish(outcome, start + 30 * MS);
            }
        }
        let Decision::Start(permit, _) = admission.admit(&Meta::new(start), 'a', start) else { panic!() };
        permit.finish(Outcome::Success, start + 1_000 * MS);
        admission.facts().base
    }

    #[test]
    fn an_answer_is_a_sample() {
        assert!(window_of(Outcome::Success).unwrap() < 50 * MS);
    }
    #[test]
    fn cancelled_work_is_none() {
        assert_eq!(window_of(Outcome::Cancelled), Some(1_000 * MS));
    }
    #[test]
    fn work_that_was_refused_from_behind_is_none() {
        assert_eq!(window_of(Outcome::Overloaded), Some(1_000 * MS));
    }

    #[test]
    fn new_values_keep_what_waits_and_works() {
        let mut bench = Bench::new(&fixed(1, 10), None);
        "abc".chars().for_each(|name| bench.offer(name, |_| ()).unwrap());
        assert_eq!(bench.drive(), "a");
        bench.admission.reconfigure(&fixed(2, 10), bench.now).unwrap();
        assert_eq!(bench.drive(), "b");
        let wrong = AdmissionConfig { max_queued: 0, ..fixed(1, 1) };
        let error = bench.admission.reconfigure(&wrong, bench.now).unwrap_err();
        assert_eq!(error.to_string(), "`admission.max_queued` is 0, but must be 1 to 1000000");
        assert_eq!(bench.admission.facts().limit, 2);
    }

    proptest! {
        /// Every request is started, refused or given up, and only one of these; nothing is lost, nothing stays.
        #[test]
        fn every_request_has_one_fate(
            slots in 1u32..4,
            max_queued in 1u32..8,
            steps in prop::collection::vec((0u8..6, 0u64..4, 0usize..4, 0u64..30), 0..120),
        ) {
            let mut bench = Bench::new(&fixed(slots, max_queued), None);
            let (mut offered, mut refused, mut given_up) = (0, 0, 0);
            for (step, tenant, class, pause) in steps {
                bench.now += MS * pause as u32;
                match step {
                    0..=2 => {
                        offered += 1;
                        let priority = Priority::ALL[class];
                        let taken = bench.offer('x', |meta| (meta.tenant, meta.priority) = (tenant, priority));
                        refused += usize::from(taken.is_err());
                    }
                    3 => drop(bench.permits.pop()),
                    4 if !bench.tickets.is_empty() => {
                        let before = bench.admission.facts().queued;
                        let at = tenant as usize % bench.tickets.len();
                        drop(bench.tickets.swap_remove(at));
                        given_up += (before - bench.admission.facts().queued) as usize;
                    }
                    _ => drop(bench.drive()),
                }
                let facts = bench.admission.facts();
                prop_assert!(facts.queued <= max_queued && facts.in_flight <= slots);
                prop_assert_eq!(facts.in_flight as usize, bench.permits.len());
            }
            while bench.admission.facts().queued > 0 {
                bench.end_all();
                bench.drive();
            }
            bench.drive();
            let told = bench.log.matches('-').count();
            let started = bench.log.matches('x').count() - told;
            prop_assert_eq!(offered, started + told + refused + given_up);
        }
    }
}
