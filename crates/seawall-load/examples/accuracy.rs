//! How exact is the generator? Runs against a server of known delay, whose own measurement is the truth.
//!
//! ```console
//! $ cargo build --release -p seawall-load --example accuracy
//! $ taskset -c 0 target/release/examples/accuracy 1
//! ```
//!
//! The difference holds two ways over loopback and the wake-ups of both sides, so each side is also taken without ever
//! sleeping: what is left with both awake is neither's sleep. Seven runs of two seconds per row, and the median, least and
//! most of their differences. Wants two CPUs that nobody else uses: the server stays on the one that taskset gives it, the
//! generator on the one that is named.

use std::time::Duration;

use seawall_load::{Load, LoadConfig, Sink, SinkConfig, WarmUp};

const RUNS: usize = 7;
const DELAY: Duration = Duration::from_micros(200);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("| connections | pace | never asleep | p50 from send - truth, us | p50 from due - truth, us |");
    println!("|---|---|---|---|---|");
    let cpu: usize = std::env::args().nth(1).ok_or("which CPU shall the generator have?")?.parse()?;
    for (connections, rate) in
        [(1, None), (8, None), (8, Some(1_000.0)), (64, Some(10_000.0)), (64, Some(30_000.0))]
    {
        for (awake, server, client) in
            [("nobody", false, false), ("server", true, false), ("client", false, true), ("both", true, true)]
        {
            let errors: Vec<_> = (0..RUNS)
                .map(|_| difference(connections, rate, server, client, cpu))
                .collect::<Result<_, _>>()?;
            let pace = rate.map_or_else(|| "closed".to_owned(), |rate| format!("{rate}/s"));
            let (send, due) = (spread(&errors, |error| error.0), spread(&errors, |error| error.1));
            println!("| {connections} | {pace} | {awake} | {send} | {due} |");
        }
    }
    Ok(())
}

/// What a run measured too much, from the send and from the due time, in microseconds.
fn difference(
    connections: usize,
    rate: Option<f64>,
    server_awake: bool,
    client_awake: bool,
    cpu: usize,
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let sink = Sink::start(&SinkConfig { delay: DELAY, busy_poll: server_awake, ..SinkConfig::default() })?;
    let config = LoadConfig {
        url: format!("http://{}/", sink.address()),
        connections,
        rate,
        busy_poll: client_awake,
        duration: Duration::from_secs(2),
        warmup: WarmUp::Fixed(Duration::from_millis(200)),
        cpus: Some(vec![cpu]),
        ..LoadConfig::default()
    };
    let report = Load::new(&config)?.run(&mut |_| {})?;
    let truth = sink.delays().quantile(0.5) as f64 / 1e3;
    sink.stop()?;
    Ok((report.service_us.p50 - truth, report.latency_us.p50 - truth))
}

/// Median, least and most.
fn spread(errors: &[(f64, f64)], of: fn(&(f64, f64)) -> f64) -> String {
    let mut values: Vec<f64> = errors.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    format!("**{:.1}** ({:.1} to {:.1})", values[values.len() / 2], values[0], values[values.len() - 1])
}
