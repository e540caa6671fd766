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
    /// Whether as many bytes come out as went in, so that a declared length still holds.
    fn keeps_length(&self) -> bool;
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
        self.inner.size_hint().exact().filter(|_| self.around.keeps_length())
    }
    pub(super) fn inner(&mut self) -> &mut WireBody {
        &mut self.inner
    }
}

impl Response {
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
