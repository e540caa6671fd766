//! A server on a thread of its own, on a free port, for tests with clients of any kind.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use seawall_http::{App, Listeners, Result, Server, ServerConfig, ShutdownHandle};

/// Longer than anything here should take on a busy machine; only a hang waits for it.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A server under way. It is told to stop when it is dropped.
pub(crate) struct Live {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: ShutdownHandle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Live {
    /// With one worker.
    pub(crate) fn start(app: App) -> Self {
        Self::with(app, ServerConfig { workers: Some(1), ..ServerConfig::default() })
    }
    pub(crate) fn with(app: App, config: ServerConfig) -> Self {
        Self::on("127.0.0.1:0", app, config)
    }
    pub(crate) fn on(listeners: impl Into<Listeners>, app: App, config: ServerConfig) -> Self {
        Self::of(app.config(config).bind(listeners).unwrap())
    }
    pub(crate) fn of(server: Server) -> Self {
        let (addr, handle) = (server.local_addr(), server.handle());
        Self { addr, handle, thread: Some(thread::spawn(move || server.run())) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
    /// One request on a connection of its own, which it asks to close; the whole answer.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.handle.shutdown();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Reads until what came ends with `end`.
#[track_caller]
pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) {
        let read = stream.read(&mut byte).unwrap();
        assert_eq!(read, 1, "it ended after {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits until it holds.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..3_000 {
        if condition() {
            return;
        }
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
    }
    panic!("the condition never held");
}
