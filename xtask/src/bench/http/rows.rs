//! From visits to rows: medians over rounds, and ratios within rounds with their spread. Pure.

use serde::{Deserialize, Serialize};

use super::super::stats::{Spread, median};
use super::cases::{Case, Peer};

/// One visit to one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(super) server: Peer,
    pub(super) case: Case,
    pub(super) connections: u32,
    pub(super) round: u32,
    /// Of [`Case::has_plain`]: the same request without what the case adds.
    pub(super) plain: bool,
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) p99_us: f64,
    pub(super) rps: f64,
    /// The most under load, or while the connections are held.
    pub(super) rss_kib: f64,
    pub(super) rss_each_kib: Option<f64>,
    /// The generator had reserves: `rps` and `p99_us` are the server's own.
    pub(super) valid: bool,
}

/// A server in a case: the medians of its rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(super) server: Peer,
    pub(super) label: String,
    pub(super) case: Case,
    pub(super) connections: u32,
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    /// CPU over axum's, of the same round: the median, its 95 % interval, and the range. Absent where axum is.
    pub(super) ratio_to_axum: Option<f64>,
    pub(super) ratio_low: Option<f64>,
    pub(super) ratio_high: Option<f64>,
    pub(super) ratio_min: Option<f64>,
    pub(super) ratio_max: Option<f64>,
    /// The same of user time alone.
    pub(super) user_ratio_to_axum: Option<f64>,
    pub(super) user_ratio_low: Option<f64>,
    pub(super) user_ratio_high: Option<f64>,
    pub(super) user_ratio_min: Option<f64>,
    pub(super) user_ratio_max: Option<f64>,
    /// Over ours, of the same round.
    pub(super) ratio_to_seawall: Option<Spread>,
    pub(super) user_ratio_to_seawall: Option<Spread>,
    /// Over the same request without what the case adds, and the difference.
    pub(super) ratio_to_plain: Option<Spread>,
    pub(super) user_ratio_to_plain: Option<Spread>,
    pub(super) added_user_us: Option<Spread>,
    pub(super) p99_ms: f64,
    pub(super) rps: f64,
    pub(super) rss_kib: f64,
    pub(super) rss_per_connection_kib: Option<f64>,
    pub(super) rounds: usize,
    /// Rounds in which the generator was the limit: `rps` and `p99_ms` are its own then, `cpu_us` is not touched.
    pub(super) generator_bound: usize,
}

type Value = fn(&Visit) -> f64;
const CPU: Value = |visit| visit.cpu_us;
const USER: Value = |visit| visit.user_us;

/// All rows, in the order in which the servers were first visited.
pub(super) fn rows(visits: &[Visit], label: impl Fn(Peer) -> String) -> Vec<Row> {
    let mut found: Vec<(Case, u32, Peer)> = Vec::new();
    for visit in visits.iter().filter(|visit| !visit.plain) {
        let key = (visit.case, visit.connections, visit.server);
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
        .into_iter()
        .map(|(case, connections, peer)| row(visits, case, connections, peer, label(peer)))
        .collect()
}

fn row(visits: &[Visit], case: Case, connections: u32, peer: Peer, label: String) -> Row {
    let group: Vec<_> =
        visits.iter().filter(|visit| (visit.case, visit.connections) == (case, connections)).collect();
    let own: Vec<_> = group.iter().copied().filter(|visit| visit.server == peer && !visit.plain).collect();
    let middle = |value: Value| median(own.iter().map(|visit| value(visit)).collect());
    let over = |other: Peer, plain: bool, value: Value| {
        Spread::of(&pairs(&own, &group, other, plain, |own, other| value(own) / value(other)))
    };
    let (cpu, user) = (over(Peer::Axum, false, CPU), over(Peer::Axum, false, USER));
    let added = pairs(&own, &group, peer, true, |own, plain| own.user_us - plain.user_us);
    Row {
        server: peer,
        label,
        case,
        connections,
        cpu_us: middle(CPU),
        user_us: middle(USER),
        ratio_to_axum: cpu.map(|spread| spread.median),
        ratio_low: cpu.map(|spread| spread.low),
        ratio_high: cpu.map(|spread| spread.high),
        ratio_min: cpu.map(|spread| spread.min),
        ratio_max: cpu.map(|spread| spread.max),
        user_ratio_to_axum: user.map(|spread| spread.median),
        user_ratio_low: user.map(|spread| spread.low),
        user_ratio_high: user.map(|spread| spread.high),
        user_ratio_min: user.map(|spread| spread.min),
        user_ratio_max: user.map(|spread| spread.max),
        ratio_to_seawall: over(Peer::Seawall, false, CPU),
        user_ratio_to_seawall: over(Peer::Seawall, false, USER),
        ratio_to_plain: over(peer, true, CPU),
        user_ratio_to_plain: over(peer, true, USER),
        added_user_us: Spread::of(&added),
        p99_ms: middle(|visit| visit.p99_us) / 1e3,
        rps: middle(|visit| visit.rps),
        rss_kib: middle(|visit| visit.rss_kib),
        rss_per_connection_kib: own[0]
            .rss_each_kib
            .map(|_| middle(|visit| visit.rss_each_kib.unwrap_or(f64::NAN))),
        rounds: own.len(),
        generator_bound: own.iter().filter(|visit| !visit.valid).count(),
    }
}

/// `value` of each of our visits and that to `other` in the same round.
fn pairs(
    own: &[&Visit],
    group: &[&Visit],
    other: Peer,
    plain: bool,
    value: impl Fn(&Visit, &Visit) -> f64,
) -> Vec<f64> {
    let beside = |round| {
        let mut others = group.iter().filter(|visit| visit.server == other && visit.plain == plain);
        others.find(|visit| visit.round == round)
    };
    own.iter().filter_map(|visit| Some(value(visit, beside(visit.round)?))).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn visit(server: Peer, round: u32, cpu_us: f64, user_us: f64) -> Visit {
        Visit {
            server,
            case: Case::Middleware5,
            connections: 64,
            round,
            plain: false,
            cpu_us,
            user_us,
            p99_us: 800.0,
            rps: 100_000.0,
            rss_kib: 4096.0,
            rss_each_kib: None,
            valid: round != 1,
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let visits = [
            visit(Peer::Seawall, 0, 2.0, 1.0),
            visit(Peer::Axum, 0, 4.0, 2.0),
            visit(Peer::Axum, 1, 8.0, 8.0),
            visit(Peer::Seawall, 1, 6.0, 2.0),
            visit(Peer::Seawall, 2, 100.0, 50.0), // without a partner
        ];
        let rows = rows(&visits, |peer| peer.name().to_owned());
        assert_eq!(rows.len(), 2);
        let ours = &rows[0];
        assert_eq!((ours.server, ours.rounds, ours.generator_bound), (Peer::Seawall, 3, 1));
        assert_eq!((ours.cpu_us, ours.user_us), (6.0, 2.0));
        assert_eq!(
            (ours.ratio_to_axum, ours.ratio_min, ours.ratio_max),
            (Some(0.625), Some(0.5), Some(0.75))
        );
        assert_eq!(ours.user_ratio_to_axum, Some(0.375));
        let axum = rows[1].user_ratio_to_seawall.unwrap();
        assert_eq!((axum.min, axum.max), (2.0, 4.0));
    }

    #[test]
    fn what_a_case_adds_is_seen_beside_the_plain_request() {
        let plain = Visit { plain: true, ..visit(Peer::Seawall, 0, 5.0, 1.0) };
        let visits = [plain, visit(Peer::Seawall, 0, 6.0, 1.5)];
        let rows = rows(&visits, |peer| peer.name().to_owned());
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].added_user_us.map(|added| added.median), Some(0.5));
        assert_eq!(rows[0].user_ratio_to_plain.map(|ratio| ratio.median), Some(1.5));
        assert_eq!(rows[0].ratio_to_axum, None);
    }
}
