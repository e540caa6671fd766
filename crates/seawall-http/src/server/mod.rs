//! The server: its listening sockets, one current-thread runtime per core, and a drain at the end.
//!
//! Read on in `listen.rs` and `bind.rs` (where), `listener.rs` (accept, hand over), `handshake.rs` (what comes before
//! HTTP), `conn.rs` (the door to the engines: `h1/` is ours, `h2.rs` hyper's), `admission/` (who may start, who waits),
//! `shutdown.rs` (who says stop), `chores.rs` (what is done beside: gauges, refusals in the log, pressure, watchdog).

mod admission;
mod bind;
mod chores;
mod config;
mod conn;
mod h1;
mod h2;
mod handshake;
mod linger;
mod listen;
mod listener;
mod overload;
mod pressure;
mod proxy_protocol;
mod runtimes;
mod shutdown;
mod stream;
#[cfg(feature = "websocket")]
mod takeover;
#[cfg(feature = "tls")]
mod tls;
mod watch;
mod watchdog;
mod worker;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

use crate::error::{Error, Result};
use crate::service::Service;

pub(crate) use admission::Entry;
use bind::Bound;
use chores::{Guards, chores};
pub use config::ServerConfig;
pub(crate) use h1::{Fault, Incoming};
use handshake::{Door, Handshakes};
pub use listen::{Listen, ListenAddr, Listeners};
use listener::{Cap, Listener};
pub(crate) use overload::OverloadControl;
use overload::Reins;
pub use overload::{OverloadConfig, OverloadLimit, OverloadPressure};
pub use proxy_protocol::{ProxyProtocol, ProxyProtocolConfig};
use runtimes::RuntimeFacts;
pub use shutdown::ShutdownHandle;
use shutdown::{OnDrain, Shutdown, Signals};
#[cfg(feature = "websocket")]
pub(crate) use stream::Stream;
#[cfg(feature = "websocket")]
pub(crate) use takeover::{Taken, Takeover, say_goodbye};
#[cfg(feature = "acme")]
pub use tls::{AcmeConfig, LETS_ENCRYPT};
#[cfg(feature = "tls")]
pub use tls::{ClientAuth, ClientCertificate, Identity, Pem, Tls, TlsConfig, TlsError, TlsInfo, TlsVersion};
use worker::{Peers, Worker};

/// More than a service has ports.
const MAX_LISTENERS: usize = 64;

/// What an app becomes, for whoever serves it.
pub(crate) struct Built {
    pub(crate) service: Service,
    pub(crate) config: ServerConfig,
    pub(crate) overload: Option<OverloadControl>,
}

/// A bound server. It accepts nothing before [`Server::run`].
#[derive(Debug)]
pub struct Server {
    service: Service,
    config: ServerConfig,
    overload: Option<OverloadControl>,
    bound: Vec<Bound>,
    shutdown: Shutdown,
    on_drain: OnDrain,
}

impl Server {
    /// Listens everywhere, for workers with runtimes of their own.
    pub(crate) fn bind(built: Built, listeners: Listeners) -> Result<Self> {
        let workers = built.config.workers();
        Self::listening(built, listeners, workers)
    }

    /// Listens everywhere, for the one worker that a given runtime is.
    pub(crate) fn adopt(built: Built, listeners: Listeners) -> Result<Self> {
        Self::listening(built, listeners, 1)
    }

    fn listening(built: Built, Listeners(listeners): Listeners, workers: usize) -> Result<Self> {
        let Built { service, config, overload } = built;
        if listeners.is_empty() || listeners.len() > MAX_LISTENERS {
            let count = listeners.len();
            let problem = format!("a server listens on 1 to {MAX_LISTENERS} sockets, not on {count}");
            return Err(Error::internal(problem));
        }
        let handshakes = Handshakes::new(config.max_handshakes, service.metrics());
        let bind = |listen: Listen| {
            let place = listen.to_string();
            let door = Door::new(&listen, &handshakes, service.metrics());
            let bound = Bound::new(listen, door, workers, config.backlog);
            bound.map_err(|problem| Error::internal(format!("cannot listen on {place}: {problem}")))
        };
        let bound = listeners.into_iter().map(bind).collect::<Result<_>>()?;
        let (shutdown, on_drain) = (Shutdown::default(), OnDrain::default());
        Ok(Self { service, config, overload, bound, shutdown, on_drain })
    }

    /// The first TCP address that it listens on; with the port, if 0 was asked for. `0.0.0.0:0` if there is none.
    pub fn local_addr(&self) -> SocketAddr {
        let tcp = |bound: &Bound| match bound.addr {
            ListenAddr::Tcp(addr) => Some(addr),
            ListenAddr::Unix(_) => None,
        };
        self.bound.iter().find_map(tcp).unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// All addresses that it listens on, in the order in which they were given.
    pub fn local_addrs(&self) -> impl Iterator<Item = &ListenAddr> {
        self.bound.iter().map(|bound| &bound.addr)
    }

    /// Where a person finds it, a line for each address.
    pub(crate) fn banner(&self) -> String {
        self.bound.iter().map(|bound| format!("listening on {}\n", bound.url())).collect()
    }

    /// A handle that stops the server from another thread.
    pub fn handle(&self) -> ShutdownHandle {
        self.shutdown.handle()
    }

    /// Calls `call` when the server is told to stop, before it stops accepting: the place to say "not ready" to whoever
    /// sends requests here. It must not block.
    #[must_use]
    pub fn on_drain(mut self, call: impl FnOnce() + Send + 'static) -> Self {
        self.on_drain.push(call);
        self
    }

    /// Serves until SIGTERM, SIGINT or [`ShutdownHandle::shutdown`]: then calls [`Server::on_drain`], goes on for
    /// [`ServerConfig::drain_delay`], takes what has been accepted, tells every connection to end after its request,
    /// and cuts those that have not after [`ServerConfig::shutdown_timeout`]. A second signal cuts at once, whatever
    /// it waits for. How many connections were cut is logged, and counted as `seawall_connections_cut_total`.
    ///
    /// # Errors
    /// If a thread or a runtime cannot be made.
    pub fn run(self) -> Result<()> {
        let workers = self.config.workers();
        let (peers, inboxes) = Peers::new(workers, self.config.in_flight_cap(), self.service.metrics());
        let cap = Cap::new(self.config.connection_cap());
        for bound in &self.bound {
            let max_connections = self.config.max_connections;
            tracing::info!(addr = %bound.addr, workers, max_connections, "listening");
        }
        let main = runtime(&self.config)?;
        // Before the first connection: whoever has been answered may count on an orderly end.
        let signals = main.block_on(async { Signals::new() });
        let mut all = Vec::with_capacity(workers);
        let (mut facts, mut dispatchers, mut runtimes) = (Vec::new(), Vec::new(), Vec::new());
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let service = self.service.replicate();
            let worker = Worker {
                number,
                home: peers.home(number, &service, &self.config, true)?,
                peers: peers.clone(),
                inbox,
                listener: self.listener(number, cap.clone())?,
                service,
                config: self.config.clone(),
                shutdown: self.shutdown.clone(),
            };
            facts.extend(worker.facts());
            dispatchers.extend(worker.home.entrance.dispatcher().cloned());
            let runtime = runtime(&self.config)?;
            runtimes.push(RuntimeFacts::new(runtime.handle(), number, self.service.metrics()));
            all.push((worker, runtime));
        }
        let Self { service, config, overload, bound, shutdown, on_drain } = self;
        let guards = Guards::new(&config, &peers, facts, runtimes)?;
        let guards = guards.watching(peers.watched(service.metrics()), config.stuck_after);
        let reins = Reins::new(dispatchers, peers.gate(), guards.pressure());
        // Before the first request.
        let _reins = overload.map(|control| control.begin(reins, service.metrics())).transpose()?;
        let mut threads = Vec::with_capacity(workers);
        for (worker, runtime) in all {
            let thread = thread::Builder::new().name(format!("seawall-w{}", worker.number));
            threads.push(thread.spawn(move || runtime.block_on(worker.run()))?);
        }
        let chores = guards.beside(chores(&bound, service.metrics()));
        drop(bound); // or the port would stay bound until the last connection ends
        let end = shutdown.follow_signals(signals, on_drain, config.drain_delay, peers.idle());
        main.block_on(beside(chores, end));
        let cut = threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
        stopped(&service, cut);
        Ok(())
    }

    /// Serves inside the runtime that polls this; see [`App::serve`](crate::App::serve).
    pub(crate) async fn serve(self) -> Result<()> {
        let chores = chores(&self.bound, self.service.metrics());
        let overload = self.overload.clone();
        let (worker, on_drain) = self.into_worker()?;
        let (guards, _reins) = worker.guards(overload.as_ref())?;
        let chores = guards.beside(chores);
        let (shutdown, idle, service) =
            (worker.shutdown.clone(), worker.peers.idle(), worker.service.clone());
        let end = shutdown.follow_signals(Signals::new(), on_drain, worker.config.drain_delay, idle);
        let (cut, ()) = beside(chores, async { tokio::join!(worker.run(), end) }).await;
        stopped(&service, cut);
        Ok(())
    }

    /// As [`Server::serve`], but `stop` alone says when to drain.
    pub(crate) async fn serve_until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let chores = chores(&self.bound, self.service.metrics());
        let overload = self.overload.clone();
        let (worker, on_drain) = self.into_worker()?;
        let (guards, _reins) = worker.guards(overload.as_ref())?;
        let chores = guards.beside(chores);
        let (shutdown, service) = (worker.shutdown.clone(), worker.service.clone());
        let end = shutdown.follow(stop, on_drain, worker.config.drain_delay);
        let (cut, ()) = beside(chores, async { tokio::join!(worker.run(), end) }).await;
        stopped(&service, cut);
        Ok(())
    }

    /// The one worker of a server that has no runtimes of its own.
    fn into_worker(self) -> Result<(Worker, OnDrain)> {
        let (peers, inboxes) = Peers::new(1, self.config.in_flight_cap(), self.service.metrics());
        let inbox = inboxes.into_iter().next().expect("one worker has one inbox");
        let listener = self.listener(0, Cap::new(self.config.connection_cap()))?;
        let Self { service, config, overload: _, bound, shutdown, on_drain } = self;
        for bound in bound {
            let addr = bound.addr;
            tracing::info!(%addr, "listening inside a given runtime: no order under overload is promised");
        }
        let in_order = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        let home = peers.home(0, &service, &config, in_order)?;
        Ok((Worker { number: 0, peers, home, inbox, listener, service, config, shutdown }, on_drain))
    }

    /// What one worker accepts from.
    fn listener(&self, worker: usize, cap: Cap) -> Result<Listener> {
        let shares = self.bound.iter().map(|bound| bound.share(worker)).collect::<std::io::Result<_>>()?;
        Ok(Listener::new(shares, cap, self.service.metrics()))
    }
}

/// Drives `chores` as long as `work` lasts.
async fn beside<T>(chores: impl Future<Output = Infallible>, work: impl Future<Output = T>) -> T {
    tokio::select! {
        never = chores => match never {},
        done = work => done,
    }
}

fn stopped(service: &Service, cut: usize) {
    let counter = service.metrics().counter(
        "seawall_connections_cut_total",
        "Connections that a shutdown cut, because they had not ended in time.",
        &[],
    );
    counter.add(cut as u64);
    tracing::info!(connections_cut = cut, "stopped");
}

fn runtime(config: &ServerConfig) -> Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(config.max_blocking_threads);
    builder.thread_keep_alive(Duration::from_secs(10));
    Ok(builder.build()?)
}
