//! A queue of the service whose threads are all taken, by the service's own numbers.
//!
//! A closed loop always queues somewhere. What tells a pool that is too small from a service that has no CPU left: whether
//! one more thread of the pool would find a CPU, or has work that needs none.

use super::card::{Details, Words, card, ms, percent};
use crate::diagnose::facts::Facts;
use crate::diagnose::model::{Cause, Finding, Severity};
use crate::profile::frames;
use crate::signals::station::Station;
use crate::signals::window::{ThreadWindow, Window};

/// Of the requests in flight, waiting in one queue.
const MIN_WAITING: f64 = 0.25;
/// Of the time of the threads behind it.
const MIN_USED: f64 = 0.8;
/// Of the time of the threads behind it, wanting a CPU: with less, one more thread needs no CPU of its own.
const NEEDS_CPU: f64 = 0.5;

/// Requests wait for threads that are all taken.
pub(super) fn queue(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let by_line = |a: &&Station, b: &&Station| in_line(window, a).total_cmp(&in_line(window, b));
    let station = window.stations.iter().max_by(by_line)?;
    let waiting = in_line(window, station) / top.connections;
    let own: Vec<&ThreadWindow> = window.threads.iter().filter(|t| station.has_thread(&t.name)).collect();
    let wants_cpu = own.iter().map(|t| t.wants_cpu()).sum::<f64>() / station.threads.max(1.0);
    // Between two jobs it takes the next: no job's time, and no time to spare either.
    let used = station.utilisation().max(wants_cpu);
    if waiting < MIN_WAITING || used < MIN_USED {
        return None;
    }
    let cpu_share = own.iter().map(|t| t.running).sum::<f64>() / window.cpu().max(1e-9);
    // As many threads as CPUs that may be used: it is the CPU that they wait for.
    let is_cpu = wants_cpu >= NEEDS_CPU && station.threads + 0.5 > facts.usable_cores();
    let (severity, confidence) = match (is_cpu, facts.is_cpu_pressed()) {
        (true, _) => (Severity::Notice, 0.7),
        (false, true) => (Severity::Defect, 0.8),
        (false, false) => (Severity::Defect, 0.93),
    };
    let sentence = sentence(facts, (station, window), (used, cpu_share, is_cpu))?;
    let words = Words { title: title(station, is_cpu), sentence, ..advice(facts, station, is_cpu) };
    let hot = facts.cpu_profile.as_ref().zip(own.first());
    // The service's own profiler does not say whose stack it is.
    let hot = hot.map(|(profile, thread)| match frames::hottest_of_thread(profile, &thread.name, 5) {
        none if none.is_empty() => frames::hottest(profile, 5),
        found => found,
    });
    Some(numbers(
        card(Cause::PoolStarvation, severity, waiting, confidence, words).frames(hot.unwrap_or_default()),
        (station, window),
        (waiting, used, cpu_share),
    ))
}

/// Requests that the server has not let in yet.
fn held_back(window: &Window) -> f64 {
    window.gauges.get("queues.admission").copied().unwrap_or(0.0)
}

/// What waits for these threads: in their queue, and before it, if they are taken. The server's limit has found out then
/// how many requests fill them, and holds the others back.
fn in_line(window: &Window, station: &Station) -> f64 {
    let before = if station.utilisation() >= MIN_USED { held_back(window) } else { 0.0 };
    station.waiting + before
}

/// The busiest thread of the service is one of a queue that requests wait in: what holds it is said better there.
pub(super) fn explains_hottest(facts: &Facts) -> bool {
    let Some((top, window)) = facts.top_window() else { return false };
    let hottest = window.threads.iter().max_by(|a, b| a.wants_cpu().total_cmp(&b.wants_cpu()));
    let queues = window.stations.iter().filter(|s| in_line(window, s) >= MIN_WAITING * top.connections);
    hottest.is_some_and(|hottest| queues.into_iter().any(|station| station.has_thread(&hottest.name)))
}

fn title(station: &Station, is_cpu: bool) -> &'static str {
    match (is_cpu, station.threads > 1.0) {
        (true, _) => "Requests queue where the CPU is used",
        (false, true) => "Requests wait for threads that are all taken",
        (false, false) => "Requests wait for one thread",
    }
}

fn sentence(
    facts: &Facts,
    (station, window): (&Station, &Window),
    (used, cpu, is_cpu): (f64, f64, bool),
) -> Option<String> {
    let top = facts.top()?;
    let waiting = in_line(window, station);
    let before = match waiting - station.waiting {
        few if few < 0.05 * waiting => String::new(),
        held => format!(" or before it, held back by the server's own limit ({held:.1} of them)"),
    };
    let threads = match station.threads {
        one if one <= 1.0 => "its one thread is".to_owned(),
        many => format!("its {many:.0} threads are"),
    };
    // Little's law: what waits, divided by the rate, is the time that each waits.
    let in_line_ms = waiting * 1e3 / top.load.rps.max(1e-9);
    let tail = match (is_cpu, facts.is_cpu_pressed()) {
        (true, _) => {
            format!(
                " They are as many as the CPUs that the service may use, and take {} of its CPU: more of them would not help.",
                percent(cpu)
            )
        }
        (false, true) => format!(
            " The CPUs are in use as well, {} of it there: more threads help as far as there is CPU for them.",
            percent(cpu)
        ),
        (false, false) => String::new(),
    };
    Some(format!(
        "At {}, {:.1} of {:.0} requests in flight wait in the queue `{}`{before}, and {threads} at work {} of the time: {} of a \
         request's {} pass in that line.{tail}",
        top.name,
        waiting,
        top.connections,
        station.name,
        percent(used),
        ms(in_line_ms.min(top.load.mean_ms)),
        ms(top.load.mean_ms),
    ))
}

fn advice(facts: &Facts, station: &Station, is_cpu: bool) -> Words {
    let cores = facts.usable_cores();
    let name = &station.name;
    let change = if is_cpu {
        format!("Ask `{name}` less often (a cache, one question in place of several), or more CPUs.")
    } else {
        format!(
            "More threads (or connections) for `{name}`, up to the CPUs where its work is computing; and ask it less often: a \
             cache, one question in place of several, work that can be done after the answer."
        )
    };
    let experiment = if is_cpu {
        format!(
            "Twice the threads for `{name}` on the same {cores:.0} CPUs: throughput should stay as it is."
        )
    } else {
        format!(
            "Twice the threads for `{name}`: throughput should grow, and the queue be shorter; if it does not, the wait is for \
             what they wait for."
        )
    };
    Words { title: "", sentence: String::new(), change, experiment }
}

fn numbers(
    finding: Finding,
    (station, window): (&Station, &Window),
    (waiting, used, cpu): (f64, f64, f64),
) -> Finding {
    let name = &station.name;
    finding
        .over("of the requests in flight in line there", waiting, "share", MIN_WAITING)
        .over("of its threads' time used", used, "share", MIN_USED)
        .number("held back by the server's limit", held_back(window), "requests")
        .number("threads behind it", station.threads, "threads")
        .number("time of one job there", station.work_ms(), "ms")
        .number("jobs", station.jobs, "per second")
        .number("of the service's CPU used there", cpu, "share")
        .number("CPU of the service", window.cpu(), "CPUs")
        .evidence(format!("/debug/seawall/signals: queues.{name}, queues.admission, threads.{name}"))
}
