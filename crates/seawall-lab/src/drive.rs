//! Drives the knee search with probes, within a budget of time, and repeats a phase that was not valid.
//!
//! Who sends the load is behind [`Probe`]; time comes from the probes' own reports, so that a test needs no clock.
//! An attempt is invalid when its measurements stopped counting before the knee was enclosed (most often the
//! generator's limit). The next attempt then begins at the highest rate that passed and grows more slowly.
//!
//! When every attempt was invalid, what remains is a lower bound. A probe whose generator was late or starved counts for
//! that if it met the objective all the same: its latencies include the generator's own delay and its requests came in
//! bursts, so the service did better than the numbers say.

use seawall_core::ConfigError;

use crate::report::{AtKnee, KneePhase, LoadPoint, Probe as ProbeRow, Quantile, Validity};
use crate::search::{
    Answer, Ending, Judgement, KneeSearch, Measurement, Next, ProbePoint, SearchConfig, Stage,
};

/// Sends load at one rate and says what happened.
pub trait Probe {
    /// Why a probe could not be made at all. A probe that was made and does not count is no error.
    type Error;

    /// Runs one probe, from warm-up to the service being idle again. `watch` sees each tick as it happens.
    ///
    /// # Errors
    /// When no load could be sent.
    fn probe(&mut self, rate: f64, watch: &mut dyn FnMut(&LoadPoint)) -> Result<Probed, Self::Error>;
}

/// One probe that was made. Times are seconds since the run began.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// Begin.
    pub start_s: f64,
    /// End of the warm-up: from here it counts.
    pub measured_from_s: f64,
    /// End of the measurement.
    pub end_s: f64,
    /// The numbers the objective is judged by.
    pub measured: Measurement,
    /// Median latency, milliseconds.
    pub p50_ms: Option<f64>,
    /// Requests answered between `measured_from_s` and `end_s`.
    pub requests: u64,
    /// The ticks.
    pub timeline: Vec<LoadPoint>,
    /// Latency from the intended send time.
    pub intended: Vec<Quantile>,
    /// Latency from the real send time.
    pub service: Vec<Quantile>,
    /// The generator's CPU, microseconds per request.
    pub generator_cpu_us: Option<f64>,
}

/// How long and how often. Checked by [`find_knee`].
#[derive(Debug, Clone, PartialEq)]
pub struct DriveConfig {
    /// The search itself.
    pub search: SearchConfig,
    /// Seconds for the first attempt.
    pub budget_s: f64,
    /// Repetitions of an attempt that was not valid. Default 3.
    pub repeats: u32,
    /// Seconds for each repetition.
    pub repeat_budget_s: f64,
}

impl Default for DriveConfig {
    fn default() -> Self {
        Self { search: SearchConfig::default(), budget_s: 40.0, repeats: 3, repeat_budget_s: 7.0 }
    }
}

/// What happens while the knee is sought.
#[derive(Debug)]
pub enum Event<'a> {
    /// A probe begins.
    Begin {
        /// Requests per second.
        rate: f64,
        /// Why.
        stage: Stage,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A tick of the running probe.
    Tick(&'a LoadPoint),
    /// A probe was judged.
    Judged(&'a ProbePoint),
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The phase for the report; in `at_knee`, cost and waiting are the caller's to fill in.
    pub phase: KneePhase,
    /// The window of the best probe at the lower end of the interval: from, to, requests.
    pub window: Option<(f64, f64, u64)>,
}

/// Why the knee could not be sought.
#[derive(Debug, thiserror::Error)]
pub enum DriveError<E> {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A probe could not be made.
    #[error("{0}")]
    Probe(E),
}

/// What attempts leave behind for the next one and for the answer.
struct Gathered {
    rows: Vec<ProbeRow>,
    timeline: Vec<LoadPoint>,
    /// The last passing probe at each rate that passed.
    passed: Vec<Probed>,
    /// Invalid probes that met the objective all the same.
    floors: Vec<Probed>,
}

/// Seeks the knee of what `probe` loads. `target` names it in the report.
///
/// # Errors
/// When the configuration is refused, or a probe cannot be made.
pub fn find_knee<P: Probe>(
    config: &DriveConfig,
    target: &str,
    probe: &mut P,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Found, DriveError<P::Error>> {
    let mut gathered =
        Gathered { rows: Vec::new(), timeline: Vec::new(), passed: Vec::new(), floors: Vec::new() };
    let mut search = config.search.clone();
    let mut best: Option<Answer> = None;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let budget = if attempt == 1 { config.budget_s } else { config.repeat_budget_s };
        let answer = self::attempt(&search, budget, attempt, probe, &mut gathered, watch)?;
        let reached = best.iter().chain([&answer]).filter_map(|a| a.lo).fold(None, higher);
        let valid = is_valid(&answer);
        best = Some(if valid { answer } else { better(best, answer) });
        if valid || attempt > config.repeats {
            break;
        }
        if let Some(lo) = reached {
            search.start_rps = lo.clamp(1.0, search.max_rps);
            search.growth = search.growth.min(1.2).max(search.precision);
        }
    }
    let answer = best.expect("the loop makes at least one attempt");
    Ok(found(&answer, attempt, target, gathered))
}

fn higher(known: Option<f64>, lo: f64) -> Option<f64> {
    Some(known.map_or(lo, |known: f64| known.max(lo)))
}

/// The answer that says more: the one with the higher lower bound.
fn better(old: Option<Answer>, new: Answer) -> Answer {
    match old {
        Some(old) if old.lo > new.lo => old,
        _ => new,
    }
}

/// An attempt counts unless its measurements stopped counting before the knee was enclosed.
fn is_valid(answer: &Answer) -> bool {
    match answer.ending {
        Ending::Confirmed | Ending::NeverFailed | Ending::NeverPassed => true,
        Ending::LowerBound => false,
        // Cut off: it counts if nothing was disturbed, or if both ends were measured all the same.
        Ending::OutOfBudget => {
            let disturbed = answer.probes.iter().any(|p| p.judgement == Judgement::Invalid);
            let passed =
                |lo: f64| answer.probes.iter().any(|p| p.rate == lo && p.judgement == Judgement::Pass);
            !disturbed || (answer.lo.is_some_and(passed) && answer.hi.is_some())
        }
    }
}

fn attempt<P: Probe>(
    config: &SearchConfig,
    budget_s: f64,
    number: u32,
    probe: &mut P,
    gathered: &mut Gathered,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Answer, DriveError<P::Error>> {
    let mut search = KneeSearch::new(config)?;
    let (mut began, mut longest) = (None, 0.0f64);
    while let Next::Probe { rate, stage } = search.next_probe() {
        watch(Event::Begin { rate, stage, attempt: number });
        let probed = probe.probe(rate, &mut |point| watch(Event::Tick(point))).map_err(DriveError::Probe)?;
        let Some(judged) = search.record(probed.measured.clone()) else { break };
        watch(Event::Judged(judged));
        gathered.rows.push(row(&probed, judged));
        gathered.timeline.extend(probed.timeline.iter().cloned());
        let began = *began.get_or_insert(probed.start_s);
        longest = longest.max(probed.end_s - probed.start_s);
        let end_s = probed.end_s;
        if judged.judgement == Judgement::Pass {
            gathered.passed.retain(|other| other.measured.offered_rps != probed.measured.offered_rps);
            gathered.passed.push(probed);
        } else if judged.met_anyway {
            gathered.floors.push(probed);
        }
        if end_s - began + longest > budget_s {
            break;
        }
    }
    Ok(search.answer())
}

fn row(probed: &Probed, judged: &ProbePoint) -> ProbeRow {
    ProbeRow {
        start_s: probed.start_s,
        measured_from_s: probed.measured_from_s,
        end_s: probed.end_s,
        stage: judged.stage,
        offered_rps: probed.measured.offered_rps,
        achieved_rps: probed.measured.achieved_rps,
        p50_ms: probed.p50_ms,
        p99_ms: Some(probed.measured.p99_ms.value).filter(|ms| ms.is_finite()),
        error_rate: probed.measured.error_rate,
        judgement: judged.judgement,
        reasons: judged.reasons.clone(),
    }
}

fn found(answer: &Answer, attempts: u32, target: &str, mut gathered: Gathered) -> Found {
    let valid = is_valid(answer);
    let mut lo = answer.lo;
    if !valid {
        gathered.passed.append(&mut gathered.floors);
        lo = gathered.passed.iter().map(|probed| probed.measured.offered_rps).fold(lo, higher);
    }
    let distance = |probed: &Probed| (probed.measured.offered_rps / lo.unwrap_or(f64::NAN)).ln().abs();
    let at = gathered
        .passed
        .iter()
        .position(|probed| distance(probed) < 0.01)
        .map(|i| gathered.passed.swap_remove(i));
    let invalid = answer.probes.iter().rev().find(|p| p.judgement == Judgement::Invalid);
    let reasons = if valid { Vec::new() } else { invalid.map(|p| p.reasons.clone()).unwrap_or_default() };
    let window = at.as_ref().map(|probed| (probed.measured_from_s, probed.end_s, probed.requests));
    let phase = KneePhase {
        target: target.to_owned(),
        lo_rps: lo,
        hi_rps: answer.hi.filter(|_| valid),
        ending: answer.ending,
        attempts,
        validity: Validity { valid, reasons },
        probes: gathered.rows,
        timeline: gathered.timeline,
        at_knee: at.map(|probed| AtKnee {
            rps: probed.measured.achieved_rps,
            intended: probed.intended,
            service: probed.service,
            cost: None,
            waiting: Vec::new(),
        }),
    };
    Found { phase, window }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Estimate;

    /// A service with a knee, seen through a generator with a limit; every probe takes two seconds.
    struct Fake {
        knee: f64,
        /// The generator sends no more than this, and says so.
        limit: f64,
        /// Something disturbs the generator above this rate, but it sends all the same.
        quiet: f64,
        now: f64,
    }

    impl Probe for Fake {
        type Error = String;

        fn probe(&mut self, rate: f64, watch: &mut dyn FnMut(&LoadPoint)) -> Result<Probed, String> {
            let start_s = self.now;
            self.now += 2.0;
            let p99 = if rate <= self.knee { 5.0 } else { 500.0 };
            let point = LoadPoint {
                t_s: start_s,
                length_s: 2.0,
                offered_rps: rate,
                achieved_rps: rate,
                errors_per_s: 0.0,
                p50_ms: Some(1.0),
                p99_ms: Some(p99),
                warmup: false,
            };
            watch(&point);
            let late = rate > self.limit.min(self.quiet);
            Ok(Probed {
                start_s,
                measured_from_s: start_s + 0.5,
                end_s: self.now,
                measured: Measurement {
                    offered_rps: rate,
                    achieved_rps: rate.min(self.limit),
                    p99_ms: Estimate::exact(p99),
                    error_rate: 0.0,
                    invalid: if late { vec!["generator late".into()] } else { vec![] },
                    further: vec![],
                },
                p50_ms: Some(1.0),
                requests: rate as u64,
                timeline: vec![point],
                intended: vec![Quantile { q: 0.99, ms: p99 }],
                service: vec![],
                generator_cpu_us: None,
            })
        }
    }

    fn drive(knee: f64, limit: f64, quiet: f64, budget_s: f64) -> (Found, f64) {
        let config = DriveConfig { budget_s, ..DriveConfig::default() };
        let mut fake = Fake { knee, limit, quiet, now: 10.0 };
        let found = find_knee(&config, "GET /", &mut fake, &mut |_| {}).unwrap();
        (found, fake.now - 10.0)
    }

    #[test]
    fn finds_the_knee_and_keeps_the_best_probe_of_it() {
        let (found, _) = drive(1000.0, 1e9, 1e9, 100.0);
        let (phase, window) = (&found.phase, found.window.unwrap());
        assert!(phase.lo_rps.unwrap() <= 1000.0 && phase.hi_rps.unwrap() > 1000.0);
        assert_eq!((phase.attempts, phase.validity.valid), (1, true));
        assert_eq!(window.2, phase.lo_rps.unwrap() as u64);
        assert_eq!(phase.at_knee.as_ref().unwrap().intended_ms(0.99), Some(5.0));
        assert_eq!(phase.timeline.len(), phase.probes.len());
    }

    #[test]
    fn stays_within_its_budget_of_time() {
        let (found, took) = drive(1000.0, 1e9, 1e9, 9.0);
        assert!(took <= 9.0, "{took}");
        assert_eq!(found.phase.probes.len(), 4);
        assert_eq!(found.phase.ending, Ending::OutOfBudget);
    }

    #[test]
    fn an_invalid_phase_is_repeated_three_times_and_then_a_lower_bound() {
        let (found, took) = drive(1e9, 5000.0, 1e9, 60.0);
        let phase = found.phase;
        assert_eq!((phase.attempts, phase.validity.valid, phase.hi_rps), (4, false, None));
        assert_eq!(phase.validity.reasons, ["generator late"]);
        assert!(phase.lo_rps.unwrap() >= 4500.0, "{:?}", phase.lo_rps);
        assert!(took <= 60.0 + 3.0 * 7.0, "{took}");
    }

    #[test]
    fn disturbed_probes_that_met_the_objective_are_a_lower_bound() {
        let (found, _) = drive(1000.0, 1e9, 0.0, 60.0);
        let phase = found.phase;
        assert_eq!((phase.validity.valid, phase.hi_rps), (false, None));
        assert!((200.0..=1000.0).contains(&phase.lo_rps.unwrap()), "{:?}", phase.lo_rps);
        assert!(phase.at_knee.is_some() && found.window.is_some());
    }

    #[test]
    fn a_phase_with_nothing_but_failures_and_disturbance_has_no_knee() {
        let (found, _) = drive(0.0, 1e9, 0.0, 60.0);
        assert_eq!((found.phase.lo_rps, found.phase.validity.valid, found.window), (None, false, None));
    }

    #[test]
    fn the_watcher_sees_begin_tick_and_verdict_of_each_probe() {
        let mut seen = String::new();
        let mut fake = Fake { knee: 300.0, limit: 1e9, quiet: 1e9, now: 0.0 };
        let mut watch = |event: Event<'_>| {
            seen.push(match event {
                Event::Begin { .. } => 'b',
                Event::Tick(_) => 't',
                Event::Judged(_) => 'j',
            });
        };
        let found = find_knee(&DriveConfig::default(), "GET /", &mut fake, &mut watch).unwrap();
        assert_eq!(seen, "btj".repeat(found.phase.probes.len()));
    }
}
