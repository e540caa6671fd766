//! The rest of a chain, and how it runs.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Looked, Step};
use crate::app::Chain;
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

/// Hooks in a row that run without a future of their own: the bits of a word.
const MOST_HOOKS: usize = 64;

/// The rest of the chain: the middleware further in, and the handler. Owned and `'static`; a middleware that retries
/// clones it and runs it again.
#[derive(Clone)]
#[must_use = "the handler runs only if `next` does"]
pub struct Next {
    chain: Arc<Chain>,
    at: usize,
}

impl Next {
    pub(crate) fn new(chain: Arc<Chain>) -> Self {
        Self { chain, at: 0 }
    }

    /// Runs it. Hooks run right here; the next middleware, or the handler behind them, is one boxed future.
    ///
    /// # Errors
    /// Whatever the rest of the chain failed with.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handler wherever it is.
    pub async fn run(self, c: Context) -> Result<Response> {
        let Self { chain, at } = self;
        let mut here = at;
        let mut early = None;
        let mut skipped = 0_u64; // a bit per hook that leaves this request alone
        while let (None, Some(Step::Hook(hook))) = (&early, chain.steps().get(here)) {
            if here - at == MOST_HOOKS {
                break;
            }
            match hook.look_before(&c) {
                Looked::Passed => {}
                Looked::Skipped => skipped |= 1 << (here - at),
                Looked::Answered(answer) => early = Some(answer),
            }
            here += 1;
        }
        let looked = (here > at).then(|| c.clone());
        let answer = match early {
            Some(answer) => *answer,
            None => run_step(&chain, here, c).await,
        };
        let mut answer = answer.map_err(|error| chain.shared().translate(error));
        if let Some(c) = looked {
            for (bit, step) in chain.steps()[at..here].iter().enumerate().rev() {
                match step {
                    Step::Hook(hook) if skipped >> bit & 1 == 0 => hook.look_after(&c, &mut answer),
                    Step::Hook(_) | Step::Around(_) => {}
                }
            }
        }
        answer
    }
}

/// The step at `at`, or the handler behind the last one.
async fn run_step(chain: &Arc<Chain>, at: usize, c: Context) -> Result<Response> {
    match chain.steps().get(at) {
        Some(Step::Around(middleware)) => {
            middleware.call(c, Next { chain: Arc::clone(chain), at: at + 1 }).await
        }
        Some(Step::Hook(_)) => boxed(Next { chain: Arc::clone(chain), at }, c).await,
        None => chain.handler().call(c).await,
    }
}

/// The hooks beyond the first [`MOST_HOOKS`] in a row.
fn boxed(next: Next, c: Context) -> BoxFuture<'static, Result<Response>> {
    Box::pin(next.run(c))
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Next({} of {})", self.at, self.chain.steps().len())
    }
}
