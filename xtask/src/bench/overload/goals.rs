//! What we aim for beside what was measured.

use std::fmt::Write as _;

use super::Results;
use super::cases::{Handler, Peer};
use super::points::Row;

/// What a number is held against.
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

/// A number that is held against something; absent if it was not measured.
struct Goal {
    what: String,
    bound: Bound,
    unit: &'static str,
    measured: Option<f64>,
}

/// A table of what was measured; empty if nothing of it was.
pub(super) fn render(results: &Results) -> String {
    let mut lines = String::new();
    for goal in computing(results).into_iter().chain(others(results)).chain(besides(results)) {
        let Some(value) = goal.measured else { continue };
        let (words, limit, met) = match goal.bound {
            AtLeast(limit) => ("at least", limit, value >= limit),
            AtMost(limit) => ("at most", limit, value <= limit),
        };
        let (what, unit, met) = (goal.what, goal.unit, if met { "yes" } else { "**no**" });
        let value = if value.is_finite() { format!("{value:.2} {unit}") } else { "never".to_owned() };
        let _ = writeln!(lines, "| {what} | {words} {limit} {unit} | {value} | {met} |");
    }
    if lines.is_empty() {
        return lines;
    }
    format!("\n### What we aim for\n| | aim | measured | met |\n|---|---|---|---|\n{lines}")
}

fn goal(what: impl Into<String>, bound: Bound, unit: &'static str, measured: Option<f64>) -> Goal {
    Goal { what: what.into(), bound, unit, measured }
}

fn row(results: &Results, server: Peer, handler: Handler, load: f64) -> Option<&Row> {
    let mut rows = results.rows.iter().filter(|row| (row.server, row.handler) == (server, handler));
    rows.find(|row| row.offered_x == load)
}

fn percent(share: f64) -> f64 {
    share * 100.0
}

fn good(results: &Results, server: Peer, handler: Handler, load: f64) -> Option<f64> {
    row(results, server, handler, load).map(|row| percent(row.goodput_share))
}

/// Seawall, the handler that computes.
fn computing(results: &Results) -> Vec<Goal> {
    let cpu = |load| row(results, Peer::Seawall, Handler::Cpu, load);
    let mut goals = Vec::new();
    for (load, absolute, of_ceiling) in
        [(2.0, 96.0, 98.0), (10.0, 92.0, 98.0), (30.0, 72.0, 90.0), (50.0, 58.0, 90.0)]
    {
        let share = good(results, Peer::Seawall, Handler::Cpu, load);
        goals.push(goal(format!("computing at {load}x: good"), AtLeast(absolute), "%", share));
        let share = cpu(load).and_then(|row| row.of_ceiling).map(percent);
        let what = format!("computing at {load}x: good, of what is possible");
        goals.push(goal(what, AtLeast(of_ceiling), "%", share));
    }
    let refused = cpu(0.95).map(|row| percent(row.refused_share));
    let (p99, price) = (cpu(10.0).and_then(|row| row.p99_ms), cpu(10.0).and_then(|row| row.refusal_cpu_us));
    goals.push(goal("computing at 0.95x: refused", AtMost(1.0), "%", refused));
    goals.push(goal("computing at 10x: p99", AtMost(20.0), "ms", p99));
    goals.push(goal("computing at 10x: CPU of a refusal", AtMost(7.0), "us", price));
    goals
}

/// The other handlers; and those who must fail, else the load is none and nothing else means anything.
fn others(results: &Results) -> Vec<Goal> {
    let ours = |handler, load| good(results, Peer::Seawall, handler, load);
    let mut goals = vec![
        goal("slots at 10x: good", AtLeast(95.0), "%", ours(Handler::Slots, 10.0)),
        goal("mixed at 2x: good", AtLeast(90.0), "%", ours(Handler::Mixed, 2.0)),
        goal("mixed at 10x: good", AtLeast(90.0), "%", ours(Handler::Mixed, 10.0)),
    ];
    for peer in [Peer::SeawallOff, Peer::Axum] {
        let share = good(results, peer, Handler::Cpu, 10.0);
        let what = format!("{}, computing at 10x, must collapse: good", peer.name());
        goals.push(goal(what, AtMost(30.0), "%", share));
    }
    goals
}

/// A spike, a load that there is room for, a minute.
fn besides(results: &Results) -> Vec<Goal> {
    let ours = |server: Peer, handler: Handler| (server, handler) == (Peer::Seawall, Handler::Cpu);
    let spike = results.spikes.iter().find(|spike| ours(spike.server, spike.handler));
    let steady = results.steady.iter().find(|steady| ours(steady.server, steady.handler));
    let minute = results.minutes.iter().find(|minute| ours(minute.server, minute.handler));
    let recovery = spike.map(|spike| spike.recovery_s.unwrap_or(f64::INFINITY));
    let refused = steady.map(|steady| percent(steady.refused_share));
    let growth = minute.map(|minute| percent(minute.growth()));
    vec![
        goal("normal again after a spike of 10x", AtMost(2.0), "s", recovery),
        goal("refused at 0.8x with random gaps", AtMost(0.5), "%", refused),
        goal("growth of memory within a minute at 10x", AtMost(20.0), "%", growth),
    ]
}
