//! WebSocket (RFC 6455) on tungstenite: a request is a message, its answer is the next message that comes.
//!
//! Messages are the bodies of requests: text if they are UTF-8, else binary. Pings are answered. Left out: extensions.

use std::collections::VecDeque;

use seawall_load_h2::Finished;
use tungstenite::client::client_with_config;
use tungstenite::handshake::client::{ClientHandshake, generate_key};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::http;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use super::session::{Buffers, SessionConfig};
use crate::error::ErrorClass;

/// Largest message that is accepted.
const MAX_MESSAGE: usize = 16 << 20;

/// One connection.
pub(super) struct WsClient {
    state: State,
    /// Messages without an answer, oldest first.
    sent: VecDeque<u64>,
}

enum State {
    Handshaking(MidHandshake<ClientHandshake<Buffers>>),
    Open(WebSocket<Buffers>),
    /// Between two states, and after an error.
    Gone,
}

impl WsClient {
    pub(super) fn new(config: &SessionConfig) -> Result<Self, ErrorClass> {
        let scheme = if config.tls { "wss" } else { "ws" };
        let mut request = http::Request::builder()
            .uri(format!("{scheme}://{}{}", config.host, config.path))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key());
        let has = |name: &str| config.headers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name));
        if !has("host") {
            request = request.header("Host", &config.host);
        }
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|_| ErrorClass::Write)?;
        let limits =
            WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let state = match client_with_config(request, Buffers::default(), Some(limits)) {
            Ok((socket, _)) => State::Open(socket),
            Err(HandshakeError::Interrupted(handshake)) => State::Handshaking(handshake),
            Err(HandshakeError::Failure(_)) => return Err(ErrorClass::Write),
        };
        Ok(Self { state, sent: VecDeque::new() })
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    pub(super) fn send(&mut self, id: u64, body: &[u8]) -> Result<(), ErrorClass> {
        let State::Open(socket) = &mut self.state else { return Err(ErrorClass::Write) };
        let message = match std::str::from_utf8(body) {
            Ok(text) => Message::text(text),
            Err(_) => Message::binary(body.to_vec()),
        };
        socket.send(message).map_err(|error| class_of(&error))?;
        self.sent.push_back(id);
        Ok(())
    }

    pub(super) fn advance(&mut self, bytes: &[u8], finished: &mut Vec<Finished>) -> Result<(), ErrorClass> {
        match &mut self.state {
            State::Handshaking(handshake) => handshake.get_mut().get_mut().input.extend_from_slice(bytes),
            State::Open(socket) => socket.get_mut().input.extend_from_slice(bytes),
            State::Gone => return Err(ErrorClass::Malformed),
        }
        if let State::Handshaking(_) = self.state
            && let State::Handshaking(handshake) = std::mem::replace(&mut self.state, State::Gone)
        {
            self.state = match handshake.handshake() {
                Ok((socket, _)) => State::Open(socket),
                Err(HandshakeError::Interrupted(handshake)) => State::Handshaking(handshake),
                Err(HandshakeError::Failure(error)) => return Err(class_of(&error)),
            };
        }
        let State::Open(socket) = &mut self.state else { return Ok(()) };
        loop {
            match socket.read() {
                Ok(Message::Text(_) | Message::Binary(_)) => match self.sent.pop_front() {
                    Some(id) => finished.push(Finished { id, status: Some(0) }),
                    None => return Err(ErrorClass::Malformed), // nobody asked for it
                },
                Ok(Message::Close(_)) => return Err(ErrorClass::EofBeforeResponse),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(class_of(&error)),
            }
        }
        socket.flush().map_err(|error| class_of(&error)) // pongs
    }

    pub(super) fn output(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Handshaking(handshake) => out.append(&mut handshake.get_mut().get_mut().output),
            State::Open(socket) => out.append(&mut socket.get_mut().output),
            State::Gone => {}
        }
    }
}

fn class_of(error: &Error) -> ErrorClass {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => ErrorClass::EofBeforeResponse,
        Error::Capacity(_) => ErrorClass::TooLarge,
        _ => ErrorClass::Malformed,
    }
}

impl std::fmt::Debug for WsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WsClient").field("open", &self.is_open()).field("sent", &self.sent.len()).finish()
    }
}
