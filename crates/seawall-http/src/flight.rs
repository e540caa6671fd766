//! One request from its head to the last byte of its answer, or to the moment at which nobody waits for it any more.
//!
//! A [`Flight`] is made before anything else happens to a request, and whatever becomes of it, the flight is dropped
//! exactly once: there the request is counted and logged, and those who wait for its end are told. A middleware could
//! not do it: when the client goes away, its future is dropped like the handler's.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Waker, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use seawall_core::{Class, Outcome};

use crate::clock;
use crate::context::{AtTheEnd, Context};
use crate::error::outcome;
use crate::measure::{End, Ending};
use crate::middleware::{Ended, access_log};
use crate::respond::{BodyFailed, Response, WireBody};

/// A request under way.
pub(crate) struct Flight {
    c: Context,
    ending: Ending,
    /// Of the error that its answer was made of.
    class: Option<Class>,
    /// When it ended, if whoever ended it knows.
    ended: Option<Instant>,
}

impl Flight {
    pub(crate) fn new(c: Context) -> Self {
        // Until it ends otherwise, it would end by being dropped.
        Self { c, ending: Ending { status: None, end: End::Aborted }, class: None, ended: None }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.c
    }
    /// There is an answer, whose body may still be under way.
    pub(crate) fn answered(&mut self, status: StatusCode, class: Option<Class>) {
        self.ending.status = Some(status);
        self.class = class;
    }
    /// What its answer says about the service.
    pub(crate) fn outcome(&self) -> Outcome {
        self.ending.status.map_or(Outcome::Cancelled, |status| outcome(status, self.class))
    }
    pub(crate) fn end(&mut self, end: End) {
        self.ending.end = end;
    }
    /// As [`Flight::end`], at a time that is known already.
    pub(crate) fn end_at(&mut self, end: End, now: Instant) {
        self.end(end);
        self.ended = Some(now);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let c = &self.c;
        let taken = self.ended.unwrap_or_else(clock::now).saturating_duration_since(c.received_at());
        let (registry, method) = (c.shared().registry(), c.method());
        match c.matched() {
            Some(matched) => {
                let chain = &matched.chain;
                chain.timers().observe(registry, chain.pattern(), method, self.ending, taken);
            }
            None => c.shared().unmatched().observe(registry, "", method, self.ending, taken),
        }
        if c.is_left_to_the_end(AtTheEnd::Log) {
            access_log(c, self.ending, self.class, taken);
        }
        if let Some(lines) = c.lines() {
            lines.log(c, &Ended { ending: self.ending, class: self.class, taken });
        }
        c.end();
    }
}

/// An answer's body, with the request that ends when it does.
pub(crate) struct Tracked {
    body: WireBody,
    flight: Flight,
}

impl Tracked {
    pub(crate) fn new(response: Response, mut flight: Flight) -> http::Response<Self> {
        response.into_wire().map(|body| {
            if body.is_end_stream() {
                flight.end(End::Answered); // nobody will ask for it
            }
            Self { body, flight }
        })
    }
}

impl Tracked {
    /// What the answer says about the service.
    pub(crate) fn outcome(&self) -> Outcome {
        self.flight.outcome()
    }
    /// The body itself, for the connection's own business with it.
    pub(crate) fn wire(&mut self) -> &mut WireBody {
        &mut self.body
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Err(_))) => self.flight.end(End::BrokenBody),
            Poll::Ready(Some(Ok(_))) if !self.body.is_end_stream() => {}
            Poll::Ready(_) => self.flight.end(End::Answered),
            Poll::Pending => {}
        }
        polled
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").field("request", &self.flight.c).finish_non_exhaustive()
    }
}
