//! Our own HTTP/1.1: a connection's bytes in, its answers out (RFC 9110 and RFC 9112).
//!
//! Read on in `conn.rs` (between requests) and `exchange.rs` (one request and its answer). What decides is pure:
//! `head.rs`, `target.rs`, `fields.rs` and `chunked.rs` read, `encode.rs` writes. `intake.rs` and `pipe.rs` bring a body
//! from the connection to its reader, `output.rs` the answers to the connection, `watch.rs` has the time limits.
//!
//! HTTP/1.0 is spoken too, and HTTP/0.9 is not. A `CONNECT` is answered, but opens no tunnel.

mod buffers;
mod chunked;
mod conn;
mod date;
mod encode;
mod exchange;
mod fault;
mod fields;
mod head;
mod intake;
mod output;
mod pipe;
mod reply;
mod target;

use seawall_core::metrics::{Counter, Gauge, Registry};

use super::ServerConfig;
use super::admission::Entrance;
#[cfg(feature = "websocket")]
use super::takeover::Takeover;
use super::watch::Limits;
use crate::service::Service;
pub(super) use conn::Conn;
use conn::Lost;
use exchange::{Next, Step};
pub(crate) use fault::Fault;
use head::HeadLimits;
pub(crate) use pipe::Incoming;

/// What all connections of a worker have in common.
pub(super) struct Home {
    pub(super) service: Service,
    pub(super) in_flight: Gauge,
    pub(super) head_limits: HeadLimits,
    pub(super) limits: Limits,
    half_close: bool,
    max_requests: Option<u64>,
    faults: Faults,
    pub(super) entrance: Entrance,
}

/// Counts what was refused before it was a request.
struct Faults(Registry);

impl Faults {
    fn count(&self, fault: Fault) {
        self.counter(fault).inc();
    }

    fn counter(&self, fault: Fault) -> Counter {
        self.0.counter(
            "seawall_http_faults_total",
            "Bytes that were refused before they were a request, by what was wrong with them.",
            &[("kind", fault.kind())],
        )
    }
}

impl Home {
    pub(super) fn new(service: Service, in_flight: Gauge, entrance: Entrance, config: &ServerConfig) -> Self {
        let faults = Faults(service.metrics().clone());
        Self {
            service,
            in_flight,
            head_limits: HeadLimits { bytes: config.max_head_bytes, fields: config.max_headers },
            limits: Limits {
                idle: config.idle_timeout,
                head: config.head_timeout,
                body_gap: config.body_gap_timeout,
                write_stall: config.write_stall_timeout,
            },
            half_close: config.half_close,
            max_requests: config.max_requests_per_connection.map(u64::from),
            faults,
            entrance,
        }
    }
}

impl Home {
    /// Whether a connection ends behind the request that it is on.
    fn is_last(&self, conn: &Conn) -> bool {
        self.max_requests.is_some_and(|most| conn.requests >= most)
            || conn.shutdown.is_draining(conn.idle_since)
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(mut conn: Box<Conn>, home: &Home) {
    let ended = match run(&mut conn, home).await {
        Ok(End::Close) => conn.close().await,
        #[cfg(feature = "websocket")]
        Ok(End::Takeover(takeover)) => return takeover.serve(conn.into_taken()).await,
        Err(lost) => Err(lost),
    };
    if let Err(lost) = ended {
        tracing::debug!(%lost, peer = %conn.peer.address, "connection ended");
    }
}

/// How a connection ends that was not lost.
enum End {
    Close,
    #[cfg(feature = "websocket")]
    Takeover(Takeover),
}

/// One request after the other.
async fn run(conn: &mut Conn, home: &Home) -> Result<End, Lost> {
    loop {
        let mut step = conn.next_step(home).await?;
        if let Step::Queue(queued) = step {
            // In a box, or every connection would keep room for it.
            step = Box::pin(conn.wait(*queued, home)).await?;
        }
        let next = match &mut step {
            // In a box, too: a connection is idle most of the time.
            Step::Answer(exchange) => Box::pin(conn.exchange(exchange, home)).await?,
            Step::Refused { goes_on: true, .. } => Next::Request,
            Step::Refused { goes_on: false, .. } => Next::Close,
            Step::Queue(_) | Step::End => return Ok(End::Close),
        };
        let intake = step.into_intake(); // and nothing else of the request is kept
        match next {
            Next::Request if conn.pass(intake).await? => {}
            Next::Request | Next::Close => return Ok(End::Close),
            #[cfg(feature = "websocket")]
            Next::Takeover(takeover) => {
                conn.flush().await?;
                return Ok(End::Takeover(takeover));
            }
        }
    }
}
