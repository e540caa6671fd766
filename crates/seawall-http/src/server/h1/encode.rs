//! Writing the head of an answer, and the framing of its body (RFC 9112). Pure, but for the date.

use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};

use super::date;
use crate::respond::Set;

/// What the answer must know of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) is_connect: bool,
    pub(super) takes_trailers: bool,
}

/// How the end of an answer's body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// There is no body. A length that stands in the headers is that of the body that a GET would have got.
    Nothing {
        length: Option<u64>,
    },
    Length(u64),
    Chunked,
    /// It ends with the connection: for HTTP/1.0, which knows no chunks.
    UntilClose,
}

impl Sends {
    /// The framing for a body of `length` bytes, if that is known (RFC 9112, 6.3). A `Content-Length` that a handler
    /// set counts only where the body itself does not say how long it is.
    pub(super) fn choose(asked: Asked, status: StatusCode, set: Set<'_>, length: Option<u64>) -> Self {
        let stated = || {
            let stated = set.get(&header::CONTENT_LENGTH)?.to_str().ok()?;
            stated.bytes().all(|byte| byte.is_ascii_digit()).then(|| stated.parse().ok())?
        };
        let tunnels = asked.is_connect && status.is_success();
        if status.is_informational() || status == StatusCode::NO_CONTENT || tunnels {
            return Self::Nothing { length: None };
        }
        if status == StatusCode::RESET_CONTENT {
            return Self::Nothing { length: Some(0) }; // it must have none, whatever the handler gave (RFC 9110, 15.3.6)
        }
        if asked.is_head || status == StatusCode::NOT_MODIFIED {
            return Self::Nothing { length: stated() };
        }
        match length.or_else(stated) {
            Some(length) => Self::Length(length),
            None if asked.version == Version::HTTP_10 => Self::UntilClose,
            None => Self::Chunked,
        }
    }
}

/// Whether the connection goes on behind an answer, and whether its client must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Close,
    /// It goes on, which is what clients of this version expect.
    Again,
    /// It goes on, which a client of HTTP/1.0 would not expect.
    AgainIfTold,
}

/// Whether the headers ask for the connection's end.
pub(super) fn asks_to_close(set: Set<'_>) -> bool {
    set.any(&header::CONNECTION, |value| names(value, "close"))
}

fn names(value: &HeaderValue, word: &str) -> bool {
    let items = value.as_bytes().split(|&byte| byte == b',');
    items.map(<[u8]>::trim_ascii).any(|item| item.eq_ignore_ascii_case(word.as_bytes()))
}

/// The head of an answer.
pub(super) struct Head<'a> {
    pub(super) status: StatusCode,
    pub(super) set: Set<'a>,
    pub(super) sends: Sends,
    pub(super) then: Then,
}

impl Head<'_> {
    /// Writes it, with the date of the time `now`.
    pub(super) fn write(&self, to: &mut Vec<u8>, now: Instant) {
        status_line(to, self.status);
        let mut has_date = false;
        self.set.for_each(|name, value| {
            has_date |= *name == header::DATE;
            if !is_ours(name, value, self.status) {
                field(to, name.as_str().as_bytes(), value.as_bytes());
            }
        });
        match self.sends {
            Sends::Nothing { length: Some(length) } | Sends::Length(length) => {
                field(to, b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            Sends::Chunked => to.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Sends::Nothing { length: None } | Sends::UntilClose => {}
        }
        match self.then {
            Then::Close => to.extend_from_slice(b"connection: close\r\n"),
            Then::AgainIfTold => to.extend_from_slice(b"connection: keep-alive\r\n"),
            Then::Again => {}
        }
        if !has_date && !self.status.is_informational() {
            to.extend_from_slice(b"date: ");
            date::push(to, now);
            to.extend_from_slice(b"\r\n");
        }
        to.extend_from_slice(b"\r\n");
    }
}

fn status_line(to: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return to.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    to.extend_from_slice(b"HTTP/1.1 ");
    to.extend_from_slice(status.as_str().as_bytes());
    to.push(b' ');
    to.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    to.extend_from_slice(b"\r\n");
}

fn field(to: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    to.extend_from_slice(name);
    to.extend_from_slice(b": ");
    to.extend_from_slice(value);
    to.extend_from_slice(b"\r\n");
}

/// Fields that say how the message ends, and whether the connection does: only the engine knows.
fn is_ours(name: &HeaderName, value: &HeaderValue, status: StatusCode) -> bool {
    match *name {
        header::CONTENT_LENGTH | header::TRANSFER_ENCODING => true,
        header::CONNECTION if status == StatusCode::SWITCHING_PROTOCOLS => false,
        header::CONNECTION => names(value, "close") || names(value, "keep-alive"),
        _ => false,
    }
}

/// Writes what stands before the data of a chunk.
pub(super) fn chunk_head(to: &mut Vec<u8>, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for at in (0..digits).rev() {
        to.push(DIGITS[length >> (4 * at) & 0xF]);
    }
    to.extend_from_slice(b"\r\n");
}

/// Behind the data of a chunk.
pub(super) const CHUNK_END: &[u8] = b"\r\n";

/// The names of the trailers that an answer may end with: those that it announced, to a client that reads them. Fields
/// that say how a message is read are none, because they would come too late (RFC 9110, 6.5.1).
#[derive(Debug, Default)]
pub(super) struct Announced(Option<Bytes>);

impl Announced {
    pub(super) fn of(asked: Asked, set: Set<'_>) -> Self {
        let announced = set.get(&header::TRAILER).filter(|_| asked.takes_trailers);
        Self(announced.map(|value| Bytes::copy_from_slice(value.as_bytes())))
    }

    fn names(&self, name: &HeaderName) -> bool {
        const NEVER: [HeaderName; 8] = [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::HOST,
            header::CONNECTION,
            header::CONTENT_ENCODING,
            header::CONTENT_TYPE,
            header::CONTENT_RANGE,
            header::TRAILER,
        ];
        let Some(announced) = &self.0 else { return false };
        let mut items = announced.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        !NEVER.contains(name) && items.any(|item| item.eq_ignore_ascii_case(name.as_str().as_bytes()))
    }
}

/// Writes the end of a chunked body.
pub(super) fn last_chunk(to: &mut Vec<u8>, trailers: Option<&HeaderMap>, announced: &Announced) {
    to.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten().filter(|(name, _)| announced.names(name)) {
        field(to, name.as_str().as_bytes(), value.as_bytes());
    }
    to.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const GET: Asked =
        Asked { version: Version::HTTP_11, is_head: false, is_connect: false, takes_trailers: false };
    const HEAD: Asked = Asked { is_head: true, ..GET };
    const OLD: Asked = Asked { version: Version::HTTP_10, ..GET };

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let of = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(of).collect()
    }

    #[track_caller]
    fn chooses(asked: Asked, status: u16, stated: Option<&'static str>, length: Option<u64>, sends: Sends) {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = stated.map(|stated| headers(&[("content-length", stated)])).unwrap_or_default();
        assert_eq!(Sends::choose(asked, status, Set::Map(&headers), length), sends);
    }

    #[test]
    fn a_body_ends_where_the_client_looks_for_its_end() {
        chooses(GET, 200, None, Some(3), Sends::Length(3));
        chooses(GET, 200, Some("9"), Some(3), Sends::Length(3));
        chooses(GET, 200, Some("9"), None, Sends::Length(9));
        chooses(GET, 200, Some("+9"), None, Sends::Chunked);
        chooses(GET, 200, None, None, Sends::Chunked);
        chooses(OLD, 200, None, None, Sends::UntilClose);
        chooses(HEAD, 200, Some("9"), Some(0), Sends::Nothing { length: Some(9) });
        chooses(HEAD, 200, None, None, Sends::Nothing { length: None });
        chooses(GET, 304, Some("9"), Some(0), Sends::Nothing { length: Some(9) });
        chooses(GET, 204, Some("0"), Some(0), Sends::Nothing { length: None });
        chooses(GET, 205, None, Some(3), Sends::Nothing { length: Some(0) });
        chooses(GET, 101, None, Some(0), Sends::Nothing { length: None });
        chooses(Asked { is_connect: true, ..GET }, 200, None, Some(3), Sends::Nothing { length: None });
    }

    fn written(status: u16, fields: &[(&'static str, &'static str)], sends: Sends, then: Then) -> String {
        let mut to = Vec::new();
        let fields = [&[("date", "now")], fields].concat();
        let (status, headers) = (StatusCode::from_u16(status).unwrap(), headers(&fields));
        Head { status, set: Set::Map(&headers), sends, then }.write(&mut to, clock::now());
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn a_head_has_its_fields_once() {
        let length = Sends::Length(3);
        assert_eq!(
            written(200, &[("content-length", "9"), ("a", "b")], length, Then::Again),
            "HTTP/1.1 200 OK\r\ndate: now\r\na: b\r\ncontent-length: 3\r\n\r\n"
        );
        assert_eq!(
            written(404, &[("connection", "close")], length, Then::Close),
            "HTTP/1.1 404 Not Found\r\ndate: now\r\ncontent-length: 3\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(
            written(426, &[("connection", "upgrade")], Sends::Chunked, Then::AgainIfTold),
            "HTTP/1.1 426 Upgrade Required\r\ndate: now\r\nconnection: upgrade\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n"
        );
        assert_eq!(
            written(799, &[("transfer-encoding", "chunked")], Sends::UntilClose, Then::Close),
            "HTTP/1.1 799 \r\ndate: now\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_date_is_there_unless_the_handler_gave_one() {
        let mut to = Vec::new();
        let (status, content_type) = (StatusCode::OK, HeaderValue::from_static("a/b"));
        let set = Set::Few(Some(&content_type), &[]);
        let head = Head { status, set, sends: Sends::Length(0), then: Then::Again };
        head.write(&mut to, clock::now());
        let text = String::from_utf8(to).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 0\r\ndate: "),
            "{text}"
        );
        assert!(text.ends_with(" GMT\r\n\r\n"), "{text}");
    }

    #[test]
    fn sizes_are_hexadecimal() {
        for (length, expected) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xABC_DEF, "abcdef\r\n")] {
            let mut to = Vec::new();
            chunk_head(&mut to, length);
            assert_eq!(String::from_utf8(to).unwrap(), expected);
        }
    }

    #[test]
    fn only_announced_trailers_are_sent() {
        let asked = Asked { takes_trailers: true, ..GET };
        let announced = Announced::of(asked, Set::Map(&headers(&[("trailer", "digest, content-length")])));
        let trailers = headers(&[("digest", "x"), ("content-length", "1"), ("other", "y")]);
        let mut to = Vec::new();
        last_chunk(&mut to, Some(&trailers), &announced);
        assert_eq!(to, b"0\r\ndigest: x\r\n\r\n");
        to.clear();
        last_chunk(
            &mut to,
            Some(&trailers),
            &Announced::of(GET, Set::Map(&headers(&[("trailer", "digest")]))),
        );
        assert_eq!(to, b"0\r\n\r\n");
    }
}
