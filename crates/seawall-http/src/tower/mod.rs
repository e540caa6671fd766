//! tower at the edges: its layers as middleware, its services as handlers, and the app as one of its services.
//!
//! Nothing inside is built on it. A tower service has to be asked whether it is ready and is cloned to be shared, so that
//! a layer which keeps a limit in its service, and not behind an `Arc`, counts per clone, that is: not at all. Here a
//! layer is applied once per place in a chain, and every request goes through a clone of what came out. What the layer
//! shares among clones is shared by all requests of all workers; what it does not share does not limit anything. Test
//! that a limit of tower limits, or take one that comes with this framework.
//!
//! An answer that goes through a layer loses one thing: a stream of server-sent events does not end by itself when the
//! server drains. WebSockets pass.

mod layer;
mod serve;
mod service;

use std::error;
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use bytes::Bytes;
use http_body::Frame;
use parking_lot::Mutex;

use crate::body::Body;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::{Around, BodyFailed, Response, WireBody};

pub use layer::{FromTower, Inner, from_tower};
pub use serve::tower_service;
pub use service::AnswerBody;

type AnyError = Box<dyn error::Error + Send + Sync>;

/// The request as tower knows requests. The body moves there.
fn request_of(c: &Context) -> Result<http::Request<Body>> {
    let mut request = http::Request::new(c.stream_body()?);
    *request.method_mut() = c.method().clone();
    *request.uri_mut() = c.uri().clone();
    *request.version_mut() = c.version();
    *request.headers_mut() = c.headers().clone();
    Ok(request)
}

/// An answer of tower as one of ours.
fn from_http<B>(answer: http::Response<B>) -> Response
where
    B: http_body::Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
{
    let (head, body) = answer.into_parts();
    let mut response = Response::new(head.status, Bytes::new());
    *response.headers_mut() = head.headers;
    if !body.is_end_stream() {
        response.map_body(Foreign(Mutex::new(Box::pin(body))));
    }
    response
}

/// A body that was made elsewhere. In a `Mutex` only to be `Sync`.
struct Foreign<B>(Mutex<Pin<Box<B>>>);

impl<B> Around for Foreign<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
{
    fn poll_next(
        &mut self,
        _: &mut WireBody,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let polled = self.0.get_mut().as_mut().poll_frame(cx);
        polled.map(|piece| piece.map(|piece| piece.map_err(|error| Error::from_boxed(error.into()).into())))
    }
    fn length(&self, _: Option<u64>) -> Option<u64> {
        self.0.lock().size_hint().exact()
    }
}
