//! The USE table and the threads over time, out of moments: what a report draws. Pure.

use std::collections::BTreeMap;

use super::series::{
    EvidenceLevel, GaugeSeries, MAX_THREADS, PhaseSpan, ResourceSeries, SignalSeries, ThreadPoint,
    ThreadSeries,
};
use super::watch::Moment;
use super::window::{ThreadWindow, Window};

/// All signals of a run. `cores` is how many processors the service may use.
pub fn series(
    moments: &[Moment],
    cores: f64,
    evidence: EvidenceLevel,
    phases: Vec<PhaseSpan>,
) -> SignalSeries {
    let steps: Vec<(f64, Window)> = moments
        .windows(2)
        .filter_map(|pair| Some((pair[1].t_s, Window::between(pair, pair[0].t_s, pair[1].t_s)?)))
        .collect();
    SignalSeries {
        evidence,
        cores,
        phases,
        resources: resources(&steps, cores),
        threads: threads(&steps),
        gauges: gauges(&steps),
    }
}

type Steps = [(f64, Window)];

fn points(steps: &Steps, of: impl Fn(&Window) -> Option<f64>) -> Vec<(f64, f64)> {
    steps.iter().filter_map(|(t_s, window)| Some((*t_s, of(window)?))).collect()
}

fn resources(steps: &Steps, cores: f64) -> Vec<ResourceSeries> {
    let row = |resource: &str, saturation_unit: &str, errors_unit: &str| ResourceSeries {
        resource: resource.to_owned(),
        utilisation: Vec::new(),
        saturation: Vec::new(),
        saturation_unit: saturation_unit.to_owned(),
        errors: Vec::new(),
        errors_unit: errors_unit.to_owned(),
    };
    let hottest = |window: &Window| window.threads.iter().map(|t| t.running).reduce(f64::max);
    let blocked = |share: fn(&ThreadWindow) -> f64| points(steps, move |window| Some(window.in_state(share)));
    let all = [
        ResourceSeries {
            utilisation: points(steps, |w| Some(w.cpu() / cores)),
            saturation: points(steps, |w| Some(w.run_delay)),
            errors: points(steps, |w| w.steal),
            ..row("cpu", "threads waiting for a CPU", "share stolen by the hypervisor")
        },
        ResourceSeries {
            utilisation: points(steps, hottest),
            saturation: points(steps, |w| w.threads.iter().map(|t| t.run_delay).reduce(f64::max)),
            ..row("hottest thread", "share of the time waiting for a CPU", "")
        },
        ResourceSeries {
            saturation: points(steps, |w| w.throttled),
            ..row("cgroup", "share of the periods in which the quota stopped it", "")
        },
        ResourceSeries { saturation: blocked(|t| t.lock), ..row("locks", "threads waiting", "") },
        ResourceSeries {
            saturation: blocked(|t| t.sleep + t.io),
            ..row("blocking calls", "threads blocked", "")
        },
        ResourceSeries {
            utilisation: points(steps, |w| w.io_pressure),
            saturation: blocked(|t| t.disk),
            ..row("disk", "threads waiting", "")
        },
        ResourceSeries {
            saturation: points(steps, |w| w.memory_pressure),
            errors: points(steps, |w| Some(w.major_faults)),
            ..row("memory", "share of the time in which all waited for memory", "major faults per second")
        },
        ResourceSeries {
            saturation: points(steps, |w| Some(f64::from(w.accept_queue))),
            errors: points(steps, |w| w.listen_overflows),
            ..row("accept queue", "connections waiting", "connections dropped per second")
        },
        ResourceSeries {
            errors: points(steps, |w| w.retransmitted),
            ..row("network", "", "share of the segments sent again")
        },
        ResourceSeries {
            utilisation: points(steps, |w| Some(f64::from(w.descriptors?) / w.descriptor_limit? as f64)),
            ..row("open files", "", "")
        },
    ];
    all.into_iter()
        .filter(|r| !(r.utilisation.is_empty() && r.saturation.is_empty() && r.errors.is_empty()))
        .collect()
}

fn threads(steps: &Steps) -> Vec<ThreadSeries> {
    let mut all: BTreeMap<(u32, u32), ThreadSeries> = BTreeMap::new();
    for (t_s, window) in steps {
        for thread in &window.threads {
            let series = all.entry((thread.pid, thread.tid)).or_insert_with(|| ThreadSeries {
                pid: thread.pid,
                tid: thread.tid,
                name: thread.name.clone(),
                points: Vec::new(),
            });
            series.points.push(ThreadPoint {
                t_s: *t_s,
                running: thread.running,
                run_delay: thread.run_delay,
                lock: thread.lock,
                sleep: thread.sleep,
                io: thread.io + thread.disk,
                idle: thread.idle(),
            });
        }
    }
    let mut all: Vec<ThreadSeries> = all.into_values().collect();
    let busy =
        |t: &ThreadSeries| t.points.iter().map(|p| p.running + p.run_delay + p.lock + p.sleep).sum::<f64>();
    all.sort_by(|a, b| busy(b).total_cmp(&busy(a)));
    all.truncate(MAX_THREADS);
    all
}

fn gauges(steps: &Steps) -> Vec<GaugeSeries> {
    let mut all: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (t_s, window) in steps {
        window.gauges.iter().for_each(|(name, value)| all.entry(name).or_default().push((*t_s, *value)));
    }
    all.into_iter().map(|(name, points)| GaugeSeries { name: name.to_owned(), points }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kernel_text::MachineCpu;
    use super::super::service::{Counters, ThreadClock, Totals};
    use super::*;

    fn moment(t_s: f64) -> Moment {
        let thread = |tid| ThreadClock { pid: 1, tid, run_ns: (t_s * 5e6) as u64, ..ThreadClock::default() };
        let counters = Counters {
            totals: Totals { user_s: t_s, ..Totals::default() },
            threads: (0..100).map(thread).collect(),
            machine: Some(MachineCpu { busy_s: t_s, idle_s: t_s, steal_s: 0.0 }),
            ..Counters::default()
        };
        Moment { t_s, counters, gauges: vec![("pools.sql".into(), 3.0)], ..Moment::default() }
    }

    #[test]
    fn each_step_is_a_point_and_what_was_not_read_is_absent() {
        let moments = [moment(0.0), moment(1.0), moment(2.0)];
        let series = series(&moments, 2.0, EvidenceLevel::L1, vec![]);
        assert_eq!(series.resources[0].utilisation, [(1.0, 0.5), (2.0, 0.5)]);
        assert!(!series.resources.iter().any(|row| row.resource == "cgroup"), "there was no quota");
        assert_eq!((series.threads.len(), series.threads[0].points.len()), (MAX_THREADS, 2));
        assert_eq!(series.gauges[0].points, [(1.0, 3.0), (2.0, 3.0)]);
    }
    #[test]
    fn one_moment_is_no_series() {
        assert!(series(&[moment(0.0)], 1.0, EvidenceLevel::L1, vec![]).resources.is_empty());
    }
}
