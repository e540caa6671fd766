//! Accepting: one listening socket, registered on every worker's reactor.
//!
//! A worker accepts only while there is room under the connection cap; what is beyond stays in the kernel's queue,
//! which is bounded, and is taken when a connection ends. Errors of `accept` are counted. Those of one connection (its
//! client has gone already) end with it; those of the system (out of files, out of memory) are waited out briefly, so
//! that they cannot turn into a busy loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::metrics::{Counter, Gauge, Registry};
use seawall_guard::{Gate, Permit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::ServerConfig;
use crate::error::Result;
use crate::measure::Counted;

/// How long a worker leaves `accept` alone after it failed.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The listening socket as one worker sees it.
pub(super) struct Listener {
    socket: std::net::TcpListener,
    /// Made on the worker's own reactor, hence at its first use.
    registered: Option<TcpListener>,
    cap: Cap,
    failures: Counter,
}

/// The cap on connections, and the news that there is room again.
#[derive(Clone)]
struct Cap {
    gate: Gate,
    freed: Arc<Notify>,
}

/// Room for one connection. The news goes out after the room is back, or nobody would find it.
struct Room {
    permit: Option<Permit>,
    freed: Arc<Notify>,
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.freed.notify_one();
    }
}

impl Cap {
    fn try_take(&self) -> Option<Room> {
        let permit = self.gate.try_acquire().ok()?;
        Some(Room { permit: Some(permit), freed: Arc::clone(&self.freed) })
    }

    async fn take(&self) -> Room {
        loop {
            // One wake-up is kept for us if a connection ends between the attempt and the wait.
            match self.try_take() {
                Some(room) => return room,
                None => self.freed.notified().await,
            }
        }
    }
}

/// A socket on this worker's reactor that nobody has read from yet, with its room under the cap.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// To be kept as long as the connection lasts.
    pub(super) place: Place,
}

/// A connection's room under the cap, and its place in the count of a worker.
pub(super) struct Place {
    _counted: Option<Counted>,
    _room: Room,
}

/// A socket on its way from one worker's reactor to another's.
pub(super) struct HandedOver {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    place: Place,
}

impl HandedOver {
    /// Puts it on this worker's reactor.
    pub(super) fn take(self) -> io::Result<Accepted> {
        let Self { stream, peer, place } = self;
        Ok(Accepted { stream: TcpStream::from_std(stream)?, peer, place })
    }
}

impl Accepted {
    /// Takes it off this worker's reactor.
    pub(super) fn hand_over(self) -> io::Result<HandedOver> {
        let Self { stream, peer, place } = self;
        Ok(HandedOver { stream: stream.into_std()?, peer, place })
    }

    /// Counts it as a connection of the worker whose gauge this is, and no longer of another.
    pub(super) fn counted(self, connections: &Gauge) -> Self {
        let _counted = Some(Counted::start(connections));
        Self { place: Place { _counted, ..self.place }, ..self }
    }
}

impl Listener {
    pub(super) fn new(
        socket: std::net::TcpListener,
        config: &ServerConfig,
        registry: &Registry,
    ) -> Result<Self> {
        let cap = Cap { gate: Gate::new(config.connection_cap()), freed: Arc::new(Notify::new()) };
        let failures =
            registry.counter("seawall_accept_failures_total", "Connections that accept lost.", &[]);
        Ok(Self { socket, registered: None, cap, failures })
    }

    pub(super) fn try_clone(&self) -> Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { socket, registered: None, cap: self.cap.clone(), failures: self.failures.clone() })
    }

    /// The next connection, once there is room for it.
    ///
    /// # Cancel safety
    /// Safe: a socket is accepted and handed out in one step.
    pub(super) async fn accept(&mut self) -> Accepted {
        loop {
            match self.try_accept().await {
                Ok(accepted) => return accepted,
                Err(error) if of_one_connection(&error) => self.failures.inc(),
                Err(error) => {
                    self.failures.inc();
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    async fn try_accept(&mut self) -> io::Result<Accepted> {
        let room = self.cap.take().await;
        let socket = match &mut self.registered {
            Some(socket) => socket,
            none => none.insert(TcpListener::from_std(self.socket.try_clone()?)?),
        };
        let (stream, peer) = socket.accept().await?;
        Ok(prepared(stream, peer, room))
    }

    /// A connection that is there already; for the drain.
    pub(super) fn accept_ready(&mut self) -> Option<Accepted> {
        let room = self.cap.try_take()?;
        let (stream, peer) = self.socket.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(prepared(TcpStream::from_std(stream).ok()?, peer, room))
    }
}

/// Whether only the connection that was to be accepted is concerned, so that the next one can be taken at once.
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn prepared(stream: TcpStream, peer: SocketAddr, room: Room) -> Accepted {
    // Small answers must not wait for the client's acknowledgement of the one before (RFC 896, RFC 1122 4.2.3.4). It
    // fails only on a connection that has ended already, which its first read will tell.
    let _ = stream.set_nodelay(true);
    Accepted { stream, peer, place: Place { _counted: None, _room: room } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_system_are_waited_out() {
        const ECONNABORTED: i32 = 103;
        const EMFILE: i32 = 24;
        assert!(of_one_connection(&io::Error::from_raw_os_error(ECONNABORTED)));
        assert!(!of_one_connection(&io::Error::from_raw_os_error(EMFILE)));
    }
}
