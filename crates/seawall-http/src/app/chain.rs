//! Middleware and handler of one route, compiled at start.

use std::sync::Arc;

use super::Shared;
use crate::handler::AnyHandler;
use crate::measure::RouteTimers;
use crate::middleware::Step;

/// Middleware and handler of one route, in the order in which they run.
pub(crate) struct Chain {
    pub(super) pattern: Arc<str>,
    /// Of the parameters, in order.
    pub(super) names: Arc<[Box<str>]>,
    pub(super) steps: Box<[Step]>,
    pub(super) handler: Arc<dyn AnyHandler>,
    pub(super) shared: Arc<Shared>,
    pub(super) timers: RouteTimers,
}

impl Chain {
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
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
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
    pub(crate) fn timers(&self) -> &RouteTimers {
        &self.timers
    }

    /// The same chain on reference counts of its own, with `shared` of its own.
    pub(crate) fn replicate(&self, shared: &Arc<Shared>, handler: Option<Arc<dyn AnyHandler>>) -> Arc<Self> {
        Arc::new(Self {
            pattern: Arc::clone(&self.pattern),
            names: Arc::clone(&self.names),
            steps: self.steps.clone(),
            handler: handler.unwrap_or_else(|| Arc::clone(&self.handler)),
            shared: Arc::clone(shared),
            timers: RouteTimers::default(),
        })
    }
}
