//! Takes a multipart body apart (RFC 2046, 5.1): bytes in, steps out. Pure: no waiting, no files.
//!
//! Between two steps it keeps no more than one head, or the piece of a boundary that may go on in the next bytes; so a
//! reader that takes its steps before it feeds more needs no more memory than that and what it feeds.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem::Finder;

use super::head::{self, Head};
use super::limits::MultipartConfig;

/// What comes next in the body.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing, before more bytes are fed.
    NeedMore,
    /// A part begins.
    Part(Head),
    /// More of its contents; never empty.
    Data(Bytes),
    /// It is complete.
    PartEnd,
    /// The body is complete; what is behind it does not count.
    End,
}

/// What is wrong with the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not as it must be.
    Malformed(&'static str),
    /// A part (by its number) has a head that is not as it must be.
    BadHead {
        part: usize,
        problem: &'static str,
    },
    /// It ended before its end.
    Incomplete,
    TooManyParts {
        limit: usize,
    },
    HeadTooLarge {
        part: usize,
        limit: usize,
    },
    PartTooLarge {
        name: String,
        limit: usize,
    },
    FileNameTooLong {
        name: String,
        limit: usize,
    },
}

#[derive(Debug)]
enum State {
    Preamble,
    /// Behind a boundary.
    Boundary,
    Head,
    Data,
    End,
    Failed(Fault),
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    parts: usize,
    head: usize,
    part: usize,
    file_name: usize,
}

/// A body that is being taken apart.
#[derive(Debug)]
pub(super) struct Parser {
    /// `\r\n--boundary`.
    delimiter: Finder<'static>,
    buffer: BytesMut,
    /// So many bytes of the buffer are known not to begin what is looked for.
    searched: usize,
    ended: bool,
    state: State,
    limits: Limits,
    parts: usize,
    /// Of the part that is being read.
    name: String,
    size: usize,
}

impl Parser {
    pub(super) fn new(boundary: &str, limits: &MultipartConfig) -> Self {
        let delimiter = format!("\r\n--{boundary}");
        Self {
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            // The first boundary may stand at the very beginning; so every one has a line's end before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            searched: 0,
            ended: false,
            state: State::Preamble,
            limits: Limits {
                parts: limits.parts,
                head: limits.head_bytes,
                part: limits.part_bytes,
                file_name: limits.file_name_bytes,
            },
            parts: 0,
            name: String::new(),
            size: 0,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        // What is behind the end, or behind a fault, is not kept.
        if !matches!(self.state, State::End | State::Failed(_)) {
            self.buffer.extend_from_slice(bytes);
        }
    }
    /// There are no more bytes.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next step. After a fault it is the same fault again.
    pub(super) fn step(&mut self) -> Result<Step, Fault> {
        let step = self.advance().and_then(|step| match step {
            Step::NeedMore if self.ended => Err(Fault::Incomplete),
            step => Ok(step),
        });
        if let Err(fault) = &step {
            self.state = State::Failed(fault.clone());
            self.buffer = BytesMut::new();
        }
        step
    }

    fn advance(&mut self) -> Result<Step, Fault> {
        loop {
            let passed = match &self.state {
                State::Preamble => self.preamble()?,
                State::Boundary => self.boundary()?,
                State::Head => return self.head(),
                State::Data => return self.data(),
                State::End => return Ok(Step::End),
                State::Failed(fault) => return Err(fault.clone()),
            };
            if !passed {
                return Ok(Step::NeedMore);
            }
        }
    }

    /// Skips what is before the first boundary, as far as a head may reach. Whether it is behind it.
    fn preamble(&mut self) -> Result<bool, Fault> {
        match self.find_delimiter() {
            Some(at) => {
                self.behind_delimiter(at);
                Ok(true)
            }
            None if self.buffer.len() > self.limits.head => Err(Fault::Malformed("begins with no boundary")),
            None => Ok(false),
        }
    }

    /// Reads what stands behind a boundary: `--` at the end, else white space and the end of the line. Whether it did.
    fn boundary(&mut self) -> Result<bool, Fault> {
        if self.buffer.starts_with(b"--") {
            self.buffer = BytesMut::new();
            self.state = State::End;
            return Ok(true);
        }
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &self.buffer[padding..] {
            // The line's end stays: it is the one before the first header, or before the empty line.
            [b'\r', b'\n', ..] => {
                self.buffer.advance(padding);
                self.searched = 0;
                self.state = State::Head;
                Ok(true)
            }
            [] | [b'\r' | b'-'] if padding <= self.limits.head => Ok(false),
            _ => Err(Fault::Malformed("has a boundary that goes on")),
        }
    }

    fn head(&mut self) -> Result<Step, Fault> {
        let (part, limit) = (self.parts + 1, self.limits.head);
        let end = self.find(&Finder::new(b"\r\n\r\n"));
        if end.unwrap_or(self.buffer.len().saturating_sub(4)) > limit {
            return Err(Fault::HeadTooLarge { part, limit });
        }
        let Some(end) = end else { return Ok(Step::NeedMore) };
        if part > self.limits.parts {
            return Err(Fault::TooManyParts { limit: self.limits.parts });
        }
        let found = head::parse(&self.buffer[..end]).map_err(|problem| Fault::BadHead { part, problem })?;
        if found.file_name.as_ref().is_some_and(|name| name.len() > self.limits.file_name) {
            return Err(Fault::FileNameTooLong { name: found.name, limit: self.limits.file_name });
        }
        self.buffer.advance(end + 4);
        (self.parts, self.size, self.searched) = (part, 0, 0);
        self.name.clone_from(&found.name);
        self.state = State::Data;
        Ok(Step::Part(found))
    }

    fn data(&mut self) -> Result<Step, Fault> {
        let found = self.find_delimiter();
        if found == Some(0) {
            self.behind_delimiter(0);
            return Ok(Step::PartEnd);
        }
        // The last bytes may be the beginning of a boundary.
        let sure =
            found.unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.needle().len() - 1));
        if sure == 0 {
            return Ok(Step::NeedMore);
        }
        self.size += sure;
        if self.size > self.limits.part {
            return Err(Fault::PartTooLarge { name: self.name.clone(), limit: self.limits.part });
        }
        self.searched = 0;
        Ok(Step::Data(self.buffer.split_to(sure).freeze()))
    }

    fn behind_delimiter(&mut self, at: usize) {
        self.buffer.advance(at + self.delimiter.needle().len());
        self.searched = 0;
        self.state = State::Boundary;
    }
    fn find_delimiter(&mut self) -> Option<usize> {
        let from = self.searched.min(self.buffer.len());
        let found = self.delimiter.find(&self.buffer[from..]).map(|at| from + at);
        self.searched = found.unwrap_or_else(|| self.unsearched(self.delimiter.needle().len()));
        found
    }
    fn find(&mut self, finder: &Finder<'_>) -> Option<usize> {
        let from = self.searched.min(self.buffer.len());
        let found = finder.find(&self.buffer[from..]).map(|at| from + at);
        self.searched = found.unwrap_or_else(|| self.unsearched(finder.needle().len()));
        found
    }
    /// From where a needle of this length could begin that was not found.
    fn unsearched(&self, needle: usize) -> usize {
        self.buffer.len().saturating_sub(needle - 1)
    }
}

#[cfg(test)]
impl Parser {
    /// Bytes that it holds.
    pub(super) fn kept(&self) -> usize {
        self.buffer.len()
    }
}
