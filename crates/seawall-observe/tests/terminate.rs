//! SIGTERM drains the service, and the admin listener beside it outlives that and says "not ready". In a process of its
//! own: the signal is for all of it.

#![cfg(feature = "admin")]
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, id};
use std::thread;
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_http::App;
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

#[test]
fn the_admin_listener_outlives_the_drain_and_says_not_ready() {
    let config = AdminConfig { addr: ([127, 0, 0, 1], 0).into(), ..AdminConfig::default() };
    let admin = Admin::start(&config, &Registry::new()).unwrap();
    let health = admin.health().clone();
    let server = App::new().get("/", async || "hello").bind("127.0.0.1:0").unwrap();
    let (addr, server) = (server.local_addr(), server.on_drain(move || health.drain()));
    let serving = thread::spawn(move || server.run());
    // An answer shows that the server runs; its handlers of signals are in place by then or soon after it.
    assert!(get(addr, "/").ends_with("hello"));
    assert!(get(admin.local_addr(), "/health/ready").starts_with("HTTP/1.1 200"));
    while !handles_sigterm() {
        thread::yield_now();
    }
    let killed = Command::new("kill").args(["-TERM", &id().to_string()]).status().unwrap();
    assert!(killed.success());
    serving.join().unwrap().unwrap();
    assert!(TcpStream::connect(addr).is_err());
    assert!(get(admin.local_addr(), "/health/ready").starts_with("HTTP/1.1 503"));
    assert!(get(admin.local_addr(), "/health/live").starts_with("HTTP/1.1 200"));
    admin.stop();
}

/// Whether this process has a handler for SIGTERM (15), from the mask in `/proc`; without one it would end.
fn handles_sigterm() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
}
