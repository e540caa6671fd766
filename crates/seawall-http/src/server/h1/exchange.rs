//! One request and its answer.
//!
//! The handler runs on the connection's own task. While it waits, the connection sends what was gathered, reads as much
//! of the body as is asked for, and sees whether the client is still there.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Method, Version};
use http_body::{Body as _, Frame};

use super::Home;
use super::buffers::READ;
use super::conn::{Conn, Lost};
use super::encode::{self, Announced, Asked, CHUNK_END, Sends, Then};
use super::fault::Fault;
use super::head::{Framing, Parsed};
use super::intake::Intake;
use crate::clock;
use crate::context::Arrival;
use crate::error::{Error, NO_ROOM};
use crate::flight::Flight;
use crate::head::Head;
use crate::measure::{Counted, End};
use crate::respond::{BodyFailed, Response, WireBody};
#[cfg(feature = "websocket")]
use crate::server::takeover::Takeover;
use crate::server::watch::Wait;

/// What a pipelining client may have sent ahead of the request that is being answered.
const AHEAD: usize = 2 * READ;

/// What is read and dropped of a body that nobody wanted, so that the connection can go on behind it.
const DRAINED: u64 = 64 << 10;

/// What becomes of a connection behind an answer.
pub(super) enum Next {
    Request,
    Close,
    /// It goes on in another protocol.
    #[cfg(feature = "websocket")]
    Takeover(Takeover),
}

impl Conn {
    /// Answers one request. What is gathered then still has to be sent.
    pub(super) async fn exchange(&mut self, parsed: Parsed, home: &Home) -> Result<Next, Lost> {
        self.requests += 1;
        let Ok(_permit) = home.gate.try_acquire() else { return Ok(self.turn_away(&parsed, home)) };
        let asked = Asked {
            version: parsed.version,
            is_head: parsed.method == Method::HEAD,
            is_connect: parsed.method == Method::CONNECT,
            takes_trailers: parsed.takes_trailers,
        };
        let (keep_alive, framing, expects) = (parsed.keep_alive, parsed.body, parsed.expects_continue);
        let head = self.take_head(parsed);
        let begun = Intake::begin(framing, expects, &mut self.read, home.head_limits);
        let (mut intake, body) = match begun {
            Ok(begun) => begun,
            Err(fault) => return Ok(self.give_up(fault, home)),
        };
        let _counted = Counted::start(&home.in_flight);
        let arrival = Arrival { peer: self.peer.clone(), at: self.arrived };
        let (response, flight) = {
            let mut answer = pin!(home.service.answer(head, body, arrival));
            poll_fn(|cx| {
                loop {
                    if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                        return Poll::Ready(Ok::<_, Lost>(answer));
                    }
                    ready!(self.poll_meanwhile(&mut intake, home, cx))?;
                }
            })
            .await?
        };
        self.answer(response, flight, asked, keep_alive, &mut intake, home).await
    }

    /// The request's head. Its bytes are copied: they are few, and their buffer stays with the connection.
    fn take_head(&mut self, parsed: Parsed) -> Head {
        let raw = Bytes::copy_from_slice(&self.read[..parsed.length]);
        self.read.advance(parsed.length);
        parsed.into_head(raw)
    }

    /// Refuses a request for which there is no room, as cheaply as can be. Its body was not read, so a connection with
    /// one ends.
    fn turn_away(&mut self, parsed: &Parsed, home: &Home) -> Next {
        home.refused.inc();
        self.read.advance(parsed.length);
        self.idle_since = self.arrived;
        let goes_on = parsed.keep_alive
            && parsed.version != Version::HTTP_10
            && parsed.body == Framing::Length(0)
            && !self.shutdown.is_draining(self.arrived);
        let [go_on, end] = NO_ROOM;
        self.output.gather().extend_from_slice(if goes_on { go_on } else { end });
        if goes_on { Next::Request } else { Next::Close }
    }

    /// Refuses what is no request; behind it the connection ends.
    pub(super) fn give_up(&mut self, fault: Fault, home: &Home) -> Next {
        tracing::debug!(?fault, "refused before it was a request");
        home.faults.count(fault);
        self.refuse(fault);
        Next::Close
    }

    /// What there is to do while the handler waits; ready when it should be polled again.
    fn poll_meanwhile(
        &mut self,
        intake: &mut Intake,
        home: &Home,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Lost>> {
        let flushed = self.output.poll_flush(&mut self.stream, cx)?;
        if intake.pipe.as_ref().is_some_and(|pipe| pipe.wants(cx)) {
            if let Poll::Ready(()) = self.poll_feed(intake, cx) {
                return Poll::Ready(Ok(()));
            }
            if self.watch.poll(Wait::Body, intake.taken, None, cx).is_ready() {
                intake.break_off(Some(Error::request_timeout("the body took too long")));
                return Poll::Ready(Ok(()));
            }
        } else if intake.is_complete() && !home.half_close {
            ready!(self.poll_gone(cx)).map_or(Ok(()), Err)?;
        }
        if flushed.is_pending() {
            return self.poll_late(Wait::Write, self.output.taken(), None, cx);
        }
        Poll::Pending
    }

    /// Ready when the client has gone: it has sent its last byte while it waits for an answer. What it sends ahead is
    /// kept, within a bound.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lost>> {
        while self.read.len() < AHEAD {
            match self.poll_fill(READ, cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Some(io::Error::from(io::ErrorKind::ConnectionAborted).into()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(error.into())),
            }
        }
        Poll::Pending
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

    async fn answer(
        &mut self,
        response: Response,
        mut flight: Flight,
        asked: Asked,
        keep_alive: bool,
        intake: &mut Intake,
        home: &Home,
    ) -> Result<Next, Lost> {
        self.idle_since = clock::now();
        let (status, fields, mut body) = response.into_parts();
        let none = HeaderMap::new();
        let (headers, content_type) = fields.made().map_or_else(|only| (&none, only), |map| (map, None));
        let length = body.size_hint().exact();
        let sends = Sends::choose(asked, status, headers, length);
        let goes_on = keep_alive
            && sends != Sends::UntilClose
            && intake.can_be_passed(DRAINED)
            && !encode::asks_to_close(headers)
            && !self.shutdown.is_draining(self.idle_since);
        intake.awaits_continue = false;
        let then = match asked.version {
            _ if !goes_on => Then::Close,
            Version::HTTP_10 => Then::AgainIfTold,
            _ => Then::Again,
        };
        if self.output.is_full() {
            self.flush().await?;
        }
        let head = encode::Head { status, content_type, headers, sends, then };
        head.write(self.output.gather(), self.idle_since);
        #[cfg(feature = "websocket")]
        if status == http::StatusCode::SWITCHING_PROTOCOLS
            && let Some(takeover) = body.take_takeover()
        {
            flight.end(End::Answered);
            return Ok(Next::Takeover(takeover));
        }
        body.end_with(|| self.shutdown.drain());
        let announced = Announced::of(asked, headers);
        self.send_body(&mut body, sends, &announced, &mut flight, intake, home).await?;
        drop((body, flight));
        // What is complete needs no wait, and so leaves the answer to be sent with the next one.
        let passed = intake.is_complete() || goes_on && self.pass(intake).await?;
        Ok(if goes_on && passed { Next::Request } else { Next::Close })
    }

    /// Sends the body of an answer, whose end is told to `flight`.
    async fn send_body(
        &mut self,
        body: &mut WireBody,
        sends: Sends,
        announced: &Announced,
        flight: &mut Flight,
        intake: &mut Intake,
        home: &Home,
    ) -> Result<(), Lost> {
        let mut left = match sends {
            Sends::Nothing { .. } => {
                flight.end(End::Answered);
                return Ok(());
            }
            Sends::Length(length) => {
                if let Some(whole) = body.take_whole() {
                    self.send_piece(whole, sends).await?;
                    flight.end(End::Answered);
                    return Ok(());
                }
                Some(length)
            }
            Sends::Chunked | Sends::UntilClose => None,
        };
        let mut trailers = None;
        while !body.is_end_stream() && trailers.is_none() {
            let Some(frame) = self.next_frame(body, intake, home).await? else { break };
            let Ok(frame) = frame else { return self.cut(flight).await };
            match frame.into_data() {
                Ok(piece) if left.is_none_or(|left| left >= piece.len() as u64) => {
                    left = left.map(|left| left - piece.len() as u64);
                    self.send_piece(piece, sends).await?;
                }
                Ok(_too_long) => return self.cut(flight).await,
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        if left.is_some_and(|left| left > 0) {
            return self.cut(flight).await;
        }
        if sends == Sends::Chunked {
            encode::last_chunk(self.output.gather(), trailers.as_ref(), announced);
        }
        flight.end(End::Answered);
        Ok(())
    }

    /// The next piece of an answer's body. While it is waited for, the connection is not forgotten.
    async fn next_frame(
        &mut self,
        body: &mut WireBody,
        intake: &mut Intake,
        home: &Home,
    ) -> Result<Option<Result<Frame<Bytes>, BodyFailed>>, Lost> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    return Poll::Ready(Ok(frame));
                }
                ready!(self.poll_meanwhile(intake, home, cx))?;
            }
        })
        .await
    }

    async fn send_piece(&mut self, piece: Bytes, sends: Sends) -> Result<(), Lost> {
        if piece.is_empty() {
            return Ok(()); // an empty chunk would be the last one
        }
        if sends == Sends::Chunked {
            encode::chunk_head(self.output.gather(), piece.len());
            self.output.push(piece, CHUNK_END);
        } else {
            self.output.push(piece, b"");
        }
        // A large piece is sent before its body goes on, or ends and lets its permits fall.
        if self.output.is_full() { self.flush().await } else { Ok(()) }
    }

    /// Ends an answer whose body broke off, so that the client cannot take it for a whole one.
    async fn cut(&mut self, flight: &mut Flight) -> Result<(), Lost> {
        flight.end(End::BrokenBody);
        self.flush().await?;
        Err(Lost::Cut)
    }

    /// Reads past what is left of a body, if that is not too much. Whoever still reads it finds it broken off.
    async fn pass(&mut self, intake: &mut Intake) -> Result<bool, Lost> {
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
