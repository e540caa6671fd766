//! A response's head: where it ends, what it says about the body, and the memory of the last one.

use super::{Broken, MAX_HEAD};

/// Header fields of a response above which it is too large.
const MAX_FIELDS: usize = 100;

/// How the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A 1xx answer: another head follows.
    Interim,
    Length(u64),
    Chunked,
    UntilClose,
}

/// What matters of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadFacts {
    pub(super) status: u16,
    pub(super) keep_alive: bool,
    pub(super) framing: Framing,
}

impl Default for HeadFacts {
    fn default() -> Self {
        Self { status: 0, keep_alive: false, framing: Framing::UntilClose }
    }
}

/// The last good final head and what it said. The same bytes mean the same again.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    bytes: Vec<u8>,
    facts: HeadFacts,
}

impl Learned {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The facts, if `input` begins with the learned head.
    #[inline]
    pub(super) fn recognise(&self, input: &[u8]) -> Option<HeadFacts> {
        (!self.bytes.is_empty() && input.starts_with(&self.bytes)).then_some(self.facts)
    }

    /// Parses a whole head, and learns it.
    pub(super) fn parse(&mut self, head: &[u8]) -> Result<HeadFacts, Broken> {
        let facts = parse(head)?;
        if facts.framing != Framing::Interim {
            self.bytes.clear();
            self.bytes.extend_from_slice(head);
            self.facts = facts;
        }
        Ok(facts)
    }
}

/// The length of the head at the start of `bytes`, its empty line included; `None` if its end is not there yet.
/// `known` bytes were looked at before.
///
/// Refuses what cannot become a head: another protocol, or more than [`MAX_HEAD`] bytes.
pub(super) fn end_of_head(bytes: &[u8], known: usize) -> Result<Option<usize>, Broken> {
    const START: &[u8] = b"HTTP/1.";
    let start = bytes.len().min(START.len());
    if bytes[..start] != START[..start] {
        return Err(Broken::Malformed);
    }
    // The empty line may have begun up to two bytes before what is new.
    let from = known.saturating_sub(2);
    for newline in memchr::memchr_iter(b'\n', &bytes[from..]) {
        let after = from + newline + 1;
        let length = match &bytes[after..] {
            [b'\n', ..] => after + 1,
            [b'\r', b'\n', ..] => after + 2,
            _ => continue,
        };
        return if length > MAX_HEAD { Err(Broken::TooLarge) } else { Ok(Some(length)) };
    }
    if bytes.len() > MAX_HEAD { Err(Broken::TooLarge) } else { Ok(None) }
}

fn parse(head: &[u8]) -> Result<HeadFacts, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Broken::Malformed),
        Err(httparse::Error::TooManyHeaders) => return Err(Broken::TooLarge),
        Err(_) => return Err(Broken::Malformed),
    }
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(Broken::Malformed);
    };
    let fields = Fields::read(response.headers)?;
    let framing = match status {
        101 => return Err(Broken::Malformed), // nobody asked for another protocol
        100..=199 => Framing::Interim,
        204 | 304 => Framing::Length(0),
        200..=999 => fields.framing(version)?,
        _ => return Err(Broken::Malformed),
    };
    let persistent = if version == 0 { fields.keep_alive } else { !fields.close };
    Ok(HeadFacts { status, keep_alive: persistent && framing != Framing::UntilClose, framing })
}

/// The fields that decide about framing and the connection's future.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    transfer_encoding: bool,
    /// The last transfer coding is `chunked`.
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Broken> {
        let mut fields = Self::default();
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = parse_length(header.value).ok_or(Broken::Malformed)?;
                if fields.length.is_some_and(|before| before != length) {
                    return Err(Broken::Malformed);
                }
                fields.length = Some(length);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                fields.transfer_encoding = true;
                fields.chunked =
                    tokens(header.value).last().is_some_and(|t| t.eq_ignore_ascii_case(b"chunked"));
            } else if header.name.eq_ignore_ascii_case("connection") {
                fields.close |= tokens(header.value).any(|t| t.eq_ignore_ascii_case(b"close"));
                fields.keep_alive |= tokens(header.value).any(|t| t.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        Ok(fields)
    }

    /// RFC 9112, section 6.3. Both framings at once, or chunks in HTTP/1.0, are how responses are smuggled.
    fn framing(&self, version: u8) -> Result<Framing, Broken> {
        if self.transfer_encoding {
            if self.length.is_some() || version == 0 {
                return Err(Broken::Malformed);
            }
            return Ok(if self.chunked { Framing::Chunked } else { Framing::UntilClose });
        }
        Ok(self.length.map_or(Framing::UntilClose, Framing::Length))
    }
}

/// The parts of a comma-separated field.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits only: no sign, no spaces, no overflow.
fn parse_length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
