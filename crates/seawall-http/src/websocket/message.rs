//! Messages, and what can go wrong with a WebSocket.

use std::ops::Deref;
use std::{fmt, io};

use bytes::Bytes;
use tokio_tungstenite::tungstenite;
use tungstenite::Utf8Bytes;
use tungstenite::error::{CapacityError, Error};

use super::{Close, CloseCode};

/// A message, put together from its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Anything else.
    Binary(Bytes),
}

impl Message {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
    /// Its bytes, whatever it is.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    pub(super) fn into_wire(self) -> tungstenite::Message {
        match self {
            Self::Text(text) => tungstenite::Message::Text(text.0),
            Self::Binary(bytes) => tungstenite::Message::Binary(bytes),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}
impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}
impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// The text of a message. It is used as a `str`; cloning it copies nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(pub(super) Utf8Bytes);

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.0.as_str()
    }
}
impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// What ended a WebSocket before its time.
#[derive(Debug)]
#[non_exhaustive]
pub enum WsError {
    /// The client sent a message or a frame over the limit. Closed with 1009.
    TooLarge {
        /// Bytes that it was going to have.
        size: usize,
        /// Bytes that it might have had.
        limit: usize,
    },
    /// The client sent a text that is not UTF-8. Closed with 1007.
    NotUtf8,
    /// The client broke the protocol. Closed with 1002.
    Protocol(String),
    /// The client did not answer a ping.
    Silent,
    /// The client did not take what was sent.
    Stalled,
    /// No message came or went for as long as was allowed. Closed with 1001.
    Idle,
    /// The connection broke.
    Lost(io::Error),
    /// The socket is closed already.
    Closed,
}

impl WsError {
    pub(super) fn of_wire(error: Error) -> Self {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                Self::TooLarge { size, limit: max_size }
            }
            Error::Utf8(_) => Self::NotUtf8,
            Error::Io(error) => Self::Lost(error),
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Lost(io::ErrorKind::UnexpectedEof.into())
            }
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed,
            other => Self::Protocol(other.to_string()),
        }
    }

    /// What the client is told, if it still listens.
    pub(super) fn close(&self) -> Option<Close> {
        let (code, reason) = match self {
            Self::TooLarge { limit, .. } => {
                return Some(Close::new(CloseCode::TOO_LARGE, format!("the limit is {limit} bytes")));
            }
            Self::NotUtf8 => (CloseCode::INVALID_DATA, "not UTF-8"),
            Self::Protocol(_) => (CloseCode::PROTOCOL_ERROR, ""),
            Self::Idle => (CloseCode::GOING_AWAY, "idle"),
            Self::Silent | Self::Stalled | Self::Lost(_) | Self::Closed => return None,
        };
        Some(Close::new(code, reason))
    }
}

impl fmt::Display for WsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => {
                write!(f, "a message of {size} bytes, where {limit} are allowed")
            }
            Self::NotUtf8 => f.write_str("a text message is not UTF-8"),
            Self::Protocol(problem) => write!(f, "the client broke the protocol: {problem}"),
            Self::Silent => f.write_str("the client did not answer a ping"),
            Self::Stalled => f.write_str("the client did not take what was sent"),
            Self::Idle => f.write_str("no message came or went for too long"),
            Self::Lost(error) => write!(f, "the connection broke: {error}"),
            Self::Closed => f.write_str("the WebSocket is closed"),
        }
    }
}

impl std::error::Error for WsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lost(error) => Some(error),
            _ => None,
        }
    }
}
