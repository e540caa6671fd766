//! ntex with one worker, on its io_uring driver, the quicker of its runtimes here. Its keep-alive is raised from 5 s so
//! that idle connections stay. It ships a logger, but nothing of the other four middlewares, so it has no row there.

use std::io;

use bench_peers::{App as Kind, MESSAGE, TIMEOUT, greeting};
use ntex::SharedCfg;
use ntex::http::{HttpServiceConfig, KeepAlive};
use ntex::time::Seconds;
use ntex::web::types::Path;
use ntex::web::{self, App, HttpResponse, HttpServer};
use serde::Serialize;

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

#[ntex::main]
async fn main() -> io::Result<()> {
    let given = bench_peers::arguments();
    assert!(given.app != Kind::Middleware, "ntex has not all of the five middlewares");
    let routes = given.routes;
    let keep_alive = KeepAlive::Timeout(Seconds(TIMEOUT.as_secs() as u16));
    HttpServer::new(async move || {
        routes.iter().fold(App::new(), |app, route| {
            let to = if route.has_id { web::get().to(show) } else { web::get().to(hello) };
            app.route(&route.braces(), to)
        })
    })
    .workers(1)
    .bind(&given.addr)?
    .config(SharedCfg::new("bench").add(HttpServiceConfig::new().set_keepalive(keep_alive)))
    .run()
    .await
}

async fn hello() -> HttpResponse {
    HttpResponse::Ok().json(&Answer { message: MESSAGE })
}

async fn show(id: Path<String>) -> HttpResponse {
    HttpResponse::Ok().json(&Answer { message: greeting(&id) })
}
