//! Rules about the network: the accept queue, Nagle and delayed acknowledgements, lost segments, connections made anew.

use super::card::{Details, Words, card, ms, percent};
use crate::diagnose::facts::{Facts, Level};
use crate::diagnose::model::{Cause, Finding, Severity};

/// A SYN that is dropped is sent again after a second: connecting takes at least so long then, milliseconds.
const SYN_RETRY_MS: f64 = 900.0;
/// The shortest time after which a lost segment is sent again, milliseconds.
const RTO_MS: f64 = 190.0;

/// The accept queue overflows.
pub(super) fn accept_overflow(facts: &Facts) -> Option<Finding> {
    let levels = || facts.levels.iter().chain(&facts.churn);
    let overflows = levels().filter_map(|l| l.window.as_ref()?.listen_overflows).fold(0.0, f64::max);
    let queue = levels().filter_map(|l| Some(l.window.as_ref()?.accept_queue)).max().unwrap_or(0);
    let limit = levels().filter_map(|l| l.window.as_ref()?.accept_limit).min();
    let worst = levels().max_by(|a, b| lateness(a).total_cmp(&lateness(b)))?;
    // The counters are of the whole namespace: a queue of ours near its limit makes it ours.
    let ours = limit.map_or(queue > 0, |limit| queue * 2 >= limit);
    if overflows < 0.5 || !ours {
        return None;
    }
    let load = &worst.load;
    let retried =
        load.connect_p99_ms >= SYN_RETRY_MS || (load.p99_ms >= RTO_MS && load.p99_ms >= 8.0 * load.p50_ms);
    let limit_text = limit.map_or(String::new(), |limit| format!(", its limit is {limit}"));
    let words = Words {
        title: "The accept queue overflows",
        sentence: format!(
            "The kernel dropped {overflows:.0} connections per second because the queue of those that wait to be accepted was \
             full (at most {queue} were seen in it{limit_text}); with {}, a connection took up to {} and a request {} at p99, \
             {} in the median: what is dropped is sent again after 200 ms, 1 s, 3 s.",
            worst.name,
            ms(load.connect_p99_ms),
            ms(load.p99_ms),
            ms(load.p50_ms)
        ),
        change: "Enlarge the backlog of listen() and net.core.somaxconn to the largest burst of new connections, accept on a \
                 thread that does nothing else, and keep connections alive."
            .to_owned(),
        experiment: "With a backlog of 1024, nothing should be dropped and p99 be near the median.".to_owned(),
    };
    let (share, confidence) = if retried { (0.9, 0.96) } else { (0.4, 0.85) };
    Some(
        card(Cause::AcceptOverflow, Severity::Defect, share, confidence, words)
            .over("connections dropped", overflows, "per second", 0.5)
            .number("longest accept queue seen", f64::from(queue), "connections")
            .over("time to connect, p99", load.connect_p99_ms, "ms", SYN_RETRY_MS)
            .evidence("/proc/net/netstat: ListenOverflows, ListenDrops; sock_diag: the listening socket's queue and limit")
            .command("ss -ltn    # Recv-Q is the queue, Send-Q its limit"),
    )
}

/// How late the last requests of a level are, connections included.
fn lateness(level: &Level) -> f64 {
    level.load.connect_p99_ms + level.load.p99_ms
}

/// Small writes wait for an acknowledgement that is delayed by 40 ms.
pub(super) fn nagle(facts: &Facts) -> Option<Finding> {
    const MIN_NEAR: f64 = 0.3;
    let low = facts.low()?;
    let near = low.load.near_40_ms;
    let waiting = low.waiting_share().unwrap_or(1.0);
    let slept = low
        .window
        .as_ref()
        .map_or(0.0, |w| w.in_state(|t| if t.voluntary > 0.5 { t.sleep + t.disk } else { 0.0 }));
    if near < MIN_NEAR || waiting < 0.7 || slept > 0.3 {
        return None;
    }
    let confidence = match &facts.quick_ack {
        Some(tried) if tried.confirmed => 0.97,
        Some(_) => 0.1, // it was tried, and it is not
        None => 0.6,
    };
    let words = Words {
        title: "Small writes wait for delayed acknowledgements",
        sentence: format!(
            "One request alone takes {}, {} of them from 36 to 55 ms: the time by which an acknowledgement is delayed. The \
             service sends an answer in small pieces, and the last waits (Nagle's algorithm) for the first to be acknowledged.",
            ms(low.load.p50_ms),
            percent(near)
        ),
        change:
            "Set TCP_NODELAY on accepted sockets, and write head and body in one piece (a buffer, writev)."
                .to_owned(),
        experiment:
            "A client that acknowledges at once (TCP_QUICKACK) should get its answers without the 40 ms."
                .to_owned(),
    };
    let mut finding = card(Cause::NagleDelayedAck, Severity::Defect, near.min(waiting), confidence, words)
        .over("latencies from 36 to 55 ms, one request at a time", near, "share", MIN_NEAR)
        .number("median latency of one request alone", low.load.p50_ms, "ms")
        .evidence("the generator's latency distribution");
    finding.experiment.result.clone_from(&facts.quick_ack);
    Some(finding)
}

/// Segments are lost.
pub(super) fn retransmits(facts: &Facts) -> Option<Finding> {
    const MIN_SHARE: f64 = 0.01;
    let (top, window) = facts.top_window()?;
    let share = window.retransmitted?;
    if share < MIN_SHARE {
        return None;
    }
    let words = Words {
        title: "Segments are sent again",
        sentence: format!(
            "At {}, {:.1} % of the machine's TCP segments were sent again: each costs its request 200 ms or more.",
            top.name,
            share * 100.0
        ),
        change: "Look for a saturated link, a firewall, small receive buffers.".to_owned(),
        experiment: "The same load over another path should show none.".to_owned(),
    };
    Some(
        card(Cause::Retransmits, Severity::Notice, (share * 5.0).min(1.0), 0.5, words)
            .over("segments sent again", share, "share", MIN_SHARE)
            .evidence("/proc/net/snmp: RetransSegs, OutSegs (of the whole network namespace)"),
    )
}

/// Connections are made anew though the client keeps them.
pub(super) fn churn(facts: &Facts) -> Option<Finding> {
    const MIN_SHARE: f64 = 0.2;
    let (top, window) = facts.top_window()?;
    let share = window.accepted? / top.load.rps.max(1.0);
    if share < MIN_SHARE || top.load.connect_mean_ms <= 0.0 {
        return None;
    }
    let words = Words {
        title: "Connections are not kept",
        sentence: format!(
            "At {}, {share:.1} connections were made per request, though the client keeps them open; making one took {}.",
            top.name,
            ms(top.load.connect_mean_ms)
        ),
        change: "Turn keep-alive on, and let it last longer than the pauses between requests.".to_owned(),
        experiment: "With keep-alive, latency should fall by the time of a connection.".to_owned(),
    };
    let weight = top.load.connect_mean_ms / (top.load.connect_mean_ms + top.load.mean_ms).max(1e-9);
    Some(
        card(Cause::ConnectionChurn, Severity::Notice, weight, 0.6, words)
            .over("connections made per request", share, "", MIN_SHARE)
            .evidence("/proc/net/snmp: PassiveOpens (of the whole network namespace)"),
    )
}
