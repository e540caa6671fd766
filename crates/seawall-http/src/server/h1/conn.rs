//! A connection between two requests: reading heads, and the ways in which a connection ends.
//!
//! What was gathered for the client is sent before anything is waited for, and nothing more is read while the client
//! does not take it: so a client that pipelines gets its answers in batches, and one that does not read costs one
//! buffer.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt as _;
use tokio::task::unconstrained;

use super::Home;
use super::buffers::{READ, give_back_read, lease_to_read};
use super::exchange::Step;
use super::fault::Fault;
use super::head::{self, HeadLimits, Parsed};
use super::output::Output;
use crate::clock;
use crate::error::status_of_fault;
use crate::peer::Peer;
use crate::server::linger::linger;
use crate::server::shutdown::Shutdown;
use crate::server::stream::Stream;
#[cfg(feature = "websocket")]
use crate::server::takeover::Taken;
use crate::server::watch::{Limits, Wait, Watch};

/// Empty lines before a request that are passed over. One is what old clients send behind a body (RFC 9112, 2.2).
const EMPTY_LINES: u8 = 4;

/// A connection, and what was read from and is to be written to it.
pub(in crate::server) struct Conn {
    pub(super) stream: Stream,
    /// What was read and not used yet. Leased while there is something in it.
    pub(super) read: BytesMut,
    pub(super) output: Output,
    pub(super) watch: Watch,
    /// The client has sent its last byte.
    pub(super) eof: bool,
    /// When the first byte of what is in `read` came.
    pub(super) arrived: Instant,
    /// When the last answer was complete, or the connection began.
    pub(super) idle_since: Instant,
    pub(super) requests: u64,
    pub(in crate::server) peer: Peer,
    pub(super) shutdown: Shutdown,
    scan: Scan,
    /// The news that the server drains, once it was waited for.
    drain: Option<BoxFuture<'static, ()>>,
}

/// How far a head that is not complete has been looked at, so that one that comes byte by byte is not read from its
/// begin each time.
#[derive(Default)]
struct Scan {
    searched: usize,
    /// It is read anyway once there is so much of it, so that nonsense is found before its limit.
    again_at: usize,
    empty_lines: u8,
}

/// Why nothing more can be done for a connection.
#[derive(Debug)]
pub(super) enum Lost {
    /// The client has gone.
    Gone(io::Error),
    /// The client took too long.
    Late(Wait),
    /// An answer's body broke off, and the client must see that.
    Cut,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(error) => write!(f, "the client is gone: {error}"),
            Self::Late(wait) => write!(f, "the client took too long: {wait:?}"),
            Self::Cut => f.write_str("the body of an answer broke off"),
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl Conn {
    pub(in crate::server) fn new(
        stream: Stream,
        ahead: BytesMut,
        peer: Peer,
        shutdown: Shutdown,
        limits: Limits,
    ) -> Self {
        let now = clock::now();
        Self {
            stream,
            read: ahead,
            output: Output::default(),
            watch: Watch::new(limits),
            eof: false,
            arrived: now,
            idle_since: now,
            requests: 0,
            peer,
            shutdown,
            scan: Scan::default(),
            drain: None,
        }
    }

    /// What there is to do next: a request to answer, or the connection's end, because the client has ended it between
    /// two requests or the server drains. Bytes that are no request are refused here, and so are requests that may
    /// neither start nor wait.
    pub(super) async fn next_step(&mut self, home: &Home) -> Result<Step, Lost> {
        poll_fn(|cx| {
            let head = ready!(self.poll_head(home, cx))?;
            Poll::Ready(Ok(match head {
                None => Step::End,
                Some(Ok(head)) => self.begin(head, home),
                Some(Err(fault)) => self.give_up(fault, home),
            }))
        })
        .await
    }

    fn poll_head(
        &mut self,
        home: &Home,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Result<Parsed, Fault>>, Lost>> {
        loop {
            if let Some(head) = self.parse_head(home.head_limits).transpose() {
                self.scan = Scan::default();
                return Poll::Ready(Ok(Some(head)));
            }
            if self.output.poll_flush(&mut self.stream, cx)?.is_pending() {
                return self.poll_late(Wait::Write, self.output.taken(), None, cx);
            }
            match self.poll_fill(READ, cx) {
                Poll::Ready(Ok(0)) if self.read.is_empty() => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending if self.read.is_empty() => {
                    if self.poll_drain(cx).is_ready() {
                        return Poll::Ready(Ok(None));
                    }
                    return self.poll_late(Wait::Idle, self.requests, Some(self.idle_since), cx);
                }
                Poll::Pending => {
                    // What came ahead of an answer could not be read on before that was out.
                    let since = self.arrived.max(self.idle_since);
                    return self.poll_late(Wait::Head, self.requests, Some(since), cx);
                }
            }
        }
    }

    /// The head that is in the buffer, if all of it is.
    fn parse_head(&mut self, limits: HeadLimits) -> Result<Option<Parsed>, Fault> {
        while let [b'\r', b'\n', ..] = self.read[..] {
            self.read.advance(2);
            self.scan.empty_lines += 1;
            if self.scan.empty_lines > EMPTY_LINES {
                return Err(Fault::Malformed("there is no request between empty lines"));
            }
        }
        match self.read[..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r' | b'\n', ..] => return Err(Fault::Malformed("a line does not end with CRLF")),
            _ => {}
        }
        let Scan { searched, again_at, .. } = &mut self.scan;
        let length = self.read.len();
        let due = length >= *again_at || length >= limits.bytes;
        let from = searched.saturating_sub(3);
        if !due && memchr::memmem::find(&self.read[from..], b"\r\n\r\n").is_none() {
            *searched = length;
            return Ok(None);
        }
        *again_at = 2 * length;
        *searched = length;
        head::parse(&self.read, limits)
    }

    /// Reads what has come; 0 at the end of it.
    pub(super) fn poll_fill(&mut self, room: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.eof {
            return Poll::Ready(Ok(0));
        }
        let was_empty = self.read.is_empty();
        if self.read.capacity() == 0 {
            self.read = lease_to_read();
        }
        if self.read.capacity() - self.read.len() < room.min(READ) / 2 || was_empty {
            self.read.reserve(room);
        }
        let filled = pin!(self.stream.read_buf(&mut self.read)).poll(cx);
        match &filled {
            Poll::Ready(Ok(0)) => self.eof = true,
            Poll::Ready(Ok(_)) if was_empty => self.arrived = clock::now(),
            _ => {}
        }
        if self.read.is_empty() {
            give_back_read(std::mem::take(&mut self.read));
        }
        filled
    }

    /// Ready once the server drains, or the connection is old. It is waited for only where a connection is idle:
    /// elsewhere the flag is enough.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shutdown.is_draining(self.idle_since) {
            return Poll::Ready(());
        }
        let shutdown = &self.shutdown;
        match &mut self.drain {
            // The news comes once, and a task's waker stays the same; age has no flag that says so.
            Some(_) if !shutdown.has_age() => Poll::Pending,
            Some(drain) => drain.as_mut().poll(cx),
            None if shutdown.has_age() => self.drain.insert(Box::pin(shutdown.drain())).as_mut().poll(cx),
            None => {
                // Whatever other tasks have to do: we enrol once.
                let told = Box::pin(unconstrained(shutdown.told_to_drain()));
                let enrolled = self.drain.insert(told).as_mut().poll(cx);
                // Now that we are enrolled, the flag cannot be missed.
                if shutdown.is_draining(self.idle_since) { Poll::Ready(()) } else { enrolled }
            }
        }
    }

    /// Ready when what is waited for has taken too long.
    pub(super) fn poll_late<T>(
        &mut self,
        wait: Wait,
        number: u64,
        since: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Lost>> {
        self.watch.poll(wait, number, since, cx).map(|late| Err(Lost::Late(late)))
    }

    /// Sends all that was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), Lost> {
        poll_fn(|cx| {
            let flushed = self.output.poll_flush(&mut self.stream, cx)?;
            if flushed.is_ready() {
                return Poll::Ready(Ok(()));
            }
            self.poll_late(Wait::Write, self.output.taken(), None, cx)
        })
        .await
    }

    /// Answers bytes that are no request, and says that the connection ends.
    pub(super) fn refuse(&mut self, fault: Fault) {
        use std::io::Write as _;
        let status = status_of_fault(fault);
        let reason = status.canonical_reason().unwrap_or_default();
        let head = format_args!(
            "HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            status.as_u16()
        );
        self.output.gather().write_fmt(head).expect("memory takes all that is written to it");
    }

    /// Ends a connection whose last answer is out.
    pub(super) async fn close(&mut self) -> Result<(), Lost> {
        self.flush().await?;
        Box::pin(linger(&mut self.stream)).await; // or every connection would keep room for its end
        Ok(())
    }

    /// The connection, for another protocol.
    #[cfg(feature = "websocket")]
    pub(super) fn into_taken(mut self: Box<Self>) -> Taken {
        let drain = Box::pin(self.shutdown.drain());
        Taken { stream: self.stream, ahead: std::mem::take(&mut self.read).freeze(), drain }
    }
}
