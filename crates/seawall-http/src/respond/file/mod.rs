//! Files as answers: content type, validators, conditions and ranges (RFC 9110, 8.8, 13 and 14).
//!
//! `conditions.rs` decides, purely, with `etag.rs` and `range.rs`; `disk.rs` opens and reads. Which file a request may
//! have is not decided here: a path comes from the program, never from the client.

mod conditions;
pub(crate) mod disk;
mod etag;
mod range;

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use self::conditions::{Verdict, decide};
use self::disk::Content;
use self::etag::Validators;
pub(crate) use self::etag::lists_tag;
use self::range::Span;
use super::{Disposition, IntoResponse, NOSNIFF, Response};
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Result};

/// A file of the server as an answer.
///
/// [`Context::file`] is the short way. The long way has room for changes:
///
/// ```
/// use seawall_http::{Context, File, Response, Result};
///
/// async fn report(c: Context) -> Result<Response> {
///     File::open("reports/2026.csv").await?.content_type("text/csv; charset=utf-8")?.attachment("Bericht.csv").answer(&c)
/// }
/// ```
///
/// As an [`IntoResponse`] it is sent whole, because that sees no request: only [`File::answer`] knows conditions and
/// ranges.
#[derive(Debug)]
pub struct File {
    content: Content,
    len: u64,
    validators: Validators,
    content_type: HeaderValue,
    disposition: Option<HeaderValue>,
}

impl File {
    /// Opens a file, off the worker; a small one is read at once. At most 64 such calls run in the process, others
    /// wait. The path is yours: one that came with a request could name any file of the machine.
    ///
    /// # Errors
    /// 404 if there is none, or a folder or a device; 500 if it may not be read, with the path for the log only.
    ///
    /// # Cancel safety
    /// Safe: nothing stays open.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path: PathBuf = path.as_ref().into();
        let content_type = content_type(&path)?;
        let disk::Opened { content, len, modified } = disk::open(path).await?;
        let validators = Validators::of_file(len, modified, clock::wall());
        Ok(Self { content, len, validators, content_type, disposition: None })
    }

    /// What was opened under this name. `variant` tells one form of the same file from another in its tag.
    pub(crate) fn opened(opened: disk::Opened, name: &Path, variant: Option<&'static str>) -> Result<Self> {
        let disk::Opened { content, len, modified } = opened;
        let validators = Validators::of_file(len, modified, clock::wall()).variant(variant);
        Ok(Self { content, len, validators, content_type: content_type(name)?, disposition: None })
    }
    /// Bytes that never change, under a name and a tag of hexadecimal digits.
    pub(crate) fn embedded(bytes: Bytes, name: &str, tag: &str) -> Result<Self> {
        let (len, validators) = (bytes.len() as u64, Validators::of_bytes(tag));
        let content_type = content_type(Path::new(name))?;
        Ok(Self { content: Content::Memory(bytes), len, validators, content_type, disposition: None })
    }

    /// Another content type than that of its extension.
    ///
    /// # Errors
    /// 500 if it is no header value.
    pub fn content_type(self, content_type: &str) -> Result<Self> {
        Ok(Self { content_type: HeaderValue::from_str(content_type)?, ..self })
    }
    /// To be saved under this name. Folders in it are dropped; what is not ASCII is sent as RFC 8187 has it.
    #[must_use]
    pub fn attachment(self, name: &str) -> Self {
        Self { disposition: Some(Disposition::Attachment.value(name)), ..self }
    }
    /// To be shown, and saved under this name if the user asks for it.
    #[must_use]
    pub fn inline(self, name: &str) -> Self {
        Self { disposition: Some(Disposition::Inline.value(name)), ..self }
    }
    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty file is nothing special")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The answer to this request: 200 or 206 with the file or parts of it, 304 if the client has it.
    ///
    /// One range comes as it is, up to 16 as `multipart/byteranges`; more, or more bytes than the file has, are
    /// answered with the whole. The tag is strong once the file has been at rest for two seconds, so that a download
    /// is never continued with bytes of another version.
    ///
    /// # Errors
    /// 412 if `If-Match` or `If-Unmodified-Since` want another version, 416 if no range is in the file.
    pub fn answer(self, c: &Context) -> Result<Response> {
        if c.conditions_are_taken() {
            return Ok(self.whole());
        }
        match decide(c.method(), c.headers(), &self.validators, self.len) {
            Verdict::Whole => Ok(self.whole()),
            Verdict::Parts(spans) => Ok(self.parts(&spans)),
            Verdict::NotModified => Ok(self.described(Response::new(StatusCode::NOT_MODIFIED, Bytes::new()))),
            Verdict::PreconditionFailed => Err(Error::precondition_failed("Precondition Failed")),
            Verdict::Unsatisfiable => Err(Error::range_not_satisfiable(self.len)),
        }
    }

    fn whole(self) -> Response {
        let (content_type, all) = (self.content_type.clone(), Span { start: 0, end: self.len });
        self.body(StatusCode::OK, content_type, vec![Piece::Span(all)])
    }

    fn parts(self, spans: &[Span]) -> Response {
        if let [span] = *spans {
            let (content_type, content_range) = (self.content_type.clone(), content_range(span, self.len));
            let answer = self.body(StatusCode::PARTIAL_CONTENT, content_type, vec![Piece::Span(span)]);
            return answer.header(header::CONTENT_RANGE, content_range);
        }
        let boundary = boundary();
        let pieces = multipart(spans, self.len, &self.content_type, &boundary);
        let content_type = format!("multipart/byteranges; boundary={boundary}");
        let content_type = HeaderValue::try_from(content_type).expect("hexadecimal digits");
        self.body(StatusCode::PARTIAL_CONTENT, content_type, pieces)
    }

    fn body(mut self, status: StatusCode, content_type: HeaderValue, pieces: Vec<Piece>) -> Response {
        let response = match &self.content {
            Content::Memory(bytes) => Response::new(status, joined(bytes, &pieces)),
            Content::Disk(file) => {
                let (file, len) = (file.clone(), pieces.iter().map(Piece::len).sum());
                let stream = Response::stream(status, content_type.clone(), async move |mut out| {
                    for piece in pieces {
                        match piece {
                            Piece::Text(text) => out.write(text).await?,
                            Piece::Span(span) => disk::copy(&file, span, &mut out).await?,
                        }
                    }
                    Ok(())
                });
                stream.length(len)
            }
        };
        let disposition = self.disposition.take();
        let mut response = self.described(response).header(header::CONTENT_TYPE, content_type);
        if let Some(disposition) = disposition {
            // What is to be saved must not be taken for a page.
            response = response
                .header(header::CONTENT_DISPOSITION, disposition)
                .header(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        }
        response
    }

    /// What a client needs to ask better the next time.
    fn described(&self, response: Response) -> Response {
        let response = response
            .header(header::ETAG, self.validators.etag())
            .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        match self.validators.last_modified() {
            Some(date) => response.header(header::LAST_MODIFIED, date),
            None => response,
        }
    }
}

impl IntoResponse for File {
    fn into_response(self) -> Result<Response> {
        Ok(self.whole())
    }
}

/// What a body is put together of.
enum Piece {
    Text(Bytes),
    Span(Span),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Span(span) => span.len(),
        }
    }
}

/// The content type of a file of this name; text is taken for UTF-8.
pub(crate) fn content_type(path: &Path) -> Result<HeaderValue> {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let text = guess.essence_str();
    let is_text = guess.type_() == mime_guess::mime::TEXT || text == "application/javascript";
    let value = if is_text { format!("{text}; charset=utf-8") } else { text.to_owned() };
    Ok(HeaderValue::try_from(value)?)
}

fn content_range(span: Span, len: u64) -> HeaderValue {
    let text = format!("bytes {}-{}/{len}", span.start, span.end - 1);
    HeaderValue::try_from(text).expect("digits")
}

/// Each part with a head of its own (RFC 9110, 14.6; RFC 2046, 5.1).
fn multipart(spans: &[Span], len: u64, content_type: &HeaderValue, boundary: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(spans.len() * 2 + 1);
    for &span in spans {
        let mut head = format!("\r\n--{boundary}\r\ncontent-type: ").into_bytes();
        head.extend_from_slice(content_type.as_bytes());
        head.extend_from_slice(b"\r\ncontent-range: ");
        head.extend_from_slice(content_range(span, len).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        pieces.extend([Piece::Text(head.into()), Piece::Span(span)]);
    }
    pieces.push(Piece::Text(format!("\r\n--{boundary}--\r\n").into()));
    pieces
}

/// 128 random bits: nobody can write a file that contains it.
fn boundary() -> String {
    let half = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", half(), half())
}

fn joined(bytes: &Bytes, pieces: &[Piece]) -> Bytes {
    let cut = |span: &Span| {
        let at = |position| usize::try_from(position).expect("inside of what is in memory");
        bytes.slice(at(span.start)..at(span.end))
    };
    if let [Piece::Span(span)] = pieces {
        return cut(span);
    }
    let each = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Span(span) => cut(span),
    });
    each.collect::<Vec<_>>().concat().into()
}
