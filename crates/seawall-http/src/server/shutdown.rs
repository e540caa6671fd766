//! Who says stop, and who hears it: running, then draining, then cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, future};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the end is along. Ordered: it only moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Running,
    /// Nothing new; what is under way may end.
    Draining,
    /// What is still under way is dropped.
    Cut,
}

/// Both ends of the news.
#[derive(Debug, Clone)]
pub(super) struct Shutdown(Arc<News>);

#[derive(Debug)]
struct News {
    phase: watch::Sender<Phase>,
    /// What every request asks: cheaper than the channel.
    draining: AtomicBool,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(News { phase: watch::Sender::new(Phase::Running), draining: AtomicBool::new(false) }))
    }
}

/// Stops a server from another thread. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct ShutdownHandle(Shutdown);

impl ShutdownHandle {
    /// Tells the server to stop: connections end after the request they are on. Returns at once;
    /// [`Server::run`](crate::Server::run) returns when all have.
    pub fn shutdown(&self) {
        self.0.advance(Phase::Draining);
    }
}

impl Shutdown {
    pub(super) fn handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.clone())
    }

    pub(super) fn advance(&self, phase: Phase) {
        if phase >= Phase::Draining {
            self.0.draining.store(true, Ordering::Release);
        }
        self.0.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Whether the drain has begun.
    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Returns when the server drains.
    pub(super) fn drain(&self) -> impl Future<Output = ()> + Send + use<> {
        let shutdown = self.clone();
        async move { shutdown.reached(Phase::Draining).await }
    }

    /// Returns once `phase` is reached.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub(super) async fn reached(&self, phase: Phase) {
        let mut news = self.0.phase.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        let _ = news.wait_for(|now| *now >= phase).await;
    }

    /// The first signal drains, the second cuts; returns when `idle` does, which is when all connections have ended.
    pub(super) async fn follow_signals(&self, on_drain: OnDrain, idle: impl Future<Output = ()>) {
        let mut signals = Signals::new();
        self.follow(signals.next(), on_drain).await;
        tokio::select! {
            () = signals.next() => {
                tracing::warn!("told to stop again; cutting what is left");
                self.advance(Phase::Cut);
            }
            () = idle => {}
        }
    }

    /// Drains when `stop` returns, or when somebody with a handle says so.
    pub(super) async fn follow(&self, stop: impl Future<Output = ()>, on_drain: OnDrain) {
        tokio::select! {
            () = stop => {}
            () = self.reached(Phase::Draining) => {}
        }
        tracing::info!("told to stop; draining");
        on_drain.run();
        self.advance(Phase::Draining);
    }
}

/// What is called when the drain begins.
#[derive(Default)]
pub(super) struct OnDrain(Vec<Box<dyn FnOnce() + Send>>);

impl OnDrain {
    pub(super) fn push(&mut self, call: impl FnOnce() + Send + 'static) {
        self.0.push(Box::new(call));
    }
    fn run(self) {
        self.0.into_iter().for_each(|call| call());
    }
}

impl fmt::Debug for OnDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnDrain({})", self.0.len())
    }
}

/// SIGTERM and SIGINT; where the process may not have handlers, neither ever comes.
struct Signals(Option<(Signal, Signal)>);

impl Signals {
    fn new() -> Self {
        let pair =
            signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
        Self(pair.inspect_err(|error| tracing::warn!(%error, "signals cannot be received")).ok())
    }

    async fn next(&mut self) {
        let Some((term, int)) = &mut self.0 else { return future::pending().await };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}
