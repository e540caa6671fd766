//! How throughput grows with concurrency: a closed loop at rising numbers of connections, the law fitted to it, and where
//! latency begins to grow faster than throughput.

use std::time::{Duration, Instant};

use seawall_core::ConfigError;
use seawall_load::{LoadConfig, Report, Tick, WarmUp};

use crate::artifact::Scale;
use crate::laws::usl::{self, ScalePoint};
use crate::search::{CurvePoint, kneedle};
use crate::sweep::{self, Sent, SweepError};

/// Of each point, before it counts.
const SETTLE: Duration = Duration::from_millis(500);
/// Points at most.
const MAX_POINTS: usize = 64;

/// What to measure. Checked by [`scale`].
#[derive(Debug, Clone)]
pub struct ScaleConfig {
    /// The request and where it goes; connections, rate, warm-up and duration are the sweep's own.
    pub load: LoadConfig,
    /// Connections per point, rising; 6 to 64 of them for a fit. See [`connections`].
    pub connections: Vec<usize>,
    /// Length of a point, 100 ms to an hour. Default 3 s.
    pub length: Duration,
    /// Where the bootstrap's random numbers begin. Default 1.
    pub seed: u64,
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum ScaleEvent<'a> {
    /// A point with so many connections begins.
    Begin(usize),
    /// A second of it is over.
    Tick(&'a Tick),
    /// It is over: its connections, when it began, what came of it.
    Answered(usize, Instant, &'a Report),
}

/// Numbers of connections from 1 to `max`, each about 1.5 times the one before.
pub fn connections(max: usize) -> Vec<usize> {
    let mut all = vec![1];
    while let Some(last) = all.last().copied().filter(|last| *last < max) {
        all.push((last + last.div_ceil(2)).min(max));
    }
    all
}

/// Measures each point and fits the law. Blocks for all points; an interrupt ends it with what there is.
///
/// # Errors
/// When the configuration is refused, nobody answers, or the generator could not work.
pub fn scale(config: &ScaleConfig, watch: &mut dyn FnMut(ScaleEvent<'_>)) -> Result<Scale, SweepError> {
    check(config)?;
    let mut points = Vec::new();
    for connections in config.connections.iter().copied() {
        watch(ScaleEvent::Begin(connections));
        let load = LoadConfig {
            connections,
            duration: config.length,
            warmup: WarmUp::Fixed(SETTLE),
            rate: None,
            ..config.load.clone()
        };
        let sent = sweep::send(&load, points.is_empty(), &mut |tick| watch(ScaleEvent::Tick(tick)))?;
        let Some(Sent { began, report }) = sent else { break };
        watch(ScaleEvent::Answered(connections, began, &report));
        points.push(point(connections, &report));
    }
    Ok(conclude(points, config.seed))
}

fn check(config: &ScaleConfig) -> Result<(), ConfigError> {
    let ScaleConfig { connections, length, .. } = config;
    let rising =
        connections.is_sorted_by(|a, b| a < b) && connections.first().is_some_and(|first| *first > 0);
    if !rising || connections.len() > MAX_POINTS {
        return Err(ConfigError::new(
            "scale.connections",
            format!("{connections:?}"),
            "1 to 64 rising numbers",
        ));
    }
    if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(length) {
        return Err(ConfigError::new("scale.length", format!("{length:?}"), "100 ms to 1 h"));
    }
    Ok(())
}

fn point(connections: usize, report: &Report) -> ScalePoint {
    let ms = |us: f64| (us > 0.0).then_some(us / 1e3);
    ScalePoint {
        n: connections as f64,
        rps: report.rps,
        p50_ms: ms(report.latency_us.p50),
        p99_ms: ms(report.latency_us.p99),
        invalid: sweep::reasons(report),
    }
}

/// The law, and what to bear in mind.
fn conclude(points: Vec<ScalePoint>, seed: u64) -> Scale {
    let mut notes = Vec::new();
    let invalid = points.iter().filter(|point| !point.invalid.is_empty()).count();
    if invalid > 0 {
        let reason = points.iter().find_map(|point| point.invalid.first()).map_or("", String::as_str);
        notes.push(format!("{invalid} of {} points do not count: {reason}", points.len()));
    }
    let fit = match usl::fit(&points, seed) {
        Ok(fit) => {
            if !fit.fits {
                notes.push(format!(
                    "The law does not describe these points well: one is {:.0} % off.",
                    fit.worst_residual * 100.0
                ));
            }
            Some(fit)
        }
        Err(why) => {
            notes.push(format!("No fit: {why}."));
            None
        }
    };
    Scale { bend: bend(&points), points, fit, notes }
}

/// Where latency begins to grow faster than throughput, by the points that count.
fn bend(points: &[ScalePoint]) -> Option<crate::search::Bend> {
    let counted = points.iter().filter(|point| point.invalid.is_empty());
    let curve = counted.filter_map(|p| Some(CurvePoint { load: p.n, rps: p.rps, p99_ms: p.p99_ms? }));
    kneedle(&curve.collect::<Vec<_>>(), 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrency_rises_by_half_each_time() {
        assert_eq!(connections(1), [1]);
        assert_eq!(connections(20), [1, 2, 3, 5, 8, 12, 18, 20]);
        assert!(connections(128).len() >= usl::MIN_POINTS);
    }

    fn point(n: f64, invalid: bool) -> ScalePoint {
        let invalid = if invalid { vec!["the generator was busy".to_owned()] } else { vec![] };
        ScalePoint { n, rps: 100.0 * n, p50_ms: None, p99_ms: None, invalid }
    }
    #[test]
    fn points_that_do_not_count_are_told_and_not_fitted() {
        let scale = conclude((1..=8).map(|n| point(f64::from(n), n > 4)).collect(), 1);
        assert!(scale.fit.is_none());
        assert!(
            scale.notes[0].starts_with("4 of 8 points do not count: the generator was busy"),
            "{:?}",
            scale.notes
        );
        assert!(scale.notes[1].starts_with("No fit"));
    }
    #[test]
    fn enough_points_are_fitted() {
        let scale = conclude((1..=8).map(|n| point(f64::from(n), false)).collect(), 1);
        assert!(scale.fit.is_some_and(|fit| fit.fits) && scale.notes.is_empty());
    }
    #[test]
    fn falling_numbers_are_refused() {
        let config =
            ScaleConfig { load: LoadConfig::default(), connections: vec![2, 1], length: SETTLE, seed: 1 };
        assert!(scale(&config, &mut |_| {}).is_err());
    }
    #[test]
    fn a_queue_behind_two_workers_bends_where_both_are_busy() {
        let at = |n: f64| ScalePoint {
            n,
            rps: 500.0 * n.min(2.0),
            p50_ms: None,
            p99_ms: Some(2.0 * n.max(2.0) / 2.0),
            invalid: vec![],
        };
        let points: Vec<ScalePoint> = connections(64).into_iter().map(|n| at(n as f64)).collect();
        assert_eq!(conclude(points, 1).bend.map(|bend| bend.load), Some(2.0));
    }
}
