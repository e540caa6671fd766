//! The app as a service of tower, and the body of its answers.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};

use super::AnyError;
use crate::body::Body;
use crate::clock;
use crate::context::Arrival;
use crate::flight::Tracked;
use crate::peer::Peer;
use crate::respond::WireBody;
use crate::service::Service;

/// The body of an answer, for code that knows only the trait. Its error is what the producer failed with.
#[derive(Default)]
pub struct AnswerBody(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Wire(Box<WireBody>),
    /// With the request, which ends when it does.
    Tracked(Box<Tracked>),
}

impl AnswerBody {
    pub(super) fn of_wire(body: WireBody) -> Self {
        Self(Kind::Wire(Box::new(body)))
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        let polled = match &mut self.0 {
            Kind::Empty => return Poll::Ready(None),
            Kind::Wire(body) => Pin::new(&mut **body).poll_frame(cx),
            Kind::Tracked(body) => Pin::new(&mut **body).poll_frame(cx),
        };
        polled.map(|piece| piece.map(|piece| piece.map_err(Into::into)))
    }
    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Wire(body) => body.is_end_stream(),
            Kind::Tracked(body) => body.is_end_stream(),
        }
    }
    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Wire(body) => body.size_hint(),
            Kind::Tracked(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerBody(..)")
    }
}

/// Always ready: whoever wants to shed load does it by answering. Failures and panics are answers by then. The peer is
/// a [`SocketAddr`] among the request's extensions, if there is one. Answers that switch protocols (WebSockets) need
/// the framework's own server.
impl<B> tower_service::Service<http::Request<B>> for Service
where
    B: http_body::Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
{
    type Response = http::Response<AnswerBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Waker<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        let arrival = Arrival {
            peer: Peer::from(request.extensions().get::<SocketAddr>().copied()),
            at: clock::now(),
            deadline: None,
        };
        Box::pin(async move {
            let answer = service.respond(request.map(Body::from_http), arrival).await;
            Ok(answer.map(|body| AnswerBody(Kind::Tracked(Box::new(body)))))
        })
    }
}
