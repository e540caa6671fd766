//! What "flat" means: the last fifth of a run stands no higher than its second fifth did, but for a little.
//!
//! The first fifth is left out: buffers and caches fill then. Medians, so that one sample decides nothing. Pure.

use anyhow::{Result, bail};

use super::Sample;

/// What the end may be above the begin: so much of it, and so much besides.
const MEMORY: Allowance = Allowance { share: 0.05, more: 1.0 };
/// Connections that come and go are open for a moment longer or shorter.
const DESCRIPTORS: Allowance = Allowance { share: 0.0, more: 16.0 };

/// Fewer samples say nothing.
const FEWEST: usize = 25;

struct Allowance {
    share: f64,
    more: f64,
}

/// What was measured, in a sentence.
///
/// # Errors
/// If either of the two has grown, or if there is too little to judge by.
pub(super) fn verdict(samples: &[Sample]) -> Result<String> {
    if samples.len() < FEWEST {
        bail!("{} samples are too few to judge by: at least {FEWEST}", samples.len());
    }
    let memory = compared("memory", "MiB", samples, |sample| sample.resident_mib, &MEMORY)?;
    let descriptors = compared("descriptors", "open", samples, |sample| sample.descriptors, &DESCRIPTORS)?;
    Ok(format!("{memory}; {descriptors}: flat"))
}

fn compared(
    what: &str,
    unit: &str,
    samples: &[Sample],
    value: fn(&Sample) -> f64,
    allowed: &Allowance,
) -> Result<String> {
    let fifth = samples.len() / 5;
    let begin = median(samples[fifth..2 * fifth].iter().map(value).collect());
    let end = median(samples[samples.len() - fifth..].iter().map(value).collect());
    let said = format!("{what} {begin:.1} {unit}, then {end:.1}");
    if end > begin * (1.0 + allowed.share) + allowed.more {
        bail!("{said}: not flat, {:.0} % and {} more are allowed", allowed.share * 100.0, allowed.more);
    }
    Ok(said)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(memory: impl Fn(usize) -> f64, descriptors: impl Fn(usize) -> f64, expected: &str) {
        let sample =
            |at| Sample { seconds: at as f64, resident_mib: memory(at), descriptors: descriptors(at) };
        let samples: Vec<_> = (0..100).map(sample).collect();
        let said = verdict(&samples).unwrap_or_else(|error| error.to_string());
        assert!(said.ends_with(expected), "{said}");
    }

    #[test]
    fn what_stays_is_flat() {
        check(|_| 10.0, |_| 70.0, ": flat");
    }
    #[test]
    fn a_begin_that_rises_is_warming_up() {
        check(|at| at.min(20) as f64, |_| 70.0, ": flat");
    }
    #[test]
    fn a_peak_is_no_trend() {
        check(|at| if at == 95 { 90.0 } else { 10.0 }, |at| if at == 90 { 900.0 } else { 70.0 }, ": flat");
    }
    #[test]
    fn memory_that_creeps_is_found() {
        check(|at| 10.0 + at as f64 / 20.0, |_| 70.0, "5 % and 1 more are allowed");
    }
    #[test]
    fn descriptors_that_leak_are_found() {
        check(|_| 10.0, |at| 70.0 + at as f64 / 3.0, "0 % and 16 more are allowed");
    }
    #[test]
    fn too_few_samples_are_no_verdict() {
        assert!(verdict(&[]).is_err());
    }
}
