//! Middleware and handler of one route, compiled at start.

use std::sync::Arc;

use http::Method;

use super::Shared;
use super::shared::OnError;
use crate::handler::AnyHandler;
use crate::measure::RouteTimers;
use crate::middleware::Step;
use crate::standing::RouteGuard;

/// Middleware and handler of one route, in the order in which they run.
pub(crate) struct Chain {
    pub(super) pattern: Arc<str>,
    /// Of its route; none for a route of any method, and for what is no route.
    pub(super) method: Option<Method>,
    /// The pattern of the host that it is bound to.
    pub(super) host: Option<Arc<str>>,
    /// Of the parameters, in order.
    pub(super) names: Arc<[Box<str>]>,
    pub(super) steps: Box<[Step]>,
    pub(super) handler: Arc<dyn AnyHandler>,
    /// Of the innermost group that has one.
    pub(super) on_error: Option<Arc<OnError>>,
    pub(super) shared: Arc<Shared>,
    pub(super) timers: RouteTimers,
    pub(super) guard: RouteGuard,
}

impl Chain {
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }
    pub(crate) fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.names
    }
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
    pub(crate) fn handler(&self) -> &dyn AnyHandler {
        &*self.handler
    }
    pub(crate) fn on_error(&self) -> Option<&OnError> {
        self.on_error.as_deref()
    }
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
    pub(crate) fn guard(&self) -> RouteGuard {
        self.guard
    }
    pub(crate) fn timers(&self) -> &RouteTimers {
        &self.timers
    }

    /// The same chain on reference counts of its own, with `shared` of its own.
    pub(crate) fn replicate(&self, shared: &Arc<Shared>, handler: Option<Arc<dyn AnyHandler>>) -> Arc<Self> {
        Arc::new(Self {
            pattern: Arc::clone(&self.pattern),
            method: self.method.clone(),
            host: self.host.clone(),
            names: Arc::clone(&self.names),
            steps: self.steps.clone(),
            handler: handler.unwrap_or_else(|| Arc::clone(&self.handler)),
            on_error: self.on_error.clone(),
            shared: Arc::clone(shared),
            timers: RouteTimers::default(),
            guard: self.guard,
        })
    }
}
