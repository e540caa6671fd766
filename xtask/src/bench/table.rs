//! The result as a Markdown table: medians over rounds, and ratios within rounds with their range.

use std::fmt::Write as _;

use super::Visit;

pub(super) fn render(visits: &[Visit], servers: &[&'static str], baseline: &str) -> String {
    let mut text = String::from(
        "| server | req/s | p99 us | CPU us/req | best | user us/req | x CPU (range) | x user |\n|---|---|---|---|---|---|---|---|\n",
    );
    for server in servers {
        let own: Vec<_> = visits.iter().filter(|visit| visit.server == *server).collect();
        let column = |value: fn(&Visit) -> f64| own.iter().map(|visit| value(visit)).collect::<Vec<_>>();
        let cpu = ratios(visits, server, baseline, |visit| visit.cpu_us);
        let user = ratios(visits, server, baseline, |visit| visit.user_us);
        let _ = writeln!(
            text,
            "| {server} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | **{:.2}** ({:.2}-{:.2}) | {:.2} |",
            median(column(|visit| visit.rps)),
            median(column(|visit| visit.p99_us)),
            median(column(|visit| visit.cpu_us)),
            least(&column(|visit| visit.cpu_us)),
            median(column(|visit| visit.user_us)),
            median(cpu.clone()),
            least(&cpu),
            cpu.iter().copied().fold(0.0, f64::max),
            median(user),
        );
    }
    text
}

/// The value of `server` over that of `baseline`, for each round that has both.
fn ratios(visits: &[Visit], server: &str, baseline: &str, value: fn(&Visit) -> f64) -> Vec<f64> {
    let find = |name: &str, round| visits.iter().find(|visit| visit.server == name && visit.round == round);
    let rounds = visits.iter().filter(|visit| visit.server == server).map(|visit| visit.round);
    let pair = |round| Some(value(find(server, round)?) / value(find(baseline, round)?));
    rounds.filter_map(pair).collect()
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

pub(super) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let visit = |server, round, cpu_us| Visit {
            server,
            round,
            rps: 1.0,
            p99_us: 1.0,
            cpu_us,
            user_us: 1.0,
            generator: "valid".to_owned(),
        };
        let visits = [
            visit("a", 0, 2.0),
            visit("b", 0, 4.0),
            visit("b", 1, 1.0),
            visit("a", 1, 3.0),
            visit("a", 2, 9.0),
        ];
        assert_eq!(ratios(&visits, "a", "b", |visit| visit.cpu_us), [0.5, 3.0]);
    }
}
