//! Multipart forms: part by part as they arrive, or collected with the files on disk.
//!
//! `parser.rs` takes the bytes apart and is pure; `head.rs` reads what a part says about itself; `limits.rs` says how
//! much there may be; `form.rs` collects. The parser is our own because a limit must hold while bytes arrive: what we
//! looked at reads everything that is ready into memory first, and has no limit on the head of a part.

mod form;
mod head;
mod limits;
mod parser;
mod upload;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};

use super::content_type::{self, Kind};
use super::values::{Pair, Source, shortened};
use super::{Extract, ExtractOptional, WholeBody};
use crate::body::Body;
use crate::context::Context;
use crate::error::{Error, Result};
use head::Head;
use parser::{Fault, Parser, Step};

pub use form::MultipartForm;
pub use limits::{MultipartConfig, MultipartLimits};
pub use upload::{Files, Upload};

const MALFORMED: &str = "the multipart body is malformed";
const TOO_LARGE: &str = "the multipart body is too large";

/// A multipart form, part by part, as it arrives: for uploads that go somewhere else than to memory or disk. For both
/// of these there is [`MultipartForm`].
///
/// What it may have of everything says [`MultipartConfig`]. Without one the body limit counts (2 MiB unless changed).
/// Refusals: 415 for another content type, 400 for what is malformed or ends before its end, 413 naming the part and
/// the limit.
///
/// ```
/// use seawall_http::{App, Multipart, Result};
///
/// async fn upload(mut parts: Multipart) -> Result<String> {
///     let mut sizes = Vec::new();
///     while let Some(mut part) = parts.next_part().await? {
///         let mut size = 0;
///         while let Some(chunk) = part.chunk().await? {
///             size += chunk.len();
///         }
///         sizes.push(format!("{}: {size}", part.name()));
///     }
///     Ok(sizes.join(", "))
/// }
///
/// let app = App::new().post("/uploads", upload);
/// ```
pub struct Multipart {
    body: Body,
    parser: Parser,
    limits: Arc<MultipartConfig>,
}

impl Multipart {
    fn open(c: &Context) -> Result<Self> {
        let boundary = match content_type::kind(c) {
            Some((Kind::Multipart, kind)) => boundary(kind)?,
            Some((_, kind)) => return Err(no_multipart(kind)),
            None => return Err(no_multipart("")),
        };
        let limits = MultipartLimits::of(c);
        let body = c.stream_body_within(limits.total_bytes)?;
        Ok(Self { body, parser: Parser::new(&boundary, &limits), limits })
    }

    /// The next part. What is left of the one before is skipped.
    ///
    /// # Errors
    /// 400 for what is malformed or ends before its end, 413 over a limit. After an error it is the same again.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next call goes on where this one was.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>> {
        loop {
            match self.step().await? {
                Step::Part(head) => return Ok(Some(Part { multipart: self, head, ended: false })),
                Step::End => return Ok(None),
                Step::Data(_) | Step::PartEnd | Step::NeedMore => {}
            }
        }
    }

    async fn step(&mut self) -> Result<Step> {
        loop {
            match self.parser.step().map_err(refuse)? {
                Step::NeedMore => match self.body.next().await {
                    Some(bytes) => self.parser.feed(&bytes?),
                    None => self.parser.end(),
                },
                step => return Ok(step),
            }
        }
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Extract<WholeBody> for Multipart {
    async fn extract(c: &Context) -> Result<Self> {
        Self::open(c)
    }
}

/// `None` if the client sent no body.
impl ExtractOptional<WholeBody> for Multipart {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        if c.has_no_body() { Ok(None) } else { Self::open(c).map(Some) }
    }
}

/// One part of a [`Multipart`]. What is not read of it is skipped.
pub struct Part<'a> {
    multipart: &'a mut Multipart,
    head: Head,
    ended: bool,
}

impl Part<'_> {
    /// The name of its field.
    pub fn name(&self) -> &str {
        &self.head.name
    }
    /// The name of the file, as the client says; empty if no file was chosen, `None` if it is none. **Never a path to
    /// write to**: it may be `../../etc/passwd`.
    pub fn file_name(&self) -> Option<&str> {
        self.head.file_name.as_deref()
    }
    /// The last part of the file's name, without anything that means something to a file system; `None` if nothing is
    /// left. Two clients may send one name.
    pub fn safe_file_name(&self) -> Option<String> {
        head::safe_file_name(self.head.file_name.as_deref()?)
    }
    /// What the client says the contents are; it proves nothing.
    pub fn content_type(&self) -> Option<&str> {
        self.head.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }
    /// All headers of the part.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The next piece of the contents, never empty; `None` at its end.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    ///
    /// # Cancel safety
    /// Nothing is lost: a piece that was not handed out yet comes with the next call.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        match self.multipart.step().await? {
            Step::Data(bytes) => Ok(Some(bytes)),
            Step::PartEnd | Step::Part(_) | Step::End | Step::NeedMore => {
                self.ended = true;
                Ok(None)
            }
        }
    }
    /// All that is left of the contents, in memory: at most [`MultipartConfig::part_bytes`].
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    ///
    /// # Cancel safety
    /// Not safe: what was read is gone.
    pub async fn bytes(mut self) -> Result<Bytes> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::from(&first[..]);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
    /// All that is left of the contents, as text.
    ///
    /// # Errors
    /// As [`Multipart::next_part`], and 422 naming the part if it is not UTF-8.
    ///
    /// # Cancel safety
    /// Not safe: what was read is gone.
    pub async fn text(self) -> Result<String> {
        let name = self.head.name.clone();
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).map_err(|_| Source::Form.refuse().field(name, "is not UTF-8"))
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { name, file_name, .. } = &self.head;
        f.debug_struct("Part").field("name", name).field("file_name", file_name).finish_non_exhaustive()
    }
}

fn no_multipart(kind: &str) -> Error {
    content_type::refuse("the body must be a multipart form", kind, "multipart/form-data")
}

fn boundary(kind: &str) -> Result<String> {
    let refuse = |problem| Error::bad_request(MALFORMED).field("content-type", problem);
    head::boundary(kind).map_err(refuse)
}

/// The answer to a body that cannot be read; it names the part, and the limit if it is one.
fn refuse(fault: Fault) -> Error {
    let malformed = |part: String, problem: &str| Error::bad_request(MALFORMED).field(part, problem);
    let large = |part: String, problem: String| Error::content_too_large(TOO_LARGE).field(part, problem);
    match fault {
        Fault::Malformed(problem) => malformed("body".to_owned(), problem),
        Fault::Incomplete => malformed("body".to_owned(), "ended before its last boundary"),
        Fault::BadHead { part, problem } => malformed(format!("part {part}"), problem),
        Fault::FileNameTooLong { name, limit } => {
            malformed(shortened(&name), &format!("has a file name of more than {limit} bytes"))
        }
        Fault::TooManyParts { limit } => large("body".to_owned(), format!("has more than {limit} parts")),
        Fault::HeadTooLarge { part, limit } => {
            large(format!("part {part}"), format!("has headers of more than {limit} bytes"))
        }
        Fault::PartTooLarge { name, limit } => {
            large(shortened(&name), format!("is larger than {limit} bytes"))
        }
    }
}

/// 413: the fields that are no files are more than may be kept; `name` is the one that was too much.
fn too_much_text(name: &str, limit: usize) -> Error {
    let problem = format_args!("the fields that are no files are larger than {limit} bytes together");
    Error::content_too_large(TOO_LARGE).field(shortened(name), problem)
}

/// The fields that are no files, of a body that is all there.
pub(super) fn texts(c: &Context, kind: &str, body: &[u8]) -> Result<Vec<Pair<'static>>> {
    let limits = MultipartLimits::of(c);
    let mut parser = Parser::new(&boundary(kind)?, &limits);
    parser.feed(body);
    parser.end();
    let mut pairs: Vec<Pair<'static>> = Vec::new();
    let (mut is_text, mut room) = (false, limits.text_bytes);
    loop {
        match parser.step().map_err(refuse)? {
            Step::Part(Head { name, file_name, .. }) => {
                is_text = file_name.is_none();
                if is_text {
                    pairs.push(Pair { source: Source::Form, name: name.into(), value: Cow::default() });
                }
            }
            Step::Data(bytes) if is_text => {
                let Some(pair) = pairs.last_mut() else { continue };
                room = room
                    .checked_sub(bytes.len())
                    .ok_or_else(|| too_much_text(&pair.name, limits.text_bytes))?;
                pair.value.to_mut().extend_from_slice(&bytes);
            }
            Step::Data(_) | Step::PartEnd | Step::NeedMore => {}
            Step::End => return Ok(pairs),
        }
    }
}

#[cfg(test)]
mod tests;
