//! Puts the runs of the load generator into a report, one after the other: load, heat map, spectrum, endpoints, errors.

use seawall_core::Histogram;
use seawall_load::{Mode, Report};

use super::data::{Collected, Endpoint, ErrorCount, HeatColumn, LabReport, Spectrum};
use crate::report::{LoadPoint, Phase, Quantile};

/// What runs left behind so far. Memory: a row and at most three hundred cells per second, two histograms per name.
#[derive(Debug, Default)]
pub struct Recorder {
    load: Vec<LoadPoint>,
    heat: Vec<HeatColumn>,
    phases: Vec<Phase>,
    names: Vec<Named>,
    errors: Vec<ErrorCount>,
}

/// All runs of one name together.
#[derive(Debug)]
struct Named {
    name: String,
    intended: Histogram,
    service: Histogram,
    closed: bool,
    requests: u64,
    failed: f64,
    seconds: f64,
}

/// Seconds of a recording at most; of a longer one the end is missing.
const MAX_ROWS: usize = 20_000;

impl Recorder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a run that began `start_s` seconds after the whole did. Runs of one name are shown together.
    pub fn add(&mut self, name: &str, start_s: f64, run: &Report) {
        let room = MAX_ROWS.saturating_sub(self.load.len());
        for (row, slice) in run.series.iter().zip(&run.slices).take(room) {
            let millis = |us: f64| (us > 0.0).then_some(us / 1e3);
            let t_s = start_s + row.t;
            self.load.push(LoadPoint {
                t_s,
                length_s: row.seconds,
                offered_rps: row.offered_rps,
                achieved_rps: row.rps,
                errors_per_s: row.errors as f64 / row.seconds.max(1e-3),
                p50_ms: millis(row.p50),
                p99_ms: millis(row.p99),
                warmup: row.warmup,
            });
            self.heat.push(HeatColumn {
                t_s,
                length_s: row.seconds,
                warmup: row.warmup,
                p50_ms: millis(row.p50),
                p99_ms: millis(row.p99),
                p999_ms: millis(slice.p999_us),
                cells: slice.cells.clone(),
            });
        }
        let end_s = start_s + run.warmup_s + run.duration_s;
        self.phases.push(Phase { name: name.to_owned(), start_s, end_s });
        self.add_totals(name, run);
        self.add_errors(name, run);
    }

    fn add_totals(&mut self, name: &str, run: &Report) {
        let at = self.names.iter().position(|named| named.name == name).unwrap_or_else(|| {
            self.names.push(Named {
                name: name.to_owned(),
                intended: Histogram::new(),
                service: Histogram::new(),
                closed: run.mode == Mode::Closed,
                requests: 0,
                failed: 0.0,
                seconds: 0.0,
            });
            self.names.len() - 1
        });
        let named = &mut self.names[at];
        named.intended.merge(&run.latency);
        named.service.merge(&run.service);
        named.requests += run.requests;
        named.failed += run.error_rate() * attempts(run);
        named.seconds += run.duration_s;
    }

    fn add_errors(&mut self, name: &str, run: &Report) {
        for (class, count) in &run.errors {
            let class = class.name().to_owned();
            let known = self.errors.iter_mut().find(|error| error.class == class && error.during == name);
            match known {
                Some(error) => error.count += count,
                None => self.errors.push(ErrorCount { class, during: name.to_owned(), count: *count }),
            }
        }
    }

    /// Puts everything into `report`. The curves of the spectrum are those of `shown`, in this order; endpoints are named
    /// after what was sent.
    pub fn finish(self, report: &mut LabReport, shown: &[&str]) {
        let nothing = "no load was sent";
        let curve = |histogram: &Histogram| -> Vec<Quantile> {
            let mut odds = vec![1.0];
            odds.extend((1..=80).map(|i| 10f64.powf(f64::from(i) * 0.0625)));
            let reached = odds.into_iter().filter(|odds| *odds <= histogram.count() as f64);
            reached
                .map(|odds| 1.0 - 1.0 / odds)
                .map(|q| Quantile { q, ms: histogram.quantile(q) as f64 / 1e6 })
                .collect()
        };
        let curves: Vec<Spectrum> = shown
            .iter()
            .filter_map(|name| self.names.iter().find(|named| named.name == *name))
            .filter(|named| named.intended.count() > 0)
            .map(|named| Spectrum {
                name: named.name.clone(),
                intended: curve(&named.intended),
                service: if named.closed { Vec::new() } else { curve(&named.service) },
            })
            .collect();
        report.endpoints = self.names.iter().map(|named| endpoint(&report.target, named)).collect();
        report.spectrum =
            Collected::or(Some(curves).filter(|curves| !curves.is_empty()), "nothing was answered");
        report.load = Collected::or(Some(self.load).filter(|load| !load.is_empty()), nothing);
        report.heat = Collected::or(Some(self.heat).filter(|heat| !heat.is_empty()), nothing);
        report.phases = self.phases;
        report.errors = self.errors;
    }
}

fn endpoint(target: &str, named: &Named) -> Endpoint {
    let at = |q: f64| (named.intended.count() > 0).then(|| named.intended.quantile(q) as f64 / 1e6);
    Endpoint {
        name: format!("{target} · {}", named.name),
        requests: named.requests,
        rps: named.requests as f64 / named.seconds.max(1e-3),
        error_rate: named.failed / (named.requests as f64).max(named.failed).max(1.0),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: at(1.0),
    }
}

/// Answers, and requests without one: what the error rate is a share of.
fn attempts(run: &Report) -> f64 {
    let transport: u64 =
        run.errors.iter().filter(|(class, _)| class.is_transport()).map(|(_, count)| count).sum();
    (run.requests + transport) as f64
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use seawall_load::{Load, LoadConfig, WarmUp};

    use super::*;

    /// A server that answers every read with this.
    fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(1..) = stream.read(&mut buffer) {
                        let _ = stream.write_all(answer.as_bytes());
                    }
                });
            }
        });
        url
    }

    fn run(answer: &'static str) -> Report {
        let config = LoadConfig {
            url: serve(answer),
            connections: 2,
            rate: Some(100.0),
            duration: Duration::from_millis(500),
            warmup: WarmUp::Fixed(Duration::from_millis(250)),
            ..LoadConfig::default()
        };
        Load::new(&config).unwrap().run(&mut |_| {}).unwrap()
    }

    #[test]
    fn runs_of_one_name_are_one_curve_and_every_answer_is_in_the_heat_map() {
        let runs = [
            run("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            run("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        ];
        let mut recorder = Recorder::new();
        recorder.add("A", 0.0, &runs[0]);
        recorder.add("B", 10.0, &runs[1]);
        recorder.add("A", 20.0, &runs[0]);
        let mut report = LabReport::empty("compare", "GET /");
        recorder.finish(&mut report, &["A", "B"]);
        let spectrum = report.spectrum.data().unwrap();
        assert_eq!(spectrum.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(report.endpoints[0].requests, 2 * runs[0].requests);
        assert!(report.endpoints[1].error_rate > 0.99 && report.endpoints[0].error_rate == 0.0);
        assert_eq!(report.errors[0].during, "B");
        let heat = report.heat.data().unwrap();
        let counted: u64 =
            heat.iter().filter(|c| c.t_s >= 10.0 && c.t_s < 20.0).flat_map(|c| &c.cells).map(|c| c.1).sum();
        assert!(counted >= runs[1].requests, "{counted} {}", runs[1].requests);
        assert!(report.load.data().unwrap().iter().any(|p| p.warmup));
        assert_eq!(report.phases.len(), 3);
    }
}
