//! A connection that goes on in another protocol after an answer of 101.
//!
//! Whoever takes it over is driven by the connection's own task, in the place of hyper: so it counts as the connection
//! that it is, the drain waits for it and cuts it, and a plain request pays nothing for the possibility.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::linger::linger;
use super::stream::Stream;

/// A connection whose HTTP has ended.
pub(crate) struct Taken {
    pub(crate) stream: Stream,
    /// What the client sent behind its request, before the stream goes on.
    pub(crate) ahead: Bytes,
    /// Returns when the server drains.
    pub(crate) drain: BoxFuture<'static, ()>,
}

/// Who gets the connection. In a `Mutex` only to be `Sync`.
pub(crate) struct Takeover(Mutex<Serve>);

type Serve = Box<dyn FnOnce(Taken) -> BoxFuture<'static, ()> + Send>;

impl Takeover {
    pub(crate) fn new<S, Fut>(serve: S) -> Self
    where
        S: FnOnce(Taken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Mutex::new(Box::new(|taken| serve(taken).boxed())))
    }

    pub(super) fn serve(self, taken: Taken) -> BoxFuture<'static, ()> {
        self.0.into_inner()(taken)
    }
}

/// Ends a connection that was taken over; see [`linger`].
pub(crate) async fn say_goodbye(mut stream: Stream) {
    linger(&mut stream).await;
}
