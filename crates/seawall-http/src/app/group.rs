//! Routes that share a prefix and middleware.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use seawall_guard::Priority;

use super::shared::OnError;
use crate::context::Context;
use crate::error::Error;
use crate::handler::{Endpoint, Handler};
use crate::middleware::{Middleware, Step};
use crate::respond::Response;
use crate::standing::RouteGuard;

/// Routes that share a prefix and middleware. It may live in a module or crate of its own and be tested without the
/// rest of the app; [`App::mount`](crate::App::mount) gives it its prefix.
#[derive(Default)]
pub struct Group {
    pub(super) steps: Vec<Step>,
    pub(super) routes: Vec<Route>,
    pub(super) groups: Vec<(String, Group)>,
    pub(super) fallback: Option<Endpoint>,
    pub(super) on_error: Option<Arc<OnError>>,
    pub(super) guard: RouteGuard,
}

/// A route as it was written down; no method is any method.
pub(super) struct Route {
    pub(super) method: Option<Method>,
    pub(super) pattern: String,
    pub(super) endpoint: Endpoint,
}

impl Group {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route for GET, and for HEAD unless that has a route of its own.
    pub fn get<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::GET, pattern, handler)
    }
    /// Adds a route for POST.
    pub fn post<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::POST, pattern, handler)
    }
    /// Adds a route for PUT.
    pub fn put<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::PUT, pattern, handler)
    }
    /// Adds a route for PATCH.
    pub fn patch<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::PATCH, pattern, handler)
    }
    /// Adds a route for DELETE.
    pub fn delete<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::DELETE, pattern, handler)
    }
    /// Adds a route for HEAD.
    pub fn head<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::HEAD, pattern, handler)
    }
    /// Adds a route for OPTIONS; without one, the answer is 204 with `Allow`.
    pub fn options<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(Method::OPTIONS, pattern, handler)
    }
    /// Adds a route for QUERY: as safe as GET, with a body that says what is asked for
    /// ([RFC 10008](https://www.rfc-editor.org/rfc/rfc10008)).
    pub fn query<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.route(query_method(), pattern, handler)
    }
    /// Adds a route for every method that has no route of its own.
    pub fn any<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        self.add(None, pattern, handler.into_endpoint())
    }
    /// Adds a route for each of these methods.
    pub fn methods<M>(
        self,
        methods: impl IntoIterator<Item = Method>,
        pattern: &str,
        handler: impl Handler<M>,
    ) -> Self {
        let endpoint = handler.into_endpoint();
        let add = |group: Self, method| group.add(Some(method), pattern, endpoint.clone());
        methods.into_iter().fold(self, add)
    }
    /// Adds a route for any one method, one of your own included.
    pub fn route<M>(self, method: Method, pattern: &str, handler: impl Handler<M>) -> Self {
        self.add(Some(method), pattern, handler.into_endpoint())
    }

    /// Middleware for every route of this group, above or below this line, and for what is not found below its
    /// prefix; the first one is outermost.
    pub fn with<M: 'static>(mut self, middleware: impl Middleware<M>) -> Self {
        self.steps.push(middleware.into_step());
        self
    }
    /// A group written in place.
    pub fn group(self, prefix: &str, routes: impl FnOnce(Self) -> Self) -> Self {
        self.mount(prefix, routes(Self::new()))
    }
    /// A group written elsewhere.
    pub fn mount(mut self, prefix: &str, group: Self) -> Self {
        self.groups.push((prefix.to_owned(), group));
        self
    }

    /// Who answers below this group's prefix where no route matches the path. A path that is known for other methods is
    /// still a 405. A group without a fallback has that of the group around it.
    pub fn fallback<M>(self, handler: impl Handler<M>) -> Self {
        Self { fallback: Some(handler.into_endpoint()), ..self }
    }
    /// What the routes of this group are worth in an overload, as
    /// [`RouteOptions::priority`](crate::RouteOptions::priority); routes and inner groups may say otherwise.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.guard.priority = Some(priority);
        self
    }
    /// Until when the routes of this group must have answered, as
    /// [`RouteOptions::deadline`](crate::RouteOptions::deadline); routes and inner groups may say otherwise.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.guard.deadline = Some(limit);
        self
    }
    /// Lets the requests of this group pass by admission, as
    /// [`RouteOptions::bypass_admission`](crate::RouteOptions::bypass_admission).
    pub fn bypass_admission(mut self) -> Self {
        self.guard.bypasses = true;
        self
    }
    /// Turns the failures of this group into answers, in place of [`App::on_error`](crate::App::on_error) or of the
    /// group around it: those of its routes and middleware, and what is not found below its prefix.
    pub fn on_error(self, answer: impl Fn(&Context, Error) -> Response + Send + Sync + 'static) -> Self {
        Self { on_error: Some(Arc::new(answer)), ..self }
    }

    fn add(mut self, method: Option<Method>, pattern: &str, endpoint: Endpoint) -> Self {
        self.routes.push(Route { method, pattern: pattern.to_owned(), endpoint });
        self
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", method_name(self.method.as_ref()), self.pattern)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("routes", &self.routes)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

/// The registry has it; the `http` crate does not name it yet.
fn query_method() -> Method {
    Method::from_bytes(b"QUERY").expect("a token")
}

/// The method as people write it; none is `ANY`.
pub(super) fn method_name(method: Option<&Method>) -> &str {
    method.map_or("ANY", Method::as_str)
}
