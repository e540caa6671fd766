//! [`Middleware::unless`]: any middleware, without some of the requests.
//!
//! Written once for all of them, so that no configuration needs a skipper of its own. A hook stays a hook; an
//! asynchronous middleware keeps its one boxed future.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::hook::Skip;
use super::{AnyMiddleware, Middleware, Next, Step};
use crate::context::Context;
use crate::error::Result;
use crate::extract::Needs;
use crate::respond::Response;

/// What [`Middleware::unless`] makes.
#[derive(Clone)]
pub struct Unless(Step);

impl Unless {
    pub(super) fn new(step: Step, skip: Arc<Skip>) -> Self {
        Self(match step {
            Step::Hook(hook) => Step::Hook(Arc::new(hook.skipping(skip))),
            Step::Around(middleware) => Step::Around(Arc::new(Skipping { middleware, skip })),
        })
    }
}

impl Middleware for Unless {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match &self.0 {
            Step::Hook(hook) => hook.handle(c, next).await,
            Step::Around(middleware) => middleware.call(c, next).await,
        }
    }
    fn needs(&self, needs: &mut Needs) {
        self.0.needs(needs);
    }
    fn into_step(self) -> Step {
        self.0
    }
}

impl fmt::Debug for Unless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unless({:?})", self.0)
    }
}

struct Skipping {
    middleware: Arc<dyn AnyMiddleware>,
    skip: Arc<Skip>,
}

impl AnyMiddleware for Skipping {
    fn call(&self, c: Context, next: Next) -> BoxFuture<'_, Result<Response>> {
        if (self.skip)(&c) { Box::pin(next.run(c)) } else { self.middleware.call(c, next) }
    }
    fn needs(&self, needs: &mut Needs) {
        self.middleware.needs(needs);
    }
}
