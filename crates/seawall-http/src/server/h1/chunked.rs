//! The chunked coding (RFC 9112, 7.1), read piece by piece. Pure: bytes in, how many of them are framing and how many
//! are data out; the data itself is never touched.
//!
//! Extensions and trailers are read past, within bounds. A line ends with CRLF, and nothing but an extension stands
//! between a size and its line's end.

use super::fault::Fault;
use super::head::HeadLimits;

/// Bytes of extensions in one body. They mean nothing to us, so whoever sends more only wants them to be read.
const EXTENSIONS: u32 = 16 << 10;

/// Digits of a size: all that fit into 64 bits.
const DIGITS: u8 = 16;

/// Where in the coding the next byte stands.
#[derive(Debug)]
enum State {
    Size { value: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// Reads a chunked body.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    extensions: u32,
    trailers: Vec<u8>,
    limits: HeadLimits,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes of data, of which some may be there already.
    Data(u64),
    /// Something that is not there yet.
    More,
    /// Nothing: the body has ended.
    Done,
}

impl Decoder {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        let state = State::Size { value: 0, digits: 0 };
        Self { state, extensions: 0, trailers: Vec::new(), limits }
    }

    /// Reads past the framing at the begin of `bytes`: its length, and what comes behind it.
    ///
    /// # Errors
    /// If the coding is broken, or has more beside its data than is read.
    pub(crate) fn framing(&mut self, bytes: &[u8]) -> Result<(usize, Step), Fault> {
        for (at, &byte) in bytes.iter().enumerate() {
            match self.state {
                State::Data { left } => return Ok((at, Step::Data(left))),
                State::Done => return Ok((at, Step::Done)),
                _ => self.take(byte)?,
            }
        }
        let next = match self.state {
            State::Data { left } => Step::Data(left),
            State::Done => Step::Done,
            _ => Step::More,
        };
        Ok((bytes.len(), next))
    }

    /// So many bytes of the data were taken.
    pub(crate) fn took(&mut self, bytes: u64) {
        if let State::Data { left } = &mut self.state {
            *left -= bytes.min(*left);
            if *left == 0 {
                self.state = State::DataCr;
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        self.state = match (&self.state, byte) {
            (&State::Size { value, digits }, _) => self.size(value, digits, byte)?,
            (&State::Extension { size }, b'\r') => State::SizeLf { size },
            (&State::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) if self.extensions < EXTENSIONS => {
                self.extensions += 1;
                State::Extension { size }
            }
            (State::Extension { .. }, _) => {
                return Err(Fault::Malformed("an extension of a chunk is broken"));
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers,
            (&State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { value: 0, digits: 0 },
            (State::Trailers, _) => self.trailer(byte)?,
            _ => return Err(Fault::Malformed("a chunk does not end with CRLF")),
        };
        Ok(())
    }

    fn size(&self, value: u64, digits: u8, byte: u8) -> Result<State, Fault> {
        let digit = char::from(byte).to_digit(16);
        match (digit, byte) {
            (Some(digit), _) if digits < DIGITS => {
                Ok(State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
            }
            (None, b'\r') if digits > 0 => Ok(State::SizeLf { size: value }),
            (None, b';') if digits > 0 => Ok(State::Extension { size: value }),
            _ => Err(Fault::Malformed("the size of a chunk is no number")),
        }
    }

    /// Trailers are kept until their end is there, checked, and dropped.
    fn trailer(&mut self, byte: u8) -> Result<State, Fault> {
        if self.trailers.len() == self.limits.bytes {
            return Err(Fault::FieldsTooLarge);
        }
        self.trailers.push(byte);
        if self.trailers != b"\r\n" && !self.trailers.ends_with(b"\r\n\r\n") {
            return Ok(State::Trailers);
        }
        check_trailers(&self.trailers, self.limits.fields)?;
        self.trailers = Vec::new();
        Ok(State::Done)
    }
}

fn check_trailers(section: &[u8], most: usize) -> Result<(), Fault> {
    let lines = || memchr::memchr_iter(b'\n', section);
    if !lines().all(|at| section[..at].ends_with(b"\r")) {
        return Err(Fault::Malformed("a line does not end with CRLF"));
    }
    let mut room = vec![httparse::EMPTY_HEADER; lines().count().min(most)];
    match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::FieldsTooLarge),
        Ok(httparse::Status::Partial) | Err(_) => Err(Fault::Malformed("a trailer is no field")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 128, fields: 4 };

    /// All data of a body that comes in `pieces`, and what is behind it.
    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), Fault> {
        let (mut decoder, mut data) = (Decoder::new(LIMITS), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let (framing, step) = decoder.framing(rest)?;
                rest = &rest[framing..];
                let Step::Data(left) = step else { break };
                let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                if take == 0 {
                    break;
                }
                data.extend_from_slice(&rest[..take]);
                decoder.took(take as u64);
                rest = &rest[take..];
            }
        }
        Ok((data, decoder.is_done()))
    }

    #[track_caller]
    fn gives(body: &[u8], data: &[u8]) {
        assert_eq!(decode(&[body]), Ok((data.to_vec(), true)), "whole");
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(decode(&bytes), Ok((data.to_vec(), true)), "byte by byte");
        for at in 0..body.len() {
            assert_eq!(decode(&[&body[..at], &body[at..]]), Ok((data.to_vec(), true)), "split at {at}");
        }
    }

    #[test]
    fn chunks_are_put_together() {
        gives(b"0\r\n\r\n", b"");
        gives(b"5\r\nhello\r\n0\r\n\r\n", b"hello");
        gives(b"A\r\n0123456789\r\n00b\r\n 0123456789\r\n0\r\n\r\n", b"0123456789 0123456789");
        gives(b"5;a=\"b\";c\r\nhello\r\n0;x\r\n\r\n", b"hello");
        gives(b"1\r\na\r\n0\r\nDigest: x\r\nB: y\r\n\r\n", b"a");
    }

    #[track_caller]
    fn refuses(body: &[u8]) {
        assert!(decode(&[body]).is_err(), "{:?}", String::from_utf8_lossy(body));
    }

    #[test]
    fn what_could_be_read_otherwise_is_refused() {
        let broken: [&[u8]; 16] = [
            b"\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b" 1\r\n",
            b"1 \r\n",
            b"1\n",
            b"1\ra",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\ra",
            b"11111111111111111\r\n",
            b"1;a\nb\r\n",
            b"1;a\0\r\n",
            b";a\r\n",
        ];
        broken.into_iter().for_each(refuses);
        refuses(b"0\r\nno field\r\n\r\n");
        refuses(b"0\r\na: b\nc: d\r\n\r\n");
        refuses(b"0\r\n a: b\r\n\r\n");
    }

    #[test]
    fn what_is_not_data_has_a_bound() {
        assert_eq!(decode(&[b"0\r\n", &[b'a'; 200]]), Err(Fault::FieldsTooLarge));
        assert_eq!(decode(&[b"0\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n"]), Err(Fault::FieldsTooLarge));
        let mut extensions = b"1;".to_vec();
        extensions.resize(EXTENSIONS as usize + 3, b'a');
        assert!(decode(&[&extensions]).is_err());
    }
}
