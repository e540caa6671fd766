//! [`Service`]: a checked app, ready to serve. It owns the seam: the outer functions do panics, deadlines, errors, HEAD
//! and the end of the request; the inner one may simply use `?`.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use http::Method;
use seawall_core::metrics::Registry;
use seawall_tasks::Tasks;
use tokio::time::sleep_until;

use crate::app::{Background, Chain, LookUp, Router, Shared};
use crate::body::Body;
use crate::clock;
use crate::context::{Arrival, AtTheEnd, Context};
use crate::error::{Error, Result};
use crate::flight::{Flight, Tracked};
use crate::head::Head;
use crate::measure::End;
use crate::middleware::{Next, send_id};
use crate::peer::Peer;
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
    /// Dropping the future drops the handler wherever it is; the request counts as aborted then.
    pub async fn handle(&self, request: http::Request<Body>) -> Response {
        let arrival = Arrival { peer: Peer::default(), at: clock::now() };
        let (head, body) = request.into_parts();
        let (response, mut flight) = self.answer(head.into(), body, arrival).await;
        flight.end(End::Answered); // nobody tells us how far a body got that is not on a connection
        if response.bytes().is_some() { response } else { response.hold(flight) }
    }

    /// As [`Service::handle`], for whoever sends the body.
    pub(crate) async fn respond(
        &self,
        request: http::Request<Body>,
        arrival: Arrival,
    ) -> http::Response<Tracked> {
        let (head, body) = request.into_parts();
        let (response, flight) = self.answer(head.into(), body, arrival).await;
        Tracked::new(response, flight)
    }

    /// As [`Service::handle`], for the engine that sends the answer and knows when the request ends.
    pub(crate) async fn answer(&self, head: Head, body: Body, arrival: Arrival) -> (Response, Flight) {
        let swapped = self.slot.as_ref().map(|slot| slot.load());
        let inner = swapped.as_ref().unwrap_or(&self.inner);
        let mut flight = Flight::new(Context::new(head, body, arrival, Arc::clone(&inner.shared)));
        let answer = inner.answer(flight.context()).await;
        let c = flight.context();
        let (mut response, class) = match answer {
            Ok(response) => (response, None),
            Err(error) => {
                let (response, class) = inner.shared.answer(c, error);
                (response, Some(class))
            }
        };
        if c.is_left_to_the_end(AtTheEnd::SendId) {
            send_id(c, &mut response);
        }
        let response = if c.method() == Method::HEAD { response.without_body() } else { response };
        flight.answered(response.status(), class);
        (response, flight)
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

    pub(crate) fn tasks(&self) -> &Tasks {
        self.inner.shared.tasks()
    }

    /// The registry that its metrics are in.
    pub fn metrics(&self) -> &Registry {
        self.inner.shared.registry()
    }
}

#[cfg(test)]
impl Service {
    pub(crate) fn answer_size() -> String {
        fn f<'a, F>(_: impl Fn(&'a Service, Head, Body, Arrival) -> F) -> usize {
            size_of::<F>()
        }
        fn g<'a, F>(_: impl Fn(&'a Inner, &'a Context) -> F) -> usize {
            size_of::<F>()
        }
        fn h<'a, F>(_: impl Fn(&'a Inner, Context) -> F) -> usize {
            size_of::<F>()
        }
        fn n<F>(_: impl Fn(Next, Context) -> F) -> usize {
            size_of::<F>()
        }
        format!(
            "answer {} inner.answer {} inner.run {} next {} head {} body {}",
            f(Service::answer),
            g(Inner::answer),
            h(Inner::run),
            n(Next::run),
            size_of::<Head>(),
            size_of::<Body>()
        )
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("routes", &self.inner.router.len()).finish_non_exhaustive()
    }
}

impl Inner {
    /// What the chain answers, or why it does not: a failure, a panic, a deadline.
    async fn answer(&self, c: &Context) -> Result<Response> {
        let mut timer = None;
        if let Some(longest) = self.shared.settings().longest_timeout {
            let deadline = c.accept_timeout(longest)?;
            timer = deadline.map(|deadline| Box::pin(sleep_until(deadline.instant().into())));
        }
        let mut chain = pin!(AssertUnwindSafe(self.run(c.clone())).catch_unwind());
        poll_fn(|cx| {
            if let Poll::Ready(answer) = chain.as_mut().poll(cx) {
                return Poll::Ready(answer.unwrap_or_else(|panic| Err(panicked(&*panic))));
            }
            match &mut timer {
                Some(timer) => timer.as_mut().poll(cx).map(|()| Err(Error::deadline_exceeded())),
                None => Poll::Pending,
            }
        })
        .await
    }

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

    pub(crate) fn tasks(&self) -> &Tasks {
        self.shared.tasks()
    }
    pub(crate) fn registry(&self) -> &Registry {
        self.shared.registry()
    }
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("the handler panicked: {}", text.unwrap_or("no message")))
}
