//! One request and its answer.
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
use seawall_guard::Permit;

use super::Home;
use super::buffers::READ;
use super::conn::{Conn, Lost};
use super::encode::Asked;
use super::fault::Fault;
use super::head::{Framing, Parsed};
use super::intake::Intake;
use super::reply::Reply;
use crate::clock;
use crate::context::Arrival;
use crate::error::{Error, NO_ROOM};
use crate::head::Head;
use crate::measure::{Counted, End};
use crate::respond::WireBody;
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
    /// A refusal is written.
    Refused {
        goes_on: bool,
    },
    End,
}

impl Step {
    /// Ends a request, all but what of its body has not come yet.
    pub(super) fn into_intake(self) -> Option<Intake> {
        match self {
            Self::Answer(exchange) => Some(exchange.intake),
            Self::Refused { .. } | Self::End => None,
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
    _guards: (Counted, Permit),
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
    }
}

impl Conn {
    /// Begins a request, or refuses it.
    pub(super) fn begin(&mut self, parsed: Parsed, home: &Home) -> Step {
        self.requests += 1;
        self.watch.forget();
        let Ok(permit) = home.gate.try_acquire() else { return self.turn_away(&parsed, home) };
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
        let arrival = Arrival { peer: self.peer.clone(), at: self.arrived };
        let begun = home.service.begin(head, body, arrival);
        let counted = Counted::start(&home.in_flight);
        Step::Answer(Exchange { asked, keep_alive, intake, begun, body: None, _guards: (counted, permit) })
    }

    /// Answers a request; whether the connection can go on behind it. What is gathered then still has to be sent.
    pub(super) async fn exchange(&mut self, exchange: &mut Exchange, home: &Home) -> Result<Next, Lost> {
        // Here and not where the answer is written, so that nothing has to be kept while this waits.
        if self.output.is_full() {
            self.flush().await?;
        }
        let Exchange { intake, begun, .. } = exchange;
        let response = {
            let mut answer = pin!(home.service.answer(begun));
            poll_fn(|cx| {
                loop {
                    if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                        return Poll::Ready(Ok::<_, Lost>(answer));
                    }
                    ready!(self.poll_meanwhile(intake, home, cx))?;
                }
            })
            .await?
        };
        let goes_on = match self.reply(response, exchange, home) {
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

    /// Refuses a request for which there is no room, as cheaply as can be. Its body was not read, so a connection with
    /// one ends.
    fn turn_away(&mut self, parsed: &Parsed, home: &Home) -> Step {
        home.refused.inc();
        self.read.advance(parsed.length);
        self.idle_since = self.arrived;
        let goes_on = parsed.keep_alive
            && parsed.version != Version::HTTP_10
            && parsed.body == Framing::Length(0)
            && !self.shutdown.is_draining(self.arrived);
        let [go_on, end] = NO_ROOM;
        self.output.gather().extend_from_slice(if goes_on { go_on } else { end });
        Step::Refused { goes_on }
    }

    /// Refuses what is no request; behind it the connection ends.
    pub(super) fn give_up(&mut self, fault: Fault, home: &Home) -> Step {
        tracing::debug!(?fault, "refused before it was a request");
        home.faults.count(fault);
        self.refuse(fault);
        Step::Refused { goes_on: false }
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
