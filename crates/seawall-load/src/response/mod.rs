//! The HTTP/1.1 response parser: fed with whatever the socket gave, in any pieces, it says where a response ends.
//!
//! Pure: no socket, no clock. How a response ends is decided by the rules of RFC 9112 and nothing else: no body for
//! HEAD, 204 and 304, then `Transfer-Encoding`, then `Content-Length`, else the end of the connection. What breaks
//! the rules is an error and never guessed at.
//!
//! A server mostly sends the same head again. The last good head is remembered in [`Learned`]; a head with exactly
//! these bytes costs one comparison. Any other is parsed by httparse.
//!
//! Left out: content decoding, trailers' meaning, upgrades (a 101 nobody asked for is malformed).

mod chunked;
mod head;

use chunked::Chunked;
use head::{Framing, HeadFacts};

pub(crate) use head::Learned;

/// Bytes of a head, its empty line included, above which it is [`Broken::TooLarge`].
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// Bytes of a body above which it is [`Broken::TooLarge`], if bodies are kept.
pub(crate) const MAX_KEPT_BODY: usize = 1024 * 1024;

/// Why the bytes are no acceptable response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Malformed,
    TooLarge,
}

/// How far [`Parser::feed`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All input was used; the response is not complete.
    More,
    /// The response is complete; it took this many bytes of the input.
    Done(usize),
}

/// What the end of the connection means at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEof {
    /// The response was framed by the end of the connection: it is complete.
    Complete,
    /// No byte of a response had come.
    BeforeResponse,
    /// The response is cut.
    Early,
}

/// Head and body of the response, for those who want to read them. Cleared when the next response begins.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    Body(u64),
    Chunks(Chunked),
    UntilClose,
}

/// Parses one response after the other of one connection.
#[derive(Debug)]
pub(crate) struct Parser {
    state: State,
    /// The bytes of an incomplete head.
    partial: Vec<u8>,
    facts: HeadFacts,
    /// The requests are HEAD: answers have no body, whatever their head says.
    head_only: bool,
    /// Some byte of the current response has come.
    begun: bool,
}

impl Parser {
    /// `head_only` says that the requests' method is HEAD.
    pub(crate) fn new(head_only: bool) -> Self {
        Self { state: State::Head, partial: Vec::new(), facts: HeadFacts::default(), head_only, begun: false }
    }

    /// Forgets the current response: for a new connection.
    pub(crate) fn reset(&mut self) {
        self.state = State::Head;
        self.partial.clear();
        self.begun = false;
    }

    /// Says whether the request of the next response was HEAD.
    #[inline]
    pub(crate) fn set_head_only(&mut self, head_only: bool) {
        self.head_only = head_only;
    }

    /// The status of the response whose head was read last.
    pub(crate) fn status(&self) -> u16 {
        self.facts.status
    }

    /// The connection may be used again after this response.
    pub(crate) fn keep_alive(&self) -> bool {
        self.facts.keep_alive
    }

    /// Some byte of the current response has come.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// Reads on. After [`Progress::Done`] the parser is ready for the next response; after an error, or when the
    /// connection is replaced, [`reset`](Self::reset) it.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        learned: &mut Learned,
        mut kept: Option<&mut Kept>,
    ) -> Result<Progress, Broken> {
        let mut at = 0;
        if !self.begun && !input.is_empty() {
            self.begun = true;
            if let Some(kept) = kept.as_deref_mut() {
                kept.head.clear();
                kept.body.clear();
            }
        }
        loop {
            let rest = &input[at..];
            match &mut self.state {
                State::Head => match self.read_head(rest, learned, kept.as_deref_mut())? {
                    None => return Ok(Progress::More),
                    Some(used) => at += used,
                },
                State::Body(left) => {
                    let used = (*left).min(rest.len() as u64) as usize;
                    *left -= used as u64;
                    let complete = *left == 0;
                    keep(&mut kept, &rest[..used])?;
                    at += used;
                    if !complete {
                        return Ok(Progress::More);
                    }
                    return Ok(self.done(at));
                }
                State::Chunks(chunked) => {
                    let (used, complete) = chunked.feed(rest, |data| keep(&mut kept, data))?;
                    at += used;
                    if !complete {
                        return Ok(Progress::More);
                    }
                    return Ok(self.done(at));
                }
                State::UntilClose => {
                    keep(&mut kept, rest)?;
                    return Ok(Progress::More);
                }
            }
        }
    }

    /// The connection ended: what does it mean for the current response?
    pub(crate) fn eof(&self) -> AtEof {
        match self.state {
            State::UntilClose => AtEof::Complete,
            State::Head if !self.begun => AtEof::BeforeResponse,
            State::Head | State::Body(_) | State::Chunks(_) => AtEof::Early,
        }
    }

    fn done(&mut self, used: usize) -> Progress {
        self.state = State::Head;
        self.begun = false;
        Progress::Done(used)
    }

    /// Reads a head or a part of one; `None` if it is incomplete, else how much of `input` it took.
    fn read_head(
        &mut self,
        input: &[u8],
        learned: &mut Learned,
        kept: Option<&mut Kept>,
    ) -> Result<Option<usize>, Broken> {
        if self.partial.is_empty() {
            if let Some(facts) = learned.recognise(input) {
                let length = learned.bytes().len();
                self.begin_body(facts, &input[..length], kept);
                return Ok(Some(length));
            }
            if let Some(length) = head::end_of_head(input, 0)? {
                let facts = learned.parse(&input[..length])?;
                self.begin_body(facts, &input[..length], kept);
                return Ok(Some(length));
            }
            self.partial.extend_from_slice(input);
            return Ok(None);
        }
        let before = self.partial.len();
        // No more than the limit is copied, however much came: a head that is longer is refused just below.
        self.partial.extend_from_slice(&input[..input.len().min(MAX_HEAD + 1 - before.min(MAX_HEAD))]);
        let Some(length) = head::end_of_head(&self.partial, before)? else { return Ok(None) };
        let whole = std::mem::take(&mut self.partial);
        let facts = learned.parse(&whole[..length])?;
        self.begin_body(facts, &whole[..length], kept);
        self.partial = whole; // keep the allocation
        self.partial.clear();
        Ok(Some(length - before))
    }

    fn begin_body(&mut self, facts: HeadFacts, head: &[u8], kept: Option<&mut Kept>) {
        self.facts = facts;
        if let Some(kept) = kept {
            kept.head.clear(); // an interim response's head may be there
            kept.head.extend_from_slice(head);
        }
        let framing = if self.head_only && facts.framing != Framing::Interim {
            Framing::Length(0)
        } else {
            facts.framing
        };
        self.state = match framing {
            Framing::Interim => State::Head,
            Framing::Length(length) => State::Body(length),
            Framing::Chunked => State::Chunks(Chunked::default()),
            Framing::UntilClose => State::UntilClose,
        };
    }
}

/// Keeps a piece of the body if bodies are kept.
fn keep(kept: &mut Option<&mut Kept>, data: &[u8]) -> Result<(), Broken> {
    if let Some(kept) = kept {
        if kept.body.len() + data.len() > MAX_KEPT_BODY {
            return Err(Broken::TooLarge);
        }
        kept.body.extend_from_slice(data);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
