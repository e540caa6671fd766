//! axum on its usual multi-thread runtime (`#[tokio::main]`) with as many workers as it has cores: one. Its middleware
//! is tower-http's, with a span and a line per request written by tracing-subscriber, as axum's examples do it.

use axum::http::{HeaderValue, StatusCode};
use axum::{Json, Router, extract::Path, routing::get};
use bench_peers::{App, MESSAGE, ORIGIN, TIMEOUT, greeting};
use serde::Serialize;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let given = bench_peers::arguments();
    let mut router = Router::new();
    for route in &given.routes {
        router = router.route(&route.braces(), if route.has_id { get(show) } else { get(hello) });
    }
    if given.app == App::Middleware {
        router = middleware(router.route("/panic", get(panics)));
    }
    let listener = tokio::net::TcpListener::bind(&given.addr).await.expect("the address is free");
    axum::serve(listener, router).await.expect("serving does not fail");
}

fn middleware(router: Router) -> Router {
    // The levels are raised so that a request has a line at all: by default all of it is for debugging.
    tracing_subscriber::fmt().with_max_level(Level::INFO).init();
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let origin = HeaderValue::from_static(ORIGIN);
    router.layer(
        ServiceBuilder::new()
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .layer(trace)
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(CatchPanicLayer::new())
            .layer(CorsLayer::new().allow_origin(origin))
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT)),
    )
}

async fn hello() -> Json<Answer<&'static str>> {
    Json(Answer { message: MESSAGE })
}

async fn show(Path(id): Path<String>) -> Json<Answer<String>> {
    Json(Answer { message: greeting(&id) })
}

async fn panics() {
    panic!("on purpose")
}
