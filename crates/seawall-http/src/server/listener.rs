//! Accepting: every listening socket, registered on every worker's reactor.
//!
//! A worker accepts only while there is room under the connection cap; what is beyond stays in the kernel's queue,
//! which is bounded, and is taken when a connection ends. Errors of `accept` are counted. Those of one connection (its
//! client has gone already) end with it; those of the system (out of files, out of memory) are waited out, for longer
//! each time, so that they cannot turn into a busy loop.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use seawall_core::metrics::{Counter, Gauge, Registry};
use seawall_guard::{Gate, Permit};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use super::bind::Share;
use super::handshake::Door;
use super::listen::Socket;
use super::stream::Stream;
use crate::measure::Counted;
use crate::peer::Address;

/// How long a worker leaves `accept` alone after it failed; twice as long after each further failure, up to the most.
const FIRST_REST: Duration = Duration::from_millis(5);
const LONGEST_REST: Duration = Duration::from_millis(320);

/// Connections that one drain takes off the kernel's queues: more than these hold, so that newcomers cannot keep it busy.
pub(super) const MOST_AT_ONCE: usize = 1 << 16;

/// The listening sockets as one worker sees them.
pub(super) struct Listener {
    shares: Vec<Registered>,
    /// Whose turn it is to be looked at first.
    next: usize,
    cap: Cap,
    failures: Counter,
    rest: Rest,
}

/// A socket; on the worker's own reactor, once that runs.
struct Registered {
    share: Share,
    socket: Option<OnReactor>,
}

enum OnReactor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The pause after `accept` failed. It outlives the future that ran into it, which is dropped whenever the worker has
/// something else to do.
struct Rest {
    pause: Option<Pin<Box<Sleep>>>,
    length: Duration,
}

/// The cap on connections, and the news that there is room again.
#[derive(Clone)]
pub(super) struct Cap {
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
    pub(super) fn new(connections: NonZeroU32) -> Self {
        Self { gate: Gate::new(connections), freed: Arc::new(Notify::new()) }
    }

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
    pub(super) stream: Stream,
    pub(super) address: Address,
    /// What is asked of it before it may speak HTTP.
    pub(super) door: Arc<Door>,
    /// Whether it stays with the worker that accepted it.
    pub(super) stays: bool,
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
    socket: Detached,
    address: Address,
    door: Arc<Door>,
    place: Place,
}

enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl HandedOver {
    /// Puts it on this worker's reactor.
    pub(super) fn take(self) -> io::Result<Accepted> {
        let Self { socket, address, door, place } = self;
        let stream = match socket {
            Detached::Tcp(socket) => Stream::Tcp(TcpStream::from_std(socket)?),
            Detached::Unix(socket) => Stream::Unix(UnixStream::from_std(socket)?),
        };
        Ok(Accepted { stream, address, door, stays: true, place })
    }
}

impl Accepted {
    /// Takes it off this worker's reactor.
    pub(super) fn hand_over(self) -> io::Result<HandedOver> {
        let Self { stream, address, door, stays: _, place } = self;
        let socket = match stream {
            Stream::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Stream::Unix(stream) => Detached::Unix(stream.into_std()?),
            #[cfg(feature = "tls")]
            Stream::Tls(_) => return Err(io::Error::other("a handshake has been made already")),
        };
        Ok(HandedOver { socket, address, door, place })
    }

    /// Counts it as a connection of the worker whose gauge this is, and no longer of another.
    pub(super) fn counted(self, connections: &Gauge) -> Self {
        let _counted = Some(Counted::start(connections));
        Self { place: Place { _counted, ..self.place }, ..self }
    }
}

impl Listener {
    pub(super) fn new(shares: Vec<Share>, cap: Cap, registry: &Registry) -> Self {
        let failures = registry.counter("seawall_accept_failures_total", "Failures of accept.", &[]);
        let shares = shares.into_iter().map(|share| Registered { share, socket: None }).collect();
        Self { shares, next: 0, cap, failures, rest: Rest { pause: None, length: FIRST_REST } }
    }

    /// The next connection, once there is room for it.
    ///
    /// # Cancel safety
    /// Safe: a socket is accepted and handed out in one step.
    pub(super) async fn accept(&mut self) -> Accepted {
        loop {
            self.rest.over().await;
            let room = self.cap.take().await;
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(socket) => {
                    self.rest.length = FIRST_REST;
                    return self.prepared(socket, room);
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    /// A connection that is there already; for the drain. At most [`MOST_AT_ONCE`] should be asked for.
    pub(super) fn accept_ready(&mut self) -> Option<Accepted> {
        for _ in 0..MOST_AT_ONCE {
            let room = self.cap.try_take()?;
            let accepted = (0..self.shares.len()).map(|at| (at, self.shares[at].accept_now()));
            let mut accepted = accepted.filter(|(_, accepted)| !is_empty(accepted));
            match accepted.next()? {
                (at, Ok((stream, address))) => return Some(self.prepared((at, stream, address), room)),
                (_, Err(error)) if of_one_connection(&error) => self.failures.inc(),
                (_, Err(_)) => return None,
            }
        }
        None
    }

    /// Looks at each socket once, beginning with another one each time.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(usize, Stream, Address)>> {
        let count = self.shares.len();
        for at in (0..count).map(|step| (self.next + step) % count) {
            if let Poll::Ready(accepted) = self.shares[at].poll_accept(cx) {
                self.next = (at + 1) % count;
                return Poll::Ready(accepted.map(|(stream, address)| (at, stream, address)));
            }
        }
        Poll::Pending
    }

    fn failed(&mut self, error: &io::Error) {
        self.failures.inc();
        if of_one_connection(error) {
            return;
        }
        if self.rest.length == FIRST_REST {
            tracing::warn!(%error, "accept fails; trying again, ever more slowly");
        }
        self.rest.begin();
    }

    fn prepared(&self, (at, stream, address): (usize, Stream, Address), room: Room) -> Accepted {
        if let Stream::Tcp(stream) = &stream {
            // Small answers must not wait for the client's acknowledgement of the one before (RFC 896, RFC 1122
            // 4.2.3.4). It fails only on a connection that has ended already, which its first read will tell.
            let _ = stream.set_nodelay(true);
        }
        let Share { own, door, .. } = &self.shares[at].share;
        let place = Place { _counted: None, _room: room };
        Accepted { stream, address, door: Arc::clone(door), stays: *own, place }
    }
}

/// Whether nobody waits to be accepted.
fn is_empty<T>(accepted: &io::Result<T>) -> bool {
    accepted.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl Registered {
    /// Asks the kernel itself: the reactor may not have heard yet of who has just come.
    fn accept_now(&self) -> io::Result<(Stream, Address)> {
        match &self.share.socket {
            Socket::Tcp(socket) => {
                let (stream, addr) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Stream::Tcp(TcpStream::from_std(stream)?), Address::Ip(addr)))
            }
            Socket::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Stream::Unix(UnixStream::from_std(stream)?), Address::Unix))
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Address)>> {
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(OnReactor::new(&self.share.socket)?),
        };
        Poll::Ready(Ok(match socket {
            OnReactor::Tcp(socket) => {
                let (stream, addr) = std::task::ready!(socket.poll_accept(cx))?;
                (Stream::Tcp(stream), Address::Ip(addr))
            }
            OnReactor::Unix(socket) => {
                let (stream, _) = std::task::ready!(socket.poll_accept(cx))?;
                (Stream::Unix(stream), Address::Unix)
            }
        }))
    }
}

impl OnReactor {
    fn new(socket: &Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket.try_clone()?)?),
            Socket::Unix(socket) => Self::Unix(UnixListener::from_std(socket.try_clone()?)?),
        })
    }
}

impl Rest {
    fn begin(&mut self) {
        let length = self.longer();
        self.pause = Some(Box::pin(sleep(length)));
    }

    fn longer(&mut self) -> Duration {
        let length = self.length;
        self.length = (length * 2).min(LONGEST_REST);
        length
    }

    async fn over(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.await;
            self.pause = None;
        }
    }
}

/// Whether only the connection that was to be accepted is concerned, so that the next one can be taken at once: its
/// client or its network failed before we came to it (accept(2), "Error handling").
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | Interrupted
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_system_are_waited_out() {
        const ECONNABORTED: i32 = 103;
        const EHOSTUNREACH: i32 = 113;
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        const ENOBUFS: i32 = 105;
        const ENOMEM: i32 = 12;
        let ends_with_it = |number| of_one_connection(&io::Error::from_raw_os_error(number));
        assert!([ECONNABORTED, EHOSTUNREACH].into_iter().all(ends_with_it));
        assert!(![EMFILE, ENFILE, ENOBUFS, ENOMEM].into_iter().any(ends_with_it));
    }

    #[test]
    fn each_rest_is_longer_up_to_a_bound() {
        let mut rest = Rest { pause: None, length: FIRST_REST };
        let lengths: Vec<_> = (0..8).map(|_| rest.longer().as_millis()).collect();
        assert_eq!(lengths, [5, 10, 20, 40, 80, 160, 320, 320]);
    }
}
