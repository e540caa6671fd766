//! [`Service`]: a checked app, ready to serve. It owns the seam: the outer functions do panics, deadlines, errors, HEAD
//! and the end of the request; the inner one may simply use `?`.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use http::Method;
use seawall_core::Deadline;
use seawall_core::metrics::Registry;
use seawall_guard::Meta;
use seawall_tasks::Tasks;
use tokio::time::{Sleep, sleep_until};

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
use crate::server::Entry;
use crate::standing::RequestHead;
use crate::swap::{Slot, Swap};
use crate::timeout_header;

/// A checked app, ready to serve. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
    /// Where this worker finds what came in place of `inner`, if that may happen.
    slot: Option<Arc<Slot>>,
}

/// A request that has begun, and the build of the app that answers it if routes may be swapped.
pub(crate) struct Begun {
    flight: Flight,
    swapped: Option<Arc<Inner>>,
}

impl Begun {
    pub(crate) fn flight(&mut self) -> &mut Flight {
        &mut self.flight
    }
    pub(crate) fn into_flight(self) -> Flight {
        self.flight
    }
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
        let (head, body) = request.into_parts();
        let arrival = Arrival { peer: Peer::default(), at: clock::now(), deadline: None };
        let mut begun = self.begin(head.into(), body, arrival);
        let response = self.answer(&mut begun).await;
        let mut flight = begun.into_flight();
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
        self.respond_to(head.into(), body, arrival).await
    }

    pub(crate) async fn respond_to(
        &self,
        head: Head,
        body: Body,
        arrival: Arrival,
    ) -> http::Response<Tracked> {
        let mut begun = self.begin(head, body, arrival);
        let response = self.answer(&mut begun).await;
        Tracked::new(response, begun.into_flight())
    }

    /// Begins a request, which is to be answered by [`Service::answer`]: apart from that because what only the begin
    /// needs is large, and a future keeps what it was given.
    pub(crate) fn begin(&self, head: Head, body: Body, arrival: Arrival) -> Begun {
        let swapped = self.slot.as_ref().map(|slot| slot.load());
        let inner = swapped.as_ref().unwrap_or(&self.inner);
        Begun { flight: Flight::new(Context::new(head, body, arrival, Arc::clone(&inner.shared))), swapped }
    }

    /// What admission is told of a request that has to queue.
    pub(crate) fn entry(&self, head: &Head, peer: &Peer, arrived: Instant) -> Entry {
        let swapped = self.slot.as_ref().map(|slot| slot.load());
        let inner = swapped.as_ref().unwrap_or(&self.inner);
        let guard = inner.router.guard_of(head);
        let settings = inner.shared.settings();
        let standing = settings.classify.as_ref().map(|classify| classify(&RequestHead::new(head, peer)));
        let standing = standing.unwrap_or_default();
        let meta = Meta {
            arrived,
            priority: guard.priority.unwrap_or(standing.priority),
            cohort: standing.cohort,
            tenant: standing.tenant,
            weight: standing.weight.max(1),
            deadline: callers_deadline(head, arrived, settings.longest_timeout),
        };
        Entry { meta, bypasses: guard.bypasses }
    }

    /// Answers what has begun; its flight goes on until the answer's body has ended.
    pub(crate) async fn answer(&self, begun: &mut Begun) -> Response {
        let Begun { flight, swapped } = begun;
        let inner = swapped.as_ref().unwrap_or(&self.inner);
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
        response
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

/// When the caller stops waiting, if it says so. What is wrong with its header, it hears when it is its turn.
fn callers_deadline(head: &Head, arrived: Instant, longest: Option<Duration>) -> Option<Deadline> {
    let longest = longest.filter(|_| head.says_timeout())?;
    let left = timeout_header::remaining(head.headers()).ok()??;
    Some(Deadline::after(arrived, left.min(longest)))
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("routes", &self.inner.router.len()).finish_non_exhaustive()
    }
}

impl Inner {
    /// What the chain answers, or why it does not: a failure, a panic, a deadline.
    async fn answer(&self, c: &Context) -> Result<Response> {
        if let Some(longest) = self.shared.settings().longest_timeout {
            c.accept_timeout(longest)?;
        }
        // Made when there is something to wait for: most answers are there before that.
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        let mut chain = pin!(AssertUnwindSafe(self.run(c.clone())).catch_unwind());
        poll_fn(|cx| {
            if let Poll::Ready(answer) = chain.as_mut().poll(cx) {
                return Poll::Ready(answer.unwrap_or_else(|panic| Err(panicked(&*panic))));
            }
            let Some(end) = c.last_deadline().map(|deadline| deadline.instant().into()) else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if timer.deadline() != end {
                timer.as_mut().reset(end); // the route has one of its own
            }
            timer.as_mut().poll(cx).map(|()| Err(Error::deadline_exceeded()))
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
