//! What a server does beside serving: it looks whether files have changed, and renews certificates.

use std::convert::Infallible;

#[cfg(feature = "tls")]
use futures_util::future::join_all;
use futures_util::future::pending;
use seawall_core::metrics::Registry;

use super::bind::Bound;

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
