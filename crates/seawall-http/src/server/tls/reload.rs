//! Certificates are renewed by others, in files: they are looked at from time to time, and used when they have changed.

use seawall_core::metrics::{Counter, Registry};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Tls;

/// Reloads, by how they ended.
#[derive(Debug, Clone)]
pub(in crate::server) struct Reloads {
    ok: Counter,
    failed: Counter,
}

impl Reloads {
    pub(in crate::server) fn new(registry: &Registry) -> Self {
        let counter = |outcome| {
            let labels = [("outcome", outcome)];
            registry.counter(
                "seawall_tls_reloads_total",
                "Changed certificates, by what became of them.",
                &labels,
            )
        };
        Self { ok: counter("ok"), failed: counter("failed") }
    }
}

impl Tls {
    /// Looks at the files as often as the configuration says. Returns at once if there are none to look at, else never.
    pub(in crate::server) async fn follow_files(self, reloads: Reloads) {
        let Some(every) = self.reload_every() else { return };
        let mut missing = false;
        loop {
            sleep(every).await;
            let tls = self.clone();
            // The runtime is going down if the thread cannot be had.
            let Ok(reloaded) = spawn_blocking(move || tls.reload_if_changed()).await else { return };
            match reloaded {
                Ok(false) => missing = false,
                Ok(true) => {
                    missing = false;
                    reloads.ok.inc();
                    tracing::info!("new certificates are in use");
                }
                // One that cannot be read stays so for a while: once is enough.
                Err(_) if missing => {}
                Err(error) => {
                    missing = true;
                    reloads.failed.inc();
                    tracing::warn!(%error, "certificates have changed and cannot be used; the old ones stay");
                }
            }
        }
    }
}
