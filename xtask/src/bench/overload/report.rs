//! The results as Markdown: what was left at each multiple, what that cost us, and what we aim for.

use std::fmt::Write as _;

use super::Results;
use super::cases::{Handler, Peer};
use super::goals;
use super::points::Row;

/// Everything that is to be said about the results.
pub(in super::super) fn render(results: &Results) -> String {
    let mut text = super::super::render::origin(&results.command, &results.machine);
    text += "\n![Good answers and p99 against the offered load](images/overload.svg)\n";
    for handler in handlers(results) {
        let rows: Vec<_> = results.rows.iter().filter(|row| row.handler == handler).collect();
        let title = handler.title();
        let share = |row: &Row| format!("{:.1}", row.goodput_share * 100.0);
        let _ = write!(
            text,
            "\n### {title}: good answers in % of the capacity\n{}",
            table(results, &rows, share)
        );
        let p99 = |row: &Row| row.p99_ms.map_or("–".to_owned(), milliseconds);
        let _ = write!(text, "\n### {title}: p99 of the answers in ms\n{}", table(results, &rows, p99));
        let ours: Vec<_> = rows.into_iter().filter(|row| row.server == Peer::Seawall).collect();
        if !ours.is_empty() {
            let _ = write!(text, "\n### {title}: Seawall's price\n{}", prices(&ours));
        }
    }
    text = text + &spikes(results) + &steady(results) + &minutes(results);
    if has_doubts(results) {
        text +=
            "\n\\* the capacity moved meanwhile, or the generator was the limit, or a core had other work.\n";
    }
    text + &goals::render(results)
}

fn has_doubts(results: &Results) -> bool {
    results.rows.iter().any(|row| !row.valid)
        || results.spikes.iter().any(|spike| !spike.doubts.is_empty())
        || results.steady.iter().any(|steady| !steady.doubts.is_empty())
        || results.minutes.iter().any(|minute| !minute.doubts.is_empty())
}

pub(super) fn handlers(results: &Results) -> Vec<Handler> {
    let mut handlers: Vec<_> = results.rows.iter().map(|row| row.handler).collect();
    handlers.sort();
    handlers.dedup();
    handlers
}

pub(super) fn peers(results: &Results) -> Vec<Peer> {
    let mut peers: Vec<_> = results.rows.iter().map(|row| row.server).collect();
    peers.sort();
    peers.dedup();
    peers
}

pub(super) fn label(results: &Results, peer: Peer) -> String {
    results.labels.get(&peer).cloned().unwrap_or_else(|| peer.name().to_owned())
}

/// Ours is set off.
fn bold_label(results: &Results, peer: Peer) -> String {
    let bold = if peer == Peer::Seawall { "**" } else { "" };
    format!("{bold}{}{bold}", label(results, peer))
}

/// A line per server, a column per multiple.
fn table(results: &Results, rows: &[&Row], cell: impl Fn(&Row) -> String) -> String {
    let mut loads: Vec<f64> = rows.iter().map(|row| row.offered_x).collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    let titles: String = loads.iter().map(|load| format!(" {load}x |")).collect();
    let mut text = format!("| server |{titles}\n|---|{}\n", "---|".repeat(loads.len()));
    for peer in peers(results) {
        let at = |load: &f64| rows.iter().find(|row| row.server == peer && row.offered_x == *load);
        if !loads.iter().any(|load| at(load).is_some()) {
            continue;
        }
        let cells = loads.iter().map(|load| match at(load) {
            Some(row) if row.valid => format!(" {} |", cell(row)),
            Some(row) => format!(" {}* |", cell(row)),
            None => "  |".to_owned(),
        });
        let _ = writeln!(text, "| {} |{}", bold_label(results, peer), cells.collect::<String>());
    }
    text
}

fn prices(rows: &[&Row]) -> String {
    let mut text = String::from(
        "| offered | good % | possible % | of that % | p50 ms | p99 ms | refused/s | refused % | us CPU per refusal | MiB before | MiB at most |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let percent =
        |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.1}", share * 100.0));
    for row in rows {
        let _ = writeln!(
            text,
            "| {}x | {} | {} | {} | {} | {} | {:.0} | {} | {} | {:.1} | {:.1} |",
            row.offered_x,
            percent(Some(row.goodput_share)),
            percent(row.ceiling),
            percent(row.of_ceiling),
            row.p50_ms.map_or("–".to_owned(), milliseconds),
            row.p99_ms.map_or("–".to_owned(), milliseconds),
            row.refused_per_s,
            percent(Some(row.refused_share)),
            row.refusal_cpu_us.map_or("–".to_owned(), |us| format!("{us:.1}")),
            row.rss_start_kib / 1024.0,
            row.rss_kib / 1024.0
        );
    }
    text
}

fn milliseconds(ms: f64) -> String {
    if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

fn star(doubts: &[String]) -> &'static str {
    if doubts.is_empty() { "" } else { "*" }
}

fn spikes(results: &Results) -> String {
    let Some(first) = results.spikes.first() else { return String::new() };
    let mut text = format!(
        "\n### {}: five seconds at 10x, and then 0.8x again\n| server | good % in its first second | good % in all of it | normal again after |\n|---|---|---|---|\n",
        first.handler.title()
    );
    for spike in &results.spikes {
        let _ = writeln!(
            text,
            "| {}{} | {:.1} | {:.1} | {} |",
            bold_label(results, spike.server),
            star(&spike.doubts),
            spike.first_second_share * 100.0,
            spike.share * 100.0,
            spike.recovery_s.map_or("more than 8 s".to_owned(), |s| format!("{s:.2} s"))
        );
    }
    text
}

fn steady(results: &Results) -> String {
    let Some(first) = results.steady.first() else { return String::new() };
    let mut text = format!(
        "\n### {}: ten seconds at 0.8x with random gaps\n| server | refused % | not good % | p99 ms |\n|---|---|---|---|\n",
        first.handler.title()
    );
    for steady in &results.steady {
        let _ = writeln!(
            text,
            "| {}{} | {:.2} | {:.2} | {} |",
            bold_label(results, steady.server),
            star(&steady.doubts),
            steady.refused_share * 100.0,
            steady.not_good_share * 100.0,
            milliseconds(steady.p99_ms)
        );
    }
    text
}

fn minutes(results: &Results) -> String {
    let mut text = String::new();
    for minute in &results.minutes {
        let _ = writeln!(
            text,
            "\nA minute{} at {}x, {}: {:.1} % of the capacity were good; memory {:.1} MiB before, {:.1} MiB in its second \
             fifth, {:.1} MiB in its last ({:+.1} %), {:.1} MiB at most.",
            star(&minute.doubts),
            minute.offered_x,
            minute.handler.title(),
            minute.goodput_share * 100.0,
            minute.rss_start_kib / 1024.0,
            minute.rss_early_kib / 1024.0,
            minute.rss_late_kib / 1024.0,
            minute.growth() * 100.0,
            minute.rss_max_kib / 1024.0
        );
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::Machine;
    use super::super::points::{self, tests::point};
    use super::*;

    pub(crate) fn results() -> Results {
        let points = [
            point(Peer::Seawall, 2.0, 985.0),
            point(Peer::Seawall, 10.0, 950.0),
            point(Peer::Axum, 2.0, 40.0),
            point(Peer::Axum, 10.0, 20.0),
        ];
        Results {
            kind: super::super::KIND.to_owned(),
            command: "cargo xtask bench overload".to_owned(),
            machine: Machine::default(),
            labels: BTreeMap::from([(Peer::Axum, "axum 0.8.9".to_owned())]),
            spins: 1,
            rows: points::rows(&points),
            spikes: Vec::new(),
            steady: Vec::new(),
            minutes: Vec::new(),
        }
    }

    #[test]
    fn servers_stand_beside_each_other() {
        let text = render(&results());
        assert!(text.contains("| server | 2x | 10x |\n|---|---|---|\n| **seawall** | 98.5 | 95.0 |\n| axum 0.8.9 | 4.0 | 2.0 |"), "{text}");
        assert!(!text.contains('*') || !text.contains("the capacity moved"), "{text}");
    }

    #[test]
    fn only_what_was_measured_is_held_against_an_aim() {
        let text = render(&results());
        assert!(text.contains("| computing at 2x: good | at least 96 % | 98.50 % | yes |"), "{text}");
        assert!(
            text.contains("| axum, computing at 10x, must collapse: good | at most 30 % | 2.00 % | yes |"),
            "{text}"
        );
        assert!(!text.contains("at 30x") && !text.contains("spike") && !text.contains("slots"), "{text}");
    }

    #[test]
    fn what_is_not_sure_has_a_star() {
        let mut results = results();
        results.rows[1].valid = false;
        let text = render(&results);
        assert!(text.contains("| 95.0* |") && text.contains("\\* the capacity moved"), "{text}");
    }
}
