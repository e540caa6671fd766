//! Where metrics are named: once, at start. Registering takes a lock, updating does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::series::{Counter, Gauge, Timer, TimerSnapshot};

/// The most label combinations one name may have. The next ones share one series whose labels all read `other`, so
/// that no input, however odd, can fill the memory or the monitoring system.
pub const MAX_SERIES_PER_FAMILY: usize = 1_000;

/// All metrics of a process or of a test. Cloning gives another handle to the same registry.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<&'static str, Registered>>>);

type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
struct Registered {
    help: &'static str,
    kind: Kind,
    series: BTreeMap<Labels, Series>,
}

#[derive(Debug, Clone)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Timer(Timer),
}

/// What sort of metric a [`Family`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution of durations.
    Timer,
}

/// One name, with all its series, as they stood when the snapshot was taken.
#[derive(Debug, Clone)]
pub struct Family {
    /// The metric's name, unit last (`seawall_pool_wait_seconds`).
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// What its samples are.
    pub kind: Kind,
    /// One per label combination, ordered by labels.
    pub samples: Vec<Sample>,
}

/// One series of a [`Family`].
#[derive(Debug, Clone)]
pub struct Sample {
    /// Label names and values, in the order of registration.
    pub labels: Vec<(&'static str, String)>,
    /// What it stood at.
    pub value: Value,
}

/// The value of a [`Sample`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter.
    Counter(u64),
    /// Of a gauge.
    Gauge(i64),
    /// Of a timer.
    Timer(TimerSnapshot),
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels, new at zero or the one that already exists.
    ///
    /// # Panics
    /// If the name is already that of another kind of metric: a mistake in the program, found at start.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Counter {
        match self.series(name, help, Kind::Counter, labels) {
            Series::Counter(counter) => counter,
            Series::Gauge(_) | Series::Timer(_) => another_kind(name),
        }
    }

    /// The gauge of this name and these labels, new at zero or the one that already exists.
    ///
    /// # Panics
    /// As [`Registry::counter`].
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        match self.series(name, help, Kind::Gauge, labels) {
            Series::Gauge(gauge) => gauge,
            Series::Counter(_) | Series::Timer(_) => another_kind(name),
        }
    }

    /// The timer of this name and these labels, new and empty or the one that already exists.
    ///
    /// # Panics
    /// As [`Registry::counter`].
    pub fn timer(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Timer {
        match self.series(name, help, Kind::Timer, labels) {
            Series::Timer(timer) => timer,
            Series::Counter(_) | Series::Gauge(_) => another_kind(name),
        }
    }

    /// All families, ordered by name.
    pub fn snapshot(&self) -> Vec<Family> {
        self.0.lock().iter().map(|(name, registered)| registered.family(name)).collect()
    }

    fn series(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&'static str, &str)],
    ) -> Series {
        let mut families = self.0.lock();
        let family =
            families.entry(name).or_insert_with(|| Registered { help, kind, series: BTreeMap::new() });
        let mut key: Labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if family.series.len() >= MAX_SERIES_PER_FAMILY && !family.series.contains_key(&key) {
            key.iter_mut().for_each(|(_, value)| "other".clone_into(value));
        }
        family.series.entry(key).or_insert_with(|| Series::new(kind)).clone()
    }
}

fn another_kind(name: &str) -> ! {
    panic!("the metric `{name}` was registered before as another kind")
}

impl Series {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Counter::default()),
            Kind::Gauge => Self::Gauge(Gauge::default()),
            Kind::Timer => Self::Timer(Timer::default()),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Counter(counter) => Value::Counter(counter.value()),
            Self::Gauge(gauge) => Value::Gauge(gauge.value()),
            Self::Timer(timer) => Value::Timer(timer.snapshot()),
        }
    }
}

impl Registered {
    fn family(&self, name: &'static str) -> Family {
        let sample =
            |(labels, series): (&Labels, &Series)| Sample { labels: labels.clone(), value: series.value() };
        Family { name, help: self.help, kind: self.kind, samples: self.series.iter().map(sample).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_give_the_same_series() {
        let registry = Registry::new();
        registry.counter("hits_total", "Hits.", &[("cache", "a")]).inc();
        registry.counter("hits_total", "Hits.", &[("cache", "a")]).inc();
        registry.counter("hits_total", "Hits.", &[("cache", "b")]).inc();
        let families = registry.snapshot();
        let values: Vec<_> = families[0].samples.iter().map(|sample| sample.value.clone()).collect();
        assert_eq!(values, [Value::Counter(2), Value::Counter(1)]);
    }

    #[test]
    fn a_clone_is_the_same_registry() {
        let registry = Registry::new();
        registry.clone().gauge("depth", "Depth.", &[]).set(7);
        assert_eq!(registry.snapshot()[0].samples[0].value, Value::Gauge(7));
    }

    #[test]
    fn labels_without_end_share_one_series() {
        let registry = Registry::new();
        for n in 0..MAX_SERIES_PER_FAMILY + 50 {
            registry.counter("requests_total", "Requests.", &[("path", &n.to_string())]).inc();
        }
        let family = registry.snapshot().remove(0);
        assert_eq!(family.samples.len(), MAX_SERIES_PER_FAMILY + 1);
        let other = family.samples.iter().find(|sample| sample.labels == [("path", "other".to_owned())]);
        assert_eq!(other.unwrap().value, Value::Counter(50));
    }

    #[test]
    #[should_panic(expected = "`depth` was registered before as another kind")]
    fn a_name_has_one_kind() {
        let registry = Registry::new();
        let _ = registry.gauge("depth", "Depth.", &[]);
        let _ = registry.timer("depth", "Depth.", &[]);
    }
}
