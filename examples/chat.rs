//! A chat room over WebSockets, with a page to try it: <http://127.0.0.1:8080>. A client that reads too slowly misses
//! messages; it never slows the others down.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use seawall::prelude::*;
use seawall::websocket::WsSender;

const PAGE: &str = "<!doctype html><title>Chat</title><form id=f><input id=i autofocus><button>Send</button></form><pre id=o></pre>
<script>
const ws = new WebSocket(`ws://${location.host}/ws`);
ws.onmessage = message => o.textContent += message.data + '\\n';
f.onsubmit = event => { event.preventDefault(); ws.send(i.value); i.value = ''; };
</script>";

/// The most people in the room.
const ROOM: usize = 1_000;

#[derive(Default)]
struct Room {
    next: AtomicU64,
    members: Mutex<HashMap<u64, WsSender>>,
}

impl Room {
    fn enter(&self, sender: WsSender) -> Option<u64> {
        let mut members = self.members.lock().expect("no holder panics");
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (members.len() < ROOM).then(|| members.insert(number, sender)).map(|_| number)
    }
    fn leave(&self, number: u64) {
        self.members.lock().expect("no holder panics").remove(&number);
    }
    fn say(&self, text: &str) {
        for member in self.members.lock().expect("no holder panics").values() {
            let _ = member.try_send(text); // full: it misses this one
        }
    }
}

fn main() -> Result<()> {
    App::new().state(Room::default()).get("/", async || Html(PAGE)).get("/ws", join).run("127.0.0.1:8080")
}

async fn join(ws: WebSocketUpgrade, room: State<Room>) -> Result<Response> {
    ws.on_upgrade(async move |socket| {
        let (sender, mut receiver) = socket.split();
        let Some(number) = room.enter(sender) else { return Ok(()) };
        while let Some(Ok(message)) = receiver.recv().await {
            if let Some(text) = message.as_text() {
                room.say(&format!("{number}: {text}"));
            }
        }
        room.leave(number);
        Ok(())
    })
}
