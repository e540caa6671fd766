//! The server's watchdog with real stacks: it says which function does not let go.

#![cfg(all(feature = "admin", feature = "pprof"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_http::{App, ServerConfig};
use seawall_observe::{Admin, AdminConfig};
use tracing_subscriber::fmt::MakeWriter;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn stuck(&self) -> Option<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().find(|line| line.contains("a worker is stuck")).map(str::to_owned)
    }
}

#[inline(never)]
#[expect(clippy::disallowed_methods, reason = "the mistake that is to be found")]
fn sleeps_in_a_handler(go: &AtomicBool) {
    while !go.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(50));
    }
}

#[inline(never)]
fn spins_in_a_handler(go: &AtomicBool) {
    while !go.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
}

fn ask(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    stream
}

#[track_caller]
fn check(block: fn(&AtomicBool), name: &str) {
    let config = AdminConfig { addr: ([127, 0, 0, 1], 0).into(), ..AdminConfig::default() };
    let _admin = Admin::start(&config, &Registry::new()).unwrap();
    let go = Arc::new(AtomicBool::new(false));
    let may_go = Arc::clone(&go);
    let handler = move || {
        let may_go = Arc::clone(&may_go);
        async move {
            block(&may_go);
            "done"
        }
    };
    let server = ServerConfig { workers: Some(1), ..ServerConfig::default() };
    let server = App::new().get("/", handler).config(server).bind("127.0.0.1:0").unwrap();
    let (addr, stop, lines) = (server.local_addr(), server.handle(), Lines::default());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN);
    let running =
        thread::spawn(move || tracing::subscriber::with_default(subscriber.finish(), || server.run()));
    let mut stream = ask(addr);
    let told = (0..6_000).find_map(|_| {
        let line = lines.stuck();
        if line.is_none() {
            thread::park_timeout(Duration::from_millis(10));
        }
        line
    });
    go.store(true, Ordering::SeqCst);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    stop.shutdown();
    running.join().unwrap().unwrap();
    let told = told.expect("nothing was said of a worker that is stuck");
    assert!(told.contains(name) && told.contains(" < "), "{told}");
    assert!(told.len() < 16 << 10, "{told}");
}

#[test]
fn who_sleeps_is_named() {
    check(sleeps_in_a_handler, "sleeps_in_a_handler");
}
#[test]
fn who_spins_is_named() {
    check(spins_in_a_handler, "spins_in_a_handler");
}
