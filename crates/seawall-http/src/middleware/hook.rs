//! Synchronous hooks: a look at the request before, or at the answer after. No future, no allocation.

use std::fmt;
use std::sync::Arc;

use super::{Middleware, Next, Step};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

type LookBefore = dyn Fn(&Context) -> Result<Option<Response>> + Send + Sync;
type LookAfter = dyn Fn(&Context, &mut Result<Response>) + Send + Sync;
pub(super) type Skip = dyn Fn(&Context) -> bool + Send + Sync;

/// What [`before`] and [`after`] make.
#[derive(Clone, Default)]
pub struct Hook {
    skip: Option<Arc<Skip>>,
    before: Option<Arc<LookBefore>>,
    after: Option<Arc<LookAfter>>,
}

/// A synchronous look at each request; `Some` answers at once.
///
/// ```
/// use seawall_http::{App, before};
///
/// let closed = before(|c| if c.path() == "/shop" { c.text(200, "closed today").map(Some) } else { Ok(None) });
/// let app = App::new().with(closed).get("/shop", async || "open");
/// ```
pub fn before(look: impl Fn(&Context) -> Result<Option<Response>> + Send + Sync + 'static) -> Hook {
    Hook { before: Some(Arc::new(look)), ..Hook::default() }
}

/// A synchronous look at each answer, failures included.
///
/// ```
/// use http::{HeaderValue, header};
/// use seawall_http::{App, after};
///
/// let named = after(|_, answer| match answer {
///     Ok(response) => _ = response.headers_mut().insert(header::SERVER, HeaderValue::from_static("shop")),
///     Err(error) => _ = error.headers_mut().insert(header::SERVER, HeaderValue::from_static("shop")),
/// });
/// let app = App::new().with(named).get("/", async || "hello");
/// ```
pub fn after(look: impl Fn(&Context, &mut Result<Response>) + Send + Sync + 'static) -> Hook {
    Hook { after: Some(Arc::new(look)), ..Hook::default() }
}

/// What came of a look at a request.
pub(crate) enum Looked {
    /// The request goes on.
    Passed,
    /// The hook leaves this request alone, and its answer too.
    Skipped,
    /// The chain ends here.
    Answered(Result<Response>),
}

impl Hook {
    /// The same hook, which looks at the answers as well: those that come from further in, and its own. It takes the
    /// place of an earlier look at answers.
    #[must_use]
    pub fn and_after(self, look: impl Fn(&Context, &mut Result<Response>) + Send + Sync + 'static) -> Self {
        Self { after: Some(Arc::new(look)), ..self }
    }

    /// The same hook, which leaves alone what `skip` names, too.
    pub(super) fn skipping(&self, skip: Arc<Skip>) -> Self {
        let skip: Arc<Skip> = match self.skip.clone() {
            None => skip,
            Some(earlier) => Arc::new(move |c: &Context| skip(c) || earlier(c)),
        };
        Self { skip: Some(skip), ..self.clone() }
    }

    /// Looks at the request; an answer ends the chain here.
    pub(crate) fn look_before(&self, c: &Context) -> Looked {
        if self.skip.as_ref().is_some_and(|skip| skip(c)) {
            return Looked::Skipped;
        }
        let Some(look) = &self.before else { return Looked::Passed };
        match look(c).transpose() {
            Some(answer) => Looked::Answered(answer),
            None => Looked::Passed,
        }
    }
    /// Looks at the answer; not to be called for a request that was skipped.
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
            Looked::Answered(early) => early,
            Looked::Passed => next.run(c.clone()).await,
            Looked::Skipped => return next.run(c).await,
        };
        self.look_after(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        Step::Hook(Arc::new(self))
    }
}
