//! One connection: its socket, the requests it carries, and the parser of their answers.
//!
//! Knows reading and writing; what follows from it is decided by the engine.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use socket2::Socket;

use crate::engine::session::Session as Protocol;
use crate::engine::work::Job;
use crate::response::{Kept, Parser};
use crate::tls::Session;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not opened: more connections are allowed than are needed.
    Unused,
    /// Being made, since and until these times: by the kernel, then by the TLS handshake.
    Connecting { since: u64, deadline: u64 },
    /// Carries requests, or waits for one.
    Open,
    /// Broken; tried again at this time.
    Backoff { until: u64 },
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    pub(super) job: Job,
    pub(super) sent: u64,
    pub(super) deadline: u64,
    /// Its number on the connection: HTTP/2 answers in any order.
    pub(super) id: u64,
}

/// A connection slot. The socket changes, the slot stays.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) state: State,
    pub(super) socket: Option<Socket>,
    pub(super) tls: Option<Box<Session>>,
    /// HTTP/2 or WebSocket; `None` is HTTP/1.1.
    pub(super) session: Option<Protocol>,
    /// The kernel has connected it.
    pub(super) begun: bool,
    /// Counts sockets, so that events of an old one are told from those of the new one.
    pub(super) generation: u32,
    pub(super) parser: Parser,
    pub(super) kept: Kept,
    /// Requests on their way, oldest first: HTTP/1.1 answers in order.
    pub(super) flights: VecDeque<Flight>,
    /// Since when it has had room, if it is listed.
    pub(super) room_since: u64,
    /// It is in the engine's list of connections with room.
    pub(super) listed: bool,
    /// Requests sent on this socket.
    pub(super) carried: u64,
    /// What is to be written; unused where requests are written from where they are.
    pub(super) out: Vec<u8>,
    /// Bytes that are written, of `out` or of the request.
    written: usize,
    /// The kernel's buffer was full before everything was written.
    pub(super) unsent: bool,
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
    pub(super) fn new() -> Self {
        Self {
            state: State::Unused,
            socket: None,
            tls: None,
            session: None,
            begun: false,
            generation: 0,
            parser: Parser::new(false),
            kept: Kept::default(),
            flights: VecDeque::new(),
            room_since: 0,
            listed: false,
            carried: 0,
            out: Vec::new(),
            written: 0,
            unsent: false,
            failures: 0,
        }
    }

    /// Takes a socket that is being connected, and the TLS session that will begin on it.
    pub(super) fn begin(
        &mut self,
        socket: Socket,
        tls: Option<Box<Session>>,
        session: Option<Protocol>,
    ) -> &Socket {
        self.generation = self.generation.wrapping_add(1);
        self.parser.reset();
        self.tls = tls;
        self.session = session;
        self.carried = 0;
        self.begun = false;
        self.socket.insert(socket)
    }

    /// Closes the socket, if there is one.
    pub(super) fn close(&mut self) {
        self.socket = None;
        self.tls = None;
        self.session = None;
        self.out.clear();
        self.written = 0;
        self.unsent = false;
    }

    /// How the attempt to connect ended. Ask after a writable event only.
    pub(super) fn connect_result(&self) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Err(io::ErrorKind::NotConnected.into()) };
        match socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Begins to write a request from where it is. Nothing else may be unsent.
    #[inline]
    pub(super) fn write_first(&mut self, request: &[u8]) -> Written {
        self.written = 0;
        self.write(Some(request))
    }

    /// Writes what is left: of `request`, or else of what was put into `out`.
    #[inline]
    pub(super) fn write(&mut self, request: Option<&[u8]>) -> Written {
        let Some(socket) = self.socket.as_ref() else { return Written::Failed };
        let source = request.unwrap_or(&self.out);
        let written = match &mut self.tls {
            None => write_plain(socket, source, &mut self.written),
            Some(tls) => tls.write(socket, source, &mut self.written),
        };
        self.unsent = match written {
            Ok(complete) => !complete,
            Err(_) => return Written::Failed,
        };
        if self.unsent {
            return Written::Some;
        }
        if request.is_none() {
            self.out.clear();
            self.written = 0;
        }
        Written::All
    }

    /// Sends what TLS has to say by itself: answers to key updates, alerts.
    pub(super) fn flush_tls(&mut self) {
        if let (Some(socket), Some(tls)) = (&self.socket, &mut self.tls)
            && !self.unsent
        {
            self.unsent = matches!(tls.write(socket, &[], &mut 0), Ok(false));
        }
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

/// Writes `source` from `written` on; true if that was all.
#[inline]
fn write_plain(mut socket: &Socket, source: &[u8], written: &mut usize) -> io::Result<bool> {
    while *written < source.len() {
        match socket.write(&source[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
