//! salvo on tokio's multi-thread runtime with one worker, as its documentation starts it. All five middlewares are its
//! own; the lines of its log are written by tracing-subscriber, as its examples do it.

use bench_peers::{App as Kind, MESSAGE, ORIGIN, TIMEOUT, greeting};
use salvo::cors::Cors;
use salvo::prelude::*;
use serde::Serialize;

#[derive(Serialize, Debug)]
struct Answer<T> {
    message: T,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let given = bench_peers::arguments();
    let mut router = Router::new();
    for route in &given.routes {
        let at = Router::with_path(route.braces().trim_start_matches('/'));
        router = router.push(if route.has_id { at.get(show) } else { at.get(hello) });
    }
    let service = match given.app {
        Kind::Middleware => middleware(router.push(Router::with_path("panic").get(panics))),
        Kind::Hello | Kind::Thousand => Service::new(router),
    };
    let acceptor = TcpListener::new(given.addr).bind().await;
    Server::new(acceptor).serve(service).await;
}

fn middleware(router: Router) -> Service {
    tracing_subscriber::fmt().init();
    Service::new(router)
        .hoop(RequestId::new())
        .hoop(Logger::new())
        .hoop(CatchPanic::new())
        .hoop(Cors::new().allow_origin(ORIGIN).into_handler())
        .hoop(Timeout::new(TIMEOUT))
}

#[handler]
async fn hello() -> Json<Answer<&'static str>> {
    Json(Answer { message: MESSAGE })
}

#[handler]
async fn show(request: &mut Request) -> Json<Answer<String>> {
    let id: String = request.param("id").unwrap_or_default();
    Json(Answer { message: greeting(&id) })
}

#[handler]
async fn panics() {
    panic!("on purpose")
}
