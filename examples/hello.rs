//! The smallest service: `cargo run -p seawall-examples --example hello`, then `curl localhost:8080/hello/ann`.

use seawall::prelude::*;

fn main() -> Result<()> {
    App::new().get("/", async || "Hello from Seawall!").get("/hello/:name", greet).run("127.0.0.1:8080")
}

async fn greet(c: Context) -> Result<Response> {
    c.json(200, &json!({"message": format!("hello, {}", c.param::<String>("name")?)}))
}
