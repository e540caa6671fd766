//! The admin listener: metrics, signals and health over HTTP, on a thread and a runtime of its own.
//!
//! It shares nothing with the workers but the registry's atomics, so it answers while every worker is busy; the
//! kernel then has one more thread to share the cores among. It listens on loopback, since what it shows is nobody
//! else's business: another address has to be allowed explicitly. It has no authentication; its profiler can have a
//! token, which `/config` then asks for too.
//!
//! It goes on through a drain (`/health/ready` says so) and ends when [`Admin`] is stopped or dropped.

use std::future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use seawall_core::ConfigError;
use seawall_core::metrics::Registry;
use seawall_http::{AnyLiveConfig, App, Context, Error, Response, Result, ServerConfig, State};
use seawall_tasks::Tasks;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::live::{self, Configs};
use crate::{Health, NotReady, ProcessUsage, Signals, clock, exposition};
#[cfg(feature = "pprof")]
use crate::{Pprof, PprofConfig};

/// Where the admin listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Address and port; port 0 takes a free one. Default 127.0.0.1:6060.
    pub addr: SocketAddr,
    /// Whether `addr` may be reachable from other machines. Default no.
    pub allow_remote: bool,
    /// Profiles under `/debug/pprof`, and `/debug/seawall/threads`. Default none: they slow the service down a little
    /// while they are taken, and show its insides.
    #[cfg(feature = "pprof")]
    pub pprof: Option<PprofConfig>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            addr: (Ipv4Addr::LOCALHOST, 6060).into(),
            allow_remote: false,
            #[cfg(feature = "pprof")]
            pprof: None,
        }
    }
}

/// Why the admin listener could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is not on loopback, and that was not allowed; or the profiler's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address could not be bound.
    #[error("the admin listener cannot listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its thread or its runtime could not be made.
    #[error("the admin listener cannot start")]
    Thread(#[source] io::Error),
}

/// The running admin listener. Dropping it stops it.
#[derive(Debug)]
pub struct Admin {
    local_addr: SocketAddr,
    registry: Registry,
    health: Health,
    tasks: Arc<OnceLock<Tasks>>,
    configs: Configs,
    #[cfg(feature = "pprof")]
    pprof: Option<Pprof>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One profile over a time, one delta, and short requests beside them.
const BLOCKING_THREADS: usize = 8;

/// What its handlers look at.
#[derive(Debug, Clone)]
pub(crate) struct View {
    registry: Registry,
    health: Health,
    tasks: Arc<OnceLock<Tasks>>,
    pub(crate) configs: Configs,
    #[cfg(feature = "pprof")]
    pprof: Option<Pprof>,
    started: Instant,
}

impl View {
    /// # Errors
    /// If there is a token, and the request does not carry it.
    #[cfg(feature = "pprof")]
    pub(crate) fn may_look(&self, c: &Context) -> Result<()> {
        match self.pprof.as_ref().and_then(Pprof::token) {
            Some(token) if !token.is_in(c.headers()) => {
                let how = http::HeaderValue::from_static("Basic realm=\"admin\"");
                Err(Error::unauthorized("this needs the token").header(http::header::WWW_AUTHENTICATE, how))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// Never: without the profiler there is no token.
    #[cfg(not(feature = "pprof"))]
    pub(crate) fn may_look(&self, _: &Context) -> Result<()> {
        Ok(())
    }

    /// # Errors
    /// As [`may_look`](Self::may_look), and if there is no token and the client is on another machine.
    pub(crate) fn may_change(&self, c: &Context) -> Result<()> {
        self.may_look(c)?;
        live::is_near_or_known(self.has_token(), c.peer())
    }

    #[cfg(feature = "pprof")]
    fn has_token(&self) -> bool {
        self.pprof.as_ref().and_then(Pprof::token).is_some()
    }

    #[cfg(not(feature = "pprof"))]
    fn has_token(&self) -> bool {
        false
    }
}

impl Admin {
    /// Binds, starts the thread, and returns: from then on it answers. Workers that the server's watchdog finds stuck have
    /// their stacks in the log from now on, with the feature `pprof`.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn start(config: &AdminConfig, registry: &Registry) -> Result<Self, AdminError> {
        let AdminConfig {
            addr,
            allow_remote,
            #[cfg(feature = "pprof")]
            pprof,
        } = config;
        let (addr, allow_remote) = (*addr, *allow_remote);
        if !addr.ip().is_loopback() && !allow_remote {
            let allowed = "a loopback address such as 127.0.0.1:6060, unless `admin.allow_remote` is true";
            return Err(ConfigError::new("admin.addr", addr, allowed).into());
        }
        #[cfg(feature = "pprof")]
        let pprof = pprof.as_ref().map(Pprof::new).transpose()?;
        let bind = || {
            let listener = TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (local_addr, listener) = bind().map_err(|source| AdminError::Bind { addr, source })?;
        let runtime =
            Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
        let runtime = runtime.map_err(AdminError::Thread)?;
        #[cfg(feature = "pprof")]
        crate::provide_stacks();
        #[cfg(feature = "pprof")]
        if let Some(pprof) = &pprof {
            profiling::fill(pprof, registry, runtime.handle());
        }
        let health = Health::new();
        let configs = Configs::default();
        let tasks = Arc::<OnceLock<Tasks>>::default();
        let view = View {
            registry: registry.clone(),
            health: health.clone(),
            tasks: Arc::clone(&tasks),
            configs: configs.clone(),
            #[cfg(feature = "pprof")]
            pprof: pprof.clone(),
            started: clock::now(),
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("seawall-admin".to_owned());
        let thread = thread.spawn(move || run(&runtime, listener, view, stopped));
        let thread = Some(thread.map_err(AdminError::Thread)?);
        tracing::info!(addr = %local_addr, "the admin listener is listening");
        Ok(Self {
            local_addr,
            registry: registry.clone(),
            health,
            tasks,
            configs,
            #[cfg(feature = "pprof")]
            pprof,
            stop: Some(stop),
            thread,
        })
    }

    /// The address that was bound; with the port, if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The health that `/health/ready` shows: add checks to it, and tell it when shutdown begins.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Shows these tasks under `/debug/seawall/tasks`: who started how many, and which do not let go. Those of an app are
    /// [`App::tasks`]. The first ones given count.
    pub fn show_tasks(&self, tasks: &Tasks) {
        let _ = self.tasks.set(tasks.clone());
        #[cfg(feature = "pprof")]
        if let Some(pprof) = &self.pprof {
            pprof.show_tasks(tasks);
        }
    }

    /// Shows a configuration under `/config`, where it can be changed, and counts its changes. The last one of a name
    /// counts. See the guide's chapter "Changing limits while the service runs".
    ///
    /// ```no_run
    /// # use seawall_http::App;
    /// # use seawall_observe::{Admin, AdminConfig};
    /// let (app, overload) = App::new().get("/", async || "hello").overload_control()?;
    /// let admin = Admin::start(&AdminConfig::default(), &app.metrics())?;
    /// admin.show_config(&overload); // PUT /config/overload
    /// app.run("0.0.0.0:8080")?;
    /// # Ok::<(), seawall_http::Error>(())
    /// ```
    pub fn show_config(&self, config: impl Into<AnyLiveConfig>) {
        let config = config.into();
        config.count_in(&self.registry);
        self.configs.show(config);
    }

    /// Shows a runtime of the program's on `/debug/seawall/runtime`, under `name`; without a profiler it does nothing.
    #[cfg(feature = "pprof")]
    pub fn show_runtime(&self, name: &'static str, handle: &tokio::runtime::Handle) {
        if let Some(pprof) = &self.pprof {
            pprof.show(crate::Section::Runtime, name, crate::tokio_runtime(handle));
        }
    }

    /// The profiler, if [`AdminConfig::pprof`] asked for it: to add to its pages.
    #[cfg(feature = "pprof")]
    pub fn pprof(&self) -> Option<&Pprof> {
        self.pprof.as_ref()
    }

    /// Stops at once, answers under way included, and waits for the thread. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Admin {
    fn drop(&mut self) {
        // A profile under way would hold the runtime up until its end.
        #[cfg(feature = "pprof")]
        if let Some(pprof) = &self.pprof {
            pprof.stop();
        }
        // Its receiver is gone only if the thread has ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin listener had panicked");
        }
    }
}

/// Takes no signal: an operator wants to see how the drain of the service goes, so SIGTERM must not end this.
fn run(runtime: &Runtime, listener: TcpListener, view: View, stopped: oneshot::Receiver<()>) {
    let serve = async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        app(view).serve_until(listener, future::pending()).await
    };
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            Err(error) = serve => tracing::error!(?error, "the admin listener failed"),
        }
    });
}

/// Its own metrics go to a registry that nobody reads, so that looking does not change what is seen.
fn app(view: View) -> App {
    let config = ServerConfig {
        workers: Some(1),
        max_connections: 64,
        idle_timeout: Duration::from_secs(10),
        // Nobody has to send anything but a list of addresses.
        body_limit: 64 << 10,
        shutdown_timeout: Duration::from_secs(1),
        ..ServerConfig::default()
    };
    let app = App::new()
        .config(config)
        .state(view)
        .get("/", index)
        .get("/metrics", metrics)
        .get("/debug/seawall/signals", signals)
        .get("/debug/seawall/tasks", tasks)
        .get("/health/live", alive)
        .get("/health/ready", ready);
    let app = live::mount(app);
    #[cfg(feature = "pprof")]
    let app = profiling::mount(app);
    app
}

/// The profiler's pages. Without a configuration they are there and say why there is nothing.
#[cfg(feature = "pprof")]
mod profiling {
    use seawall_core::metrics::Registry;
    use seawall_http::{App, Context, Error, Response, Result, State};
    use tokio::runtime::Handle;

    use super::View;
    use crate::{Pprof, Section, sections, tokio_runtime};

    /// What is known without anybody's help: of the registry, and of the listener's own runtime. The program adds what it
    /// has with [`Pprof::show`].
    pub(super) fn fill(pprof: &Pprof, registry: &Registry, own: &Handle) {
        let of = |source: fn(&[seawall_core::metrics::Family]) -> serde_json::Value| {
            let registry = registry.clone();
            move || source(&registry.snapshot())
        };
        pprof.show(Section::Pools, "metrics", of(sections::pools));
        pprof.show(Section::Limits, "metrics", of(sections::limits));
        pprof.show(Section::Runtime, "workers", of(sections::workers));
        pprof.show(Section::Runtime, "admin", tokio_runtime(own));
    }

    const OFF: &str = "profiling is off: set AdminConfig::pprof\n";

    pub(super) fn mount(app: App) -> App {
        let pages = ["/debug/pprof", "/debug/pprof/*"];
        let sections = ["threads", "pools", "limits", "runtime"].map(|name| format!("/debug/seawall/{name}"));
        let pages = pages.map(str::to_owned).into_iter().chain(sections);
        pages.fold(app, |app, page| app.get(&page, handle)).post("/debug/pprof/symbol", handle)
    }

    async fn handle(c: Context, view: State<View>) -> Result<Response> {
        let Some(pprof) = view.pprof.clone() else { return c.text(501, OFF) };
        let mut request = http::Request::new(c.body().await?);
        *request.method_mut() = c.method().clone();
        *request.uri_mut() = c.uri().clone();
        *request.headers_mut() = c.headers().clone();
        let answer = tokio::task::spawn_blocking(move || pprof.handle(&request)).await;
        let (head, body) = answer.map_err(|error| Error::internal(error.to_string()))?.into_parts();
        let mut response = c.bytes(head.status.as_u16(), "", body)?;
        *response.headers_mut() = head.headers;
        Ok(response)
    }
}

const INDEX: &str = "<!doctype html><meta charset=utf-8><title>Seawall admin</title>
<h1>Seawall admin</h1>
<ul>
<li><a href=\"/metrics\">/metrics</a> Prometheus text
<li><a href=\"/debug/seawall/signals\">/debug/seawall/signals</a> CPU, memory, context switches, queues, pools (JSON)
<li><a href=\"/debug/seawall/tasks\">/debug/seawall/tasks</a> tasks by where they were started, and those that do not let go (JSON)
<li><a href=\"/debug/pprof/\">/debug/pprof/</a> profiles for <code>go tool pprof</code>, flame graphs, threads
<li><a href=\"/config\">/config</a> what may be changed while the service runs (JSON)
<li><a href=\"/health/live\">/health/live</a> the process is alive
<li><a href=\"/health/ready\">/health/ready</a> it should get requests
</ul>
";

async fn index(c: Context) -> Result<Response> {
    c.html(200, INDEX)
}

async fn metrics(c: Context, view: State<View>) -> Result<Response> {
    let mut text = exposition::text(&view.registry.snapshot());
    text.push_str(&exposition::process_text(&ProcessUsage::read()));
    c.bytes(200, exposition::CONTENT_TYPE, text)
}

async fn signals(c: Context, view: State<View>) -> Result<Response> {
    let uptime = clock::now().saturating_duration_since(view.started);
    c.json(200, &Signals::of(ProcessUsage::read(), &view.registry.snapshot(), uptime))
}

async fn tasks(c: Context, view: State<View>) -> Result<Response> {
    let tasks = view.tasks.get().ok_or_else(|| Error::not_found("this service shows no tasks"))?;
    c.json_pretty(200, &tasks.snapshot())
}

async fn alive(c: Context) -> Result<Response> {
    c.text(200, "alive\n")
}

async fn ready(c: Context, view: State<View>) -> Result<Response> {
    match view.health.ready() {
        Ok(()) => c.text(200, "ready\n"),
        Err(NotReady { reasons }) => {
            let error = Error::unavailable("not ready");
            Err(reasons.into_iter().fold(error, |error, (name, reason)| error.field(name, reason)))
        }
    }
}
