//! An answer: its head, and its body as a whole or as a stream.
//!
//! The body holds the connection. Read to its end, the connection goes back to the pool. Dropped before that, the stream
//! of HTTP/2 is given up; a connection of HTTP/1 is closed, unless so little is left that it is read in the background
//! (64 KiB, within a second). The call's deadline covers the body too.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use seawall_core::Deadline;
use seawall_guard::Permit;
use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use crate::address::Address;
use crate::balance::MemberId;
use crate::clock;
use crate::error::{Error, ErrorKind, Fault, Phase, Result};
use crate::host::Host;
use crate::measure::Counted;
use crate::pool::Lease;

/// The longest that a connection whose answer is read may take to be ready for the next request.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// An answer, whatever its status: [`error_for_status`](Self::error_for_status) makes an error of those above 399.
pub struct Response {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: ResponseBody,
}

/// The body of an answer, as it comes. An [`http_body::Body`].
pub struct ResponseBody {
    /// There until the body is dropped.
    incoming: Option<Incoming>,
    held: Option<Held>,
    facts: CallFacts,
    deadline: Deadline,
    /// Set up when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    max_body: usize,
    /// It failed, and is at its end.
    failed: bool,
    yields: u8,
}

/// What an answer keeps until it is read.
pub(crate) struct Held {
    pub(crate) lease: Lease,
    pub(crate) member: MemberId,
    pub(crate) permit: Permit,
    pub(crate) active: Option<Counted>,
}

/// What errors say about the call.
#[derive(Clone)]
pub(crate) struct CallFacts {
    pub(crate) host: Arc<Host>,
    pub(crate) address: Address,
    pub(crate) started: Instant,
    pub(crate) attempts: u32,
}

impl Response {
    pub(crate) fn new(
        response: http::Response<Incoming>,
        held: Held,
        facts: CallFacts,
        deadline: Deadline,
        max_body: usize,
    ) -> Self {
        let (head, incoming) = response.into_parts();
        let mut body = ResponseBody {
            incoming: Some(incoming),
            held: Some(held),
            facts,
            deadline,
            timer: None,
            max_body,
            failed: false,
            yields: 0,
        };
        if body.has_ended() {
            body.let_go();
        }
        Self { status: head.status, version: head.version, headers: head.headers, body }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    /// The version of HTTP that was spoken.
    pub fn version(&self) -> Version {
        self.version
    }
    /// The address that answered.
    pub fn address(&self) -> &Address {
        &self.body.facts.address
    }
    /// How many attempts it took.
    pub fn attempts(&self) -> u32 {
        self.body.facts.attempts
    }
    /// The body as a stream. Not bound by `max_body`.
    pub fn into_body(self) -> ResponseBody {
        self.body
    }

    /// The answer itself, if its status is below 400.
    ///
    /// # Errors
    /// [`ErrorKind::Status`] else. The body is not read.
    pub fn error_for_status(self) -> Result<Self> {
        if self.status.as_u16() < 400 {
            return Ok(self);
        }
        Err(self.body.facts.error(Fault::new(ErrorKind::Status(self.status), Phase::Body)))
    }

    /// The answer itself, if its status is 2xx.
    pub(crate) fn success(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(self.body.facts.error(Fault::new(ErrorKind::Status(self.status), Phase::Body)))
    }

    /// The next piece of the body; `None` at its end. Cancelled, nothing is lost.
    ///
    /// # Errors
    /// If the deadline passes, or the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.body.chunk().await
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] beyond `max_body`; or if the deadline passes, or the connection breaks.
    pub async fn bytes(self) -> Result<Bytes> {
        self.body.collect_whole().await
    }

    /// The whole body as text.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and [`ErrorKind::Decode`] if it is not UTF-8.
    pub async fn text(self) -> Result<String> {
        let facts = self.body.facts.clone();
        let bytes = self.bytes().await?;
        let text = String::from_utf8(bytes.into());
        text.map_err(|error| facts.error(Fault::new(ErrorKind::Decode, Phase::Decode).because(error)))
    }

    /// The whole body as JSON, whatever its `Content-Type`. The status is not looked at.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and [`ErrorKind::Decode`] if it is not the JSON that was expected.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let facts = self.body.facts.clone();
        let bytes = self.bytes().await?;
        let value = serde_json::from_slice(&bytes);
        value.map_err(|error| facts.error(Fault::new(ErrorKind::Decode, Phase::Decode).because(error)))
    }

    /// Reads a small rest, so that the connection can be used again; gives up soon.
    pub(crate) async fn drain(mut self) {
        const WITHIN: Duration = Duration::from_millis(50);
        if !is_little(&self.body.size_hint()) {
            return;
        }
        let reading = async { while let Ok(Some(_)) = self.body.chunk().await {} };
        let _ = tokio::time::timeout(WITHIN, reading).await;
    }

    pub(crate) fn set_attempts(&mut self, attempts: u32, active: Option<Counted>) {
        self.body.facts.attempts = attempts;
        if let Some(held) = &mut self.body.held {
            held.active = active;
        }
    }
}

impl ResponseBody {
    /// The next piece; `None` at the end. Cancelled, nothing is lost.
    ///
    /// # Errors
    /// If the deadline passes, or the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error),
                // Trailers are left to those who take the body as a stream.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn collect_whole(mut self) -> Result<Bytes> {
        let most = self.max_body;
        let too_large = |facts: &CallFacts| facts.error(Fault::new(ErrorKind::TooLarge, Phase::Body));
        if self.size_hint().lower() > most as u64 {
            return Err(too_large(&self.facts));
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let mut length = first.len();
        let mut whole: Option<BytesMut> = None;
        while length <= most {
            let Some(piece) = self.chunk().await? else {
                return Ok(whole.map_or(first, BytesMut::freeze));
            };
            length += piece.len();
            whole.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&piece);
        }
        Err(too_large(&self.facts))
    }

    fn has_ended(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// The answer is read: the connection goes back, now or as soon as it is ready.
    fn let_go(&mut self) {
        let Some(held) = self.held.take() else { return };
        let Held { mut lease, .. } = held;
        match lease.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => lease.finish(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => finish_later(lease),
        }
    }

    /// The same where a moment can be waited: on another core the connection's task may need one.
    fn poll_let_go(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        const MOMENTS: u8 = 2;
        let Some(held) = &mut self.held else { return Poll::Ready(()) };
        if self.yields < MOMENTS && held.lease.poll_ready(cx).is_pending() {
            self.yields += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.let_go();
        Poll::Ready(())
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.deadline.instant().into();
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        timer.as_mut().poll(cx)
    }

    fn fail(&mut self, fault: Fault, against: bool) -> Error {
        self.failed = true;
        if let Some(held) = self.held.take()
            && against
        {
            self.facts.host.broke(held.member);
        }
        self.facts.error(fault)
    }
}

/// A connection that has been answered but still has something to do, such as sending the rest of a body that nobody
/// asked for. It has a second for that, then it is closed.
fn finish_later(mut lease: Lease) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let ready = std::future::poll_fn(|cx| lease.poll_ready(cx));
        if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, ready).await {
            lease.finish();
        }
    });
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.failed || this.held.is_none() {
            return Poll::Ready(None);
        }
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(Some(Err(error))) => {
                let fault = Fault::new(ErrorKind::Broken, Phase::Body).because(error);
                Poll::Ready(Some(Err(this.fail(fault, true))))
            }
            Poll::Ready(None) => this.poll_let_go(cx).map(|()| None),
            Poll::Pending => {
                std::task::ready!(this.poll_deadline(cx));
                // A slow reader may be to blame as well as a slow sender.
                Poll::Ready(Some(Err(this.fail(Fault::new(ErrorKind::Timeout, Phase::Body), false))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.held.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Some(incoming) if !self.is_end_stream() => incoming.size_hint(),
            _ => SizeHint::with_exact(0),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.failed {
            return;
        }
        if self.has_ended() {
            return self.let_go();
        }
        let (Some(incoming), Some(held)) = (self.incoming.take(), self.held.take()) else { return };
        // A stream of HTTP/2 is given up without harm to the others.
        if held.lease.is_exclusive() && is_little(&incoming.size_hint()) {
            read_later(incoming, held);
        }
    }
}

/// Whether reading the rest costs less than another connection.
fn is_little(left: &SizeHint) -> bool {
    const LITTLE: u64 = 64 * 1024;
    left.upper().is_some_and(|length| length <= LITTLE)
}

/// Reads a little that nobody wants, so that the connection can be used again. Its permit is held until then.
fn read_later(mut incoming: Incoming, mut held: Held) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let reading = async {
            while let Some(frame) = incoming.frame().await {
                if frame.is_err() {
                    return false;
                }
            }
            std::future::poll_fn(|cx| held.lease.poll_ready(cx)).await.is_ok()
        };
        if let Ok(true) = tokio::time::timeout(READY_WITHIN, reading).await {
            held.lease.finish();
        }
    });
}

impl CallFacts {
    pub(crate) fn error(&self, fault: Fault) -> Error {
        let elapsed = clock::now().saturating_duration_since(self.started);
        fault.at(&self.address).after(self.host.key.to_string(), self.attempts, elapsed)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the header fields: cookies are among them.
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("version", &self.version)
            .field("address", &self.body.facts.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("ended", &self.is_end_stream()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("lease", &self.lease)
            .field("permit", &self.permit)
            .finish_non_exhaustive()
    }
}
