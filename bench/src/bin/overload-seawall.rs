//! Seawall under more than it can do, with one worker: as it is without being asked (`run`), in a tokio runtime of the
//! user's own (`serve`), and with its protection switched off (`off`; `off-two` has two workers).

use std::sync::Arc;

use bench_peers::overload::{HEAVY_DRAW, SLOT_TIME, SLOTS, Spins};
use seawall::StatusCode;
use seawall::prelude::*;
use tokio::sync::Semaphore;

fn main() -> Result<()> {
    let given = bench_peers::overload::arguments();
    let config = match given.variant.as_str() {
        "off" => without_protection(1),
        "off-two" => without_protection(2),
        _ => ServerConfig { workers: Some(1), ..ServerConfig::default() },
    };
    let app = app(given.spins).config(config).show_routes(false);
    if given.variant != "serve" {
        return app.run(&given.addr);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime starts").block_on(app.serve(&given.addr))
}

/// Without admission, and with a cap that is never reached.
fn without_protection(workers: usize) -> ServerConfig {
    ServerConfig { workers: Some(workers), admission: None, max_in_flight: 10_000_000, ..ServerConfig::default() }
}

fn app(spins: Spins) -> App {
    App::new()
        .state(spins)
        .state(Arc::new(Semaphore::new(SLOTS)))
        .get("/cpu", cpu)
        .get("/slots", slots)
        .get("/mixed/:draw", mixed)
}

async fn cpu(spins: State<Spins>) -> &'static str {
    spins.medium();
    "done"
}

async fn slots(slots: State<Arc<Semaphore>>) -> &'static str {
    let _slot = slots.acquire().await.expect("it is never closed");
    tokio::time::sleep(SLOT_TIME).await;
    "done"
}

async fn mixed(spins: State<Spins>, Path(draw): Path<u32>) -> (StatusCode, &'static str) {
    if draw == HEAVY_DRAW {
        spins.heavy();
        return (StatusCode::CREATED, "done");
    }
    spins.cheap();
    (StatusCode::OK, "done")
}
