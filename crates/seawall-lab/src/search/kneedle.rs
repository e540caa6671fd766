//! A knee without an objective: where latency begins to grow faster than throughput.
//!
//! The method is Kneedle (Satopää, Albrecht, Irwin, Raghavan: "Finding a Kneedle in a Haystack", 2011), for a curve that rises
//! and bends upwards: both axes are scaled to 0..1, the knee is where the curve lies farthest below its chord, and it counts
//! only if the distance falls again by more than a threshold. Noise is smoothed by making both axes monotone over the load
//! (pool adjacent violators, the least-squares fit that rises). Pure.
//!
//! The answer depends on how far the load went: with more load above the knee, the chord is steeper and the knee higher.

use serde::{Deserialize, Serialize};

/// Fewer points have no shape.
pub const MIN_POINTS: usize = 5;
/// A curve that is nowhere farther below its chord than this has no knee.
const LEAST: f64 = 0.1;

/// One measured load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// What was raised: connections, or requests per second.
    pub load: f64,
    /// Requests answered per second.
    pub rps: f64,
    /// 99th percentile of latency, milliseconds.
    pub p99_ms: f64,
}

/// Where the curve bends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bend {
    /// The load there.
    pub load: f64,
    /// The measured loads beside it: the bend lies between them.
    pub between: (f64, f64),
    /// Requests answered per second there, smoothed.
    pub rps: f64,
    /// 99th percentile there, milliseconds, smoothed.
    pub p99_ms: f64,
    /// How far the curve lies below its chord, as a part of the whole, 0 to 1: how sharp it bends.
    pub sharpness: f64,
}

/// The knee of (throughput, p99). `sensitivity` is Kneedle's S: how many mean steps the distance must fall again; 1 is usual.
/// None with fewer than [`MIN_POINTS`] points, where nothing rises, or where the curve does not bend.
pub fn kneedle(points: &[CurvePoint], sensitivity: f64) -> Option<Bend> {
    let finite = |p: &&CurvePoint| p.load.is_finite() && p.rps.is_finite() && p.p99_ms.is_finite();
    let mut points: Vec<CurvePoint> = points.iter().filter(finite).copied().collect();
    points.sort_by(|a, b| a.load.total_cmp(&b.load));
    if points.len() < MIN_POINTS {
        return None;
    }
    let x = rising(&points.iter().map(|p| p.rps).collect::<Vec<_>>());
    let y = rising(&points.iter().map(|p| p.p99_ms).collect::<Vec<_>>());
    let (across, up) = (unit(&x)?, unit(&y)?);
    let distance: Vec<f64> = across.iter().zip(&up).map(|(x, y)| x - y).collect();
    let at = (0..distance.len()).max_by(|a, b| distance[*a].total_cmp(&distance[*b]))?;
    // The mean step is that of the scaled throughput.
    let threshold = distance[at] - sensitivity / (points.len() - 1) as f64;
    let falls = distance[at..].iter().any(|later| *later < threshold);
    (falls && distance[at] >= LEAST).then(|| Bend {
        load: points[at].load,
        between: (points[at.saturating_sub(1)].load, points[(at + 1).min(points.len() - 1)].load),
        rps: x[at],
        p99_ms: y[at],
        sharpness: distance[at],
    })
}

/// The least-squares fit that never falls: neighbours that do are replaced by their mean.
fn rising(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::with_capacity(values.len());
    for value in values {
        let mut pool = (*value, 1);
        while let Some((mean, count)) = pools.pop_if(|(mean, _)| *mean > pool.0) {
            let all = (count + pool.1) as f64;
            pool = ((mean * count as f64 + pool.0 * pool.1 as f64) / all, count + pool.1);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean, count)).collect()
}

/// Rising values scaled to 0..1; none where nothing rises.
fn unit(values: &[f64]) -> Option<Vec<f64>> {
    let (first, last) = (*values.first()?, *values.last()?);
    let span = last - first;
    (span > 0.0 && span.is_finite()).then(|| values.iter().map(|v| (v - first) / span).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Noise, mmc, usl_throughput};
    use super::*;

    /// An open loop at rising shares of what c servers can do, up to 97 % of it.
    fn queue(servers: u32, service_ms: f64, spread: f64, seed: u64) -> Vec<CurvePoint> {
        let capacity = f64::from(servers) * 1000.0 / service_ms;
        let p99 = mmc(servers, service_ms);
        let mut noise = Noise(seed);
        let at = |i: i32| {
            let rate = capacity * 0.97 * f64::from(i) / 20.0;
            CurvePoint { load: rate, rps: rate, p99_ms: p99(rate) * (spread * noise.normal()).exp() }
        };
        (1..=20).map(at).collect()
    }

    /// A closed loop with rising numbers of connections.
    fn closed(sigma: f64, kappa: f64, spread: f64, seed: u64) -> Vec<CurvePoint> {
        let through = usl_throughput(1000.0, sigma, kappa);
        let mut noise = Noise(seed);
        let mut jitter = || (spread * noise.normal()).exp();
        let loads = [1, 2, 3, 5, 8, 12, 18, 27, 41, 62, 93, 128];
        let at = |n: i32| {
            let n = f64::from(n);
            let rps = through(n) * jitter();
            CurvePoint { load: n, rps, p99_ms: 100f64.ln() * n / rps * 1000.0 * jitter() }
        };
        loads.into_iter().map(at).collect()
    }

    proptest! {
        /// The bend of c servers lies in the upper part of what they can do, and never at its very end.
        #[test]
        fn a_queue_bends_before_it_is_full(seed: u64, servers in 1u32..16, spread in 0.0..0.05f64) {
            let capacity = f64::from(servers) * 200.0;
            let bend = kneedle(&queue(servers, 5.0, spread, seed), 1.0).unwrap();
            let part = bend.load / capacity;
            prop_assert!((0.5..0.96).contains(&part), "{} of {}", bend.load, capacity);
            prop_assert!(bend.between.0 < bend.load && bend.load < bend.between.1);
        }

        /// Under the universal scalability law most of the best throughput is there at the bend, and more load only adds latency.
        #[test]
        fn a_contended_server_bends_where_throughput_ends(seed: u64, sigma in 0.05..0.3f64, spread in 0.0..0.03f64) {
            let points = closed(sigma, 0.0002, spread, seed);
            let best = points.iter().map(|p| p.rps).fold(0.0, f64::max);
            let bend = kneedle(&points, 1.0).unwrap();
            prop_assert!(bend.rps > 0.6 * best, "{bend:?} of {best}");
            prop_assert!(bend.load < 64.0, "{bend:?}");
        }

        /// Units do not matter.
        #[test]
        fn the_bend_does_not_depend_on_units(seed: u64, a in 0.01..100.0f64, b in 0.01..100.0f64) {
            let points = queue(4, 5.0, 0.02, seed);
            let scaled = |p: &CurvePoint| CurvePoint { load: p.load, rps: p.rps * a + 7.0, p99_ms: p.p99_ms * b + 3.0 };
            let scaled: Vec<CurvePoint> = points.iter().map(scaled).collect();
            prop_assert_eq!(kneedle(&points, 1.0).map(|b| b.load), kneedle(&scaled, 1.0).map(|b| b.load));
        }

        #[test]
        fn no_points_make_it_panic(raw in proptest::collection::vec((any::<f64>(), any::<f64>(), any::<f64>()), 0..30)) {
            let points: Vec<CurvePoint> =
                raw.into_iter().map(|(load, rps, p99_ms)| CurvePoint { load, rps, p99_ms }).collect();
            let _ = kneedle(&points, 1.0);
        }

        /// What is smoothed rises, and keeps its mean.
        #[test]
        fn smoothing_rises_and_keeps_the_mean(values in proptest::collection::vec(-1e3..1e3f64, 1..40)) {
            let smooth = rising(&values);
            prop_assert!(smooth.is_sorted());
            let sum = |of: &[f64]| of.iter().sum::<f64>();
            prop_assert!((sum(&smooth) - sum(&values)).abs() < 1e-6);
        }
    }

    fn check_none(of: impl Fn(f64) -> f64, count: i32) {
        let points: Vec<CurvePoint> =
            (1..=count).map(f64::from).map(|load| CurvePoint { load, rps: load, p99_ms: of(load) }).collect();
        assert_eq!(kneedle(&points, 1.0), None);
    }
    #[test]
    fn a_straight_line_does_not_bend() {
        check_none(|x| 3.0 * x + 1.0, 20);
    }
    #[test]
    fn a_flat_line_does_not_bend() {
        check_none(|_| 5.0, 20);
    }
    #[test]
    fn four_points_have_no_shape() {
        check_none(|x| x.powi(8), 4);
    }
}
