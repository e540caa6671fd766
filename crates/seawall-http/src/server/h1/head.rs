//! Reading a request's head: bytes in, what it means for the connection out. Pure.
//!
//! httparse finds the parts and checks tokens and values. What is stricter here than there is what smuggling lives on:
//! every line ends with CRLF, a body has one length that cannot be read in two ways, and `Host` is there once
//! (RFC 9112, 2.2, 3.2, 6.1 and 6.3).

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::Bytes;
use http::{Method, Uri, Version};
use httparse::{Error as Parse, Header, Status};

use super::fault::Fault;
use super::fields::Fields;
use super::target::{self, Target};
use crate::head::{Checked, Head, Names};

/// Fields for which there is room on the stack; whoever allows more pays for a list of them.
const USUAL_FIELDS: usize = 128;

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// A head, and what follows from it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Bytes of the whole head, its empty line included.
    pub(crate) length: usize,
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// Where the target stands.
    pub(crate) target: Range<usize>,
    /// What the target is, if it is no path.
    pub(crate) uri: Option<Uri>,
    /// Where the first field stands.
    pub(crate) fields_at: usize,
    pub(crate) body: Framing,
    /// The client would send another request on this connection.
    pub(crate) keep_alive: bool,
    /// The client waits for a 100 before it sends the body.
    pub(crate) expects_continue: bool,
    /// The client reads fields behind a chunked body.
    pub(crate) takes_trailers: bool,
    /// The client says how long it waits.
    pub(crate) says_timeout: bool,
    /// Of all fields.
    pub(crate) names: Names,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

impl Parsed {
    /// The head itself, made of its bytes.
    pub(super) fn into_head(self, bytes: Bytes) -> Head {
        let Self { method, version, target, uri, fields_at, names, says_timeout, .. } = self;
        Head::checked(Checked { method, version, bytes, target, uri, fields_at, names, says_timeout })
    }
}

/// Reads the head at the begin of `bytes`; `None` if its end is not there yet.
///
/// # Errors
/// The [`Fault`] that it has.
pub(crate) fn parse(bytes: &[u8], limits: HeadLimits) -> Result<Option<Parsed>, Fault> {
    if limits.fields <= USUAL_FIELDS {
        let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; USUAL_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, &mut room[..limits.fields]);
        return read(bytes, &request, parsed, limits);
    }
    let mut room = vec![httparse::EMPTY_HEADER; limits.fields];
    let mut request = httparse::Request::new(&mut room);
    let parsed = request.parse(bytes);
    read(bytes, &request, parsed, limits)
}

fn read(
    bytes: &[u8],
    request: &httparse::Request<'_, '_>,
    parsed: Result<Status<usize>, Parse>,
    limits: HeadLimits,
) -> Result<Option<Parsed>, Fault> {
    let length = match parsed {
        Ok(Status::Complete(length)) if length <= limits.bytes => length,
        Ok(Status::Partial) if bytes.len() < limits.bytes => return Ok(None),
        Ok(_) => return Err(too_large(bytes, limits)),
        // It is told by the whole line which version that would be.
        Err(Parse::Version) if bytes.len() < limits.bytes && memchr::memchr(b'\n', bytes).is_none() => {
            return Ok(None);
        }
        Err(error) => return Err(fault(error, bytes)),
    };
    let (Some(method), Some(path), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Fault::Malformed("no request line"));
    };
    let fields_at = lines_end_with_crlf(bytes, length, request.headers)?;
    let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| Fault::Malformed("the method is no token"))?;
    let uri = match target::read(path, &method)? {
        Target::Path => None,
        Target::Other(uri) => Some(uri),
    };
    let fields = Fields::read(request.headers)?;
    let at = offset(bytes, path.as_bytes());
    Ok(Some(Parsed {
        length,
        version,
        target: at..at + path.len(),
        uri,
        fields_at,
        body: fields.framing(version)?,
        keep_alive: fields.keep_alive(version) && method != Method::CONNECT,
        expects_continue: fields.expects_continue(version)?,
        takes_trailers: fields.takes_trailers(),
        says_timeout: fields.says_timeout(),
        names: fields.names(),
        method,
    }))
}

/// Where a part stands in the whole that it is a part of.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Checks what httparse lets pass: a line that ends with LF alone. The place of the first field comes back, which is
/// that of the empty line if there is none.
fn lines_end_with_crlf(bytes: &[u8], length: usize, fields: &[Header<'_>]) -> Result<usize, Fault> {
    let ends_at = |end: usize| bytes[..end].ends_with(b"\r\n");
    let starts = fields.iter().map(|field| offset(bytes, field.name.as_bytes()));
    let empty_line = length.saturating_sub(2);
    if !ends_at(length) || !ends_at(empty_line) || !starts.clone().all(ends_at) {
        return Err(Fault::Malformed("a line does not end with CRLF"));
    }
    Ok(starts.into_iter().next().unwrap_or(empty_line))
}

/// More than a head may be: it is the target's fault if not even the request line has ended.
fn too_large(bytes: &[u8], limits: HeadLimits) -> Fault {
    let within = &bytes[..bytes.len().min(limits.bytes)];
    if memchr::memchr(b'\n', within).is_none() { Fault::TargetTooLong } else { Fault::FieldsTooLarge }
}

fn fault(error: Parse, bytes: &[u8]) -> Fault {
    match error {
        Parse::TooManyHeaders => Fault::FieldsTooLarge,
        Parse::Version if names_a_version(bytes) => Fault::Version,
        Parse::Version => Fault::Malformed("no version"),
        Parse::HeaderName => Fault::Malformed("the name of a field is no token"),
        Parse::HeaderValue => Fault::Malformed("the value of a field has a byte that may not be there"),
        Parse::NewLine => Fault::Malformed("a line does not end with CRLF"),
        Parse::Token | Parse::Status => Fault::Malformed("no request line"),
    }
}

/// Whether the first line ends as HTTP's do, with a version that is not ours.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((_, version)) = line.split_last_chunk::<8>() else { return false };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}
