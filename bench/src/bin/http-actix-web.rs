//! actix-web with one worker. Of the five middlewares it ships the logger and, in a crate of the project, CORS; request
//! id, recovery and timeout are functions around the rest (`from_fn`), which is how its documentation writes such.

use std::io;
use std::panic::AssertUnwindSafe;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorGatewayTimeout, ErrorInternalServerError};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Logger, Next, from_fn};
use actix_web::web::{self, Json, Path, ServiceConfig};
use actix_web::{App, Error, HttpServer};
use bench_peers::{App as Kind, MESSAGE, ORIGIN, Route, TIMEOUT, greeting};
use futures_util::FutureExt as _;
use serde::Serialize;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let given = bench_peers::arguments();
    let routes = given.routes;
    if given.app != Kind::Middleware {
        let server = HttpServer::new(move || App::new().configure(|config| add(config, &routes)));
        return server.workers(1).keep_alive(TIMEOUT).bind(&given.addr)?.run().await;
    }
    env_logger::builder().filter_level(log::LevelFilter::Info).target(env_logger::Target::Stdout).init();
    let server = HttpServer::new(move || {
        // The last one wrapped is the outermost.
        App::new()
            .configure(|config| add(config, &routes))
            .route("/panic", web::get().to(panics))
            .wrap(from_fn(timeout))
            .wrap(Cors::default().allowed_origin(ORIGIN))
            .wrap(from_fn(recover))
            .wrap(Logger::default())
            .wrap(from_fn(request_id))
    });
    server.workers(1).keep_alive(TIMEOUT).bind(&given.addr)?.run().await
}

fn add(config: &mut ServiceConfig, routes: &[Route]) {
    for route in routes {
        let to = if route.has_id { web::get().to(show) } else { web::get().to(hello) };
        config.route(&route.braces(), to);
    }
}

async fn request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let given = request.headers().get(&REQUEST_ID).cloned();
    let id = given.map_or_else(|| HeaderValue::from_str(&Uuid::new_v4().to_string()), Ok);
    let mut response = next.call(request).await?;
    response.headers_mut().insert(REQUEST_ID, id.map_err(ErrorInternalServerError)?);
    Ok(response)
}

async fn recover(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let answer = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| Err(ErrorInternalServerError("a handler panicked")))
}

async fn timeout(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let answer = actix_web::rt::time::timeout(TIMEOUT, next.call(request)).await;
    answer.unwrap_or_else(|_| Err(ErrorGatewayTimeout("too slow")))
}

async fn hello() -> Json<Answer<&'static str>> {
    Json(Answer { message: MESSAGE })
}

async fn show(id: Path<String>) -> Json<Answer<String>> {
    Json(Answer { message: greeting(&id) })
}

async fn panics() -> Json<Answer<String>> {
    panic!("on purpose")
}
