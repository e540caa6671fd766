//! One worker: a runtime, an inbox of accepted sockets, and the connections it serves.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use seawall_core::metrics::{Gauge, Registry};
use seawall_guard::Gate;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::ServerConfig;
use super::admission::{Dispatcher, Entrance, Facts, Refusals};
use super::chores::Guards;
use super::config::jittered;
use super::conn::serve;
use super::h1::Home;
use super::listener::{Accepted, HandedOver, Listener, MOST_AT_ONCE};
use super::overload::{OverloadControl, Reins};
use super::pressure::UnderPressure;
use super::runtimes::RuntimeFacts;
use super::shutdown::{Phase, Shutdown};
use super::watchdog::{Pulse, Watched};
use crate::clock;
use crate::error::Result;
use crate::service::Service;

/// Sockets that may wait for a busy worker to take them; more stay with whoever accepted them.
const INBOX: usize = 1024;

/// What the workers know of each other.
#[derive(Clone)]
pub(super) struct Peers(Arc<Shared>);

struct Shared {
    peers: Vec<Peer>,
    /// What is queued or in flight in the whole process.
    gate: Gate,
    pressure: Arc<UnderPressure>,
    refusals: Refusals,
    start: Instant,
    /// Workers that have not ended, and the news that the last one has.
    running: AtomicUsize,
    ended: Notify,
}

struct Peer {
    inbox: mpsc::Sender<HandedOver>,
    connections: Gauge,
    in_flight: Gauge,
    pulse: Arc<Pulse>,
}

impl Peers {
    pub(super) fn new(
        workers: usize,
        max_in_flight: NonZeroU32,
        registry: &Registry,
    ) -> (Self, Vec<mpsc::Receiver<HandedOver>>) {
        let (peers, inboxes) = (0..workers).map(|number| peer(number, registry)).unzip();
        (
            Self(Arc::new(Shared {
                peers,
                gate: Gate::new(max_in_flight),
                pressure: Arc::default(),
                refusals: Refusals::new(registry),
                start: clock::now(),
                running: AtomicUsize::new(workers),
                ended: Notify::new(),
            })),
            inboxes,
        )
    }

    /// What the connections of a worker have in common. Its tasks run one after the other if `in_order`.
    ///
    /// # Errors
    /// If the admission is configured with a value outside of its range.
    pub(super) fn home(
        &self,
        number: usize,
        service: &Service,
        config: &ServerConfig,
        in_order: bool,
    ) -> Result<Arc<Home>> {
        let Shared { peers, gate, pressure, refusals, start, .. } = &*self.0;
        let dispatcher = |config| Dispatcher::new(config, gate.clone(), in_order, *start, service.metrics());
        let dispatcher = config.admission.as_ref().map(dispatcher).transpose()?;
        let entrance = Entrance::new(dispatcher, gate.clone(), Arc::clone(pressure), refusals.clone());
        Ok(Arc::new(Home::new(service.clone(), peers[number].in_flight.clone(), entrance, config)))
    }

    pub(super) fn pressure(&self) -> &Arc<UnderPressure> {
        &self.0.pressure
    }

    /// The workers, for the watchdog.
    pub(super) fn watched(&self, registry: &Registry) -> Vec<Watched> {
        let all = self.0.peers.iter().enumerate();
        all.map(|(number, peer)| Watched::new(number, &peer.pulse, &peer.in_flight, registry)).collect()
    }

    /// The cap on what is queued or in flight in the process.
    pub(super) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(super) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// The worker with the fewest connections and requests in flight; `own` among equals, because handing over costs
    /// a wake-up.
    fn least_busy(&self, own: usize) -> usize {
        let load = |peer: &Peer| peer.connections.value() + peer.in_flight.value();
        let all = self.0.peers.iter().enumerate();
        all.min_by_key(|(number, peer)| (load(peer), *number != own)).map_or(own, |(number, _)| number)
    }

    /// Returns when the last worker has ended.
    pub(super) fn idle(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.0);
        async move {
            let mut ended = std::pin::pin!(shared.ended.notified());
            // Enrolled before the count is read, so that an end in between is not missed.
            ended.as_mut().enable();
            if shared.running.load(Ordering::Acquire) > 0 {
                ended.await;
            }
        }
    }
}

fn peer(number: usize, registry: &Registry) -> (Peer, mpsc::Receiver<HandedOver>) {
    let (inbox, receiver) = mpsc::channel(INBOX);
    let worker = number.to_string();
    let labels = [("worker", worker.as_str())];
    let connections = registry.gauge("seawall_connections", "Open connections.", &labels);
    let in_flight = registry.gauge("http_server_active_requests", "Requests being answered.", &labels);
    (Peer { inbox, connections, in_flight, pulse: Arc::new(Pulse::new()) }, receiver)
}

pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) peers: Peers,
    pub(super) inbox: mpsc::Receiver<HandedOver>,
    pub(super) listener: Listener,
    pub(super) service: Service,
    pub(super) home: Arc<Home>,
    pub(super) config: ServerConfig,
    pub(super) shutdown: Shutdown,
}

/// Tells the others that this worker has ended, however it did.
struct Running(Peers);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.ended.notify_waiters();
        }
    }
}

impl Worker {
    /// What its admission tells of itself, if it has one.
    pub(super) fn facts(&self) -> Option<Facts> {
        let dispatcher = self.home.entrance.dispatcher()?;
        Some(Facts::new(dispatcher, self.number, self.service.metrics()))
    }

    /// What a server with this one worker does beside requests. Inside of the runtime that is the worker.
    pub(super) fn guards(&self, overload: Option<&OverloadControl>) -> Result<(Guards, Option<Arc<Reins>>)> {
        let runtime = RuntimeFacts::new(&Handle::current(), self.number, self.service.metrics());
        let facts = self.facts().into_iter().collect();
        let guards = Guards::new(&self.config, &self.peers, facts, vec![runtime])?;
        let dispatchers = self.home.entrance.dispatcher().cloned();
        let reins = Reins::new(dispatchers.into_iter().collect(), self.peers.gate(), guards.pressure());
        let reins = overload.map(|control| control.begin(reins, self.service.metrics())).transpose()?;
        Ok((guards, reins))
    }

    /// Serves until told to stop; then drains. The number of connections that had to be cut.
    pub(super) async fn run(mut self) -> usize {
        let _running = Running(self.peers.clone());
        // It ends with this future: what still waits then is cut anyway.
        let mut beside = JoinSet::new();
        if let Some(dispatcher) = self.home.entrance.dispatcher() {
            beside.spawn(Arc::clone(dispatcher).run());
        }
        if self.config.stuck_after.is_some() {
            let pulse = Arc::clone(&self.peers.0.peers[self.number].pulse);
            beside.spawn(async move { match pulse.answer().await {} });
        }
        let mut open = JoinSet::new();
        let shutdown = self.shutdown.clone();
        let stop = shutdown.reached(Phase::Draining);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = open.join_next(), if !open.is_empty() => {}
                Some(socket) = self.inbox.recv() => self.take(&mut open, socket),
                accepted = self.listener.accept() => self.place(&mut open, accepted),
            }
        }
        self.drain(open).await
    }

    /// Hands a socket to the least busy worker, before its first read.
    fn place(&self, open: &mut JoinSet<()>, accepted: Accepted) {
        let number = if accepted.stays { self.number } else { self.peers.least_busy(self.number) };
        // Counted before it is taken over: a burst would otherwise all go to the same worker.
        let accepted = accepted.counted(&self.peers.0.peers[number].connections);
        if number == self.number {
            return self.start(open, accepted);
        }
        let handed = match accepted.hand_over() {
            Ok(handed) => handed,
            Err(error) => return tracing::warn!(%error, "a socket could not be handed over"),
        };
        if let Err(refused) = self.peers.0.peers[number].inbox.try_send(handed) {
            self.take(open, refused.into_inner()); // its inbox is full or closed: better here than nowhere
        }
    }

    fn take(&self, open: &mut JoinSet<()>, handed: HandedOver) {
        match handed.take() {
            Ok(accepted) => self.start(open, accepted.counted(&self.peers.0.peers[self.number].connections)),
            Err(error) => tracing::warn!(%error, "a socket could not be taken over"),
        }
    }

    fn start(&self, open: &mut JoinSet<()>, accepted: Accepted) {
        let shutdown = self.shutdown.retiring(self.retires_at());
        open.spawn(serve(accepted, Arc::clone(&self.home), shutdown));
    }

    /// When a connection that begins now is old enough to end.
    fn retires_at(&self) -> Option<Instant> {
        let age = self.config.max_connection_age?;
        let mut random = [0; 2];
        // Without randomness all connections get just the age that was asked for.
        let random = getrandom::fill(&mut random).map_or(u16::MAX / 2, |()| u16::from_ne_bytes(random));
        Some(clock::now() + jittered(age, random))
    }

    /// Takes what the kernel and the other workers have for us, closes the door, and waits for the rest.
    async fn drain(mut self, mut open: JoinSet<()>) -> usize {
        for _ in 0..MOST_AT_ONCE {
            let Some(accepted) = self.listener.accept_ready() else { break };
            self.start(&mut open, accepted.counted(&self.peers.0.peers[self.number].connections));
        }
        self.inbox.close();
        while let Some(socket) = self.inbox.recv().await {
            self.take(&mut open, socket);
        }
        let Self { listener, config, shutdown, service, .. } = self;
        drop(listener);
        let late = async {
            tokio::select! {
                () = tokio::time::sleep(config.shutdown_timeout) => {}
                () = shutdown.reached(Phase::Cut) => {}
            }
        };
        let ended = async {
            all_ended(&mut open).await;
            // What the requests left to be done is theirs too.
            service.tasks().drained().await;
        };
        tokio::select! {
            () = ended => {}
            () = late => {
                tracing::warn!(tasks = service.tasks().live(), "told to stop, and out of time; the rest is cut");
                service.tasks().abort_all();
            }
        }
        let cut = open.len();
        open.shutdown().await;
        cut
    }
}

async fn all_ended(open: &mut JoinSet<()>) {
    while open.join_next().await.is_some() {}
}
