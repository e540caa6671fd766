//! Server-sent events: `curl -N localhost:8080/clock`. A client that comes back goes on where it was.

use std::time::Duration;

use seawall::prelude::*;

fn main() -> Result<()> {
    App::new().get("/clock", clock).run("127.0.0.1:8080")
}

async fn clock(c: Context) -> Sse {
    let mut next =
        c.last_event_id().and_then(|id| id.parse::<u64>().ok()).map_or(0, |last| last.wrapping_add(1));
    Sse::new(async move |events| {
        loop {
            events.send(Event::data(format!("tick {next}")).id(next.to_string())).await?;
            next = next.wrapping_add(1);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}
