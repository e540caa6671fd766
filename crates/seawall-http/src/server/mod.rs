//! The server: one listening socket, one current-thread runtime per core, and a drain at the end.
//!
//! Read on in `listener.rs` (accept, hand over), `conn.rs` (the door to the engines: `h1/` is ours, `h2.rs` hyper's),
//! `shutdown.rs` (who says stop).

mod config;
mod conn;
mod h1;
mod h2;
mod linger;
mod listener;
mod shutdown;
mod stream;
#[cfg(feature = "websocket")]
mod takeover;
mod watch;
mod worker;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};
use crate::service::Service;

pub use config::ServerConfig;
pub(crate) use h1::{Fault, Incoming};
use listener::Listener;
pub use shutdown::ShutdownHandle;
use shutdown::{OnDrain, Shutdown};
#[cfg(feature = "websocket")]
pub(crate) use stream::Stream;
#[cfg(feature = "websocket")]
pub(crate) use takeover::{Taken, Takeover, say_goodbye};
use worker::{Peers, Worker};

/// A bound server. It accepts nothing before [`Server::run`].
#[derive(Debug)]
pub struct Server {
    service: Service,
    config: ServerConfig,
    listener: TcpListener,
    addr: SocketAddr,
    shutdown: Shutdown,
    on_drain: OnDrain,
}

impl Server {
    pub(crate) fn bind(service: Service, config: ServerConfig, addr: &str) -> Result<Self> {
        let failed = |problem: std::io::Error| Error::internal(format!("cannot listen on {addr}: {problem}"));
        let mut found = addr.to_socket_addrs().map_err(failed)?;
        let first =
            found.next().ok_or_else(|| Error::internal(format!("cannot listen on {addr}: no address")))?;
        Self::adopt(service, config.clone(), listen(first, config.backlog).map_err(failed)?)
    }

    pub(crate) fn adopt(service: Service, config: ServerConfig, listener: TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok(Self {
            service,
            config,
            listener,
            addr,
            shutdown: Shutdown::default(),
            on_drain: OnDrain::default(),
        })
    }

    /// The address that was bound; with the port, if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// A handle that stops the server from another thread.
    pub fn handle(&self) -> ShutdownHandle {
        self.shutdown.handle()
    }

    /// Calls `call` when the drain begins, before connections are refused: the place to say "not ready" to whoever
    /// sends requests here. It must not block.
    #[must_use]
    pub fn on_drain(mut self, call: impl FnOnce() + Send + 'static) -> Self {
        self.on_drain.push(call);
        self
    }

    /// Serves until SIGTERM, SIGINT or [`ShutdownHandle::shutdown`]: then takes what has been accepted, tells every
    /// connection to end after its request, and cuts those that have not after
    /// [`ServerConfig::shutdown_timeout`]. A second signal cuts them at once.
    ///
    /// # Errors
    /// If a thread or a runtime cannot be made.
    pub fn run(self) -> Result<()> {
        let workers = self.config.workers();
        let (peers, inboxes) = Peers::new(workers, self.service.metrics());
        let listener = Listener::new(self.listener, &self.config, self.service.metrics())?;
        tracing::info!(addr = %self.addr, workers, max_connections = self.config.max_connections, "listening");
        let mut threads = Vec::with_capacity(workers);
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let service = self.service.replicate();
            let worker = Worker {
                number,
                home: peers.home(number, &service, &self.shutdown, &self.config),
                peers: peers.clone(),
                inbox,
                listener: listener.try_clone()?,
                service,
                config: self.config.clone(),
                shutdown: self.shutdown.clone(),
            };
            let runtime = runtime(&self.config)?;
            let thread = thread::Builder::new().name(format!("seawall-w{number}"));
            threads.push(thread.spawn(move || runtime.block_on(worker.run()))?);
        }
        drop(listener); // or the port would stay bound until the last connection ends
        runtime(&self.config)?.block_on(self.shutdown.follow_signals(self.on_drain, peers.idle()));
        let cut: usize = threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
        tracing::info!(addr = %self.addr, connections_cut = cut, "stopped");
        Ok(())
    }

    /// Serves inside the runtime that polls this; see [`App::serve`](crate::App::serve).
    pub(crate) async fn serve(self) -> Result<()> {
        let (worker, on_drain) = self.into_worker()?;
        let (shutdown, idle) = (worker.shutdown.clone(), worker.peers.idle());
        let (cut, ()) = tokio::join!(worker.run(), shutdown.follow_signals(on_drain, idle));
        tracing::info!(connections_cut = cut, "stopped");
        Ok(())
    }

    /// As [`Server::serve`], but `stop` alone says when to drain.
    pub(crate) async fn serve_until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let (worker, on_drain) = self.into_worker()?;
        let shutdown = worker.shutdown.clone();
        let (cut, ()) = tokio::join!(worker.run(), shutdown.follow(stop, on_drain));
        tracing::info!(connections_cut = cut, "stopped");
        Ok(())
    }

    /// The one worker of a server that has no runtimes of its own.
    fn into_worker(self) -> Result<(Worker, OnDrain)> {
        let Self { service, config, listener, addr, shutdown, on_drain } = self;
        let (peers, inboxes) = Peers::new(1, service.metrics());
        let inbox = inboxes.into_iter().next().expect("one worker has one inbox");
        let listener = Listener::new(listener, &config, service.metrics())?;
        tracing::info!(%addr, "listening inside a given runtime: no order under overload is promised");
        let home = peers.home(0, &service, &shutdown, &config);
        Ok((Worker { number: 0, peers, home, inbox, listener, service, config, shutdown }, on_drain))
    }
}

fn runtime(config: &ServerConfig) -> Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(config.max_blocking_threads);
    builder.thread_keep_alive(Duration::from_secs(10));
    Ok(builder.build()?)
}

fn listen(addr: SocketAddr, backlog: u16) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart can bind while connections of the last run are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::from(backlog))?;
    Ok(socket.into())
}
