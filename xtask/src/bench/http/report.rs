//! The rows as Markdown: a table per case and number of connections, what is aimed for, and who is ahead of us.

use std::fmt::Write as _;

use super::super::stats::Spread;
use super::Results;
use super::cases::{Case, Peer};
use super::rows::Row;

/// What a row is held against.
struct Goal {
    what: &'static str,
    case: Case,
    /// Of the row; none is every number of connections.
    connections: Option<u32>,
    server: Peer,
    value: fn(&Row) -> Option<f64>,
    most: f64,
    unit: &'static str,
}

/// Ours over that of this row, which has theirs over ours.
fn ours_over(row: &Row) -> Option<f64> {
    row.ratio_to_seawall.map(|spread| spread.inverse().median)
}

const GOALS: [Goal; 9] = [
    goal("user time beside axum's", Case::Hello, Peer::Seawall, |row| row.user_ratio_to_axum, 0.40, "x"),
    goal("CPU beside axum's", Case::Hello, Peer::Seawall, |row| row.ratio_to_axum, 0.82, "x"),
    goal(
        "CPU with five middlewares beside axum's",
        Case::Middleware5,
        Peer::Seawall,
        |row| row.ratio_to_axum,
        0.50,
        "x",
    ),
    goal(
        "CPU with five middlewares beside actix-web's",
        Case::Middleware5,
        Peer::ActixWeb,
        ours_over,
        0.65,
        "x",
    ),
    goal("user time that five middlewares add", Case::Middleware5, Peer::Seawall, added, 1.2, "us"),
    goal("CPU with 1,000 routes beside three", Case::Routes1000, Peer::Seawall, to_plain, 1.03, "x"),
    goal("CPU of a pipelined request", Case::Pipelined, Peer::Seawall, |row| Some(row.cpu_us), 0.8, "us"),
    Goal {
        connections: Some(400),
        ..goal("p99", Case::Hello, Peer::Seawall, |row| Some(row.p99_ms), 6.0, "ms")
    },
    goal(
        "memory of an idle connection",
        Case::Idle,
        Peer::Seawall,
        |row| row.rss_per_connection_kib,
        2.0,
        "KiB",
    ),
];

const fn goal(
    what: &'static str,
    case: Case,
    server: Peer,
    value: fn(&Row) -> Option<f64>,
    most: f64,
    unit: &'static str,
) -> Goal {
    Goal { what, case, connections: None, server, value, most, unit }
}

fn added(row: &Row) -> Option<f64> {
    row.added_user_us.map(|added| added.median)
}

fn to_plain(row: &Row) -> Option<f64> {
    row.ratio_to_plain.map(|ratio| ratio.median)
}

/// Everything that is to be said about the results.
pub(in super::super) fn render(results: &Results) -> String {
    let mut text = super::super::render::origin(&results.command, &results.machine);
    let mut seen: Vec<(Case, u32)> = Vec::new();
    for row in &results.rows {
        if !seen.contains(&(row.case, row.connections)) {
            seen.push((row.case, row.connections));
        }
    }
    for (case, connections) in seen {
        let rows: Vec<_> =
            results.rows.iter().filter(|row| (row.case, row.connections) == (case, connections)).collect();
        let _ = write!(text, "\n### {}, {} connections\n", case.title(), thousands(f64::from(connections)));
        text += &if case.holds() { holding(rows) } else { load(rows) };
    }
    text + &goals(&results.rows) + &ahead(&results.rows)
}

fn load(mut rows: Vec<&Row>) -> String {
    rows.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
    let mut text = String::from(
        "| server | CPU us | user us | CPU x axum | (95 %; range) | user x axum | (95 %; range) | CPU x ours (95 %) | user x ours (95 %) | p99 ms | req/s | MiB |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &rows {
        let mine = row.server == Peer::Seawall;
        let bold = if mine { "**" } else { "" };
        let bound = if row.generator_bound * 2 > row.rounds { "*" } else { "" };
        let _ = writeln!(
            text,
            "| {bold}{}{bold} | {:.2} | {:.2} | {} | {} | {} | {} | {} | {} | {:.2} | {}{bound} | {:.1} |",
            row.label,
            row.cpu_us,
            row.user_us,
            number(row.ratio_to_axum),
            ends([row.ratio_low, row.ratio_high, row.ratio_min, row.ratio_max]),
            number(row.user_ratio_to_axum),
            ends([row.user_ratio_low, row.user_ratio_high, row.user_ratio_min, row.user_ratio_max]),
            sure(row.ratio_to_seawall.filter(|_| !mine)),
            sure(row.user_ratio_to_seawall.filter(|_| !mine)),
            row.p99_ms,
            thousands(row.rps),
            row.rss_kib / 1024.0,
        );
    }
    if rows.iter().any(|row| row.generator_bound * 2 > row.rounds) {
        text += "\n\\* the generator was the limit: more may be possible, and its p99 is part of the p99.\n";
    }
    for row in rows {
        if let (Some(ratio), Some(user), Some(added)) =
            (row.ratio_to_plain, row.user_ratio_to_plain, row.added_user_us)
        {
            let _ = writeln!(
                text,
                "\nOurs over the same request without it, in the same rounds: CPU {} x, user {} x; added user time {} us.",
                sure(Some(ratio)),
                sure(Some(user)),
                sure(Some(added))
            );
        }
    }
    text
}

fn holding(mut rows: Vec<&Row>) -> String {
    let each = |row: &Row| row.rss_per_connection_kib.unwrap_or(f64::NAN);
    rows.sort_by(|a, b| each(a).total_cmp(&each(b)));
    let mut text = String::from(
        "| server | KiB each | MiB in all | CPU us of a request after the pause | user us | p99 ms |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let bold = if row.server == Peer::Seawall { "**" } else { "" };
        let _ = writeln!(
            text,
            "| {bold}{}{bold} | {:.2} | {:.1} | {:.1} | {:.1} | {:.2} |",
            row.label,
            each(row),
            row.rss_kib / 1024.0,
            row.cpu_us,
            row.user_us,
            row.p99_ms
        );
    }
    text
}

/// What we aim for beside what was measured; empty if nothing of it was.
fn goals(rows: &[Row]) -> String {
    let mut lines = String::new();
    for goal in &GOALS {
        let of = |row: &&Row| {
            (row.case, row.server) == (goal.case, goal.server)
                && goal.connections.is_none_or(|connections| row.connections == connections)
        };
        for row in rows.iter().filter(of) {
            let Some(value) = (goal.value)(row) else { continue };
            let met = if value <= goal.most { "yes" } else { "**no**" };
            let _ = writeln!(
                lines,
                "| {}, {} connections | {:.2} {unit} | {value:.2} {unit} | {met} |",
                goal.what,
                thousands(f64::from(row.connections)),
                goal.most,
                unit = goal.unit
            );
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!("\n### What we aim for\n| | at most | measured | met |\n|---|---|---|---|\n{lines}")
}

/// Fewer rounds than this have no interval to speak of.
const ENOUGH_ROUNDS: usize = 5;

/// Who was cheaper than we are, with an interval that does not reach 1.
fn ahead(rows: &[Row]) -> String {
    let mut lines = String::new();
    let judged = |row: &&Row| row.server != Peer::Seawall && !row.case.holds() && row.rounds >= ENOUGH_ROUNDS;
    for row in rows.iter().filter(judged) {
        for (what, spread) in [("CPU", row.ratio_to_seawall), ("user time", row.user_ratio_to_seawall)] {
            if let Some(spread) = spread.filter(|spread| spread.high < 1.0) {
                let (case, connections) = (row.case.title(), row.connections);
                let _ = writeln!(
                    lines,
                    "- {} in {case}, {connections} connections: {what} {} x ours",
                    row.label,
                    sure(Some(spread))
                );
            }
        }
    }
    for row in rows.iter().filter(|row| row.server != Peer::Seawall && row.case.holds()) {
        let mine = rows.iter().find(|mine| mine.server == Peer::Seawall && mine.case == row.case);
        let ours = mine.and_then(|mine| mine.rss_per_connection_kib);
        if let (Some(theirs), Some(ours)) = (row.rss_per_connection_kib, ours)
            && theirs < ours
        {
            let _ =
                writeln!(lines, "- {} in {}: {theirs:.2} KiB, ours {ours:.2}", row.label, row.case.title());
        }
    }
    if rows.iter().all(|row| row.server != Peer::Seawall) {
        return String::new();
    }
    let said = if !lines.is_empty() {
        lines
    } else if rows.iter().any(|row| judged(&row) || row.case.holds()) {
        "Nobody, in what was measured.\n".to_owned()
    } else {
        format!("Fewer than {ENOUGH_ROUNDS} rounds do not tell.\n")
    };
    format!("\n### Who is ahead of us\nWhose ratio to ours has an interval below 1:\n\n{said}")
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("**{value:.2}**"))
}

/// An interval and a range.
fn ends(values: [Option<f64>; 4]) -> String {
    match values {
        [Some(low), Some(high), Some(min), Some(max)] => format!("({low:.2}-{high:.2}; {min:.2}-{max:.2})"),
        _ => String::new(),
    }
}

/// A median and its interval.
fn sure(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |s| format!("{:.2} ({:.2}-{:.2})", s.median, s.low, s.high))
}

/// A whole number, its digits in groups of three.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::KIND;
    use super::super::rows::{rows, tests::visit};
    use super::*;

    fn results(visits: &[super::super::Visit]) -> Results {
        Results {
            kind: KIND.to_owned(),
            command: "cargo xtask bench http".to_owned(),
            machine: super::super::Machine::default(),
            rows: rows(visits, |peer| peer.name().to_owned()),
            visits: Vec::new(),
        }
    }

    #[test]
    fn says_what_was_met_and_who_is_ahead() {
        let round = |round| {
            let peers = [(Peer::Seawall, 6.0, 2.0), (Peer::Axum, 10.0, 5.0), (Peer::ActixWeb, 5.0, 3.0)];
            peers.map(|(peer, cpu, user)| visit(peer, round, cpu, user))
        };
        let visits: Vec<_> = (0..5).flat_map(round).collect();
        let text = render(&results(&visits));
        assert!(
            text.contains(
                "| CPU with five middlewares beside axum's, 64 connections | 0.50 x | 0.60 x | **no** |"
            ),
            "{text}"
        );
        assert!(text.contains("beside actix-web's, 64 connections | 0.65 x | 1.20 x | **no** |"), "{text}");
        assert!(
            text.contains("- actix-web in `GET /users/42` with five middlewares, 64 connections: CPU 0.83"),
            "{text}"
        );
        assert!(!text.contains("user time 1.50"), "{text}");
    }

    #[test]
    fn our_row_is_set_off() {
        let text = render(&results(&[visit(Peer::Seawall, 0, 4.0, 2.0), visit(Peer::Axum, 0, 8.0, 4.0)]));
        assert!(text.contains("| **seawall** | 4.00 | 2.00 | **0.50** | (0.50-0.50; 0.50-0.50) |"), "{text}");
        assert!(text.contains("Fewer than 5 rounds do not tell."), "{text}");
    }

    #[test]
    fn digits_are_in_groups() {
        assert_eq!(thousands(64.0), "64");
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(100_000.0), "100,000");
    }
}
