//! One request and its answer: whether it starts, waits for its turn or is turned away, and what happens then.
//!
//! The handler runs on the connection's own task. While it waits, the connection sends what was gathered, reads as much
//! of the body as is asked for, and sees whether the client is still there.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use http::{Method, StatusCode, Version};
use seawall_core::Class;
use seawall_guard::Rejected;

use super::Home;
use super::buffers::READ;
use super::conn::{Conn, Lost};
use super::encode::Asked;
use super::fault::Fault;
use super::head::Parsed;
use super::intake::Intake;
use super::reply::Reply;
use crate::body::Body;
use crate::clock;
use crate::context::Arrival;
use crate::error::{Error, turned_away};
use crate::head::Head;
use crate::measure::{Counted, End};
use crate::respond::WireBody;
use crate::server::admission::{Entered, Leave, Polls, Queued};
#[cfg(feature = "websocket")]
use crate::server::takeover::Takeover;
use crate::server::watch::Wait;
use crate::service::Begun;

/// What a pipelining client may have sent ahead of the request that is being answered.
const AHEAD: usize = 2 * READ;

/// What is read and dropped of a body that nobody wanted, so that the connection can go on behind it.
pub(super) const DRAINED: u64 = 64 << 10;

/// What a connection does next.
pub(super) enum Step {
    Answer(Exchange),
    /// A request that has to wait for its turn.
    Queue(Box<InQueue>),
    /// A refusal is written. What is left of the request's body still has to be passed.
    Refused {
        goes_on: bool,
        intake: Option<Intake>,
    },
    End,
}

impl Step {
    /// Ends a request, all but what of its body has not come yet.
    pub(super) fn into_intake(self) -> Option<Intake> {
        match self {
            Self::Answer(exchange) => Some(exchange.intake),
            Self::Refused { intake, .. } => intake,
            Self::Queue(_) | Self::End => None,
        }
    }
}

/// What becomes of a connection behind an answer.
pub(super) enum Next {
    Request,
    Close,
    /// It goes on in another protocol.
    #[cfg(feature = "websocket")]
    Takeover(Takeover),
}

/// A request that is being answered. It is counted, and has its room, until it is dropped.
pub(super) struct Exchange {
    pub(super) asked: Asked,
    pub(super) keep_alive: bool,
    pub(super) intake: Intake,
    begun: Begun,
    /// What the answer holds until its last byte is written.
    pub(super) body: Option<WireBody>,
    /// Until its end is reported.
    leave: Option<Leave>,
    _counted: Counted,
}

/// A request that was read, as far as its head goes.
struct Read {
    asked: Asked,
    keep_alive: bool,
    head: Head,
    intake: Intake,
    body: Body,
}

/// A request that waits for its turn.
pub(super) struct InQueue {
    read: Read,
    queued: Queued,
}

impl Exchange {
    /// Says that it is answered with another status than its service said.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.begun.flight().answered(status, Some(Class::System));
    }

    /// Says how it ended.
    pub(super) fn end(&mut self, end: End) {
        self.begun.flight().end(end);
    }

    /// Says that all of its answer is written, at the time `now`.
    pub(super) fn end_at(&mut self, now: Instant) {
        self.begun.flight().end_at(End::Answered, now);
        self.release(now);
    }

    /// Gives the room back, for its work is done.
    pub(super) fn release(&mut self, now: Instant) {
        if let Some(leave) = self.leave.take() {
            leave.finish(self.begun.flight().outcome(), now);
        }
    }
}

impl Conn {
    /// Begins a request, refuses it, or says that it has to wait.
    pub(super) fn begin(&mut self, parsed: Parsed, home: &Home) -> Step {
        self.requests += 1;
        self.watch.forget();
        let asked = Asked {
            version: parsed.version,
            is_head: parsed.method == Method::HEAD,
            is_connect: parsed.method == Method::CONNECT,
            takes_trailers: parsed.takes_trailers,
        };
        let (keep_alive, framing, expects) = (parsed.keep_alive, parsed.body, parsed.expects_continue);
        let head = self.take_head(parsed);
        let begun = Intake::begin(framing, expects, &mut self.read, home.head_limits);
        let (intake, body) = match begun {
            Ok(begun) => begun,
            Err(fault) => return self.give_up(fault, home),
        };
        let read = Read { asked, keep_alive, head, intake, body };
        // What came ahead of an answer could not be begun before that was out.
        let now = self.arrived.max(self.idle_since);
        match home.entrance.try_start(now, now) {
            Some(leave) => self.start(read, leave, home),
            None => self.enter(read, home),
        }
    }

    /// The long way in, for a request that cannot start at once.
    #[cold]
    fn enter(&mut self, read: Read, home: &Home) -> Step {
        let now = self.arrived.max(self.idle_since);
        let entry = home.service.entry(&read.head, &self.peer, now);
        match home.entrance.enter(&entry, now) {
            Ok(Entered::Now(leave)) => self.start(read, leave, home),
            Ok(Entered::Later(queued)) => Step::Queue(Box::new(InQueue { read, queued })),
            Err(rejected) => self.turn_away(read, &rejected),
        }
    }

    fn start(&mut self, read: Read, leave: Leave, home: &Home) -> Step {
        let Read { asked, keep_alive, head, intake, body } = read;
        let arrival = Arrival { peer: self.peer.clone(), at: self.arrived, deadline: leave.deadline() };
        let begun = home.service.begin(head, body, arrival);
        let _counted = Counted::start(&home.in_flight);
        let leave = Some(leave);
        Step::Answer(Exchange { asked, keep_alive, intake, begun, body: None, leave, _counted })
    }

    /// Waits until it is a request's turn, or it is turned away.
    ///
    /// # Cancel safety
    /// Dropped with its connection, it gives its place up.
    pub(super) async fn wait(&mut self, waiting: InQueue, home: &Home) -> Result<Step, Lost> {
        let InQueue { read, queued } = waiting;
        let decided = poll_fn(|cx| {
            loop {
                // First, so that room which was granted is taken however slow the client is.
                if let Poll::Ready(decided) = queued.poll(cx) {
                    return Poll::Ready(Ok::<_, Lost>(decided));
                }
                ready!(self.poll_in_queue(&read.intake, cx))?;
            }
        });
        Ok(match decided.await? {
            Ok(mut permit) => {
                permit.begin(clock::now());
                self.start(read, Leave::Admitted(permit), home)
            }
            Err(rejected) => {
                home.entrance.refused(&rejected, queued.class());
                self.turn_away(read, &rejected)
            }
        })
    }

    /// Answers a request; whether the connection can go on behind it. What is gathered then still has to be sent.
    pub(super) async fn exchange(&mut self, exchange: &mut Exchange, home: &Home) -> Result<Next, Lost> {
        // Here and not where the answer is written, so that nothing has to be kept while this waits.
        if self.output.is_full() {
            self.flush().await?;
        }
        let Exchange { intake, begun, leave, .. } = exchange;
        let mut polls = Polls::first(leave.as_ref().and_then(Leave::started));
        let response = {
            let mut answer = pin!(home.service.answer(begun));
            poll_fn(|cx| {
                loop {
                    polls.begin();
                    if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                        return Poll::Ready(Ok::<_, Lost>(answer));
                    }
                    polls.end(clock::now(), &home.entrance);
                    ready!(self.poll_meanwhile(intake, home, cx))?;
                }
            })
            .await?
        };
        let reply = self.reply(response, exchange, home);
        polls.end(self.idle_since, &home.entrance);
        let goes_on = match reply {
            Reply::Whole { goes_on } => goes_on,
            Reply::Large { goes_on } => {
                self.flush().await?;
                self.idle_since = clock::now();
                exchange.end_at(self.idle_since);
                goes_on
            }
            Reply::Stream(stream) => Box::pin(self.stream(*stream, exchange, home)).await?,
            #[cfg(feature = "websocket")]
            Reply::Takeover(takeover) => return Ok(Next::Takeover(takeover)),
        };
        Ok(if goes_on { Next::Request } else { Next::Close })
    }

    /// The request's head. Its bytes are copied: they are few, and their buffer stays with the connection.
    fn take_head(&mut self, parsed: Parsed) -> Head {
        let raw = Bytes::copy_from_slice(&self.read[..parsed.length]);
        self.read.advance(parsed.length);
        parsed.into_head(raw)
    }

    /// Turns a request away, as cheaply as can be. A connection with a body that is too large to be passed ends.
    fn turn_away(&mut self, read: Read, rejected: &Rejected) -> Step {
        self.idle_since = self.arrived.max(self.idle_since);
        let goes_on = read.keep_alive
            && read.asked.version != Version::HTTP_10
            && read.intake.can_be_passed(DRAINED)
            && !self.shutdown.is_draining(self.arrived);
        self.output.gather().extend_from_slice(turned_away(rejected, self.requests, goes_on));
        Step::Refused { goes_on, intake: Some(read.intake) }
    }

    /// Refuses what is no request; behind it the connection ends.
    pub(super) fn give_up(&mut self, fault: Fault, home: &Home) -> Step {
        tracing::debug!(?fault, "refused before it was a request");
        home.faults.count(fault);
        self.refuse(fault);
        Step::Refused { goes_on: false, intake: None }
    }

    /// What there is to do while the handler waits; ready when it should be polled again.
    pub(super) fn poll_meanwhile(
        &mut self,
        intake: &mut Intake,
        home: &Home,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Lost>> {
        let flushed = self.output.poll_flush(&mut self.stream, cx)?;
        if flushed.is_pending()
            && let Poll::Ready(late) = self.watch.poll(Wait::Write, self.output.taken(), None, cx)
        {
            return Poll::Ready(Err(Lost::Late(late)));
        }
        let wanted = intake.pipe.as_ref().is_some_and(|pipe| pipe.wants(cx));
        if wanted {
            if self.poll_feed(intake, cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
        } else if intake.is_complete() && !home.half_close {
            self.is_still_there(cx)?;
        }
        // One wait at a time: a client that neither reads nor sends is late with its reading.
        if wanted && flushed.is_ready() && self.watch.poll(Wait::Body, intake.taken, None, cx).is_ready() {
            intake.break_off(Some(Error::request_timeout("the body took too long")));
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// What there is to do while a request waits for its turn. A client that has ended its sending side may still wait
    /// for the answer, which is there soon if it is worth anything; only one that has broken the connection off is gone.
    fn poll_in_queue(&mut self, intake: &Intake, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        if self.output.poll_flush(&mut self.stream, cx)?.is_pending() {
            return self.poll_late(Wait::Write, self.output.taken(), None, cx);
        }
        if intake.is_complete() && !self.eof {
            self.is_still_there(cx).or_else(|gone| if self.eof { Ok(()) } else { Err(gone) })?;
        }
        Poll::Pending
    }

    /// Fails when the client has gone: it has sent its last byte while it waits for an answer. What it sends ahead is
    /// kept, within a bound.
    fn is_still_there(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.read.len() < AHEAD {
            match self.poll_fill(READ, cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the reader of the body a piece, or its end; ready when it did.
    fn poll_feed(&mut self, intake: &mut Intake, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if intake.feed(&mut self.read) {
                return Poll::Ready(());
            }
            if std::mem::take(&mut intake.awaits_continue) {
                self.output.gather().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                // If it cannot be sent now, it is with the next wait.
                let _ = self.output.poll_flush(&mut self.stream, cx);
            }
            match ready!(self.poll_fill(intake.room(READ), cx)) {
                Ok(0) | Err(_) => {
                    intake.break_off(None);
                    return Poll::Ready(());
                }
                Ok(_) => {}
            }
        }
    }

    /// Reads past what is left of a body, if that is not too much; whether it was. Whoever still reads it finds it
    /// broken off.
    pub(super) async fn pass(&mut self, intake: Option<Intake>) -> Result<bool, Lost> {
        // What is complete needs no wait, and so leaves the answer to be sent with the next one.
        let Some(mut intake) = intake.filter(|intake| !intake.is_complete()) else { return Ok(true) };
        intake.pipe = None;
        let end = intake.taken + DRAINED;
        poll_fn(|cx| {
            let _sent = self.output.poll_flush(&mut self.stream, cx)?;
            loop {
                match intake.take(&mut self.read) {
                    _ if intake.is_complete() => return Poll::Ready(Ok(true)),
                    Ok(Some(_)) if intake.taken <= end => {}
                    Ok(None) => match self.poll_fill(READ, cx) {
                        Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(false)),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return self.poll_late(Wait::Body, intake.taken, None, cx),
                    },
                    Ok(Some(_)) | Err(_) => return Poll::Ready(Ok(false)),
                }
            }
        })
        .await
    }
}
