//! What each buyer intends, decided before the sale from a seed: when to come, how long to look, whether to pay.
//!
//! Pure: the same seed gives the same crowd. Only what the service answers, and when, differs from run to run.

use std::time::Duration;

/// How long buyers arrive: most in the first second.
pub(super) const ARRIVALS: Duration = Duration::from_secs(3);
/// Share of the buyers who come in the first second.
const EARLY: f64 = 0.8;
/// Shares of what a buyer intends with a confirmed order; all others pay.
const NEVER_PAY: f64 = 0.05;
const CANCEL_PENDING: f64 = 0.01;
const CANCEL_CONFIRMED: f64 = 0.01;
/// Share of the buyers who click twice.
const DOUBLE_CLICK: f64 = 0.1;
/// Share of the buyers who, told that all is sold, keep watching for units that come back.
const WATCH: f64 = 0.1;

/// A small random generator (SplitMix64): good enough for think times, the same everywhere.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The generator number `stream` of a seed.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next(); // neighbouring streams start alike
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly between two times.
    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.unit())
    }
}

/// What a buyer does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Pay,
    /// Lets the time to pay run out.
    NeverPay,
    /// Cancels as soon as the order is acknowledged.
    CancelPending,
    /// Cancels when the order is confirmed.
    CancelConfirmed,
}

/// One buyer's intentions.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) arrival: Duration,
    /// Pauses before each look at the product, the first included.
    pub(super) looks: Vec<Duration>,
    /// Pause before the order.
    pub(super) decide: Duration,
    pub(super) intent: Intent,
    /// The second click comes so long after the first one would, if nothing waited.
    pub(super) second_click: Option<Duration>,
    pub(super) watches: bool,
    /// For everything that depends on answers.
    pub(super) random: Random,
}

impl Plan {
    /// The plan of buyer number `buyer`.
    pub(super) fn new(seed: u64, buyer: u64) -> Self {
        let mut random = Random::new(seed, buyer);
        let second = Duration::from_secs(1);
        let arrival = if random.unit() < EARLY {
            random.between(Duration::ZERO, second)
        } else {
            random.between(second, ARRIVALS)
        };
        let think =
            |random: &mut Random| random.between(Duration::from_millis(200), Duration::from_millis(500));
        let count = 1 + (random.unit() * 3.0) as usize;
        let looks =
            (0..count).map(|look| if look == 0 { Duration::ZERO } else { think(&mut random) }).collect();
        let decide = think(&mut random);
        let intent = match random.unit() {
            x if x < NEVER_PAY => Intent::NeverPay,
            x if x < NEVER_PAY + CANCEL_PENDING => Intent::CancelPending,
            x if x < NEVER_PAY + CANCEL_PENDING + CANCEL_CONFIRMED => Intent::CancelConfirmed,
            _ => Intent::Pay,
        };
        let double = random.unit() < DOUBLE_CLICK;
        let second_click = double.then(|| random.between(Duration::ZERO, Duration::from_millis(150)));
        // Who clicked twice may own an order without knowing: such a buyer keeps looking.
        let watches = random.unit() < WATCH || double;
        Self { arrival, looks, decide, intent, second_click, watches, random }
    }

    /// When the order is sent at the earliest.
    pub(super) fn first_click(&self) -> Duration {
        self.arrival + self.looks.iter().sum::<Duration>() + self.decide
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> Vec<Plan> {
        (0..5_000).map(|buyer| Plan::new(7, buyer)).collect()
    }

    fn check_share(what: impl Fn(&Plan) -> bool, expected: f64) {
        let share = crowd().iter().filter(|plan| what(plan)).count() as f64 / 5_000.0;
        assert!((share - expected).abs() < 0.02, "{share} is not {expected}");
    }

    #[test]
    fn most_come_in_the_first_second_and_all_within_three() {
        check_share(|plan| plan.arrival < Duration::from_secs(1), 0.8);
        assert!(crowd().iter().all(|plan| plan.arrival <= ARRIVALS));
    }

    #[test]
    fn the_shares_are_as_promised() {
        check_share(|plan| plan.intent == Intent::NeverPay, 0.05);
        check_share(|plan| matches!(plan.intent, Intent::CancelPending | Intent::CancelConfirmed), 0.02);
        check_share(|plan| plan.second_click.is_some(), 0.1);
    }

    #[test]
    fn everybody_looks_one_to_three_times() {
        assert!(crowd().iter().all(|plan| (1..=3).contains(&plan.looks.len())));
        check_share(|plan| plan.looks.len() == 3, 1.0 / 3.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_crowd_and_another_one_another() {
        let arrivals = |seed| (0..50).map(|buyer| Plan::new(seed, buyer).arrival).collect::<Vec<_>>();
        assert_eq!(arrivals(7), arrivals(7));
        assert_ne!(arrivals(7), arrivals(8));
    }
}
