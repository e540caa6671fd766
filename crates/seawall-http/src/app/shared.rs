//! What every request can reach: state, translations of errors, metrics. Each worker has its own copy.

use std::any::{Any, TypeId, type_name};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use seawall_core::Class;
use seawall_core::metrics::Registry;
use seawall_tasks::Tasks;

use super::Names;
use crate::context::{Context, Settings};
use crate::error::{Error, Result};
use crate::measure::{ErrorCounters, RouteTimers};
use crate::respond::Response;

/// Knows one type of domain error.
type Translate = dyn Fn(&(dyn std::error::Error + 'static)) -> Option<Error> + Send + Sync;
pub(crate) type OnError = dyn Fn(&Context, Error) -> Response + Send + Sync;
/// An `Arc<Arc<T>>`: the outer count belongs to one worker.
type AnyState = Box<dyn Any + Send + Sync>;

/// What a [`Shared`] is made of, once per worker.
#[derive(Default, Clone)]
pub(crate) struct SharedParts {
    state: Vec<(TypeId, Arc<dyn Fn() -> AnyState + Send + Sync>)>,
    pub(super) translate: Vec<Arc<Translate>>,
    pub(super) on_error: Option<Arc<OnError>>,
    pub(super) registry: Registry,
    pub(super) tasks: Tasks,
    pub(super) body_limit: usize,
    pub(super) names: Arc<Names>,
    pub(super) settings: Settings,
}

impl SharedParts {
    pub(super) fn set_state<T: Any + Send + Sync>(&mut self, state: T) {
        let state = Arc::new(state);
        let id = TypeId::of::<T>();
        self.state.retain(|(known, _)| *known != id);
        self.state.push((id, Arc::new(move || Box::new(Arc::new(Arc::clone(&state))))));
    }
    pub(super) fn has_state(&self, id: TypeId) -> bool {
        self.state.iter().any(|(known, _)| *known == id)
    }
    pub(super) fn share(&self) -> Arc<Shared> {
        let state = self.state.iter().map(|(id, make)| (*id, make())).collect();
        let (errors, unmatched) = (ErrorCounters::new(&self.registry), RouteTimers::default());
        Arc::new(Shared { state, body_limit: self.body_limit, errors, unmatched, parts: self.clone() })
    }
}

/// One worker's copy.
pub(crate) struct Shared {
    /// Few, so that looking through them beats hashing.
    state: Vec<(TypeId, AnyState)>,
    pub(crate) body_limit: usize,
    errors: ErrorCounters,
    unmatched: RouteTimers,
    parts: SharedParts,
}

impl Shared {
    pub(crate) fn replicate(&self) -> Arc<Self> {
        self.parts.share()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.parts.names
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.parts.tasks
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.parts.registry
    }
    pub(crate) fn settings(&self) -> &Settings {
        &self.parts.settings
    }
    /// The timers of requests that ended before a route was looked for.
    pub(crate) fn unmatched(&self) -> &RouteTimers {
        &self.unmatched
    }

    #[expect(clippy::redundant_allocation, reason = "the outer count belongs to one worker")]
    pub(crate) fn state<T: Any + Send + Sync>(&self) -> Result<&Arc<Arc<T>>> {
        let found = self.state.iter().find(|(id, _)| *id == TypeId::of::<T>());
        let state = found.and_then(|(_, state)| state.downcast_ref());
        state.ok_or_else(|| Error::internal(format!("no .state(..) gave a {}", type_name::<T>())))
    }

    /// Gives an error that came out of a `?` the status that the domain wants for it. The outermost cause that
    /// somebody knows counts.
    pub(crate) fn translate(&self, error: Error) -> Error {
        if !error.is_undecided() {
            return error;
        }
        let translate = |cause| self.parts.translate.iter().find_map(|translate| translate(cause));
        let decided = error.causes().find_map(translate);
        match decided {
            Some(decided) => decided.with_cause_of(error),
            None => error,
        }
    }

    /// Turns a failure into the answer, counts it, and logs what only we may read. What middleware put into the
    /// headers stays whatever on_error says: without those of CORS, a browser keeps the failure from its script.
    pub(crate) fn answer(&self, c: &Context, error: Error) -> (Response, Class) {
        let mut error = self.translate(error);
        let marked = error.headers_mut().clone();
        let class = error.class();
        self.errors.count(class);
        log(c, &error);
        let of_group = c.matched().and_then(|matched| matched.chain.on_error());
        let Some(on_error) = of_group.or(self.parts.on_error.as_deref()) else {
            return (self.in_form(c, &error), class);
        };
        // Its panic would otherwise cut the connection, the one thing that on_error is there to prevent.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| on_error(c, error)));
        let answer = answer.unwrap_or_else(|_| {
            tracing::error!(route = c.route(), request_id = c.request_id(), "on_error panicked");
            self.in_form(c, &Error::internal("on_error panicked"))
        });
        (with_headers(answer, marked), class)
    }

    /// The answer in the form that the app wants.
    fn in_form(&self, c: &Context, error: &Error) -> Response {
        if self.parts.settings.problem_json { error.problem(c) } else { error.response() }
    }
}

/// Adds the headers that the answer has not set itself, with all their values.
fn with_headers(mut answer: Response, marked: HeaderMap) -> Response {
    let missing: HeaderMap = {
        let own = answer.headers();
        let is_missing = |name: &HeaderName| !own.contains_key(name);
        let marked = marked.iter().filter(|(name, _)| is_missing(name));
        marked.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    answer.headers_mut().extend(missing);
    answer
}

/// Ours at once; the others only for whoever looks into them, because a client could fill the disk with them.
fn log(c: &Context, error: &Error) {
    let (status, class, route) = (error.status().as_u16(), error.class(), c.route());
    if class == Class::System {
        let (request_id, trace_id) = (c.request_id(), c.known_trace_id());
        let class = class.as_str();
        tracing::error!(status, class, route, request_id, trace_id, ?error, "request failed");
    } else {
        tracing::debug!(status, class = class.as_str(), route, ?error, "request refused");
    }
}
