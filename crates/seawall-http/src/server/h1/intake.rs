//! The body of the request that a connection is on: what of it has come, and what is still to come.

use bytes::{Buf as _, Bytes, BytesMut};

use super::chunked::{Decoder, Step};
use super::fault::Fault;
use super::head::{Framing, HeadLimits};
use super::pipe::Pipe;
use crate::body::Body;
use crate::error::Error;

/// A piece up to this size is copied, so that the buffer that it came in stays with the connection.
const COPIED: usize = 1 << 10;

/// Room for a read of a large body.
const READ_LARGE: usize = 64 << 10;

/// The body of one request, seen from its connection.
pub(super) struct Intake {
    rest: Rest,
    pub(super) pipe: Option<Pipe>,
    /// The client waits for a 100 before it sends anything.
    pub(super) awaits_continue: bool,
    /// Bytes of it that were taken.
    pub(super) taken: u64,
    /// What was wrong with it: nobody knows where it ends.
    pub(super) is_broken: bool,
}

enum Rest {
    None,
    Length(u64),
    Chunked(Box<Decoder>),
}

impl Intake {
    /// Takes what of the body came with its head: all of it, or the begin of a stream.
    ///
    /// # Errors
    /// If its first bytes break the chunked coding: the request never reaches its handler then.
    pub(super) fn begin(
        framing: Framing,
        expects_continue: bool,
        read: &mut BytesMut,
        limits: HeadLimits,
    ) -> Result<(Self, Body), Fault> {
        let rest = match framing {
            Framing::Length(0) => Rest::None,
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunked(Box::new(Decoder::new(limits))),
        };
        let mut intake = Self { rest, pipe: None, awaits_continue: false, taken: 0, is_broken: false };
        if intake.is_complete() {
            return Ok((intake, Body::whole(Bytes::new())));
        }
        let length = intake.left();
        let first = intake.take(read)?;
        if intake.is_complete() {
            return Ok((intake, Body::whole(first.unwrap_or_default())));
        }
        // One that sends before it is told to does not wait.
        intake.awaits_continue = expects_continue && first.is_none();
        let (pipe, incoming) = Pipe::new(length, first);
        intake.pipe = Some(pipe);
        Ok((intake, Body::incoming(incoming)))
    }

    /// All of it has been taken from the connection.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.rest, Rest::None)
    }

    /// How many bytes are to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.rest {
            Rest::None => Some(0),
            Rest::Length(left) => Some(*left),
            Rest::Chunked(_) => None,
        }
    }

    /// The next piece that is in `read`; `None` if there is none, or if that was all.
    ///
    /// # Errors
    /// If the chunked coding is broken.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        let piece = match &mut self.rest {
            Rest::None => None,
            Rest::Length(left) => {
                let piece = cut(read, *left);
                *left -= piece.len() as u64;
                (!piece.is_empty()).then_some(piece)
            }
            Rest::Chunked(decoder) => take_chunk(decoder, read)?,
        };
        let complete = match &self.rest {
            Rest::None => true,
            Rest::Length(left) => *left == 0,
            Rest::Chunked(decoder) => decoder.is_done(),
        };
        if complete {
            self.rest = Rest::None;
        }
        self.taken += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }

    /// Gives the reader what is in `read`, or the end; false if there is nothing to give yet.
    pub(super) fn feed(&mut self, read: &mut BytesMut) -> bool {
        match self.take(read) {
            Ok(None) if !self.is_complete() => return false,
            Ok(piece) => {
                let Some(pipe) = &self.pipe else { return true };
                if let Some(piece) = piece {
                    pipe.put(piece);
                }
                if self.is_complete() {
                    pipe.complete();
                }
            }
            Err(fault) => {
                tracing::debug!(?fault, "the body of a request is broken");
                self.break_off(Some(Error::bad_request("the body is not what its coding says")));
            }
        }
        true
    }

    /// Nothing more will come, or nothing more can be read.
    pub(super) fn break_off(&mut self, why: Option<Error>) {
        self.is_broken = true;
        if let Some(pipe) = &self.pipe {
            pipe.break_off(why);
        }
    }

    /// Whether the connection can go on behind this body, at the cost of reading `most` bytes of it. One in chunks may
    /// have any length, and one that a client keeps until it is asked for may never come.
    pub(super) fn can_be_passed(&self, most: u64) -> bool {
        !self.is_broken && !self.awaits_continue && self.left().is_some_and(|left| left <= most)
    }

    /// How much room the next read should have.
    pub(super) fn room(&self, usual: usize) -> usize {
        match &self.rest {
            Rest::Length(left) => {
                usize::try_from(*left).map_or(READ_LARGE, |left| left.clamp(usual, READ_LARGE))
            }
            Rest::Chunked(_) if self.taken > 0 => READ_LARGE,
            Rest::Chunked(_) | Rest::None => usual,
        }
    }
}

/// The data of a chunk that is in `read`, and the framing on both sides of it.
fn take_chunk(decoder: &mut Decoder, read: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
    let (framing, step) = decoder.framing(read)?;
    read.advance(framing);
    let Step::Data(left) = step else { return Ok(None) };
    let piece = cut(read, left);
    decoder.took(piece.len() as u64);
    // The end may be there already: who knows it needs no pipe.
    let (framing, _) = decoder.framing(read)?;
    read.advance(framing);
    Ok((!piece.is_empty()).then_some(piece))
}

/// At most `most` bytes off the front.
fn cut(read: &mut BytesMut, most: u64) -> Bytes {
    let length = usize::try_from(most).map_or(read.len(), |most| most.min(read.len()));
    if length > COPIED {
        return read.split_to(length).freeze();
    }
    let piece = Bytes::copy_from_slice(&read[..length]);
    read.advance(length);
    piece
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 10 };

    fn begin(framing: Framing, bytes: &[u8]) -> (Intake, Body, BytesMut) {
        let mut read = BytesMut::from(bytes);
        let (intake, body) = Intake::begin(framing, true, &mut read, LIMITS).unwrap();
        (intake, body, read)
    }

    #[test]
    fn a_body_that_is_there_needs_no_pipe() {
        for (framing, bytes) in
            [(Framing::Length(5), &b"helloGET /"[..]), (Framing::Chunked, b"5\r\nhello\r\n0\r\n\r\nGET /")]
        {
            let (intake, body, read) = begin(framing, bytes);
            assert!(intake.is_complete() && intake.pipe.is_none());
            assert_eq!(body.collect().now_or_never().unwrap().unwrap(), "hello");
            assert_eq!(read, "GET /");
        }
    }

    #[test]
    fn the_rest_of_a_body_comes_piece_by_piece() {
        let (mut intake, _body, mut read) = begin(Framing::Length(5), b"he");
        assert_eq!((intake.left(), intake.awaits_continue), (Some(3), false));
        read.extend_from_slice(b"lloGET");
        assert_eq!(intake.take(&mut read).unwrap().unwrap(), "llo");
        assert!(intake.is_complete());
        assert_eq!(intake.take(&mut read), Ok(None));
        assert_eq!(read, "GET");
    }

    #[test]
    fn a_client_that_sends_at_once_waits_for_nothing() {
        assert!(begin(Framing::Length(5), b"").0.awaits_continue);
        assert!(begin(Framing::Chunked, b"").0.awaits_continue);
        assert!(!begin(Framing::Length(5), b"h").0.awaits_continue);
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let body = vec![7; 4096];
        let mut read = BytesMut::from(&body[..]);
        let place = read.as_ptr();
        let piece = cut(&mut read, 4000);
        assert_eq!((piece.as_ptr(), piece.len(), read.len()), (place, 4000, 96));
    }
}
