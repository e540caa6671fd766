//! `GET /` with JSON, as Seawall serves it by default, on one worker.

use seawall::prelude::*;

fn main() -> Result<()> {
    let addr = std::env::args().nth(1).expect("usage: hello-seawall ADDR");
    let config = ServerConfig { workers: Some(1), ..ServerConfig::default() };
    App::new().get("/", hello).config(config).run(&addr)
}

async fn hello(c: Context) -> Result<Response> {
    c.json(200, &json!({"message": "Hello from Seawall!"}))
}
