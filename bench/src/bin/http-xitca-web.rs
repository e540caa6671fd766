//! xitca-web with one worker on its default epoll runtime. Its keep-alive is raised from 5 s so that idle connections
//! stay. Of the five middlewares it ships three, so it has no row there.

use bench_peers::{App as Kind, MESSAGE, TIMEOUT, greeting};
use serde::Serialize;
use xitca_web::App;
use xitca_web::handler::handler_service;
use xitca_web::handler::json::Json;
use xitca_web::handler::params::Params;
use xitca_web::route::get;

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

fn main() -> std::io::Result<()> {
    let given = bench_peers::arguments();
    assert!(given.app != Kind::Middleware, "xitca-web has not all of the five middlewares");
    let mut app = App::new();
    for route in &given.routes {
        let path = route.braces();
        app = if route.has_id {
            app.at(&path, get(handler_service(show)))
        } else {
            app.at(&path, get(handler_service(hello)))
        };
    }
    app.serve()
        .server_threads(1)
        .worker_threads(1)
        .keep_alive_timeout(TIMEOUT)
        .bind(&given.addr)?
        .run()
        .wait()
}

async fn hello() -> Json<Answer<&'static str>> {
    Json(Answer { message: MESSAGE })
}

async fn show(Params(id): Params<String>) -> Json<Answer<String>> {
    Json(Answer { message: greeting(&id) })
}
