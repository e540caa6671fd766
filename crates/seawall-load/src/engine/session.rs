//! Protocols whose answers are not read by the HTTP/1.1 parser: HTTP/2 and WebSocket, as state machines.
//!
//! Both take the request as its HTTP/1.1 bytes, so that templates, lists and bodies are the same for all protocols.

use std::io;

use seawall_load_h2::{Broken, Client, Finished, Request};

use crate::config::Protocol;
use crate::engine::ws::WsClient;
use crate::error::ErrorClass;

/// Fields that HTTP/2 says in another way, or not at all (RFC 9113, section 8.2.2).
const NOT_IN_H2: [&str; 7] = [
    "host",
    "connection",
    "content-length",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
];
/// Fields of a request.
const MAX_FIELDS: usize = 200;

/// How to begin sessions of a run.
#[derive(Debug, Clone)]
pub(crate) struct SessionConfig {
    pub(crate) protocol: Protocol,
    pub(crate) tls: bool,
    /// Value of the `Host` field, the path, and fields of a WebSocket's handshake.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// One connection's protocol.
#[derive(Debug)]
pub(super) enum Session {
    H2(Box<Client>, &'static str),
    Ws(Box<WsClient>),
}

impl Session {
    /// `None` for HTTP/1.1.
    pub(super) fn new(config: &SessionConfig) -> Result<Option<Self>, ErrorClass> {
        let scheme = if config.tls { "https" } else { "http" };
        match config.protocol {
            Protocol::Http1 => Ok(None),
            Protocol::Http2 => Ok(Some(Self::H2(Box::new(Client::new().map_err(class_of)?), scheme))),
            Protocol::WebSocket => Ok(Some(Self::Ws(Box::new(WsClient::new(config)?)))),
        }
    }

    /// Requests may be sent.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::H2(..) => true,
            Self::Ws(ws) => ws.is_open(),
        }
    }

    /// Takes a request in its HTTP/1.1 form.
    pub(super) fn send(&mut self, id: u64, bytes: &[u8]) -> Result<(), ErrorClass> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(end)) = request.parse(bytes) else { return Err(ErrorClass::Write) };
        let body = &bytes[end..];
        let (client, scheme) = match self {
            Self::Ws(ws) => return ws.send(id, body),
            Self::H2(client, scheme) => (client, scheme),
        };
        let is = |field: &httparse::Header<'_>, name: &str| field.name.eq_ignore_ascii_case(name);
        let host = request.headers.iter().find(|field| is(field, "host")).map_or(&b""[..], |host| host.value);
        let said_otherwise = |field: &httparse::Header<'_>| NOT_IN_H2.iter().any(|name| is(field, name));
        let kept = request.headers.iter().filter(|field| !said_otherwise(field));
        let headers: Vec<(&str, &[u8])> = kept.map(|field| (field.name, field.value)).collect();
        let request = Request {
            method: request.method.unwrap_or_default(),
            scheme,
            authority: std::str::from_utf8(host).unwrap_or_default(),
            path: request.path.unwrap_or_default(),
            headers: &headers,
            body,
        };
        client.send(id, &request).map_err(|_| ErrorClass::Write)
    }

    /// Reads what has come, sends what may be sent, and appends what is finished; the status is 0 where there is none.
    pub(super) fn advance(&mut self, bytes: &[u8], finished: &mut Vec<Finished>) -> Result<(), ErrorClass> {
        match self {
            Self::H2(client, _) => {
                client.feed(bytes);
                client.poll(finished).map_err(class_of)
            }
            Self::Ws(ws) => ws.advance(bytes, finished),
        }
    }

    /// Moves what is to be written to the end of `out`.
    pub(super) fn output(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::H2(client, _) => client.output(out),
            Self::Ws(ws) => ws.output(out),
        }
    }

    /// Gives one request up, if that is possible without the connection.
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        match self {
            Self::H2(client, _) => {
                client.cancel(id);
                true
            }
            Self::Ws(_) => false,
        }
    }
}

fn class_of(broken: Broken) -> ErrorClass {
    match broken {
        Broken::Malformed => ErrorClass::Malformed,
        Broken::Closed => ErrorClass::EofBeforeResponse,
    }
}

/// Bytes in and bytes out for a protocol that wants a socket: reading what is not there would block.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) input: Vec<u8>,
    pub(super) read: usize,
    pub(super) output: Vec<u8>,
}

impl io::Read for Buffers {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let left = &self.input[self.read..];
        if left.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = left.len().min(room.len());
        room[..count].copy_from_slice(&left[..count]);
        self.read += count;
        if self.read == self.input.len() {
            self.input.clear();
            self.read = 0;
        }
        Ok(count)
    }
}

impl io::Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
