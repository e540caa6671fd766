//! Sending an answer: its head, and its body as it comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::Version;
use http::header::CONTENT_TYPE;
use http_body::{Body as _, Frame};

use super::Home;
use super::conn::{Conn, Lost};
use super::encode::{self, Announced, CHUNK_END, Sends, Then};
use super::exchange::{DRAINED, Exchange};
use crate::clock;
use crate::error::Error;
use crate::measure::End;
use crate::respond::{BodyFailed, Response, WireBody, is_event_stream};
#[cfg(feature = "websocket")]
use crate::server::takeover::Takeover;

/// An answer whose head is written.
pub(super) enum Reply {
    /// And all of its body.
    Whole { goes_on: bool },
    /// Its body waits to be sent as one piece.
    Large { goes_on: bool },
    /// Its body is still to come.
    Stream(Box<Stream>),
    /// Behind it another protocol begins.
    #[cfg(feature = "websocket")]
    Takeover(Takeover),
}

/// A body that is written while it is sent.
pub(super) struct Stream {
    body: WireBody,
    sends: Sends,
    announced: Announced,
    goes_on: bool,
}

/// The answer, or a 500 in its place if its status says that another one follows: the client would take the next
/// answer for that one.
fn final_answer(response: Response, exchange: &mut Exchange) -> Response {
    let status = response.status();
    if !status.is_informational() || response.switches_protocols() {
        return response;
    }
    tracing::error!(status = status.as_u16(), "a handler answered with an interim status");
    let response = Error::internal("an interim status is no answer").response();
    exchange.answered(response.status());
    response
}

impl Conn {
    /// Writes the head of an answer, and its body if that is all there.
    pub(super) fn reply(&mut self, response: Response, exchange: &mut Exchange, home: &Home) -> Reply {
        self.idle_since = clock::now();
        let asked = exchange.asked;
        let response = final_answer(response, exchange);
        let (status, fields, mut body) = response.into_parts();
        let set = fields.set();
        let sends = Sends::choose(asked, status, set, body.size_hint().exact());
        let goes_on = exchange.keep_alive
            && sends != Sends::UntilClose
            && exchange.intake.can_be_passed(DRAINED)
            && !encode::asks_to_close(set)
            && !home.is_last(self);
        exchange.intake.awaits_continue = false;
        let then = match asked.version {
            _ if !goes_on => Then::Close,
            Version::HTTP_10 => Then::AgainIfTold,
            _ => Then::Again,
        };
        let head = encode::Head { status, set, sends, then };
        head.write(self.output.gather(), self.idle_since);
        #[cfg(feature = "websocket")]
        if status == http::StatusCode::SWITCHING_PROTOCOLS
            && let Some(takeover) = body.take_takeover()
        {
            exchange.end(End::Answered);
            return Reply::Takeover(takeover);
        }
        match (sends, body.take_whole()) {
            (Sends::Nothing { .. }, _) => {}
            (_, Some(whole)) => self.output.push(whole, b""),
            (_, None) => {
                body.end_with(|| self.shutdown.drain());
                if is_event_stream(set.get(&CONTENT_TYPE)) {
                    exchange.release(self.idle_since);
                }
                let announced = Announced::of(asked, set);
                return Reply::Stream(Box::new(Stream { body, sends, announced, goes_on }));
            }
        }
        if self.output.is_full() {
            // Its permits fall when the socket has taken it.
            exchange.body = Some(body);
            return Reply::Large { goes_on };
        }
        exchange.end_at(self.idle_since);
        Reply::Whole { goes_on }
    }

    /// Sends a body while it is written; whether the connection can go on behind it.
    pub(super) async fn stream(
        &mut self,
        stream: Stream,
        exchange: &mut Exchange,
        home: &Home,
    ) -> Result<bool, Lost> {
        let Stream { mut body, sends, announced, goes_on } = stream;
        let mut left = if let Sends::Length(length) = sends { Some(length) } else { None };
        let mut trailers = None;
        while !body.is_end_stream() && trailers.is_none() {
            let Some(frame) = self.next_frame(&mut body, exchange, home).await? else { break };
            let Ok(frame) = frame else { return self.cut(exchange).await };
            match frame.into_data() {
                Ok(piece) if left.is_none_or(|left| left >= piece.len() as u64) => {
                    left = left.map(|left| left - piece.len() as u64);
                    self.send_piece(piece, sends).await?;
                }
                Ok(_too_long) => return self.cut(exchange).await,
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        if left.is_some_and(|left| left > 0) {
            return self.cut(exchange).await;
        }
        if sends == Sends::Chunked {
            encode::last_chunk(self.output.gather(), trailers.as_ref(), &announced);
        }
        self.idle_since = clock::now();
        exchange.end_at(self.idle_since);
        Ok(goes_on)
    }

    /// The next piece of an answer's body. While it is waited for, the connection is not forgotten.
    async fn next_frame(
        &mut self,
        body: &mut WireBody,
        exchange: &mut Exchange,
        home: &Home,
    ) -> Result<Option<Result<Frame<Bytes>, BodyFailed>>, Lost> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    return Poll::Ready(Ok(frame));
                }
                ready!(self.poll_meanwhile(&mut exchange.intake, home, cx))?;
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
        if self.output.is_full() { self.flush().await } else { Ok(()) }
    }

    /// Ends an answer whose body broke off, so that the client cannot take it for a whole one.
    async fn cut(&mut self, exchange: &mut Exchange) -> Result<bool, Lost> {
        exchange.end(End::BrokenBody);
        self.flush().await?;
        Err(Lost::Cut)
    }
}
