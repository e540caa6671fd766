//! The arguments of `seawall load` in groups, and the configuration that they make.
//!
//! Values are checked where they are used: by seawall-load, whose errors name field, value and range.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use seawall_load::{Arrivals, ConnectConfig, FormPart, LoadConfig, Protocol, Stage, TlsConfig, WarmUp};

use super::values::{self, Header};

/// A list in one value: clap takes a plain `Vec` for an argument that is repeated.
type Stages = Vec<Stage>;
/// The same for addresses and for CPUs.
type Addresses = Vec<IpAddr>;
type Cpus = Vec<usize>;

/// When requests are sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
#[command(group = clap::ArgGroup::new("pace").args(["rate", "stages", "ramp"]).multiple(false))]
pub(super) struct PaceArgs {
    /// How long to measure, after the warm-up: 500ms, 10s, 2m; stages bring their own length
    #[arg(short = 'd', long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub(super) duration: Duration,
    /// Send so many requests in all and end; -d is the limit then. Without a warm-up, unless one is given
    #[arg(short = 'n', long, value_name = "N")]
    requests: Option<u64>,
    /// Open loop: requests per second that are due, such as 5000 or 20k. Without it: closed loop
    #[arg(short = 'R', long, value_name = "N", value_parser = values::rate)]
    rate: Option<f64>,
    /// Open loop whose rate changes: times with a rate or a ramp, such as 10s:100,30s:100..5k,1m:5k
    #[arg(long, value_name = "STAGES", value_parser = values::stages)]
    stages: Option<Stages>,
    /// Open loop whose rate goes from one value to another over -d, such as 100..5k
    #[arg(long, value_name = "FROM..TO", value_parser = values::ramp)]
    ramp: Option<(f64, f64)>,
    /// Open loop: random gaps, as many independent users make them (a Poisson process), instead of even ones. They
    /// meet in bursts, so queues show that even gaps hide
    #[arg(long, requires = "pace")]
    poisson: bool,
    /// Open loop: open up to so many connections when none is free [default: as -c]
    #[arg(long, value_name = "N", requires = "pace")]
    max_conns: Option<usize>,
    /// Open loop: give a request up that was due so long ago and still has no connection, as users do; it is counted
    /// as deadline_shed, with the time it waited [default: it waits]
    #[arg(long, value_name = "TIME", value_parser = values::duration, requires = "pace")]
    deadline: Option<Duration>,
    /// Count answers 2xx that are complete so soon after they were due (closed loop: sent): good in the JSON
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    good_within: Option<Duration>,
    /// Length of a row of the series, a multiple of 250ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    series_every: Duration,
    /// Warm-up before the measurement: a time, auto (until the answers are steady), or 0s
    #[arg(long, value_name = "TIME|auto", default_value = "auto", value_parser = values::warmup)]
    warmup: WarmUp,
}

impl PaceArgs {
    pub(super) fn put_into(&self, config: &mut LoadConfig, seed: u64) {
        config.duration = self.duration;
        config.requests = self.requests;
        config.rate = self.rate;
        config.stages = match self.ramp {
            Some((from, to)) => vec![Stage { duration: self.duration, from, to }],
            None => self.stages.clone().unwrap_or_default(),
        };
        config.arrivals = if self.poisson { Arrivals::Poisson { seed } } else { Arrivals::Even };
        config.max_conns = self.max_conns;
        config.deadline = self.deadline;
        config.good_within = self.good_within;
        config.series_every = self.series_every;
        config.warmup = self.warmup;
    }
}

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestArgs {
    /// The method [default: GET, with a body or a form POST]
    #[arg(short = 'm', long, value_name = "METHOD")]
    method: Option<String>,
    /// A header field, such as 'Accept: text/html'; repeat for more
    #[arg(short = 'H', long = "header", value_name = "K:V", value_parser = values::header)]
    headers: Vec<Header>,
    /// The body: a text, or @FILE
    #[arg(short = 'b', long, value_name = "TEXT|@FILE")]
    body: Option<String>,
    /// A part of a form (multipart/form-data): NAME=TEXT, NAME=@FILE or NAME=@FILE;type=image/png;filename=a.png; repeat
    /// for more
    #[arg(short = 'F', long = "form", value_name = "NAME=VALUE", value_parser = values::form_part)]
    form: Vec<FormPart>,
    /// A CSV file whose rows fill {{csv.COLUMN}}: each request takes the next row, and rows begin again
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Send braces as they are: no templates in path, fields, body and form
    #[arg(long)]
    no_templates: bool,
}

impl RequestArgs {
    pub(crate) fn put_into(&self, config: &mut LoadConfig) -> Result<()> {
        config.body = match &self.body {
            None => Vec::new(),
            Some(body) => match body.strip_prefix('@') {
                Some(path) => {
                    std::fs::read(path).with_context(|| format!("cannot read the body from {path}"))?
                }
                None => body.clone().into_bytes(),
            },
        };
        let carries = !config.body.is_empty() || !self.form.is_empty();
        config.method =
            self.method.clone().unwrap_or_else(|| (if carries { "POST" } else { "GET" }).to_owned());
        config.headers = fields(&self.headers);
        config.form = self.form.clone();
        config.data = self.data.clone();
        config.templates = !self.no_templates;
        Ok(())
    }
}

pub(super) fn fields(headers: &[Header]) -> Vec<(String, String)> {
    headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect()
}

/// On what it is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(super) struct ConnectArgs {
    /// Keep-alive connections
    #[arg(short = 'c', long, value_name = "N", default_value_t = 64)]
    pub(super) connections: usize,
    /// Generator threads; connections and rate are divided among them
    #[arg(short = 't', long, value_name = "N", default_value_t = 1)]
    pub(super) threads: usize,
    /// CPUs for the generator threads, such as 2,3: thread k stays on the k-th of them [default: wherever there is room]
    #[arg(long, value_name = "N,..", value_parser = values::cpus)]
    cpus: Option<Cpus>,
    /// Never sleep: what this client's wake-ups add to latencies (some 20 us in a virtual machine) is gone, at the cost of a
    /// whole CPU per thread
    #[arg(long)]
    busy_poll: bool,
    /// How long an answer may take, counted from the send; it is an error then, and in the latencies
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    pub(super) timeout: Duration,
    /// How long making a connection may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    pub(super) connect_timeout: Duration,
    /// Connect to this HOST:PORT instead of the URL's; Host field and certificate stay those of the URL
    #[arg(long, value_name = "HOST:PORT")]
    connect_to: Option<String>,
    /// Addresses for the URL's host instead of asking the resolver, such as 10.0.0.1,10.0.0.2; connections take them in
    /// turn
    #[arg(long, value_name = "IP,..", value_parser = values::addresses)]
    resolve: Option<Addresses>,
    /// Connect to this unix socket; the URL still says Host and path, such as http://localhost/path
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Local addresses that connections come from, in turn: each has its own 28,000 or so ports
    #[arg(long, value_name = "IP,..", value_parser = values::addresses)]
    source: Option<Addresses>,
    /// Where random numbers begin (templates, --poisson): the same seed, threads and rate give the same ones
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
}

/// How long a connection is used.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(super) struct ReuseArgs {
    /// Close each connection after one answer, and say so (Connection: close); connect_us in the JSON has what that costs
    #[arg(long)]
    no_keepalive: bool,
    /// Close each connection after so many requests, without saying so
    #[arg(long, value_name = "N")]
    reqs_per_conn: Option<u64>,
    /// Requests on one connection at once, sent without waiting (HTTP/1.1 pipelining, WebSocket messages)
    #[arg(short = 'p', long, value_name = "N", default_value_t = 1)]
    pipeline: usize,
    /// HTTP/2: agreed on by TLS for https, by prior knowledge for http
    #[arg(long)]
    h2: bool,
    /// HTTP/2: streams on one connection at once [default: 1]
    #[arg(long, value_name = "N", requires = "h2", conflicts_with = "pipeline")]
    streams: Option<usize>,
}

impl ReuseArgs {
    pub(super) fn put_into(&self, config: &mut LoadConfig) {
        config.keep_alive = !self.no_keepalive;
        config.requests_per_connection = self.reqs_per_conn;
        config.pipeline = self.streams.unwrap_or(self.pipeline);
        config.protocol = match config.url.split_once("://") {
            Some(("ws" | "wss", _)) => Protocol::WebSocket,
            _ if self.h2 => Protocol::Http2,
            _ => Protocol::Http1,
        };
    }
}

impl ConnectArgs {
    pub(super) fn put_into(&self, config: &mut LoadConfig) {
        config.connections = self.connections;
        config.threads = self.threads;
        config.timeout = self.timeout;
        config.connect_timeout = self.connect_timeout;
        config.seed = self.seed;
        config.cpus = self.cpus();
        config.busy_poll = self.busy_poll;
        config.connect = self.connect();
    }

    pub(super) fn cpus(&self) -> Option<Vec<usize>> {
        self.cpus.clone()
    }

    pub(super) fn connect(&self) -> ConnectConfig {
        ConnectConfig {
            to: self.connect_to.clone(),
            resolve: self.resolve.clone().unwrap_or_default(),
            unix: self.unix.clone(),
            sources: self.source.clone().unwrap_or_default(),
        }
    }
}

/// Whom an https target must be.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS (https)")]
pub(crate) struct TlsArgs {
    /// Trust these certificates (PEM) instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The client's certificate with its chain (PEM), for servers that ask for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name to ask for (SNI) and to find in the certificate [default: the URL's host]
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// Accept any certificate: encrypted, but nobody knows with whom
    #[arg(short = 'k', long)]
    insecure: bool,
}

impl TlsArgs {
    pub(crate) fn config(&self) -> TlsConfig {
        TlsConfig {
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            server_name: self.sni.clone(),
            insecure: self.insecure,
        }
    }
}
