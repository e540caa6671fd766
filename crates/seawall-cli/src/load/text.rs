//! A report as text for people.

use std::fmt::Write;

use seawall_load::{ErrorClass, Latency, Mode, Report, SloResult, Verdict};

/// The whole report, with a newline at the end.
pub(super) fn render(report: &Report) -> String {
    let mut lines = vec![head(report), String::new()];
    if report.sent_total > 0 {
        lines.extend(throughput(report));
        lines.push(String::new());
        lines.extend(latencies(report));
        lines.push(String::new());
    }
    lines.extend(labels(report));
    lines.extend(errors(report));
    lines.extend(objectives(report));
    lines.extend(verdict(report));
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}"); // writing to a string cannot fail
        text
    })
}

fn head(report: &Report) -> String {
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let pace = match report.mode {
        Mode::Closed => "closed loop".to_owned(),
        Mode::Open => format!("open loop, {} req/s due", count(report.offered_rps)),
        Mode::Users => "virtual users".to_owned(),
    };
    format!(
        "{}\n  {pace}, {}, {}; warm-up {:.2} s (not counted), measured {:.2} s",
        report.url,
        plural(report.connections, "connection"),
        plural(report.threads, "thread"),
        report.warmup_s,
        report.duration_s
    )
}

fn throughput(report: &Report) -> Vec<String> {
    let mut lines = vec![format!(
        "  requests   {:>12}   {:>12} req/s   {:>10}/s received",
        count(report.requests as f64),
        count(report.rps),
        bytes(report.bytes_received as f64 / report.duration_s.max(1e-9))
    )];
    if let Some(good) = &report.good {
        lines.push(format!(
            "  good       {:>12}   {:>12} req/s   2xx within {}; p99 of all 2xx {}",
            count(good.total as f64),
            count(good.rps),
            time(good.within_us),
            time(good.success_us.p99)
        ));
    }
    let cpu: f64 = report.cpu_shares.iter().sum();
    let delay: f64 = report.run_delay_shares.iter().sum();
    lines.push(format!(
        "  generator  {:>9.2} us CPU per request, {:.0} % of a CPU in all, {:.0} % waiting for one{}",
        report.cpu_us_per_request,
        cpu * 100.0,
        delay * 100.0,
        if report.mode == Mode::Closed {
            String::new()
        } else {
            format!(", p99 {} late", time(report.lag_us.p99))
        }
    ));
    lines.extend(report.self_test.map(|test| {
        format!(
            "  self-test  this client sends up to {} req/s here; a server that does nothing answers it in {}",
            count(test.ceiling_rps),
            time(test.floor_us)
        )
    }));
    lines
}

fn latencies(report: &Report) -> Vec<String> {
    let row = |name: &str, latency: &Latency| {
        let Latency { p50, p90, p99, p999, max, mean } = *latency;
        let cells = [p50, p90, p99, p999, max, mean].map(|us| format!("{:>10}", time(us)));
        format!("  {name:<10} {}", cells.concat())
    };
    let titles = ["p50", "p90", "p99", "p99.9", "max", "mean"].map(|title| format!("{title:>10}"));
    let mut lines = vec![format!("  {:<10} {}", "latency", titles.concat())];
    if report.mode == Mode::Closed {
        lines.push(row("", &report.latency_us));
    } else {
        lines.push(row("from due", &report.latency_us));
        lines.push(row("from send", &report.service_us));
    }
    lines
}

/// What was asked under each label, if there are several.
fn labels(report: &Report) -> Vec<String> {
    if report.labels.is_empty() {
        return Vec::new();
    }
    let widest = report.labels.keys().map(|label| label.len()).max().unwrap_or(0);
    let mut lines = vec![format!(
        "  {:<widest$} {:>10} {:>8} {:>10} {:>10} {:>10}",
        "step", "answers", "failed", "p50", "p99", "max"
    )];
    lines.extend(report.labels.iter().map(|(label, report)| {
        let Latency { p50, p99, max, .. } = report.latency_us;
        format!(
            "  {label:<widest$} {:>10} {:>8} {:>10} {:>10} {:>10}",
            count(report.requests as f64),
            count(report.failed as f64),
            time(p50),
            time(p99),
            time(max)
        )
    }));
    lines.push(String::new());
    lines
}

fn errors(report: &Report) -> Vec<String> {
    if report.errors.is_empty() {
        return vec!["  errors     none".to_owned()];
    }
    let list: Vec<String> =
        report.errors.iter().map(|(class, n)| format!("{class} {}", count(*n as f64))).collect();
    let mut lines = vec![format!("  errors     {} ({:.3} %)", list.join(", "), report.error_rate() * 100.0)];
    lines.extend(
        report.errors.keys().find_map(|class| advice(*class)).map(|advice| format!("             {advice}")),
    );
    lines
}

/// What to do about an error, where that is not plain.
fn advice(class: ErrorClass) -> Option<&'static str> {
    Some(match class {
        ErrorClass::ConnectRefused => "nobody listens there: is the service running, and on this port?",
        ErrorClass::ConnectTimeout => {
            "connections are not accepted in time: is the host right, is the backlog full?"
        }
        ErrorClass::NoPorts => {
            "this machine has no free client ports left: keep connections alive, or give source addresses (--laddr)"
        }
        ErrorClass::NoFds => "too many open files: raise the limit (ulimit -n) or use fewer connections",
        ErrorClass::Malformed => {
            "the answers are no HTTP/1.1: is the port right, does it want TLS or HTTP/2?"
        }
        ErrorClass::TlsHandshake => {
            "no TLS connection: is the port right (http or https?), does the server ask for a certificate (--cert)?"
        }
        ErrorClass::TlsVerify => {
            "the server's certificate is not trusted for this name: --ca FILE, --sni NAME, or --insecure"
        }
        ErrorClass::DeadlineShed => {
            "no connection was free before --deadline; they are in the latencies with the time they waited"
        }
        ErrorClass::TimeoutFirstByte | ErrorClass::TimeoutBody => {
            "answers took longer than --timeout; they are in the latencies with the time they waited"
        }
        ErrorClass::Status4xx => "the service refused the requests: check path, method, headers and body",
        ErrorClass::ExpectFailed => {
            "answers were not what the scenario expects: compare one with its `expect`"
        }
        ErrorClass::ConnectReset
        | ErrorClass::ConnectUnreachable
        | ErrorClass::Write
        | ErrorClass::ReadReset
        | ErrorClass::EofEarly
        | ErrorClass::EofBeforeResponse
        | ErrorClass::TooLarge
        | ErrorClass::Status5xx
        | ErrorClass::UnansweredAtEnd => return None,
    })
}

fn objectives(report: &Report) -> Vec<String> {
    let line = |result: &SloResult| {
        let measured = match () {
            () if result.slo.starts_with("err") => format!("{:.3} %", result.measured * 100.0),
            () if result.slo.starts_with("rps") => format!("{} req/s", count(result.measured)),
            () => time(result.measured),
        };
        let bound = if result.lower_bound { "at least " } else { "" };
        let verdict = if result.met { "met" } else { "BROKEN" };
        format!("  objective  {verdict}: {} (measured {bound}{measured})", result.slo)
    };
    report.slo.iter().map(line).collect()
}

fn verdict(report: &Report) -> Vec<String> {
    let name = match report.validity.verdict {
        Verdict::Valid => "valid",
        Verdict::GeneratorBound => "generator_bound",
        Verdict::Invalid => "INVALID",
    };
    let mut lines = vec![format!("  verdict    {name}")];
    lines.extend(report.validity.reasons.iter().map(|reason| format!("             {reason}")));
    lines.extend(report.notes.iter().map(|note| format!("  note       {note}")));
    lines
}

/// A number with its thousands apart: 1,234,567; small ones with a decimal.
pub(crate) fn count(number: f64) -> String {
    if number < 100.0 && number.fract() > 0.05 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that reads best.
pub(super) fn time(us: f64) -> String {
    match us {
        _ if us >= 1e6 => format!("{:.2} s", us / 1e6),
        _ if us >= 1e3 => format!("{:.2} ms", us / 1e3),
        _ => format!("{us:.0} us"),
    }
}

fn bytes(number: f64) -> String {
    match number {
        _ if number >= 1e9 => format!("{:.2} GB", number / 1e9),
        _ if number >= 1e6 => format!("{:.2} MB", number / 1e6),
        _ if number >= 1e3 => format!("{:.1} kB", number / 1e3),
        _ => format!("{number:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let cases =
            [(0.0, "0"), (999.0, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567"), (12.5, "12.5")];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn times_have_the_unit_that_reads_best() {
        assert_eq!([time(12.3), time(1_234.0), time(2_500_000.0)], ["12 us", "1.23 ms", "2.50 s"]);
    }
}
