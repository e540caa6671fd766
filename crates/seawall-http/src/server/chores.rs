//! What a server does beside serving: it watches what it has left, and its workers, tells what admission and runtimes
//! do, looks whether files have changed, and renews certificates.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use futures_util::future::join_all;
use futures_util::future::pending;
use parking_lot::Mutex;
use seawall_core::metrics::Registry;
use seawall_guard::Pressure;

use super::ServerConfig;
use super::admission::{Facts, Refusals, report_refusals};
use super::bind::Bound;
use super::pressure::{UnderPressure, watch};
use super::runtimes::RuntimeFacts;
use super::watchdog::{self, Watched};
use super::worker::Peers;
use crate::error::Result;

/// Never returns; dropping it ends the chores. `bound` is only looked at before the first wait.
#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "without TLS there is nothing to do"))]
pub(super) fn chores(bound: &[Bound], registry: &Registry) -> impl Future<Output = Infallible> + use<> {
    #[cfg(feature = "tls")]
    let all = {
        let mut all: Vec<super::tls::Tls> = Vec::new();
        for tls in bound.iter().filter_map(|bound| bound.door.tls.as_ref()) {
            if !all.iter().any(|known| known.is(tls)) {
                all.push(tls.clone());
            }
        }
        let reloads = super::tls::Reloads::new(registry);
        let files =
            join_all(all.iter().map(|tls| tls.clone().follow_files(reloads.clone())).collect::<Vec<_>>());
        #[cfg(feature = "acme")]
        let orders = super::tls::Orders::new(registry);
        #[cfg(feature = "acme")]
        let renewals = join_all(all.into_iter().map(|tls| tls.renew(orders.clone())).collect::<Vec<_>>());
        #[cfg(not(feature = "acme"))]
        let renewals = std::future::ready(());
        async { tokio::join!(files, renewals) }
    };
    #[cfg(not(feature = "tls"))]
    let all = std::future::ready(());
    async {
        all.await;
        pending().await
    }
}

/// What the overload protection of a server does beside requests.
pub(super) struct Guards {
    pressure: Arc<Mutex<Pressure>>,
    found: Arc<UnderPressure>,
    refusals: Refusals,
    facts: Vec<Facts>,
    runtimes: Vec<RuntimeFacts>,
    /// With how long is stuck.
    watched: Option<(Vec<Watched>, Duration)>,
}

impl Guards {
    /// # Errors
    /// If the gates of `config` are outside of their range.
    pub(super) fn new(
        config: &ServerConfig,
        peers: &Peers,
        facts: Vec<Facts>,
        runtimes: Vec<RuntimeFacts>,
    ) -> Result<Self> {
        let (found, refusals) = (Arc::clone(peers.pressure()), peers.refusals().clone());
        let pressure = Arc::new(Mutex::new(Pressure::new(&config.pressure)?));
        Ok(Self { pressure, found, refusals, facts, runtimes, watched: None })
    }

    /// Watches these workers too, from the thread that polls this.
    pub(super) fn watching(self, workers: Vec<Watched>, stuck_after: Option<Duration>) -> Self {
        Self { watched: stuck_after.map(|stuck_after| (workers, stuck_after)), ..self }
    }

    pub(super) fn pressure(&self) -> &Arc<Mutex<Pressure>> {
        &self.pressure
    }

    /// Never returns; dropping it ends both.
    pub(super) async fn beside(self, chores: impl Future<Output = Infallible>) -> Infallible {
        let Self { pressure, found, refusals, facts, runtimes, watched } = self;
        let watchdog = async {
            match watched {
                Some((workers, stuck_after)) => watchdog::watch(workers, stuck_after).await,
                None => pending().await,
            }
        };
        tokio::select! {
            never = chores => never,
            never = watch(pressure, found) => never,
            never = report_refusals(refusals) => never,
            never = Facts::publish(facts) => never,
            never = RuntimeFacts::publish(runtimes) => never,
            never = watchdog => never,
        }
    }
}
