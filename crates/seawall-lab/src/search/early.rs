//! Ends a probe that cannot pass any more, so that a search does not spend its time, and the service's patience, above the knee.
//!
//! Two signs count. More is failing than the objective allows over the whole probe: no rest of it can make that good. Or
//! what waits for its answer grew in each of some seconds in a row, by more than the objective lets go unanswered and by
//! more than chance explains: the queue has no end. Pure; time is in the rows.
//!
//! Left out: latency. A quantile that is over its limit may come back, and what it is at the end is the result.

use seawall_core::ConfigError;

/// Growth below so many standard deviations of a Poisson count is chance.
const DEVIATIONS: f64 = 3.0;
/// Failures below this number end no probe: a share of very few requests says little.
const MIN_FAILED: f64 = 10.0;

/// When to end a probe. Checked by [`EarlyStop::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopConfig {
    /// What waits must grow for so long, seconds, 0.5 to 3600. Default 3.
    pub growing_s: f64,
    /// Growth by less than the rest of this share of what is due is none, more than 0 and at most 1. Default 0.99.
    pub min_achieved: f64,
    /// At most this share may fail, 0 to less than 1. Default 0.001.
    pub max_error_rate: f64,
    /// Measured length of the probe when it is not ended, seconds, more than 0. Default 10.
    pub planned_s: f64,
    /// Requests have due times. In a closed loop what waits cannot grow, and only failures count. Default true.
    pub open_loop: bool,
}

impl Default for EarlyStopConfig {
    fn default() -> Self {
        Self { growing_s: 3.0, min_achieved: 0.99, max_error_rate: 0.001, planned_s: 10.0, open_loop: true }
    }
}

/// A second of a probe, or a part of one, without its warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeRow {
    /// Length.
    pub seconds: f64,
    /// Requests that became due in it; in a closed loop, that were sent.
    pub offered: f64,
    /// Answers.
    pub answered: f64,
    /// Failures of any kind.
    pub failed: f64,
}

/// The state between two rows.
#[derive(Debug, Clone)]
pub struct EarlyStop {
    config: EarlyStopConfig,
    elapsed_s: f64,
    offered: f64,
    failed: f64,
    /// The rows in a row in which what waits grew: seconds, requests due, growth.
    growing: (f64, f64, f64),
}

impl EarlyStop {
    /// Checks the configuration.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn new(config: EarlyStopConfig) -> Result<Self, ConfigError> {
        let EarlyStopConfig { growing_s, min_achieved, max_error_rate, planned_s, open_loop: _ } = config;
        if !(0.5..=3600.0).contains(&growing_s) {
            return Err(ConfigError::new("early_stop.growing_s", growing_s, "0.5 to 3600"));
        }
        if !(min_achieved > 0.0 && min_achieved <= 1.0) {
            return Err(ConfigError::new(
                "early_stop.min_achieved",
                min_achieved,
                "more than 0 and at most 1",
            ));
        }
        if !(0.0..1.0).contains(&max_error_rate) {
            return Err(ConfigError::new("early_stop.max_error_rate", max_error_rate, "0 to less than 1"));
        }
        if !(planned_s > 0.0 && planned_s.is_finite()) {
            return Err(ConfigError::new("early_stop.planned_s", planned_s, "more than 0, and finite"));
        }
        Ok(Self { config, elapsed_s: 0.0, offered: 0.0, failed: 0.0, growing: (0.0, 0.0, 0.0) })
    }

    /// Takes the next row, in order; says why the probe should end, if it should.
    pub fn see(&mut self, row: &ProbeRow) -> Option<String> {
        self.elapsed_s += row.seconds;
        self.offered += row.offered;
        self.failed += row.failed;
        self.failures().or_else(|| self.growth(row))
    }

    /// More has failed than may fail of all that will have been asked.
    fn failures(&self) -> Option<String> {
        let whole = self.offered * (self.config.planned_s / self.elapsed_s.max(f64::MIN_POSITIVE)).max(1.0);
        let allowed = self.config.max_error_rate * whole;
        (self.failed > allowed && self.failed >= MIN_FAILED).then(|| {
            format!(
                "ended after {:.0} s: {:.0} requests failed, and of the whole probe {allowed:.0} may",
                self.elapsed_s, self.failed
            )
        })
    }

    fn growth(&mut self, row: &ProbeRow) -> Option<String> {
        // An answer that failed may be counted twice here: growth is rather taken for too small.
        let growth = row.offered - row.answered - row.failed;
        if !self.config.open_loop || growth <= row.offered * (1.0 - self.config.min_achieved) {
            self.growing = (0.0, 0.0, 0.0);
            return None;
        }
        let (seconds, offered, grown) = &mut self.growing;
        *seconds += row.seconds;
        *offered += row.offered;
        *grown += growth;
        let long_enough = *seconds >= self.config.growing_s * 0.999;
        (long_enough && *grown > DEVIATIONS * offered.sqrt()).then(|| {
            format!(
                "ended after {:.0} s: what waits for its answer grew by {:.0} requests per second for {seconds:.0} s",
                self.elapsed_s,
                *grown / *seconds
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::Noise;
    use super::*;

    /// A queue as a chain of births and deaths: Poisson arrivals, and `service(n)` answers per second with `n` inside.
    /// Gives the second in which the probe is ended.
    fn run(rate: f64, service: impl Fn(u64) -> f64, seconds: u32, seed: u64) -> Option<u32> {
        let planned_s = f64::from(seconds);
        let mut stop = EarlyStop::new(EarlyStopConfig { planned_s, ..EarlyStopConfig::default() }).unwrap();
        let mut noise = Noise(seed);
        let (mut inside, mut now) = (0u64, 0.0);
        for second in 1..=seconds {
            let (mut offered, mut answered) = (0.0, 0.0);
            while now < f64::from(second) {
                let leaving = service(inside);
                now += -noise.uniform().max(1e-300).ln() / (rate + leaving);
                if noise.uniform() * (rate + leaving) < rate {
                    (inside, offered) = (inside + 1, offered + 1.0);
                } else {
                    (inside, answered) = (inside - 1, answered + 1.0);
                }
            }
            if stop.see(&ProbeRow { seconds: 1.0, offered, answered, failed: 0.0 }).is_some() {
                return Some(second);
            }
        }
        None
    }

    fn mmc(servers: u32, each: f64) -> impl Fn(u64) -> f64 {
        move |inside| each * inside.min(u64::from(servers)) as f64
    }

    /// The universal scalability law; beyond its peak it does not get worse, as behind a limit of concurrency.
    fn usl(lambda: f64, sigma: f64, kappa: f64) -> impl Fn(u64) -> f64 {
        let peak = ((1.0 - sigma) / kappa).sqrt();
        move |inside| {
            let n = (inside as f64).min(peak);
            if n == 0.0 { 0.0 } else { lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0)) }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Up to nine tenths of what c servers can do, a probe runs to its end.
        #[test]
        fn a_stable_queue_is_left_alone(seed: u64, servers in 1u32..16, load in 0.05..0.9f64) {
            let each = 1500.0 / f64::from(servers);
            prop_assert_eq!(run(1500.0 * load, mmc(servers, each), 10, seed), None);
        }

        /// A fifth above it, the probe ends within a second of the three that it takes.
        #[test]
        fn a_queue_without_end_is_ended_after_three_seconds(seed: u64, servers in 1u32..16, load in 1.2..3.0f64) {
            let each = 1500.0 / f64::from(servers);
            let ended = run(1500.0 * load, mmc(servers, each), 10, seed);
            prop_assert!(matches!(ended, Some(3..=4)), "{:?}", ended);
        }

        /// The same of a server that obeys the universal scalability law, below and above its peak.
        #[test]
        fn a_contended_server_is_ended_above_its_peak_only(seed: u64, load in 0.1..0.85f64) {
            let server = usl(200.0, 0.03, 0.001);
            let peak = server(u64::MAX);
            prop_assert_eq!(run(peak * load, &server, 10, seed), None);
            let ended = run(peak * (1.2 + load), &server, 10, seed);
            prop_assert!(matches!(ended, Some(3..=4)), "{:?}", ended);
        }
    }

    #[test]
    fn a_slow_overload_of_few_requests_takes_longer_to_be_sure() {
        let ended: Vec<_> = (0..50).filter_map(|seed| run(26.0, mmc(1, 20.0), 60, seed)).collect();
        assert!(ended.len() >= 45, "{} of 50", ended.len());
        assert!(ended.iter().any(|second| *second > 4), "{ended:?}");
    }

    fn row(offered: f64, answered: f64, failed: f64) -> ProbeRow {
        ProbeRow { seconds: 1.0, offered, answered, failed }
    }

    #[test]
    fn failures_end_a_probe_once_no_rest_can_make_them_good() {
        let config = EarlyStopConfig { max_error_rate: 0.01, ..EarlyStopConfig::default() };
        let mut stop = EarlyStop::new(config).unwrap();
        assert_eq!(stop.see(&row(1000.0, 1000.0, 60.0)), None, "100 of 10,000 may fail");
        let why = stop.see(&row(1000.0, 1000.0, 60.0)).unwrap();
        assert!(
            why.starts_with("ended after 2 s: 120 requests failed, and of the whole probe 100 may"),
            "{why}"
        );
    }
    #[test]
    fn a_pause_of_the_growth_begins_it_anew() {
        let mut stop = EarlyStop::new(EarlyStopConfig::default()).unwrap();
        let grows = row(1000.0, 800.0, 0.0);
        assert!(
            [grows, grows, row(1000.0, 1000.0, 0.0), grows, grows].iter().all(|row| stop.see(row).is_none())
        );
        assert!(stop.see(&grows).unwrap().contains("grew by 200 requests per second for 3 s"));
    }
    #[test]
    fn in_a_closed_loop_only_failures_count() {
        let config = EarlyStopConfig { open_loop: false, ..EarlyStopConfig::default() };
        let mut stop = EarlyStop::new(config).unwrap();
        assert!((0..9).all(|_| stop.see(&row(1000.0, 10.0, 0.0)).is_none()));
        assert!(stop.see(&row(1000.0, 10.0, 500.0)).is_some());
    }
    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let refused = |config: EarlyStopConfig| EarlyStop::new(config).unwrap_err().field().to_owned();
        let ok = EarlyStopConfig::default;
        assert_eq!(refused(EarlyStopConfig { growing_s: 0.1, ..ok() }), "early_stop.growing_s");
        assert_eq!(refused(EarlyStopConfig { min_achieved: 0.0, ..ok() }), "early_stop.min_achieved");
        assert_eq!(refused(EarlyStopConfig { max_error_rate: 1.0, ..ok() }), "early_stop.max_error_rate");
        assert_eq!(refused(EarlyStopConfig { planned_s: f64::NAN, ..ok() }), "early_stop.planned_s");
    }
}
