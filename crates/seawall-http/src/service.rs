//! [`Service`]: a checked app, ready to serve. Two functions own the seam: the outer one does panics, errors, HEAD and
//! metrics; the inner one may simply use `?`.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use seawall_core::metrics::Registry;

use crate::app::{Background, Chain, LookUp, Router, Shared};
use crate::body::Body;
use crate::clock;
use crate::context::{Arrival, Context};
use crate::error::{Error, Result};
use crate::middleware::Next;
use crate::respond::Response;
use crate::swap::{Slot, Swap};

/// A checked app, ready to serve. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
    /// Where this worker finds what came in place of `inner`, if that may happen.
    slot: Option<Arc<Slot>>,
}

/// What a request needs of its app, all of it from the same build.
pub(crate) struct Inner {
    router: Arc<Router>,
    pre: Option<Arc<Chain>>,
    shared: Arc<Shared>,
    /// Lives as long as any copy of the service.
    background: Option<Arc<Background>>,
}

impl Service {
    pub(crate) fn new(
        router: Arc<Router>,
        pre: Option<Arc<Chain>>,
        shared: Arc<Shared>,
        background: Option<Background>,
    ) -> Self {
        let inner = Inner { router, pre, shared, background: background.map(Arc::new) };
        Self { inner: Arc::new(inner), slot: None }
    }

    /// The same service, whose routes `swap` may replace.
    pub(crate) fn swapped_by(self, swap: &Swap) -> Self {
        let slot = Some(swap.slot(&self.inner));
        Self { slot, ..self }
    }
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Answers a request. Failures and panics are answers by then.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handler wherever it is; nothing is counted then.
    pub async fn handle(&self, request: http::Request<Body>) -> Response {
        self.respond(request, Arrival { peer: None, at: clock::now() }).await
    }

    pub(crate) async fn respond(&self, request: http::Request<Body>, arrival: Arrival) -> Response {
        let swapped = self.slot.as_ref().map(|slot| slot.load());
        let inner = swapped.as_ref().unwrap_or(&self.inner);
        let c = Context::new(request, arrival, Arc::clone(&inner.shared));
        let answer = AssertUnwindSafe(inner.run(c.clone())).catch_unwind().await;
        let answer = answer.unwrap_or_else(|panic| Err(panicked(&*panic)));
        let response = answer.unwrap_or_else(|error| inner.shared.answer(&c, error));
        let response = if c.method() == Method::HEAD { response.without_body() } else { response };
        self.measure(c, response)
    }

    /// Counts the request, when its body ends.
    fn measure(&self, c: Context, response: Response) -> Response {
        let measured = Measured { status: response.status(), c };
        if response.bytes().is_some() { response } else { response.hold(measured) }
    }

    /// The same service on reference counts of its own. One per core: else every request of every core writes to the
    /// same few cache lines, those of its chain and of what all requests share.
    #[must_use]
    pub fn replicate(&self) -> Self {
        match &self.slot {
            None => Self { inner: self.inner.replicate(), slot: None },
            Some(slot) => {
                let (inner, slot) = slot.replicate();
                Self { inner, slot: Some(slot) }
            }
        }
    }

    /// The registry that its metrics are in.
    pub fn metrics(&self) -> &Registry {
        self.inner.shared.registry()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("routes", &self.inner.router.len()).finish_non_exhaustive()
    }
}

impl Inner {
    async fn run(&self, c: Context) -> Result<Response> {
        let Some(pre) = &self.pre else { return self.router.run(c).await };
        Next::new(Arc::clone(pre)).run(c).await
    }

    pub(crate) fn replicate(&self) -> Arc<Self> {
        let Self { router, pre, shared, background } = self;
        let shared = shared.replicate();
        let router = router.replicate(&shared);
        let look_up = || Some(Arc::new(LookUp(Arc::clone(&router))) as _);
        let pre = pre.as_ref().map(|pre| pre.replicate(&shared, look_up()));
        Arc::new(Self { router, pre, shared, background: background.clone() })
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.shared.registry()
    }
}

/// Counts its request when it is dropped: at once, or with the last byte of a streamed body.
struct Measured {
    status: http::StatusCode,
    c: Context,
}

impl Drop for Measured {
    fn drop(&mut self) {
        let Some(matched) = self.c.matched() else { return };
        let taken: Duration = clock::now().saturating_duration_since(self.c.received_at());
        let (chain, method) = (&matched.chain, self.c.method());
        let registry = self.c.shared().registry();
        chain.timers().observe(registry, chain.pattern(), method, self.status, taken);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("the handler panicked: {}", text.unwrap_or("no message")))
}
