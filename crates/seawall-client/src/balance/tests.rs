//! Choosing and ejecting, against naive copies that keep a log of everything and work it all out anew.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[expect(clippy::disallowed_methods, reason = "any instant will do as time zero")]
fn zero() -> Instant {
    Instant::now()
}

fn config() -> BalanceConfig {
    BalanceConfig { explore_after: Duration::from_secs(86_400), ..BalanceConfig::default() }
}

fn balancer(members: u64, ejection: Option<EjectionConfig>, now: Instant) -> Balancer {
    let mut balancer = Balancer::new(config(), ejection, now);
    balancer.set(&(1..=members).collect::<Vec<_>>(), now);
    balancer
}

/// One thing that happens to a member.
#[derive(Debug, Clone, Copy)]
struct Event {
    after: Duration,
    member: u64,
    ended: Ended,
    took: Duration,
}

fn events(members: u64) -> impl Strategy<Value = Vec<Event>> {
    let ended = prop_oneof![3 => Just(Ended::Good), 2 => Just(Ended::Bad), 1 => Just(Ended::Cancelled)];
    let event = (0u64..3_000, 1..=members, ended, 1u64..500).prop_map(|(after, member, ended, took)| Event {
        after: MS * after as u32,
        member,
        ended,
        took: MS * took as u32,
    });
    proptest::collection::vec(event, 0..120)
}

/// Latency and penalty of a member, from the log of all that happened to it: the formulas of `load`, step by step.
fn naive(log: &[(Instant, Event)], start: Instant, now: Instant) -> (Option<f64>, f64) {
    let kept = |from: Instant, to: Instant| (-(to - from).as_secs_f64() / config().decay.as_secs_f64()).exp();
    let (mut latency, mut penalty, mut changed) = (None::<f64>, 0.0_f64, start);
    for (at, event) in log {
        let (took, left) = (event.took.as_nanos() as f64, kept(changed, *at));
        match (event.ended, latency) {
            (Ended::Good, Some(known)) if took <= known => latency = Some(known * left + took * (1.0 - left)),
            (Ended::Good, _) => latency = Some(took),
            (Ended::Bad, known) => latency = known.map(|known| known * left),
            (Ended::Cancelled, Some(known)) if took > known => latency = Some(took),
            (Ended::Cancelled, _) => continue,
        }
        penalty = match event.ended {
            Ended::Good => penalty * left / 2.0,
            Ended::Bad => (penalty * left).max(config().failure_penalty.as_nanos() as f64),
            Ended::Cancelled => penalty * left,
        };
        changed = *at;
    }
    let left = kept(changed, now);
    (latency.map(|latency| latency * left), penalty * left)
}

proptest! {
    /// Of two, the one that a walk through the whole log finds cheaper is taken; of equal ones, either.
    #[test]
    fn the_cheaper_of_two_is_taken(events in events(2), random: u64, pending in [0u32..4, 0u32..4]) {
        let start = zero();
        let mut balancer = balancer(2, None, start);
        let (mut now, mut logs) = (start, [Vec::new(), Vec::new()]);
        for event in events {
            now += event.after;
            balancer.start(event.member, now);
            balancer.finish(event.member, event.ended, event.took, now);
            logs[event.member as usize - 1].push((now, event));
        }
        for (at, pending) in pending.iter().enumerate() {
            (0..*pending).for_each(|_| balancer.start(at as u64 + 1, now));
        }
        now += MS;
        let naive = |at: usize| naive(&logs[at], start, now);
        let cost = |at: usize| {
            let latency = naive(at).0.or(naive(1 - at).0).unwrap_or(1.0);
            (latency + naive(at).1) * (f64::from(pending[at]) + 1.0)
        };
        let (first, second) = (cost(0), cost(1));
        let picked = balancer.pick(|_| true, now, random).unwrap();
        if (first - second).abs() > 1e-6 * first.max(second) {
            prop_assert_eq!(picked, if first < second { 1 } else { 2 }, "{} {}", first, second);
        }
    }

    /// Whatever happened, only those that are wanted are picked, and somebody is if anybody is wanted.
    #[test]
    fn nobody_is_picked_who_is_not_wanted(events in events(6), wanted in 0u64..64, random: u64) {
        let start = zero();
        let mut balancer = balancer(6, Some(EjectionConfig::default()), start);
        let mut now = start;
        for event in events {
            now += event.after;
            balancer.start(event.member, now);
            balancer.finish(event.member, event.ended, event.took, now);
        }
        let is_wanted = |id: MemberId| wanted & (1 << (id - 1)) != 0;
        match balancer.pick(is_wanted, now, random) {
            Some(id) => prop_assert!(is_wanted(id)),
            None => prop_assert_eq!(wanted, 0),
        }
    }

    /// The rules of the header, with a list of everything that happened.
    #[test]
    fn ejects_as_a_log_would(events in events(7), in_a_row in 1u32..4, percent in prop_oneof![0u32..=100, Just(100)]) {
        let config = EjectionConfig {
            consecutive_failures: in_a_row,
            max_percent: percent,
            base_time: MS * 8_000,
            max_time: MS * 20_000,
            deviations_thousandths: 0,
            ..EjectionConfig::default()
        };
        let start = zero();
        let mut balancer = balancer(7, Some(config), start);
        let mut naive = Naive::new(config, 7, start);
        let mut now = start;
        for event in events {
            now += event.after;
            balancer.start(event.member, now);
            balancer.finish(event.member, event.ended, event.took, now);
            naive.happened(event, now);
            for member in 1..=7 {
                prop_assert_eq!(balancer.is_ejected(member, now), naive.is_out(member, now), "{}", member);
            }
            let most = (7 * percent as usize / 100).clamp(1, 6);
            prop_assert!(balancer.ejected(now) <= most);
        }
    }

    #[test]
    fn two_that_are_drawn_differ(count in 2usize..100, random: u64) {
        let (first, second) = two_of(count, random);
        prop_assert!(first < count && second < count && first != second);
    }
}

/// Ejection by failures in a row, from the whole history.
struct Naive {
    config: EjectionConfig,
    /// Per member: answers since its last ejection, newest last.
    answers: Vec<Vec<bool>>,
    /// Per member: from when until when it was out.
    out: Vec<Vec<(Instant, Instant)>>,
    times: Vec<u32>,
    compared: Instant,
}

impl Naive {
    fn new(config: EjectionConfig, members: usize, start: Instant) -> Self {
        let (answers, out) = (vec![Vec::new(); members], vec![Vec::new(); members]);
        Self { config, answers, out, times: vec![0; members], compared: start }
    }

    fn is_out(&self, member: u64, now: Instant) -> bool {
        self.out[member as usize - 1].iter().any(|(from, until)| *from <= now && now < *until)
    }

    fn happened(&mut self, event: Event, now: Instant) {
        if now - self.compared >= self.config.interval {
            for at in 0..self.out.len() {
                let since = self.compared;
                let troubled = self.out[at].iter().any(|(from, until)| *until > since && *from <= now);
                if !troubled {
                    self.times[at] = self.times[at].saturating_sub(1);
                }
            }
            self.compared = now;
        }
        let at = event.member as usize - 1;
        if event.ended == Ended::Cancelled {
            return;
        }
        self.answers[at].push(event.ended == Ended::Good);
        let bad = self.answers[at].iter().rev().take_while(|good| !**good).count();
        let away = (1..=self.out.len() as u64).filter(|member| self.is_out(*member, now)).count();
        let most = (self.out.len() * self.config.max_percent as usize / 100).max(1).min(self.out.len() - 1);
        if event.ended == Ended::Bad
            && bad >= self.config.consecutive_failures as usize
            && !self.is_out(event.member, now)
            && away < most
        {
            self.times[at] += 1;
            let time = (self.config.base_time * self.times[at]).min(self.config.max_time);
            self.out[at].push((now, now + time));
            self.answers[at].clear();
        }
    }
}

#[test]
fn one_that_is_new_gets_its_share_at_once_and_no_stampede() {
    let now = zero();
    let mut balancer = balancer(2, None, now);
    for _ in 0..10 {
        balancer.start(1, now);
        balancer.finish(1, Ended::Good, MS, now);
    }
    balancer.set(&[1, 2], now);
    // All calls at once: as many go to either.
    let mut counts = [0, 0];
    for n in 0..100u64 {
        let id = balancer.pick(|_| true, now, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
        balancer.start(id, now);
        counts[id as usize - 1] += 1;
    }
    assert_eq!(counts, [50, 50]);
}

#[test]
fn one_that_was_not_chosen_for_long_is_tried() {
    let start = zero();
    let mut balancer = Balancer::new(BalanceConfig::default(), None, start);
    balancer.set(&[1, 2], start);
    balancer.start(1, start);
    balancer.finish(1, Ended::Bad, MS, start);
    balancer.start(2, start);
    balancer.finish(2, Ended::Good, MS, start);
    for random in [0, u64::MAX / 3, u64::MAX] {
        assert_eq!(balancer.pick(|_| true, start + MS * 9_000, random), Some(2));
    }
    balancer.start(2, start + MS * 9_000);
    assert_eq!(balancer.pick(|_| true, start + MS * 10_000, 0), Some(1));
}

#[test]
fn what_is_known_of_those_that_stay_is_kept() {
    let now = zero();
    let config = EjectionConfig { consecutive_failures: 1, ..EjectionConfig::default() };
    let mut balancer = balancer(3, Some(config), now);
    balancer.start(2, now);
    let ejections = balancer.finish(2, Ended::Bad, MS, now);
    assert_eq!(ejections, [Ejection { member: 2, cause: EjectionCause::Consecutive }]);
    balancer.set(&[2, 3, 4], now);
    assert!(balancer.is_ejected(2, now));
    balancer.set(&[3, 4], now);
    balancer.set(&[2, 3, 4], now);
    assert!(!balancer.is_ejected(2, now), "who left is forgotten");
    // A call that ends after its member has left troubles nobody.
    assert!(balancer.finish(1, Ended::Bad, MS, now).is_empty());
}

#[test]
fn a_share_of_successes_far_below_the_others_is_an_outlier() {
    let start = zero();
    let mut balancer =
        balancer(6, Some(EjectionConfig { consecutive_failures: 0, ..EjectionConfig::default() }), start);
    for n in 0..100 {
        for member in 1..=6 {
            // Every second answer of the last one fails: never many in a row.
            let bad = member == 6 && n % 2 == 0;
            balancer.start(member, start);
            balancer.finish(member, if bad { Ended::Bad } else { Ended::Good }, MS, start);
        }
    }
    balancer.start(1, start + MS * 10_000);
    let ejections = balancer.finish(1, Ended::Good, MS, start + MS * 10_000);
    assert_eq!(ejections, [Ejection { member: 6, cause: EjectionCause::SuccessRate }]);
    assert!(balancer.is_ejected(6, start + MS * 39_999));
    assert!(!balancer.is_ejected(6, start + MS * 40_000));
}

#[test]
fn it_stays_away_longer_each_time_until_it_is_forgiven() {
    let start = zero();
    let config = EjectionConfig { consecutive_failures: 1, ..EjectionConfig::default() };
    let mut balancer = balancer(3, Some(config), start);
    let mut now = start;
    let fail = |balancer: &mut Balancer, now: Instant| {
        balancer.start(1, now);
        balancer.finish(1, Ended::Bad, MS, now);
        let mut seconds = 0;
        while balancer.is_ejected(1, now + MS * 1_000 * seconds) {
            seconds += 1;
        }
        seconds
    };
    for seconds in [30, 60, 90] {
        assert_eq!(fail(&mut balancer, now), seconds);
        now += MS * 1_000 * seconds;
    }
    // Quiet intervals: the first still saw it away.
    for _ in 0..4 {
        balancer.start(2, now);
        balancer.finish(2, Ended::Good, MS, now);
        now += MS * 10_000;
    }
    assert_eq!(fail(&mut balancer, now), 30);
}

#[test]
fn one_always_stays_and_one_always_may_go() {
    let now = zero();
    let ejected = |members: u64, percent: u32| {
        let config =
            EjectionConfig { consecutive_failures: 1, max_percent: percent, ..EjectionConfig::default() };
        let mut balancer = balancer(members, Some(config), now);
        for member in 1..=members {
            balancer.start(member, now);
            balancer.finish(member, Ended::Bad, MS, now);
        }
        balancer.ejected(now)
    };
    assert_eq!(
        [ejected(1, 100), ejected(3, 100), ejected(3, 0), ejected(20, 10), ejected(20, 50)],
        [0, 2, 1, 2, 10]
    );
}
