//! Routes that change while the server runs: `curl -X POST localhost:8080/switch` turns the shop around.

use seawall::Swap;
use seawall::prelude::*;

fn main() -> Result<()> {
    let (app, live) = open().swappable();
    app.state(live).post("/switch", close).run("127.0.0.1:8080")
}

fn open() -> App {
    App::new().get("/", async || "we are open")
}

async fn close(live: State<Swap>) -> Result<&'static str> {
    live.swap(App::new().get("/", async || "we are closed"))?;
    Ok("closed")
}
