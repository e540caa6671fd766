//! What happens between `accept` and HTTP: who is really at the other end, and whether the bytes are sealed.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use seawall_core::metrics::Gauge;
use seawall_core::metrics::{Counter, Registry};
#[cfg(feature = "tls")]
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::listen::Listen;
use super::proxy_protocol::ProxyProtocol;
use super::shutdown::{Phase, Shutdown};
use super::stream::Stream;
#[cfg(feature = "tls")]
use super::tls::Tls;
#[cfg(feature = "tls")]
use crate::measure::Counted;
use crate::peer::{Address, Peer};

/// How long a handshake may go on once the server drains: its client saw its connection accepted.
const GRACE: Duration = Duration::from_secs(1);

/// What a listener asks of its connections.
#[derive(Debug)]
pub(super) struct Door {
    proxy_protocol: Option<ProxyProtocol>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
    proxy_refused: Counter,
    #[cfg(feature = "tls")]
    handshakes: Handshakes,
}

impl Door {
    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "without TLS there are no handshakes")
    )]
    pub(super) fn new(listen: &Listen, handshakes: &Handshakes, registry: &Registry) -> Self {
        Self {
            proxy_protocol: listen.proxy_protocol.clone(),
            #[cfg(feature = "tls")]
            tls: listen.tls.clone(),
            proxy_refused: registry.counter(
                "seawall_proxy_protocol_refused_total",
                "Connections closed for want of a good PROXY header from a trusted proxy.",
                &[],
            ),
            #[cfg(feature = "tls")]
            handshakes: handshakes.clone(),
        }
    }

    /// The scheme of requests that come through.
    pub(super) fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return "https";
        }
        "http"
    }

    async fn pass(&self, mut stream: Stream, mut address: Address) -> io::Result<(Stream, Peer)> {
        if let Some(protocol) = &self.proxy_protocol {
            let announced = protocol.accept(&mut stream, address).await;
            address = announced.inspect_err(|_| self.proxy_refused.inc())?;
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            // In a box: it is large, and every connection would keep room for it.
            let _under_way = Counted::start(&self.handshakes.under_way);
            let accepted = Box::pin(tls.accept(stream, &self.handshakes.turns)).await;
            let (stream, info) = self.handshakes.count(accepted)?;
            return Ok((stream, Peer { address, tls: Some(Arc::new(info)) }));
        }
        Ok((stream, Peer { address, ..Peer::default() }))
    }
}

/// Nothing, without TLS.
#[cfg(not(feature = "tls"))]
#[derive(Debug)]
pub(super) struct Handshakes;

#[cfg(not(feature = "tls"))]
impl Handshakes {
    pub(super) fn new(_: u32, _: &Registry) -> Self {
        Self
    }
}

/// The TLS handshakes of a server: turns for those that compute, and counts.
#[cfg(feature = "tls")]
#[derive(Debug, Clone)]
pub(super) struct Handshakes {
    turns: Arc<Semaphore>,
    under_way: Gauge,
    ok: Counter,
    failed: Counter,
    timeout: Counter,
    no_turn: Counter,
}

#[cfg(feature = "tls")]
impl Handshakes {
    pub(super) fn new(most: u32, registry: &Registry) -> Self {
        let counter = |outcome| {
            let labels = [("outcome", outcome)];
            registry.counter("seawall_tls_handshakes_total", "TLS handshakes, by how they ended.", &labels)
        };
        let turns = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            under_way: registry.gauge(
                "seawall_tls_handshakes_under_way",
                "TLS handshakes that have begun and not ended, those that wait for their turn included.",
                &[],
            ),
            ok: counter("ok"),
            failed: counter("failed"),
            timeout: counter("timeout"),
            no_turn: counter("no_turn"),
        }
    }

    fn count<T>(&self, result: io::Result<T>) -> io::Result<T> {
        match &result {
            Ok(_) => self.ok.inc(),
            #[cfg(feature = "acme")]
            Err(error) if super::tls::Proven::is(error) => self.ok.inc(),
            Err(error) if super::tls::NoTurn::is(error) => self.no_turn.inc(),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.timeout.inc(),
            Err(_) => self.failed.inc(),
        }
        result
    }
}

/// Makes a stream of what was accepted, and finds out who sent it. Each step has its own time limit.
///
/// # Errors
/// If the client does not keep to what the listener asks for, in time. It has been told then, as far as its protocol
/// allows.
pub(super) async fn establish(
    stream: Stream,
    address: Address,
    door: &Door,
    shutdown: &Shutdown,
) -> io::Result<(Stream, Peer)> {
    let late = async {
        shutdown.reached(Phase::Draining).await;
        sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = door.pass(stream, address) => done,
        () = late => Err(io::Error::other("the server drains")),
    }
}
