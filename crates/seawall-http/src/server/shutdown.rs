//! Who says stop, and who hears it: running, then draining, then cut.

use std::future;
use std::sync::Arc;

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
pub(super) struct Shutdown(Arc<watch::Sender<Phase>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Running)))
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
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Returns once `phase` is reached.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub(super) async fn reached(&self, phase: Phase) {
        let mut news = self.0.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        let _ = news.wait_for(|now| *now >= phase).await;
    }

    /// The first signal drains, the second cuts; returns when `idle` does, which is when all connections have ended.
    pub(super) async fn follow_signals(&self, idle: impl Future<Output = ()>) {
        let mut signals = Signals::new();
        tokio::select! {
            () = signals.next() => tracing::info!("told to stop; draining"),
            () = self.reached(Phase::Draining) => {}
        }
        self.advance(Phase::Draining);
        tokio::select! {
            () = signals.next() => {
                tracing::warn!("told to stop again; cutting what is left");
                self.advance(Phase::Cut);
            }
            () = idle => {}
        }
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
