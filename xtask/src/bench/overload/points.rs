//! One server with one handler at one multiple of its capacity; and from all such points the rows of the JSON.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::super::process::Server;
use super::cases::{Handler, Peer, refusals};
use super::load::{Generator, Length, Pace, Run};
use super::servers::settle;
use super::sums::{self, Prices};

/// The closed loop that finds the capacity.
const CAPACITY: Length = Length { warmup_ms: 150, seconds: 1.0 };
/// The first second of a process is not like the others.
const WARM_UP: Length = Length { warmup_ms: 0, seconds: 1.5 };
/// What comes before a point's measurement.
const LEAD_MS: u32 = 500;
/// A server that waited longer than this for its core shared it with other work.
const MOST_WAITING: f64 = 0.10;
/// Refusals at capacity, as a share of the answers, beyond which the capacity is none.
const REFUSED_AT_CAPACITY: f64 = 0.02;

/// A server with one of its handlers, running.
pub(super) struct Visit {
    generator: Generator,
    pub(super) server: Server,
    pub(super) peer: Peer,
    pub(super) handler: Handler,
    /// The last one that was measured, if nothing has happened since.
    capacity: Option<Capacity>,
}

/// What a server can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    /// Mean requests per second.
    pub(super) rps: f64,
    /// CPU of one.
    pub(super) answer_us: f64,
}

/// What was measured at one multiple.
#[derive(Debug, Clone)]
pub(super) struct Point {
    peer: Peer,
    handler: Handler,
    times: f64,
    before: Capacity,
    after: Capacity,
    repeats: u32,
    seconds: f64,
    offered_rps: f64,
    good_rps: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    refused_rps: f64,
    /// Of the whole run, the half second before included.
    cpu_us: f64,
    work_total: f64,
    refused_total: u64,
    rss_start_kib: f64,
    rss_max_kib: f64,
    status: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    doubts: Vec<String>,
}

/// A point as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) server: Peer,
    pub(super) handler: Handler,
    pub(super) offered_x: f64,
    /// Good answers, as a share of the capacity; of `mixed` weighted by what they compute.
    pub(super) goodput_share: f64,
    /// Of the answers 2xx, good or late, from the time when they were due. Absent without any.
    pub(super) p99_ms: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) refused_per_s: f64,
    /// Refusals over what was due.
    pub(super) refused_share: f64,
    /// CPU of the server per refusal: all that it used less what its answers cost in the closed loop. Absent with few.
    pub(super) refusal_cpu_us: Option<f64>,
    /// The most during the point, and just before.
    pub(super) rss_kib: f64,
    pub(super) rss_start_kib: f64,
    /// The share that is possible with the cost of a refusal that this server showed where it refused most.
    pub(super) ceiling: Option<f64>,
    /// The goodput over it.
    pub(super) of_ceiling: Option<f64>,
    pub(super) offered_rps: f64,
    pub(super) good_rps: f64,
    pub(super) capacity_before: f64,
    pub(super) capacity_after: f64,
    /// CPU of an answer in the closed loop, and at this multiple with refusals at no cost.
    pub(super) answer_cpu_us: f64,
    pub(super) cpu_us_per_answer: Option<f64>,
    pub(super) repeats: u32,
    pub(super) seconds: f64,
    pub(super) status: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    /// The numbers are the server's own. If not, why.
    pub(super) valid: bool,
    pub(super) doubts: Vec<String>,
}

impl Visit {
    pub(super) fn new(generator: Generator, server: Server, peer: Peer, handler: Handler) -> Self {
        Self { generator, server, peer, handler, capacity: None }
    }

    pub(super) fn load(&mut self, pace: &Pace, length: Length) -> Result<Run> {
        self.capacity = None;
        self.generator.load(&self.server, self.handler.path(), pace, length)
    }

    fn closed(&self) -> Pace {
        Pace::Closed(self.handler.closed_connections(self.peer))
    }

    pub(super) fn warm_up(&mut self) -> Result<()> {
        self.load(&self.closed(), WARM_UP).map(drop)
    }

    /// What the server can do now.
    pub(super) fn capacity(&mut self) -> Result<Capacity> {
        if let Some(capacity) = self.capacity {
            return Ok(capacity);
        }
        settle(&self.server, self.handler.probe())?;
        let run = self.load(&self.closed(), CAPACITY)?;
        let answers: u64 = run.seen.status_total.values().sum();
        let refused = refusals(&run.seen.status_total) as f64 / answers.max(1) as f64;
        ensure!(refused <= REFUSED_AT_CAPACITY, "it refuses {:.1} % of a closed loop", refused * 100.0);
        let work = self.handler.work(&run.seen.status_total);
        let rps = self.handler.work(&run.seen.status) / run.seen.duration_s;
        ensure!(work > 0.0 && rps > 0.0, "it answers nothing: {:?}, {:?}", run.seen.status, run.seen.errors);
        let capacity = Capacity { rps, answer_us: run.cpu_us / work };
        self.capacity = Some(capacity);
        Ok(capacity)
    }

    /// Measures at a multiple, again if the machine was not the same before and after, or if the generator was the
    /// limit.
    pub(super) fn point(&mut self, times: f64, seconds: u32, poisson: bool, repeats: u32) -> Result<Point> {
        let mut point = self.measure(times, seconds, poisson)?;
        while !point.is_valid() && point.repeats < repeats {
            let again = self.measure(times, seconds, poisson)?;
            point = Point { repeats: point.repeats + 1, ..again };
        }
        Ok(point)
    }

    /// Why the numbers of a run may say more about the machine than about the server.
    pub(super) fn doubts(&self, run: &Run) -> Vec<String> {
        let mut doubts = run.seen.doubts();
        // Go runs many threads, which wait for one another.
        if run.waited_share > MOST_WAITING && self.peer != Peer::Echo4 {
            doubts.push(format!(
                "the server waited for its core {:.0} % of the time",
                run.waited_share * 100.0
            ));
        }
        doubts
    }

    fn measure(&mut self, times: f64, seconds: u32, poisson: bool) -> Result<Point> {
        let context = || format!("at {times} times the capacity");
        let before = self.capacity().with_context(context)?;
        let rate = before.rps * times;
        let pace = if poisson { Pace::Poisson(rate) } else { Pace::Rate(rate) };
        let length = Length { warmup_ms: LEAD_MS, seconds: f64::from(seconds) };
        let run = self.load(&pace, length).with_context(context)?;
        let after = self.capacity().with_context(|| format!("after {times} times the capacity"))?;
        let (seen, handler) = (&run.seen, self.handler);
        let success = |us: f64| (us > 0.0).then_some(us / 1e3);
        Ok(Point {
            peer: self.peer,
            handler,
            times,
            before,
            after,
            repeats: 0,
            seconds: seen.duration_s,
            offered_rps: seen.offered_rps,
            good_rps: handler.work(&seen.good.status) / seen.duration_s,
            p50_ms: success(seen.good.success_us.p50),
            p99_ms: success(seen.good.success_us.p99),
            refused_rps: refusals(&seen.status) as f64 / seen.duration_s,
            cpu_us: run.cpu_us,
            work_total: handler.work(&seen.status_total),
            refused_total: refusals(&seen.status_total),
            rss_start_kib: run.rss_start_kib,
            rss_max_kib: run.rss_max_kib(),
            status: seen.status.clone(),
            errors: seen.errors.clone(),
            doubts: self.doubts(&run),
        })
    }
}

impl Point {
    fn is_valid(&self) -> bool {
        self.doubts.is_empty() && self.is_steady()
    }

    fn is_steady(&self) -> bool {
        sums::agree(self.before.rps, self.after.rps)
    }

    fn capacity(&self) -> Capacity {
        let (before, after) = (self.before, self.after);
        Capacity {
            rps: (before.rps + after.rps) / 2.0,
            answer_us: (before.answer_us + after.answer_us) / 2.0,
        }
    }

    fn refusal_us(&self) -> Option<f64> {
        sums::refusal_us(self.cpu_us, self.work_total, self.capacity().answer_us, self.refused_total)
    }

    /// What is said of it while the run goes on.
    pub(super) fn line(&self) -> String {
        let ms = self.p99_ms.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let cost = self.refusal_us().map(|us| format!(" at {us:.1} us")).unwrap_or_default();
        let doubts = match (self.doubts.is_empty(), self.is_steady()) {
            (true, true) => String::new(),
            (false, _) => format!("  INVALID: {}", self.doubts.join("; ")),
            (true, false) => "  UNSTEADY: the capacity moved by more than 5 %".to_owned(),
        };
        format!(
            "{:<6} {:<14} {:>5}x {:>7.0}/s due  good {:>5.1} % of C  p99 {ms:>9}  refused {:>6.0}/s{cost}  (C {:.0}, {:.0}){doubts}",
            self.handler.name(),
            self.peer.name(),
            self.times,
            self.offered_rps,
            self.good_rps / self.capacity().rps * 100.0,
            self.refused_rps,
            self.before.rps,
            self.after.rps
        )
    }
}

/// All points as rows.
pub(super) fn rows(points: &[Point]) -> Vec<Row> {
    points.iter().map(|point| row(point, refusal_price(points, point))).collect()
}

/// What a refusal costs a server with a handler: where it refused most that is known best.
fn refusal_price(points: &[Point], of: &Point) -> Option<f64> {
    let same = points.iter().filter(|point| (point.peer, point.handler) == (of.peer, of.handler));
    same.max_by_key(|point| point.refused_total)?.refusal_us()
}

fn row(point: &Point, refusal_us: Option<f64>) -> Row {
    let capacity = point.capacity();
    let share = point.good_rps / capacity.rps;
    let (rps, answer_us, computes) = (capacity.rps, capacity.answer_us, point.handler.computes());
    let prices = refusal_us.map(|refusal_us| Prices { capacity: rps, answer_us, refusal_us, computes });
    let ceiling = prices.map(|prices| prices.ceiling(point.offered_rps / capacity.rps));
    let mut doubts = point.doubts.clone();
    if !point.is_steady() {
        doubts.push("the capacity before and after differs by more than 5 %".to_owned());
    }
    Row {
        server: point.peer,
        handler: point.handler,
        offered_x: point.times,
        goodput_share: share,
        p99_ms: point.p99_ms,
        p50_ms: point.p50_ms,
        refused_per_s: point.refused_rps,
        refused_share: point.refused_rps / point.offered_rps.max(1e-9),
        refusal_cpu_us: point.refusal_us(),
        rss_kib: point.rss_max_kib,
        rss_start_kib: point.rss_start_kib,
        ceiling,
        of_ceiling: ceiling.filter(|ceiling| *ceiling > 0.0).map(|ceiling| share / ceiling),
        offered_rps: point.offered_rps,
        good_rps: point.good_rps,
        capacity_before: point.before.rps,
        capacity_after: point.after.rps,
        answer_cpu_us: capacity.answer_us,
        cpu_us_per_answer: (point.work_total > 0.0).then(|| point.cpu_us / point.work_total),
        repeats: point.repeats,
        seconds: point.seconds,
        status: point.status.clone(),
        errors: point.errors.clone(),
        valid: point.is_valid(),
        doubts,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn point(peer: Peer, times: f64, good_rps: f64) -> Point {
        let capacity = Capacity { rps: 1_000.0, answer_us: 1_000.0 };
        let refused = times * 1_000.0 - good_rps;
        Point {
            peer,
            handler: Handler::Cpu,
            times,
            before: capacity,
            after: capacity,
            repeats: 0,
            seconds: 3.0,
            offered_rps: times * 1_000.0,
            good_rps,
            p50_ms: Some(6.0),
            p99_ms: Some(12.0),
            refused_rps: refused,
            cpu_us: 3.5e6,
            work_total: good_rps * 3.5,
            refused_total: (refused * 3.5) as u64,
            rss_start_kib: 9_000.0,
            rss_max_kib: 10_000.0,
            status: BTreeMap::from([(200, (good_rps * 3.0) as u64), (503, (refused * 3.0) as u64)]),
            errors: BTreeMap::new(),
            doubts: Vec::new(),
        }
    }

    #[test]
    fn the_ceiling_comes_from_where_most_was_refused() {
        let points = [point(Peer::Seawall, 2.0, 980.0), point(Peer::Seawall, 11.0, 900.0)];
        let rows = rows(&points);
        // 100 ms of each second went into 10,100 refusals, so at twice the capacity 1,000 of them take 1 %.
        let refusal = 0.1e6 / 10_100.0;
        assert!((rows[1].refusal_cpu_us.unwrap() - refusal).abs() < 1e-6, "{rows:?}");
        let r = refusal / 1_000.0;
        assert!((rows[0].ceiling.unwrap() - (1.0 - 2.0 * r) / (1.0 - r)).abs() < 1e-9, "{rows:?}");
        assert!((rows[1].of_ceiling.unwrap() - 1.0).abs() < 1e-6, "{rows:?}");
        assert!(rows[0].valid && rows[0].doubts.is_empty());
    }

    #[test]
    fn a_capacity_that_moved_is_a_doubt() {
        let moved = Capacity { rps: 1_100.0, answer_us: 909.0 };
        let points = [Point { after: moved, ..point(Peer::Axum, 2.0, 40.0) }];
        let row = &rows(&points)[0];
        assert!(!row.valid && row.doubts[0].contains("5 %"), "{row:?}");
        assert!(points[0].line().contains("UNSTEADY"), "{}", points[0].line());
    }
}
