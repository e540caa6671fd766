//! The search against servers we know by formula: M/M/c queues and the universal scalability law, with noise.

use proptest::prelude::*;

use super::{Ending, Estimate, Judgement, KneeSearch, Measurement, Next, SearchConfig, Slo, Stage};

/// A simulated server: its true p99 in milliseconds at a rate; infinite when it cannot keep up.
type Server = dyn Fn(f64) -> f64;

/// A tiny generator of standard normal numbers, so that a test's noise is repeatable.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// p99 of the time in an M/M/c system (Erlang C), by bisection on its tail.
pub(super) fn mmc(servers: u32, service_ms: f64) -> impl Fn(f64) -> f64 {
    move |rate| {
        let (c, mu) = (f64::from(servers), 1.0 / service_ms);
        let a = rate / 1000.0 / mu;
        if a >= c {
            return f64::INFINITY;
        }
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..servers {
            term *= a / f64::from(k);
            sum += term;
        }
        let last = term * a / c * c / (c - a);
        let waits = last / (sum + last);
        let tail = |t: f64| {
            let slack = c - a - 1.0;
            let queued = if slack.abs() < 1e-9 { mu * t } else { (1.0 - (-mu * t * slack).exp()) / slack };
            (-mu * t).exp() * (1.0 + waits * queued)
        };
        let (mut low, mut high) = (0.0, 1e9);
        for _ in 0..200 {
            let mid = f64::midpoint(low, high);
            if tail(mid) > 0.01 { low = mid } else { high = mid }
        }
        high
    }
}

/// Throughput at a concurrency by the universal scalability law.
pub(super) fn usl_throughput(lambda: f64, sigma: f64, kappa: f64) -> impl Fn(f64) -> f64 {
    move |n| lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

/// p99 by the universal scalability law: the concurrency that carries the rate, then exponential response times.
fn usl(lambda: f64, sigma: f64, kappa: f64) -> impl Fn(f64) -> f64 {
    let through = usl_throughput(lambda, sigma, kappa);
    move |rate| {
        let peak = ((1.0 - sigma) / kappa).sqrt();
        if rate >= through(peak) {
            return f64::INFINITY;
        }
        let (mut low, mut high) = (0.0, peak);
        for _ in 0..200 {
            let mid = f64::midpoint(low, high);
            if through(mid) < rate { low = mid } else { high = mid }
        }
        100f64.ln() * high / rate * 1000.0
    }
}

fn measure(server: &Server, rate: f64, spread: f64, noise: &mut Noise) -> Measurement {
    let truth = server(rate);
    let value = (truth * (spread * noise.normal()).exp()).min(10_000.0);
    let margin = (1.96 * spread).exp();
    Measurement {
        offered_rps: rate,
        achieved_rps: if truth.is_finite() { rate * 0.999 } else { rate * 0.9 },
        p99_ms: Estimate { low: value / margin, value, high: value * margin },
        error_rate: 0.0,
        invalid: Vec::new(),
        further: Vec::new(),
    }
}

fn true_knee(server: &Server, limit_ms: f64) -> f64 {
    let (mut low, mut high) = (1.0, 1e7);
    for _ in 0..200 {
        let mid = f64::midpoint(low, high);
        if server(mid) <= limit_ms { low = mid } else { high = mid }
    }
    low
}

fn drive(config: &SearchConfig, mut probe: impl FnMut(f64) -> Measurement) -> super::Answer {
    let mut search = KneeSearch::new(config).unwrap();
    while let Next::Probe { rate, .. } = search.next_probe() {
        search.record(probe(rate)).unwrap();
    }
    search.answer()
}

/// Over 200 seeds the interval holds the truth in at least 97 of 100, and is as narrow as `width`.
fn check(server: &Server, spread: f64, width: f64) {
    let config = SearchConfig { max_probes: 60, ..SearchConfig::default() };
    let truth = true_knee(server, config.slo.p99_ms);
    let (mut held, mut widest) = (0, 1.0f64);
    for seed in 0..200 {
        let mut noise = Noise(seed);
        let answer = drive(&config, |rate| measure(server, rate, spread, &mut noise));
        let (lo, hi) = (answer.lo.unwrap(), answer.hi.unwrap());
        assert!(lo < hi, "{lo} {hi}");
        held += u32::from(lo <= truth && truth <= hi);
        widest = widest.max(hi / lo);
    }
    assert!(held >= 194, "the interval held {truth} only {held} times of 200");
    assert!(widest <= width, "an interval of {widest}");
}

#[test]
fn finds_the_knee_of_one_queue() {
    check(&mmc(1, 0.1), 0.0, 1.0501);
}
#[test]
fn finds_the_knee_of_eight_servers() {
    check(&mmc(8, 2.0), 0.05, 1.11);
}
#[test]
fn finds_the_knee_of_slow_servers_in_noise() {
    check(&mmc(2, 5.0), 0.10, 1.6);
}
#[test]
fn finds_the_knee_under_contention() {
    check(&usl(1000.0, 0.02, 0.0005), 0.05, 1.3);
}
#[test]
fn finds_the_knee_of_a_retrograde_server() {
    check(&usl(5000.0, 0.05, 0.002), 0.03, 1.2);
}

fn steep(knee: f64) -> impl Fn(f64) -> Measurement {
    move |rate| {
        let p99 = if rate <= knee { 5.0 } else { 500.0 };
        Measurement {
            offered_rps: rate,
            achieved_rps: rate,
            p99_ms: Estimate::exact(p99),
            error_rate: 0.0,
            invalid: Vec::new(),
            further: Vec::new(),
        }
    }
}

#[test]
fn one_lucky_pass_is_outvoted() {
    let server = steep(1000.0);
    let mut lied = false;
    let answer = drive(&SearchConfig::default(), |rate| {
        if rate > 1000.0 && !lied {
            lied = true;
            return Measurement { p99_ms: Estimate::exact(5.0), ..server(rate) };
        }
        server(rate)
    });
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() >= 1000.0, "{answer:?}");
    assert_eq!(answer.ending, Ending::Confirmed);
}

#[test]
fn one_unlucky_failure_is_outvoted() {
    let server = steep(1000.0);
    let mut lied = false;
    let answer = drive(&SearchConfig::default(), |rate| {
        if rate > 400.0 && !lied {
            lied = true;
            return Measurement { p99_ms: Estimate::exact(99.0), ..server(rate) };
        }
        server(rate)
    });
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() >= 1000.0, "{answer:?}");
    assert_eq!(answer.ending, Ending::Confirmed);
}

#[test]
fn a_stall_that_ends_the_ramp_is_asked_again_at_once() {
    let server = steep(1000.0);
    let mut probes = 0;
    let answer = drive(&SearchConfig::default(), |rate| {
        probes += 1;
        let p99_ms = if probes == 1 { Estimate::exact(300.0) } else { server(rate).p99_ms };
        Measurement { p99_ms, ..server(rate) }
    });
    assert_eq!((answer.probes[1].rate, answer.probes[1].stage), (200.0, Stage::Repeat));
    assert!(answer.probes.len() <= 16, "{} probes", answer.probes.len());
    assert_eq!(answer.ending, Ending::Confirmed);
}

#[test]
fn a_start_beyond_the_knee_walks_down() {
    let config = SearchConfig { start_rps: 50_000.0, ..SearchConfig::default() };
    let answer = drive(&config, steep(1000.0));
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() > 1000.0);
    assert_eq!(answer.ending, Ending::Confirmed);
}

#[test]
fn an_invalid_probe_is_repeated_and_not_judged() {
    let server = steep(1000.0);
    let mut calls = 0;
    let answer = drive(&SearchConfig::default(), |rate| {
        calls += 1;
        let invalid = if calls % 3 == 1 { vec!["generator late".to_owned()] } else { Vec::new() };
        Measurement { invalid, ..server(rate) }
    });
    assert_eq!(answer.ending, Ending::Confirmed);
    for pair in answer.probes.windows(2) {
        if pair[0].judgement == Judgement::Invalid {
            assert_eq!(pair[1].rate, pair[0].rate);
        }
    }
}

#[test]
fn a_disturbed_probe_that_met_the_objective_is_a_pass_where_that_is_accepted() {
    let server = steep(1000.0);
    let config = SearchConfig { accept_disturbed: true, ..SearchConfig::default() };
    let answer = drive(&config, |rate| {
        let invalid = if rate <= 1000.0 { vec!["other work".to_owned()] } else { Vec::new() };
        Measurement { invalid, ..server(rate) }
    });
    assert_eq!(answer.ending, Ending::Confirmed);
    assert!(answer.probes.iter().all(|probe| probe.judgement != Judgement::Invalid), "{answer:?}");
    let passed = answer.probes.iter().find(|probe| probe.judgement == Judgement::Pass).unwrap();
    assert_eq!(passed.reasons, ["other work"], "it is told all the same");
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() > 1000.0);
}

/// A disturbed probe that broke the objective stays invalid: nobody knows whose doing it was.
#[test]
fn a_disturbed_failure_is_never_accepted() {
    let server = steep(1000.0);
    let config = SearchConfig { accept_disturbed: true, ..SearchConfig::default() };
    let answer =
        drive(&config, |rate| Measurement { invalid: vec!["other work".to_owned()], ..server(rate) });
    assert_eq!((answer.ending, answer.hi), (Ending::LowerBound, None));
    assert!((900.0..=1000.0).contains(&answer.lo.unwrap()), "{:?}", answer.lo);
}

#[test]
fn above_the_generators_limit_there_is_only_a_lower_bound() {
    let server = steep(1e9);
    let answer = drive(&SearchConfig::default(), |rate| {
        let invalid = if rate > 5000.0 { vec!["generator at its limit".to_owned()] } else { Vec::new() };
        Measurement { invalid, achieved_rps: rate.min(5000.0), ..server(rate) }
    });
    assert_eq!((answer.ending, answer.hi), (Ending::LowerBound, None));
    let lo = answer.lo.unwrap();
    assert!((4500.0..=5000.0).contains(&lo), "the bound is as close as asked: {lo}");
}

#[test]
fn a_rate_that_cannot_be_measured_does_not_hide_a_failure_above_it() {
    let server = steep(1000.0);
    let answer = drive(&SearchConfig::default(), |rate| {
        let invalid =
            if (1000.0..1012.0).contains(&rate) { vec!["at its limit".to_owned()] } else { Vec::new() };
        Measurement { invalid, ..server(rate) }
    });
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() >= 1012.0, "{answer:?}");
}

#[test]
fn a_disturbed_generator_does_not_hide_a_knee_above() {
    let server = steep(1000.0);
    let answer = drive(&SearchConfig::default(), |rate| {
        let invalid = if (300.0..600.0).contains(&rate) { vec!["other work".to_owned()] } else { Vec::new() };
        Measurement { invalid, ..server(rate) }
    });
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() > 1000.0, "{answer:?}");
    assert_eq!(answer.ending, Ending::Confirmed);
    assert!(answer.probes.iter().all(|p| p.met_anyway == (p.judgement == Judgement::Invalid)));
}

#[test]
fn a_server_that_never_fails_gives_a_lower_bound() {
    let config = SearchConfig { max_rps: 20_000.0, ..SearchConfig::default() };
    let answer = drive(&config, steep(1e9));
    assert_eq!((answer.lo, answer.hi, answer.ending), (Some(20_000.0), None, Ending::NeverFailed));
}

#[test]
fn a_server_that_never_passes_has_no_knee() {
    let answer = drive(&SearchConfig::default(), steep(0.5));
    assert_eq!((answer.lo, answer.hi, answer.ending), (None, Some(1.0), Ending::NeverPassed));
}

#[test]
fn a_short_budget_still_confirms_what_it_has() {
    let config = SearchConfig { max_probes: 8, ..SearchConfig::default() };
    let answer = drive(&config, steep(1000.0));
    assert_eq!(answer.probes.len(), 8);
    assert_eq!(answer.ending, Ending::OutOfBudget);
    assert!(answer.lo.unwrap() <= 1000.0 && answer.hi.unwrap() > 1000.0);
    assert_eq!(answer.probes.last().map(|p| p.stage), Some(Stage::Confirm));
}

#[test]
fn an_answer_may_be_asked_before_the_first_probe() {
    let answer = KneeSearch::new(&SearchConfig::default()).unwrap().answer();
    assert_eq!((answer.lo, answer.hi, answer.ending), (None, None, Ending::OutOfBudget));
}

fn refuses(config: SearchConfig, field: &str) {
    assert_eq!(KneeSearch::new(&config).unwrap_err().field(), field);
}

#[test]
fn refuses_a_start_above_the_maximum() {
    refuses(SearchConfig { start_rps: 2e7, ..SearchConfig::default() }, "search.start_rps");
}
#[test]
fn refuses_a_ramp_that_does_not_grow() {
    refuses(SearchConfig { growth: 1.0, ..SearchConfig::default() }, "search.growth");
}
#[test]
fn refuses_a_precision_wider_than_the_ramp() {
    refuses(SearchConfig { precision: 1.6, ..SearchConfig::default() }, "search.precision");
}
#[test]
fn refuses_an_empty_budget() {
    refuses(SearchConfig { max_probes: 0, ..SearchConfig::default() }, "search.max_probes");
}
#[test]
fn refuses_a_senseless_objective() {
    refuses(
        SearchConfig { slo: Slo { p99_ms: 0.0, ..Slo::default() }, ..SearchConfig::default() },
        "slo.p99_ms",
    );
}

proptest! {
    /// Whatever is measured, the search ends within its budget, stays within its rates, and never turns lo and hi round.
    #[test]
    fn any_measurements_end_within_the_budget(seed: u64, start in 1.0..5000.0f64, budget in 1u32..60) {
        let config = SearchConfig { start_rps: start, max_rps: 50_000.0, max_probes: budget, ..SearchConfig::default() };
        let mut noise = Noise(seed);
        let answer = drive(&config, |rate| {
            let p99 = 100.0 * noise.uniform();
            let invalid = if noise.uniform() < 0.2 { vec!["noise".to_owned()] } else { Vec::new() };
            Measurement {
                offered_rps: rate,
                achieved_rps: rate,
                p99_ms: Estimate { low: p99 * 0.9, value: p99, high: p99 * 1.1 },
                error_rate: 0.0,
                further: Vec::new(),
                invalid,
            }
        });
        prop_assert!(answer.probes.len() <= budget as usize);
        prop_assert!(answer.probes.iter().all(|p| (1.0..=50_000.0).contains(&p.rate)));
        if let (Some(lo), Some(hi)) = (answer.lo, answer.hi) {
            prop_assert!(lo < hi);
        }
    }
}
