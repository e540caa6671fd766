//! Axes: from values to positions, and ticks at round numbers.

use crate::report::format;

/// What a value is, for its ticks and for the read-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Unit {
    /// A plain number.
    Count,
    /// Requests (or events) per second.
    PerSecond,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Processors.
    Cores,
    /// 1 / (1 - q) of a quantile q.
    Quantile,
}

impl Unit {
    /// The code by which the script chooses the same format.
    pub(in crate::report) fn code(self) -> &'static str {
        match self {
            Self::Count => "n",
            Self::PerSecond => "rps",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Cores => "cores",
            Self::Quantile => "q",
        }
    }
}

/// How positions grow with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Kind {
    /// In proportion.
    Linear,
    /// By the logarithm. Values must be above zero; others are left out of the drawing.
    Log,
}

/// An axis with its domain and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Scale {
    pub(in crate::report) kind: Kind,
    pub(in crate::report) unit: Unit,
    pub(in crate::report) lo: f64,
    pub(in crate::report) hi: f64,
    pub(in crate::report) ticks: Vec<f64>,
}

impl Scale {
    /// An axis that holds all `values`, with about `wanted` ticks at round numbers. `rounded` moves the ends of the
    /// domain out to ticks, as a value axis wants; a time axis keeps its ends.
    pub(in crate::report) fn fit(
        kind: Kind,
        unit: Unit,
        values: &[f64],
        wanted: usize,
        rounded: bool,
    ) -> Self {
        let usable = values.iter().copied().filter(|v| v.is_finite() && (kind == Kind::Linear || *v > 0.0));
        let (mut lo, mut hi) =
            usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if lo > hi {
            (lo, hi) = if kind == Kind::Log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        match kind {
            Kind::Linear => linear(unit, lo, hi, wanted.max(2), rounded),
            Kind::Log => log(unit, lo, hi, wanted.max(2), rounded),
        }
    }

    /// Where `value` lies, 0 at the low end and 1 at the high end; `None` if it has no place.
    pub(in crate::report) fn place(&self, value: f64) -> Option<f64> {
        let share = match self.kind {
            Kind::Linear => (value - self.lo) / (self.hi - self.lo),
            Kind::Log if value > 0.0 => (value / self.lo).ln() / (self.hi / self.lo).ln(),
            Kind::Log => return None,
        };
        share.is_finite().then_some(share)
    }

    /// The text at a tick.
    pub(in crate::report) fn label(&self, tick: f64) -> String {
        match self.unit {
            Unit::Quantile => quantile_label(tick),
            Unit::Bytes => format::bytes(tick),
            Unit::Count | Unit::PerSecond | Unit::Millis | Unit::Seconds | Unit::Cores => format::tick(tick),
        }
    }
}

/// `100` (that is 1 / (1 - 0.99)) as `99 %`.
fn quantile_label(tick: f64) -> String {
    let percent = 100.0 * (1.0 - 1.0 / tick);
    let decimals = (tick.log10().round().max(2.0) - 2.0) as usize;
    format!("{percent:.decimals$} %")
}

/// The smallest step of 1, 2, 2.5 or 5 times a power of ten (of two for bytes) that needs at most `wanted` steps.
fn nice_step(span: f64, wanted: usize, unit: Unit) -> f64 {
    let raw = span / wanted as f64;
    if unit == Unit::Bytes {
        return 2f64.powf(raw.max(1.0).log2().ceil());
    }
    let power = 10f64.powf(raw.log10().floor());
    let whole = unit == Unit::Count;
    // People count seconds in ones, twos and fives.
    let sizes = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().filter(|m| unit != Unit::Seconds || *m != 2.5);
    let step = sizes.map(|m| m * power).find(|s| *s >= raw * 0.999_999);
    let step = step.unwrap_or(power * 10.0);
    if whole { step.max(1.0).ceil() } else { step }
}

fn linear(unit: Unit, lo: f64, mut hi: f64, wanted: usize, rounded: bool) -> Scale {
    let mut lo = if rounded { lo.min(0.0) } else { lo };
    if hi - lo <= f64::EPSILON * hi.abs().max(1.0) {
        hi = lo + 1.0;
    }
    let step = nice_step(hi - lo, wanted, unit);
    if rounded {
        lo = (lo / step).floor() * step;
        hi = (hi / step - 1e-9).ceil() * step;
    }
    let first = (lo / step - 1e-9).ceil();
    let count = ((hi - first * step) / step + 1e-9).floor().max(0.0) as usize;
    let ticks = (0..=count.min(50)).map(|i| (first + i as f64) * step).collect();
    Scale { kind: Kind::Linear, unit, lo, hi, ticks }
}

fn log(unit: Unit, mut lo: f64, mut hi: f64, wanted: usize, rounded: bool) -> Scale {
    if rounded {
        // The ends move to the next 1, 2 or 5, so that no decade stands empty.
        let ends = powers(lo, hi, 1, &[1.0, 2.0, 5.0]);
        lo = ends.iter().copied().rfind(|t| *t <= lo * 1.000_001).unwrap_or(lo);
        hi = ends.iter().copied().find(|t| *t >= hi * 0.999_999).unwrap_or(hi);
    }
    if hi <= lo * 1.000_001 {
        (lo, hi) = (lo / 2.0, hi * 2.0);
    }
    let decades = (hi / lo).log10();
    let fits = |per_decade: f64| decades * per_decade <= wanted as f64 * 1.2;
    let steps: &[f64] = match unit {
        Unit::Quantile => &[1.0],
        _ if fits(3.0) => &[1.0, 2.0, 5.0],
        _ if fits(2.0) => &[1.0, 3.0],
        _ => &[1.0],
    };
    let every = (decades / (wanted as f64 * 1.2)).ceil().max(1.0) as i32;
    let mut ticks = powers(lo, hi, every, steps);
    ticks.retain(|t| (lo * 0.999_999..=hi * 1.000_001).contains(t));
    if ticks.len() < 2 {
        ticks = vec![lo, hi]; // an interval too narrow for round numbers
    }
    if unit == Unit::Quantile && lo <= 2.0 && hi >= 2.0 {
        ticks.retain(|t| *t > 2.0); // "0 %" says nothing and "50 %" does
        ticks.insert(0, 2.0);
    }
    Scale { kind: Kind::Log, unit, lo, hi, ticks }
}

/// `steps` times the powers of ten (only every so many) that reach beyond both ends.
fn powers(lo: f64, hi: f64, every: i32, steps: &[f64]) -> Vec<f64> {
    let (from, to) = (lo.log10().floor() as i32 - 1, hi.log10().ceil() as i32 + 1);
    let wanted = (from..=to).filter(|power| power.rem_euclid(every) == 0);
    wanted.flat_map(|power| steps.iter().map(move |m| m * 10f64.powi(power))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(kind: Kind, unit: Unit, values: &[f64], labels: &str) {
        let scale = Scale::fit(kind, unit, values, 5, true);
        let got: Vec<String> = scale.ticks.iter().map(|t| scale.label(*t)).collect();
        assert_eq!(got.join(" "), labels);
    }

    #[test]
    fn a_value_axis_starts_at_zero_and_ends_on_a_tick() {
        check(Kind::Linear, Unit::PerSecond, &[120.0, 24_300.0], "0 5k 10k 15k 20k 25k");
    }
    #[test]
    fn small_values_keep_their_digits() {
        check(Kind::Linear, Unit::Cores, &[0.0, 0.93], "0 0.2 0.4 0.6 0.8 1");
    }
    #[test]
    fn counts_have_no_fractions() {
        check(Kind::Linear, Unit::Count, &[0.0, 2.0], "0 1 2");
    }
    #[test]
    fn memory_steps_in_powers_of_two() {
        check(Kind::Linear, Unit::Bytes, &[0.0, 50e6], "0 B 16 MiB 32 MiB 48 MiB");
    }
    #[test]
    fn a_wide_log_axis_has_decades() {
        check(Kind::Log, Unit::Millis, &[0.08, 900.0], "0.1 1 10 100 1k");
    }
    #[test]
    fn a_narrow_log_axis_has_steps_between() {
        check(Kind::Log, Unit::Millis, &[3.0, 80.0], "2 5 10 20 50 100");
    }
    #[test]
    fn quantiles_read_as_per_cent() {
        check(Kind::Log, Unit::Quantile, &[1.0, 10_000.0], "50 % 90 % 99 % 99.9 % 99.99 %");
    }
    #[test]
    fn nothing_to_show_still_gives_an_axis() {
        check(Kind::Linear, Unit::Cores, &[f64::NAN], "0 0.2 0.4 0.6 0.8 1");
    }
    #[test]
    fn a_constant_still_gives_an_axis() {
        check(Kind::Linear, Unit::Count, &[0.0, 0.0], "0 1");
    }

    proptest! {
        #[test]
        fn every_value_has_a_place_within_the_axis(
            values in prop::collection::vec(1e-6..1e9f64, 1..20), wanted in 2usize..12, log: bool,
        ) {
            let kind = if log { Kind::Log } else { Kind::Linear };
            let scale = Scale::fit(kind, Unit::Millis, &values, wanted, true);
            prop_assert!(scale.ticks.len() >= 2, "{scale:?}");
            prop_assert!(scale.ticks.len() <= 3 * wanted + 3, "{} ticks", scale.ticks.len());
            prop_assert!(scale.ticks.windows(2).all(|pair| pair[0] < pair[1]));
            for value in values {
                let place = scale.place(value).unwrap();
                prop_assert!((-1e-6..=1.000_001).contains(&place), "{value} at {place}");
            }
        }
    }
}
