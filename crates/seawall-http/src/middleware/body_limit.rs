//! Another body limit for a group or a route than the app's.

use super::{Middleware, Next, Step, before};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

/// The most bytes a request's body may have; one more is a 413, chunked or not. The innermost limit counts. The
/// app's own default is [`ServerConfig::body_limit`](crate::ServerConfig::body_limit).
///
/// ```
/// use seawall_http::middleware::BodyLimit;
/// use seawall_http::{App, RouteOptions as _};
///
/// async fn upload(picture: bytes::Bytes) -> String {
///     format!("{} bytes", picture.len())
/// }
///
/// let app = App::new().with(BodyLimit::new(64 << 10)).post("/pictures", upload.with(BodyLimit::new(8 << 20)));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(usize);

impl BodyLimit {
    /// At most `bytes`; zero allows no body at all.
    pub fn new(bytes: usize) -> Self {
        Self(bytes)
    }
    /// The limit.
    pub fn bytes(&self) -> usize {
        self.0
    }
}

impl Middleware for BodyLimit {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        c.set(*self);
        next.run(c).await
    }
    fn into_step(self) -> Step {
        let limit = self;
        before(move |c| {
            c.set(limit);
            Ok(None)
        })
        .into_step()
    }
}
