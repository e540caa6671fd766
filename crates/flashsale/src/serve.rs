//! The service as a process: opens the shop, starts the workers, serves, and closes in the reverse order.

use std::io::Write as _;

use seawall::ServerConfig;
use seawall::core::metrics::Registry;
use seawall::observe::{Admin, AdminConfig, PprofConfig};

use crate::config::FlashsaleConfig;
use crate::domain::Shop;

/// Serves until SIGTERM or SIGINT. Blocks.
///
/// Once it accepts requests it prints one line to standard output: `listening on http://ADDR admin http://ADDR`. On
/// the signal it answers what it has accepted, settles what the workers have in hand, and closes the database; what is
/// queued stays in the file for the next start.
///
/// # Errors
/// A bad configuration, an address that cannot be bound, a database that cannot be opened.
pub fn serve(config: &FlashsaleConfig) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let registry = Registry::new();
    let shop = Shop::open(config, &registry)?;
    let workers = shop.start_workers()?;
    let outcome = run(config, &registry, &shop);
    // Also after a failure: nothing may be left half-way in the writer's queue.
    workers.stop();
    shop.close();
    outcome
}

fn run(
    config: &FlashsaleConfig,
    registry: &Registry,
    shop: &Shop,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // On: this service is there to be put under load and looked at, and its admin listener is on loopback.
    let pprof = Some(PprofConfig::default());
    let admin = AdminConfig { addr: config.admin_listen, pprof, ..AdminConfig::default() };
    let admin = Admin::start(&admin, registry)?;
    let workers = (config.workers > 0).then_some(config.workers);
    let server = ServerConfig { workers, ..ServerConfig::default() };
    let app = crate::api::app(shop.clone()).registry(registry).config(server);
    admin.show_tasks(&app.tasks());
    // The framework's error is no std error, on purpose; its text is all that is needed here.
    let server = app.bind(config.listen.to_string()).map_err(|error| format!("{error:?}"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{} admin http://{}", server.local_addr(), admin.local_addr())?;
    out.flush()?;
    drop(out);
    let health = admin.health().clone();
    let served = server.on_drain(move || health.drain()).run().map_err(|error| format!("{error:?}").into());
    admin.stop();
    served
}
