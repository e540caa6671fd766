//! Between saying "not ready" and closing the door there is time for a balancer to hear of it. Apart from the test with a
//! signal, which would be for this server too.

#![cfg(feature = "admin")]
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_http::{App, ServerConfig};
use seawall_observe::{Admin, AdminConfig};

/// One request on a connection of its own; the answer.
fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// With a delay, the service says that it leaves while it still accepts: a balancer looks at the admin listener, and has
/// the time to hear of it.
#[test]
fn the_admin_listener_says_not_ready_while_the_service_still_accepts() {
    let config = AdminConfig { addr: ([127, 0, 0, 1], 0).into(), ..AdminConfig::default() };
    let admin = Admin::start(&config, &Registry::new()).unwrap();
    let health = admin.health().clone();
    let drain_delay = Duration::from_secs(3600);
    let app =
        App::new().get("/", async || "hello").config(ServerConfig { drain_delay, ..ServerConfig::default() });
    let server = app.bind("127.0.0.1:0").unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    let server = server.on_drain(move || health.drain());
    let serving = thread::spawn(move || server.run());
    assert!(get(admin.local_addr(), "/health/ready").starts_with("HTTP/1.1 200"));
    handle.shutdown();
    while !get(admin.local_addr(), "/health/ready").starts_with("HTTP/1.1 503") {
        thread::yield_now();
    }
    assert!(get(addr, "/").ends_with("hello"));
    handle.cut();
    serving.join().unwrap().unwrap();
    assert!(get(admin.local_addr(), "/health/live").starts_with("HTTP/1.1 200"));
    admin.stop();
}
