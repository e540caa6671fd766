//! What a handler has of a WebSocket: two ends of channels with bounds, whose other ends the driver has.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::{Close, Message, WsError};

/// What goes to the driver.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Message),
    Ping,
    Close(Close),
}

/// How a socket ended: with the client's close frame, if there was one, or with an error, taken by the first reader.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) close: Option<Close>,
    pub(super) error: parking_lot::Mutex<Option<WsError>>,
}

/// Both ends of a WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    sender: WsSender,
    receiver: WsReceiver,
}

impl WebSocket {
    pub(super) fn new(
        outgoing: mpsc::Sender<Outgoing>,
        incoming: mpsc::Receiver<Message>,
        ended: Arc<OnceLock<Ended>>,
    ) -> Self {
        Self { sender: WsSender(outgoing), receiver: WsReceiver { incoming, ended } }
    }

    /// See [`WsReceiver::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> Option<Result<Message, WsError>> {
        self.receiver.recv().await
    }
    /// See [`WsSender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), WsError> {
        self.sender.send(message).await
    }
    /// See [`WsSender::close`].
    ///
    /// # Errors
    /// As there.
    pub async fn close(&self, close: Close) -> Result<(), WsError> {
        self.sender.close(close).await
    }
    /// See [`WsReceiver::close_frame`].
    pub fn close_frame(&self) -> Option<&Close> {
        self.receiver.close_frame()
    }
    /// The two ends, to be used by different tasks. The socket is closed when the last sender is dropped.
    pub fn split(self) -> (WsSender, WsReceiver) {
        (self.sender, self.receiver)
    }
}

/// The sending end. Cloning gives another one.
#[derive(Debug, Clone)]
pub struct WsSender(mpsc::Sender<Outgoing>);

impl WsSender {
    /// Sends a message; while the queue is full, waits for the client to take one.
    ///
    /// # Errors
    /// [`WsError::Closed`] once the socket is closed, by whomever.
    ///
    /// # Cancel safety
    /// A message whose call was cancelled is not sent.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), WsError> {
        self.0.send(Outgoing::Message(message.into())).await.map_err(|_| WsError::Closed)
    }
    /// Sends a message if there is room for it now, and gives it back if not.
    ///
    /// # Errors
    /// A [`NotSent`] that says why.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), NotSent> {
        use mpsc::error::TrySendError::{Closed, Full};
        let message = message.into();
        // One reference count; the message is needed back if there is no room.
        self.0.try_send(Outgoing::Message(message.clone())).map_err(|error| match error {
            Full(_) => NotSent::Full(message),
            Closed(_) => NotSent::Closed(message),
        })
    }
    /// Closes the socket, after all messages that were sent before.
    ///
    /// # Errors
    /// [`WsError::Closed`] if it is closed already.
    ///
    /// # Cancel safety
    /// A call that was cancelled closes nothing.
    pub async fn close(&self, close: Close) -> Result<(), WsError> {
        self.0.send(Outgoing::Close(close)).await.map_err(|_| WsError::Closed)
    }
    /// Returns when the socket is closed, by whomever.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Why a message was not sent.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The queue is full: the client reads slower than messages come.
    Full(Message),
    /// The socket is closed.
    Closed(Message),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the client reads slower than messages come",
            Self::Closed(_) => "the WebSocket is closed",
        })
    }
}
impl std::error::Error for NotSent {}

/// The receiving end. Dropping it does not close the socket: what comes is then read and forgotten.
#[derive(Debug)]
pub struct WsReceiver {
    incoming: mpsc::Receiver<Message>,
    ended: Arc<OnceLock<Ended>>,
}

impl WsReceiver {
    /// The next message; `None` once the socket is closed, by the client, by you, or because the server drains. Pings
    /// are answered without you.
    ///
    /// # Errors
    /// Once, before the `None`, if something else than a close frame ended it.
    ///
    /// # Cancel safety
    /// Safe: no message is lost.
    pub async fn recv(&mut self) -> Option<Result<Message, WsError>> {
        if let Some(message) = self.incoming.recv().await {
            return Some(Ok(message));
        }
        self.ended.get()?.error.lock().take().map(Err)
    }
    /// What the client closed with, once it has; `None` if its frame had no code.
    pub fn close_frame(&self) -> Option<&Close> {
        self.ended.get()?.close.as_ref()
    }
}
