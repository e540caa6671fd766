//! Connections per worker stay within a tenth, whatever they do: requests now and then, nothing, WebSockets.

use std::io::Write as _;
use std::net::TcpStream;

use seawall_http::App;

use crate::live::{Live, read_until, wait_until};
use crate::{GET, samples, workers};

/// Whether no worker has a tenth more than its share of so many connections.
#[track_caller]
fn assert_even(registry: &seawall_core::metrics::Registry, connections: i64) {
    let all = || samples(registry, "seawall_connections");
    wait_until(|| all().iter().map(|sample| sample.1).sum::<i64>() == connections);
    let all = all();
    let share = connections / all.len() as i64;
    assert!(all.iter().all(|(_, count)| (count - share).abs() * 10 <= share), "{all:?}");
}

#[test]
fn idle_connections_are_spread_within_a_tenth() {
    let app = App::new().get("/", async || "hello");
    let registry = app.metrics();
    let server = Live::with(app, workers(2));
    let mut open: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(GET.as_bytes()).unwrap();
            read_until(&mut stream, "hello");
            stream
        })
        .collect();
    assert_even(&registry, 200);
    // Those that come after some have gone go where there is room.
    open.drain(..80);
    wait_until(|| {
        samples(&registry, "seawall_connections").iter().map(|sample| sample.1).sum::<i64>() == 120
    });
    open.extend((0..80).map(|_| server.connect()));
    assert_even(&registry, 200);
}

#[test]
fn a_burst_of_connections_is_spread_within_a_tenth() {
    let app = App::new().get("/", async || "hello");
    let registry = app.metrics();
    let server = Live::with(app, workers(2));
    let open: Vec<TcpStream> = (0..400).map(|_| server.connect()).collect();
    assert_even(&registry, 400);
    drop(open);
}

#[cfg(feature = "websocket")]
#[test]
fn websockets_are_spread_within_a_tenth() {
    let app = App::new().get("/", async |upgrade: seawall_http::websocket::WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(_)) = socket.recv().await {}
            Ok(())
        })
    });
    let registry = app.metrics();
    let server = Live::with(app, workers(2));
    let open: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            assert!(read_until(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 101 "));
            stream
        })
        .collect();
    assert_even(&registry, 200);
    drop(open);
}
