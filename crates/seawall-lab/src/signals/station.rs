//! Queues with their threads, out of what a Seawall service says of them: how long each is, and how much of its threads is
//! used. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::watch::Moment;

/// Paths of the signals endpoint that are counted from the start, and mean nothing but by their growth.
const COUNTED: [&str; 3] = [".jobs", ".busy_s", ".waited_s"];
const THREADS: &str = "threads.";

/// A queue and the threads that take from it, over a while.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Station {
    /// Such as "sql.read".
    pub name: String,
    /// Threads that take from the queue.
    pub threads: f64,
    /// Jobs in the queue and callers who wait for room in it, on average.
    pub waiting: f64,
    /// Jobs that were finished, per second; of a writer, batches of them.
    pub jobs: f64,
    /// Threads that were at work, on average.
    pub busy: f64,
}

impl Station {
    /// Share of its threads' time that is used, 0 to 1.
    pub fn utilisation(&self) -> f64 {
        (self.busy / self.threads.max(1.0)).clamp(0.0, 1.0)
    }

    /// Time of one job at a thread, milliseconds.
    pub fn work_ms(&self) -> f64 {
        self.busy * 1e3 / self.jobs.max(1e-9)
    }

    /// Whether the thread of this name is one of its own: the service names them after the queue.
    pub fn has_thread(&self, name: &str) -> bool {
        name.starts_with(&self.name.replace('.', "-"))
    }
}

/// Whether the number at this path only grows; its average over a while says nothing.
pub(super) fn is_counted(path: &str) -> bool {
    path.starts_with(THREADS) && COUNTED.iter().any(|end| path.ends_with(end))
}

/// The stations between the first and the last moment that know them; those that say nothing of their threads are none.
pub(super) fn stations(moments: &[Moment]) -> Vec<Station> {
    let known = |moment: &&Moment| !moment.gauges.is_empty();
    let (Some(first), Some(last)) = (moments.iter().find(known), moments.iter().rfind(known)) else {
        return Vec::new();
    };
    let seconds = last.t_s - first.t_s;
    let (before, after) = (by_path(first), by_path(last));
    let names = after.keys().filter_map(|path| path.strip_prefix(THREADS)?.strip_suffix(".count"));
    let station = |name: &str| {
        let grown = |what: &str| {
            let path = format!("{THREADS}{name}.{what}");
            Some((after.get(path.as_str())? - before.get(path.as_str())?).max(0.0) / seconds)
        };
        let mean = |path: &str| mean(moments, path).unwrap_or(0.0);
        Some(Station {
            name: name.to_owned(),
            threads: *after.get(format!("{THREADS}{name}.count").as_str())?,
            // The seconds waited per second are how many waited: exact, where a gauge is only looked at now and then.
            waiting: grown("waited_s")? + mean(&format!("pools.{name}")),
            jobs: grown("jobs")?,
            busy: grown("busy_s")?,
        })
    };
    if seconds > 0.0 { names.filter_map(station).collect() } else { Vec::new() }
}

fn by_path(moment: &Moment) -> BTreeMap<&str, f64> {
    moment.gauges.iter().map(|(path, value)| (path.as_str(), *value)).collect()
}

/// The first moment is the end of the time before.
fn mean(moments: &[Moment], path: &str) -> Option<f64> {
    let of = |moment: &Moment| moment.gauges.iter().find(|(name, _)| name == path).map(|(_, value)| *value);
    let values: Vec<f64> = moments.iter().skip(1).filter_map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(t_s: f64, numbers: &[(&str, f64)]) -> Moment {
        let gauges = numbers.iter().map(|(path, value)| ((*path).to_owned(), *value)).collect();
        Moment { t_s, gauges, ..Moment::default() }
    }

    fn at(t_s: f64, waiters: f64) -> Moment {
        moment(
            t_s,
            &[
                ("pools.sql.read", waiters),
                ("queues.orders", 9.0),
                ("threads.sql.read.count", 2.0),
                ("threads.sql.read.jobs", 1_000.0 * t_s),
                ("threads.sql.read.busy_s", 1.5 * t_s),
                ("threads.sql.read.waited_s", 25.0 * t_s),
            ],
        )
    }

    #[test]
    fn what_is_counted_becomes_a_rate_and_what_waits_an_average() {
        let found = stations(&[at(1.0, 99.0), at(2.0, 20.0), at(3.0, 30.0)]);
        let [station] = found.as_slice() else { panic!("{found:?}") };
        let expected =
            Station { name: "sql.read".into(), threads: 2.0, waiting: 50.0, jobs: 1_000.0, busy: 1.5 };
        assert_eq!(*station, expected);
        assert_eq!((station.utilisation(), station.work_ms()), (0.75, 1.5));
        assert!(station.has_thread("sql-reader") && !station.has_thread("sql-writer"));
    }
    #[test]
    fn a_moment_without_signals_is_passed_over() {
        let found = stations(&[moment(0.0, &[]), at(1.0, 5.0), at(2.0, 5.0), moment(3.0, &[])]);
        assert_eq!(found[0].jobs, 1_000.0);
    }
    #[test]
    fn without_two_answers_there_are_no_rates() {
        assert!(stations(&[at(1.0, 5.0)]).is_empty() && stations(&[]).is_empty());
        let older = moment(1.0, &[("queues.sql.read", 5.0)]);
        assert!(stations(&[older.clone(), older]).is_empty());
    }
    #[test]
    fn only_what_grows_is_counted() {
        assert!(is_counted("threads.sql.read.jobs") && is_counted("threads.sql.read.busy_s"));
        assert!(!is_counted("threads.sql.read.count") && !is_counted("queues.some.jobs"));
    }
}
