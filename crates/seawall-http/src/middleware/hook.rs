//! Synchronous hooks: a look at the request before, or at the answer after. No future, no allocation.

use std::fmt;
use std::sync::Arc;

use super::{Middleware, Next, Step};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

type LookBefore = dyn Fn(&Context) -> Result<Option<Response>> + Send + Sync;
type LookAfter = dyn Fn(&Context, &mut Result<Response>) + Send + Sync;

/// What [`before`] and [`after`] make.
pub struct Hook {
    before: Option<Box<LookBefore>>,
    after: Option<Box<LookAfter>>,
}

/// A synchronous look at each request; `Some` answers at once.
pub fn before(look: impl Fn(&Context) -> Result<Option<Response>> + Send + Sync + 'static) -> Hook {
    Hook { before: Some(Box::new(look)), after: None }
}

/// A synchronous look at each answer, failures included.
pub fn after(look: impl Fn(&Context, &mut Result<Response>) + Send + Sync + 'static) -> Hook {
    Hook { before: None, after: Some(Box::new(look)) }
}

impl Hook {
    /// Looks at the request; an answer ends the chain here.
    pub(crate) fn look_before(&self, c: &Context) -> Option<Result<Response>> {
        self.before.as_ref().and_then(|look| look(c).transpose())
    }
    /// Looks at the answer.
    pub(crate) fn look_after(&self, c: &Context, answer: &mut Result<Response>) {
        if let Some(look) = &self.after {
            look(c, answer);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.before.is_some() { "before(..)" } else { "after(..)" })
    }
}

impl Middleware for Hook {
    /// How a hook would run as any other middleware; [`Next::run`] does without the box.
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = match self.look_before(&c) {
            Some(early) => early,
            None => next.run(c.clone()).await,
        };
        self.look_after(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        Step::Hook(Arc::new(self))
    }
}
