//! Rules about time that passes outside the service's threads: other services, pools of connections, its own limits.

use super::card::{Details, Words, card, ms, percent};
use super::station;
use crate::diagnose::facts::{Facts, Level};
use crate::diagnose::model::{Cause, Finding, Severity};

/// Of a request's time, waiting without wanting a CPU.
const MIN_WAITING: f64 = 0.5;
/// Shorter requests are not worth a diagnosis of their waits, milliseconds.
const MIN_LATENCY_MS: f64 = 2.0;

/// The service waits for another one, with no request queueing for a connection.
pub(super) fn downstream(facts: &Facts) -> Option<Finding> {
    let (low, top) = (facts.low()?, facts.top()?);
    let waiting = low.waiting_share()?;
    // The level at which most of the requests were waiting there.
    let outbound = |level: &Level| level.window.as_ref()?.outbound.first().copied();
    let levels = facts.levels.iter().filter_map(|level| Some((level, outbound(level)?)));
    let (level, (remote, open)) =
        levels.max_by(|a, b| (a.1.1 / a.0.connections).total_cmp(&(b.1.1 / b.0.connections)))?;
    let per_request = open / level.connections;
    if waiting < MIN_WAITING || low.load.mean_ms < MIN_LATENCY_MS || per_request < 0.3 {
        return None;
    }
    let words = Words {
        title: "Waits for another service",
        sentence: format!(
            "One request alone takes {}, and for {} of that the service wants no CPU; {open:.0} connections to {remote} are \
             open for {:.0} requests in flight.",
            ms(low.load.mean_ms),
            percent(waiting),
            level.connections
        ),
        change: format!(
            "Ask {remote} less often (cache, batch, parallel calls), or make it faster; bound the wait with a timeout and a \
             breaker."
        ),
        experiment: format!(
            "Diagnose {remote} itself; with its answer stubbed, this service should take about {}.",
            ms(low.load.mean_ms * (1.0 - waiting))
        ),
    };
    Some(
        card(Cause::Downstream, Severity::Defect, waiting, 0.88, words)
            .over("of a request's time without wanting a CPU", waiting, "share", MIN_WAITING)
            .over("outbound connections per request in flight", per_request, "", 0.3)
            .number("outbound connections", open, "connections")
            .number("growth of throughput", top.load.rps / low.load.rps.max(1e-9), "times")
            .number("latency of one request alone", low.load.mean_ms, "ms")
            .evidence(format!("/proc/PID/net/tcp: established connections to {remote}")),
    )
}

/// A pool is all taken: by what the service says of a queue and its threads, by its own gauge, or because the number of its connections stands still
/// while requests and latency grow.
pub(super) fn pool_starvation(facts: &Facts) -> Option<Finding> {
    station::queue(facts).or_else(|| by_gauge(facts)).or_else(|| by_connections(facts))
}

fn by_gauge(facts: &Facts) -> Option<Finding> {
    let (top, window) = facts.top_window()?;
    let pools = window.gauges.iter().filter(|(name, _)| name.starts_with("pools."));
    let (name, waiters) = pools.max_by(|a, b| a.1.total_cmp(b.1))?;
    let share = waiters / top.connections;
    if *waiters < 0.5 || share < 0.1 {
        return None;
    }
    let words = pool_words(format!(
        "At {}, {waiters:.1} requests wait for `{name}` on average, of {:.0} in flight.",
        top.name, top.connections
    ));
    Some(
        card(Cause::PoolStarvation, Severity::Defect, share, 0.92, words)
            .over("requests waiting for the pool", *waiters, "requests", 0.5)
            .evidence(format!("/debug/seawall/signals: {name}")),
    )
}

fn by_connections(facts: &Facts) -> Option<Finding> {
    let (low, previous, (top, window)) = (facts.low()?, facts.previous()?, facts.top_window()?);
    let (remote, open) = window.outbound.first().copied()?;
    let of_previous = previous.window.as_ref()?.outbound.iter().find(|(other, _)| *other == remote)?.1;
    let stands_still = (open - of_previous).abs() <= 0.1 * open.max(1.0);
    let is_pool = open >= 0.9 && open * 3.0 <= top.connections && stands_still && facts.is_saturated();
    let waits = low.waiting_share()? >= MIN_WAITING && top.load.mean_ms >= 3.0 * low.load.mean_ms;
    if !is_pool || !waits || low.load.mean_ms < MIN_LATENCY_MS || facts.is_cpu_pressed() {
        return None;
    }
    let share = 1.0 - low.load.mean_ms / top.load.mean_ms;
    let words = pool_words(format!(
        "{open:.0} connections to {remote} serve {:.0} requests in flight, as many as served {:.0}: latency grew from {} to {}.",
        top.connections,
        previous.connections,
        ms(low.load.mean_ms),
        ms(top.load.mean_ms)
    ));
    Some(
        card(Cause::PoolStarvation, Severity::Defect, share, 0.8, words)
            .number("outbound connections", open, "connections")
            .number("requests in flight", top.connections, "requests")
            .evidence(format!("/proc/PID/net/tcp: established connections to {remote}")),
    )
}

fn pool_words(sentence: String) -> Words {
    Words {
        title: "Requests wait for a pooled connection",
        sentence,
        change: "Enlarge the pool to 1.2 x rate x time per use, unless what is behind it slows down then; hold connections \
                 for less time."
            .to_owned(),
        experiment: "Double the pool: if throughput grows and the time per use does not, the pool was too small.".to_owned(),
    }
}

/// The service refuses on purpose.
pub(super) fn own_protection(facts: &Facts) -> Option<Finding> {
    let top = facts.top()?;
    let refused = top.share_of_status(|status| status == 429 || status == 503);
    if refused < 0.02 {
        return None;
    }
    let words = Words {
        title: "Refuses on purpose",
        sentence: format!(
            "At {}, {} of the answers are 429 or 503: a limit or a breaker works as it is configured; {:.0}/s were served.",
            top.name,
            percent(refused),
            top.load.rps * (1.0 - refused)
        ),
        change: "None, if the limit is where it should be; else raise it, and measure whether latency still holds.".to_owned(),
        experiment: "Raise the limit by half: if what is served grows and latency holds, the limit was too low.".to_owned(),
    };
    Some(
        card(Cause::OwnProtection, Severity::Notice, refused, 0.8, words)
            .over("answers with status 429 or 503", refused, "share", 0.02)
            .evidence("statuses that the generator counted"),
    )
}

/// The service fails.
pub(super) fn errors(facts: &Facts) -> Option<Finding> {
    let worst = facts.levels.iter().max_by(|a, b| failed(a).total_cmp(&failed(b)))?;
    let share = failed(worst);
    if share < 0.01 {
        return None;
    }
    // Requests without an answer are a symptom of many causes; answers that say they failed are one of their own.
    let said = worst.share_of_status(|status| status >= 500 && status != 503);
    let confidence = if said >= 0.01 { 0.9 } else { 0.5 };
    let words = Words {
        title: "Answers with errors",
        sentence: format!(
            "At {}, {} of the requests failed: a status of 500 and above (503 not counted), or no answer at all.",
            worst.name,
            percent(share)
        ),
        change: "Read the service's log for the errors first: a failing service has no meaningful capacity."
            .to_owned(),
        experiment: "The same load after the fix should show none.".to_owned(),
    };
    Some(
        card(Cause::Errors, Severity::Defect, share.max(0.55), confidence, words)
            .over("failed requests", share, "share", 0.01)
            .number("requests without an answer", worst.load.unanswered, "share"),
    )
}

fn failed(level: &Level) -> f64 {
    level.share_of_status(|status| status >= 500 && status != 503).max(level.load.unanswered)
}

/// Requests take long while nothing is busy, and nothing else explains it.
pub(super) fn hidden_wait(facts: &Facts, known: &[Finding]) -> Option<Finding> {
    let explained =
        |finding: &Finding| finding.severity == Severity::Defect && finding.share * finding.confidence >= 0.3;
    let low = facts.low()?;
    let waiting = low.waiting_share()?;
    if known.iter().any(explained) || waiting < 0.7 || low.load.mean_ms < 5.0 {
        return None;
    }
    let queues = facts.is_saturated() && !facts.is_cpu_pressed();
    let top = facts.top()?;
    let words = Words {
        title: "Waits for something that cannot be seen",
        sentence: format!(
            "One request alone takes {}, and for {} of that the service wants no CPU, holds no thread and has no connection \
             open to another service{}.",
            ms(low.load.mean_ms),
            percent(waiting),
            if queues { format!("; throughput ends at {:.0}/s", top.load.rps) } else { String::new() }
        ),
        change: "Look for timers, asynchronous locks and semaphores, and delays that are meant; spans of a trace would show \
                 them."
            .to_owned(),
        experiment: "Trace one request.".to_owned(),
    };
    let severity = if queues { Severity::Defect } else { Severity::Notice };
    Some(
        card(Cause::HiddenWait, severity, waiting, 0.5, words)
            .over("of a request's time without wanting a CPU", waiting, "share", 0.7)
            .number("latency of one request alone", low.load.mean_ms, "ms"),
    )
}
