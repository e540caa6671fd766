//! The Universal Scalability Law: `X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))`.
//!
//! Gunther's law of how throughput grows with concurrency: `sigma` is the part that must be done one after the other,
//! `kappa` the price of every pair that has to agree.

use serde::{Deserialize, Serialize};

use crate::search::Estimate;

/// Throughput at one concurrency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalePoint {
    /// Connections, as many requests at once.
    pub n: f64,
    /// Answers per second.
    pub rps: f64,
    /// Median latency, milliseconds; none if unknown.
    pub p50_ms: Option<f64>,
    /// 99th percentile, milliseconds; none if unknown.
    pub p99_ms: Option<f64>,
    /// Why it does not count; such a point is drawn and not fitted. Empty when it does.
    pub invalid: Vec<String>,
}

/// The law fitted to measured points. Intervals are 95 %, by bootstrap of the residuals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UslFit {
    /// Requests per second of one connection alone.
    pub lambda: Estimate,
    /// Serial part, 0 or more: contention.
    pub sigma: Estimate,
    /// Price of agreement, 0 or more: what makes throughput fall again.
    pub kappa: Estimate,
    /// The concurrency of highest throughput, `sqrt((1 - sigma) / kappa)`; none when the interval of `kappa` holds 0,
    /// which means: no peak in range.
    pub peak_n: Option<Estimate>,
    /// The throughput there.
    pub peak_rps: Option<Estimate>,
    /// The throughput that no concurrency reaches, `lambda / sigma`, when there is no peak and `sigma` is above 0.
    pub asymptote_rps: Option<f64>,
    /// Part of the variance that the law explains; 1 is all.
    pub r_squared: f64,
    /// Largest relative distance of a point from the curve.
    pub worst_residual: f64,
    /// The law describes the points: worst residual at most 15 %.
    pub fits: bool,
    /// The curve with its 95 % band, to draw.
    pub curve: Vec<CurvePoint>,
    /// What it means, one sentence.
    pub meaning: String,
}

/// A point of the fitted curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Concurrency.
    pub n: f64,
    /// Throughput by the law.
    pub rps: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Valid points of different concurrency that a fit needs.
pub const MIN_POINTS: usize = 6;
/// Resamplings for the intervals.
const BOOTSTRAP: usize = 400;
/// A point may be so far from the curve.
const MAX_RESIDUAL: f64 = 0.15;
/// Points of the curve to draw.
const CURVE_POINTS: usize = 60;
/// Steps of Gauss-Newton at most; it halves its step instead of leaving the valid range.
const MAX_STEPS: usize = 60;

/// lambda, sigma, kappa.
type Law = [f64; 3];

/// Throughput by the law.
fn throughput([lambda, sigma, kappa]: Law, n: f64) -> f64 {
    lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

/// Fits the law to the valid points. `seed` begins the random numbers of the bootstrap.
///
/// Non-linear least squares on relative residuals, from the linear fit of `N / X`, with `sigma` and `kappa` at least 0
/// (Gunther, Guerrilla Capacity Planning, ch. 5).
///
/// # Errors
/// In words, when there are too few points.
pub fn fit(points: &[ScalePoint], seed: u64) -> Result<UslFit, String> {
    fit_with(points, seed, BOOTSTRAP)
}

fn fit_with(points: &[ScalePoint], seed: u64, resamplings: usize) -> Result<UslFit, String> {
    let data: Vec<(f64, f64)> = points
        .iter()
        .filter(|p| p.invalid.is_empty() && p.rps > 0.0 && p.n >= 1.0)
        .map(|p| (p.n, p.rps))
        .collect();
    let mut different: Vec<f64> = data.iter().map(|(n, _)| *n).collect();
    different.sort_by(f64::total_cmp);
    different.dedup();
    if different.len() < MIN_POINTS {
        return Err(format!(
            "the law needs {MIN_POINTS} valid points of different concurrency, and there are {}",
            different.len()
        ));
    }
    let law = solve(&data);
    let samples = bootstrap(&data, law, seed, resamplings);
    let largest = different[different.len() - 1];
    Ok(describe(&data, law, &samples, largest))
}

fn describe(data: &[(f64, f64)], law: Law, samples: &[Law], largest: f64) -> UslFit {
    let residuals: Vec<f64> = data.iter().map(|(n, x)| x / throughput(law, *n) - 1.0).collect();
    let worst_residual = residuals.iter().map(|r| r.abs()).fold(0.0, f64::max);
    let mean = data.iter().map(|(_, x)| x).sum::<f64>() / data.len() as f64;
    let unexplained: f64 = data.iter().map(|(n, x)| (x - throughput(law, *n)).powi(2)).sum();
    let all: f64 = data.iter().map(|(_, x)| (x - mean).powi(2)).sum();
    let of = |value: f64, each: &dyn Fn(&Law) -> f64| interval(value, samples.iter().map(each).collect());
    let [lambda, sigma, kappa] = law;
    let kappa_interval = of(kappa, &|law| law[2]);
    // A peak far beyond what was measured is an extrapolation, whatever the interval says.
    let peak = |[_, sigma, kappa]: Law| ((1.0 - sigma).max(0.0) / kappa).sqrt();
    let has_peak = kappa_interval.low > 0.0 && peak(law) <= 2.0 * largest;
    let peak_n = has_peak.then(|| of(peak(law), &|law| peak(*law)));
    let peak_rps = has_peak.then(|| {
        let at_peak = |law: Law| throughput(law, peak(law).max(1.0));
        of(at_peak(law), &|law| at_peak(*law))
    });
    let asymptote_rps = (!has_peak && sigma > 1e-6).then(|| lambda / sigma);
    let meaning = meaning(law, peak_n, peak_rps, asymptote_rps);
    UslFit {
        lambda: of(lambda, &|law| law[0]),
        sigma: of(sigma, &|law| law[1]),
        kappa: kappa_interval,
        peak_n,
        peak_rps,
        asymptote_rps,
        r_squared: if all > 0.0 { 1.0 - unexplained / all } else { 1.0 },
        worst_residual,
        fits: worst_residual <= MAX_RESIDUAL,
        curve: curve(law, samples, largest),
        meaning,
    }
}

fn meaning(law: Law, peak_n: Option<Estimate>, peak_rps: Option<Estimate>, asymptote: Option<f64>) -> String {
    let [_, sigma, kappa] = law;
    match (peak_n, peak_rps, asymptote) {
        (Some(n), Some(x), _) => {
            let why =
                if sigma > kappa * n.value { "mostly contention" } else { "mostly the price of agreement" };
            format!(
                "Throughput peaks near {:.0} connections at {:.0}/s and falls beyond: {why}.",
                n.value, x.value
            )
        }
        (_, _, Some(limit)) if sigma > 0.01 => format!(
            "No peak in range. {:.1} % of the work is done one at a time, so that no concurrency exceeds {limit:.0}/s.",
            sigma * 100.0
        ),
        _ => "No peak in range: throughput grows about as concurrency does.".to_owned(),
    }
}

fn curve(law: Law, samples: &[Law], largest: f64) -> Vec<CurvePoint> {
    (0..CURVE_POINTS)
        .map(|i| {
            // Even steps of the logarithm, to a little beyond the last point.
            let n = (largest * 1.5).powf(i as f64 / (CURVE_POINTS - 1) as f64);
            let at = interval(throughput(law, n), samples.iter().map(|law| throughput(*law, n)).collect());
            CurvePoint { n, rps: at.value, low: at.low, high: at.high }
        })
        .collect()
}

/// The middle 95 % of the resampled values, widened so that the value itself is in it.
fn interval(value: f64, mut samples: Vec<f64>) -> Estimate {
    samples.retain(|sample| sample.is_finite());
    samples.sort_by(f64::total_cmp);
    let at =
        |q: f64| samples.get(((samples.len() as f64 - 1.0) * q).round() as usize).copied().unwrap_or(value);
    Estimate { low: at(0.025).min(value), value, high: at(0.975).max(value) }
}

/// Resamples the relative residuals and fits again. Residuals are scaled up for the degrees of freedom that the fit took.
fn bootstrap(data: &[(f64, f64)], law: Law, seed: u64, resamplings: usize) -> Vec<Law> {
    let freedom = data.len() as f64 / (data.len() as f64 - 3.0).max(1.0);
    let residuals: Vec<f64> =
        data.iter().map(|(n, x)| (x / throughput(law, *n) - 1.0) * freedom.sqrt()).collect();
    let mut state = seed;
    let mut pick = || residuals[(next(&mut state) % residuals.len() as u64) as usize];
    (0..resamplings)
        .map(|_| {
            let resampled: Vec<(f64, f64)> =
                data.iter().map(|(n, _)| (*n, throughput(law, *n) * (1.0 + pick()).max(0.01))).collect();
            solve(&resampled)
        })
        .collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Sum of squared relative residuals.
fn cost(data: &[(f64, f64)], law: Law) -> f64 {
    data.iter().map(|(n, x)| (throughput(law, *n) / x - 1.0).powi(2)).sum()
}

/// The best law over the ways in which sigma and kappa can be at their bounds: each is free or 0.
fn solve(data: &[(f64, f64)]) -> Law {
    let ways = [[true, true], [true, false], [false, true], [false, false]];
    let fitted = ways.iter().map(|free| refine(data, linear(data, *free), *free));
    let best = fitted.min_by(|a, b| cost(data, *a).total_cmp(&cost(data, *b)));
    best.expect("there are four ways")
}

/// The linear fit: `N / X = a + b (N - 1) + c N (N - 1)`, weighted for relative residuals.
fn linear(data: &[(f64, f64)], free: [bool; 2]) -> Law {
    let rows = data.iter().map(|(n, x)| {
        let weight = x / n;
        let columns = [1.0, n - 1.0, n * (n - 1.0)].map(|column| column * weight);
        (columns, 1.0)
    });
    let [a, b, c] = least_squares(rows, [true, free[0], free[1]]);
    if a > 0.0 { [1.0 / a, (b / a).max(0.0), (c / a).max(0.0)] } else { [data[0].1 / data[0].0, 0.0, 0.0] }
}

fn refine(data: &[(f64, f64)], mut law: Law, free: [bool; 2]) -> Law {
    for _ in 0..MAX_STEPS {
        let rows = data.iter().map(|(n, x)| {
            let [_, sigma, kappa] = law;
            let denominator = 1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0);
            let predicted = throughput(law, *n);
            // Derivatives of X by the logarithm of lambda, by sigma and by kappa, divided by the measured X.
            let columns =
                [1.0, -(n - 1.0) / denominator, -n * (n - 1.0) / denominator].map(|d| d * predicted / x);
            (columns, 1.0 - predicted / x)
        });
        let step = least_squares(rows, [true, free[0], free[1]]);
        let before = cost(data, law);
        let moved = |scale: f64| {
            let [lambda, sigma, kappa] = law;
            let grown = lambda * (step[0] * scale).clamp(-2.0, 2.0).exp();
            [grown, (sigma + step[1] * scale).max(0.0), (kappa + step[2] * scale).max(0.0)]
        };
        let better =
            (0..20).map(|halvings| moved(0.5f64.powi(halvings))).find(|law| cost(data, *law) < before);
        let Some(better) = better else { break };
        let gained = before - cost(data, better);
        law = better;
        if gained <= before * 1e-10 {
            break;
        }
    }
    law
}

/// Solves the normal equations of three unknowns, of which some are held at 0. A singular system gives zeros.
fn least_squares(rows: impl Iterator<Item = ([f64; 3], f64)>, free: [bool; 3]) -> [f64; 3] {
    let (mut matrix, mut right) = ([[0.0; 3]; 3], [0.0; 3]);
    for (columns, value) in rows {
        let columns = [0, 1, 2].map(|i: usize| if free[i] { columns[i] } else { 0.0 });
        for i in 0..3 {
            right[i] += columns[i] * value;
            for j in 0..3 {
                matrix[i][j] += columns[i] * columns[j];
            }
        }
    }
    for i in 0..3 {
        // What is held has an equation of its own: x = 0.
        matrix[i][i] += if free[i] { 0.0 } else { 1.0 };
    }
    cramer(matrix, right)
}

fn cramer(matrix: [[f64; 3]; 3], right: [f64; 3]) -> [f64; 3] {
    let determinant = |m: [[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(matrix);
    [0, 1, 2].map(|column: usize| {
        let mut replaced = matrix;
        for row in 0..3 {
            replaced[row][column] = right[row];
        }
        let solved = determinant(replaced) / whole;
        if solved.is_finite() { solved } else { 0.0 }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Points of a law at 1, 2, 4, ... with relative noise of at most `noise`.
    fn simulate(law: Law, noise: f64, seed: u64) -> Vec<ScalePoint> {
        let mut state = seed;
        (0..9)
            .map(|i| {
                let n = f64::from(1 << i);
                let shake = (next(&mut state) as f64 / u64::MAX as f64 * 2.0 - 1.0) * noise;
                let rps = throughput(law, n) * (1.0 + shake);
                ScalePoint { n, rps, p50_ms: None, p99_ms: None, invalid: vec![] }
            })
            .collect()
    }

    #[test]
    fn a_law_without_noise_is_found_exactly() {
        let fit = fit(&simulate([1000.0, 0.05, 0.0005], 0.0, 1), 1).unwrap();
        let found = [fit.lambda.value, fit.sigma.value, fit.kappa.value];
        assert!((found[0] - 1000.0).abs() < 0.1 && (found[1] - 0.05).abs() < 1e-5, "{found:?}");
        assert!((found[2] - 0.0005).abs() < 1e-7 && fit.fits && fit.r_squared > 0.999, "{found:?}");
        let peak = fit.peak_n.unwrap().value;
        assert!((peak - (0.95f64 / 0.0005).sqrt()).abs() < 0.1, "{peak}");
    }
    #[test]
    fn the_peak_is_in_its_interval_under_noise() {
        let within = (0..20u64).filter(|seed| {
            let fit = fit_with(&simulate([1000.0, 0.02, 0.001], 0.03, *seed), *seed, 150).unwrap();
            let truth = (0.98f64 / 0.001).sqrt();
            fit.peak_n.is_some_and(|n| n.low <= truth && truth <= n.high)
        });
        assert!(within.count() >= 17, "95 % intervals hold the truth nearly always");
    }
    #[test]
    fn contention_alone_has_no_peak_in_range() {
        let said_none = (0..20u64).filter(|seed| {
            let fit = fit_with(&simulate([1000.0, 0.1, 0.0], 0.03, *seed), *seed, 150).unwrap();
            fit.peak_n.is_none() && fit.meaning.starts_with("No peak in range")
        });
        assert!(said_none.count() >= 18);
        let fit = fit(&simulate([1000.0, 0.1, 0.0], 0.0, 1), 1).unwrap();
        assert!((fit.asymptote_rps.unwrap() - 10_000.0).abs() < 10.0, "{fit:?}");
    }
    #[test]
    fn linear_growth_has_neither_peak_nor_limit() {
        let fit = fit(&simulate([500.0, 0.0, 0.0], 0.0, 1), 1).unwrap();
        assert_eq!((fit.peak_n, fit.asymptote_rps), (None, None));
        assert!((fit.lambda.value - 500.0).abs() < 1e-6);
    }
    #[test]
    fn what_is_no_scaling_does_not_fit() {
        let mut points = simulate([1000.0, 0.05, 0.0], 0.0, 1);
        points[3].rps *= 3.0;
        assert!(!fit(&points, 1).unwrap().fits);
    }
    #[test]
    fn five_points_are_too_few_and_invalid_ones_do_not_count() {
        let mut points = simulate([1000.0, 0.05, 0.0], 0.0, 1);
        points[5..].iter_mut().for_each(|point| point.invalid.push("the generator was busy".into()));
        assert!(fit(&points, 1).unwrap_err().contains("there are 5"));
    }

    proptest! {
        #[test]
        fn any_points_give_finite_numbers_in_order(values in prop::collection::vec(1.0f64..1e6, 9), seed: u64) {
            let mut points = simulate([1.0, 0.0, 0.0], 0.0, 1);
            points.iter_mut().zip(&values).for_each(|(point, rps)| point.rps = *rps);
            let fit = fit_with(&points, seed, 10).unwrap();
            for estimate in [fit.lambda, fit.sigma, fit.kappa] {
                prop_assert!(estimate.low.is_finite() && estimate.low <= estimate.value && estimate.value <= estimate.high);
                prop_assert!(estimate.low >= 0.0);
            }
        }
        #[test]
        fn laws_are_found_again(lambda in 10.0f64..1e5, sigma in 0.0f64..0.3, kappa in 0.0f64..0.01) {
            let fit = fit_with(&simulate([lambda, sigma, kappa], 0.0, 1), 1, 1).unwrap();
            prop_assert!((fit.lambda.value / lambda - 1.0).abs() < 0.01, "{:?} {:?}", fit.lambda, (lambda, sigma, kappa));
            prop_assert!((fit.sigma.value - sigma).abs() < 0.01 && (fit.kappa.value - kappa).abs() < 1e-3);
        }
    }
}
