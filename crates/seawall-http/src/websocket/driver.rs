//! Moves messages between a connection and its [`WebSocket`], on the connection's own task.
//!
//! Three loops side by side: one reads, one writes, one watches the time. The first that ends says how the socket ends;
//! then the closing handshake is made (RFC 6455, 7), within its limit, and the user's future may finish.

use std::future::{pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Bytes as Payload};

use super::keepalive::{Action, Keepalive};
use super::message::Text;
use super::socket::{Ended, Outgoing, WebSocket};
use super::{Close, CloseCode, Message, WsConfig, WsError};
use crate::clock;
use crate::error::Result;
use crate::server::{Stream, Taken, say_goodbye};

type Reader = SplitStream<WebSocketStream<Stream>>;
type Writer = SplitSink<WebSocketStream<Stream>, tungstenite::Message>;

/// Bytes of a connection's buffers; a larger message gets a larger one for as long as it needs it.
const BUFFER: usize = 8 << 10;

/// What a socket is closed with when nobody says anything else.
const NORMAL: Close = Close::plain(CloseCode::NORMAL);

/// Drives a socket and the user's future to their ends.
pub(super) async fn serve<S, Fut>(taken: Taken, config: WsConfig, route: String, serve: S)
where
    S: FnOnce(WebSocket) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let Taken { stream, ahead, drain } = taken;
    let wire =
        WebSocketStream::from_partially_read(stream, ahead.into(), Role::Server, Some(limits(&config))).await;
    let (outgoing, to_send) = mpsc::channel(config.queue);
    let (to_user, incoming) = mpsc::channel(config.queue);
    let ended = Arc::new(OnceLock::new());
    let (failed, failure) = oneshot::channel();
    let socket = WebSocket::new(outgoing, incoming, Arc::clone(&ended));
    let user = async move { serve(socket).await };
    let driver = Driver { to_send, to_user, drain, failure, ended, config: config.clone() };
    let (mut driver, mut user) = (pin!(driver.run(wire)), pin!(AssertUnwindSafe(user).catch_unwind()));
    tokio::select! {
        biased; // what came before the end is handed to the user, who may still be reading
        () = &mut driver => {
            match timeout(config.close_timeout, user).await {
                Ok(result) => drop(judge(result, &route)),
                Err(_) => tracing::warn!(route, "a WebSocket's future did not end with its socket; dropped"),
            }
        }
        result = &mut user => {
            if let Some(close) = judge(result, &route) {
                let _ = failed.send(close); // the driver may have ended by itself
            }
            driver.await;
        }
    }
}

fn limits(config: &WsConfig) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(config.max_message))
        .max_frame_size(Some(config.max_frame))
}

/// Logs what the user's future came to; how to close if it did not go well.
fn judge(result: std::thread::Result<Result<()>>, route: &str) -> Option<Close> {
    match result {
        Ok(Ok(())) => return None,
        // The client's doing, or that of its network.
        Ok(Err(error)) if error.cause::<WsError>().is_some() => {
            tracing::debug!(route, ?error, "a WebSocket ended")
        }
        Ok(Err(error)) => tracing::error!(route, ?error, "a WebSocket's future failed"),
        Err(_) => tracing::error!(route, "a WebSocket's future panicked"),
    }
    Some(Close::plain(CloseCode::INTERNAL_ERROR))
}

struct Driver<D> {
    to_send: mpsc::Receiver<Outgoing>,
    to_user: mpsc::Sender<Message>,
    drain: D,
    /// How to close when the user's future has failed.
    failure: oneshot::Receiver<Close>,
    ended: Arc<OnceLock<Ended>>,
    config: WsConfig,
}

/// What ends a socket.
enum End {
    /// The client's close frame, which tungstenite answers.
    Client(Option<Close>),
    /// A close frame of ours, which has been sent.
    Server,
    Failed(WsError),
}

impl<D: Future<Output = ()>> Driver<D> {
    async fn run(self, wire: WebSocketStream<Stream>) {
        let Self { mut to_send, to_user, drain, failure, ended, config } = self;
        let (mut writer, mut reader) = wire.split();
        let keepalive = Mutex::new(Keepalive::new(&config, clock::now()));
        // The watch says so, the writer pings.
        let ping = Notify::new();
        let end = tokio::select! {
            biased; // what answers a message is written before the next one is read, which may be the close frame
            end = write(&mut writer, &mut to_send, &keepalive, (&ping, drain, failure)) => end,
            end = read(&mut reader, &to_user, &keepalive) => end,
            error = watch(&keepalive, &ping) => End::Failed(error),
        };
        to_send.close();
        let (close, error, parting) = match end {
            End::Client(close) => (close, None, Parting::Answer),
            End::Server => (None, None, Parting::Answer),
            End::Failed(error) => {
                let parting = error.close().map_or(Parting::Nothing, Parting::Say);
                (None, Some(error), parting)
            }
        };
        // What the user reads of the end is there before the channel tells of it.
        let _ = ended.set(Ended { close, error: Mutex::new(error) });
        drop(to_user);
        let _ = timeout(config.close_timeout, part(&mut writer, &mut reader, parting)).await;
        if let Ok(wire) = writer.reunite(reader) {
            say_goodbye(wire.into_inner()).await;
        }
    }
}

/// Reads until the client closes. While the user does not take what has come, nothing more is read, so that memory
/// stays bounded and TCP slows the client down.
async fn read(reader: &mut Reader, to_user: &mpsc::Sender<Message>, keepalive: &Mutex<Keepalive>) -> End {
    loop {
        let frame = match reader.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return End::Failed(WsError::of_wire(error)),
            None => return End::Failed(WsError::Closed),
        };
        let now = clock::now();
        keepalive.lock().heard(now);
        let message = match frame {
            tungstenite::Message::Text(text) => Message::Text(Text(text)),
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
            tungstenite::Message::Close(frame) => return End::Client(frame.as_ref().map(Close::of_frame)),
            // A ping's answer is on its way already.
            tungstenite::Message::Ping(_)
            | tungstenite::Message::Pong(_)
            | tungstenite::Message::Frame(_) => continue,
        };
        keepalive.lock().message(now);
        if let Err(mpsc::error::TrySendError::Full(message)) = to_user.try_send(message) {
            keepalive.lock().deaf(true, now);
            let _ = to_user.send(message).await; // a user who does not read wants nothing of it
            keepalive.lock().deaf(false, clock::now());
        }
        let_the_user_run().await;
    }
}

/// Comes back at the next poll of the task. `yield_now` would look at all other sockets first.
async fn let_the_user_run() {
    let mut polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Writes what the user sends, and pings, until there is a reason to close. What waits is written in one go, and before
/// a close frame that comes from elsewhere.
async fn write<D: Future<Output = ()>>(
    writer: &mut Writer,
    to_send: &mut mpsc::Receiver<Outgoing>,
    keepalive: &Mutex<Keepalive>,
    (ping, drain, failure): (&Notify, D, oneshot::Receiver<Close>),
) -> End {
    let (mut drain, mut failure) = (pin!(drain), pin!(failure.fuse()));
    loop {
        let mut last = None;
        let first = tokio::select! {
            biased; // what is rare first, or a socket that always has something to send would never hear of it
            Ok(close) = &mut failure => { last = Some(close); None }
            () = &mut drain => { last = Some(Close::new(CloseCode::GOING_AWAY, "the server stops")); None }
            () = ping.notified() => Some(Outgoing::Ping),
            outgoing = to_send.recv() => Some(outgoing.unwrap_or_else(|| Outgoing::Close(NORMAL))),
        };
        if last.is_some() {
            to_send.close();
        }
        let message = matches!(first, Some(Outgoing::Message(_)));
        keepalive.lock().writes(clock::now());
        let written = write_all(writer, first, to_send, last).await;
        keepalive.lock().written(message, clock::now());
        match written {
            Ok(false) => {}
            Ok(true) => return End::Server,
            // The reader knows better why: a client that has closed takes nothing more.
            Err(WsError::Closed) => pending().await,
            Err(error) => return End::Failed(error),
        }
    }
}

/// Writes `first`, all that waits behind it, and `last`; whether a close frame was among it.
async fn write_all(
    writer: &mut Writer,
    first: Option<Outgoing>,
    to_send: &mut mpsc::Receiver<Outgoing>,
    last: Option<Close>,
) -> Result<bool, WsError> {
    let mut next = first.or_else(|| to_send.try_recv().ok()).or_else(|| last.clone().map(Outgoing::Close));
    while let Some(outgoing) = next {
        let frame = match outgoing {
            Outgoing::Message(message) => message.into_wire(),
            Outgoing::Ping => tungstenite::Message::Ping(Payload::new()),
            Outgoing::Close(close) => {
                let frame = tungstenite::Message::Close(Some(close.into_frame()));
                return writer.send(frame).await.map(|()| true).map_err(WsError::of_wire);
            }
        };
        writer.feed(frame).await.map_err(WsError::of_wire)?;
        next = to_send.try_recv().ok().or_else(|| last.clone().map(Outgoing::Close));
    }
    writer.flush().await.map(|()| false).map_err(WsError::of_wire)
}

/// Returns when the client has to be given up.
async fn watch(keepalive: &Mutex<Keepalive>, ping: &Notify) -> WsError {
    loop {
        let action = keepalive.lock().act(clock::now());
        match action {
            Action::Ping => ping.notify_one(),
            Action::Silent => return WsError::Silent,
            Action::Stalled => return WsError::Stalled,
            Action::Idle => return WsError::Idle,
            Action::Wait(until) => sleep_until(until.into()).await,
        }
    }
}

/// What is left of the closing handshake.
enum Parting {
    /// To send tungstenite's answer to the client's frame, or to wait for the client's answer to ours.
    Answer,
    /// To say why, and no more: a client that breaks the rules gets no chance to go on (RFC 6455, 7.1.7).
    Say(Close),
    /// Nothing: nobody listens.
    Nothing,
}

async fn part(writer: &mut Writer, reader: &mut Reader, parting: Parting) {
    match parting {
        // Reading is also what writes tungstenite's answer.
        Parting::Answer => while let Some(Ok(_)) = reader.next().await {},
        Parting::Say(close) => {
            let _ = writer.send(tungstenite::Message::Close(Some(close.into_frame()))).await;
        }
        Parting::Nothing => {}
    }
}
