//! Who says stop, and who hears it: running, then leaving, then draining, then cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, future};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until};

/// How far the end is along. Ordered: it only moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Running,
    /// Whoever sends us requests is told to stop; until it has heard, all is as before.
    Leaving,
    /// Nothing new; what is under way may end.
    Draining,
    /// What is still under way is dropped.
    Cut,
}

/// Both ends of the news. A connection's own view also has the time at which it is old enough to end, which to it is
/// the same as a drain.
#[derive(Debug, Clone)]
pub(super) struct Shutdown {
    news: Arc<News>,
    retires_at: Option<Instant>,
}

#[derive(Debug)]
struct News {
    phase: watch::Sender<Phase>,
    /// What every request asks: cheaper than the channel.
    draining: AtomicBool,
    /// Who waits for the drain alone, and hears of it once.
    drain: Arc<Notify>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let news = News {
            phase: watch::Sender::new(Phase::Running),
            draining: AtomicBool::new(false),
            drain: Arc::default(),
        };
        Self { news: Arc::new(news), retires_at: None }
    }
}

/// Stops a server from another thread. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct ShutdownHandle(Shutdown);

impl ShutdownHandle {
    /// Tells the server to stop, as a first signal does: after [`ServerConfig::drain_delay`] connections end after the
    /// request they are on. Returns at once; [`Server::run`](crate::Server::run) returns when all have.
    ///
    /// [`ServerConfig::drain_delay`]: crate::ServerConfig::drain_delay
    pub fn shutdown(&self) {
        self.0.advance(Phase::Leaving);
    }

    /// Cuts whatever is under way, as a second signal does. Returns at once.
    pub fn cut(&self) {
        self.0.advance(Phase::Cut);
    }
}

impl Shutdown {
    pub(super) fn handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.clone())
    }

    /// The view of a connection that ends when it is old, if `retires_at` says so.
    pub(super) fn retiring(&self, retires_at: Option<Instant>) -> Self {
        Self { news: Arc::clone(&self.news), retires_at }
    }

    pub(super) fn advance(&self, phase: Phase) {
        if phase >= Phase::Draining {
            self.news.draining.store(true, Ordering::Release);
        }
        self.news.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
        if phase >= Phase::Draining {
            self.news.drain.notify_waiters();
        }
    }

    /// Whether the drain has begun; for a connection that is old enough to end, it has.
    pub(super) fn is_draining(&self, now: Instant) -> bool {
        self.news.draining.load(Ordering::Acquire) || self.retires_at.is_some_and(|at| at <= now)
    }

    /// Whether it is the view of a connection that ends when it is old.
    pub(super) fn has_age(&self) -> bool {
        self.retires_at.is_some()
    }

    /// Returns when the drain begins, to whoever has polled it before: what it says may have been said already, so
    /// [`Shutdown::is_draining`] is to be asked after the first poll. It need not be polled again to be heard.
    pub(super) fn told_to_drain(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.news.drain).notified_owned()
    }

    /// Returns when the server drains, as [`Shutdown::reached`] does.
    pub(super) fn drain(&self) -> impl Future<Output = ()> + Send + use<> {
        let shutdown = self.clone();
        async move { shutdown.reached(Phase::Draining).await }
    }

    /// Returns once `phase` is reached; for a connection that is old enough to end, the drain is.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub(super) async fn reached(&self, phase: Phase) {
        let mut news = self.news.phase.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        let told = async { drop(news.wait_for(|now| *now >= phase).await) };
        match self.retires_at {
            Some(at) if phase == Phase::Draining => tokio::select! {
                () = told => {}
                () = sleep_until(at.into()) => {}
            },
            _ => told.await,
        }
    }

    /// The first signal begins the end, the second one cuts, wherever the first has got to; returns when `idle` does,
    /// which is when all connections have ended.
    pub(super) async fn follow_signals(
        &self,
        mut signals: Signals,
        on_drain: OnDrain,
        delay: Duration,
        idle: impl Future<Output = ()>,
    ) {
        self.told(signals.next()).await;
        let end = async {
            self.leave(on_drain, delay).await;
            idle.await;
        };
        tokio::select! {
            () = signals.next() => {
                tracing::warn!("told to stop again; cutting what is left");
                self.advance(Phase::Cut);
            }
            () = end => {}
        }
    }

    /// Drains when `stop` returns, or when somebody with a handle says so.
    pub(super) async fn follow(&self, stop: impl Future<Output = ()>, on_drain: OnDrain, delay: Duration) {
        self.told(stop).await;
        self.leave(on_drain, delay).await;
    }

    async fn told(&self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.reached(Phase::Leaving) => {}
        }
    }

    /// Says that we leave, waits until that is known, and closes the door.
    async fn leave(&self, on_drain: OnDrain, delay: Duration) {
        tracing::info!(?delay, "told to stop");
        self.advance(Phase::Leaving);
        on_drain.run();
        if !delay.is_zero() {
            tokio::select! {
                () = sleep(delay) => {}
                () = self.reached(Phase::Draining) => {}
            }
        }
        tracing::info!("draining");
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
pub(super) struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// From here on, a signal is kept for [`Shutdown::follow_signals`]. To be called inside a runtime.
    pub(super) fn new() -> Self {
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
