//! A request's body on its way from the connection to whoever reads it: a pipe with room for one piece.
//!
//! The connection reads from its socket only when the reader asks, so that a body nobody reads fills the kernel's
//! buffers and then stops its sender. The reader may be on another task or thread than the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::error::Error;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The end that the connection holds.
pub(super) struct Pipe(Arc<Mutex<State>>);

/// The end that is read.
pub(crate) struct Incoming(Arc<Mutex<State>>);

struct State {
    piece: Option<Bytes>,
    end: Option<End>,
    /// The reader has asked for a piece and got none.
    wanted: bool,
    reader: Option<Waker>,
    reader_is_gone: bool,
    /// Woken when the reader asks. The task of a connection never changes.
    connection: Option<Waker>,
    /// Bytes that are still to come, if the request said so.
    left: Option<u64>,
}

enum End {
    Complete,
    Broken(Option<Error>),
}

impl Pipe {
    /// A pipe for a body of `left` bytes, if that is known, of which `first` has come.
    pub(super) fn new(left: Option<u64>, first: Option<Bytes>) -> (Self, Incoming) {
        let state = State {
            piece: first,
            end: None,
            wanted: false,
            reader: None,
            reader_is_gone: false,
            connection: None,
            left,
        };
        let shared = Arc::new(Mutex::new(state));
        (Self(Arc::clone(&shared)), Incoming(shared))
    }

    /// Whether the reader waits for a piece; if not, `cx` is woken when it does.
    pub(super) fn wants(&self, cx: &Context<'_>) -> bool {
        let mut state = self.0.lock();
        if state.connection.is_none() {
            state.connection = Some(cx.waker().clone());
        }
        state.wanted && state.end.is_none() && !state.reader_is_gone
    }

    /// Hands a piece to the reader, which must have asked for it.
    pub(super) fn put(&self, piece: Bytes) {
        let mut state = self.0.lock();
        state.piece = Some(piece);
        state.wake_reader();
    }

    /// Says that all has come.
    pub(super) fn complete(&self) {
        self.end(End::Complete);
    }

    /// Says that no more will come, and why if there is more to say than that.
    pub(super) fn break_off(&self, why: Option<Error>) {
        self.end(End::Broken(why));
    }

    fn end(&self, end: End) {
        let mut state = self.0.lock();
        state.end.get_or_insert(end);
        state.wake_reader();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end(End::Broken(None));
    }
}

impl State {
    fn wake_reader(&mut self) {
        self.wanted = false;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Not needed if the connection is the one who polls: it looks at the pipe when the reader returns.
    fn wake_connection(&self, polled_by: Option<&Waker>) {
        if let Some(connection) = &self.connection
            && !polled_by.is_some_and(|waker| waker.will_wake(connection))
        {
            connection.wake_by_ref();
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        let mut state = self.0.lock();
        if let Some(piece) = state.piece.take() {
            if let Some(left) = &mut state.left {
                *left = left.saturating_sub(piece.len() as u64);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut state.end {
            Some(End::Complete) => return Poll::Ready(None),
            Some(End::Broken(why)) => {
                let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into();
                return Poll::Ready(Some(Err(why.take().map_or_else(broken, Into::into))));
            }
            None => {}
        }
        if !state.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            state.reader = Some(cx.waker().clone());
        }
        if !std::mem::replace(&mut state.wanted, true) {
            state.wake_connection(Some(cx.waker()));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.piece.is_none() && matches!(state.end, Some(End::Complete))
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_is_gone = true;
        state.piece = None;
        state.wake_connection(None);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn nothing_moves_before_it_is_asked_for() {
        let (pipe, mut incoming) = Pipe::new(Some(3), None);
        assert!(!pipe.wants(&cx()));
        assert!(incoming.frame().now_or_never().is_none());
        assert!(pipe.wants(&cx()));
        pipe.put(Bytes::from_static(b"abc"));
        assert!(!pipe.wants(&cx()));
        let frame = incoming.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "abc");
        assert_eq!(incoming.size_hint().exact(), Some(0));
        pipe.complete();
        assert!(incoming.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn a_connection_that_ends_breaks_the_body_off() {
        let (pipe, mut incoming) = Pipe::new(None, None);
        drop(pipe);
        assert!(incoming.frame().now_or_never().unwrap().unwrap().is_err());
    }

    #[test]
    fn a_body_that_was_complete_stays_so() {
        let (pipe, mut incoming) = Pipe::new(None, None);
        pipe.complete();
        drop(pipe);
        assert!(incoming.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn a_reader_that_is_gone_wants_nothing() {
        let (pipe, mut incoming) = Pipe::new(None, None);
        assert!(incoming.frame().now_or_never().is_none());
        drop(incoming);
        assert!(!pipe.wants(&cx()));
    }
}
