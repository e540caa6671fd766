//! What runs when the app starts, and the background runtime that it runs on.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};

use super::shared::SharedParts;
use crate::error::{Error, Result};

/// Puts what a start function gave into the state.
type Install = Box<dyn FnOnce(&mut SharedParts) + Send>;

/// One `on_start`, its type forgotten.
pub(super) struct Starter {
    gives: TypeId,
    name: &'static str,
    run: Box<dyn FnOnce() -> BoxFuture<'static, Result<Install>> + Send>,
}

impl Starter {
    pub(super) fn new<T, F, Fut>(start: F) -> Self
    where
        T: Any + Send + Sync,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let run = || {
            async move {
                let state = start().await?;
                Ok(Box::new(move |parts: &mut SharedParts| parts.set_state(state)) as Install)
            }
            .boxed()
        };
        Self { gives: TypeId::of::<T>(), name: type_name::<T>(), run: Box::new(run) }
    }

    pub(super) fn gives(&self) -> TypeId {
        self.gives
    }
}

impl fmt::Debug for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Starter({})", self.name)
    }
}

/// The runtime for what must never stand behind a busy worker. Dropping it ends its tasks without waiting, so that
/// it may be dropped anywhere, inside another runtime too.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    /// Runs the start functions one after the other, in the order in which they were given.
    pub(super) fn start(starters: Vec<Starter>, parts: &mut SharedParts) -> Result<Option<Self>> {
        if starters.is_empty() {
            return Ok(None);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(16)
            .thread_name("seawall-bg")
            .enable_all()
            .build()?;
        let background = Self(Some(runtime));
        for starter in starters {
            background.block_on((starter.run)())?(parts);
        }
        Ok(Some(background))
    }

    /// On a thread of its own: the caller may be inside a runtime, where blocking is a panic.
    fn block_on(&self, start: BoxFuture<'static, Result<Install>>) -> Result<Install> {
        let runtime = self.0.as_ref().expect("the runtime is there until drop");
        let ran = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(start)).join());
        ran.unwrap_or_else(|_| Err(Error::internal("a start function panicked")))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
