//! SIGTERM begins a drain, and the admin listener outlives it. In a process of its own: the signal is for all of it.

#![cfg(feature = "admin")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, id};
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_observe::{Admin, AdminConfig};

/// Sends one request and reads the answer's first bytes, or all of it if the connection is to be closed.
fn get(addr: SocketAddr, connection: &str) -> std::io::Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET /health/live HTTP/1.1\r\nhost: test\r\nconnection: {connection}\r\n\r\n")?;
    let mut answer = String::new();
    if connection == "close" {
        stream.read_to_string(&mut answer)?;
    } else {
        let mut bytes = [0; 1_024];
        while !answer.ends_with("alive\n") {
            let read = stream.read(&mut bytes)?;
            answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
    Ok((stream, answer))
}

#[test]
fn the_admin_listener_answers_after_a_signal_to_stop() {
    let config = AdminConfig { addr: ([127, 0, 0, 1], 0).into(), ..AdminConfig::default() };
    let admin = Admin::start(&config, &Registry::new()).unwrap();
    let (mut idle, _) = get(admin.local_addr(), "keep-alive").unwrap();
    // The answer shows that the signal's handler is in place: without it the signal would end this process.
    let killed = Command::new("kill").args(["-TERM", &id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(idle.read(&mut [0; 64]).unwrap(), 0, "the drain closes what is idle");
    // A connection that falls right between two rounds of serving may be reset; one of the next is answered.
    let answered = (0..1_000).find_map(|_| get(admin.local_addr(), "close").ok());
    assert!(answered.is_some_and(|(_, answer)| answer.starts_with("HTTP/1.1 200")));
    admin.stop();
}
