//! A service of tower as a handler.

use std::future::poll_fn;

use futures_util::future::BoxFuture;
use tower_service::Service;

use super::{AnyError, from_http, request_of};
use crate::body::Body;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{AnyHandler, Endpoint};
use crate::respond::Response;

/// Mounts a service of tower as the handler of a route: `app.any("/legacy/*", tower_service(router))`.
///
/// It gets the request with its whole path, our [`Body`] under the body limit, and the [`Context`] among the
/// extensions. Every request goes through a clone of `service`. Its error is a 500, and middleware and `on_error` see
/// it as any other.
///
/// ```
/// use std::convert::Infallible;
/// use seawall_http::tower::tower_service;
/// use seawall_http::{App, Body};
/// # #[derive(Clone)] struct Hello;
/// # impl tower_service::Service<http::Request<Body>> for Hello {
/// #     type Response = http::Response<Body>;
/// #     type Error = Infallible;
/// #     type Future = std::future::Ready<Result<Self::Response, Infallible>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, _: http::Request<Body>) -> Self::Future {
/// #         std::future::ready(Ok(http::Response::new(Body::whole("hello"))))
/// #     }
/// # }
///
/// let app = App::new().any("/legacy/*", tower_service(Hello));
/// ```
pub fn tower_service<S, B>(service: S) -> Endpoint
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<AnyError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<AnyError>> + Send + 'static,
{
    Endpoint::new(Served(service))
}

struct Served<S>(S);

impl<S, B> AnyHandler for Served<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error: Into<AnyError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<AnyError>> + Send + 'static,
{
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>> {
        let mut service = self.0.clone();
        Box::pin(async move {
            let mut request = request_of(&c)?;
            request.extensions_mut().insert(c);
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(|error| Error::from_boxed(error.into()))?;
            let answer = service.call(request).await;
            answer.map(from_http).map_err(|error| Error::from_boxed(error.into()))
        })
    }
}
