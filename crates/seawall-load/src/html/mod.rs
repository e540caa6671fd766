//! A report as one HTML file: verdict, numbers, three charts. Pure; the same report gives the same bytes.
//!
//! The page needs neither network nor script, reads in light and dark and on paper, and all text in it is escaped.
//!
//! Left out: knees, signals of the server, comparisons. Those are the lab's.

mod chart;

use std::fmt::{Display, Write as _};

use crate::report::{CurvePoint, Latency, Mode, Report, Second};
use crate::validity::Verdict;
use chart::{Chart, Scale, Series};

const STYLE: &str = include_str!("style.css");

impl Report {
    /// The report as one HTML file that needs nothing else.
    pub fn html(&self) -> String {
        let url = escape(&self.url);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\"><title>Load on {url}</title>\n\
             <style>\n{STYLE}</style></head><body>\n<h1>Load on {url}</h1>\n"
        );
        verdict(&mut out, self);
        out.push_str(&table("Numbers", &["", ""], numbers(self)));
        out.push_str(&table("Latency", &["", "p50", "p90", "p99", "p99.9", "max", "mean"], latencies(self)));
        for chart in [rates(&self.series), over_time(&self.series), spectrum(&self.percentiles)] {
            out.push_str(&chart.figure());
        }
        counted(&mut out, self);
        out.push_str("<footer>Made by <code>seawall load</code>. Times in microseconds unless said.</footer></body></html>\n");
        out
    }
}

fn verdict(out: &mut String, report: &Report) {
    let (class, headline) = match report.validity.verdict {
        Verdict::Valid => ("good", "Valid"),
        Verdict::GeneratorBound => ("unsure", "generator_bound: a floor, not the server's capacity"),
        Verdict::Invalid => ("bad", "INVALID: these numbers must not be used"),
    };
    let _ = write!(out, "<section class=\"verdict {class}\"><h2>{headline}</h2><ul>");
    let objectives = report.slo.iter().map(|slo| {
        let met = if slo.met { "met" } else { "BROKEN" };
        format!("objective {met}: {}", slo.slo)
    });
    let lines = report.validity.reasons.iter().cloned().chain(objectives).chain(report.notes.iter().cloned());
    for line in lines {
        let _ = write!(out, "<li>{}</li>", escape(&line)); // writing to a string cannot fail
    }
    out.push_str("</ul></section>\n");
}

fn numbers(report: &Report) -> Vec<Vec<String>> {
    let pace = match report.mode {
        Mode::Closed => "closed loop".to_owned(),
        Mode::Open => format!("open loop, {:.0} requests/s due", report.offered_rps),
        Mode::Users => "virtual users".to_owned(),
    };
    let cpu: f64 = report.cpu_shares.iter().sum();
    let mut rows = vec![
        ("pace", pace),
        ("connections, threads", format!("{}, {}", report.connections, report.threads)),
        ("warm-up, measured", format!("{:.2} s, {:.2} s", report.warmup_s, report.duration_s)),
        ("answers", format!("{} ({:.0} per second)", report.requests, report.rps)),
        ("errors", format!("{:.3} %", report.error_rate() * 100.0)),
        ("unanswered, never sent", format!("{}, {}", report.unanswered_at_end, report.backlog_at_end)),
        ("latencies that are lower bounds", report.censored.to_string()),
        (
            "generator",
            format!("{:.2} us CPU per request, {:.0} % of a CPU", report.cpu_us_per_request, cpu * 100.0),
        ),
        ("generator late, p99", format!("{:.0} us", report.lag_us.p99)),
    ];
    if let Some(test) = report.self_test {
        let text = format!("{:.0} requests/s, median {:.0} us", test.ceiling_rps, test.floor_us);
        rows.push(("the client's own ceiling and floor", text));
    }
    rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
}

fn latencies(report: &Report) -> Vec<Vec<String>> {
    let row = |name: &str, latency: &Latency| {
        let Latency { p50, p90, p99, p999, max, mean } = *latency;
        let cells = [p50, p90, p99, p999, max, mean].map(|us| format!("{us:.0}"));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let mut rows = vec![row("from due", &report.latency_us), row("from send", &report.service_us)];
    if report.connect_us.max > 0.0 {
        rows.push(row("connecting", &report.connect_us));
    }
    rows.extend(report.labels.iter().map(|(label, of)| row(label, &of.latency_us)));
    rows
}

/// What was counted by kind: errors, statuses, steps.
fn counted(out: &mut String, report: &Report) {
    if !report.errors.is_empty() {
        let rows = report.errors.iter().map(|(class, n)| vec![class.to_string(), n.to_string()]);
        out.push_str(&table("Errors", &["class", "number"], rows));
    }
    let rows = report.status.iter().map(|(code, n)| vec![code.to_string(), n.to_string()]);
    out.push_str(&table("Answers", &["status", "number"], rows));
    if !report.labels.is_empty() {
        let row = |(label, of): (&&str, &crate::report::LabelReport)| {
            vec![(*label).to_owned(), of.requests.to_string(), of.failed.to_string()]
        };
        out.push_str(&table("Steps", &["step", "answers", "failed"], report.labels.iter().map(row)));
    }
}

fn table(title: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let cells = |kind: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.map(|cell| format!("<{kind}>{}</{kind}>", escape(cell)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let mut out = format!("<section><h2>{}</h2><table><thead>", escape(title));
    out.push_str(&cells("th", &mut head.iter().copied()));
    out.push_str("</thead><tbody>");
    for row in rows {
        out.push_str(&cells("td", &mut row.iter().map(String::as_str)));
    }
    out.push_str("</tbody></table></section>\n");
    out
}

fn points(series: &[Second], value: fn(&Second) -> f64) -> Vec<(f64, f64)> {
    series.iter().map(|second| (second.t + second.seconds, value(second))).collect()
}

/// The part of the run that does not count, at the start of the x axis.
fn warm_until(series: &[Second]) -> f64 {
    series.iter().filter(|second| second.warmup).map(|second| second.t + second.seconds).fold(0.0, f64::max)
}

fn rates(series: &[Second]) -> Chart {
    let chart = Chart::new("Requests per second", "seconds", Scale::Linear, Scale::Linear);
    chart
        .shaded(warm_until(series), "warm-up")
        .series(Series::new("due", "dashed", points(series, |second| second.offered_rps)))
        .series(Series::new("answered", "one", points(series, |second| second.rps)))
        .series(Series::new("errors", "bad", points(series, |second| second.errors as f64 / second.seconds)))
}

fn over_time(series: &[Second]) -> Chart {
    let chart = Chart::new("Latency of each second, us", "seconds", Scale::Linear, Scale::Log);
    chart
        .shaded(warm_until(series), "warm-up")
        .series(Series::new("p50", "one", points(series, |second| second.p50)))
        .series(Series::new("p99", "two", points(series, |second| second.p99)))
}

/// Percentiles with as much room for each further nine: x is 1 / (1 - q).
fn spectrum(curve: &[CurvePoint]) -> Chart {
    let of = |value: fn(&CurvePoint) -> f64| {
        let below_one = curve.iter().filter(|point| point.q < 1.0);
        below_one.map(|point| (1.0 / (1.0 - point.q), value(point))).collect::<Vec<_>>()
    };
    Chart::new("Percentiles, us", "1 / (1 - q): 2 is the median, 100 is p99", Scale::Log, Scale::Log)
        .series(Series::new("from due", "two", of(|point| point.latency_us)))
        .series(Series::new("from send", "one", of(|point| point.service_us)))
}

/// Text for HTML, also in quotes.
fn escape(text: impl Display) -> String {
    let mut out = String::new();
    for letter in text.to_string().chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a='1' c=\"2\">&\u{7}"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp; ");
        let table = table("<t>", &["<h>"], [vec!["<c>".to_owned()]]);
        assert!(!table.contains("<t>") && !table.contains("<h>") && !table.contains("<c>"), "{table}");
    }

    #[test]
    fn the_spectrum_leaves_the_maximum_out() {
        let at = |q| CurvePoint { q, latency_us: 10.0, service_us: 5.0 };
        let figure = spectrum(&[at(0.0), at(0.5), at(0.99), at(1.0)]).figure();
        assert!(
            figure.contains("from due") && !figure.contains("NaN") && !figure.contains("inf"),
            "{figure}"
        );
    }
}
