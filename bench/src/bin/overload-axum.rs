//! axum under more than it can do, on its usual multi-thread runtime with one worker: as it is, or (`limit`) with what
//! tower has against overload, a limit of eight requests at once beyond which it answers 503.

use std::sync::Arc;

use axum::BoxError;
use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use bench_peers::overload::{HEAVY_DRAW, SLOT_TIME, SLOTS, Spins};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;

/// Requests at once under `limit`.
const LIMIT: usize = 8;

#[derive(Clone)]
struct Shared {
    spins: Spins,
    slots: Arc<Semaphore>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let given = bench_peers::overload::arguments();
    let shared = Shared { spins: given.spins, slots: Arc::new(Semaphore::new(SLOTS)) };
    let mut router =
        Router::new().route("/cpu", get(cpu)).route("/slots", get(slots)).route("/mixed/{draw}", get(mixed));
    if given.variant == "limit" {
        let busy = |_: BoxError| async { StatusCode::SERVICE_UNAVAILABLE };
        router = router.layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(busy))
                .load_shed()
                .layer(tower::limit::GlobalConcurrencyLimitLayer::new(LIMIT)),
        );
    }
    let listener = tokio::net::TcpListener::bind(&given.addr).await.expect("the address is free");
    axum::serve(listener, router.with_state(shared)).await.expect("serving does not fail");
}

async fn cpu(State(shared): State<Shared>) -> &'static str {
    shared.spins.medium();
    "done"
}

async fn slots(State(shared): State<Shared>) -> &'static str {
    let _slot = shared.slots.acquire().await.expect("it is never closed");
    tokio::time::sleep(SLOT_TIME).await;
    "done"
}

async fn mixed(State(shared): State<Shared>, Path(draw): Path<u32>) -> (StatusCode, &'static str) {
    if draw == HEAVY_DRAW {
        shared.spins.heavy();
        return (StatusCode::CREATED, "done");
    }
    shared.spins.cheap();
    (StatusCode::OK, "done")
}
