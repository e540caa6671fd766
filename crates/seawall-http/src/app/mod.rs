//! [`App`]: what the user builds, and what becomes of it.
//!
//! `build` flattens groups into one [`Chain`] per route, puts them into the router, and reports everything that is
//! wrong at once: duplicate and bad patterns, missing state, bad configuration.

mod build;
mod chain;
mod flat;
mod group;
mod hosts;
mod listing;
mod names;
mod needs;
mod router;
mod settings;
mod shared;
mod start;

use std::any::{Any, TypeId};
use std::error;
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use http::Method;
use seawall_core::ConfigError;
use seawall_core::metrics::Registry;
use seawall_tasks::Tasks;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::live_config::LiveConfig;
use crate::middleware::{Middleware, Step};
use crate::respond::{Renderer, Response, Templates};
use crate::server::{Listeners, OverloadConfig, OverloadControl, Server, ServerConfig};
use crate::service::Service;
use crate::swap::Swap;

pub(crate) use chain::Chain;
pub use group::Group;
pub(crate) use hosts::{check as check_host, host_of, name_of as host_name, subdomain};
pub use listing::{RouteInfo, Routes};
pub(crate) use names::Names;
pub(crate) use router::{LookUp, Router};
pub(crate) use shared::Shared;
use shared::SharedParts;
pub(crate) use start::Background;
use start::Starter;

/// A service before it is built: the outermost group, and what concerns all requests.
///
/// ```
/// use seawall_http::{App, Context, Response, Result};
///
/// async fn hello(c: Context) -> Result<Response> {
///     c.text(200, format!("hello, {}", c.param::<String>("name")?))
/// }
///
/// let service = App::new().get("/hello/:name", hello).build()?;
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Default)]
pub struct App {
    root: Group,
    /// Groups that are bound to a host.
    hosts: Vec<(String, Group)>,
    pre: Vec<Step>,
    shared: SharedParts,
    starters: Vec<Starter>,
    swap: Option<Swap>,
    overload: Option<OverloadControl>,
    show_routes: Option<bool>,
    #[cfg(feature = "openapi")]
    openapi: Option<crate::openapi::OpenApi>,
    config: ServerConfig,
}

// The verbs are written out, not generated: rustc prints these lines to whoever passes something that is no handler.
impl App {
    /// An app without routes. Recovery from panics, head and idle timeouts, the body limit, the connection cap,
    /// request ids on demand and request metrics are on.
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
        Self { root: self.root.query(pattern, handler), ..self }
    }
    /// Adds a route for every method that has no route of its own.
    pub fn any<M>(self, pattern: &str, handler: impl Handler<M>) -> Self {
        Self { root: self.root.any(pattern, handler), ..self }
    }
    /// Adds a route for each of these methods.
    pub fn methods<M>(
        self,
        methods: impl IntoIterator<Item = Method>,
        pattern: &str,
        handler: impl Handler<M>,
    ) -> Self {
        Self { root: self.root.methods(methods, pattern, handler), ..self }
    }
    /// Adds a route for any one method, one of your own included.
    ///
    /// | pattern | matches |
    /// |---|---|
    /// | `/users/new` | this text; `\:`, `\*`, `\<` and `\\` stand for the characters themselves |
    /// | `/users/:id` | one segment, never empty |
    /// | `/v:version/doc`, `/:name.json` | the same, with text around it |
    /// | `/:id<int>`, `/:id<int(1..=100)>`, `/:id<uuid>`, `/:word<alpha(2..)>` | only what fits; ranges are Rust's |
    /// | `/files/*`, `/files/*path` | the rest of the path, which may be empty; its value is called `*`, and `path` |
    /// | `~/v[0-9]+/(?<name>\w+)` | a regular expression for the whole path, tried when nothing else fits |
    ///
    /// Where several match, the first of this list wins, segment by segment from the left, whatever the order of
    /// registration: text, constraint, text around a parameter, parameter, rest. `seawall routes` shows why.
    pub fn route<M>(self, method: Method, pattern: &str, handler: impl Handler<M>) -> Self {
        Self { root: self.root.route(method, pattern, handler), ..self }
    }
    /// A group written in place: `.group("/users", |users| users.get("/:id", show))`.
    pub fn group(self, prefix: &str, routes: impl FnOnce(Group) -> Group) -> Self {
        self.mount(prefix, routes(Group::new()))
    }
    /// A group written elsewhere: `.mount("/users", users::routes())`. One that is mounted at `/` shares the app's own
    /// prefix: its middleware is around its routes, and what is not found stays the app's.
    pub fn mount(self, prefix: &str, group: Group) -> Self {
        Self { root: self.root.mount(prefix, group), ..self }
    }
    /// Routes for one host, or for what is below one: `api.example.com`, `*.example.com`. A request for such a host
    /// sees these routes and no others; the app's middleware, fallback and error handler are around them. The exact
    /// host comes before a star, a longer suffix before a shorter one; case and port do not matter. What the star
    /// stands for is [`Context::subdomain`].
    pub fn host(mut self, host: &str, group: Group) -> Self {
        self.hosts.push((host.to_owned(), group));
        self
    }
    /// Middleware for every request, those without a route included; the first one is outermost.
    pub fn with<M: 'static>(self, middleware: impl Middleware<M>) -> Self {
        Self { root: self.root.with(middleware), ..self }
    }
    /// Middleware that runs before a route is looked for, and may [`Context::rewrite`] the target.
    pub fn pre<M: 'static>(mut self, middleware: impl Middleware<M>) -> Self {
        self.pre.push(middleware.into_step());
        self
    }

    /// Gives handlers a `State<T>`. The last one of a type counts.
    pub fn state<T: Any + Send + Sync>(mut self, state: T) -> Self {
        self.shared.set_state(state);
        self
    }
    /// Who makes text of templates for [`Context::render`]. The last one counts.
    pub fn renderer(mut self, renderer: impl Renderer) -> Self {
        self.shared.set_state(Templates(Box::new(renderer)));
        self
    }
    /// Runs `start` when the app is built, on the background runtime, and gives handlers what it returns as a
    /// `State<T>`. That runtime has threads of its own and lives as long as the service: the place for consumers,
    /// timers and drivers, which must never stand behind a busy worker.
    pub fn on_start<T, F, Fut>(mut self, start: F) -> Self
    where
        T: Any + Send + Sync,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        self.starters.push(Starter::new(start));
        self
    }

    /// Who answers where no route matches the path. A path that is known for other methods is still a 405.
    pub fn fallback<M>(self, handler: impl Handler<M>) -> Self {
        Self { root: self.root.fallback(handler), ..self }
    }
    /// Gives a domain error its status, in one place, before any middleware sees it. It applies to errors that came
    /// out of a `?`. The outermost cause that a translation knows counts.
    pub fn map_error<E: error::Error + 'static>(
        mut self,
        translate: impl Fn(&E) -> Error + Send + Sync + 'static,
    ) -> Self {
        self.shared.translate.push(Arc::new(move |cause| cause.downcast_ref().map(&translate)));
        self
    }
    /// The one place where failures become responses: those of router, extractors, middleware and handlers, and
    /// panics. Default: [`Error::response`].
    pub fn on_error(mut self, answer: impl Fn(&Context, Error) -> Response + Send + Sync + 'static) -> Self {
        self.shared.on_error = Some(Arc::new(answer));
        self
    }

    /// The same app, and a handle that puts another one in its place while the server runs.
    ///
    /// ```
    /// use seawall_http::App;
    ///
    /// let (app, live) = App::new().get("/", async || "first").swappable();
    /// let service = app.build()?; // or `run`
    /// live.swap(App::new().get("/", async || "second"))?;
    /// # Ok::<(), seawall_http::Error>(())
    /// ```
    pub fn swappable(mut self) -> (Self, Swap) {
        let swap = self.swap.get_or_insert_default().clone();
        (self, swap)
    }

    /// The same app, and a handle that changes its overload protection while the server runs: deadline, queue, limits,
    /// pressure. It begins with what [`App::config`] was given, which has to come before; what the handle is told before
    /// the server starts counts from its start on.
    ///
    /// ```no_run
    /// use seawall_http::App;
    ///
    /// let (app, overload) = App::new().get("/", async || "hello").overload_control()?;
    /// overload.follow_file("/etc/shop/overload.toml")?;
    /// app.run("0.0.0.0:8080")?;
    /// # Ok::<(), seawall_http::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub fn overload_control(mut self) -> Result<(Self, LiveConfig<OverloadConfig>), ConfigError> {
        let control = match self.overload.take() {
            Some(control) => control,
            None => OverloadControl::new(&self.config)?,
        };
        let live = control.live();
        self.overload = Some(control);
        Ok((self, live))
    }

    /// Where the app's metrics are registered; by default a registry of its own, see [`App::metrics`].
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.shared.registry = registry.clone();
        self
    }
    /// The registry that the app's metrics are in.
    pub fn metrics(&self) -> Registry {
        self.shared.registry.clone()
    }
    /// Who starts and counts the tasks of [`Context::spawn`]; by default one with a bound of its own, see
    /// [`App::tasks`].
    pub fn with_tasks(mut self, tasks: &Tasks) -> Self {
        self.shared.tasks = tasks.clone();
        self
    }
    /// The tasks of [`Context::spawn`], to look at them, or to start others that the drain waits for.
    pub fn tasks(&self) -> Tasks {
        self.shared.tasks.clone()
    }
    /// Limits and timeouts of the server, in place of the defaults.
    pub fn config(self, config: ServerConfig) -> Self {
        Self { config, ..self }
    }

    /// The routes so far, in the order of registration; `println!("{}", app.routes())` shows them as a table.
    pub fn routes(&self) -> Routes {
        Routes::of(self)
    }

    /// Serves a description of all routes as OpenAPI 3.1, and a page to browse it; see [`openapi`](crate::openapi).
    #[cfg(feature = "openapi")]
    pub fn openapi(self, api: crate::openapi::OpenApi) -> Self {
        Self { openapi: Some(api), ..self }
    }

    #[cfg(feature = "openapi")]
    pub(crate) fn routes_with_docs(&self) -> Vec<(RouteInfo, Option<crate::openapi::Operation>)> {
        let routes = listing::collect(self).into_iter();
        routes.map(|(route, endpoint)| (route, endpoint.doc.clone())).collect()
    }

    /// Whether [`App::run`] shows the routes on standard error before it serves, as [`App::routes`] displays them.
    /// Default: where that is a terminal.
    pub fn show_routes(self, show: bool) -> Self {
        Self { show_routes: Some(show), ..self }
    }

    /// Compiles the chains, checks all that can be checked before the first request, and runs what
    /// [`App::on_start`] was given.
    ///
    /// # Errors
    /// Everything that is wrong, in one [`BuildError`](crate::BuildError); or the first `on_start` that failed.
    pub fn build(self) -> Result<Service> {
        build::build(self).map(|built| built.service)
    }

    /// Builds the app and listens; nothing is accepted before [`Server::run`]. See [`App::run`] for what may be given.
    ///
    /// # Errors
    /// As [`App::build`], and if an address cannot be bound.
    pub fn bind(self, listeners: impl Into<Listeners>) -> Result<Server> {
        Server::bind(build::build(self)?, listeners.into())
    }
    /// Serves until SIGTERM or SIGINT: one runtime per core, then a drain. Where a person is looking, that is where
    /// standard error is a terminal, it first shows the routes there; see [`App::show_routes`].
    ///
    /// It listens on an address (`"0.0.0.0:8080"`; port 0 takes a free one), on a socket of std or tokio that listens
    /// already, or on one or more [`Listen`](crate::Listen)s, which have options: TLS, unix sockets, sockets of
    /// systemd, the PROXY protocol.
    ///
    /// # Errors
    /// As [`App::bind`], and if a worker fails.
    pub fn run(self, listeners: impl Into<Listeners>) -> Result<()> {
        let wanted = self.show_routes.unwrap_or_else(|| std::io::stderr().is_terminal());
        let table = wanted.then(|| self.routes().to_string());
        let server = self.bind(listeners)?;
        if let Some(table) = table {
            // Whoever closed standard error does not want to read it.
            let _ = write!(std::io::stderr(), "{table}{}", server.banner());
        }
        server.run()
    }
    /// Serves inside the tokio runtime that polls the future, until the future is dropped (which cuts all
    /// connections) or SIGTERM or SIGINT comes (which drains). It listens where [`App::run`] would.
    ///
    /// One accept loop, connections as tasks of that runtime. What `run` promises about order under overload needs
    /// a runtime of its own per core, so it does not hold here.
    ///
    /// # Errors
    /// As [`App::build`], and if a listener fails.
    pub async fn serve(self, listeners: impl Into<Listeners>) -> Result<()> {
        Server::adopt(build::build(self)?, listeners.into())?.serve().await
    }

    /// As [`App::serve`], but no signal is taken: the server drains when `stop` returns. For a listener beside another
    /// one, and for tests.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_until(
        self,
        listeners: impl Into<Listeners>,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        Server::adopt(build::build(self)?, listeners.into())?.serve_until(stop).await
    }

    fn provides(&self, id: TypeId) -> bool {
        self.shared.has_state(id) || self.starters.iter().any(|starter| starter.gives() == id)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("routes", &self.root)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
