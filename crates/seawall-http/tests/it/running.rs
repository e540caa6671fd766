//! A server on a thread of its own, and a client that speaks bytes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use seawall_http::{App, Result, ServerConfig, ShutdownHandle};

/// Longer than anything here should take on a busy machine; only a hang waits for it.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A server on a thread of its own.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: ShutdownHandle,
    pub(crate) thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    pub(crate) fn start(app: App, config: ServerConfig) -> Self {
        let server = app.config(config).bind("127.0.0.1:0").unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        Self { addr, handle, thread: Some(thread::spawn(move || server.run())) }
    }
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }
    /// One request on a connection of its own, which it asks to close; the whole answer.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        read_to_end(&mut stream)
    }
    pub(crate) fn stop(mut self) {
        self.handle.shutdown();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

pub(crate) fn one_worker() -> ServerConfig {
    ServerConfig { workers: Some(1), ..ServerConfig::default() }
}

pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// Reads until `text` ends with `end`.
pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}
