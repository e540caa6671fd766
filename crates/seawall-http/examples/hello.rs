//! The smallest service: `cargo run --release -p seawall-http --example hello -- 127.0.0.1:8080`.

use seawall_http::{App, Context, Response, Result};

fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    App::new().get("/", hello).run(&addr)
}

async fn hello(c: Context) -> Result<Response> {
    c.json(200, &serde_json::json!({"message": "Hello from Seawall!"}))
}
