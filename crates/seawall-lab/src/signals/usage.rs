//! From counters to rates: what the process used between samples, and what one request cost.

use crate::report::{Cost, Gauge, Phase, ResourcePoint, Resources, Waiting};

use super::sampler::{Sample, Series};

/// A whole series as the report shows it. `cores` is how many processors the process may use.
///
/// Of the signals endpoint, everything below `queues` and the requests in flight become queue depths, everything below
/// `pools` becomes waiters; the rest is the process itself, which the kernel knows better.
pub fn resources(series: &Series, cores: f64, phases: Vec<Phase>) -> Resources {
    let below = |prefix: &str| {
        let named =
            series.gauges.iter().filter_map(|(path, points)| path.strip_prefix(prefix).map(|n| (n, points)));
        named
            .map(|(name, points)| Gauge { name: name.to_owned(), points: points.clone() })
            .collect::<Vec<_>>()
    };
    let mut queues = below("queues.");
    if let Some(points) = series.gauges.get("server.active_requests") {
        queues.push(Gauge { name: "requests being answered".to_owned(), points: points.clone() });
    }
    Resources { cores, phases, samples: points(&series.samples), queues, pool_waiters: below("pools.") }
}

/// What waited between `from_s` and `to_s`: every queue, then every pool, by name.
pub fn waiting(series: &Series, from_s: f64, to_s: f64) -> Vec<Waiting> {
    let of = |prefix: &'static str, word: &'static str| {
        let named =
            series.gauges.iter().filter_map(move |(path, points)| Some((path.strip_prefix(prefix)?, points)));
        named.filter_map(move |(name, points)| {
            let within = points.iter().filter(|(t, _)| (from_s..=to_s).contains(t)).map(|(_, value)| *value);
            let (count, sum, max) =
                within.fold((0.0, 0.0, 0.0f64), |(n, s, m), v| (n + 1.0, s + v, m.max(v)));
            (count > 0.0).then(|| Waiting { name: format!("{word} {name}"), mean: sum / count, max })
        })
    };
    of("queues.", "queue").chain(of("pools.", "pool")).collect()
}

/// Samples nearer than this to the one before are passed over: the kernel counts CPU in hundredths of a second, and over
/// a shorter time one of them looks like a busy machine.
const MIN_DISTANCE_S: f64 = 0.1;

/// Rates between each sample and the one before. The first sample has none before it and gives no point.
pub fn points(samples: &[Sample]) -> Vec<ResourcePoint> {
    let Some((first, rest)) = samples.split_first() else { return Vec::new() };
    let mut before = first;
    let mut points = Vec::with_capacity(rest.len());
    for sample in rest.iter().filter(|sample| sample.t_s.is_finite()) {
        if sample.t_s - before.t_s >= MIN_DISTANCE_S {
            points.push(point(before, sample));
            before = sample;
        }
    }
    points
}

fn point(before: &Sample, after: &Sample) -> ResourcePoint {
    let seconds = after.t_s - before.t_s;
    let (a, b) = (&before.process, &after.process);
    let per_second = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
    ResourcePoint {
        t_s: after.t_s,
        cpu_user: (b.cpu_user_s - a.cpu_user_s).max(0.0) / seconds,
        cpu_sys: (b.cpu_sys_s - a.cpu_sys_s).max(0.0) / seconds,
        rss_bytes: b.rss_bytes,
        voluntary_per_s: per_second(a.voluntary_switches, b.voluntary_switches),
        involuntary_per_s: per_second(a.involuntary_switches, b.involuntary_switches),
        threads: b.threads,
        open_fds: b.open_fds,
    }
}

/// What one of `requests` cost between `from_s` and `to_s`: the samples next to the window, scaled to its length.
/// `None` without two samples around the window or without requests.
pub fn cost(samples: &[Sample], from_s: f64, to_s: f64, requests: u64) -> Option<Cost> {
    let first = samples.iter().rposition(|s| s.t_s <= from_s).unwrap_or(0);
    let last = samples.iter().position(|s| s.t_s >= to_s).unwrap_or(samples.len().checked_sub(1)?);
    if last <= first || requests == 0 {
        return None;
    }
    let (before, after) = (&samples[first], &samples[last]);
    let spanned = after.t_s - before.t_s;
    if spanned <= 0.0 || to_s <= from_s {
        return None;
    }
    // Samples rarely fall on the window's ends; the service was as busy just beside it as within.
    let share = ((to_s - from_s) / spanned).min(1.0) / requests as f64;
    let (a, b) = (&before.process, &after.process);
    let switches = |from: u64, to: u64| to.saturating_sub(from) as f64 * share;
    Some(Cost {
        cpu_user_us: (b.cpu_user_s - a.cpu_user_s).max(0.0) * 1e6 * share,
        cpu_sys_us: (b.cpu_sys_s - a.cpu_sys_s).max(0.0) * 1e6 * share,
        voluntary_switches: switches(a.voluntary_switches, b.voluntary_switches),
        involuntary_switches: switches(a.involuntary_switches, b.involuntary_switches),
        rss_bytes: samples[first..=last].iter().map(|s| s.process.rss_bytes).max().unwrap_or(0),
        generator_cpu_us: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::ProcessSample;

    fn at(t_s: f64, cpu: f64, switches: u64) -> Sample {
        let process = ProcessSample {
            cpu_user_s: cpu,
            cpu_sys_s: cpu / 2.0,
            rss_bytes: switches * 10,
            voluntary_switches: switches,
            involuntary_switches: switches / 10,
            threads: 3,
            open_fds: None,
        };
        Sample { t_s, process }
    }

    #[test]
    fn rates_are_differences_over_time() {
        let points = points(&[at(1.0, 0.0, 0), at(1.5, 0.25, 100)]);
        assert_eq!(points.len(), 1);
        let point = &points[0];
        assert_eq!((point.t_s, point.cpu_user, point.cpu_sys), (1.5, 0.5, 0.25));
        assert_eq!((point.voluntary_per_s, point.involuntary_per_s), (200.0, 20.0));
    }
    #[test]
    fn a_thread_that_ended_does_not_make_a_negative_rate() {
        assert_eq!(points(&[at(1.0, 0.0, 500), at(2.0, 0.0, 100)])[0].voluntary_per_s, 0.0);
    }
    #[test]
    fn samples_at_one_moment_give_no_rate() {
        assert!(points(&[at(1.0, 0.0, 0), at(1.0, 1.0, 0)]).is_empty());
    }
    #[test]
    fn a_sample_too_near_is_passed_over_and_nothing_is_lost() {
        let points = points(&[at(1.0, 0.0, 0), at(1.01, 0.01, 0), at(2.0, 0.5, 0)]);
        assert_eq!(points.iter().map(|p| (p.t_s, p.cpu_user)).collect::<Vec<_>>(), [(2.0, 0.5)]);
    }

    #[test]
    fn queues_and_pools_are_told_apart_by_their_path() {
        let paths = ["queues.deduct", "pools.sql.read", "server.active_requests", "process.threads"];
        let gauges = paths.iter().map(|path| ((*path).to_owned(), vec![(1.0, 2.0)])).collect();
        let found = resources(&Series { samples: vec![], gauges }, 1.0, vec![]);
        let names = |gauges: &[Gauge]| gauges.iter().map(|g| g.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found.queues), ["deduct", "requests being answered"]);
        assert_eq!(names(&found.pool_waiters), ["sql.read"]);
    }

    #[test]
    fn what_waited_is_averaged_over_the_window() {
        let points = vec![(0.0, 90.0), (1.0, 2.0), (2.0, 4.0), (3.0, 90.0)];
        let gauges =
            [("queues.deduct".to_owned(), points), ("pools.late".to_owned(), vec![(9.0, 1.0)])].into();
        let found = waiting(&Series { samples: vec![], gauges }, 0.5, 2.5);
        assert_eq!(found, [Waiting { name: "queue deduct".into(), mean: 3.0, max: 4.0 }]);
    }

    #[test]
    fn the_cost_is_scaled_to_the_window() {
        let samples = [at(0.0, 0.0, 0), at(1.0, 1.0, 1000), at(2.0, 2.0, 2000), at(3.0, 3.0, 3000)];
        let cost = cost(&samples, 1.25, 2.25, 10_000).unwrap();
        assert!((cost.cpu_user_us - 100.0).abs() < 1e-9 && (cost.cpu_sys_us - 50.0).abs() < 1e-9, "{cost:?}");
        assert!((cost.voluntary_switches - 0.1).abs() < 1e-9);
        assert_eq!(cost.rss_bytes, 30_000);
    }
    #[test]
    fn a_window_beyond_the_samples_uses_what_there_is() {
        let samples = [at(1.0, 1.0, 0), at(2.0, 2.0, 0)];
        let cost = cost(&samples, 0.0, 9.0, 1_000_000).unwrap();
        assert!((cost.cpu_user_us - 1.0).abs() < 1e-9, "not scaled beyond what was seen: {cost:?}");
    }
    #[test]
    fn no_requests_have_no_cost() {
        assert_eq!(cost(&[at(0.0, 0.0, 0), at(1.0, 1.0, 0)], 0.0, 1.0, 0), None);
    }
    #[test]
    fn no_samples_have_no_cost() {
        assert_eq!(cost(&[], 0.0, 1.0, 5), None);
    }
}
