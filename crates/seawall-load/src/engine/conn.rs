//! One keep-alive connection: its socket, the request it carries, and the parser of the answer.
//!
//! Knows reading and writing; what follows from it is decided by the engine.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::engine::work::Job;
use crate::response::{Kept, Parser};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not opened: more connections are allowed than are needed.
    Unused,
    /// Being made, until the deadline.
    Connecting { deadline: u64 },
    /// Waits for a request.
    Idle { since: u64 },
    /// Carries [`Conn::job`].
    Busy { sent: u64, deadline: u64 },
    /// Broken; tried again at this time.
    Backoff { until: u64 },
}

/// A connection slot. The socket changes, the slot stays.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) state: State,
    pub(super) socket: Option<TcpStream>,
    /// Counts sockets, so that events of an old one are told from those of the new one.
    pub(super) generation: u32,
    pub(super) parser: Parser,
    pub(super) kept: Kept,
    pub(super) job: Job,
    /// Bytes of the request that are written.
    pub(super) written: usize,
    /// Failures in a row, for the back-off.
    pub(super) failures: u32,
}

/// What writing led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// The kernel's buffer is full; an event will tell when there is room.
    Some,
    Failed,
}

/// First and longest pause between attempts to connect.
const BACKOFF_MIN_NS: u64 = 10_000_000;
const BACKOFF_MAX_NS: u64 = 1_000_000_000;

impl Conn {
    pub(super) fn new(head_only: bool) -> Self {
        Self {
            state: State::Unused,
            socket: None,
            generation: 0,
            parser: Parser::new(head_only),
            kept: Kept::default(),
            job: Job::default(),
            written: 0,
            failures: 0,
        }
    }

    /// Opens a socket and begins to connect it.
    pub(super) fn open(&mut self, address: SocketAddr) -> io::Result<&TcpStream> {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&SockAddr::from(address)) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        self.generation = self.generation.wrapping_add(1);
        self.parser.reset();
        Ok(self.socket.insert(socket.into()))
    }

    /// Closes the socket, if there is one.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    /// How the attempt to connect ended. Ask after a writable event only.
    pub(super) fn connect_result(&self) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Err(io::ErrorKind::NotConnected.into()) };
        match socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Writes what is left of the request.
    #[inline]
    pub(super) fn write(&mut self, request: &[u8]) -> Written {
        let Some(mut socket) = self.socket.as_ref() else { return Written::Failed };
        while self.written < request.len() {
            match socket.write(&request[self.written..]) {
                Ok(0) => return Written::Failed,
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Written::Failed,
            }
        }
        Written::All
    }

    /// Reads once. `Ok(None)` means that there is nothing now, `Ok(Some(0))` the end.
    #[inline]
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(mut socket) = self.socket.as_ref() else { return Ok(Some(0)) };
        loop {
            match socket.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The pause after one more failure in a row: 10 ms, doubling, at most 1 s.
    pub(super) fn next_backoff(&mut self) -> u64 {
        let pause = BACKOFF_MIN_NS << self.failures.min(7);
        self.failures = self.failures.saturating_add(1);
        pause.min(BACKOFF_MAX_NS)
    }

    /// The event token of the current socket in this slot.
    pub(super) fn token(&self, slot: u32) -> u64 {
        u64::from(self.generation) << 32 | u64::from(slot)
    }
}
