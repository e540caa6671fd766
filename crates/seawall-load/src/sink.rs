//! A server that does next to nothing, for measuring the client: its ceiling, and how exact it is.
//!
//! One thread, one epoll instance, one fixed answer per request, sent at once or after a known delay. What it counts
//! itself is the truth that a measurement is compared with: requests, and the time from reading a request to writing
//! its answer.
//!
//! Left out: everything a server is for. It reads heads only as far as they say how long a body is (`Content-Length`;
//! chunked requests are refused by closing), and it trusts its clients: it is bound to loopback unless told otherwise.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use seawall_core::{ConfigError, Histogram};

use crate::clock::Clock;
use crate::sys::{self, Epoll, HANGUP, READABLE};

/// Most connections; further ones are closed.
pub const MAX_SINK_CONNECTIONS: usize = 10_000;
/// Largest body of the answer.
const MAX_BODY: usize = 16 << 20;
/// Largest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Longest delay.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// Answers that wait for their time, of all connections.
const MAX_WAITING: usize = 1 << 20;
/// How often a flag is looked at.
const LOOK_NS: u64 = 20_000_000;
/// What is left of a delay is waited for awake, below this: a sleep would overshoot it.
const SPIN_NS: u64 = 60_000;
/// Room for one read.
const BUFFER: usize = 64 << 10;
/// The token of the listener's events.
const LISTENER: u64 = u64::MAX;

/// How a sink answers.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Where it listens. Default `127.0.0.1:0`: a free port of loopback.
    pub address: SocketAddr,
    /// Bytes of the answer's body. Default 2.
    pub body: usize,
    /// From reading a request to writing its answer. Default none.
    pub delay: Duration,
    /// Never sleep, so that a request does not wait for the sink to wake up: what a client measures too much is its own
    /// then. Takes a whole CPU. Default no.
    pub busy_poll: bool,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            body: 2,
            delay: Duration::ZERO,
            busy_poll: false,
        }
    }
}

/// A running sink. Dropping it ends it.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    requests: AtomicU64,
    cpu_ns: AtomicU64,
    delays: Mutex<Histogram>,
}

impl Sink {
    /// Binds, and answers on a thread of its own.
    ///
    /// # Errors
    /// A value out of range as [`io::ErrorKind::InvalidInput`] with its [`ConfigError`], or what the system said.
    pub fn start(config: &SinkConfig) -> io::Result<Self> {
        let SinkConfig { address, body, delay, busy_poll } = *config;
        let refuse = |error: ConfigError| io::Error::new(io::ErrorKind::InvalidInput, error);
        if body > MAX_BODY {
            return Err(refuse(ConfigError::new("sink.body", body, format!("at most {MAX_BODY} bytes"))));
        }
        if delay > MAX_DELAY {
            return Err(refuse(ConfigError::new("sink.delay", format!("{delay:?}"), "at most 60 s")));
        }
        sys::allow_open_files(MAX_SINK_CONNECTIONS as u64 + 128);
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let epoll = Epoll::new()?;
        epoll.add(&listener, LISTENER)?;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + body, b'x');
        let server = Server {
            clock: Clock::start(),
            listener,
            epoll,
            shared: Arc::clone(&shared),
            answer: answer.into(),
            delay_ns: delay.as_nanos() as u64,
            busy_poll,
            conns: Vec::new(),
            vacant: Vec::new(),
            waiting: VecDeque::new(),
            delays: Histogram::new(),
            buffer: vec![0; BUFFER].into(),
        };
        let thread = std::thread::Builder::new().name("sink".to_owned()).spawn(move || server.run())?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that were answered so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// CPU time of its thread so far, up to a fiftieth of a second ago.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.shared.cpu_ns.load(Relaxed))
    }

    /// Nanoseconds from reading a request to just before writing its answer, as the sink measured them; up to a
    /// fiftieth of a second ago. Empty without a delay.
    pub fn delays(&self) -> Histogram {
        self.shared.delays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it and waits for its thread.
    ///
    /// # Errors
    /// Why it had ended by itself.
    pub fn stop(mut self) -> io::Result<()> {
        self.shared.stop.store(true, Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the sink panicked")),
            None => Ok(()),
        }
    }

    /// It has ended by itself: its socket failed.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Server {
    clock: Clock,
    listener: TcpListener,
    epoll: Epoll,
    shared: Arc<Shared>,
    answer: Box<[u8]>,
    delay_ns: u64,
    busy_poll: bool,
    conns: Vec<Client>,
    vacant: Vec<u32>,
    /// Answers that wait: when they are due, since when, and for which connection. All wait equally long, so they are
    /// in order.
    waiting: VecDeque<(u64, u64, u64)>,
    delays: Histogram,
    buffer: Box<[u8]>,
}

/// A connection's slot.
#[derive(Default)]
struct Client {
    socket: Option<TcpStream>,
    generation: u32,
    /// Of an incomplete head.
    partial: Vec<u8>,
    /// Bytes of the current request's body that have not come.
    body_left: usize,
    /// The last head without a body: the same bytes mean the same again.
    learned: Vec<u8>,
    /// Answers, or the rest of one, that the kernel had no room for.
    owed: usize,
    written: usize,
}

/// Why a connection ends.
struct Close;

impl Server {
    fn run(mut self) -> io::Result<()> {
        sys::exact_timers();
        let mut next_look = 0;
        while !self.shared.stop.load(Relaxed) {
            let now = self.clock.now();
            if now >= next_look {
                next_look = now + LOOK_NS;
                self.shared.cpu_ns.store(sys::thread_cpu_ns(), Relaxed);
                if self.delay_ns > 0 {
                    self.shared.delays.lock().unwrap_or_else(PoisonError::into_inner).merge(&self.delays);
                    self.delays.clear();
                }
            }
            let due = self.waiting.front().map_or(u64::MAX, |&(due, ..)| due.saturating_sub(SPIN_NS));
            let timeout = if self.busy_poll { 0 } else { next_look.min(due).saturating_sub(now) };
            let count = self.epoll.wait(timeout)?;
            for index in 0..count {
                let (token, flags) = self.epoll.event(index);
                if token == LISTENER {
                    self.accept()?;
                } else {
                    self.client_event(token, flags);
                }
            }
            self.answer_due();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The peer has gone again, or there is no descriptor: the next one may do.
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => return Ok(()),
                Err(_) => continue,
            };
            let slot = match self.vacant.pop() {
                Some(slot) => slot,
                None if self.conns.len() < MAX_SINK_CONNECTIONS => {
                    self.conns.push(Client::default());
                    self.conns.len() as u32 - 1
                }
                None => continue,
            };
            socket.set_nonblocking(true)?;
            let _ = socket.set_nodelay(true);
            let client = &mut self.conns[slot as usize];
            let (generation, partial) =
                (client.generation.wrapping_add(1), std::mem::take(&mut client.partial));
            *client = Client { generation, partial, ..Client::default() };
            client.partial.clear();
            self.epoll.add(&socket, token(slot, generation))?;
            client.socket = Some(socket);
        }
    }

    fn client_event(&mut self, token: u64, flags: u32) {
        if self.client(token).is_none() {
            return;
        }
        let mut read = if flags & READABLE != 0 { self.read(token, flags & HANGUP != 0) } else { Ok(()) };
        if read.is_ok() {
            read = self.write(token);
        }
        if read.is_err() {
            self.close(token);
        }
    }

    /// The connection of a token, if it is still the same.
    fn client(&mut self, token: u64) -> Option<&mut Client> {
        let client = self.conns.get_mut(token as u32 as usize)?;
        (u64::from(client.generation) == token >> 32 && client.socket.is_some()).then_some(client)
    }

    fn close(&mut self, token: u64) {
        if let Some(client) = self.client(token) {
            client.socket = None;
            self.vacant.push(token as u32);
        }
    }

    fn read(&mut self, token: u64, hangup: bool) -> Result<(), Close> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.read_into(token, hangup, &mut buffer);
        self.buffer = buffer;
        result
    }

    fn read_into(&mut self, token: u64, hangup: bool, buffer: &mut [u8]) -> Result<(), Close> {
        loop {
            let client = self.client(token).ok_or(Close)?;
            let Some(mut socket) = client.socket.as_ref() else { return Err(Close) };
            let count = match socket.read(buffer) {
                Ok(0) => return Err(Close),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Close),
            };
            let requests = client.take_in(&buffer[..count])?;
            self.shared.requests.fetch_add(requests as u64, Relaxed);
            if self.delay_ns == 0 {
                self.client(token).ok_or(Close)?.owed += requests;
            } else {
                let now = self.clock.now();
                if self.waiting.len() + requests > MAX_WAITING {
                    return Err(Close);
                }
                self.waiting.extend((0..requests).map(|_| (now + self.delay_ns, now, token)));
            }
            if count < buffer.len() && !hangup {
                return Ok(());
            }
        }
    }

    fn write(&mut self, token: u64) -> Result<(), Close> {
        let Some(client) = self.conns.get_mut(token as u32 as usize) else { return Err(Close) };
        let Some(mut socket) = client.socket.as_ref() else { return Err(Close) };
        while client.owed > 0 {
            match socket.write(&self.answer[client.written..]) {
                Ok(0) => return Err(Close),
                Ok(count) => client.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Close),
            }
            if client.written == self.answer.len() {
                client.written = 0;
                client.owed -= 1;
            }
        }
        Ok(())
    }

    /// Sends the answers whose delay is over.
    fn answer_due(&mut self) {
        while let Some(&(due, since, token)) = self.waiting.front() {
            let now = self.clock.now();
            if now < due {
                return;
            }
            self.waiting.pop_front();
            self.delays.record(now - since);
            if let Some(client) = self.client(token) {
                client.owed += 1;
                if self.write(token).is_err() {
                    self.close(token);
                }
            }
        }
    }
}

fn token(slot: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(slot)
}

impl Client {
    /// Counts the requests that are complete with these bytes.
    fn take_in(&mut self, mut bytes: &[u8]) -> Result<usize, Close> {
        let mut requests = 0;
        loop {
            if self.body_left > 0 {
                let used = self.body_left.min(bytes.len());
                self.body_left -= used;
                bytes = &bytes[used..];
                if self.body_left > 0 {
                    return Ok(requests);
                }
                requests += 1;
            }
            if bytes.is_empty() {
                return Ok(requests);
            }
            if self.partial.is_empty() && !self.learned.is_empty() && bytes.starts_with(&self.learned) {
                bytes = &bytes[self.learned.len()..];
                requests += 1;
                continue;
            }
            let before = self.partial.len();
            self.partial.extend_from_slice(bytes);
            let Some(end) = memchr::memmem::find(&self.partial, b"\r\n\r\n") else {
                return if self.partial.len() > MAX_HEAD { Err(Close) } else { Ok(requests) };
            };
            let end = end + 4;
            let length = content_length(&self.partial[..end]).ok_or(Close)?;
            bytes = &bytes[end - before..];
            if length == 0 {
                self.learned.clear();
                self.learned.extend_from_slice(&self.partial[..end]);
                requests += 1;
            }
            self.body_left = length;
            self.partial.clear();
        }
    }
}

/// The length of a request's body; `None` if the head is wrong or the body is chunked.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    if !request.parse(head).ok()?.is_complete() {
        return None;
    }
    let mut length = 0;
    for field in request.headers {
        if field.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(field.value).ok()?.trim().parse().ok()?;
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return None;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUESTS: &[u8] =
        b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n";

    proptest! {
        #[test]
        fn requests_are_counted_in_whatever_pieces_they_come(cuts in proptest::collection::vec(0usize..110, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(REQUESTS.len())).collect();
            cuts.extend([0, REQUESTS.len()]);
            cuts.sort_unstable();
            let mut client = Client::default();
            let counted: usize = cuts
                .windows(2)
                .map(|pair| client.take_in(&REQUESTS[pair[0]..pair[1]]).ok().unwrap())
                .sum();
            prop_assert_eq!(counted, 4);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Client::default().take_in(&bytes);
        }
    }

    #[test]
    fn chunked_requests_are_refused() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(Client::default().take_in(head).is_err());
    }
}
