//! [`Context`]: the request, what middleware learnt about it, and the short ways to an answer.
//!
//! A handle of one word; cloning it is one atomic add. Nothing in it changes under a reader: values are only
//! appended, the body is only ever taken or kept whole.

mod answers;
mod client;
mod cookies;
mod deadline;
mod input;
mod routes;
mod settings;
mod tasks;
mod trace;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version, header};
use parking_lot::Mutex;
use seawall_core::Deadline;

use crate::app::{Chain, Shared};
use crate::body::Body;
use crate::error::Result;
use crate::head::Head;
use crate::middleware::Lines;
use crate::peer::Peer;
use crate::proxies::Client;
use crate::router::Params;
use crate::trace::TraceContext;
use crate::values::Values;

pub(crate) use settings::Settings;

/// The request, and what middleware learnt about it. A handle: cloning it is one atomic add.
///
/// A middleware that wants to look at the request after `next.run` keeps a clone, and
/// [`App::on_error`](crate::App::on_error) sees what the handler saw.
#[derive(Clone)]
pub struct Context(Arc<Exchange>);

/// What the server knows of a request beside the request itself.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    pub(crate) at: Instant,
    /// Until when an answer is wanted, as far as the server knows.
    pub(crate) deadline: Option<Deadline>,
}

struct Exchange {
    head: Head,
    arrival: Arrival,
    body: Mutex<BodyState>,
    matched: OnceLock<Matched>,
    /// The methods that the path exists for, if not for this one.
    other_methods: OnceLock<Vec<Method>>,
    request_id: OnceLock<Box<str>>,
    trace: OnceLock<Box<TraceContext>>,
    client: OnceLock<Box<Client>>,
    /// The innermost one at this moment.
    deadline: deadline::DeadlineCell,
    /// That of the whole request.
    last: deadline::DeadlineCell,
    life: deadline::Life,
    /// What middleware asked to be done at the end: bits of [`AtTheEnd`].
    at_the_end: AtomicU8,
    /// Where its line is written, if anywhere.
    lines: OnceLock<Arc<Lines>>,
    values: Values,
    shared: Arc<Shared>,
}

/// What middleware may leave to the end of the request, which the middleware itself may not live to see: a panic, a
/// timeout and a client that goes away drop its future.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum AtTheEnd {
    /// A line in the access log.
    Log = 1,
    /// The request's id in the answer.
    SendId = 2,
}

enum BodyState {
    Unread(Body),
    Whole(Bytes),
    /// Somebody streams it, or was cancelled while reading all of it.
    Taken,
    /// Nobody can have all of it: it is over this limit, or the client broke it off.
    Refused {
        over: Option<usize>,
    },
}

/// The route, and where its parameters stand in the path.
pub(crate) struct Matched {
    pub(crate) chain: Arc<Chain>,
    pub(crate) params: Params,
}

struct Rewritten(Uri);
struct MethodOverridden(Method);
struct ConditionsTaken;

impl Context {
    pub(crate) fn new(head: Head, body: Body, arrival: Arrival, shared: Arc<Shared>) -> Self {
        let deadline = deadline::DeadlineCell::new(arrival.at, arrival.deadline);
        Self(Arc::new(Exchange {
            head,
            arrival,
            body: Mutex::new(BodyState::Unread(body)),
            matched: OnceLock::new(),
            other_methods: OnceLock::new(),
            request_id: OnceLock::new(),
            trace: OnceLock::new(),
            client: OnceLock::new(),
            last: deadline.clone(),
            deadline,
            life: deadline::Life::default(),
            at_the_end: AtomicU8::new(0),
            lines: OnceLock::new(),
            values: Values::default(),
            shared,
        }))
    }

    /// The method; after a [`MethodOverride`](crate::middleware::MethodOverride), the new one.
    pub fn method(&self) -> &Method {
        self.0.values.last::<MethodOverridden>().map_or(self.0.head.method(), |overridden| &overridden.0)
    }
    /// The target; after [`Context::rewrite`], the new one.
    pub fn uri(&self) -> &Uri {
        self.0.values.last::<Rewritten>().map_or_else(|| self.0.head.uri(), |rewritten| &rewritten.0)
    }
    /// The path as it was sent, not decoded.
    pub fn path(&self) -> &str {
        self.0.values.last::<Rewritten>().map_or_else(|| self.0.head.path(), |rewritten| rewritten.0.path())
    }
    /// The HTTP version.
    pub fn version(&self) -> Version {
        self.0.head.version()
    }
    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.0.head.headers()
    }
    /// The first value of a header whose name is in lower case, without the work that [`Context::headers`] is: for
    /// what looks at every request.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.0.head.field(name)
    }
    /// A header as text; `None` if it is missing or no visible ASCII.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }
    /// The other end of the connection; behind a proxy that speaks the PROXY protocol, the one that it announced.
    /// `None` where it has no address: on a unix socket, and in a [`TestClient`](crate::testing::TestClient).
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.arrival.peer.addr()
    }
    /// When the request's head was read.
    pub fn received_at(&self) -> Instant {
        self.0.arrival.at
    }
    /// The pattern that matched, `/users/:id`: the only name of a route that is fit for a metric label. `None`
    /// before routing, and where no route matched.
    pub fn route(&self) -> Option<&str> {
        Some(self.0.matched.get()?.chain.pattern()).filter(|pattern| !pattern.is_empty())
    }

    /// Gives the router another target; for [`App::pre`](crate::App::pre). Once a route is found it does nothing.
    pub fn rewrite(&self, uri: Uri) {
        if self.0.matched.get().is_none() {
            self.set(Rewritten(uri));
        }
    }

    /// Gives the router another method; once a route is found it does nothing.
    pub(crate) fn override_method(&self, method: Method) {
        if self.0.matched.get().is_none() {
            self.set(MethodOverridden(method));
        }
    }

    /// This request's id: `X-Request-Id` if the client sent a plausible one, else a new one. Made when first asked
    /// for; it comes back to the client only through the [`RequestId`](crate::middleware::RequestId) middleware.
    pub fn request_id(&self) -> &str {
        self.0
            .request_id
            .get_or_init(|| crate::middleware::request_id(self.field(crate::middleware::REQUEST_ID)))
    }

    /// Remembers `value` for whoever comes later; it hides an earlier one of its type. A request carries at most 64
    /// values; further ones are dropped and logged.
    pub fn set<T: Any + Send + Sync>(&self, value: T) {
        if !self.0.values.push(value) {
            let kind = std::any::type_name::<T>();
            tracing::warn!(
                route = self.route(),
                kind,
                "a request carries 64 values already; this one is dropped"
            );
        }
    }
    /// The last value of its type that was [`set`](Context::set).
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.values.last()
    }
    /// What [`App::state`](crate::App::state) was given. Prefer [`State`](crate::State) as an argument: that is
    /// checked at start, this cannot be.
    ///
    /// # Errors
    /// 500, naming the type for the log, if nobody gave it.
    pub fn state<T: Any + Send + Sync>(&self) -> Result<&T> {
        self.0.shared.state::<T>().map(|state| &***state)
    }

    /// Whoever calls this compares the conditions of the request with the answer; further in nobody does, so that the
    /// answer is whole.
    pub(crate) fn take_conditions(&self) {
        let any = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
        if any.iter().any(|name| self.headers().contains_key(name)) {
            self.set(ConditionsTaken);
        }
    }
    pub(crate) fn conditions_are_taken(&self) -> bool {
        self.get::<ConditionsTaken>().is_some()
    }

    /// Whether the request brings a body, as far as that can be known before it is read.
    pub(crate) fn has_body(&self) -> bool {
        match &*self.0.body.lock() {
            BodyState::Unread(body) => !body.is_empty(),
            BodyState::Whole(bytes) => !bytes.is_empty(),
            BodyState::Taken | BodyState::Refused { .. } => true,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
    pub(crate) fn leave_to_the_end(&self, what: AtTheEnd) {
        self.0.at_the_end.fetch_or(what as u8, Ordering::Relaxed);
    }
    pub(crate) fn is_left_to_the_end(&self, what: AtTheEnd) -> bool {
        self.0.at_the_end.load(Ordering::Relaxed) & what as u8 != 0
    }
    /// Has a line written at the end; the first one who asks for it decides where.
    pub(crate) fn write_lines(&self, lines: &Arc<Lines>) {
        let _ = self.0.lines.set(Arc::clone(lines));
    }
    pub(crate) fn lines(&self) -> Option<&Lines> {
        self.0.lines.get().map(|lines| &**lines)
    }
    pub(crate) fn matched(&self) -> Option<&Matched> {
        self.0.matched.get()
    }
    /// A second attempt would find the same route, so it changes nothing.
    pub(crate) fn set_matched(&self, matched: Matched) {
        let _ = self.0.matched.set(matched);
    }
    pub(crate) fn other_methods(&self) -> Option<&[Method]> {
        self.0.other_methods.get().map(Vec::as_slice)
    }
    pub(crate) fn set_other_methods(&self, methods: Vec<Method>) {
        let _ = self.0.other_methods.set(methods);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} {})", self.method(), self.path())
    }
}
