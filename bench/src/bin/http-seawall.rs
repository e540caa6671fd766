//! Seawall with everything that is on by default: recovery, all limits and timeouts, metrics per route and status. One
//! worker.

use bench_peers::{App as Kind, MESSAGE, ORIGIN, greeting};
use seawall::middleware::{
    AccessLines, AccessLogConfig, Cors, CorsConfig, Recover, RequestId, Timeout, TimeoutConfig,
};
use seawall::prelude::*;
use seawall::websocket::WebSocketUpgrade;
use serde::Serialize;

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

fn main() -> Result<()> {
    let given = bench_peers::arguments();
    let config = ServerConfig { workers: Some(1), ..ServerConfig::default() };
    let mut app = App::new().config(config).show_routes(false);
    app = match given.app {
        Kind::Middleware => middleware(app)?.get("/panic", panics),
        // Beside the three routes, for the case that holds WebSockets.
        Kind::Hello => app.get("/ws", echo),
        Kind::Thousand => app,
    };
    for route in &given.routes {
        app = if route.has_id { app.get(&route.pattern, show) } else { app.get(&route.pattern, hello) };
    }
    app.run(&given.addr)
}

fn middleware(app: App) -> Result<App> {
    let cors = Cors::new(&CorsConfig { allow_origins: vec![ORIGIN.to_owned()], ..CorsConfig::default() })?;
    let log = AccessLines::new(&AccessLogConfig::default())?;
    let timeout = Timeout::new(&TimeoutConfig::default())?;
    Ok(app.with(RequestId).with(log).with(Recover).with(cors).with(timeout))
}

async fn hello() -> Json<Answer<&'static str>> {
    Json(Answer { message: MESSAGE })
}

async fn show(Path(id): Path<String>) -> Json<Answer<String>> {
    Json(Answer { message: greeting(&id) })
}

async fn panics() -> Json<Answer<String>> {
    panic!("on purpose")
}

async fn echo(socket: WebSocketUpgrade) -> Result<Response> {
    socket.on_upgrade(async |mut socket| {
        while let Some(message) = socket.recv().await {
            socket.send(message?).await?;
        }
        Ok(())
    })
}
