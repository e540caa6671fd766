//! The knee search: a geometric ramp until the objective breaks, bisection on log(rate), then confirmation.
//!
//! The whole state is the list of probes made so far; every decision is derived from it. Each rate collects votes
//! (a pass, a failure, a marginal probe), so a lucky or an unlucky probe is outvoted by its repetition instead of
//! steering the search for ever. Everything is bounded by `max_probes`; out of budget, the interval is just wider.

use seawall_core::ConfigError;
use serde::{Deserialize, Serialize};

use super::{Judgement, Measurement, Slo};

/// How to search. Checked by [`KneeSearch::new`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// The first rate, requests per second. Default 200.
    pub start_rps: f64,
    /// No rate above this is tried. Default 10 million.
    pub max_rps: f64,
    /// The ramp multiplies the rate by this. Default 1.5.
    pub growth: f64,
    /// Bisection ends when high / low is at most this. Default 1.05.
    pub precision: f64,
    /// Repetitions of both ends of the interval that must agree with the first verdict. Default 1.
    pub confirmations: u32,
    /// Probes in all, repetitions included. Default 30.
    pub max_probes: u32,
    /// How often a rate whose probe was invalid is tried again. Default 2.
    pub invalid_repeats: u32,
    /// A probe whose generator was disturbed and that met the objective all the same is a pass. What disturbs a generator
    /// makes its numbers worse, never better, so this is safe; without it such a probe is repeated. Default false.
    pub accept_disturbed: bool,
    /// The objective. See [`Slo`].
    pub slo: Slo,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            start_rps: 200.0,
            max_rps: 10_000_000.0,
            growth: 1.5,
            precision: 1.05,
            confirmations: 1,
            max_probes: 30,
            invalid_repeats: 2,
            accept_disturbed: false,
            slo: Slo::default(),
        }
    }
}

/// Why a rate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Growing (or, when the start was too high, shrinking) until the knee is enclosed.
    Ramp,
    /// Halving the enclosure.
    Bisect,
    /// Repeating an end of the interval.
    Confirm,
    /// Repeating a probe that was invalid or whose votes are tied.
    Repeat,
}

/// What the driver does next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Measure at this rate and hand the result to [`KneeSearch::record`].
    Probe {
        /// Requests per second.
        rate: f64,
        /// Why.
        stage: Stage,
    },
    /// The search is over: read [`KneeSearch::answer`].
    Done,
}

/// One probe that was made, with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbePoint {
    /// Requests per second asked for.
    pub rate: f64,
    /// Why this rate.
    pub stage: Stage,
    /// What was measured.
    pub measured: Measurement,
    /// What it means.
    pub judgement: Judgement,
    /// What broke, in words; of a pass, what disturbed it, if anything did.
    pub reasons: Vec<String>,
    /// An invalid probe that met the objective all the same. What disturbs a generator makes its numbers worse, never
    /// better: this is no pass, but it shows that the knee is not below.
    pub met_anyway: bool,
}

/// How the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Both ends are confirmed and as close as asked.
    Confirmed,
    /// The budget ran out: the interval holds what was seen, wider or less often repeated than asked.
    OutOfBudget,
    /// Above `lo` the measurements were invalid (most often the generator's own limit): only a lower bound.
    LowerBound,
    /// The highest rate allowed still passes: only a lower bound.
    NeverFailed,
    /// No rate passed down to one request per second: there is no knee under this objective.
    NeverPassed,
}

/// The knee as an interval, and all the points it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The highest rate below `hi` that passed, or met the objective in a disturbed probe; none if none did.
    pub lo: Option<f64>,
    /// The lowest rate that failed; none if the answer is only a lower bound.
    pub hi: Option<f64>,
    /// How far to trust it.
    pub ending: Ending,
    /// Every probe in the order made.
    pub probes: Vec<ProbePoint>,
}

/// Rates within this factor are one rate.
const SAME: f64 = 1.000_001;
/// Below this rate the ramp does not go.
const MIN_RPS: f64 = 1.0;
/// Votes after which a tied rate is left undecided.
const MAX_VOTES: u32 = 5;

/// The verdict over all the probes of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    /// Neither, and repeating it would not help.
    Marginal,
    /// Votes are tied, or the last probe was invalid: ask again.
    Again,
    /// Invalid every time, and most times the objective was met all the same.
    Disturbed,
    /// Invalid every time.
    Unmeasurable,
}

/// The votes of one rate.
#[derive(Debug, Clone, Copy)]
struct Tally {
    rate: f64,
    passes: u32,
    fails: u32,
    marginals: u32,
    invalids: u32,
    met_anyway: u32,
}

impl Tally {
    fn verdict(&self, invalid_repeats: u32) -> Verdict {
        let votes = self.passes + self.fails + self.marginals;
        if votes == 0 {
            return match self.invalids > invalid_repeats {
                false => Verdict::Again,
                true if self.met_anyway * 2 > self.invalids => Verdict::Disturbed,
                true => Verdict::Unmeasurable,
            };
        }
        match self.passes.cmp(&self.fails) {
            std::cmp::Ordering::Greater => Verdict::Pass,
            std::cmp::Ordering::Less => Verdict::Fail,
            std::cmp::Ordering::Equal if self.passes > 0 && votes < MAX_VOTES => Verdict::Again,
            std::cmp::Ordering::Equal => Verdict::Marginal,
        }
    }

    /// How many more agreeing votes this end of the interval needs.
    fn missing(&self, confirmations: u32) -> u32 {
        (1 + confirmations).saturating_sub(self.passes.abs_diff(self.fails))
    }
}

/// What is known so far: the rates around the knee.
#[derive(Debug, Default)]
struct Enclosure {
    lo: Option<Tally>,
    hi: Option<Tally>,
    hi_is_measured: bool,
    /// The lowest rate above `lo` that failed: `hi`, or beyond it when that could not be measured.
    failed: Option<Tally>,
    /// Lowest and highest marginal rate between the two.
    marginal: Option<(f64, f64)>,
    /// Highest rate with any verdict.
    top: Option<f64>,
    again: Option<f64>,
}

/// The search. See the module's header.
#[derive(Debug)]
pub struct KneeSearch {
    config: SearchConfig,
    probes: Vec<ProbePoint>,
    pending: Option<(f64, Stage)>,
}

impl KneeSearch {
    /// Checks the configuration and stands ready with the first rate.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn new(config: &SearchConfig) -> Result<Self, ConfigError> {
        let SearchConfig {
            start_rps,
            max_rps,
            growth,
            precision,
            confirmations,
            max_probes,
            invalid_repeats,
            accept_disturbed: _,
            slo,
        } = config;
        slo.check()?;
        if !(*max_rps >= MIN_RPS && max_rps.is_finite()) {
            return Err(ConfigError::new("search.max_rps", max_rps, "1 or more, and finite"));
        }
        if !(MIN_RPS..=*max_rps).contains(start_rps) {
            return Err(ConfigError::new("search.start_rps", start_rps, "1 to `search.max_rps`"));
        }
        if !(1.05..=10.0).contains(growth) {
            return Err(ConfigError::new("search.growth", growth, "1.05 to 10"));
        }
        if !(1.001..=*growth).contains(precision) {
            return Err(ConfigError::new("search.precision", precision, "1.001 to `search.growth`"));
        }
        if !(1..=1000).contains(max_probes) {
            return Err(ConfigError::new("search.max_probes", max_probes, "1 to 1000"));
        }
        if *confirmations > 10 || *invalid_repeats > 10 {
            let field = if *confirmations > 10 { "search.confirmations" } else { "search.invalid_repeats" };
            return Err(ConfigError::new(field, confirmations.max(invalid_repeats), "0 to 10"));
        }
        let mut search = Self { config: config.clone(), probes: Vec::new(), pending: None };
        search.pending = search.decide();
        Ok(search)
    }

    /// The next rate to measure. The same answer until [`KneeSearch::record`] is called.
    pub fn next_probe(&self) -> Next {
        match self.pending {
            Some((rate, stage)) => Next::Probe { rate, stage },
            None => Next::Done,
        }
    }

    /// Takes the measurement of the rate last asked for and returns its verdict. Ignored once the search is done.
    pub fn record(&mut self, measured: Measurement) -> Option<&ProbePoint> {
        let (rate, stage) = self.pending?;
        let (mut judgement, reasons) = self.config.slo.judge(&measured);
        let met_anyway = judgement == Judgement::Invalid && {
            let undisturbed = Measurement { invalid: Vec::new(), ..measured.clone() };
            self.config.slo.judge(&undisturbed).0 == Judgement::Pass
        };
        if met_anyway && self.config.accept_disturbed {
            judgement = Judgement::Pass;
        }
        self.probes.push(ProbePoint { rate, stage, measured, judgement, reasons, met_anyway });
        self.pending = self.decide();
        self.probes.last()
    }

    /// What is known by now. May be asked at any time: a driver out of time simply stops.
    pub fn answer(&self) -> Answer {
        let known = self.enclosure();
        let lo = known.lo.map(|tally| tally.rate);
        let hi = known.failed.map(|tally| tally.rate);
        let ending = match (lo, hi) {
            (None, _) if self.descended() => Ending::NeverPassed,
            (Some(_), Some(_)) if known.hi_is_measured && self.settled(&known) => Ending::Confirmed,
            (Some(lo), None) if lo * SAME >= self.config.max_rps => Ending::NeverFailed,
            (_, None) if known.hi.is_some() => Ending::LowerBound,
            _ => Ending::OutOfBudget,
        };
        Answer { lo, hi, ending, probes: self.probes.clone() }
    }

    fn decide(&self) -> Option<(f64, Stage)> {
        let used = u32::try_from(self.probes.len()).unwrap_or(u32::MAX);
        let left = self.config.max_probes.saturating_sub(used);
        if left == 0 {
            return None;
        }
        let known = self.enclosure();
        if let Some(rate) = known.again {
            return Some((rate, Stage::Repeat));
        }
        match (known.lo, known.hi) {
            (_, None) => self.climb(&known),
            (_, Some(hi)) if self.is_doubtful(&known, hi) => Some((hi.rate, Stage::Repeat)),
            (None, Some(hi)) => {
                let floor = known.marginal.map_or(hi.rate, |(lowest, _)| lowest);
                (floor > MIN_RPS * SAME).then(|| ((floor / self.config.growth).max(MIN_RPS), Stage::Ramp))
            }
            (Some(lo), Some(hi)) => self.narrow(&known, lo, hi, left),
        }
    }

    /// The ramp's end rests on one failure that a single stall could explain. Believing it would send the whole
    /// bisection below the knee, so it is repeated at once; one that left a tenth of the rate unanswered is not.
    fn is_doubtful(&self, known: &Enclosure, hi: Tally) -> bool {
        let still_ramp = known.lo.is_none_or(|lo| hi.rate / lo.rate * SAME >= self.config.growth);
        let same = |probe: &&ProbePoint| probe.rate.max(hi.rate) / probe.rate.min(hi.rate) < SAME;
        let answered = |probe: &ProbePoint| probe.measured.achieved_rps >= 0.9 * probe.measured.offered_rps;
        known.hi_is_measured
            && still_ramp
            && (hi.fails, hi.passes) == (1, 0)
            && self.probes.iter().rfind(same).is_some_and(answered)
    }

    fn climb(&self, known: &Enclosure) -> Option<(f64, Stage)> {
        let Some(top) = known.top else { return Some((self.config.start_rps, Stage::Ramp)) };
        let rate = (top * self.config.growth).min(self.config.max_rps);
        (rate > top * SAME).then_some((rate, Stage::Ramp))
    }

    fn narrow(&self, known: &Enclosure, lo: Tally, hi: Tally, left: u32) -> Option<(f64, Stage)> {
        let confirmations = self.config.confirmations;
        let (lo_missing, hi_missing) =
            (lo.missing(confirmations), if known.hi_is_measured { hi.missing(confirmations) } else { 0 });
        let (from, to) = widest_gap(lo.rate, hi.rate, known.marginal);
        // Confirming a wide interval is worth more than a narrow one nobody repeated.
        if to / from > self.config.precision * SAME && left > lo_missing + hi_missing {
            return Some(((from * to).sqrt(), Stage::Bisect));
        }
        if lo_missing > 0 && lo_missing >= hi_missing {
            return Some((lo.rate, Stage::Confirm));
        }
        (hi_missing > 0).then_some((hi.rate, Stage::Confirm))
    }

    fn settled(&self, known: &Enclosure) -> bool {
        let (Some(lo), Some(hi)) = (known.lo, known.hi) else { return false };
        let (from, to) = widest_gap(lo.rate, hi.rate, known.marginal);
        let confirmed = lo.missing(self.config.confirmations) + hi.missing(self.config.confirmations) == 0;
        to / from <= self.config.precision * SAME && confirmed
    }

    fn descended(&self) -> bool {
        self.probes.iter().any(|probe| probe.rate <= MIN_RPS * SAME)
    }

    fn enclosure(&self) -> Enclosure {
        let tallies = tally(&self.probes);
        let mut known = Enclosure::default();
        for tally in &tallies {
            let verdict = tally.verdict(self.config.invalid_repeats);
            if verdict == Verdict::Again {
                known.again = known.again.or(Some(tally.rate));
                continue;
            }
            known.top = Some(tally.rate);
            if verdict == Verdict::Fail {
                known.failed = known.failed.or(Some(*tally));
            }
            if known.hi.is_some() {
                continue;
            }
            match verdict {
                Verdict::Pass | Verdict::Disturbed => (known.lo, known.marginal) = (Some(*tally), None),
                Verdict::Fail => (known.hi, known.hi_is_measured) = (Some(*tally), true),
                Verdict::Unmeasurable => known.hi = Some(*tally),
                Verdict::Marginal => {
                    let lowest = known.marginal.map_or(tally.rate, |(lowest, _)| lowest);
                    known.marginal = Some((lowest, tally.rate));
                }
                Verdict::Again => {}
            }
        }
        known
    }
}

/// The votes per rate, in rising order of rate.
fn tally(probes: &[ProbePoint]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for probe in probes {
        let known = tallies.iter().position(|t| t.rate.max(probe.rate) / t.rate.min(probe.rate) < SAME);
        let at = known.unwrap_or_else(|| {
            tallies.push(Tally {
                rate: probe.rate,
                passes: 0,
                fails: 0,
                marginals: 0,
                invalids: 0,
                met_anyway: 0,
            });
            tallies.len() - 1
        });
        tallies[at].met_anyway += u32::from(probe.met_anyway);
        match probe.judgement {
            Judgement::Pass => tallies[at].passes += 1,
            Judgement::Fail => tallies[at].fails += 1,
            Judgement::Marginal => tallies[at].marginals += 1,
            Judgement::Invalid => tallies[at].invalids += 1,
        }
    }
    tallies.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    tallies
}

/// Where to bisect: the whole interval, or the wider part beside the marginal rates.
fn widest_gap(lo: f64, hi: f64, marginal: Option<(f64, f64)>) -> (f64, f64) {
    match marginal {
        None => (lo, hi),
        Some((lowest, highest)) if lowest / lo >= hi / highest => (lo, lowest),
        Some((_, highest)) => (highest, hi),
    }
}
