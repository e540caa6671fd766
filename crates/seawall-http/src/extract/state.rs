//! What the app was given at start, by type.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Extract, Needs};
use crate::context::Context;
use crate::error::Result;

/// What [`App::state`](crate::App::state) was given: `shop: State<Shop>`, used as a `Shop`. An app that lacks it
/// does not start.
///
/// The outer count belongs to this core (see [`Service::replicate`](crate::Service::replicate)), so that taking the
/// state writes to no cache line that another core needs.
#[expect(clippy::redundant_allocation, reason = "the two counts are the point")]
pub struct State<T>(pub(crate) Arc<Arc<T>>);

impl<T> State<T> {
    /// The state itself, to keep it longer than the request.
    pub fn shared(&self) -> Arc<T> {
        Arc::clone(&self.0)
    }
}

impl<T> Deref for State<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Any + Send + Sync> Extract for State<T> {
    async fn extract(c: &Context) -> Result<Self> {
        c.shared().state::<T>().map(|state| Self(Arc::clone(state)))
    }
    fn needs(needs: &mut Needs) {
        needs.state::<T>();
    }
}
