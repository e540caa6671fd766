//! How exact is the generator? Runs against a server of known delay, whose own measurement is the truth.
//!
//! ```console
//! $ cargo build --release -p seawall-load --example accuracy
//! $ taskset -c 0 target/release/examples/accuracy 1
//! ```
//!
//! The difference holds two ways over loopback and the wake-ups of both sides. Seven runs of two seconds per row, and the
//! median, least and most of their differences. Wants two CPUs that nobody else uses: the server stays
//! on the one that taskset gives it, the generator on the one that is named.

use std::time::Duration;

use seawall_load::{Load, LoadConfig, Sink, SinkConfig, WarmUp};

const RUNS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("| delay | connections | pace | p50 from send - truth, us | p50 from due - truth, us |");
    println!("|---|---|---|---|---|");
    let cpu: usize = std::env::args().nth(1).ok_or("which CPU shall the generator have?")?.parse()?;
    for (delay_us, connections, rate, busy_poll) in [
        (200, 1, None, false),
        (200, 8, None, false),
        (200, 8, Some(1_000.0), false),
        (200, 64, Some(10_000.0), false),
        (200, 64, Some(30_000.0), false),
        (200, 8, Some(1_000.0), true),
        (200, 64, Some(10_000.0), true),
    ] {
        let mut errors = Vec::new();
        for _ in 0..RUNS {
            let delay = Duration::from_micros(delay_us);
            let sink = Sink::start(&SinkConfig { delay, ..SinkConfig::default() })?;
            let config = LoadConfig {
                url: format!("http://{}/", sink.address()),
                connections,
                rate,
                busy_poll,
                duration: Duration::from_secs(2),
                warmup: WarmUp::Fixed(Duration::from_millis(200)),
                cpus: Some(vec![cpu]),
                ..LoadConfig::default()
            };
            let report = Load::new(&config)?.run(&mut |_| {})?;
            let truth = sink.delays().quantile(0.5) as f64 / 1e3;
            errors.push((report.service_us.p50 - truth, report.latency_us.p50 - truth));
            sink.stop()?;
        }
        let pace = match (rate, busy_poll) {
            (None, _) => "closed".to_owned(),
            (Some(rate), false) => format!("{rate}/s"),
            (Some(rate), true) => format!("{rate}/s, never asleep"),
        };
        let (send, due) = (spread(&errors, |error| error.0), spread(&errors, |error| error.1));
        println!("| {delay_us} us | {connections} | {pace} | {send} | {due} |");
    }
    Ok(())
}

/// Median, least and most.
fn spread(errors: &[(f64, f64)], of: fn(&(f64, f64)) -> f64) -> String {
    let mut values: Vec<f64> = errors.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    format!("**{:.1}** ({:.1} to {:.1})", values[values.len() / 2], values[0], values[values.len() - 1])
}
