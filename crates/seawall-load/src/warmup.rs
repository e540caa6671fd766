//! When is a target warm? When throughput and median have stopped to move.
//!
//! Pure: it is shown one short window after the other. Left out: statistics that need many windows; a wrong guess is
//! bounded by the limit and visible in the report's series.

/// What one window of time saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Glimpse {
    /// Answers per second.
    pub(crate) rps: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
}

/// Windows that must agree.
const AGREE: usize = 4;
/// How far the throughput of agreeing windows may be from their mean.
const RPS_TOLERANCE: f64 = 0.10;
/// The same for the median; what is below [`SMALL_US`] is noise.
const P50_TOLERANCE: f64 = 0.25;
const SMALL_US: f64 = 50.0;

/// The last few windows are steady.
pub(crate) fn is_steady(windows: &[Glimpse]) -> bool {
    let Some(last) = windows.len().checked_sub(AGREE).map(|from| &windows[from..]) else { return false };
    let mean = |value: fn(&Glimpse) -> f64| last.iter().map(value).sum::<f64>() / AGREE as f64;
    let (rps, p50) = (mean(|w| w.rps), mean(|w| w.p50_us));
    rps > 0.0
        && last.iter().all(|window| {
            (window.rps - rps).abs() <= rps * RPS_TOLERANCE
                && (window.p50_us - p50).abs() <= (p50 * P50_TOLERANCE).max(SMALL_US)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rps: &[f64], p50_us: &[f64], steady_after: Option<usize>) {
        let windows: Vec<Glimpse> =
            rps.iter().zip(p50_us).map(|(&rps, &p50_us)| Glimpse { rps, p50_us }).collect();
        let found = (0..=windows.len()).find(|&n| is_steady(&windows[..n]));
        assert_eq!(found, steady_after, "{windows:?}");
    }

    #[test]
    fn a_steady_target_is_warm_after_four_windows() {
        check(&[100.0, 101.0, 99.0, 100.0, 100.0], &[500.0; 5], Some(4));
    }

    #[test]
    fn a_climbing_throughput_is_not_warm() {
        check(&[10.0, 20.0, 40.0, 80.0, 160.0], &[500.0; 5], None);
    }

    #[test]
    fn a_falling_median_is_not_warm_until_it_rests() {
        let p50 = [9000.0, 6000.0, 3000.0, 1000.0, 1000.0, 1000.0, 1000.0];
        check(&[100.0; 7], &p50, Some(7));
    }

    #[test]
    fn small_medians_may_jitter() {
        check(&[100.0; 4], &[20.0, 60.0, 30.0, 45.0], Some(4));
    }

    #[test]
    fn nothing_answered_is_never_warm() {
        check(&[0.0; 6], &[0.0; 6], None);
    }
}
