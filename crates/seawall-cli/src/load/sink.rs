//! `seawall load sink`: the server that shows the client's own ceiling.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use seawall_load::{Sink, SinkConfig};

use super::text::{count, time};
use super::{stop_on_signals, values};

/// How often it is looked whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `seawall load sink`.
#[derive(Debug, Args)]
pub(super) struct SinkArgs {
    /// Where to listen; port 0 is a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9999")]
    addr: SocketAddr,
    /// Bytes of the answer's body
    #[arg(long, value_name = "N", default_value_t = 2)]
    body: usize,
    /// From reading a request to writing its answer: a known delay, to see how exactly a client measures it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = values::duration)]
    delay: Duration,
    /// Never sleep: what a client measures too much is its own then; takes a whole CPU
    #[arg(long)]
    busy_poll: bool,
}

/// Answers until Ctrl-C, then says what it has seen.
pub(super) fn run(args: &SinkArgs) -> Result<ExitCode> {
    let SinkArgs { addr: address, body, delay, busy_poll } = *args;
    let config = SinkConfig { address, body, delay, busy_poll };
    let sink = Sink::start(&config).with_context(|| format!("cannot answer on {}", args.addr))?;
    let stop = Arc::<AtomicBool>::default();
    stop_on_signals(&stop)?;
    println!("a sink on http://{}/ (Ctrl-C ends it)", sink.address());
    std::io::stdout().flush()?;
    while !stop.load(Relaxed) {
        if sink.has_ended() {
            sink.stop()?;
            bail!("the sink ended by itself");
        }
        std::thread::park_timeout(LOOK);
    }
    let (requests, cpu, delays) = (sink.requests(), sink.cpu(), sink.delays());
    sink.stop()?;
    let per_request = cpu.as_secs_f64() * 1e6 / requests.max(1) as f64;
    println!("{} requests answered, {per_request:.2} us CPU per request", count(requests as f64));
    if delays.count() > 0 {
        let at = |q| time(delays.quantile(q) as f64 / 1e3);
        println!("delay as measured here: p50 {}, p99 {}, max {}", at(0.5), at(0.99), at(1.0));
    }
    Ok(ExitCode::SUCCESS)
}
