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
mod target;

use bytes::BytesMut;
use seawall_core::metrics::{Counter, Gauge, Registry};
use seawall_guard::Gate;

use super::ServerConfig;
use super::shutdown::Shutdown;
use super::stream::Stream;
#[cfg(feature = "websocket")]
use super::takeover::Taken;
use super::watch::Limits;
use crate::peer::Peer;
use crate::service::Service;
use conn::{Conn, Lost};
use exchange::Next;
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
    faults: Faults,
    pub(super) gate: Gate,
    pub(super) refused: Counter,
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
    pub(super) fn new(service: Service, in_flight: Gauge, gate: Gate, config: &ServerConfig) -> Self {
        let faults = Faults(service.metrics().clone());
        let refused = service.metrics().counter(
            "seawall_http_refused_total",
            "Requests that were refused before they became one, by why.",
            &[("reason", "in_flight")],
        );
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
            faults,
            gate,
            refused,
        }
    }
}

/// Serves a connection to its end. `ahead` was read already, to find out its protocol.
pub(super) async fn serve(stream: Stream, ahead: BytesMut, peer: Peer, home: &Home, shutdown: Shutdown) {
    let address = peer.address;
    let conn = Conn::new(stream, ahead, peer, shutdown, home.limits);
    if let Err(lost) = run(conn, home).await {
        tracing::debug!(%lost, peer = %address, "connection ended");
    }
}

async fn run(mut conn: Conn, home: &Home) -> Result<(), Lost> {
    loop {
        let next = match conn.next_head(home).await? {
            None => return conn.close().await,
            Some(Err(fault)) => conn.give_up(fault, home),
            Some(Ok(head)) => conn.exchange(head, home).await?,
        };
        match next {
            Next::Request => {}
            Next::Close => return conn.close().await,
            #[cfg(feature = "websocket")]
            Next::Takeover(takeover) => {
                conn.flush().await?;
                let drain = Box::pin(conn.shutdown.drain());
                let (stream, ahead) = conn.into_parts();
                takeover.serve(Taken { stream, ahead: ahead.freeze(), drain }).await;
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
pub(super) fn sizes() -> String {
    fn f1<A, B, F>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }
    format!("Conn {} run {} answer {} ", size_of::<Conn>(), f1(run), Service::answer_size())
}
