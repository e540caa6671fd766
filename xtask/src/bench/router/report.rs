//! The result as Markdown: nanoseconds per look-up, ratios within rounds, and what building the largest table costs.

use std::fmt::Write as _;

use super::super::stats::{least, median, most};
use super::{OURS, Visit};

pub(super) fn render(visits: &[Visit]) -> String {
    let (mut sets, mut routers) = (Vec::new(), Vec::new());
    for visit in visits {
        if !sets.contains(&visit.set) {
            sets.push(visit.set);
        }
        // Of the first round, which is in the order of the list.
        if !routers.contains(&visit.router.as_str()) {
            routers.push(visit.router.as_str());
        }
    }
    let mut text =
        format!("ns per look-up, median (range) over rounds\n\n| router | {} |\n", sets.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(sets.len()));
    for router in &routers {
        let cells: Vec<_> = sets.iter().map(|set| times(visits, set, router)).collect();
        let _ = writeln!(text, "| {router} | {} |", cells.join(" | "));
    }
    let cells: Vec<_> = sets.iter().map(|set| ratio(visits, set)).collect();
    let _ = writeln!(text, "| **{OURS} / the best peer of the round** | {} |", cells.join(" | "));
    if let Some(largest) = sets.last() {
        let _ = writeln!(text, "\n{largest} routes: built in, and memory of the process for it\n");
        let _ = writeln!(text, "| router | ms | MiB |\n|---|---|---|");
        for router in &routers {
            let own = || visits.iter().filter(|visit| visit.set == *largest && visit.router == *router);
            let build = median(own().map(|visit| visit.took.build_ms).collect());
            let memory = median(own().map(|visit| visit.took.memory_bytes as f64).collect());
            let _ = writeln!(text, "| {router} | {build:.0} | {:.1} |", memory / f64::from(1 << 20));
        }
    }
    text
}

fn times(visits: &[Visit], set: &str, router: &str) -> String {
    let own = visits.iter().filter(|visit| visit.set == set && visit.router == router);
    let times: Vec<_> = own.map(|visit| visit.took.ns).collect();
    format!("{:.0} ({:.0}-{:.0})", median(times.clone()), least(&times), most(&times))
}

fn ratio(visits: &[Visit], set: &str) -> String {
    let ratios = ratios(visits, set);
    format!("**{:.2}** ({:.2}-{:.2})", median(ratios.clone()), least(&ratios), most(&ratios))
}

/// Ours over the quickest peer, for each round.
fn ratios(visits: &[Visit], set: &str) -> Vec<f64> {
    let ours = visits.iter().filter(|visit| visit.set == set && visit.router == OURS);
    let best = |round: u32| {
        let peers =
            visits.iter().filter(|visit| visit.set == set && visit.round == round && visit.router != OURS);
        least(&peers.map(|visit| visit.took.ns).collect::<Vec<_>>())
    };
    ours.map(|visit| visit.took.ns / best(visit.round)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Took;
    use super::*;

    fn visit(router: &str, round: u32, ns: f64) -> Visit {
        let took = Took { ns, best_ns: ns, build_ms: 2.0, memory_bytes: 3 << 20 };
        Visit { set: "100", router: router.to_owned(), round, took }
    }

    #[test]
    fn ours_is_compared_with_the_best_of_its_round() {
        let visits = [
            visit(OURS, 0, 4.0),
            visit("a", 0, 8.0),
            visit("b", 0, 16.0),
            visit("b", 1, 10.0),
            visit("a", 1, 40.0),
            visit(OURS, 1, 10.0),
        ];
        assert_eq!(ratios(&visits, "100"), [0.5, 1.0]);
        let text = render(&visits);
        assert!(text.contains("| Seawall | 7 (4-10) |") && text.contains("**0.75** (0.50-1.00)"), "{text}");
        assert!(text.contains("| b | 2 | 3.0 |"), "{text}");
    }
}
