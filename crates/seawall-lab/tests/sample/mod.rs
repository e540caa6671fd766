//! A report with the numbers of a plausible run: a knee search of 18 probes, a sale of 5,000 buyers for 1,000 units.
#![allow(dead_code, reason = "every test binary uses its own part")]

use seawall_lab::report::{
    AtKnee, Check, Cost, Fact, Gauge, KneePhase, LoadPoint, Phase, Probe, Quantile, Report, ResourcePoint,
    Resources, Sale, SalePoint, Validity, Waiting,
};
use seawall_lab::search::{Ending, Estimate, Judgement, KneeSearch, Measurement, Next, SearchConfig, Slo};

/// Repeatable noise around 1.
struct Noise(u64);

impl Noise {
    fn around(&mut self, spread: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1.0 + spread * (((self.0 >> 33) as f64 / f64::from(1u32 << 31)) * 2.0 - 1.0)
    }
}

const KNEE: f64 = 24_600.0;

fn p50(rate: f64) -> f64 {
    0.09 / (1.0 - (rate / KNEE).min(0.985)).powf(0.5)
}

fn p99(rate: f64) -> f64 {
    if rate < KNEE {
        0.5 / (1.0 - rate / KNEE * 0.985).powf(0.9)
    } else {
        60.0 + (rate / KNEE - 1.0) * 3000.0
    }
}

/// The whole sample.
pub(crate) fn report() -> Report {
    let (knee, knee_end) = knee();
    Report {
        title: "Flash sale on 2 cores".into(),
        generated_at: "2026-11-23 10:40:12 UTC".into(),
        generator: "seawall 0.1.0".into(),
        command: "cargo run --release -- demo --seconds 40 --users 5000 --units 1000".into(),
        duration_s: 71.4,
        slo: Slo::default(),
        knee: Some(knee),
        resources: Some(resources(knee_end)),
        sale: Some(sale()),
        cycle: None,
        checks: checks(),
        environment: environment(),
    }
}

fn knee() -> (KneePhase, f64) {
    let mut search = KneeSearch::new(&SearchConfig { start_rps: 3000.0, ..SearchConfig::default() }).unwrap();
    let (mut probes, mut timeline, mut noise, mut t) = (Vec::new(), Vec::new(), Noise(7), 1.5);
    while let Next::Probe { rate, stage } = search.next_probe() {
        let achieved = rate.min(KNEE * 1.02) * noise.around(0.002);
        let value = p99(rate) * noise.around(0.12);
        let late = probes.len() == 9;
        let measured = Measurement {
            offered_rps: rate,
            achieved_rps: achieved,
            p99_ms: Estimate { low: value * 0.93, value, high: value * 1.07 },
            error_rate: 0.0,
            further: Vec::new(),
            invalid: if late {
                vec!["a generator thread waited 7 % of its time for a processor".into()]
            } else {
                vec![]
            },
        };
        let point = search.record(measured).unwrap().clone();
        for i in 0..8 {
            let at = t + 0.25 * f64::from(i);
            timeline.push(LoadPoint {
                t_s: at,
                length_s: 0.25,
                offered_rps: rate,
                achieved_rps: achieved * if i == 0 { 0.7 } else { noise.around(0.015) },
                errors_per_s: 0.0,
                p50_ms: Some(p50(rate) * noise.around(0.1)),
                p99_ms: Some(p99(rate) * noise.around(0.35)),
                warmup: i < 2,
            });
        }
        probes.push(Probe {
            start_s: t,
            measured_from_s: t + 0.5,
            end_s: t + 2.0,
            stage,
            offered_rps: rate,
            achieved_rps: achieved,
            p50_ms: Some(p50(rate)),
            p99_ms: Some(value),
            error_rate: 0.0,
            judgement: point.judgement,
            reasons: point.reasons,
        });
        t += 2.3;
    }
    assert!(probes.iter().any(|p| p.judgement == Judgement::Invalid));
    let answer = search.answer();
    assert_eq!(answer.ending, Ending::Confirmed);
    let phase = KneePhase {
        target: "GET /api/v1/products/1".into(),
        lo_rps: answer.lo,
        hi_rps: answer.hi,
        ending: answer.ending,
        attempts: 1,
        validity: Validity { valid: true, reasons: vec![] },
        probes,
        timeline,
        at_knee: Some(AtKnee {
            rps: answer.lo.unwrap(),
            intended: curve(0.21, 38.0),
            service: curve(0.17, 21.0),
            cost: Some(Cost {
                cpu_user_us: 19.4,
                cpu_sys_us: 17.8,
                voluntary_switches: 0.21,
                involuntary_switches: 0.008,
                rss_bytes: 48 << 20,
                generator_cpu_us: Some(7.2),
            }),
            waiting: vec![
                Waiting { name: "queue deduct".into(), mean: 0.0, max: 0.0 },
                Waiting { name: "pool sql.read".into(), mean: 5.4, max: 11.0 },
            ],
        }),
    };
    (phase, t)
}

/// A latency curve from its median and its 99.9th percentile.
fn curve(median: f64, p999: f64) -> Vec<Quantile> {
    let slope = (p999 / median).ln() / 500f64.ln();
    let at = |odds: f64| Quantile { q: 1.0 - 1.0 / odds, ms: median * (odds / 2.0).powf(slope).max(0.45) };
    (0..=80).map(|i| at(10f64.powf(f64::from(i) * 0.05))).collect()
}

fn resources(knee_end: f64) -> Resources {
    let (sale_start, end) = (knee_end + 1.2, knee_end + 16.0);
    let mut noise = Noise(3);
    let mut samples = Vec::new();
    let (mut queue, mut writer, mut waiters) = (Vec::new(), Vec::new(), Vec::new());
    let mut t = 0.5;
    while t < end {
        let busy = if t < 1.5 {
            0.05
        } else if t < knee_end {
            (0.12 * 1.5f64.powf((t - 1.5) / 2.3)).min(0.97)
        } else if t > sale_start && t < sale_start + 6.0 {
            0.8
        } else {
            0.04
        } * noise.around(0.06);
        let rush = if t > sale_start { 900.0 * (-(t - sale_start - 1.5f64).powi(2)).exp() } else { 0.0 };
        samples.push(ResourcePoint {
            t_s: t,
            cpu_user: busy * 0.52,
            cpu_sys: busy * 0.48,
            rss_bytes: (30e6 + 12e6 * (1.0 - (-t / 18.0).exp()) + rush * 9000.0) as u64,
            voluntary_per_s: 400.0 + busy * 5200.0 * noise.around(0.15),
            involuntary_per_s: busy * busy * 260.0 * noise.around(0.5),
            threads: if t < 1.0 { 7 } else { 9 },
            open_fds: Some((24.0 + if t < knee_end { 64.0 } else { 900.0_f64.min(rush * 2.0) }) as u32),
        });
        queue.push((t, (rush * noise.around(0.2)).round()));
        writer.push((t, (rush / 9.0 * noise.around(0.3)).round()));
        waiters.push((t, if busy > 0.7 { (6.0 * noise.around(0.9)).round() } else { 0.0 }));
        t += 0.5;
    }
    let phase = |name: &str, start_s: f64, end_s: f64| Phase { name: name.into(), start_s, end_s };
    Resources {
        cores: 1.0,
        phases: vec![
            phase("warm-up", 0.0, 1.5),
            phase("finding the knee", 1.5, knee_end),
            phase("sale", sale_start, end),
        ],
        samples,
        queues: vec![
            Gauge { name: "order queue".into(), points: queue },
            Gauge { name: "database writer".into(), points: writer },
        ],
        pool_waiters: vec![Gauge { name: "database readers".into(), points: waiters }],
    }
}

fn sale() -> Sale {
    let mut noise = Noise(11);
    let mut left = 1000u64;
    let timeline = (0..40)
        .map(|i| {
            let t = f64::from(i) * 0.2;
            let arrivals = if t < 1.0 {
                800.0
            } else if t < 3.0 {
                100.0
            } else {
                0.0
            } * noise.around(0.1);
            let acked = if left > 0 { (190.0 * noise.around(0.2)) as u64 } else { 0 }.min(left);
            left -= acked;
            let after = if left == 0 && t < 4.6 {
                420.0 * (-(t - 1.2f64) / 1.6).exp() * noise.around(0.2)
            } else {
                0.0
            };
            SalePoint {
                t_s: t,
                arrivals: arrivals as u64,
                acked,
                sold_out: after as u64,
                refused: if (0.2..2.6).contains(&t) {
                    (260.0 * (-t).exp() * noise.around(0.4)) as u64
                } else {
                    0
                },
                errors: 0,
                stock_left: Some(left),
            }
        })
        .collect();
    Sale {
        buyers: 5000,
        units_initial: 1000,
        units_sold: 1000,
        orders_acked: 1043,
        orders_confirmed: 1000,
        orders_rejected: 31,
        attempts: 11_842,
        error_rate: 0.0,
        refused_rate: 0.083,
        validity: Validity { valid: true, reasons: vec![] },
        sold_out_after_s: Some(1.2),
        settled_after_s: Some(5.4),
        bucket_s: 0.2,
        timeline,
        ack_latency: curve(21.0, 310.0),
        final_latency: curve(240.0, 2900.0),
        ..Sale::default()
    }
}

fn checks() -> Vec<Check> {
    let all = [
        (
            "no_oversell",
            "No more units are confirmed than there were, at any moment.",
            "1,000 of 1,000 units",
        ),
        (
            "conservation",
            "Stock at the start = stock left + units sold, at every step of the ledger.",
            "0 left, 1,000 sold",
        ),
        (
            "no_lost_order",
            "Every acknowledged order is in the database, with one final state.",
            "1,043 orders",
        ),
        (
            "exactly_once",
            "Each confirmed order took its units from the stock exactly once.",
            "1,000 deductions",
        ),
        ("no_phantom", "No order exists that no client asked for.", "1,043 keys known"),
        ("idempotent", "The same key always gets the same order and the same answer.", "2,911 repeated keys"),
        ("per_user_limit", "No buyer holds more than the limit.", "limit 1"),
        ("no_undersell", "While buyers still wanted units, none stayed on the shelf.", "sold out"),
    ];
    all.into_iter()
        .map(|(name, meaning, detail)| Check {
            name: name.into(),
            pass: true,
            meaning: meaning.into(),
            detail: detail.into(),
        })
        .collect()
}

fn environment() -> Vec<Fact> {
    let all = [
        ("Processor", "2 × AMD EPYC 9R14"),
        ("Memory", "23.5 GiB"),
        ("Kernel", "Linux 6.18.44"),
        ("Service on processors", "1"),
        ("Generator on processors", "0"),
        ("Seawall", "0.1.0, release"),
        ("Durability", "SQLite, WAL, fsync on every group commit"),
        ("Knee budget", "40 s, 2 s per probe"),
    ];
    all.into_iter().map(|(name, value)| Fact { name: name.into(), value: value.into() }).collect()
}
