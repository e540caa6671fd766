//! A layer of tower as a middleware.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as Waker, Poll};

use futures_util::future::BoxFuture;
use http::StatusCode;
use parking_lot::Mutex;
use tower_layer::Layer;
use tower_service::Service;

use super::{AnswerBody, AnyError, from_http, request_of};
use crate::body::Body;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::middleware::{Middleware, Next};
use crate::respond::Response;

/// Runs a layer of tower as a middleware.
///
/// The layer sees the request as it was sent, with our [`Body`], and may put another body in place; other changes that
/// it makes to the request are not seen further in. It sees the answer with all of its headers, and whatever it makes
/// of it is sent. A failure passes it as an error, because it becomes an answer only at the edge: a layer that sets
/// headers sets none on a 404. An error of the layer's own is a 500.
///
/// The layer is applied once, here. Every request goes through a clone of the service that it made; see the module's
/// words about limits.
///
/// ```
/// # use http::{HeaderValue, header};
/// use seawall_http::App;
/// use seawall_http::tower::from_tower;
/// use tower_http::set_header::SetResponseHeaderLayer;
///
/// let layer = SetResponseHeaderLayer::overriding(header::SERVER, HeaderValue::from_static("mine"));
/// let app = App::new().with(from_tower(layer)).get("/", async || "hello");
/// ```
pub fn from_tower<L: Layer<Inner>>(layer: L) -> FromTower<L::Service> {
    FromTower(layer.layer(Inner(())))
}

/// What [`from_tower`] makes.
#[derive(Clone)]
pub struct FromTower<S>(S);

/// What a layer is put around: the rest of the chain. Which one, stands in the request's extensions.
#[derive(Debug, Clone)]
pub struct Inner(());

/// What travels through the layer with a request.
#[derive(Clone)]
struct Passage {
    c: Context,
    next: Next,
    /// An answer that hands the connection over: no layer can do anything with that but let it pass.
    switched: Arc<Mutex<Option<Response>>>,
}

impl Service<http::Request<Body>> for Inner {
    type Response = http::Response<AnswerBody>;
    type Error = AnyError;
    type Future = BoxFuture<'static, Result<Self::Response, AnyError>>;

    fn poll_ready(&mut self, _: &mut Waker<'_>) -> Poll<Result<(), AnyError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let passage = request.extensions_mut().remove::<Passage>();
        Box::pin(async move {
            let Some(Passage { c, next, switched }) = passage else {
                return Err(Error::internal("a tower layer made a request of its own").into());
            };
            c.put_body(request.into_body());
            let response = next.run(c).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let mut head = http::Response::new(AnswerBody::default());
                *head.status_mut() = response.status();
                *head.headers_mut() = response.headers().clone();
                *switched.lock() = Some(response);
                return Ok(head);
            }
            Ok(response.into_wire().map(AnswerBody::of_wire))
        })
    }
}

impl<S, B> Middleware for FromTower<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<AnyError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<AnyError>> + Send + 'static,
{
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let switched = Arc::default();
        let mut request = request_of(&c)?;
        request.extensions_mut().insert(Passage { c, next, switched: Arc::clone(&switched) });
        let mut service = self.0.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(|error| Error::from_boxed(error.into()))?;
        let answer = service.call(request).await.map_err(|error| Error::from_boxed(error.into()))?;
        let handed_over = switched.lock().take();
        match handed_over {
            Some(mut response) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                *response.headers_mut() = answer.into_parts().0.headers;
                Ok(response)
            }
            _ => Ok(from_http(answer)),
        }
    }
}

impl<S> fmt::Debug for FromTower<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromTower(..)")
    }
}
