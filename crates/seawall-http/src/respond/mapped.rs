//! A body with something of a middleware around it, which sees each piece on its way to the connection: compression,
//! a time limit, a copy.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::{BodyFailed, Response, ResponseBody, WireBody};

/// What stands between a body and its connection.
pub(crate) trait Around: Send + Sync + 'static {
    /// The next piece, made of what `inner` gives.
    fn poll_next(
        &mut self,
        inner: &mut WireBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>>;
    /// How many bytes come out, if that is known; `inner` is how many go in.
    fn length(&self, inner: Option<u64>) -> Option<u64>;
}

/// A body, and what is around it.
pub(crate) struct Mapped {
    inner: WireBody,
    around: Box<dyn Around>,
}

impl Mapped {
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        self.around.poll_next(&mut self.inner, cx)
    }
    pub(super) fn declared(&self) -> Option<u64> {
        self.around.length(self.inner.size_hint().exact())
    }
    pub(super) fn inner(&mut self) -> &mut WireBody {
        &mut self.inner
    }
}

impl Response {
    /// How long the body is, if that is known before it is sent.
    #[cfg(feature = "compression")]
    pub(crate) fn body_length(&self) -> Option<u64> {
        match &self.body {
            ResponseBody::Whole(bytes) => Some(bytes.len() as u64),
            ResponseBody::Stream(producer) => producer.declared(),
            ResponseBody::Mapped(mapped) => mapped.declared(),
            _ => None,
        }
    }

    /// Puts something around the body. An answer that switches protocols has none, and stays as it is.
    pub(crate) fn map_body(&mut self, around: impl Around) {
        #[cfg(feature = "websocket")]
        if matches!(self.body, ResponseBody::Takeover(_)) {
            return;
        }
        let body = std::mem::replace(&mut self.body, ResponseBody::Whole(Bytes::new()));
        let inner = WireBody::new(body, None); // permits are kept by the outermost
        self.body = ResponseBody::Mapped(Box::new(Mapped { inner, around: Box::new(around) }));
    }
}
