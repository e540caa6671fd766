//! A report of the lab with plausible numbers: a service with a pool that is too small, diagnosed, changed, compared.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::collections::BTreeMap;

use seawall_lab::artifact::Scale;
use seawall_lab::compare::{
    Block, CompareConfig, Comparison, Metric, Pair, SignalPair, judge_pairs, means, signal_differences,
};
use seawall_lab::diagnose::{
    Cause, Diagnosis, Experiment, ExperimentResult, Finding, LevelSummary, Number, Severity, Verdict,
};
use seawall_lab::laws::little::LittleCheck;
use seawall_lab::laws::usl::{CurvePoint, ScalePoint, UslFit};
use seawall_lab::laws::utilisation::CpuCeiling;
use seawall_lab::profile::{Frame, Profile, ProfileKind, Stack};
use seawall_lab::report::lab::{
    Collected, Endpoint, ErrorCount, HeatColumn, KernelHistogram, LabReport, Mood, NamedProfile, Objective,
    ProfilePair, Spectrum, waterfalls,
};
use seawall_lab::report::{Fact, LoadPoint, Phase, Quantile, Validity};
use seawall_lab::search::{Axis, Bend, Ending, Estimate, Judgement, KneeInterval, KneeProbe, Stage};
use seawall_lab::signals::series::{
    EvidenceLevel, GaugeSeries, PhaseSpan, ResourceSeries, SignalSeries, ThreadPoint, ThreadSeries,
};
use seawall_lab::stats::{Counts, Random};

const END_S: usize = 96;

fn around(random: &mut Random, spread: f64) -> f64 {
    1.0 + spread * (random.unit() * 2.0 - 1.0)
}

/// What was offered in each second: idle, five levels, and then blocks of A and B in turn.
fn plan(second: usize) -> Option<(f64, &'static str)> {
    match second {
        0..4 => None,
        4..=13 => Some((800.0, "8 connections")),
        15..=24 => Some((1600.0, "16 connections")),
        26..=35 => Some((3200.0, "32 connections")),
        37..=46 => Some((4600.0, "64 connections")),
        50.. if (second - 50) % 12 < 5 => Some((3000.0, "A")),
        50.. if (6..11).contains(&((second - 50) % 12)) => Some((3000.0, "B")),
        _ => None,
    }
}

/// The whole sample.
pub(crate) fn report() -> LabReport {
    let signals = signals();
    let diagnosis = diagnosis();
    let waterfall = waterfalls(&diagnosis.levels, &signals);
    let (load, heat) = load();
    LabReport {
        title: "Flash sale: one reader, and eight".into(),
        kind: "cycle".into(),
        target: "GET http://127.0.0.1:8080/api/v1/products/1".into(),
        generated_at: "2026-11-30 21:04:05 UTC".into(),
        generator: "seawall 0.1.0".into(),
        command: "seawall lab cycle lab.toml --html report.html".into(),
        duration_s: 96.4,
        headline: "A pool of one connection was the limit; with eight, p99 falls by 71 %, proven".into(),
        mood: Mood::Good,
        validity: Validity { valid: true, reasons: vec![] },
        objectives: vec![
            Objective { text: "p99<50ms".into(), measured: "31.2 ms".into(), met: true },
            Objective { text: "err<0.1%".into(), measured: "0.02 %".into(), met: true },
        ],
        evidence: Some(EvidenceLevel::L2),
        missing: vec![
            "no run-queue latency: this needs CAP_BPF (`setcap cap_bpf,cap_perfmon+ep seawall`)".into(),
        ],
        phases: phases(),
        load: Collected::Data(load),
        heat: Collected::Data(heat),
        spectrum: Collected::Data(vec![
            Spectrum { name: "A: one reader".into(), intended: curve(1.9, 160.0), service: curve(1.2, 71.0) },
            Spectrum {
                name: "B: eight readers".into(),
                intended: curve(0.7, 31.0),
                service: curve(0.7, 24.0),
            },
        ]),
        knee: Collected::Data(knee()),
        scale: Collected::Data(scale()),
        waterfall: Collected::Data(waterfall),
        sides: vec![sides(&signals)],
        signals: Collected::Data(signals),
        profiles: Collected::Data(vec![
            NamedProfile { name: "CPU, above the knee".into(), profile: profile(7, 1.0) },
            NamedProfile { name: "Off CPU, above the knee".into(), profile: off_cpu() },
        ]),
        differences: Collected::Data(vec![
            pair(("below the knee", profile(7, 0.3)), ("above the knee", profile(7, 1.0))),
            pair(("one reader", profile(7, 1.0)), ("eight readers", profile(7, 0.2))),
        ]),
        kernel: Collected::Data(kernel()),
        diagnosis: Collected::Data(diagnosis),
        comparisons: Collected::Data(vec![comparison()]),
        endpoints: vec![Endpoint {
            name: "GET /api/v1/products/1".into(),
            requests: 187_233,
            rps: 2991.0,
            error_rate: 0.0002,
            p50_ms: Some(1.9),
            p99_ms: Some(61.0),
            p999_ms: Some(160.0),
            max_ms: Some(402.0),
        }],
        errors: vec![
            ErrorCount { class: "timeout_first_byte".into(), during: "64 connections".into(), count: 31 },
            ErrorCount { class: "status_5xx".into(), during: "64 connections".into(), count: 6 },
        ],
        settings: facts(&[
            ("Connections", "64"),
            ("Block", "5 s"),
            ("Pairs", "10 and 6 for the noise"),
            ("Seed", "1"),
        ]),
        environment: facts(&[
            ("Processor", "2 × AMD EPYC"),
            ("Kernel", "linux 6.18.44"),
            ("Git commit", "7f7058d, clean"),
            ("rustc", "1.95.0"),
        ]),
    }
}

fn facts(pairs: &[(&str, &str)]) -> Vec<Fact> {
    pairs.iter().map(|(name, value)| Fact { name: (*name).into(), value: (*value).into() }).collect()
}

fn phases() -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for second in 0..END_S {
        let name = plan(second).map_or("", |(_, name)| name);
        match phases.last_mut() {
            Some(last) if last.name == name && (last.end_s - second as f64).abs() < 0.1 => {
                last.end_s = (second + 1) as f64;
            }
            _ => phases.push(Phase { name: name.into(), start_s: second as f64, end_s: (second + 1) as f64 }),
        }
    }
    phases.retain(|phase| !phase.name.is_empty());
    phases
}

fn load() -> (Vec<LoadPoint>, Vec<HeatColumn>) {
    let mut random = Random::new(5);
    let (mut points, mut columns, mut before) = (Vec::new(), Vec::new(), "");
    for second in 0..END_S {
        let Some((offered, name)) = plan(second) else { continue };
        let warmup = name != before;
        before = name;
        let answered = offered.min(4100.0) * around(&mut random, 0.02) * if warmup { 0.8 } else { 1.0 };
        let slow = match name {
            "64 connections" => 30.0,
            "32 connections" | "A" => 4.0,
            _ => 1.0,
        };
        let cells = cells(&mut random, answered as u64, slow, name == "A");
        let at = |q: f64| -> Option<f64> {
            let counts = Counts::new(cells.iter().map(|(cell, n)| (u64::from(*cell), *n)).collect());
            counts.quantile(q).map(|cell| 2f64.powf((cell as f64 + 0.5) / 8.0) / 1e6)
        };
        let (t_s, length_s) = (second as f64, 1.0);
        points.push(LoadPoint {
            t_s,
            length_s,
            offered_rps: offered,
            achieved_rps: answered,
            errors_per_s: if name == "64 connections" { 40.0 * around(&mut random, 0.5) } else { 0.0 },
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            warmup,
        });
        let (p50_ms, p99_ms, p999_ms) = (at(0.5), at(0.99), at(0.999));
        columns.push(HeatColumn { t_s, length_s, warmup, p50_ms, p99_ms, p999_ms, cells });
    }
    (points, columns)
}

/// Latencies of one second: log-normal, and for some a second hump further up.
fn cells(random: &mut Random, count: u64, slow: f64, humps: bool) -> Vec<(u32, u64)> {
    let mut found: BTreeMap<u32, u64> = BTreeMap::new();
    for i in 0..count {
        let normal: f64 = (0..6).map(|_| random.unit() - 0.5).sum::<f64>() * 1.41;
        let hump = if humps && i % 12 == 0 { 14.0 } else { 1.0 };
        let ms = 0.8 * slow * hump * (0.5 * normal).exp() * if i % 700 == 0 { 6.0 } else { 1.0 };
        *found.entry(((ms * 1e6).log2() * 8.0) as u32).or_insert(0) += 1;
    }
    found.into_iter().collect()
}

fn curve(median: f64, p999: f64) -> Vec<Quantile> {
    let slope = (p999 / median).ln() / 500f64.ln();
    let at = |odds: f64| Quantile { q: 1.0 - 1.0 / odds, ms: median * (odds / 2.0).powf(slope).max(0.45) };
    (0..=80).map(|i| at(10f64.powf(f64::from(i) * 0.05))).collect()
}

fn knee() -> KneeInterval {
    let loads =
        [500.0, 750.0, 1125.0, 1690.0, 2530.0, 3800.0, 3100.0, 3430.0, 3260.0, 3260.0, 3430.0, 3345.0];
    let probes = loads.iter().enumerate().map(|(i, load)| {
        let p99 = if *load < 3350.0 { 4.0 / (1.0 - load / 3600.0) } else { 60.0 + (load - 3350.0) * 0.7 };
        let judgement = match (i, *load) {
            (8, _) => Judgement::Invalid,
            (11, _) => Judgement::Marginal,
            (_, load) if load < 3350.0 => Judgement::Pass,
            _ => Judgement::Fail,
        };
        KneeProbe {
            load: *load,
            stage: Stage::Ramp,
            achieved_rps: *load,
            p50_ms: Some(1.2 + load / 2000.0),
            p99_ms: Some(Estimate { low: p99 * 0.92, value: p99, high: p99 * 1.08 }),
            error_rate: 0.0,
            judgement,
            reasons: vec![],
        }
    });
    KneeInterval {
        axis: Axis::Rate,
        lo: Some(3260.0),
        hi: Some(3430.0),
        rps_at_lo: Some(3258.0),
        ending: Ending::Confirmed,
        slo: "p99<50ms,err<0.1%".into(),
        valid: true,
        reasons: vec![],
        probes: probes.collect(),
    }
}

fn scale() -> Scale {
    let law = |n: f64| 520.0 * n / (1.0 + 0.06 * (n - 1.0) + 0.0009 * n * (n - 1.0));
    let mut random = Random::new(3);
    let points = [1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0].map(|n| ScalePoint {
        n,
        rps: law(n) * around(&mut random, 0.04),
        p50_ms: Some(1.0),
        p99_ms: Some(4.0),
        invalid: if n == 24.0 { vec!["generator late".into()] } else { vec![] },
    });
    let curve = (1..=64).map(|n| {
        let (n, width) = (f64::from(n), 0.03 + f64::from(n) / 1500.0);
        CurvePoint { n, rps: law(n), low: law(n) * (1.0 - width), high: law(n) * (1.0 + width) }
    });
    let near = |value: f64| Estimate { low: value * 0.9, value, high: value * 1.1 };
    Scale {
        points: points.to_vec(),
        fit: Some(UslFit {
            lambda: near(520.0),
            sigma: near(0.06),
            kappa: near(0.0009),
            peak_n: Some(Estimate { low: 29.0, value: 32.3, high: 36.0 }),
            peak_rps: Some(near(law(32.0))),
            asymptote_rps: None,
            r_squared: 0.99,
            worst_residual: 0.06,
            fits: true,
            curve: curve.collect(),
            meaning: "More than 32 connections make it slower.".into(),
        }),
        bend: Some(Bend { load: 8.0, between: (4.0, 16.0), rps: law(8.0), p99_ms: 4.0, sharpness: 0.4 }),
        notes: vec![],
    }
}

fn signals() -> SignalSeries {
    let mut random = Random::new(9);
    let busy = |second: usize| plan(second).map_or(0.02, |(rate, _)| (rate / 4600.0).min(1.0));
    let series = |random: &mut Random, of: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        (0..END_S).map(|s| ((s + 1) as f64, (of(busy(s)) * around(random, 0.08)).clamp(0.0, 1.0))).collect()
    };
    let mut resource =
        |name: &str, busy: &dyn Fn(f64) -> f64, waits: &dyn Fn(f64) -> f64, errors: &dyn Fn(f64) -> f64| {
            ResourceSeries {
                resource: name.into(),
                utilisation: series(&mut random, busy),
                saturation: series(&mut random, waits),
                saturation_unit: "share of time waiting".into(),
                errors: series(&mut random, errors),
                errors_unit: "per second".into(),
            }
        };
    let above = |limit: f64| move |busy: f64| if busy > limit { busy - limit } else { 0.0 };
    let none = |_: f64| 0.0;
    let resources = vec![
        resource("cpu", &|b| b * 0.62, &none, &none),
        resource("hottest thread", &|b| b * 0.97, &above(0.95), &none),
        resource("pool sql.read", &|b| (b * 1.6).min(1.0), &above(0.5), &none),
        resource("accept queue", &|b| b * 0.1, &none, &above(0.97)),
        resource("memory", &|_| 0.31, &none, &none),
        resource("network", &|b| b * 0.08, &none, &none),
        resource("open files", &|b| 0.02 + b * 0.05, &none, &none),
        resource("generator", &|b| b * 0.35, &none, &none),
    ];
    let threads = (0..6)
        .map(|i| ThreadSeries {
            pid: 4100,
            tid: 4100 + i,
            name: ["worker-0", "worker-1", "sql-reader", "sql-writer", "main", "admin"][i as usize].into(),
            points: (0..END_S)
                .map(|second| thread_point(i, (second + 1) as f64, busy(second) * around(&mut random, 0.1)))
                .collect(),
        })
        .collect();
    let gauges = [
        "pools.sql.read.waiters",
        "queues.deduct.depth",
        "server.active_requests",
        "limits.orders.in_flight",
    ]
    .iter()
    .enumerate()
    .map(|(i, name)| GaugeSeries {
        name: (*name).into(),
        points: (0..END_S)
            .map(|s| {
                ((s + 1) as f64, (busy(s) * around(&mut random, 0.3) * [22.0, 4.0, 40.0, 9.0][i]).floor())
            })
            .collect(),
    })
    .collect();
    let phases = phases();
    let span = |p: &Phase| PhaseSpan { name: p.name.clone(), start_s: p.start_s, end_s: p.end_s };
    let idle = PhaseSpan { name: "idle".into(), start_s: 0.0, end_s: 4.0 };
    SignalSeries {
        evidence: EvidenceLevel::L2,
        cores: 2.0,
        phases: std::iter::once(idle).chain(phases.iter().map(span)).collect(),
        resources,
        threads,
        gauges,
    }
}

/// The seconds of A and of B out of the whole, and blocks whose signals differ as they do.
fn sides(whole: &SignalSeries) -> SignalPair {
    let during = |name: &str, t_s: f64| plan(t_s as usize - 1).is_some_and(|(_, phase)| phase == name);
    let side = |name: &str, relief: f64| {
        let mut side = whole.clone();
        for resource in &mut side.resources {
            let parts = [&mut resource.utilisation, &mut resource.saturation, &mut resource.errors];
            for points in parts {
                points.retain(|point| during(name, point.0));
            }
            if resource.resource.starts_with("pool") {
                resource.utilisation.iter_mut().for_each(|point| point.1 *= relief);
                resource.saturation.iter_mut().for_each(|point| point.1 = (point.1 * relief - 0.3).max(0.0));
            }
        }
        side.threads.iter_mut().for_each(|thread| thread.points.retain(|point| during(name, point.t_s)));
        side.gauges.iter_mut().for_each(|gauge| gauge.points.retain(|point| during(name, point.0)));
        side.phases.retain(|phase| phase.name == name);
        side
    };
    let (a, b) = (side("A", 1.0), side("B", 0.4));
    let mut random = Random::new(31);
    let mut blocks = |of: &SignalSeries| -> Vec<Block> {
        let noisy = |random: &mut Random| {
            let mut signals = means(of, 0.0);
            signals.values_mut().for_each(|value| *value *= around(random, 0.04));
            signals
        };
        (0..10).map(|_| Block { signals: noisy(&mut random), ..Block::default() }).collect()
    };
    let (of_a, of_b) = (blocks(&a), blocks(&b));
    let differences = signal_differences(of_a.iter(), of_b.iter(), 0.05);
    SignalPair { a_name: "one reader".into(), b_name: "eight readers".into(), a, b, differences }
}

fn thread_point(thread: u32, t_s: f64, busy: f64) -> ThreadPoint {
    let busy = busy.clamp(0.0, 1.0);
    let (running, run_delay, lock, io, sleep) = match thread {
        0 | 1 => (busy * 0.5, busy * 0.06, 0.0, busy * 0.05, 0.0),
        2 => (busy * 0.35, 0.0, busy * 0.25, busy * 0.38, 0.0),
        3 => (busy * 0.1, 0.0, 0.0, busy * 0.2, 0.0),
        _ => (0.002, 0.0, 0.0, 0.0, if thread == 4 { 0.3 } else { 0.0 }),
    };
    let idle = (1.0 - running - run_delay - lock - io - sleep).max(0.0);
    ThreadPoint { t_s, running, run_delay, lock, sleep, io, idle }
}

/// Stacks of a web service that reads a database; `heat` is how much of the time goes into the reader's lock.
fn profile(seed: u64, heat: f64) -> Profile {
    let mut random = Random::new(seed);
    let roots = [
        ("worker-0;tokio::runtime::task::poll;seawall_http::conn::serve;seawall_http::router::dispatch", 4.0),
        ("worker-1;tokio::runtime::task::poll;seawall_http::conn::serve;seawall_http::router::dispatch", 4.0),
        ("worker-0;tokio::runtime::io::driver::turn;epoll_wait;entry_SYSCALL_64_[k];do_epoll_wait_[k]", 1.2),
        ("worker-1;tokio::runtime::io::driver::turn;epoll_wait;entry_SYSCALL_64_[k];do_epoll_wait_[k]", 1.2),
        ("sql-reader;seawall_data::sql::reader::run;seawall_data::sql::pool::acquire", 3.0 * heat),
        ("sql-reader;seawall_data::sql::reader::run;sqlite3_step;sqlite3VdbeExec", 2.0),
    ];
    let leaves = [
        "flashsale::api::products::show;serde_json::ser::to_vec;<alloc::vec::Vec<T> as core::clone::Clone>::clone",
        "flashsale::api::products::show;seawall_data::cache::lookup;core::hash::Hash::hash",
        "seawall_http::write::flush;writev;entry_SYSCALL_64_[k];tcp_sendmsg_[k];__ip_queue_xmit_[k]",
        "seawall_http::parse::head;memchr::arch::x86_64::find",
        "je_malloc;je_arena_malloc_hard",
        "core::fmt::write;<&T as core::fmt::Display>::fmt",
        "std::sync::Mutex<T>::lock;futex_wait;entry_SYSCALL_64_[k];futex_wait_queue_[k]",
    ];
    let mut stacks = Vec::new();
    for (root, weight) in roots {
        for leaf in leaves {
            for deep in 0..5 {
                let frames: Vec<String> = format!("{root};{leaf};inner::step_{deep}::h0123456789abcdef")
                    .split(';')
                    .map(str::to_owned)
                    .collect();
                stacks.push(Stack { frames, weight: weight * random.unit() / 35.0 });
            }
        }
    }
    let total = stacks.iter().map(|stack| stack.weight).sum();
    Profile {
        kind: ProfileKind::Cpu,
        source: "/debug/pprof/profile".into(),
        unit: "seconds".into(),
        seconds: 10.0,
        total,
        dropped: 0.0,
        stacks,
        comments: vec![],
    }
}

fn pair(before: (&str, Profile), after: (&str, Profile)) -> ProfilePair {
    ProfilePair {
        name: format!("CPU, {} against {}", after.0, before.0),
        before_name: before.0.into(),
        after_name: after.0.into(),
        before: before.1,
        after: after.1,
    }
}

fn off_cpu() -> Profile {
    let mut profile = profile(11, 2.0);
    profile.kind = ProfileKind::OffCpu;
    profile.source = "thread states".into();
    profile
}

fn kernel() -> Vec<KernelHistogram> {
    let buckets = |values: &[u64]| {
        values.iter().enumerate().map(|(i, n)| (format!("{} – {} µs", 1 << i, 2 << i), *n)).collect()
    };
    vec![
        KernelHistogram {
            title: "Time waiting for a CPU".into(),
            about: "From waking up to running, per wake-up (sched_wakeup to sched_switch).".into(),
            buckets: buckets(&[120, 5400, 22_100, 9_800, 2_100, 640, 180, 22, 3]),
        },
        KernelHistogram {
            title: "System calls".into(),
            about: "Time inside the kernel per call of the service.".into(),
            buckets: buckets(&[88_000, 41_000, 12_500, 3_300, 800, 120, 40, 9, 1]),
        },
    ]
}

fn diagnosis() -> Diagnosis {
    let levels: Vec<LevelSummary> = phases()
        .iter()
        .filter(|phase| phase.name.ends_with("connections"))
        .map(|phase| {
            let connections: u32 = phase.name.split(' ').next().unwrap().parse().unwrap();
            let rps = f64::from(connections * 100).min(4050.0);
            LevelSummary {
                name: phase.name.clone(),
                connections,
                start_s: phase.start_s,
                measured_from_s: phase.start_s + 1.0,
                end_s: phase.end_s,
                rps,
                p50_ms: Some(f64::from(connections) / rps * 900.0),
                p99_ms: Some(f64::from(connections) / rps * 4000.0),
                mean_ms: Some(f64::from(connections) / rps * 1000.0),
                error_rate: if connections > 32 { 0.0004 } else { 0.0 },
                cpu_cores: Some(rps / 3300.0),
                invalid: vec![],
            }
        })
        .collect();
    let little = levels.iter().map(|level| {
        let (in_flight, mean_s) = (f64::from(level.connections), level.mean_ms.unwrap() / 1e3);
        LittleCheck {
            level: level.name.clone(),
            in_flight,
            rps: level.rps,
            mean_s,
            predicted: level.rps * mean_s,
            gap: 0.0,
            holds: true,
        }
    });
    let little = little.collect();
    Diagnosis {
        target: "GET /api/v1/products/1".into(),
        evidence: EvidenceLevel::L2,
        missing: vec![],
        verdict: Verdict::Defect,
        summary:
            "All connections of the pool sql.read are taken: requests wait for one for 71 % of their time."
                .into(),
        findings: vec![pool(), hot_thread(), bound(), churn()],
        caveats: vec!["the generator ran on the same machine; both had one processor each".into()],
        levels,
        little,
        ceiling: Some(CpuCeiling {
            demand_s: 0.000_31,
            cores: 2.0,
            max_rps: 6450.0,
            measured_rps: 4050.0,
            reached: 0.63,
        }),
        signals: None,
        profiles: vec![],
    }
}

fn number(name: &str, value: f64, unit: &str, threshold: Option<f64>) -> Number {
    Number { name: name.into(), value, unit: unit.into(), threshold }
}

fn pool() -> Finding {
    Finding {
        cause: Cause::PoolStarvation,
        severity: Severity::Defect,
        title: "The pool sql.read is too small".into(),
        sentence: "22 requests wait for one of 1 connections on average; the wait is 71 % of p99, and the reader itself is quick (0.21 ms).".into(),
        score: 0.64,
        share: 0.71,
        confidence: 0.9,
        numbers: vec![
            number("waiting for a connection", 22.0, "requests", Some(1.0)),
            number("wait, share of p99", 0.71, "share", Some(0.3)),
            number("time holding a connection", 0.21, "ms", None),
        ],
        evidence: vec!["pools.sql.read.waiters of /debug/seawall/signals".into(), "thread sql-reader (tid 4102)".into()],
        frames: vec![
            Frame { function: "seawall_data::sql::pool::acquire".into(), own: 0.02, total: 0.31 },
            Frame { function: "sqlite3VdbeExec".into(), own: 0.11, total: 0.18 },
        ],
        change: "Give the pool at least 8 connections: ceil(1.2 × 4,050/s × 1.6 ms).".into(),
        experiment: Experiment {
            what: "Start it with 8 readers: throughput should rise until the CPU is the limit.".into(),
            command: Some("seawall lab compare --a 'flashsale --readers 1' --b 'flashsale --readers 8' http://127.0.0.1:8080/api/v1/products/1".into()),
            result: Some(ExperimentResult {
                measured: "throughput".into(),
                unit: "requests/s".into(),
                before: 4050.0,
                after: 6120.0,
                elasticity: Some(0.2),
                confirmed: true,
            }),
            others: vec![],
        },
    }
}

fn hot_thread() -> Finding {
    Finding {
        cause: Cause::HotThread,
        severity: Severity::Notice,
        title: "One thread does most of the work".into(),
        sentence: "sql-reader is busy 97 % of the time while the CPU as a whole is at 62 %.".into(),
        score: 0.3,
        share: 0.5,
        confidence: 0.6,
        numbers: vec![
            number("busiest thread", 0.97, "share", Some(0.95)),
            number("mean of all", 0.31, "share", Some(0.6)),
        ],
        frames: vec![],
        evidence: vec!["/proc/4100/task/4102/schedstat".into()],
        change: "Spread the reads over more threads.".into(),
        experiment: Experiment {
            what: "Same as above: more readers.".into(),
            command: None,
            result: None,
            others: vec![],
        },
    }
}

fn bound() -> Finding {
    Finding {
        cause: Cause::CpuBound,
        severity: Severity::Limit,
        title: "Next limit: the CPU".into(),
        sentence: "At 310 µs per request two processors end at 6,450 requests/s.".into(),
        score: 0.1,
        share: 0.1,
        confidence: 0.95,
        numbers: vec![number("CPU per request", 0.31, "ms", None)],
        frames: vec![],
        evidence: vec![],
        change: "Nothing: every service has a last limit.".into(),
        experiment: Experiment {
            what: "Give it more processors.".into(),
            command: None,
            result: None,
            others: vec![],
        },
    }
}

fn churn() -> Finding {
    Finding {
        cause: Cause::ConnectionChurn,
        title: "Some connections are made anew".into(),
        severity: Severity::Notice,
        ..hot_thread()
    }
}

/// Ten pairs in which B is a good deal faster and costs a little more CPU.
pub(crate) fn comparison() -> Comparison {
    let mut random = Random::new(21);
    let block = |random: &mut Random, p50: f64, spread: f64, cpu: f64| {
        let level = p50 * around(random, 0.03);
        let draw = |random: &mut Random| {
            let normal: f64 = (0..6).map(|_| random.unit() - 0.5).sum::<f64>() * 1.41;
            ((level * (spread * normal).exp()) * 1e6) as u64 / 10_000 * 10_000 + 5_000
        };
        let latency = Counts::new((0..1500).map(|_| (draw(random), 1)).collect());
        let at = |q: f64| latency.quantile(q).unwrap() as f64 / 1e6;
        let values = BTreeMap::from([
            (Metric::Throughput, 2990.0 * around(random, 0.004)),
            (Metric::P50, at(0.5)),
            (Metric::P99, at(0.99)),
            (Metric::P999, at(0.999)),
            (Metric::CpuPerRequest, cpu * around(random, 0.01)),
            (Metric::ErrorRate, 0.0),
        ]);
        Block { values, latency, ..Block::default() }
    };
    let mut pairs = |count: usize, b: (f64, f64, f64)| -> Vec<Pair> {
        (0..count)
            .map(|_| Pair { a: block(&mut random, 1.9, 1.1, 310.0), b: block(&mut random, b.0, b.1, b.2) })
            .collect()
    };
    let noise = pairs(6, (1.9, 1.1, 310.0));
    judge_pairs(
        ("one reader", "eight readers"),
        &pairs(10, (0.9, 0.9, 322.0)),
        &noise,
        &CompareConfig::default(),
    )
}

/// A report of which nothing was collected.
pub(crate) fn empty() -> LabReport {
    fn no<T>() -> Collected<T> {
        Collected::Missing("this command does not look at it".into())
    }
    LabReport {
        phases: vec![],
        load: no(),
        heat: no(),
        spectrum: no(),
        knee: no(),
        scale: no(),
        waterfall: no(),
        signals: no(),
        sides: vec![],
        profiles: no(),
        differences: no(),
        kernel: no(),
        diagnosis: no(),
        comparisons: no(),
        endpoints: vec![],
        errors: vec![],
        settings: vec![],
        environment: vec![],
        objectives: vec![],
        evidence: None,
        missing: vec![],
        ..report()
    }
}
