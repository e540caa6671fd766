//! A body that is compressed while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body as _, Frame};

use super::encoder::Encoder;
use crate::error::Error;
use crate::respond::{Around, BodyFailed, WireBody};

/// Bytes compressed at a time: some hundred microseconds of work. In between, the worker sees to other connections.
const PIECE: usize = 16 << 10;
/// Bytes that are worth a write.
const ENOUGH: usize = 8 << 10;

pub(super) struct Compressing {
    /// `None` once the end was written.
    encoder: Option<Encoder>,
    /// What came and is not compressed yet.
    input: Bytes,
    /// Whether something was compressed that the client cannot read yet.
    unflushed: bool,
    /// Whether it is others' turn.
    rest: bool,
    trailers: Option<HeaderMap>,
}

type Piece = Option<Result<Frame<Bytes>, BodyFailed>>;

impl Compressing {
    pub(super) fn new(encoder: Encoder) -> Self {
        Self { encoder: Some(encoder), input: Bytes::new(), unflushed: false, rest: false, trailers: None }
    }

    /// Compresses one piece of the input.
    fn step(&mut self, encoder: &mut Encoder) -> std::io::Result<()> {
        let length = self.input.len().min(PIECE);
        encoder.write(&self.input[..length])?;
        self.input.advance(length);
        self.unflushed = true;
        self.rest = !self.input.is_empty();
        Ok(())
    }

    fn poll(&mut self, inner: &mut WireBody, cx: &mut Context<'_>) -> Result<Poll<Piece>, Error> {
        if std::mem::take(&mut self.rest) {
            cx.waker().wake_by_ref();
            return Ok(Poll::Pending);
        }
        let Some(mut encoder) = self.encoder.take() else {
            return Ok(Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))));
        };
        loop {
            if !self.input.is_empty() {
                self.step(&mut encoder)?;
                if encoder.ready() >= ENOUGH || self.rest {
                    break;
                }
                continue;
            }
            match Pin::new(&mut *inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        return Ok(Poll::Ready(data(encoder.finish()?)));
                    }
                },
                Poll::Ready(Some(Err(error))) => return Ok(Poll::Ready(Some(Err(error)))),
                Poll::Ready(None) => return Ok(Poll::Ready(data(encoder.finish()?))),
                Poll::Pending => {
                    // The producer waits: what it has said so far is for the client, not for our window.
                    if std::mem::take(&mut self.unflushed) {
                        encoder.flush()?;
                    }
                    break;
                }
            }
        }
        let made = encoder.take();
        self.encoder = Some(encoder);
        if made.is_empty() {
            if std::mem::take(&mut self.rest) {
                cx.waker().wake_by_ref();
            }
            return Ok(Poll::Pending);
        }
        Ok(Poll::Ready(data(made)))
    }
}

fn data(bytes: Vec<u8>) -> Piece {
    Some(Ok(Frame::data(bytes.into())))
}

impl Around for Compressing {
    fn poll_next(&mut self, inner: &mut WireBody, cx: &mut Context<'_>) -> Poll<Piece> {
        match self.poll(inner, cx) {
            Ok(polled) => Poll::Ready(ready!(polled)),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
    fn length(&self, _: Option<u64>) -> Option<u64> {
        None
    }
}
